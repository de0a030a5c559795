"""What the rivers may do is told nowhere but on the disaster desk's pages (internal_forecast, docs/rivers.md).

Walls, each walked whole:

- every route, as everybody: tests/authorising plants a figure and looks for it in every answer;
- the database: a role that has not come through `api.internal_forecast` sees no row, whatever it asks;
- the sources: whoever names the tables, or imports what reads them, stands here. Alerts, messages, ingest, exports of
  others and the simulators do not, so no channel has anything of it to tell; and what the outbox holds of a flood of
  which something is known beforehand has nothing of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from api.database import enter_municipality
from api.roles import Role
from devices.clock import FixedClock
from store import Connection, connect
from store.forecast_switch import switch_off
from tests.alerts.gauge import BRIDGE, Gauge
from tests.alerts.people import channels, group, person
from tests.api.conftest import town_hall as town_hall
from tests.api.serving import TownHall
from tests.conftest import START, Registered
from tests.dashboards.reading import main
from tests.forecasts import FIGURE, WORDS, planted, switched_on

ROOT = Path(__file__).parent.parent
ROOMS = ("alerts", "analytics", "api", "devices", "ingest", "mimamori", "quality", "simulators", "store")
TABLES = re.compile(r"\b(?:from|join|into|update|table)\s+(?:only\s+)?(?:forecast|forecast_model)\b", re.I)
# Who may name the tables, and who may import those who do or the index of soil water.
READ = {"analytics/rivers/forecast_store.py", "api/pages/outlook.py"}
MODULES = re.compile(
    r"(?:analytics\.rivers\.(?:forecast_store|forecasting|backtest|soil_water)|api\.pages\.(?:outlook|fan_chart))\b"
)
IMPORT = {
    "analytics/rivers/forecasting.py",
    "analytics/service.py",
    "api/pages/fan_chart.py",
    "api/pages/outlook.py",
    "api/pages/outlooks.py",
}
DOOR = {"api/internal_forecast.py", "api/pages/outlooks.py"}
STATION = "river-okusawa"
PAGES = [f"/disaster/stations/{STATION}{page}" for page in ("", "/outlook", "/outlook.csv")] + ["/disaster/outlook"]
# Without a session, and signed in: what gives data away in a form of its own.
FILES = (
    f"/disaster/stations/{STATION}/observations.csv",
    f"/disaster/stations/{STATION}/table.csv?range=30d",
    f"/api/v1/datastreams/{STATION}/water_level/observations",
    "/api/v1/stations",
)


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_only_the_job_and_the_pages_behind_the_door_name_what_may_come() -> None:
    read, imports, doors = set(), set(), set()
    for file, tree in sources():
        constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        strings = [each for each in constants if isinstance(each, str)]
        if any(TABLES.search(text) for text in strings):
            read.add(file)
        if any(MODULES.match(name) for name in imported(tree)):
            imports.add(file)
        if any("mimamori.forecast_reader" in text for text in strings) or "api.internal_forecast.opened" in imported(
            tree
        ):
            doors.add(file)
    assert read == READ and doors == DOOR
    assert imports - {"api/pages/routes.py", "api/pages/stations.py"} == IMPORT, "routes; and the block of a station"


@pytest.fixture
def told(town_hall: TownHall) -> TownHall:
    """A town that has switched it on, and of which something unmistakable is known."""
    town = town_hall.database.municipality_id
    with connect(town_hall.database.owner, name="test") as conn:
        switched_on(conn, town, START)
        series = [town_hall.database.datastream(each, "water_level") for each in (STATION, "river-takehara")]
        planted(conn, town, series[0], START, neighbours=(series[1],))
    return town_hall


def test_no_message_of_a_flood_has_anything_of_it(registered: Registered, clock: FixedClock) -> None:
    town, series = registered.municipality_id, registered.datastream(BRIDGE, "water_level")
    with connect(registered.owner, name="test") as conn:
        switched_on(conn, town, START)
        planted(conn, town, series, START)
    ways = ("mail", "line", "webhook", "mqtt", "push", "file")
    channels(registered, *ways)
    somebody = person(registered, "当番", *((way, f"somebody@{way}.example.jp") for way in ways))
    group(registered, "防災当番", [somebody])
    gauge = Gauge(registered, clock)
    gauge.user("disaster", "desk@town.example.jp")
    gauge.send_series(1.0, 2.1, 2.7, 3.3, 3.7)
    gauge.evaluate(mail=True)
    told = [text for (text,) in gauge.rows("select to_jsonb(o)::text from outbox o")]
    told += [text for (text,) in gauge.rows("select to_jsonb(h)::text from alert_history h")]
    assert any("3.70" in text for text in told), "somebody is told of the flood"
    assert not any(FIGURE.search(text) or WORDS.search(text) or "見込み" in text for text in told)


def rows_seen(conn: Connection) -> list[int]:
    found = []
    for table in ("forecast", "forecast_model"):
        row = conn.execute(f"select count(*) from {table}").fetchone()
        assert row is not None
        found.append(row[0])
    return found


def test_the_database_shows_it_to_the_disaster_desk_and_nobody_else(told: TownHall) -> None:
    town = told.database.municipality_id
    with connect(told.database.owner, name="test") as conn:
        users = conn.execute("select user_id, role, municipality_id from app_user").fetchall()
    seen = {}
    for user_id, role, home in users:
        with connect(told.database.api, name="test") as conn:
            enter_municipality(conn, town)
            assert rows_seen(conn) == [0, 0], "nobody has come through the door"
            conn.execute("select set_config('mimamori.forecast_reader', %s, true)", (str(user_id),))
            seen[(role, home == town)] = rows_seen(conn)
            conn.rollback()
            enter_municipality(conn, town)
            assert rows_seen(conn) == [0, 0], "the door is open for one transaction"
    assert {who for who, n in seen.items() if n != [0, 0]} == {("disaster", True)}
    with connect(told.database.owner, name="test") as conn:
        switch_off(conn, town, now=START, user_id=None)
    with connect(told.database.api, name="test") as conn:
        enter_municipality(conn, town)
        conn.execute("select set_config('mimamori.forecast_reader', %s, true)", (str(users[0][0]),))
        assert rows_seen(conn) == [0, 0]


def test_switched_off_it_is_gone_at_once_and_on_again_only_with_what_was_replied(told: TownHall) -> None:
    form = {
        "office": "美守地方気象台",
        "person": "気象 花子",
        "asked_on": "2026-05-01",
        "reply": "支障なし",
        "read": "1",
    }
    with told.visitor(Role.DISASTER) as desk, told.visitor(Role.DIGITAL) as digital:
        desk.headers["Accept"] = digital.headers["Accept"] = "text/html"
        assert [FIGURE.search(desk.get(page).text) is not None for page in PAGES] == [True] * len(PAGES)
        assert not any(FIGURE.search(each.get(file).text) for each in (desk, digital) for file in FILES)
        assert "竹原" in main(desk.get(PAGES[0])), "it says what it had to do without"
        assert digital.post("/disaster/outlook", data={"do": "off"}).status_code == 403
        assert desk.post("/disaster/outlook", data={"do": "off"}).headers["location"] == "/disaster/outlook?done=off"
        assert not any(FIGURE.search(desk.get(page).text) for page in PAGES)
        assert desk.get(PAGES[1]).headers["location"] == "/disaster/outlook"
        tomorrow = (START + timedelta(days=1)).date().isoformat()
        for wrong in (
            {"office": " "},
            {"person": ""},
            {"asked_on": tomorrow},
            {"asked_on": ""},
            {"reply": ""},
            {"read": ""},
        ):
            refused = desk.post("/disaster/outlook", data=form | wrong)
            assert refused.status_code == 422 and f'id="wrong-{next(iter(wrong))}"' in refused.text, wrong
        assert not FIGURE.search(desk.get(PAGES[0]).text)
        assert desk.post("/disaster/outlook", data=form).headers["location"] == "/disaster/outlook?done=on"
        assert FIGURE.search(desk.get(PAGES[0]).text)
        page = main(desk.get("/disaster/outlook"))
    assert "支障なし" in page and page.count("使い始めた。") == 2 and page.count("止めた。") == 1

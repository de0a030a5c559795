"""The pages of drills; and what a drill leaves behind outside them: nothing, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from alerts.answers import answer, find, write_link
from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Every, Number, Series, Total
from analytics.service import NAME as ANALYTICS
from analytics.service import handle
from api.roles import Role
from devices.clock import ClockSetting, FixedClock, real_now
from store import connect
from store.feed import Consumer
from store.town_clock import write_clock
from tests.alerts.people import channels, group, person
from tests.api.serving import TownHall, populate, serving
from tests.authorising.routes import CALLS, PARAMETERS, SAFE
from tests.conftest import START, Registered
from tests.dashboards.reading import main
from tests.drilling import BRIDGE, STEP, Drill

HERE = "/disaster/drills"
PAGE = {"Accept": "text/html"}
PLAN = {
    "name": "秋の図上訓練",
    "kind": "made",
    "start": "1.0",
    "peak": "3.7",
    "hours": "1",
    "speed": "1",
    "stop_level": "2",
    f"station-{BRIDGE}": "1",
}


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    """At START, and there it stays: what differs then differs because of a drill."""
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=START, speed=1e-9))
    with serving(registered) as running:
        yield running


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        yield client


@pytest.fixture
def drill(hall: TownHall, clock: FixedClock) -> Drill:
    return Drill(hall.database, clock)


def planned(staff: httpx.Client, **changes: str) -> httpx.Response:
    return staff.post(HERE, data={**PLAN, **changes})


# --- planning ---------------------------------------------------------------------------------------------


def test_a_plan_shows_the_water_to_come_and_who_is_told_before_anything_starts(
    hall: TownHall, staff: httpx.Client
) -> None:
    channels(hall.database, "mail")
    tanaka = person(hall.database, "田中", ("mail", "tanaka@example.jp"))
    number = group(hall.database, "防災当番", [person(hall.database, "鈴木", ("mail", "suzuki@example.jp"))])
    answered = planned(staff, **{f"person-{tanaka}": "1", f"group-{number}": "1"})
    assert answered.status_code == 303
    page = main(staff.get(answered.headers["location"]))
    assert "まだ誰にも知らせていません" in page and "最高 3.70 m" in page
    assert page.index("警戒レベル１相当") < page.index("警戒レベル４相当") and "警戒レベル５相当" not in page
    assert "田中 mail tan…@example.jp" in page and "鈴木" in page
    assert Drill(hall.database, FixedClock(START)).rows("select count(*) from outbox") == [(0,)]
    assert "訓練を実施中" not in page


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": " "}, "必要な欄が空です"),
        ({"name": "あ" * 81}, "長すぎます"),
        ({f"station-{BRIDGE}": ""}, "必要な欄が空です"),
        ({"peak": "高い"}, "数として読み取れないか"),
        ({"peak": "99"}, "範囲を外れています"),
        ({"peak": "0.5"}, "始まりの水位より低く"),
        ({"hours": "19"}, "範囲を外れています"),
        ({"kind": "history", "from": "昨日", "to": "5/31 9:00"}, "時刻として読み取れません"),
        ({"kind": "history", "from": "5/31 9:00", "to": "5/31 3:00"}, "終わりが始まりより前"),
        ({"kind": "history", "from": "5/31 3:00", "to": "5/31 9:00"}, "観測値がない"),
        ({"kind": "scenario", "scenario": "tsunami", "level": "4"}, "選んだものが見つかりません"),
        ({"kind": ""}, "必要な欄が空です"),
        ({"person-99": "1"}, "選んだものが見つかりません"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_says_why_and_keeps_what_was_typed(
    staff: httpx.Client, changes: dict[str, str], why: str
) -> None:
    refused = planned(staff, **changes)
    assert refused.status_code == 400 and why in main(refused)
    assert 'value="3.7"' in refused.text or "peak" in changes
    assert "訓練はまだありません" in main(refused)


def test_a_scenario_reaches_the_level_that_was_chosen_and_runs_in_the_pace_that_was_chosen(
    hall: TownHall, staff: httpx.Client
) -> None:
    for name, hours in (("typhoon", 14), ("cloudburst", 6), ("two_peaks", 18)):
        answered = planned(staff, kind="scenario", scenario=name, level="3", speed="6")
        page = main(staff.get(answered.headers["location"]))
        assert "最高 3.30 m" in page and "6倍の速さ" in page
        drill = Drill(hall.database, FixedClock(START))
        assert drill.rows("select lasts from drill order by drill_id desc limit 1") == [(timedelta(hours=hours) / 6,)]


def test_the_towns_own_past_comes_as_it_was(hall: TownHall, staff: httpx.Client, drill: Drill) -> None:
    ago = START - timedelta(hours=6)
    hall.observe(f"{BRIDGE}/water_level", *((ago + n * STEP, value) for n, value in enumerate((2.1, None, 2.4))))
    answered = planned(staff, kind="history", **{"from": "2026-06-01 03:00", "to": "2026-06-01 04:00"}, speed="2")
    assert answered.status_code == 303, main(answered)
    assert drill.rows("select after, value from drill_reading order by after") == [(timedelta(0), 2.1), (STEP, 2.4)]
    assert "2026-06-01 03:00 から" in main(staff.get(answered.headers["location"]))


def test_the_towns_own_past_gives_every_series_of_what_was_chosen(
    hall: TownHall, staff: httpx.Client, drill: Drill
) -> None:
    ago = START - timedelta(hours=6)
    for series, *values in (
        ("rain-okusawa/precipitation", 4.0, 12.5),
        ("block-hamamachi/flow", 50.0, 61.0),
        ("block-hamamachi/pressure", 300.0, 280.0),
        ("spot-todai/passages_in", 3.0, 40.0),
    ):
        hall.observe(series, *((ago + n * STEP, value) for n, value in enumerate(values)))
    past = {"kind": "history", "from": "2026-06-01 03:00", "to": "2026-06-01 04:00", f"station-{BRIDGE}": ""}
    stations = {f"station-{code}": "1" for code in ("rain-okusawa", "block-hamamachi", "spot-todai")}
    address = planned(staff, **past, **stations).headers["location"]
    page = main(staff.get(address))
    assert "合計 16.5 mm" in page and "最大 61.0" in page and "最大 40" in page
    assert staff.post(address.partition("?")[0], data={"do": "start"}).status_code == 303
    for _ in range(2):
        drill.feed()
    drill.clock.advance(STEP)
    drill.feed()
    found = drill.rows(
        "select observed_property, array_agg(value order by phenomenon_time) from observation "
        "join datastream using (datastream_id) where drill_run is not null group by 1 order by 1"
    )
    assert found == [
        ("flow", [50.0, 61.0]),
        ("passages_in", [3.0, 40.0]),
        ("precipitation", [4.0, 12.5]),
        ("pressure", [300.0, 280.0]),
    ]
    for path, value in (("/water", "61.0 m³/h"), ("/tourism", "40 人"), ("/disaster", "12.5 mm")):
        assert re.search(rf"【訓練】 {value}", main(staff.get(path, headers=PAGE))), path


def test_a_flood_comes_with_the_rain_of_its_river_and_the_rules_see_it(
    hall: TownHall, staff: httpx.Client, drill: Drill
) -> None:
    """A rule over rain and level: of the rain only the drill's says it."""
    with connect(hall.database.owner, name="test") as conn:
        town = hall.database.municipality_id
        rule = add_rule(conn, town, station_id=drill.station(), kind=None, now=START)
        rain = Series("precipitation", station="rain-okusawa")
        both = Every((Compare(Total(rain, 3600), "above", Number(30.0)),))
        said = {"name": "上流の大雨", "severity": 3, "active": True, "body": Body(both), "reason": "避難の準備"}
        add_version(conn, town, rule, valid_from=START, now=START, user_id=None, **said)  # type: ignore[arg-type]
    for n in range(7):
        hall.observe("rain-okusawa/precipitation", (START + (n - 6) * STEP, 0.0))
    address = planned(staff, kind="scenario", scenario="cloudburst", level="4").headers["location"].partition("?")[0]
    assert "奥沢雨量観測所" in main(staff.get(address)), "the register has it on the same river"
    assert staff.post(address, data={"do": "start"}).status_code == 303
    drill.feed()
    drill.run(7)
    written = drill.rows("select mode from alert where rule = 'written'")
    assert written == [("exercise",)]


def test_of_what_a_flood_says_nothing_there_is_no_drill_but_the_past(staff: httpx.Client) -> None:
    refused = planned(staff, kind="scenario", scenario="typhoon", level="3", **{"station-spot-todai": "1"})
    assert refused.status_code == 400 and "出水からは値を作れない観測所" in main(refused)


def test_while_an_actual_alert_would_end_it_the_plan_says_so_and_it_cannot_be_started(
    hall: TownHall, staff: httpx.Client
) -> None:
    address = planned(staff).headers["location"].partition("?")[0]
    assert "今は始められません" not in main(staff.get(address))
    hall.raise_alert(f"{BRIDGE}/water_level")
    page = main(staff.get(address))
    assert "今は始められません" in page and "美守橋水位観測所 警戒レベル３相当" in page
    assert staff.post(address, data={"do": "start"}).status_code == 409
    assert "計画（まだ誰にも知らせません）" in main(staff.get(HERE))
    assert staff.post(address, data={"do": "start", "starts_at": "2026-06-02T09:30"}).status_code == 303
    assert "開始待ち" in main(staff.get(HERE))


def test_a_drill_that_is_over_can_be_planned_once_more(hall: TownHall, staff: httpx.Client, drill: Drill) -> None:
    channels(hall.database, "mail")
    tanaka = person(hall.database, "田中", ("mail", "tanaka@example.jp"))
    first = begun(staff, drill, **{f"person-{tanaka}": "1"})
    assert "この訓練をもう一度" not in main(staff.get(first))
    staff.post(first, data={"do": "stop"})
    assert "この訓練をもう一度" in main(staff.get(first))
    second = staff.post(first, data={"do": "repeat"}).headers["location"]
    page = main(staff.get(second))
    assert second.startswith(f"{HERE}/2?") and "まだ誰にも知らせていません" in page and "田中" in page
    same = "select station_id, observed_property, after, value from drill_reading where drill_id = %s order by 1, 2, 3"
    assert drill.rows(same, 1) == drill.rows(same, 2) != []


# --- running ----------------------------------------------------------------------------------------------


def begun(staff: httpx.Client, drill: Drill, **changes: str) -> str:
    """The address of a drill that has just begun."""
    address = planned(staff, **changes).headers["location"].partition("?")[0]
    assert staff.post(address, data={"do": "start"}).status_code == 303
    for _ in range(2):  # it begins, and its first reading comes
        drill.feed()
    return address


def test_while_it_runs_every_page_says_so_and_no_real_value_is_replaced(
    hall: TownHall, staff: httpx.Client, drill: Drill
) -> None:
    hall.observe(f"{BRIDGE}/water_level", (START, 0.9))
    address = begun(staff, drill, start="3.7", peak="3.8")
    drill.judge()
    for path in ("/start", "/disaster", "/water", "/alerts", f"/disaster/stations/{BRIDGE}", "/digital"):
        page = staff.get(path, headers=PAGE).text
        assert "訓練「秋の図上訓練」を実施中" in page and "訓練を止める" in page, path
    for path in ("/disaster", f"/disaster/stations/{BRIDGE}"):
        page = main(staff.get(path, headers=PAGE))
        assert "0.90 m" in page and re.search(r"【訓練】 3\.70 m 警戒レベル４相当", page), path
    alerts = main(staff.get("/alerts", headers=PAGE))
    assert re.search(r"発生中 0件 .*美守橋水位観測所 【訓練】 警戒レベル４相当", alerts)
    assert (
        "いま、出ているアラートはありません" in staff.get("/alerts").text or "strip-calm" in staff.get("/alerts").text
    )
    with hall.visitor(Role.WATER) as reader:
        page = reader.get("/disaster", headers=PAGE).text
        assert "を実施中" in page and "訓練を止める" not in page
        assert reader.post(address, data={"do": "stop"}).status_code == 403


def test_a_real_alert_stands_above_the_drills(hall: TownHall, staff: httpx.Client, drill: Drill) -> None:
    begun(staff, drill, start="3.7", peak="3.8", stop_level="5")
    drill.judge()
    hall.observe("river-okusawa/water_level", (START, 1.6))
    drill.judge()
    page = staff.get("/alerts", headers=PAGE).text
    assert page.index('id="title-2"') < page.index('id="title-1"')
    strip = re.search(r'id="strip".*?</section>', page, re.DOTALL)
    assert strip is not None and "発生中のアラート 1件" in re.sub(r"<[^>]+>", "", strip[0]), strip


def test_it_is_stopped_with_one_button_and_ends_there(staff: httpx.Client, drill: Drill) -> None:
    address = begun(staff, drill)
    assert staff.post(address, data={"do": "stop"}).headers["location"] == f"{address}?done=stopped"
    assert "を実施中" not in staff.get("/disaster").text
    assert staff.post(address, data={"do": "stop"}).status_code == 409
    assert staff.post(address, data={"do": "start"}).status_code == 409
    assert "担当者が中止" in main(staff.get(HERE))


def test_it_can_be_started_for_a_time_to_come_and_not_for_one_that_is_over(staff: httpx.Client, drill: Drill) -> None:
    address = planned(staff).headers["location"].partition("?")[0]
    for when in ("2026-05-31T09:00", "2027-01-01T09:00", "あとで"):
        assert staff.post(address, data={"do": "start", "starts_at": when}).status_code == 400
    assert staff.post(address, data={"do": "start", "starts_at": "2026-06-02T09:30"}).status_code == 303
    assert drill.rows("select starts_at from drill") == [(START + timedelta(hours=24, minutes=30),)]
    assert "開始待ち" in main(staff.get(HERE))
    assert staff.post(address, data={"do": "stop"}).headers["location"].endswith("done=cancelled")
    assert "取りやめ" in main(staff.get(HERE))


def test_only_the_disaster_section_plans_and_starts(hall: TownHall, staff: httpx.Client) -> None:
    address = planned(staff).headers["location"].partition("?")[0]
    with hall.visitor(Role.DIGITAL) as reader:
        assert "訓練を計画する" not in main(reader.get(HERE)) and "訓練を開始する" not in main(reader.get(address))
        assert reader.post(HERE, data=PLAN).status_code == 403
        assert reader.post(address, data={"do": "start"}).status_code == 403
    with hall.visitor(Role.DISASTER, town="other") as stranger:
        assert stranger.get(address).status_code == 404
        assert stranger.post(address, data={"do": "stop"}).status_code == 404


# --- afterwards -------------------------------------------------------------------------------------------


def held(hall: TownHall, staff: httpx.Client, drill: Drill) -> str:
    """A whole drill: one of two answers, somebody writes a line and ticks an item."""
    channels(hall.database, "mail")
    people = [person(hall.database, name, ("mail", f"{name}@example.jp")) for name in ("tanaka", "suzuki")]
    staff.post("/disaster/checklist/edit", data={"task-3": "避難所の鍵を開ける"})
    address = begun(staff, drill, **{f"person-{each}": "1" for each in people})
    drill.run(7)
    town = hall.database.municipality_id
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update outbox set sent_at = %s where channel = 'mail'", (real_now(),))
        row = conn.execute("select outbox_id from outbox where recipient = 'tanaka@example.jp' limit 1").fetchone()
        assert row is not None
        token = write_link(conn, town, row[0])
        asked = find(conn, town, token)
        assert asked is not None
        answer(conn, asked, token, START + timedelta(minutes=50))
        # the page's clock stands at START; what people wrote down then, they wrote in the drill
        item = conn.execute("select checklist_item_id from checklist_item").fetchone()
        assert item is not None
    staff.post("/disaster/log", data={"text": "想定：堤防が切れた", "source": "field", "drill": "1"})
    staff.post("/disaster/log", data={"text": "本物の通報", "source": "phone"})
    return address


def over(staff: httpx.Client, drill: Drill, address: str) -> None:
    staff.post(address, data={"do": "stop"})
    drill.tick()


def test_the_report_says_who_was_told_when_who_answered_and_who_did_not(
    hall: TownHall, staff: httpx.Client, drill: Drill
) -> None:
    address = held(hall, staff, drill)
    drill.rows("update drill set ended_at = %s, ending = 'done' returning 1", drill.clock.now())
    with connect(hall.database.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=drill.clock.now(), speed=1e-9))
    drill.tick()
    with serving(hall.database) as again, again.visitor(Role.DISASTER) as later:
        page = main(later.get(address))
        assert "答えがなかった人 1人： suzuki" in page and "tanaka" in page
        assert "想定：堤防が切れた" in page and "本物の通報" not in page
        assert page.count("に達した") == 4
        file = later.get(f"{address}/report.csv")
    lines = file.content.decode("utf-8-sig").splitlines()
    assert file.headers["content-type"].startswith("text/csv") and len(lines) > 10
    assert all(line.endswith("【訓練】") for line in lines[1:])
    assert sum("tanaka・mail" in line for line in lines) >= 4 and any("返答あり" in line for line in lines)
    assert [line[:22] for line in lines[1:]] == sorted(line[:22] for line in lines[1:])


# What shows a drill to those who are signed in, marked; and what tells of the machine itself, whose figures move.
SHOWS_DRILLS = ("/disaster/drills", "/alerts", "/disaster/log", f"/disaster/stations/{BRIDGE}")
OF_THE_MACHINE = ("/healthz", "/metrics", "/digital", "/api/v1/stream")


# A form's own number, by which it is taken once; another one each time.
FORM_KEY = re.compile(rb'name="key" value="[0-9a-f-]{36}"')


def everything(client: httpx.Client) -> dict[str, bytes]:
    """What the application answers to every address that only reads, as far as it is not about one alert or notice."""
    known = {**PARAMETERS, "code": BRIDGE, "station": BRIDGE, "datastream_id": "1", "drill_id": "1"}
    found = {}
    for each in CALLS:
        if each.method not in SAFE or not set(re.findall(r"{([^}]+)}", each.path)) <= set(known):
            continue
        if "{token}" in each.path:
            continue  # a link that there is not says nothing of the town, and who tries many of them is slowed down
        path = re.sub(r"{([^}]+)}", lambda match: known[match[1]], each.path)
        if path in OF_THE_MACHINE or path.startswith(("/static/", "/api/v1/map/tiles")):
            continue
        content = client.request(each.method, path, headers={"Accept": "*/*"}).content
        found[f"{each.method} {path}"] = FORM_KEY.sub(b"", content)
    return found


def test_nothing_public_no_export_and_no_report_is_different_by_a_byte(
    hall: TownHall, staff: httpx.Client, drill: Drill
) -> None:
    hall.observe(f"{BRIDGE}/water_level", *((START - n * STEP, 1.0 + 0.1 * n) for n in range(6)))
    drill.rows(
        "insert into feed_cursor (consumer, feed_id) values (%s, 0) on conflict do nothing returning 1", ANALYTICS
    )

    def learn() -> None:
        with connect(hall.database.worker, name="test") as conn:
            Consumer(hall.database.worker, ANALYTICS).drain(conn, handle)

    learn()
    staff.post("/disaster/log", data={"text": "本物の通報", "source": "phone"})
    with hall.visitor(None) as outside, hall.visitor(Role.DIGITAL) as digital:
        clients = {"outside": outside, "digital": digital, "disaster": staff}
        before = {name: everything(client) for name, client in clients.items()}
        assert len(before["disaster"]) > 60
        address = begun(staff, drill, stop_level="5")
        drill.run(7)
        learn()
        assert drill.alerts() == [("exercise", 4, False)]
        while_it_runs = everything(outside)
        over(staff, drill, address)
        assert drill.alerts() == [("exercise", 4, True)]
        after = {name: everything(client) for name, client in clients.items()}
    assert while_it_runs == before["outside"], "the public sees nothing of it while it runs"
    changed = {
        path
        for name, pages in before.items()
        for path, content in pages.items()
        if after[name][path] != content and not path.split(" ")[1].startswith(SHOWS_DRILLS)
    }
    assert changed == set()
    metrics = "select count(*) from rollup_hour r join datastream d using (datastream_id) where d.drill_run is not null"
    for table in ("rollup_hour", "rollup_day"):
        assert drill.rows(metrics.replace("rollup_hour", table)) == [(0,)]
    with hall.visitor(Role.DIGITAL) as client:
        told = client.get("/metrics").text
    assert not re.search(r"mimamori_alerts_open\{[^}]*level[^}]*\} [1-9]", told)
    assert re.search(r"mimamori_observations_24h\{[^}]*\} 6\.0", told), "the drill's are not among them"
    assert staff.get("/api/v1/alerts").json()["alerts"] == []
    assert [each["mode"] for each in staff.get("/api/v1/alerts?drill=true").json()["alerts"]] == ["exercise"]

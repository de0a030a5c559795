"""`mimamori rules`: a rule as a file, tried on what is stored and saved; figures of the engine for a bench."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.rules.condition import Body, Compare, Either, Every, Number, Reading, Series, encoded
from mimamori.bench.rules import judging, rehearsing
from mimamori.cli import app
from store import connect
from tests.conftest import START, Registered

BRIDGE = "river-mimamoribashi"


def run(database: Registered, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        app, ["rules", *words], env={"MIMAMORI_OWNER_DSN": database.owner, "MIMAMORI_WORKER_DSN": database.worker}
    )
    return result.exit_code, result.stdout + (str(result.exception) if result.exception else "")


@pytest.fixture
def body(tmp_path: Path) -> Path:
    high = Compare(Reading(Series("water_level")), "above", Number(1.5))
    file = tmp_path / "rule.json"
    file.write_text(encoded(Body(Every((Either((high,)), high)))), "utf-8")
    return file


def test_a_rule_is_tried_saved_and_listed(registered: Registered, body: Path) -> None:
    datastream_id = registered.datastream(BRIDGE, "water_level")
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "insert into town_clock values (true, true, %s, %s, 0.001) on conflict (singleton) do update "
            "set (simulated, real_start, town_start, speed) = (true, now(), excluded.town_start, 0.001)",
            (START, START),
        )
        conn.execute("update town_clock set real_start = now(), town_start = %s", (START,))
        for n, value in enumerate([1.0, 1.6, 1.0, 1.7]):
            at = START - timedelta(days=1) + n * timedelta(minutes=10)
            conn.execute("insert into observation values (%s, %s, %s, 'good')", (datastream_id, at, value))
    code, out = run(registered, "rehearse", str(body), "--station", BRIDGE, "--json")
    assert code == 0, out
    (played,) = json.loads(out)["stations"]
    assert (played["n"], played["judged"], played["fired"][1]["end"] is not None) == (2, 4, True)

    code, out = run(
        registered, "save", str(body), "--station", BRIDGE, "--name", "高い水位", "--reason", "試し", "--json"
    )
    assert code == 0, out
    code, out = run(registered, "list", "--json")
    (listed,) = json.loads(out)["rules"]
    assert (listed["place"], listed["name"], listed["severity"], listed["active"]) == (BRIDGE, "高い水位", 2, True)
    assert "高い水位: " in run(registered, "list")[1]


def test_what_is_no_rule_is_refused_with_the_file(registered: Registered, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text('{"when": {"is": "every", "of": []}}')
    code, out = run(registered, "rehearse", str(file), "--station", BRIDGE)
    assert code == 1 and "wrong.json: every or either of nothing" in out


def test_the_engines_figures_can_be_taken() -> None:
    """Not how fast: that is measured on a machine that nobody else uses."""
    judged, rehearsed = judging(30), rehearsing(30)
    assert judged["moments"] >= 30 and 0 < judged["so"] < 30
    assert rehearsed["observations"] == 30 * 144 and rehearsed["times"] > 0


def test_how_long_people_wait_is_shown_and_changed_at_one_station(registered: Registered) -> None:
    code, out = run(registered, "waits", "--json")
    assert code == 0, out
    (before,) = [each for each in json.loads(out)["stations"] if each["station"] == BRIDGE]
    assert before == {
        "station": BRIDGE,
        "confirm_within_minutes": 5.0,
        "confirming_rain_mm": 10.0,
        "tell_within_hours": 6.0,
    }
    change = "waits", "--station", BRIDGE, "--confirm-within", "10", "--rain", "15"
    code, out = run(registered, *change)
    assert code != 0 and "reason: say why" in out
    code, out = run(registered, *change, "--reason", "10分観測のため")
    assert code == 0 and "within 10 min, or 15 mm" in out and "6 h late" in out
    _, out = run(registered, "waits", "--json")
    assert [each["station"] for each in json.loads(out)["stations"] if each["confirm_within_minutes"] == 10] == [BRIDGE]
    assert run(registered, "waits", "--rain", "15")[0] != 0
    assert run(registered, "waits", "--station", "nowhere")[0] != 0

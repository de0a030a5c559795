"""`mimamori bench leaks`: few blocks, few sizes. How good the rules are is for the command to say, not for here."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from mimamori.bench import leaks
from mimamori.bench.blocks import DAY, START, STEP, Quiet, sent
from mimamori.bench.leaks import LeaksBench, measure
from tests.mimamori.test_cli import command

SMALL = LeaksBench(blocks=2, days=2, each=3, bursts=(0.05, 40.0), leaks=(0.05, 12.0))


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return measure(SMALL)


def test_what_nobody_could_miss_is_found_and_what_nobody_could_see_is_not(found: dict[str, Any]) -> None:
    tiny, huge = (found["burst"]["sizes"][size] for size in ("0.05", "40"))
    assert (tiny["n"], huge["n"]) == (6, 6)
    assert huge["within_20_minutes"] == huge["found"] == 1.0 and tiny["found"] < 1.0
    assert 5 <= huge["median_minutes"] <= huge["high_minutes"] <= 20
    assert huge["received_within_20_minutes"] <= huge["within_20_minutes"], "a message comes after its readings"
    tiny, huge = (found["night"]["sizes"][size] for size in ("0.05", "12"))
    assert huge["within_2_nights"] == 1.0 and tiny["found"] < 1.0
    assert huge["median_nights"] == huge["high_nights"] == 2.0, "one night is not enough for an alarm"
    assert found["burst"]["block_years"] == pytest.approx(2 * 2 / 365, abs=0.01)
    for rule in (found["burst"], found["night"]):
        assert rule["false_alarms_a_block_year"] == pytest.approx(rule["false_alarms"] / rule["block_years"], rel=0.5)


def test_it_is_within_its_limits_only_if_all_of_them_hold(found: dict[str, Any]) -> None:
    assert found["within_limits"] is (
        found["burst"]["false_alarms_a_block_year"] <= found["limits"]["false_alarms_a_block_year"]
        and found["night"]["false_alarms_a_block_year"] <= found["limits"]["false_alarms_a_block_year"]
    )


def test_the_same_seeds_give_the_same_figures(found: dict[str, Any]) -> None:
    again = measure(SMALL)
    assert again.pop("seconds") > 0
    assert again == {key: value for key, value in found.items() if key != "seconds"}


def test_what_is_opened_is_in_the_series_and_nothing_before_it() -> None:
    quiet = Quiet(7, 2)
    begins = START + timedelta(hours=20, minutes=2)
    opened = quiet.opened(begins, 9.0, timedelta(hours=3))
    flow, pressure = quiet.series(opened, 0, 2 * DAY)
    first = (begins - START) // STEP + 1
    more, less = flow - quiet.flow, quiet.pressure - pressure
    assert np.nanmax(np.abs(more[:first])) == 0 == np.nanmax(np.abs(less[:first]))
    running = slice(first + 1, first + 30)
    assert np.nanmin(more[running]) > 6 and np.nanmin(less[running]) > 5


def test_a_lost_message_takes_all_of_its_readings() -> None:
    quiet = Quiet(3, 20)
    lost = np.isnan(quiet.flow)
    assert 0.003 < lost.mean() < 0.03 and (lost == np.isnan(quiet.pressure)).all()
    messages = {sent(quiet.grid.time(int(index))) for index in np.flatnonzero(lost)}
    inside = [each for each in messages if each - 2 * STEP >= START and each < quiet.grid.time(quiet.grid.n)]
    assert all(lost[quiet.grid.index(each) - back] for each in inside for back in range(3))


def test_false_alarms_are_those_of_every_night_judged_when_it_was_over() -> None:
    quiet = Quiet(5, 1)
    nights = quiet.nights(quiet.block, 0, 40)
    leaking = quiet.opened(START + timedelta(days=15, hours=10), 5.0, timedelta(days=4))
    again = quiet.opened(START + timedelta(days=30, hours=10), 5.0, timedelta(days=4))
    nights[15:20] = quiet.nights(leaking, 15, 20)
    nights[30:35] = quiet.nights(again, 30, 35)
    raised, open_ = 0, False
    for known in range(1, len(nights) + 1):
        alarm = leaks.assess(nights[:known]).alarm
        raised += alarm is not None and not open_
        open_ = alarm is not None
    assert leaks.alarms_of(nights) == raised == 2


def test_the_command_prints_one_object_or_a_table() -> None:
    words = ("bench", "leaks", "--blocks", "1", "--days", "1", "--each", "1", "--bursts", "20", "--leaks", "4")
    as_json, as_table = command(*words, "--json"), command(*words)
    assert as_json.returncode == as_table.returncode == 0, as_json.stderr + as_table.stderr
    assert len(as_json.stdout.splitlines()) == 1 and set(json.loads(as_json.stdout)["burst"]["sizes"]) == {"20"}
    assert "burst 20 m3/h" in as_table.stdout and "leak 4 m3/h" in as_table.stdout and "模擬" in as_table.stdout


@pytest.mark.parametrize("sizes", ["", "a", "4,4", "-1", "0"])
def test_sizes_that_are_none_are_bad_usage(sizes: str) -> None:
    done = command("bench", "leaks", "--bursts", sizes)
    assert done.returncode == 2 and "--bursts" in done.stderr

"""Duty cycles: the mode follows from the levels alone, and a report is missed only where one was due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.duty import HEARTBEAT, DutyCycle, Mode, crisis_gauge, missed, mode_after, mode_of, patience
from devices.model import TownFileError
from devices.town import load_town

MINUTE = timedelta(minutes=1)
ORIGIN = datetime(2026, 6, 1, tzinfo=UTC)
GAUGE = crisis_gauge(1.2, 1.0)
TWO_STAGES = DutyCycle(
    Mode(HEARTBEAT, patience(HEARTBEAT)),
    (
        Mode(10 * MINUTE, patience(10 * MINUTE), 1.2, 1.0),
        Mode(2 * MINUTE, patience(2 * MINUTE), 2.0, 1.8),
    ),
)


@pytest.mark.parametrize(
    ("values", "minutes"),
    [((), 1440), ((1.9,), 10), ((2.0,), 2), ((2.0, 1.9), 2), ((2.0, 1.7), 10), ((2.0, 1.1), 10), ((2.0, 0.9), 1440)],
)
def test_each_stage_begins_at_its_start_and_ends_below_its_stop(values: tuple[float, ...], minutes: int) -> None:
    assert mode_after(TWO_STAGES, values).interval == minutes * MINUTE


@given(st.lists(st.floats(0, 3), max_size=40), st.integers(0, 40))
def test_the_mode_is_the_same_however_the_values_are_taken_up(values: list[float], cut: int) -> None:
    """All at once, or the later ones upon what the earlier left behind: nobody has to remember more than that."""
    before = [
        next((v >= mode.start for v in reversed(values[:cut]) if v >= mode.start or v < mode.stop), False)
        for mode in TWO_STAGES.above
        if mode.start is not None and mode.stop is not None
    ]
    assert mode_after(TWO_STAGES, values[cut:], before) == mode_after(TWO_STAGES, values)
    assert mode_of(TWO_STAGES, before) == mode_after(TWO_STAGES, values[:cut])


@given(st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_who_always_speaks_when_it_is_due_misses_nothing(values: list[float]) -> None:
    reports, time = [], ORIGIN
    for n, value in enumerate(values):
        reports.append((time, value))
        time += mode_after(TWO_STAGES, values[: n + 1]).interval
    assert missed(TWO_STAGES, reports, time) == []


def test_a_day_of_standby_owes_one_word() -> None:
    reports = [(ORIGIN, 0.4), (ORIGIN + 4 * HEARTBEAT, 0.4)]
    assert missed(GAUGE, reports, ORIGIN + 4 * HEARTBEAT) == [ORIGIN + n * HEARTBEAT for n in (1, 2, 3)]


def test_a_reading_without_a_value_leaves_the_mode_as_it_was() -> None:
    reports = [(ORIGIN, 1.3), (ORIGIN + 10 * MINUTE, None), (ORIGIN + 30 * MINUTE, 1.3)]
    assert missed(GAUGE, reports, ORIGIN + 30 * MINUTE) == [ORIGIN + 20 * MINUTE]


def test_what_may_still_be_on_its_way_is_not_missed_yet() -> None:
    assert missed(GAUGE, [(ORIGIN, 1.3)], ORIGIN + 14 * MINUTE) == []
    assert missed(GAUGE, [(ORIGIN, 1.3)], ORIGIN + 15 * MINUTE) == [ORIGIN + 10 * MINUTE]


@pytest.mark.parametrize(
    "above",
    [
        (),
        (Mode(10 * MINUTE, 25 * MINUTE),),
        (Mode(10 * MINUTE, 25 * MINUTE, 1.0, 1.2),),
        (Mode(10 * MINUTE, 5 * MINUTE, 1.2, 1.0),),
        (Mode(10 * MINUTE, 25 * MINUTE, 1.2, 1.0), Mode(2 * MINUTE, 5 * MINUTE, 1.1, 1.0)),
    ],
)
def test_modes_that_cannot_be_are_refused(above: tuple[Mode, ...]) -> None:
    with pytest.raises(ValueError, match=r"start|stop|silence_after|at least one"):
        DutyCycle(Mode(HEARTBEAT, patience(HEARTBEAT)), above)


# --- in the town file ------------------------------------------------------------------------------------------

TOWN = """
municipality: {{code: "999990", name: 試町, name_en: Trial Town, timezone: Asia/Tokyo}}
map: {{bounds: [135.0, 32.0, 136.0, 33.0]}}
stations:
  - code: gauge
    kind: river_gauge
    name: 試橋
    name_en: Trial Bridge
    latitude: 32.5
    longitude: 135.5
    datastreams:
      water_level: {{interval: 10min}}
    devices:
      - dev_eui: a84041ffff310003
        model: radar_level
        silence_after: 26h
        attached_from: 2024-04-01T00:00+09:00
        mapping: {{water_level: distance}}
        duty: {duty}
"""


def read(folder: Path, duty: str) -> DutyCycle | None:
    path = folder / "town.yaml"
    path.write_text(TOWN.format(duty=duty), "utf-8")
    return load_town(path).stations[0].devices[0].duty


def test_a_town_file_says_when_a_gauge_speaks_more_often(tmp_path: Path) -> None:
    duty = read(
        tmp_path,
        "{interval: 24h, above: [{start: 1.2, stop: 1.0, interval: 10min}, "
        "{start: 2.0, stop: 1.8, interval: 2min, silence_after: 6min}]}",
    )
    assert duty is not None
    assert duty.calm == Mode(HEARTBEAT, timedelta(hours=26))
    assert [(each.start, each.interval, each.silence_after) for each in duty.above] == [
        (1.2, 10 * MINUTE, 25 * MINUTE),
        (2.0, 2 * MINUTE, 6 * MINUTE),
    ]


@pytest.mark.parametrize(
    ("duty", "said"),
    [
        ("{interval: 24h, above: []}", "at least one mode"),
        ("{interval: 24h}", "above"),
        ("{interval: 30h, above: [{start: 1.2, stop: 1.0, interval: 10min}]}", "silence_after must not be shorter"),
        ("{interval: 24h, above: [{start: 1.0, stop: 1.2, interval: 10min}]}", "must not be above its start"),
        ("{interval: 24h, of: flow, above: [{start: 1.2, stop: 1.0, interval: 10min}]}", "does not measure 'flow'"),
        ("{interval: 24h, above: [{start: high, stop: 1.0, interval: 10min}]}", "start"),
        ("{interval: 24h, above: [{begin: 1.2, stop: 1.0, interval: 10min}]}", "begin"),
        ("often", "duty"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, duty: str, said: str) -> None:
    with pytest.raises(TownFileError, match=rf"town\.yaml:\d+: .*{said}"):
        read(tmp_path, duty)

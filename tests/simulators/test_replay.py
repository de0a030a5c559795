"""Recordings: which town a folder makes, and which message each of its cells becomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devices import codecs
from devices.envelopes import open_uplink
from devices.model import ObservedProperty, StationKind
from simulators.errors import SimulatorError
from simulators.replay import Levels, Reading, frames, read_recording, town_of

DESCRIBED = {
    "name": "trial",
    "kind": "river",
    "unit": "m",
    "step": "10min",
    "utc_offset": "+09:00",
    "target": "Bridge_1",
    "rain": ["hill"],
    "neighbours": ["up stream"],
    "leads_h": [1],
}
SERIES = """\
time,Bridge_1,hill,up stream,note
2020-06-26 00:00:00,0.02,0.0,41,x
2020-06-26 00:10:00,0.03,,42,x
2020-06-26T00:20,high,1.5,nan,x
yesterday,1,1,1,x
2020-06-26 00:40:00,-0.5,2
"""


def recorded(folder: Path, series: str = SERIES, **changes: Any) -> Path:
    described = {key: value for key, value in (DESCRIBED | changes).items() if value is not ...}
    (folder / "dataset.json").write_text(json.dumps(described), "utf-8")
    (folder / "series.csv").write_text(series, "utf-8")
    return folder


def test_each_column_becomes_a_station_of_its_kind(tmp_path: Path) -> None:
    recording = read_recording(recorded(tmp_path), neighbour_unit="cm")
    assert [(c.code, c.kind, c.scale) for c in recording.columns] == [
        ("bridge-1", StationKind.RIVER_GAUGE, 1.0),
        ("hill", StationKind.RAIN_GAUGE, 1.0),
        ("up-stream", StationKind.RIVER_GAUGE, 0.01),
    ]
    assert (recording.rows, recording.cells, recording.ignored) == (5, 15, ("note",))
    assert recording.start == datetime(2020, 6, 25, 15, 0, tzinfo=UTC)
    assert recording.end - recording.start == timedelta(minutes=40)


def test_each_cell_becomes_a_message_that_ingest_reads(tmp_path: Path) -> None:
    recording, seen = read_recording(recorded(tmp_path), neighbour_unit="cm"), Reading()
    said = []
    for frame in frames(recording, seen):
        uplink = open_uplink(frame.topic, frame.body())
        (reading,) = codecs.decode(frame.model, uplink)
        assert reading.time == frame.heard
        said.append((uplink.device_key, uplink.counter, reading.field, reading.value))
    assert said == [
        ("bridge-1", 0, "water_level", 0.02),
        ("hill", 0, "precipitation", 0.0),
        ("up-stream", 0, "water_level", 0.41),
        ("bridge-1", 1, "water_level", 0.03),
        ("up-stream", 1, "water_level", 0.42),
        ("hill", 2, "precipitation", 1.5),
        ("bridge-1", 4, "water_level", -0.5),
        ("hill", 4, "precipitation", 2.0),
    ]
    assert seen.empty == 2
    assert [line for line, _ in seen.rejected] == [4, 4, 5, 5, 5]
    assert len(said) + seen.empty + len(seen.rejected) == recording.cells


def test_the_same_recording_is_the_same_messages(tmp_path: Path) -> None:
    recording = read_recording(recorded(tmp_path))
    first, second = ([(f.topic, f.body()) for f in frames(recording, Reading())] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)


def test_the_town_checks_nothing_and_misses_nobody_unless_told(tmp_path: Path) -> None:
    recording = read_recording(recorded(tmp_path))
    town = town_of(recording)
    assert all(s.thresholds == () for s in town.stations)
    streams = [d for s in town.stations for d in s.datastreams]
    assert {(d.valid_range, d.max_rate, d.stuck_after, d.interval) for d in streams} == {
        ((None, None), None, None, timedelta(minutes=10))
    }
    assert all(d.silence_after > recording.end - recording.start for s in town.stations for d in s.devices)
    assert (town.municipality.code, town.municipality.timezone) == ("999998", "Asia/Tokyo")
    west, south, east, north = town.bounds
    assert all(west < s.longitude < east and south < s.latitude < north for s in town.stations)
    assert len({(s.longitude, s.latitude) for s in town.stations}) == 3

    checked = town_of(recording, Levels((0.5, 0.7), 0.2, timedelta(minutes=5)), max_rate=3.0)
    (thresholds,) = checked.stations[0].thresholds
    assert [(each.level, each.value) for each in thresholds.levels] == [(2, 0.5), (3, 0.7)]
    assert (thresholds.clear_margin, thresholds.hold) == (0.2, timedelta(minutes=5))
    assert thresholds.valid_from < recording.start
    rates = {s.datastreams[0].observed_property: s.datastreams[0].max_rate for s in checked.stations}
    assert rates == {ObservedProperty.WATER_LEVEL: 3.0, ObservedProperty.PRECIPITATION: None}


@pytest.mark.parametrize(
    ("zone", "named"),
    [
        ({"utc_offset": "+00:00"}, "UTC"),
        ({"utc_offset": "-04:00"}, "Etc/GMT+4"),
        ({"utc_offset": ..., "timezone": "Europe/Paris"}, "Europe/Paris"),
    ],
)
def test_the_recordings_zone_is_the_towns(tmp_path: Path, zone: dict[str, Any], named: str) -> None:
    assert town_of(read_recording(recorded(tmp_path, **zone))).municipality.timezone == named


@pytest.mark.parametrize("heights", [(0.9, 0.5), (0.5, 0.5), (float("nan"),), (1, 2, 3, 4, 5, 6)])
def test_levels_that_make_no_sense_are_refused(heights: tuple[float, ...]) -> None:
    with pytest.raises(SimulatorError):
        Levels(heights)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "visitors"}, "only rivers"),
        ({"unit": "inch"}, "'inch' is no unit of a water level; there are m, cm, mm, ft"),
        ({"unit": "mm/h"}, "'mm/h' is no unit of a water level, but of a flow: only the gauge's own rating curve"),
        ({"step": "soon"}, "'step'"),
        ({"utc_offset": ...}, "'utc_offset'"),
        ({"target": ...}, "'target'"),
        ({"rain": ["nowhere"]}, "series.csv:1: column 'nowhere'"),
        ({"rain": "hill"}, "'rain' must be a list"),
        ({"series": "day,Bridge_1\n"}, "has no row|must be 'time'"),
        ({"series": "time,Bridge_1,hill,up stream\n"}, "has no row with a time"),
    ],
)
def test_a_folder_that_is_no_recording_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SimulatorError, match=words):
        read_recording(recorded(tmp_path, **changes))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match=r"dataset\.json: cannot be read: No such file"):
        read_recording(tmp_path)


def test_the_recordings_beside_the_checkout_are_read(shared_data: Path) -> None:
    rivers = shared_data / "river"
    cells = {name: read_recording(rivers / name).cells for name in ("chino", "gloria_2020_01", "han", "kenduskeag")}
    assert cells["chino"] == 132_480
    with pytest.raises(SimulatorError, match="'mm/h' is no unit of a water level, but of a flow"):
        read_recording(rivers / "wye")

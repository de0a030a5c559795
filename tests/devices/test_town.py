"""The town file: every mistake is named with file, line, what is wrong and what to do, all of them at once."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.basemap import KINDS
from devices.levels import CrossSection, LevelKind, ThresholdMark
from devices.model import (
    Datastream,
    Device,
    FieldMapping,
    MapShape,
    Municipality,
    ObservedProperty,
    Station,
    StationKind,
    ThresholdLevel,
    ThresholdSet,
    Town,
    TownFileError,
)
from devices.threshold_source import ThresholdSource
from devices.town import load_town
from simulators.towns import path as town_path

SMALL = """\
municipality: {code: 012345, name: 試町, name_en: Trial, timezone: Asia/Tokyo}
map:
  bounds: [135.0, 32.0, 136.0, 33.0]
  basemap:
    small.geojson
stations:
  - code: bridge
    kind: river_gauge
    name: 橋
    name_en: Bridge
    latitude: 32.5
    longitude: 135.5
    datastreams:
      water_level: {interval: 10min, range: [-0.5, ~], max_rate: 4, stuck_after: 2d}
    thresholds:
      - valid_from: 2026-04-01T00:00+09:00
        reason: 設置
        gauge_zero_tp: 2.1
        clear_margin: 0.2
        hold: 0s
        levels:
          2: {name: 注意, name_en: Watch, value: 2.5}
          4: {name: 危険, name_en: Danger, value: 3.5}
    devices:
      - dev_eui: 0102030405060708
        model: radar_level
        silence_after: 40min
        attached_from: 2026-04-01T00:00+09:00
        mapping:
          water_level: {field: distance, scale: -0.001, offset: 6.2}
  - code: house
    kind: block_inlet
    name: ポンプ場
    name_en: Pump house
    latitude: 32.6
    longitude: 135.6
    datastreams: {flow: {interval: 5min}, pressure: {interval: 5min}}
    devices:
      - key: pump-house
        model: flow_pressure
        silence_after: 1h
        attached_from: 2026-04-01T00:00Z
        mapping: {flow: flow}
"""

BASEMAP = """\
{"type": "FeatureCollection", "features": [
{"type": "Feature", "properties": {"kind": "river", "name": "川", "name_en": "River"},
 "geometry": {"type": "LineString", "coordinates": [[135.1, 32.1], [135.2, 32.2]]}}]}
"""

APRIL = datetime(2026, 3, 31, 15, tzinfo=UTC)


def load(tmp_path: Path, text: str) -> Town:
    file = tmp_path / "town.yaml"
    file.write_text(text, encoding="utf-8")
    (tmp_path / "small.geojson").write_text(BASEMAP, encoding="utf-8")
    return load_town(file)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    """The messages of the mistakes, without the file's name: `line: text`."""
    with pytest.raises(TownFileError) as caught:
        load(tmp_path, text)
    prefix = f"{tmp_path / 'town.yaml'}:"
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def test_a_town_file_is_read(tmp_path: Path) -> None:
    level, flow, pressure = ObservedProperty.WATER_LEVEL, ObservedProperty.FLOW, ObservedProperty.PRESSURE
    levels = (ThresholdLevel(2, "注意", "Watch", 2.5), ThresholdLevel(4, "危険", "Danger", 3.5))
    bridge = Station(
        "bridge", StationKind.RIVER_GAUGE, "橋", "Bridge", 32.5, 135.5,
        datastreams=(Datastream(level, timedelta(minutes=10), (-0.5, None), 4.0, timedelta(days=2)),),
        devices=(
            Device("0102030405060708", "radar_level", timedelta(minutes=40), APRIL,
                   (FieldMapping("distance", level, -0.001, 6.2),)),
        ),
        thresholds=(ThresholdSet(APRIL, "設置", levels, 0.2, timedelta(0), 2.1),),
    )  # fmt: skip
    house = Station(
        "house", StationKind.BLOCK_INLET, "ポンプ場", "Pump house", 32.6, 135.6,
        datastreams=(Datastream(flow, timedelta(minutes=5)), Datastream(pressure, timedelta(minutes=5))),
        devices=(
            Device("pump-house", "flow_pressure", timedelta(hours=1), datetime(2026, 4, 1, tzinfo=UTC),
                   (FieldMapping("flow", flow),)),
        ),
    )  # fmt: skip
    assert load(tmp_path, SMALL) == Town(
        Municipality("012345", "試町", "Trial", "Asia/Tokyo"),
        (bridge, house),
        (135.0, 32.0, 136.0, 33.0),
        (MapShape("river", "川", "River", (((135.1, 32.1), (135.2, 32.2)),), {"class": "river"}),),
    )


def test_margin_and_hold_have_defaults(tmp_path: Path) -> None:
    text = SMALL.replace("        clear_margin: 0.2\n        hold: 0s\n        ", "        ")
    (thresholds,) = load(tmp_path, text).stations[0].thresholds
    assert (thresholds.clear_margin, thresholds.hold) == (0.10, timedelta(minutes=30))


MARKS = """\
        marks:
          - {kind: overflow, value: 4.1}
          - {kind: local, name: 橋げた下端, name_en: Bridge soffit, value: -0.4}
    cross_sections:
      - {surveyed_on: 2026-02-18, reason: 測量, datum: zero, points: [[0, 4, 左岸], [5, -1], [9.5, 4]]}
    devices:
"""


def test_levels_without_a_number_and_cross_sections_are_read(tmp_path: Path) -> None:
    bridge = load(tmp_path, SMALL.replace("    devices:\n", MARKS, 1)).stations[0]
    assert bridge.thresholds[0].marks == (
        ThresholdMark(LevelKind.OVERFLOW, "氾濫開始水位", "Overflow start level", 4.1),
        ThresholdMark(LevelKind.LOCAL, "橋げた下端", "Bridge soffit", -0.4),
    )
    assert bridge.cross_sections == (
        CrossSection(date(2026, 2, 18), "測量", "zero", (0.0, 5.0, 9.5), (4.0, -1.0, 4.0), ("左岸", "", "")),
    )


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("kind: overflow, value: 4.1", "kind: reference, value: 4.1", "'reference' is no kind here"),
        ("value: 4.1", "value: 410", "410 m from gauge zero cannot be: write metres, not cm"),
        ("name: 橋げた下端", "name: 注意", "the name '注意' is there twice"),
        ("kind: local", "kind: overflow", "there can be only one overflow"),
        ("2026-02-18", "18.2.", "surveyed_on must be a date like 2026-02-10"),
        ("[5, -1]", "[11, -1]", "from the left bank to the right one"),
        ("datum: zero", "datum: K.P.", "datum is tp (elevation) or zero"),
    ],
)
def test_mistakes_of_levels_and_sections_are_named(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    assert old in MARKS
    found = mistakes(tmp_path, SMALL.replace("    devices:\n", MARKS.replace(old, new), 1))
    assert len(found) == 1 and mistake in found[0]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        # whole file
        ("map:", "maps:", "2: the file: unknown key 'maps'; there can be municipality, map, stations"),
        ("code: 012345, ", "", "1: municipality: 'code' is missing"),
        ("012345", "12345", "1: municipality: code '12345' must be 6 digits (全国地方公共団体コード)"),
        ("Asia/Tokyo", "JST+9", "1: municipality: timezone 'JST+9' is unknown; write it as Asia/Tokyo"),
        ("name: 試町", "name: ''", "1: municipality: name must be a text and must not be empty"),
        ("name: 試町", "name: 試町, name: 町", "1: municipality: 'name' is here twice (first in line 1); remove one"),
        # map
        (
            "[135.0, 32.0, 136.0, 33.0]",
            "[136.0, 32.0, 135.0, 33.0]",
            "3: map: bounds must be [west, south, east, north]",
        ),
        ("[135.0, 32.0, 136.0, 33.0]", "[135.0, 32.0, 136.0]", "3: map: bounds must be [west, south, east, north]"),
        ("  basemap:", "  basis:", "4: map: unknown key 'basis'; there can be bounds, basemap"),
        # rivers
        (
            "    longitude: 135.5\n",
            "    longitude: 135.5\n    river: {name: 河}\n",
            "13: station bridge: river: there is no river '河' on the basemap; there can be 川",
        ),
        (
            "    longitude: 135.5\n",
            "    longitude: 135.5\n    river: {name: 川, catchment_km2: 0}\n",
            "13: station bridge: river: catchment_km2 must be above 0",
        ),
        (
            "    longitude: 135.6\n",
            "    longitude: 135.6\n    river: {name: 川}\n",
            "37: station house: only a river_gauge or rain_gauge has 'river'; take it out",
        ),
        # station
        ("code: bridge", "code: Bridge", "7: station Bridge: a code is up to 40 characters out of a-z 0-9 and -"),
        (
            "code: house",
            "code: bridge",
            "31: station code 'bridge' is already used in line 7; each must be there only once",
        ),
        (
            "kind: river_gauge",
            "kind: river",
            "8: station bridge: unknown kind 'river'; there can be river_gauge, rain_gauge",
        ),
        ("    name_en: Bridge\n", "", "7: station bridge: 'name_en' is missing"),
        ("latitude: 32.5", "latitude: 35.5", "11: station bridge: latitude 35.5 is outside the map's bounds"),
        ("longitude: 135.5", "longitude: 32.5", "12: station bridge: longitude 32.5 is outside the map's bounds"),
        ("latitude: 32.5", "latitude: north", "11: station bridge: latitude must be a number, not 'north'"),
        ("latitude: 32.5", "latitude: '32.5'", "11: station bridge: latitude must be a number, not text in quotes"),
        ("latitude: 32.5", "latitude: .nan", "11: station bridge: latitude must be a number, not '.nan'"),
        ("latitude: 32.5", "latitude: 1e999", "11: station bridge: latitude must be a number, not '1e999'"),
        ("latitude: 32.5", "latitude: true", "11: station bridge: latitude must be a number, not 'true'"),
        # datastream
        (
            "water_level: {interval",
            "stage: {interval",
            "14: station bridge: unknown observed property 'stage' at a river_gauge",
        ),
        (
            "{flow: {interval: 5min}, ",
            "{passages_in: {interval: 5min}, ",
            "37: station house: unknown observed property 'pass",
        ),
        (
            "interval: 10min",
            "interval: 10",
            "14: station bridge: water_level: interval must be a duration such as 90s, 10min",
        ),
        ("interval: 10min", "interval: 0min", "14: station bridge: water_level: interval must be longer than 0"),
        (
            "interval: 10min",
            "interval: 99999d",
            "14: station bridge: water_level: interval must not be longer than ten years",
        ),
        (
            "[-0.5, ~]",
            "[2, 1]",
            "14: station bridge: water_level: range: the lowest value 2 must be below the highest 1",
        ),
        ("[-0.5, ~]", "[2]", "14: station bridge: water_level: range must be [lowest, highest]; ~ for an end"),
        ("[-0.5, ~]", "5", "14: station bridge: water_level: range must be a list"),
        ("max_rate: 4", "max_rate: -4", "14: station bridge: water_level: max_rate must be above 0"),
        (
            "stuck_after: 2d",
            "stuck_after: 10min",
            "14: station bridge: water_level: stuck_after must be longer than the int",
        ),
        (
            "stuck_after: 2d",
            "stuck: 2d",
            "14: station bridge: water_level: unknown key 'stuck'; there can be interval, range",
        ),
        # reference levels
        (
            "2026-04-01T00:00+09:00\n        reason",
            "2026-04-01T00:00\n        reason",
            "16: station bridge: threshold set: va",
        ),
        (
            "2026-04-01T00:00+09:00\n        reason",
            "2026-04-01\n        reason",
            "16: station bridge: threshold set: valid_fr",
        ),
        ("        reason: 設置\n", "", "16: station bridge: threshold set: 'reason' is missing"),
        (
            "clear_margin: 0.2",
            "clear_margin: -0.2",
            "19: station bridge: threshold set: clear_margin must not be below 0",
        ),
        (
            "hold: 0s",
            "hold: soon",
            "20: station bridge: threshold set: hold must be a duration such as 90s, 10min, 24h or 7d",
        ),
        (
            "value: 3.5",
            "value: 2.5",
            "23: station bridge: threshold set: levels: 4: 2.5 m must be above level 2 (2.5 m)",
        ),
        (
            "[-0.5, ~]",
            "[-0.5, 3]",
            "23: station bridge: threshold set: levels: 4: 3.5 m is outside the station's range",
        ),
        (
            "          4: {",
            "          6: {",
            "23: station bridge: threshold set: levels: '6' is no level; there can be 1, 2, 3",
        ),
        (
            "          4: {",
            "          2: {",
            "23: station bridge: threshold set: levels: '2' is here twice (first in line 22)",
        ),
        # device
        ("0102030405060708", "01020304050607", "25: station bridge: device 01020304050607: a DevEUI is 16 hex digits"),
        (
            "0102030405060708",
            "A102030405060708",
            "25: station bridge: device A102030405060708: a DevEUI is 16 hex digits in l",
        ),
        ("key: pump-house", "key: Pump House", "39: station house: device Pump House: a key is up to 64 characters"),
        ("key: pump-house", "dev_eui: 0102030405060708", "39: device 0102030405060708 is already used in line 25"),
        (
            "key: pump-house",
            "name: pump-house",
            "39: station house: device: there must be either 'dev_eui' (LoRaWAN) or",
        ),
        (
            "model: radar_level",
            "model: sonar",
            "26: station bridge: device 0102030405060708: unknown model 'sonar'; there",
        ),
        (
            "silence_after: 40min",
            "silence_after: 9min",
            "27: station bridge: device 0102030405060708: silence_after must not",
        ),
        (
            "        silence_after: 40min\n",
            "",
            "25: station bridge: device 0102030405060708: 'silence_after' is missing",
        ),
        # mapping
        (
            "field: distance",
            "field: depth",
            "30: station bridge: device 0102030405060708: mapping: radar_level has no field",
        ),
        (
            "scale: -0.001",
            "scale: 0",
            "30: station bridge: device 0102030405060708: mapping: water_level: scale must not be 0",
        ),
        (
            "scale: -0.001",
            "factor: 1",
            "30: station bridge: device 0102030405060708: mapping: water_level: unknown key",
        ),
        (
            "mapping: {flow: flow}",
            "mapping: {level: flow}",
            "43: station house: device pump-house: mapping: 'level' is no da",
        ),
        (
            "mapping: {flow: flow}",
            "mapping: {flow: flow, pressure: flow}",
            "43: station house: device pump-house: mapping:",
        ),
        (
            "mapping: {flow: flow}",
            "mapping: {}",
            "43: station house: device pump-house: mapping: there must be at least one",
        ),
        (
            "mapping: {flow: flow}",
            "mapping: flow",
            "43: station house: device pump-house: mapping must consist of keys with",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    assert SMALL.count(old) == 1 or old in ("map:", "value: 3.5")
    found = mistakes(tmp_path, SMALL.replace(old, new, 1))
    assert any(line.startswith(mistake) for line in found), "\n".join(found)


def test_all_mistakes_of_a_file_come_together_in_order(tmp_path: Path) -> None:
    text = SMALL.replace("latitude: 32.5", "latitude: x").replace("012345", "1").replace("distance", "depth")
    assert [int(line.split(":")[0]) for line in mistakes(tmp_path, text)] == [1, 11, 30]


def test_a_mistake_is_not_blamed_on_lines_that_depend_on_it(tmp_path: Path) -> None:
    assert len(mistakes(tmp_path, SMALL.replace("interval: 10min", "interval: 10"))) == 1
    assert len(mistakes(tmp_path, SMALL.replace("model: radar_level", "model: sonar"))) == 1


def test_one_property_of_a_station_is_fed_by_one_device(tmp_path: Path) -> None:
    second = SMALL[SMALL.index("      - key: pump-house") :].replace("pump-house", "other")
    (mistake,) = mistakes(tmp_path, SMALL + second)
    assert "flow is already fed by station house: device pump-house" in mistake


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("{administrator: 試県}", ThresholdSource(administrator="試県")),
        ("{document: 危第12号, dated: 2026-04-01}", ThresholdSource(document="危第12号", dated=date(2026, 4, 1))),
    ],
)
def test_a_set_may_say_whose_levels_they_are(tmp_path: Path, said: str, read: ThresholdSource) -> None:
    text = SMALL.replace("reason: 設置\n", f"reason: 設置\n        source: {said}\n")
    assert text != SMALL
    (found,) = load(tmp_path, text).stations[0].thresholds
    assert found.source == read


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("{administrator: 試県, document: 危第12号}", "name either the administrator or the document"),
        ("{}", "name either the administrator or the document"),
        ("{document: 危第12号, dated: 4月}", "dated must be a date like 2026-04-01"),
        ("{document: 危第12号}", "dated"),
        ("{owner: 町}", "owner"),
    ],
)
def test_a_source_that_cannot_be_meant_is_told_with_its_line(tmp_path: Path, said: str, problem: str) -> None:
    lines = mistakes(tmp_path, SMALL.replace("reason: 設置\n", f"reason: 設置\n        source: {said}\n"))
    assert any(problem in line for line in lines), lines


def test_two_threshold_sets_cannot_begin_at_once(tmp_path: Path) -> None:
    start, end = SMALL.index("      - valid_from"), SMALL.index("    devices:")
    text = SMALL[:end] + SMALL[start:end] + SMALL[end:]
    (mistake,) = mistakes(tmp_path, text)
    assert "valid_from is the same as in line 16" in mistake


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ":1: the file is empty"),
        (b"# nothing\n", ":1: the file is empty"),
        (b"- a\n", ":1: the file must consist of keys with values"),
        (b"a: b\n  c: d\n", ":2: this is not YAML: mapping values are not allowed"),
        (b"a: [1,\nb: 2\n", "this is not YAML"),
        (b"a: 1\n---\nb: 2\n", ":2: this is not YAML: but found another document"),
        ("a: 町".encode("shift_jis"), ": is not UTF-8 (byte 3): save it as UTF-8"),
        (b"a: \x07\n", "this is not YAML"),
        (b"[" * 5000, "nested too deeply"),
        (b"stations: []\n", ":1: stations: there must be at least one"),
        (b"? [a]\n: b\n", ":1: the file: a key must be a word"),
    ],
)
def test_files_that_are_no_town_at_all(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "town.yaml"
    file.write_bytes(content)
    with pytest.raises(TownFileError) as caught:
        load_town(file)
    assert str(file) in str(caught.value) and words in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TownFileError, match="cannot be read: No such file"):
        load_town(tmp_path / "none.yaml")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_line_left_out_or_spoilt_gives_a_town_or_a_town_file_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = SMALL.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    spoilt = data.draw(st.sampled_from(["", "~", "[]", "{}", "- 1", "x: y", "? ", "&a [*a]", lines[number] * 2]))
    indent = " " * (len(lines[number]) - len(lines[number].lstrip()))
    lines[number] = indent + spoilt if spoilt else ""
    file = tmp_path_factory.mktemp("spoilt") / "town.yaml"
    file.write_text("\n".join(lines), encoding="utf-8")
    with suppress(TownFileError):
        assert load_town(file).stations


# --- the demo's town --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapped", ["{field: count, scale: 0.5, offset: 1}", "{field: count, scale: -0.5}"])
def test_a_counter_is_mapped_by_what_one_count_is_worth(tmp_path: Path, mapped: str) -> None:
    text = town_path().read_text("utf-8")
    file = tmp_path / "town.yaml"
    file.write_text(text.replace("{field: count, scale: 0.5}", mapped), encoding="utf-8")
    with pytest.raises(TownFileError, match=r"rain-okusawa.*count of a rain_gauge is a counter"):
        load_town(file)


def test_the_demo_town_has_every_kind_of_station_that_is_simulated(town: Town) -> None:
    kinds = [station.kind for station in town.stations]
    assert set(kinds) == {
        StationKind.RIVER_GAUGE,
        StationKind.RAIN_GAUGE,
        StationKind.BLOCK_INLET,
        StationKind.SERVICE_TANK,
        StationKind.VISITOR_SPOT,
    }
    assert (kinds.count(StationKind.RIVER_GAUGE), kinds.count(StationKind.RAIN_GAUGE)) == (4, 3)
    assert {shape.kind for shape in town.shapes} == set(KINDS)
    assert {device.model for station in town.stations for device in station.devices} == {
        "radar_level",
        "rain_gauge",
        "flow_pressure",
        "people_counter",
    }


def test_the_demo_town_is_no_real_one(town: Town) -> None:
    # the sixth digit of a real code is 11 minus the weighted sum of the others modulo 11 (last digit of it)
    code = [int(digit) for digit in town.municipality.code]
    weighted = sum(digit * weight for digit, weight in zip(code, (6, 5, 4, 3, 2), strict=False))
    assert code[5] != (11 - weighted % 11) % 10


def test_the_demo_gauges_have_all_five_levels_and_a_gauge_zero(town: Town) -> None:
    gauges = [station for station in town.stations if station.kind is StationKind.RIVER_GAUGE]
    for station in gauges:
        for thresholds in station.thresholds:
            assert [level.level for level in thresholds.levels] == [1, 2, 3, 4, 5]
            assert thresholds.gauge_zero_tp is not None
    for river in {station.river.river for station in gauges if station.river is not None}:
        along = [station for station in gauges if station.river is not None and station.river.river == river]
        zeros = [station.thresholds[-1].gauge_zero_tp or 0.0 for station in along]
        far = [station.river.km_from_mouth or 0.0 for station in along if station.river is not None]
        assert zeros == sorted(zeros, reverse=True) and far == sorted(far, reverse=True)  # as the water passes


def test_loading_twice_gives_the_same_town(town: Town) -> None:
    assert load_town(town_path()) == town

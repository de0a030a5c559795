"""The simulated town's past as files: what they say, that they join what the devices say next; and a flood in town."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from devices.codecs import decode
from devices.envelopes import open_uplink
from devices.model import StationKind, Town
from simulators.config import PERFECT, Scenario, SimulatorConfig
from simulators.devices import Fleet
from simulators.history import OUTAGE, write_files
from simulators.visits import COVERED, SHELTER
from simulators.weather import FIRST_STORM
from simulators.world import World

UNTIL = datetime(2026, 6, 20, 2, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Tokyo")
CONFIG = SimulatorConfig("", 0, scenario=Scenario.FLOOD, impairments=PERFECT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, town: Town) -> Path:
    folder = tmp_path_factory.mktemp("history")
    write_files(folder, CONFIG, town, UNTIL, days=4, visit_days=40)
    return folder


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_there_is_a_file_of_each_kind_and_one_a_month_of_visitors(folder: Path) -> None:
    assert sorted(file.stem for file in folder.glob("*.csv")) == [
        "daily", "rain", "river", "tank", "visitors-2026-05", "visitors-2026-06", "water",
    ]  # fmt: skip
    assert all(file.with_suffix(".yaml").exists() for file in folder.glob("*.csv"))


def test_every_series_of_a_device_is_in_exactly_one_column(folder: Path, town: Town) -> None:
    wanted = {
        (station.code, line.observed_property.value)
        for station in town.stations
        for device in station.devices
        for line in device.mapping
    }
    told = [
        (column["station"], column["property"])
        for file in folder.glob("*.yaml")
        if file.stem != "visitors-2026-05"
        for column in yaml.safe_load(file.read_text("utf-8"))["columns"].values()
    ]
    by_hand = {("spot-shiryokan", "passages_day")}
    assert len(told) == len(set(told)) and set(told) == wanted | by_hand


def test_a_file_ends_at_the_present_and_has_every_step(folder: Path) -> None:
    for name, step, days in (("river", 10, 4), ("water", 5, 4)):
        times = [datetime.fromisoformat(line["日時"]).replace(tzinfo=ZONE) for line in lines(folder / f"{name}.csv")]
        assert times[-1] == UNTIL and len(times) == days * 24 * 60 // step
        assert {after - before for before, after in pairwise(times)} == {timedelta(minutes=step)}


def test_the_months_of_visitors_join(folder: Path) -> None:
    times = [line["日時"] for month in ("05", "06") for line in lines(folder / f"visitors-2026-{month}.csv")]
    assert times == sorted(set(times)) and len(times) == 40 * 144


def test_written_again_it_is_the_same_and_two_halves_are_the_whole(folder: Path, town: Town, tmp_path: Path) -> None:
    for part in (1, 2):
        assert write_files(tmp_path, CONFIG, town, UNTIL, days=4, visit_days=40, part=(part, 2))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }


def test_the_museum_forgets_days_and_is_closed_on_mondays(town: Town, tmp_path: Path) -> None:
    by_hand = replace(town, stations=tuple(station for station in town.stations if not station.devices))
    write_files(tmp_path, CONFIG, by_hand, UNTIL, days=1, visit_days=396)
    assert [file.name for file in tmp_path.glob("*.csv")] == ["daily.csv"]
    told = {line["日付"]: line["美守郷土資料館"] for line in lines(tmp_path / "daily.csv")}
    mondays = {day for day in told if datetime.fromisoformat(day).weekday() == 0}
    assert max(told) == "2026-06-19" and len(told) == 395
    assert {told[day] for day in mondays} <= {"0", ""}
    assert 0.01 < sum(not number for number in told.values()) / len(told) < 0.1
    assert all(int(number) < 400 for number in told.values() if number)


def test_outages_are_said_and_are_rare(town: Town, tmp_path: Path) -> None:
    tanks = tuple(
        station if station.kind is StationKind.SERVICE_TANK else replace(station, devices=())
        for station in town.stations
    )
    write_files(tmp_path, CONFIG, replace(town, stations=tanks), UNTIL, days=60, visit_days=1)
    (name,) = [name for name in lines(tmp_path / "tank.csv")[0] if name != "日時"]
    fields = [line[name] for line in lines(tmp_path / "tank.csv")]
    assert 0 < sum(field == "" for field in fields) < 0.01 * len(fields), "hours of silence"
    assert sum(field == OUTAGE for field in fields) < 0.02 * len(fields)


def test_what_the_devices_say_next_is_later_than_the_files(town: Town) -> None:
    fleet = Fleet(CONFIG, town, origin=UNTIL, first=UNTIL)
    models = {device.key: device.model for station in town.stations for device in station.devices}
    for frame, _ in zip(fleet.uplinks(), range(200), strict=False):
        uplink = open_uplink(frame.topic, frame.body())
        times = [each.time for each in decode(models[frame.device], uplink) if each.time is not None]
        assert all(time > UNTIL for time in times)
        assert frame.heard > UNTIL


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_whenever_a_flood_begins_it_bursts_a_main_covers_a_counter_and_makes_people_seek_shelter(
    town: Town, hour: int
) -> None:
    origin = UNTIL + timedelta(hours=hour)
    flood = World(CONFIG, town, origin)
    calm = World(SimulatorConfig("", 0, impairments=PERFECT), town, origin)
    storm = origin + FIRST_STORM
    (first_block, *_) = flood.blocks.values()
    during = [storm + timedelta(minutes=10 * n) for n in range(14 * 6)]
    assert (
        max(first_block.burst(at) for at in during) > 15 > max(calm.blocks[first_block.code].burst(at) for at in during)
    )
    shelter, covered = flood.spots["spot-michinoeki"], flood.spots["spot-onsen"]
    step = timedelta(minutes=10)
    hours = [storm + SHELTER[0] + n * step for n in range(1, round((SHELTER[1] - SHELTER[0]) / step))]
    more = sum(shelter.inwards(at, step) for at in hours)
    assert more > sum(calm.spots["spot-michinoeki"].inwards(at, step) for at in hours) + 800
    dark = [storm + COVERED[0] + n * step for n in range(1, round((COVERED[1] - COVERED[0]) / step))]
    assert sum(covered.inwards(at, step) for at in dark) == 0


def test_a_calm_town_knows_nothing_of_floods(town: Town) -> None:
    calm = World(SimulatorConfig("", 0, impairments=PERFECT), town, UNTIL)
    assert all(spot.shelter_from is None and spot.covered_from is None for spot in calm.spots.values())
    assert all(block.scoured_from is None for block in calm.blocks.values())

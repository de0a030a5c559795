"""A larger town of the same kind: as many devices as asked for, each with a name of its own, and simulated."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import islice

import pytest

from devices.codecs import decode
from devices.envelopes import open_uplink
from devices.model import Town
from simulators.config import SimulatorConfig
from simulators.devices import Fleet
from simulators.errors import SimulatorError
from simulators.towns.larger import larger
from tests.conftest import START


def keys(town: Town) -> list[str]:
    return [device.key for station in town.stations for device in station.devices]


@pytest.mark.parametrize("devices", [1, 12, 13, 200, 1000])
def test_it_has_exactly_so_many_devices_and_no_name_twice(town: Town, devices: int) -> None:
    found = larger(town, devices)
    assert len(keys(found)) == devices == len(set(keys(found)))
    codes = [station.code for station in found.stations]
    assert len(codes) == len(set(codes))


def test_it_begins_with_the_towns_own_stations_and_is_the_same_again(town: Town) -> None:
    found = larger(town, 200)
    assert found.stations[: len(town.stations)] == town.stations
    assert found == larger(town, 200)


def test_it_keeps_the_mix_of_kinds_and_has_devices_that_report_at_other_intervals(town: Town) -> None:
    own, found = (
        Counter(s.kind for s in each.stations if s.devices) for each in (town, larger(town, 20 * len(keys(town))))
    )
    assert found == {kind: 20 * n for kind, n in own.items()}
    intervals = {d.interval for s in larger(town, 200).stations for d in s.datastreams if s.devices}
    assert {timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=30)} <= intervals


def test_a_block_is_fed_by_a_tank_of_its_town_or_by_none_that_is_known(town: Town) -> None:
    for devices in range(1, 60):
        stations = larger(town, devices).stations
        codes = {station.code for station in stations}
        fed_by = {s.code: s.block.tank for s in stations if s.block is not None and s.block.tank is not None}
        assert set(fed_by.values()) <= codes, devices
    assert len(set(fed_by.values())) > 1, "and not all by the same"


def test_all_of_its_stations_are_on_the_map(town: Town) -> None:
    west, south, east, north = town.bounds
    assert all(west <= s.longitude <= east and south <= s.latitude <= north for s in larger(town, 500).stations)


def test_every_device_of_it_speaks(town: Town) -> None:
    found = larger(town, 60)
    fleet = Fleet(SimulatorConfig("", 0), found, origin=START, first=START)
    heard = {}
    for frame in islice(fleet.uplinks(), 60 * 8):
        heard[frame.device] = decode(frame.model, open_uplink(frame.topic, frame.body()))
    assert set(heard) == set(keys(found)) and all(heard.values())


def test_a_town_without_any_device_cannot_be_asked_for(town: Town) -> None:
    with pytest.raises(SimulatorError, match="at least one"):
        larger(town, 0)

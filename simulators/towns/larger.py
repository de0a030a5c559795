"""A larger town of the same kind: what the demo's town has, again and again, until it has as many devices as asked for.

    larger(town, 200)    a town of 200 devices, the first of them the town's own

Each further copy has station codes and device keys of its own, stands a little aside on the map, and feeds its blocks
from its own tanks. Copies take the mix of kinds with them; every other copy measures its rivers every 5 minutes
instead of 10, as gauges near houses do, and every third one tells its visitors by the half hour, as counters on a
small battery do. Pure: the same town and number give the same town.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

from devices.model import Device, DistributionBlock, Station, StationKind, Town
from simulators.chance import uniform
from simulators.errors import SimulatorError

# Of the DevEUIs that copies get: a locally administered number, which no maker gives away.
_DEV_EUI_PREFIX = 0x02AA
_RIVER_INTERVAL, _VISITOR_INTERVAL = timedelta(minutes=5), timedelta(minutes=30)
_ASIDE = 0.012  # degrees


def larger(town: Town, devices: int) -> Town:
    """A town with exactly so many devices. SimulatorError below one."""
    if devices < 1:
        raise SimulatorError(f"a town needs at least one device, not {devices}")
    stations: list[Station] = []
    left = devices
    for station in _copies(town):
        if left == 0:
            break
        kept = station.devices[:left]
        left -= len(kept)
        stations.append(replace(station, devices=kept))
    codes = {station.code for station in stations}
    return replace(town, stations=tuple(_without_strange_tank(station, codes) for station in stations))


def _copies(town: Town) -> Iterator[Station]:
    yield from town.stations
    with_devices = [station for station in town.stations if station.devices]
    if not with_devices:
        raise SimulatorError(f"{town.municipality.name} has no devices of which there could be more")
    for copy in count(1):
        for position, station in enumerate(with_devices):
            yield _copy(town, station, copy, position)


def _copy(town: Town, station: Station, copy: int, position: int) -> Station:
    west, south, east, north = town.bounds
    turned = replace(
        station,
        code=_code(station.code, copy),
        name=f"{station.name}{copy + 1}",
        name_en=f"{station.name_en} {copy + 1}",
        longitude=_beside(station.longitude, west, east, station.code, copy, "longitude"),
        latitude=_beside(station.latitude, south, north, station.code, copy, "latitude"),
        block=station.block and _block(station.block, copy),
        devices=tuple(_device(device, copy, position, n) for n, device in enumerate(station.devices)),
    )
    return _at_its_pace(turned, copy)


def _code(code: str, copy: int) -> str:
    return f"{code}-{copy + 1}"


def _block(block: DistributionBlock, copy: int) -> DistributionBlock:
    return replace(block, tank=block.tank and _code(block.tank, copy))


def _device(device: Device, copy: int, position: int, n: int) -> Device:
    return replace(device, key=f"{_DEV_EUI_PREFIX:04x}{copy:06x}{position:04x}{n:02x}")


def _beside(degrees: float, low: float, high: float, *question: object) -> float:
    moved = degrees + _ASIDE * (2 * uniform(*question) - 1)
    return round(min(max(moved, low), high), 6)


def _at_its_pace(station: Station, copy: int) -> Station:
    """The station as often read as such a one is: the daily number of a spot stays a daily one."""
    if station.kind is StationKind.RIVER_GAUGE and copy % 2 == 1:
        interval = _RIVER_INTERVAL
    elif station.kind is StationKind.VISITOR_SPOT and copy % 3 == 2:
        interval = _VISITOR_INTERVAL
    else:
        return station
    fed = {line.observed_property for device in station.devices for line in device.mapping}
    return replace(
        station,
        datastreams=tuple(
            replace(stream, interval=interval) if stream.observed_property in fed else stream
            for stream in station.datastreams
        ),
        devices=tuple(replace(each, silence_after=max(each.silence_after, 4 * interval)) for each in station.devices),
    )


def _without_strange_tank(station: Station, codes: set[str]) -> Station:
    """A block whose tank did not come along is fed by one that nobody knows."""
    if station.block is None or station.block.tank in codes:
        return station
    return replace(station, block=replace(station.block, tank=None))

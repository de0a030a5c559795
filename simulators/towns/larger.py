"""A larger town of the same kind: what the demo's town has, again and again, until it has as many devices as asked for.

    larger(town, 200)                    a town of 200 devices, the first of them the town's own
    larger(town, 200, networks=MIXED)    the further ones speak over four networks, in turn by the copy

Each further copy has station codes and device keys of its own, stands a little aside on the map, and feeds its blocks
from its own tanks. Copies take the mix of kinds with them; every other copy measures its rivers every 5 minutes
instead of 10, as gauges near houses do, and every third one tells its visitors by the half hour, as counters on a
small battery do. Over Sigfox, which allows 140 messages a day, nothing is told more often than every quarter of an
hour, and what sends more than 12 bytes has a SIM card instead. Pure: the same town and number give the same town.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

from devices.model import Device, DistributionBlock, Station, StationKind, Town
from simulators.chance import uniform
from simulators.errors import SimulatorError
from simulators.frames import CHIRPSTACK_V4, MIMAMORI_V1, SIGFOX, THE_THINGS_STACK_V3

# What a town buys in the end: over which network each copy of it speaks, in turn.
MIXED = (*[CHIRPSTACK_V4] * 5, *[THE_THINGS_STACK_V3] * 3, MIMAMORI_V1, SIGFOX)
MOST_DEVICES = 100_000
# Of the DevEUIs that copies get: locally administered numbers, which no maker gives away.
_PREFIXES = {CHIRPSTACK_V4: "02aa", THE_THINGS_STACK_V3: "02ab"}
_DEV_EUI = re.compile(r"[0-9a-f]{16}")
_SIGFOX = re.compile(r"5a[0-9a-f]{6}")
_OWN = re.compile(r"sim-[0-9]+-[0-9]+-[0-9]+")
SIGFOX_INTERVAL = timedelta(minutes=15)
_RIVER_INTERVAL, _VISITOR_INTERVAL = timedelta(minutes=5), timedelta(minutes=30)
_ASIDE = 0.012  # degrees


def network_of(key: str) -> str | None:
    """Over which network a simulated device of this key speaks; None where nobody simulates it."""
    if _DEV_EUI.fullmatch(key):
        return THE_THINGS_STACK_V3 if key.startswith(_PREFIXES[THE_THINGS_STACK_V3]) else CHIRPSTACK_V4
    if _SIGFOX.fullmatch(key):
        return SIGFOX
    return MIMAMORI_V1 if _OWN.fullmatch(key) else None


def network_for(model: str, copy: int, networks: tuple[str, ...]) -> str:
    """The network of a device of the so-manieth copy."""
    network = networks[(copy - 1) % len(networks)]
    return MIMAMORI_V1 if network == SIGFOX and model == "flow_pressure" else network


def key_of(network: str, copy: int, position: int, n: int = 0) -> str:
    """The key of the n-th device at the so-manieth station with devices, of a copy."""
    if network == SIGFOX:
        return f"5a{(copy * 64 + position) * 2 + n:06x}"
    if network == MIMAMORI_V1:
        return f"sim-{copy}-{position}-{n}"
    return f"{_PREFIXES[network]}{copy:06x}{position:04x}{n:02x}"


def larger(town: Town, devices: int, networks: tuple[str, ...] = (CHIRPSTACK_V4,)) -> Town:
    """A town with exactly so many devices. SimulatorError below one."""
    if not 1 <= devices <= MOST_DEVICES:
        raise SimulatorError(f"a town needs at least one device, and can have {MOST_DEVICES}, not {devices}")
    stations: list[Station] = []
    left = devices
    for station in _copies(town, networks):
        if left == 0:
            break
        kept = station.devices[:left]
        left -= len(kept)
        stations.append(replace(station, devices=kept))
    codes = {station.code for station in stations}
    return replace(town, stations=tuple(_without_strange_tank(station, codes) for station in stations))


def _copies(town: Town, networks: tuple[str, ...]) -> Iterator[Station]:
    yield from town.stations
    with_devices = [station for station in town.stations if station.devices]
    if not with_devices:
        raise SimulatorError(f"{town.municipality.name} has no devices of which there could be more")
    for copy in count(1):
        for position, station in enumerate(with_devices):
            yield _copy(town, station, copy, position, networks)


def _copy(town: Town, station: Station, copy: int, position: int, networks: tuple[str, ...]) -> Station:
    west, south, east, north = town.bounds
    turned = replace(
        station,
        code=_code(station.code, copy),
        name=f"{station.name}{copy + 1}",
        name_en=f"{station.name_en} {copy + 1}",
        longitude=beside(station.longitude, west, east, station.code, copy, "longitude"),
        latitude=beside(station.latitude, south, north, station.code, copy, "latitude"),
        block=station.block and _block(station.block, copy),
        devices=tuple(_device(device, copy, position, n, networks) for n, device in enumerate(station.devices)),
    )
    return _at_its_pace(turned, copy, networks)


def _code(code: str, copy: int) -> str:
    return f"{code}-{copy + 1}"


def _block(block: DistributionBlock, copy: int) -> DistributionBlock:
    return replace(block, tank=block.tank and _code(block.tank, copy))


def _device(device: Device, copy: int, position: int, n: int, networks: tuple[str, ...]) -> Device:
    return replace(device, key=key_of(network_for(device.model, copy, networks), copy, position, n))


def beside(degrees: float, low: float, high: float, *question: object) -> float:
    """Where a copy of a station stands: a little aside, and on the map."""
    moved = degrees + _ASIDE * (2 * uniform(*question) - 1)
    return round(min(max(moved, low), high), 6)


def pace(kind: StationKind, model: str, interval: timedelta, copy: int, networks: tuple[str, ...]) -> timedelta:
    """How often such a station of a copy is read."""
    if kind is StationKind.RIVER_GAUGE and copy % 2 == 1:
        interval = _RIVER_INTERVAL
    elif kind is StationKind.VISITOR_SPOT and copy % 3 == 2:
        interval = _VISITOR_INTERVAL
    return max(interval, SIGFOX_INTERVAL) if network_for(model, copy, networks) == SIGFOX else interval


def _at_its_pace(station: Station, copy: int, networks: tuple[str, ...]) -> Station:
    """The station as often read as such a one is: the daily number of a spot stays a daily one."""
    fed = {line.observed_property for device in station.devices for line in device.mapping}
    (model, *_) = (device.model for device in station.devices)
    changed = [
        replace(stream, interval=pace(station.kind, model, stream.interval, copy, networks))
        if stream.observed_property in fed
        else stream
        for stream in station.datastreams
    ]
    if changed == list(station.datastreams):
        return station
    slowest = max(stream.interval for stream in changed if stream.observed_property in fed)
    return replace(
        station,
        datastreams=tuple(changed),
        devices=tuple(replace(each, silence_after=max(each.silence_after, 4 * slowest)) for each in station.devices),
    )


def _without_strange_tank(station: Station, codes: set[str]) -> Station:
    """A block whose tank did not come along is fed by one that nobody knows."""
    if station.block is None or station.block.tank in codes:
        return station
    return replace(station, block=replace(station.block, tank=None))

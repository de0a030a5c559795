"""What a town file says of its waterworks: how large a tank is, how long a block's pipes are, and what feeds it."""

from __future__ import annotations

from collections.abc import Iterable

from devices.model import DistributionBlock, ServiceTank, Station, StationKind
from devices.yaml_reader import Mapping, YamlReader


def read_tank(reader: YamlReader, station: Mapping, kind: StationKind | None) -> ServiceTank | None:
    """The key `tank` of a service tank; None where there is none, or a mistake noted in `reader`."""
    entry = _entry(reader, station, "tank", kind, StationKind.SERVICE_TANK)
    if entry is None:
        return None
    entry.only(("area_m2", "full_m", "low_m"))
    area, full, low = (entry.number(name) for name in ("area_m2", "full_m", "low_m"))
    if area is None or full is None or low is None:
        return None
    if area <= 0 or not 0 <= low < full:
        reader.problem(entry, f"{entry.name}: area_m2 must be above 0, and low_m from 0 up to below full_m")
        return None
    return ServiceTank(area, full, low)


def read_block(reader: YamlReader, station: Mapping, kind: StationKind | None) -> DistributionBlock | None:
    """The key `block` of a block inlet; None where there is none, or a mistake noted in `reader`."""
    entry = _entry(reader, station, "block", kind, StationKind.BLOCK_INLET)
    if entry is None:
        return None
    entry.only(("pipe_km", "tank"))
    length = entry.number("pipe_km")
    tank = entry.text("tank") if entry.get("tank") is not None else None
    if length is not None and length <= 0:
        reader.problem(entry.keys["pipe_km"], f"{entry.name}: pipe_km must be above 0")
        length = None
    return None if length is None else DistributionBlock(length, tank)


def check_tanks(reader: YamlReader, entries: Iterable[tuple[Mapping, Station]]) -> None:
    """Notes every block that names a tank which is no service tank of the file."""
    known = list(entries)
    tanks = {station.code for _, station in known if station.kind is StationKind.SERVICE_TANK}
    for entry, station in known:
        if station.block is not None and station.block.tank is not None and station.block.tank not in tanks:
            reader.problem(
                entry.keys["block"],
                f"{entry.name}: block: there is no service_tank {station.block.tank!r}; "
                f"there can be {', '.join(sorted(tanks)) or 'none, for the file has none'}",
            )


def _entry(
    reader: YamlReader, station: Mapping, key: str, kind: StationKind | None, wanted: StationKind
) -> Mapping | None:
    node = station.get(key)
    if node is None:
        return None
    if kind is not None and kind is not wanted:
        reader.problem(station.keys[key], f"{station.name}: only a {wanted} has {key!r}; take it out")
        return None
    return reader.mapping(node, f"{station.name}: {key}")

"""What a town file says of its waterworks: how large a tank is, how long a block's pipes are, and what feeds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import yaml

from devices.basemap import pipe_km
from devices.model import DistributionBlock, MapShape, ServiceTank, Station, StationKind
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
    length = entry.number("pipe_km") if entry.get("pipe_km") is not None else None
    tank = entry.text("tank") if entry.get("tank") is not None else None
    if length is not None and length <= 0:
        reader.problem(entry.keys["pipe_km"], f"{entry.name}: pipe_km must be above 0")
        length = None
    return DistributionBlock(length, tank)


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


def measured(
    reader: YamlReader,
    entries: Iterable[tuple[Mapping, Station]],
    shapes: Sequence[MapShape],
    basemap: yaml.Node | None,
) -> list[Station]:
    """The stations, each block with the length of its pipes on the basemap (named at `basemap` in the file).

    Notes a block whose length is said twice, and what the basemap says of a block or tank that is none.
    """
    known = list(entries)
    lengths = pipe_km(shapes)
    for kind, keys in ((StationKind.BLOCK_INLET, ("block", "station")), (StationKind.SERVICE_TANK, ("tank",))):
        codes = {station.code for _, station in known if station.kind is kind}
        named = {str(shape.properties[key]) for shape in shapes for key in keys if key in shape.properties}
        for code in sorted(named - codes):
            assert basemap is not None  # otherwise there are no shapes
            reader.problem(
                basemap,
                f"map: basemap: it names the {kind} {code!r}, which the town file does not have; "
                f"there can be {', '.join(sorted(codes)) or 'none, for the file has none'}",
            )
    found = []
    for entry, station in known:
        length = lengths.get(station.code)
        if station.kind is StationKind.BLOCK_INLET and length is not None:
            block = station.block or DistributionBlock()
            if block.pipe_km is not None:
                reader.problem(
                    entry.keys["block"],
                    f"{entry.name}: block: the basemap has {length:.1f} km of pipes of this block; take pipe_km out",
                )
            station = replace(station, block=replace(block, pipe_km=round(length, 3)))
        found.append(station)
    return found


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

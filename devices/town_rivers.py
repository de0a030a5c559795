"""What a town file says of its rivers: which gauge stands on which, how far from the mouth, and what drains to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from devices.model import MapShape, RiverPlace, Station, StationKind
from devices.yaml_reader import Mapping, YamlReader

_KEYS = {StationKind.RIVER_GAUGE: ("name", "km_from_mouth", "catchment_km2"), StationKind.RAIN_GAUGE: ("name",)}


def read_river(reader: YamlReader, station: Mapping, kind: StationKind | None) -> RiverPlace | None:
    """The key `river` of a river or rain gauge; None where there is none, or a mistake noted in `reader`."""
    node = station.get("river")
    if node is None or kind is None:
        return None
    if kind not in _KEYS:
        reader.problem(
            station.keys["river"], f"{station.name}: only a river_gauge or rain_gauge has 'river'; take it out"
        )
        return None
    entry = reader.mapping(node, f"{station.name}: river")
    if entry is None:
        return None
    entry.only(_KEYS[kind])
    name = entry.text("name")
    far, drained = (
        entry.number(key) if entry.get(key) is not None else None for key in _KEYS[StationKind.RIVER_GAUGE][1:]
    )
    if far is not None and far < 0:
        reader.problem(entry.keys["km_from_mouth"], f"{entry.name}: km_from_mouth must not be below 0")
    if drained is not None and drained <= 0:
        reader.problem(entry.keys["catchment_km2"], f"{entry.name}: catchment_km2 must be above 0")
    return None if name is None else RiverPlace(name, far, drained)


def check_rivers(reader: YamlReader, entries: Iterable[tuple[Mapping, Station]], shapes: Sequence[MapShape]) -> None:
    """Notes every gauge whose river is none of the basemap's rivers, where that has any."""
    rivers = list(dict.fromkeys(s.name for s in shapes if s.kind == "river" and s.properties["class"] == "river"))
    for entry, station in entries:
        if rivers and station.river is not None and station.river.river not in rivers:
            reader.problem(
                entry.keys["river"],
                f"{entry.name}: river: there is no river {station.river.river!r} on the basemap; "
                f"there can be {', '.join(rivers)}",
            )

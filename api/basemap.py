"""/api/v1/map: the town's own shapes as GeoJSON (RFC 7946), which is all the basemap there is.

Nothing of it comes from outside: the shapes are those of the town's basemap file, so the map works where the internet
does not. Each shape belongs to a layer, which is what is drawn alike: its kind, with its class where it has one
(road-national, pipe-main) or with its step of height (terrain-1, the lowest, to terrain-5).

Pipes and the nodes between them go to the roles that may see the pipe network and to nobody else: `shapes_of` asks
whose eyes they are for, so that no page can forget it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from api.access import READERS, Router, SignedIn, access
from api.models import Out
from api.roles import PIPE_KEEPERS, Role
from devices.basemap import KINDS
from store.connection import Connection

router = Router(prefix="/api/v1", tags=["map"])

_OF_PIPES = frozenset({"pipe", "node"})
TINTS = 5  # steps of height that the pages can tell apart

Position = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape as it is drawn. `lines`: the line, the one point, or the rings of an area. `inlet`: the code of the
    inlet of the block that a block or a pipe is of, '' of others.
    """

    kind: str
    layer: str
    name: str
    name_en: str
    lines: Sequence[Sequence[Sequence[float]]]
    properties: dict[str, str | float]

    @property
    def inlet(self) -> str:
        return str(self.properties.get({"block": "station", "pipe": "block"}.get(self.kind, ""), ""))


class PointOut(Out):
    type: Literal["Point"] = "Point"
    coordinates: Position


class LineOut(Out):
    type: Literal["LineString"] = "LineString"
    coordinates: list[Position]


class PolygonOut(Out):
    """`coordinates`: closed rings, the outer one first."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: list[list[Position]]


class ShapeNameOut(Out):
    """`kind`: sea, terrain, river, ...; `layer`: the kind with its class or step of height; names may be empty.

    `inlet`: code of the inlet of the block that a block or a pipe is of, else empty.

    `detail`: what the kind says of itself (height_m, diameter_mm, length_m, block, area_km2, ...).
    """

    kind: str
    layer: str
    name: str
    name_en: str
    inlet: str
    detail: dict[str, str | float]


class ShapeOut(Out):
    """A shape of the town; positions are [longitude, latitude] in degrees."""

    type: Literal["Feature"] = "Feature"
    geometry: PointOut | LineOut | PolygonOut
    properties: ShapeNameOut


class MapOut(Out):
    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[ShapeOut]


@router.get("/map")
@access(READERS)
def town_shapes(visit: SignedIn) -> MapOut:
    """The town's shapes as its basemap draws them: schematic, no survey. What lies below comes first. Pipes and their
    nodes are there for the waterworks and the digital section alone.
    """
    with visit.transaction() as conn:
        shapes = shapes_of(conn, visit.user.role)
    return MapOut(
        features=[
            ShapeOut(
                geometry=_geometry(shape),
                properties=ShapeNameOut(
                    kind=shape.kind,
                    layer=shape.layer,
                    name=shape.name,
                    name_en=shape.name_en,
                    inlet=shape.inlet,
                    detail=shape.properties,
                ),
            )
            for shape in shapes
        ]
    )


def shapes_of(conn: Connection, reader: Role, without: Collection[str] = ()) -> list[Shape]:
    """The shapes of the municipality that a role may see but those of some kinds, in the order in which they are drawn.
    One query.
    """
    hidden = {*without, *(() if reader in PIPE_KEEPERS else _OF_PIPES)}
    rows = conn.execute(
        """
        select kind, name, name_en, lines, properties from map_shape where kind <> all(%s)
        order by array_position(%s, kind), map_shape_id
        """,
        (list(hidden), list(KINDS)),
    ).fetchall()
    heights = sorted({properties["height_m"] for kind, *_, properties in rows if kind == "terrain"})
    shapes = []
    for kind, name, name_en, lines, properties in rows:
        layer = kind
        if kind == "terrain":
            layer = f"terrain-{1 + heights.index(properties['height_m']) * TINTS // max(TINTS, len(heights))}"
        elif "class" in properties:
            layer = f"{kind}-{properties['class']}"
        shapes.append(Shape(kind, layer, name, name_en, lines, properties))
    return shapes


def _geometry(shape: Shape) -> PointOut | LineOut | PolygonOut:
    lines = [[(point[0], point[1]) for point in line] for line in shape.lines]
    form = KINDS[shape.kind].form
    if form == "Point":
        return PointOut(coordinates=lines[0][0])
    return LineOut(coordinates=lines[0]) if form == "LineString" else PolygonOut(coordinates=lines)

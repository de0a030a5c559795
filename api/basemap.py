"""/api/v1/map: the town's own shapes as GeoJSON (RFC 7946), which is all the basemap there is.

Nothing of it comes from outside: the shapes are those of the town file, so the map works where the internet does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from api.access import READERS, Router, SignedIn, access
from api.models import Out

router = Router(prefix="/api/v1", tags=["map"])

LINES = frozenset({"river", "coast"})  # kinds of shape that are not areas

Position = tuple[float, float]


class LineOut(Out):
    type: Literal["LineString"] = "LineString"
    coordinates: list[Position]


class PolygonOut(Out):
    """`coordinates`: one closed ring."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: list[list[Position]]


class ShapeNameOut(Out):
    """`kind`: town, coast, block or river."""

    kind: str
    name: str
    name_en: str


class ShapeOut(Out):
    """A shape of the town; positions are [longitude, latitude] in degrees."""

    type: Literal["Feature"] = "Feature"
    geometry: LineOut | PolygonOut
    properties: ShapeNameOut


class MapOut(Out):
    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[ShapeOut]


@router.get("/map")
@access(READERS)
def town_shapes(visit: SignedIn) -> MapOut:
    """The town's shapes as the town file draws them: schematic, no survey."""
    with visit.transaction() as conn:
        rows = conn.execute("select kind, name, name_en, points from map_shape order by map_shape_id").fetchall()
    return MapOut(
        features=[
            ShapeOut(geometry=_geometry(kind, points), properties=ShapeNameOut(kind=kind, name=name, name_en=name_en))
            for kind, name, name_en, points in rows
        ]
    )


def _geometry(kind: str, points: Sequence[Sequence[float]]) -> LineOut | PolygonOut:
    positions = [(point[0], point[1]) for point in points]
    if kind in LINES:
        return LineOut(coordinates=positions)
    closed = positions if positions[0] == positions[-1] else [*positions, positions[0]]
    return PolygonOut(coordinates=[closed])

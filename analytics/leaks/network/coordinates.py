"""Places: from a file's coordinates to metres in a plane, and back to longitude and latitude.

    system(text) -> Crs                       what a .prj, a GeoJSON `crs` or a number of EPSG names; CoordinatesError
    plane_near(longitude, latitude) -> epsg   平面直角座標系 (JGD2011) whose origin is nearest
    between(source, target, xy) -> (n, 2)     always x (east, longitude) first

A network is kept in one of the nineteen planes of the survey law, whatever its file was in. Which of them does not
matter to what is measured: lengths in a neighbouring one are true to 1 in 2,000. Between WGS84, JGD2000 and JGD2011 no
shift is applied (under a metre, except near the great earthquakes); the old 日本測地系 is shifted to some 10 m and said
to be old (`old`).

Source: pyproj (MIT) over PROJ; zones after 国土交通省告示第9号 (2002), EPSG 6669 to 6687.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from analytics.leaks.network.pipes import Floats

if TYPE_CHECKING:
    import pyproj

WGS84 = 4326
_FIRST_PLANE = 6669
# Origins of the zones 1 to 19, degrees: longitude, latitude.
_ORIGINS = (
    (129.5, 33), (131, 33), (132 + 1 / 6, 36), (133.5, 33), (134 + 1 / 3, 36), (136, 36), (137 + 1 / 6, 36),
    (138.5, 36), (139 + 5 / 6, 36), (140 + 5 / 6, 40), (140.25, 44), (142.25, 44), (144.25, 44), (142, 26),
    (127.5, 26), (124, 26), (131, 26), (136, 20), (154, 26),
)  # fmt: skip
_OLD = frozenset({4301, *range(30161, 30180)})  # Tokyo datum, degrees and planes


class CoordinatesError(ValueError):
    """A coordinate system that is not known; `said` is its text."""

    def __init__(self, said: str) -> None:
        super().__init__(f"unknown coordinate system: {said[:120]}")
        self.said = said[:120]


def zones() -> tuple[int, ...]:
    """The numbers of EPSG of the nineteen planes, zone 1 first."""
    return tuple(range(_FIRST_PLANE, _FIRST_PLANE + len(_ORIGINS)))


@lru_cache(maxsize=32)
def system(said: str | int) -> pyproj.CRS:
    """The system of a text or a number of EPSG.

    >>> system("urn:ogc:def:crs:EPSG::6670").is_projected, system(4326).is_geographic
    (True, True)
    """
    import pyproj  # loaded by who reads a network: a quarter of a second
    from pyproj.exceptions import CRSError

    try:
        return pyproj.CRS.from_user_input(said)
    except CRSError:
        raise CoordinatesError(str(said)) from None


def old(crs: pyproj.CRS) -> bool:
    """Whether it is the Japanese datum before 2002, some 400 m off to the north-west of today's."""
    return crs.to_epsg(min_confidence=20) in _OLD or "tokyo" in crs.name.lower()


def plane_near(longitude: float, latitude: float) -> int:
    """The plane of a place.

    >>> plane_near(130.8, 31.2), plane_near(139.7, 35.7), plane_near(141.3, 43.1)
    (6670, 6677, 6680)
    """
    far = [((longitude - x) * np.cos(np.radians(latitude))) ** 2 + (latitude - y) ** 2 for x, y in _ORIGINS]
    return _FIRST_PLANE + int(np.argmin(far))


def between(source: pyproj.CRS | int, target: pyproj.CRS | int, xy: Floats) -> Floats:
    """(n, 2) of one system in another; what lies outside of what it covers is inf.

    >>> there = between(4326, 6670, np.array([[131.0, 33.0]]))
    >>> bool(np.abs(there).max() < 0.001), between(6670, 4326, there).round(6).tolist()
    (True, [[131.0, 33.0]])
    """
    from pyproj.exceptions import ProjError

    crs = system(source) if isinstance(source, int) else source
    try:
        x, y = _transformer(crs, target).transform(xy[:, 0], xy[:, 1])
    except ProjError:  # a system of the stars, or one that only looks right
        raise CoordinatesError(crs.name) from None
    return np.column_stack([x, y])


@lru_cache(maxsize=32)
def _transformer(source: pyproj.CRS, target: pyproj.CRS | int) -> pyproj.Transformer:
    import pyproj

    return pyproj.Transformer.from_crs(source, target, always_xy=True)

"""Which gauges are neighbours: those of the same river, else those of the same town.

near(places)        for each place the numbers of its neighbours, the nearest first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quality.neighbours import Near

MOST = 8  # more say no more, and cost
_ENOUGH = 2  # of the same river: then no others
_KM = 111.2  # a degree of latitude


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gauge stands, in degrees; its river, and how far from the mouth along it, None where nobody has said."""

    latitude: float
    longitude: float
    river: str | None = None
    km_from_mouth: float | None = None


def near(places: Sequence[Place]) -> Near:
    """Numbers in `places`, shape (n, MOST), -1 where there are fewer. How far it is, is measured along the river where
    both stand on one and it is known how far up, else as the crow flies.

    >>> river = [Place(35.0, 139.0, "美守川", km) for km in (1.0, 2.0, 9.0)]
    >>> near([*river, Place(35.0, 139.1)])[:, :4].tolist()
    [[1, 2, -1, -1], [0, 2, -1, -1], [1, 0, -1, -1], [0, 1, 2, -1]]
    """
    n = len(places)
    found = np.full((n, MOST), -1, dtype=np.intp)
    if not n:
        return found
    north, east = np.radians([[place.latitude, place.longitude] for place in places]).T
    crow = np.degrees(np.hypot(north - north[:, None], (east - east[:, None]) * np.cos(north[:, None]))) * _KM
    up = np.array([np.nan if place.km_from_mouth is None else place.km_from_mouth for place in places])
    rivers = {river: number for number, river in enumerate(sorted({place.river or "" for place in places}))}
    river = np.array([rivers[place.river or ""] for place in places])
    known = np.array([place.river is not None for place in places])
    others = ~np.eye(n, dtype=np.bool_)
    same = (river == river[:, None]) & known & others
    along = np.abs(up - up[:, None])
    far = np.where(same & ~np.isnan(along), along, crow)
    chosen = np.where((same.sum(axis=1) >= _ENOUGH)[:, None], same, others)
    far = np.where(chosen, far, np.inf)
    order = np.argsort(far, axis=1, kind="stable")[:, :MOST]
    there = np.take_along_axis(chosen, order, axis=1)
    found[:, : order.shape[1]] = np.where(there, order, -1)
    return found

"""Which gauges are neighbours: those of the same river, else those of the same town.

near(places)        for each place the numbers of its neighbours, the nearest first
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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

    def far(self, other: Place) -> float:
        """km: along the river where both stand on one and it is known how far up, else as the crow flies."""
        if self.river == other.river and self.km_from_mouth is not None and other.km_from_mouth is not None:
            return abs(self.km_from_mouth - other.km_from_mouth)
        east = (self.longitude - other.longitude) * math.cos(math.radians(self.latitude))
        return _KM * math.hypot(self.latitude - other.latitude, east)


def near(places: Sequence[Place]) -> npt.NDArray[np.intp]:
    """Numbers in `places`, shape (n, MOST), -1 where there are fewer.

    >>> river = [Place(35.0, 139.0, "美守川", km) for km in (1.0, 2.0, 9.0)]
    >>> near([*river, Place(35.0, 139.1)])[:, :4].tolist()
    [[1, 2, -1, -1], [0, 2, -1, -1], [1, 0, -1, -1], [0, 1, 2, -1]]
    """
    found = np.full((len(places), MOST), -1, dtype=np.intp)
    for n, place in enumerate(places):
        others = sorted((place.far(other), m) for m, other in enumerate(places) if m != n)
        same = [m for _, m in others if place.river is not None and places[m].river == place.river]
        chosen = same if len(same) >= _ENOUGH else [m for _, m in others]
        found[n, : len(chosen[:MOST])] = chosen[:MOST]
    return found

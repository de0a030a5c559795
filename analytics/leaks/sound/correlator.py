"""Two recordings of one noise, and where between them it comes from.

    correlate(pair, stretches, asynchrony=) -> Found

The pipes between A and B are `stretches`, in the order from A. RecordingError where there is too little to hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.leaks.sound.delay import Delay, delay
from analytics.leaks.sound.recordings import Pair
from analytics.leaks.sound.way import Place, Stretch, longest, place

LONGEST_WAY = 3000.0  # m: no leak is heard as far
ASYNCHRONY = 0.001  # s: what recorders that are set by radio or GNSS usually keep


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """`place` is None where the two recordings have no noise in common."""

    delay: Delay
    place: Place | None


def correlate(pair: Pair, stretches: Sequence[Stretch], *, asynchrony: float = ASYNCHRONY) -> Found:
    """Of recorders that were synchronous to +-`asynchrony` s. At least one stretch."""
    heard = delay(pair.a, pair.b, pair.rate, longest(stretches) + asynchrony)
    return Found(heard, place(heard.draws, stretches, asynchrony=asynchrony) if heard.clear else None)

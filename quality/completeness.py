"""How far can a figure of an hour or a day be trusted, part of whose observations are missing?

    reliability(n, expected) -> Reliability

The rule of Delft-FEWS for aggregated series: less than 15 % missing is reliable, less than 40 % doubtful, else the
figure counts as missing, though what there is may be shown. The columns `reliability` of `rollup_hour` and `rollup_day`
say the same of stored hours and days (a test holds the two together); this is for stretches that no table has.

It knows nothing of which observations are missing: an hour without the ten minutes of a flood's peak is as complete as
one without ten quiet minutes.
"""

from __future__ import annotations

from enum import StrEnum


class Reliability(StrEnum):
    """What may be done with a figure: believe it, take it for an indication, or for none."""

    RELIABLE = "reliable"
    DOUBTFUL = "doubtful"
    MISSING = "missing"


def reliability(n: float, expected: float) -> Reliability:
    """Of `n` usable observations where `expected` would be complete.

    >>> [reliability(n, 20).value for n in (20, 18, 17, 13, 12, 0)]
    ['reliable', 'reliable', 'doubtful', 'doubtful', 'missing', 'missing']
    """
    missing = (expected - n) * 100
    if missing < 15 * expected:
        return Reliability.RELIABLE
    return Reliability.DOUBTFUL if missing < 40 * expected else Reliability.MISSING

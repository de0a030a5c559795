"""Counts that cannot be true: one number again and again, a number that no crowd makes. Of zeros that cannot be:
`analytics.visitors.zeros`.

    constant(values, step) -> bool              one number again and again
    runaway(count, highest, out) -> bool        a number that no crowd makes

The same number, 5 or more, in nine intervals one after another (in six of an hour or longer): of counts that vary like
Poisson's this comes about less than once in a hundred years, and it counts only at a counter whose last fortnight did
vary. Or an hour with 15 times the highest of the last 120 days, 300 at least, while fewer than a third of them come out
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

RULE_VERSION = "jammed:1"

HISTORY_DAYS = 120

CONSTANT_LEAST = 5
CONSTANT_INTERVALS, CONSTANT_HOURS = 9, 6
RUNAWAY_TIMES, RUNAWAY_LEAST, RUNAWAY_BACK = 15, 300, 3

_HOUR = timedelta(hours=1)


def constant(values: Sequence[float], step: timedelta) -> bool:
    """Whether the newest counts (newest last) are one number that nobody's coming makes.

    >>> constant([7.0] * 9, timedelta(minutes=10)), constant([7.0] * 8, timedelta(minutes=10))
    (True, False)
    """
    n = CONSTANT_INTERVALS if step < _HOUR else CONSTANT_HOURS
    return len(values) >= n and values[-1] >= CONSTANT_LEAST and len(set(values[-n:])) == 1


def runaway(count: float, highest: float, out: float | None) -> bool:
    """Whether an hour's count is no crowd: `highest` of an hour in the last 120 days; `out` None where that is not
    counted.

    >>> runaway(4500, 80, 12), runaway(4500, 80, 4100), runaway(900, 80, None)
    (True, False, False)
    """
    if count < max(RUNAWAY_LEAST, RUNAWAY_TIMES * highest):
        return False
    return out is None or out * RUNAWAY_BACK < count

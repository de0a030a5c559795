"""Counts that deserve a look: a spot far from its usual (kind `visits`). Of counters at fault: `checks.counter`.

    far_from_usual(visits, earlier) -> Far | None

Far from usual. Counts of visitors spread in proportion to their size (weather, season, coaches), so they are judged as
ratios: the logarithm of today against the median, in units of the robust spread of the earlier days, 1.4826 MAD. It is
at least 0.25 (a quarter up or down is an ordinary day anywhere) and at most ln(10)/4. It is far at 4 such units - with
a quiet history 2.7 times the usual or 0.37 of it, at the wildest spot ten times or a tenth - and stays far until it is
within 3. At least 5 days must stand behind it and 60 passages between today and usual: that a small spot has 9
instead of 2 is nobody's business. To begin, the difference must also be a quarter of what a whole day usually has: an
hour after midnight any busy street has three times or a third of its few, and by noon nobody would know. (Of the false
findings in Melbourne's counters seven in eight began before five in the morning; `mimamori bench visitors` measures
ours.)

When it works badly: a spot that is closed for a day is far below usual; a slow change of season moves the median with
it, which is right, after four such days.

Source of the spread: Rousseeuw & Croux, Alternatives to the Median Absolute Deviation, JASA 88 (1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import median

RULE_VERSION = "visits:2"

FEWEST_DAYS = 5
LIMIT = 4.0
KEEP_LIMIT = 3.0
LEAST_SPREAD = 0.25
MOST_SPREAD = log(10) / LIMIT
LEAST_DIFFERENCE = 60
LEAST_SHARE = 0.25  # of a usual whole day


@dataclass(frozen=True, slots=True)
class Far:
    """`score` in units of the limit, 1 or more where it opens; negative below usual."""

    usual: float
    score: float


def far_from_usual(
    visits: int, earlier: Sequence[int], whole: float | None = None, *, already: bool = False
) -> Far | None:
    """Today so far against the same part of earlier days; `already` says that it was found far before, today.

    `whole`: what a usual whole day has, None where that part is the whole day.

    >>> far_from_usual(1500, [380, 400, 420, 390, 410])
    Far(usual=400, score=1.32)
    >>> far_from_usual(9, [2, 1, 0, 3, 2]), far_from_usual(600, [380, 400, 420, 390, 410])
    (None, None)
    """
    if len(earlier) < FEWEST_DAYS:
        return None
    usual = median(earlier)
    ratios = [log(each + 1) for each in earlier]
    middle = median(ratios)
    spread = min(MOST_SPREAD, max(LEAST_SPREAD, 1.4826 * median(abs(each - middle) for each in ratios)))
    score = (log(visits + 1) - log(usual + 1)) / spread
    limit = KEEP_LIMIT if already else LIMIT
    least = float(LEAST_DIFFERENCE)
    if not already:
        least = max(least, LEAST_SHARE * (usual if whole is None else whole))
    if abs(score) < limit or abs(visits - usual) < least:
        return None
    return Far(usual, round(score / LIMIT, 2))

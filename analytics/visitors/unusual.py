"""Counts that deserve a look: a spot far from its usual (kind `visits`), a counter that counts nobody (`counter`).

    far_from_usual(visits, earlier) -> Far | None
    blocked(today, earlier)         -> Blocked | None

Far from usual. Counts of visitors spread in proportion to their size (weather, season, coaches), so they are judged as
ratios: the logarithm of today against the median, in units of the robust spread of the earlier days, 1.4826 MAD. It is
at least 0.25 (a quarter up or down is an ordinary day anywhere) and at most ln(10)/4. It is far at 4 such units - with
a quiet history 2.7 times the usual or 0.37 of it, at the wildest spot ten times or a tenth - and stays far until it is
within 3. At least 5 days must stand behind it and 60 passages between today and usual: that a small spot has 9
instead of 2 is nobody's business. To begin, the difference must also be a quarter of what a whole day usually has: an
hour after midnight any busy street has three times or a third of its few, and by noon nobody would know. (Of the false
findings in Melbourne's counters seven in eight began before five in the morning; `mimamori bench visitors` measures
ours.)

Blocked. A counter whose beam is covered goes on reporting: 0, again and again. That is suspicious only where the spot
has never been empty: an hour counts when at least 5 days of the same kind have it whole and none of them had 0 in it.
Two such hours since anybody was last counted, in which usually at least 30 come, are a finding. Other hours between
say nothing, as long as nobody was counted in them: a night is empty anyway, and what is missing is not 0.

When they work badly: a spot that is closed for a day looks blocked, and is far below usual; a slow change of season
moves the median with it, which is right, after four such days.

Source of the spread: Rousseeuw & Croux, Alternatives to the Median Absolute Deviation, JASA 88 (1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from math import log
from statistics import median

RULE_VERSION = "visits:2"
BLOCKED_VERSION = "counter:1"

FEWEST_DAYS = 5
LIMIT = 4.0
KEEP_LIMIT = 3.0
LEAST_SPREAD = 0.25
MOST_SPREAD = log(10) / LIMIT
LEAST_DIFFERENCE = 60
LEAST_SHARE = 0.25  # of a usual whole day

LEAST_HOURS = 2
LEAST_USUAL = 30


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


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour from `start`, at `local` time: what was counted in it, None where nothing usable was.

    `whole`: at least 85 % of its counts are there.
    """

    start: datetime
    local: time
    visits: int | None
    whole: bool


@dataclass(frozen=True, slots=True)
class Blocked:
    """Nobody for `hours` hours since `started_at`, in which usually so many (`usual`, the sum of medians) come."""

    started_at: datetime
    hours: int
    usual: float

    @property
    def score(self) -> float:
        return round(self.usual / LEAST_USUAL, 2)


def blocked(today: Sequence[Hour], earlier: Mapping[time, Sequence[int]]) -> Blocked | None:
    """The hours at the end of `today` (oldest first) since anybody was counted, if the spot is never empty in them.

    `earlier` has, by local time of an hour's start, its visits on the days of the same kind that have it whole.
    """
    run: list[tuple[Hour, float]] = []
    for hour in reversed(today):
        if hour.visits:
            break
        of_hour = earlier.get(hour.local, ())
        if hour.visits == 0 and hour.whole and len(of_hour) >= FEWEST_DAYS and min(of_hour) > 0:
            run.append((hour, median(of_hour)))
    usual = sum(of_hour for _, of_hour in run)
    if len(run) < LEAST_HOURS or usual < LEAST_USUAL:
        return None
    return Blocked(run[-1][0].start, len(run), usual)

"""Zeros that cannot be true, counts that cannot be true: told from the counter's own pattern, without a database.

    pattern(first, counts, until) -> Pattern    what is usual by kind of day and hour, and how long it is empty at most
    zero_run(counts, usual, limit) -> Run | None    the zeros at the end: are they too many to be true?
    walk(first, counts) -> list[Run]            the same for a whole series, hour by hour, as it would have been found
    constant(values, step) -> bool              one number again and again
    runaway(count, highest, out) -> bool        a number that no crowd makes

Blocked. A counter whose beam is covered goes on reporting: 0, again and again. How much a run of zeros means is the sum
of what usually comes in its hours (the median of the last 8 days of the same kind and weekday, of the kind where the
weekday has fewer than 5). The run is false when it has three such hours and this sum reaches 15 passages and twice the
fifth largest that a run of zeros has reached at this spot in the last 120 days: a spot that is often empty has to be
empty for longer. The fifth, for up to four may have been faults that nobody has marked. A night adds nothing, for
nobody comes then anyway; what is missing is not 0 and adds nothing either.
Where the other counters of the town have fewer than usual too (typhoon, snow), the sum shrinks with them; see
`analytics.visitors.checks.counter`.

Jammed. The same number, 5 or more, in nine intervals one after another (in six of an hour or longer): of counts that
vary like Poisson's this comes about less than once in a hundred years, and it counts only at a counter whose last
fortnight did vary. Or an hour with 15 times the highest of the last
120 days, 300 at least, while fewer than a third of them come out again.

When it works badly: a closed day that comes without rhythm looks like a fault until somebody overrules it, and a spot
with some five people a day is never judged: nobody can tell its empty days from a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from analytics.visitors.day_types import DayType, day_type

RULE_VERSION = "counter:2"
JAM_VERSION = "jammed:1"

HISTORY_DAYS = 120
ALIKE = 8
FEWEST_DAYS = 5
LEAST_USUAL = 15.0
TIMES_LONGEST = 2.0
FAULTS = 4  # of the largest runs of zeros in the history that may have been none of its habits
LEAST_HOURS = 3

CONSTANT_LEAST = 5
CONSTANT_INTERVALS, CONSTANT_HOURS = 9, 6
RUNAWAY_TIMES, RUNAWAY_LEAST, RUNAWAY_BACK = 15, 300, 3

Hourly = npt.NDArray[np.float64]
Group = tuple[DayType, int]
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pattern:
    """`usual`: passages by group of days, 24 hours each, 0 where too little is known. `limit`: what the usual of a run
    of zeros must reach to be false.
    """

    usual: Mapping[Group, Hourly]
    limit: float

    def of(self, day: date) -> Hourly:
        """What is usual on a day, by hour. Of a kind that is not known well enough as on Sundays and holidays; a
        holiday on a working day's weekday has no more than that weekday: the spot may rest on it.
        """
        kind, weekday = group(day)
        keys = ((kind, weekday), (kind, -1), (DayType.HOLIDAY, 7))
        usual = next((self.usual[each] for each in keys if each in self.usual), np.zeros(24))
        if kind is not DayType.WEEKDAY and (ordinary := (DayType.WEEKDAY, day.weekday())) in self.usual:
            return np.minimum(usual, self.usual[ordinary])
        return usual


@dataclass(frozen=True, slots=True)
class Run:
    """Zeros in hours `start`..`end` (positions, `end` exclusive), `hours` of them in hours with visitors, of whom
    usually so many (`usual`) come; `found` is the position at whose end it was known.
    """

    start: int
    end: int
    hours: int
    usual: float
    found: int

    @property
    def score(self) -> float:
        """1 is just enough for a finding."""
        return round(self.usual / LEAST_USUAL, 2)


@lru_cache(maxsize=4096)
def group(day: date) -> Group:
    """The kind of a day, of working days with their weekday: many a spot is closed on one of them.

    >>> group(date(2026, 6, 3)), group(date(2026, 6, 7))
    ((<DayType.WEEKDAY: 'weekday'>, 2), (<DayType.HOLIDAY: 'holiday'>, 7))
    """
    kind = day_type(day)
    return kind, day.weekday() if kind is DayType.WEEKDAY else 7


def pattern(first: date, counts: Hourly, until: int | None = None) -> Pattern:
    """Of hourly counts (days, 24) from a local day on, nan where nothing is known or what is known is false; of the
    `HISTORY_DAYS` days before position `until`.
    """
    until = len(counts) if until is None else until
    since = max(0, until - HISTORY_DAYS)
    days = [first + timedelta(days=number) for number in range(since, until)]
    counts = counts[since:until]
    rows: dict[Group, list[int]] = {}
    for number, day in enumerate(days):
        kind, weekday = group(day)
        rows.setdefault((kind, weekday), []).append(number)
        if kind is DayType.WEEKDAY:
            rows.setdefault((kind, -1), []).append(number)
    usual = {each: _median(counts[numbers[-ALIKE - 2 :]]) for each, numbers in rows.items()}
    if (DayType.WEEKDAY, -1) in usual:
        anyday = usual[DayType.WEEKDAY, -1]
        for weekday in range(5):
            own = usual.get((DayType.WEEKDAY, weekday))
            usual[DayType.WEEKDAY, weekday] = anyday if own is None else np.where(np.isnan(own), anyday, own)
    known = {each: np.nan_to_num(values) for each, values in usual.items() if not np.isnan(values).all()}
    bare = Pattern(known, 0.0)
    weights = np.concatenate([bare.of(day) for day in days]) if days else np.zeros(0)
    return Pattern(known, max(LEAST_USUAL, TIMES_LONGEST * _longest(counts.ravel(), weights)))


def _median(rows: Hourly) -> Hourly:
    """By hour, nan where fewer than `FEWEST_DAYS` have it."""
    enough = (~np.isnan(rows)).sum(axis=0) >= FEWEST_DAYS
    found = np.full(24, np.nan)
    if enough.any():
        found[enough] = np.nanmedian(rows[:, enough], axis=0)
    return found


def _longest(counts: Hourly, weights: Hourly) -> float:
    """The sum of usual passages that only `FAULTS` runs of zeros have exceeded."""
    somebody = np.flatnonzero(counts > 0)
    empty = np.concatenate((np.where(counts == 0, weights, 0.0), [0.0]))
    sums = np.sort(np.add.reduceat(empty, np.concatenate(([0], somebody + 1))))
    return float(sums[-FAULTS - 1]) if len(sums) > FAULTS else 0.0


def zero_run(counts: Hourly, usual: Hourly, limit: float) -> Run | None:
    """The zeros since anybody was last counted, up to the end of these hours, where they are too many to be true.

    `counts` nan where nothing is known; `usual` as many passages as usually come in each of these hours.

    >>> zero_run(np.array([9.0, 0, 0, np.nan, 0]), np.array([9.0, 8, 8, 8, 8]), 15.0)
    Run(start=1, end=5, hours=3, usual=24.0, found=4)
    """
    somebody = np.flatnonzero(counts > 0)
    start = int(somebody[-1]) + 1 if len(somebody) else 0
    meant = np.flatnonzero((counts[start:] == 0) & (usual[start:] > 0)) + start
    total = float(usual[meant].sum())
    if len(meant) < LEAST_HOURS or total < limit:
        return None
    return Run(int(meant[0]), len(counts), len(meant), round(total, 1), len(counts) - 1)


def walk(first: date, counts: Hourly, history_days: int = 90) -> list[Run]:
    """The runs of false zeros of a series (days, 24) from a local day on, each as it is found at the end of an hour;
    what was found is no history for what comes after. The first `history_days` are only that.
    """
    counts = counts.copy()
    flat = counts.ravel()
    runs: list[Run] = []
    start, judged, of_day = 0, Pattern({}, np.inf), -1
    total, hours, meant, found = 0.0, 0, 0, -1
    for position, count in enumerate([*flat.tolist(), 1.0]):
        if count > 0:
            if found >= 0:
                runs.append(Run(meant, position, hours, round(total, 1), found))
                flat[meant:position] = np.nan
            start, total, hours, found = position + 1, 0.0, 0, -1
            continue
        if position == start and position >= 24 * history_days and position // 24 != of_day:
            of_day = position // 24
            judged = pattern(first, counts, of_day)
        if count == 0:
            usual = judged.of(first + timedelta(days=position // 24))[position % 24]
            if usual > 0:
                meant = position if hours == 0 else meant
                total, hours = total + float(usual), hours + 1
                if found < 0 and hours >= LEAST_HOURS and total >= judged.limit:
                    found = position
    return runs


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

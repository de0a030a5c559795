"""What an event, a campaign or a closed road changed: days with it against the days without, beside control spots.

    effect(table, first, last, kind) -> Effect

Difference in differences on logarithms. For each day d = log(count + 1/2) of the spot less the mean of the controls'
logarithms: what season, weather and a long weekend do to all spots alike is gone from it. Its usual value is the mean
over the days of the same kind in the `BASE` days before (`kind(day)`: weekdays apart, holidays, GW ...). The counts
without the event follow from it: expected = exp(usual + controls of that day). The effect is log(sum observed / sum
expected) over the days of the event, less the median of its error, so that skewed counts do not look like an effect.

Interval: residuals of the days before are drawn anew in blocks of seven days (moving block bootstrap), once for what
the usual is worth and once, in one stretch as long as the event, for what the days of the event do by themselves.

Placebo: the same calculation for the same weekdays in every week before, as far back as there are days. How often an
effect is "found" where there was none is said, and the interval is made as much wider as it takes for that to be no
more often than the level says (a conformal quantile of the placebo ratios). Fewer than `LEAST_PLACEBO` such weeks: no
verdict. An interval that holds zero is no verdict either: 分かりません, which is not the same as "no effect".

Assumes that the event does not move people to or from the control spots, that the spot and its controls would have
gone on side by side, and one way of counting all the time. Works badly for: long campaigns (the usual grows old),
spots with few visitors a day, something else that began at the same time. Cost: 50 placebos of 180 days in 0.2 s.

Sources: Bertrand, Duflo, Mullainathan 2004, doi:10.1162/003355304772839588 (placebo dates; errors of neighbouring days
hang together); Kuensch 1989, doi:10.1214/aos/1176347265 (blocks); Duan 1983, doi:10.1080/01621459.1983.10478017
(from logarithms back to counts); Chernozhukov, Wuethrich, Zhu 2021, doi:10.1080/01621459.2021.1920957 (conformal
inference for what would have been).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.90  # of the interval
BASE = 182  # days before that the usual is learned from
LEAST_BASE = 42  # of them with counts of the spot and of a control
LEAST_KIND = 3  # days of a kind that make a usual
LEAST_PLACEBO = 12
MOST_PLACEBO = 60
_BLOCK = 7
_DRAWS = 400
_SEED = 20090519  # the same figures give the same interval


class Verdict(StrEnum):
    """What can be said."""

    MORE = "more"
    FEWER = "fewer"
    UNKNOWN = "unknown"


class WhyNot(StrEnum):
    """Why there is no verdict."""

    NO_DAYS = "no_days"  # no day of the event has counts of the spot and a control
    FEW_DAYS = "few_days"  # too few days before it, or of its kinds
    FEW_PLACEBO = "few_placebo"  # too short a past to know how often chance says as much
    HOLDS_ZERO = "holds_zero"


@dataclass(frozen=True, slots=True)
class Table:
    """Counts by day, all days in order without holes: `treated` (n,), `controls` (n, k), nan where not known."""

    first: date
    treated: Floats
    controls: Floats


@dataclass(frozen=True, slots=True)
class EventDay:
    """A day of the event. None: not known that day, or no usual for its kind; such a day is in no sum."""

    day: date
    observed: float | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class Placebo:
    """`n` earlier dates were tried; `found` of them looked like an effect before the interval was widened by `factor`
    (1: it needed not be).
    """

    n: int
    found: int
    factor: float


@dataclass(frozen=True, slots=True)
class Effect:
    """`difference` visits (延べ) more than expected without the event, and the same as a `share` of what was expected,
    each with its interval; None where there is nothing to say. `days` of the event are in it, `base` days before it.
    """

    verdict: Verdict
    why_not: WhyNot | None
    observed: float | None
    expected: float | None
    difference: tuple[float, float, float] | None
    share: tuple[float, float, float] | None
    days: tuple[EventDay, ...]
    base: int
    placebo: Placebo


@dataclass(frozen=True, slots=True)
class _Raw:
    """`size` in logarithms, `low` and `high` its error's quantiles; `counterfactual` by day of the event (nan)."""

    size: float
    low: float
    high: float
    counterfactual: Floats
    base: int


def effect(table: Table, first: date, last: date, kind: Callable[[date], Hashable]) -> Effect:
    """The effect of what lasted from `first` to `last` (both included). Days of other events are the caller's to leave
    out (nan).

    >>> rng = np.random.default_rng(1)
    >>> both = rng.normal(0, 0.3, 400)
    >>> spot = np.exp(6 + both + rng.normal(0, 0.1, 400))
    >>> spot[390:393] *= 1.5
    >>> days = Table(date(2025, 1, 1), spot, np.exp(5 + both + rng.normal(0, 0.1, 400))[:, None])
    >>> found = effect(days, date(2026, 1, 26), date(2026, 1, 28), date.weekday)
    >>> found.verdict.value, [round(each, 1) for each in found.share]
    ('more', [0.5, 0.3, 0.7])
    """
    start, end = (first - table.first).days, (last - table.first).days + 1
    if not 0 <= start < end <= len(table.treated):
        raise ValueError(f"the days from {first} to {last} are not in the table")
    apart = _apart(table)
    kinds = _numbered([kind(table.first + timedelta(days=n)) for n in range(len(apart))])
    real = _raw(table, apart, kinds, start, end)
    nothing = Placebo(0, 0, 1.0)
    if isinstance(real, WhyNot):
        return Effect(Verdict.UNKNOWN, real, None, None, None, None, _days(table, start, end, None), 0, nothing)
    tried = _placebos(table, apart, kinds, start, end)
    placebo, factor = _judged(tried)
    used = np.isfinite(real.counterfactual)
    observed = float(table.treated[start:end][used].sum())
    size, low, high = real.size, real.size + factor * real.low, real.size + factor * real.high
    share = (float(np.expm1(size)), float(np.expm1(low)), float(np.expm1(high)))
    difference = (
        -observed * float(np.expm1(-size)),
        -observed * float(np.expm1(-low)),
        -observed * float(np.expm1(-high)),
    )
    why_not = None
    if placebo.n < LEAST_PLACEBO:
        why_not = WhyNot.FEW_PLACEBO
    elif low <= 0 <= high:
        why_not = WhyNot.HOLDS_ZERO
    verdict = Verdict.UNKNOWN if why_not is not None else Verdict.MORE if size > 0 else Verdict.FEWER
    days = _days(table, start, end, real.counterfactual)
    return Effect(verdict, why_not, observed, observed - difference[0], difference, share, days, real.base, placebo)


def _apart(table: Table) -> Floats:
    """(n,): how far the spot is from its controls that day; nan where either is not known. A control that is missing
    for a while takes its own usual distance from the others with it, so all of them have to be there.
    """
    apart: Floats = np.log(table.treated + 0.5) - np.log(table.controls + 0.5).mean(axis=1)
    return apart


def _numbered(kinds: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(each, len(numbers)) for each in kinds], dtype=np.int64)


def _raw(table: Table, apart: Floats, kinds: NDArray[np.int64], start: int, end: int) -> _Raw | WhyNot:
    """The effect of the rows from start to end, by what was before; the interval not yet widened."""
    begin = max(0, start - BASE)
    rows = begin + np.flatnonzero(np.isfinite(apart[begin:start]))
    if not np.isfinite(apart[start:end]).any():
        return WhyNot.NO_DAYS
    counts = np.bincount(kinds[rows], minlength=kinds.max() + 1)
    known = np.isfinite(apart[start:end]) & (counts[kinds[start:end]] >= LEAST_KIND)
    rows = rows[counts[kinds[rows]] >= LEAST_KIND]
    if len(rows) < LEAST_BASE or not known.any():
        return WhyNot.FEW_DAYS
    counts = np.bincount(kinds[rows], minlength=kinds.max() + 1)
    usual = np.bincount(kinds[rows], apart[rows], minlength=len(counts)) / np.maximum(counts, 1)
    residuals = (apart[rows] - usual[kinds[rows]]) * np.sqrt(len(rows) / (len(rows) - (counts > 0).sum()))
    event = start + np.flatnonzero(known)
    expected = table.treated[event] + 0.5
    expected = np.maximum(expected * np.exp(usual[kinds[event]] - apart[event]) - 0.5, 1e-9)
    error = _errors(residuals, kinds[rows], kinds[event], expected, counts, np.flatnonzero(known), end - start)
    tail = (1 - LEVEL) / 2
    low, middle, high = np.quantile(error, (tail, 0.5, 1 - tail))
    counterfactual = np.full(end - start, np.nan)
    counterfactual[known] = expected * np.exp(middle)
    observed = max(float(table.treated[event].sum()), 0.5)
    size = float(np.log(observed) - np.log(expected.sum()) - middle)
    # days that differ by nothing at all have an interval of nothing, and no ratio to it
    return _Raw(size, min(float(middle - high), -1e-9), max(float(middle - low), 1e-9), counterfactual, len(rows))


def _errors(
    residuals: Floats,
    kinds: NDArray[np.int64],
    of_event: NDArray[np.int64],
    expected: Floats,
    counts: NDArray[np.int64],
    places: NDArray[np.int64],
    length: int,
) -> Floats:
    """(draws,): how wrong log(sum observed / sum expected) is where nothing happens."""
    rng, n = np.random.default_rng(_SEED), len(residuals)
    starts = rng.integers(0, n, (_DRAWS, -(-n // _BLOCK), 1))
    drawn = residuals[((starts + np.arange(_BLOCK)).reshape(_DRAWS, -1)[:, :n]) % n]
    learned = np.stack([drawn[:, kinds == each].mean(axis=1) for each in of_event], axis=1)
    blocks = rng.integers(0, n, (_DRAWS, -(-length // _BLOCK) if length > n else 1, 1))
    stretch = np.arange(min(length, _BLOCK) if length > n else length)
    happens = residuals[((blocks + stretch).reshape(_DRAWS, -1)) % n][:, places]
    errors: Floats = np.log((expected * np.exp(happens)).sum(axis=1)) - np.log((expected * np.exp(learned)).sum(axis=1))
    return errors


def _placebos(table: Table, apart: Floats, kinds: NDArray[np.int64], start: int, end: int) -> list[_Raw]:
    """The same for whole weeks earlier, the nearest first; none of them reaches into the event."""
    nearest = -(-(end - start) // 7) * 7
    found = []
    for back in range(nearest, start + 1, 7):
        raw = _raw(table, apart, kinds, start - back, end - back)
        if isinstance(raw, _Raw):
            found.append(raw)
        if len(found) == MOST_PLACEBO:
            break
    return found


def _judged(tried: Sequence[_Raw]) -> tuple[Placebo, float]:
    """How often chance found something, and by how much the interval has to be wider. The ratio of a placebo is how
    far its interval would have to reach to hold zero.
    """
    ratios = sorted(each.size / -each.low if each.size > 0 else -each.size / each.high for each in tried)
    found = sum(each > 1 for each in ratios)
    place = int(np.ceil((len(ratios) + 1) * LEVEL))
    factor = 1.0
    if ratios:
        factor = max(1.0, ratios[min(place, len(ratios)) - 1])
    return Placebo(len(tried), found, factor), factor


def _days(table: Table, start: int, end: int, counterfactual: Floats | None) -> tuple[EventDay, ...]:
    return tuple(
        EventDay(
            table.first + timedelta(days=n),
            _or_none(table.treated[n]),
            None if counterfactual is None else _or_none(counterfactual[n - start]),
        )
        for n in range(start, end)
    )


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

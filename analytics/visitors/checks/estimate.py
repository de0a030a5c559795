"""What would have been counted in hours without a true count: an estimate with an interval, from a series' pattern.

    estimate(day, first, counts, out, beside) -> Estimate | None

The usual of each missing hour (the mean of the last 12 days of the same kind) times one factor for the day. The factor
is a weighted mean, in logarithms, of what the day's own known hours have against their usual (weight: their share of
the usual day), what the other counters of the town have in the missing hours (weight: half of what is left), and of 1
(0.3: what is usual is not nothing either).

The interval is what the same estimate would have missed by: it is made for each of up to 40 earlier days of the kind
with the same hours left out, as if they had been missing, and the 5 % and 95 % of its errors (as ratios; of n days the
(n + 1) quantile, so that few days widen it) are put around it. So it holds for days like those before, and not for a
festival that nobody has said. Fewer than 8 such days: no estimate, and the hours stay missing.

GW, お盆 and 年末年始 come once a year and never have 8 days of their kind. They are estimated from Sundays and holidays
with an interval `WIDER` times as wide (of the logarithm): on the days from Christmas to 3 January and around Easter of
60 recorded counters in two cities 73 to 84 of 100 such estimates held the truth with the plain interval, and 9 in 10
with this one.

Source of the interval: split conformal prediction, Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World
(2005), chapter 2, with the errors of past days as the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from analytics.visitors.day_types import DayType, day_type, group

MEAN_DAYS = 12
ERROR_DAYS = 40
FEWEST_DAYS = 8
LEVEL = 0.9
BESIDE_WEIGHT, NOTHING_WEIGHT = 0.5, 0.3
WIDER = 1.9
ONCE_A_YEAR = (DayType.GOLDEN_WEEK, DayType.OBON, DayType.NEW_YEAR)

Hourly = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """By hour of the day (24), nan where the hour was not asked for: passages, with an interval that holds for the sum
    of the hours together in 9 of 10 cases. `days`: how many stand behind it; `factor`: of the day against its usual.
    """

    value: Hourly
    low: Hourly
    high: Hourly
    days: int
    factor: float


def estimate(day: date, first: date, counts: Hourly, out: Mask, beside: Sequence[Hourly] = ()) -> Estimate | None:
    """For the hours `out` (24) of `day`; None where fewer than 8 days can say.

    `counts` (days, 24): a series from the local day `first` on, `day` included, nan where nothing is known (the hours
    `out` are not looked at on `day`). `beside`: other series of the same days.
    """
    number = (day - first).days
    days = [first + timedelta(days=each) for each in range(number)]
    kind = day_type(day)
    pools = [
        ([n for n, each in enumerate(days) if group(each) == group(day)], 1.0),
        ([n for n, each in enumerate(days) if day_type(each) is kind], 1.0),
    ]
    if kind in ONCE_A_YEAR:
        pools.append(([n for n, each in enumerate(days) if day_type(each) is DayType.HOLIDAY], WIDER))
    for alike, wider in pools:  # noqa: B007 the pool that is enough
        whole = [n for n in alike if not np.isnan(counts[n]).any()][-ERROR_DAYS:]
        if len(whole) >= FEWEST_DAYS:
            break
    else:
        return None
    rows = np.array([*whole, number])
    own = counts[rows].copy()
    own[-1, out] = np.nan
    usual = _usual(own[:-1])
    others = [(series[rows], np.nan_to_num(_usual(series[rows][:-1]))) for series in beside]
    made = _estimated(own, usual, out, others)
    there, truth = made[:-1].sum(axis=1), own[:-1][:, out].sum(axis=1)
    errors = np.sort(np.log((truth + 1) / (there + 1))) * wider
    value = made[-1].sum()
    low = max(0.0, (value + 1) * np.exp(_quantile(errors, (1 - LEVEL) / 2)) - 1)
    high = (value + 1) * np.exp(_quantile(errors, (1 + LEVEL) / 2)) - 1
    spread = made[-1] / value if value > 0 else np.full(out.sum(), 1 / out.sum())

    def by_hour(total: float) -> Hourly:
        hours = np.full(24, np.nan)
        hours[out] = spread * total
        return hours

    usual_sum = usual[-1][out].sum()
    return Estimate(
        by_hour(value),
        by_hour(min(low, value)),
        by_hour(max(high, value)),
        len(whole),
        round(float(value / usual_sum), 3) if usual_sum else 1.0,
    )


def _usual(history: Hourly) -> Hourly:
    """The usual of each row and of the day after them: the mean of the last 12 rows without the row itself."""
    lines = []
    for number in range(len(history) + 1):
        others = np.delete(history, number, axis=0) if number < len(history) else history
        around = others[max(0, min(number, len(others)) - MEAN_DAYS) :][:MEAN_DAYS]
        known = ~np.isnan(around)
        n = known.sum(axis=0)
        lines.append(np.where(n > 0, np.nansum(around, axis=0) / np.maximum(n, 1), np.nan))
    return np.array(lines)


def _estimated(own: Hourly, usual: Hourly, out: Mask, others: Sequence[tuple[Hourly, Hourly]]) -> Hourly:
    """Rows x hours `out`, each row as if these were missing in it."""
    usual = np.nan_to_num(usual)
    known = ~np.isnan(own) & ~out
    counted, expected = np.where(known, own, 0.0).sum(axis=1), np.where(known, usual, 0.0).sum(axis=1)
    whole = np.maximum(usual.sum(axis=1), 1e-9)
    weight = expected / whole
    log_factor = weight * np.log((counted + 1) / (expected + 1))
    total = weight + NOTHING_WEIGHT
    if others:
        there = [~np.isnan(series[:, out]) for series, _ in others]
        came = sum(
            np.where(mask, series[:, out], 0).sum(axis=1) for mask, (series, _) in zip(there, others, strict=True)
        )
        meant = sum(np.where(mask, each[:, out], 0).sum(axis=1) for mask, (_, each) in zip(there, others, strict=True))
        beside = np.where(np.asarray(meant) >= 10, BESIDE_WEIGHT * (1 - weight), 0.0)
        log_factor = log_factor + beside * np.log((np.asarray(came) + 1) / (np.asarray(meant) + 1))
        total = total + beside
    found: Hourly = usual[:, out] * np.exp(log_factor / total)[:, None]
    return found


def _quantile(ordered: Hourly, share: float) -> float:
    """Of n sorted errors the one at `share` of n + 1; beyond the last one, that one and its distance to the middle
    again by a tenth.
    """
    n = len(ordered)
    place = share * (n + 1) - 1
    if place < 0 or place > n - 1:
        end = ordered[0] if place < 0 else ordered[-1]
        return float(end + 0.1 * (end - np.median(ordered)))
    return float(np.interp(place, np.arange(n), ordered))

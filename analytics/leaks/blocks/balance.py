"""Water balance of a block: 配水量 against 有収水量, by month and fiscal year (April to March).

    balance(first, end, inflow, readings, hourly, fewest=) -> Balance      any stretch of days
    months(year, today, inflow, readings, hourly) -> [Balance, ...]        a fiscal year's months that have begun
    whole_year(year, today, inflow, readings, hourly) -> Balance

有収率 = 有収水量 / 配水量, 有効率 = (有収水量 + 有効無収水量) / 配水量. Meters are read every two months, each block
on days of its own, so a period's water is spread over its days; a period begins on the day of the reading before and
ends before the day of its own. The sum of a period stays what was read; only what falls on which side of a month's end
is an estimate. Where hourly meters say what was used on each of its days (`hourly`) it is spread as they say, else
evenly; and a day that no reading covers yet has what they say. Shares compare the same days: those of which both the
inflow and what was used are known.

Missing is not zero: a day without enough of its inflow, or that nothing covers yet, is left out and counted as such;
with fewer such days than `fewest` there is no share. A share above 1 is shown as it is: it says that a meter, a period
or the block's border is wrong.

When it works badly: where use changes much within two months and few have hourly meters (a holiday peak is smeared over
the period), and where water leaves the block through a pipe without a meter. Cost O(days).

Source: definitions of 有収率 and 有効率 as in 水道統計; the balance as in Farley & Trow, Losses in Water Distribution
Networks (IWA, 2003), ch. 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from analytics.leaks.blocks.hourly import Read

ENOUGH = 0.85  # of a month's days
FEWEST_DAYS = 28  # of a year's
NOTHING: Mapping[date, Read] = MappingProxyType({})  # no hourly meters
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Metered:
    """What the meters of a block read together, m3, from the day `start` of the reading before up to, and without, the
    day `end` of this one. `unbilled` None: not known.
    """

    start: date
    end: date
    billed: float
    unbilled: float | None

    @property
    def days(self) -> int:
        return (self.end - self.start).days


@dataclass(frozen=True, slots=True)
class Balance:
    """The days [first, end). m3: `inflow` of `inflow_days`, `billed` of `billed_days`; None: of no day.

    `hourly_days` of the billed ones are covered by no reading: they have what hourly meters say, on average of the
    share `hourly_read` (0..1) of all connections. `shared_days` have both; of them `lost` m3 flowed in and were not
    billed, and the shares are 0..1 and more. None: not known.
    """

    first: date
    end: date
    inflow_days: int
    inflow: float | None
    billed_days: int
    billed: float | None
    shared_days: int
    lost: float | None
    billed_share: float | None
    effective_share: float | None
    hourly_days: int = 0
    hourly_read: float | None = None

    @property
    def days(self) -> int:
        return (self.end - self.first).days


def balance(
    first: date,
    end: date,
    inflow: Mapping[date, float],
    readings: Iterable[Metered],
    hourly: Mapping[date, Read] = NOTHING,
    *,
    fewest: float,
) -> Balance:
    """The days [first, end). `inflow`: m3 of a day, without those that are not known; `readings` do not overlap;
    `hourly`: what hourly meters say of days, also of a period's days outside these.

    >>> day = date(2026, 4, 1)
    >>> inflow = {day + timedelta(days=n): 100.0 for n in range(30)}
    >>> readings = [Metered(date(2026, 3, 12), date(2026, 5, 11), 4800, 120)]
    >>> found = balance(day, date(2026, 5, 1), inflow, readings, fewest=25)
    >>> found.inflow, found.billed, found.billed_share, found.effective_share, found.lost
    (3000.0, 2400.0, 0.8, 0.82, 600.0)
    """
    billed: dict[date, float] = {}
    unbilled: dict[date, float | None] = {}
    for each in readings:
        shares = _spread(each, hourly)
        day, last = max(first, each.start), min(end, each.end)
        while day < last:
            billed[day] = each.billed * shares[(day - each.start).days]
            unbilled[day] = None if each.unbilled is None else each.unbilled / each.days
            day += _DAY
    others = {day: one for day, one in hourly.items() if first <= day < end and day not in billed}
    billed |= {day: one.m3 for day, one in others.items()}
    unbilled |= dict.fromkeys(others)
    flowed = {day: volume for day, volume in inflow.items() if first <= day < end}
    shared = sorted(flowed.keys() & billed.keys())
    total, paid = sum(flowed[day] for day in shared), sum(billed[day] for day in shared)
    effective = [known for day in shared if (known := unbilled[day]) is not None]
    known = len(shared) >= max(1.0, fewest) and total > 0
    return Balance(
        first,
        end,
        len(flowed),
        sum(flowed.values()) if flowed else None,
        len(billed),
        sum(billed.values()) if billed else None,
        len(shared),
        total - paid if known else None,
        paid / total if known else None,
        (paid + sum(effective)) / total if known and len(effective) == len(shared) else None,
        len(others),
        sum(each.read for each in others.values()) / len(others) if others else None,
    )


def months(
    year: int,
    today: date,
    inflow: Mapping[date, float],
    readings: Sequence[Metered],
    hourly: Mapping[date, Read] = NOTHING,
) -> list[Balance]:
    """The months of a fiscal year that began before `today`; the running one up to yesterday, judged as a whole month.

    >>> [each.first.month for each in months(2026, date(2026, 6, 1), {}, [])]
    [4, 5]
    """
    found = []
    for n in range(12):
        first, after = _month(year, n), _month(year, n + 1)
        if first >= today:
            break
        fewest = ENOUGH * (after - first).days
        found.append(balance(first, min(after, today), inflow, readings, hourly, fewest=fewest))
    return found


def whole_year(
    year: int,
    today: date,
    inflow: Mapping[date, float],
    readings: Sequence[Metered],
    hourly: Mapping[date, Read] = NOTHING,
) -> Balance:
    """A fiscal year up to yesterday: of the days that are known, at least four weeks of them."""
    first = _month(year, 0)
    end = max(first, min(_month(year, 12), today))
    return balance(first, end, inflow, readings, hourly, fewest=FEWEST_DAYS)


def fiscal_year(day: date) -> int:
    """
    >>> fiscal_year(date(2026, 3, 31)), fiscal_year(date(2026, 4, 1))
    (2025, 2026)
    """
    return day.year if day.month >= 4 else day.year - 1


def _spread(period: Metered, hourly: Mapping[date, Read]) -> Sequence[float]:
    """What share of a period each of its days has."""
    days = [hourly.get(period.start + n * _DAY) for n in range(period.days)]
    used = [each.m3 for each in days if each is not None]
    whole = sum(used)
    if len(used) < period.days or whole <= 0:
        return [1 / period.days] * period.days
    return [each / whole for each in used]


def _month(year: int, n: int) -> date:
    """The first day of the n-th month (0 is April) of a fiscal year."""
    return date(year + (n + 3) // 12, (n + 3) % 12 + 1, 1)

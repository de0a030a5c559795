"""The series of a spot, by hour and by local day, over every change of method, counter, formula and calibration.

    hours(conn, spot_id, first, last)     hour by hour what its counters say, or what people entered by the hour
    days(conn, spot_id, first, last)      one number a day, by the method in force on that day
    days_of(conn, spot_ids, first, last)  the same of many spots in as many statements as for one

Everything is 延べ. `raw` is what was counted or entered before weights and factors, `visitors` the number of the spot:

    visitors = sum over its counters of sign * weight * factor * count        (factor 1 where not calibrated)

[low, high] is the 95 % interval of the calibration alone: the counters' half-widths added in quadrature, for they were
calibrated independently. None where one of the counters has no factor on that day: not known, which is not exact.

Hours in which a counter was at fault (`analytics.visitors.checks`) are none of a count. Where the office chose so for
the spot, an estimate stands for them and for what did not come, with its interval (90 %) in [low, high]; else they are
missing, and what is left is a lower bound.

`version` says how far a day has come through the gate (`checks.gate`): only what is confirmed may leave.

Where one of several counters gave nothing usable there is no number: a sum without a gate is not the spot's
(state `outage`, `raw` says what the others counted). Counts with gaps are what was seen, never scaled up;
`completeness` says how much of the counting time was there. States:

    ok         there is a number
    outage     somebody or something should have counted, and nothing came
    absent     nobody was to count: before the first count, without counters, not entered, retired
    estimated  an estimate stands for what did not come, and says so

Hours that people entered are hours of a spot that goes by the form. They do not make its day: that is the number which
was entered for the day.

Whoever reads a day that is not over yet reads what came so far. The caller's role and municipality decide what is seen;
with the API's role `relation` is `tenant_observation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from analytics.visitors.checks import gate, judged
from analytics.visitors.spots import counted
from analytics.visitors.spots.plan import Method, Plan, Source, plans
from analytics.visitors.spots.sums import Sum, true_hours, true_sums
from analytics.visitors.usual import Observations, day_start
from analytics.visitors.visits import count
from store import Connection

State = Literal["ok", "outage", "absent", "estimated"]
Version = Literal["provisional", "checked", "confirmed"]
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


class NoSpot(LookupError):
    """There is no such spot in the municipality."""


@dataclass(frozen=True, slots=True)
class SpotHour:
    """`start`: aware, local. See the module for the rest."""

    start: datetime
    visitors: float | None
    raw: int | None
    low: float | None
    high: float | None
    state: State
    method: Method


@dataclass(frozen=True, slots=True)
class SpotDay:
    """`method_before`: on the day of a switch the method until then, None on every other day."""

    day: date
    visitors: int | None
    raw: int | None
    low: float | None
    high: float | None
    completeness: float
    state: State
    method: Method
    method_before: Method | None = None
    version: Version = "provisional"


@dataclass(frozen=True, slots=True)
class _Number:
    """What a spot's counters make of it."""

    visitors: float | None
    raw: float | None
    low: float | None
    high: float | None
    completeness: float
    state: State


_ABSENT = _Number(None, None, None, None, 0.0, "absent")


def days(
    conn: Connection,
    spot_id: int,
    first: date,
    last: date,
    *,
    relation: Observations = "observation",
    method: Method | None = None,
) -> list[SpotDay]:
    """The local days first..last, every one of them; `method` None: by the one in force on each. Raises NoSpot."""
    return days_of(conn, [spot_id], first, last, relation=relation, method=method)[spot_id]


def days_of(
    conn: Connection,
    spot_ids: Iterable[int],
    first: date,
    last: date,
    *,
    relation: Observations = "observation",
    method: Method | None = None,
) -> dict[int, list[SpotDay]]:
    """The local days first..last of each spot, by its id; as `days`. Raises NoSpot."""
    wanted = list(dict.fromkeys(spot_ids))
    known = _known(conn, wanted)
    if method is not None:
        known = {spot_id: replace(plan, methods=((None, method),)) for spot_id, plan in known.items()}
    real = [plan for plan in known.values() if not plan.virtual]
    counters = _counters(real)
    began = counted.began(conn, counters)
    by_counter = counted.daily(conn, counters, first, last)
    entered = counted.entered(conn, real, first, last, relation)
    out, chosen = judged.days(conn, counters, first, last), judged.choices(conn, [plan.spot_id for plan in real])
    whole = [first + n * _DAY for n in range((last - first).days + 1)]
    found = {
        plan.spot_id: [
            _real_day(
                plan,
                day,
                true_sums(plan, day, by_counter, out, chosen[plan.spot_id]),
                began,
                entered.get(plan.spot_id, {}),
            )
            for day in whole
        ]
        for plan in real
    }
    for spot_id in wanted:
        _virtual_days(known, spot_id, whole, found)
    looked = gate.versions(conn, wanted, first, last)
    return {
        spot_id: [
            replace(day, version=there.version_of(day)) if (there := looked.get((spot_id, day.day))) else day
            for day in found[spot_id]
        ]
        for spot_id in wanted
    }


def hours(conn: Connection, spot_id: int, first: date, last: date) -> list[SpotHour]:
    """The hours of the local days first..last on which it is counted by the hour: by counters, or in the form, which
    has an hour of that day; of a virtual spot those that all parts have. Raises NoSpot.
    """
    known = _known(conn, [spot_id])
    real = [plan for plan in known.values() if not plan.virtual]
    counters = _counters(real)
    zone = known[spot_id].zone
    start, end = day_start(first, zone), day_start(last + _DAY, zone)
    out, chosen = judged.hours(conn, counters, first, last), judged.choices(conn, [plan.spot_id for plan in real])
    by_counter = counted.hourly(conn, counters, start, end)
    by_hand = counted.entered_hours(conn, real, start, end)
    there = _Hours(
        known,
        {plan.spot_id: true_hours(plan, by_counter, out, chosen[plan.spot_id]) for plan in real},
        counted.began(conn, counters),
        by_hand,
        {spot: {hour.astimezone(zone).date() for hour in entered} for spot, entered in by_hand.items()},
    )
    starts = [start + n * _HOUR for n in range((end - start) // _HOUR)]
    return [
        SpotHour(
            *(each.astimezone(zone), number.visitors, count(number.raw), number.low, number.high, number.state),
            method,
        )
        for each in starts
        for number, method in [_hour(there, spot_id, each)]
        if method in (Method.COUNTER, Method.MIXED) or there.by_hand_on(spot_id, each.astimezone(zone).date())
    ]


def comparable(one: SpotDay, other: SpotDay) -> bool:
    """Whether two days were counted by one method; where not, a year-on-year figure has to say so."""
    return one.method is other.method and one.method is not Method.MIXED


def _known(conn: Connection, spot_ids: Sequence[int]) -> dict[int, Plan]:
    known = plans(conn, spot_ids)
    for each in spot_ids:
        if each not in known:
            raise NoSpot(f"there is no spot {each}")
    return known


def _counters(real: Iterable[Plan]) -> list[int]:
    return sorted({d for plan in real for s in plan.sources if not s.measure.trend for d in s.datastreams})


def _real_day(
    plan: Plan,
    day: date,
    sums: Mapping[int, Sum],
    began: Mapping[int, date],
    entered: Mapping[date, float | None],
) -> SpotDay:
    method = plan.method_on(day)
    before = plan.method_on(day - _DAY)
    switched = before if before is not method else None
    if plan.retired is not None and day >= plan.retired:
        number = _ABSENT
    elif method is Method.FORM:
        value = entered.get(day)
        number = _ABSENT if value is None else _Number(value, value, None, None, 1.0, "ok")
    else:
        number = _of_counters(plan.sources_on(day), day, sums, began)
    return _as_day(day, number, method, switched)


def _as_day(day: date, number: _Number, method: Method, before: Method | None) -> SpotDay:
    return SpotDay(
        *(day, count(number.visitors), count(number.raw), number.low, number.high, number.completeness, number.state),
        method,
        before,
    )


def _of_counters(sources: Sequence[Source], day: date, sums: Mapping[int, Sum], began: Mapping[int, date]) -> _Number:
    """The formula over the counters in force on a day. A counter is expected from its first count on."""
    there = [s for s in sources if any(began.get(each, date.max) <= day for each in s.datastreams)]
    if not there:
        return _ABSENT
    visitors = raw = below = above = 0.0
    heard, whole, calibrated, complete, estimated = False, True, True, 0.0, False
    for source in there:
        mine = [sums.get(each) for each in source.datastreams]
        shares = [0.0 if each is None else min(1.0, each.n / each.expected) for each in mine]
        complete += sum(shares) / len(shares)
        totals = [each.total for each in mine if each is not None and each.total is not None]
        heard = heard or bool(totals)
        whole = whole and len(totals) == len(mine)
        passed = sum(totals)
        raw += passed
        factor = source.factor_on(day)
        unit = source.sign * source.weight * passed
        scale = source.sign * source.weight * (1.0 if factor is None else factor.value)
        for each in mine:
            if each is not None and each.total is not None and each.low is not None and each.high is not None:
                estimated = True
                ends = sorted((scale * (each.low - each.total), scale * (each.high - each.total)))
                below, above = below + ends[0] ** 2, above + ends[1] ** 2
        if factor is None:
            calibrated = False
            visitors += unit
        else:
            visitors += unit * factor.value
            ends = sorted((unit * factor.low, unit * factor.high))
            below += (unit * factor.value - ends[0]) ** 2
            above += (ends[1] - unit * factor.value) ** 2
    completeness = complete / len(there)
    if not whole:
        return _Number(None, raw if heard else None, None, None, completeness, "outage")
    if not calibrated and not estimated:
        return _Number(visitors, raw, None, None, completeness, "ok")
    state: State = "estimated" if estimated else "ok"
    return _Number(visitors, raw, visitors - below**0.5, visitors + above**0.5, completeness, state)


@dataclass(frozen=True, slots=True)
class _Hours:
    """What is known of some hours: `counted` by spot, datastream and hour, `entered` by spot and hour; `days` the days
    that have an entered hour.
    """

    plans: Mapping[int, Plan]
    counted: Mapping[int, Mapping[int, Mapping[datetime, Sum]]]
    began: Mapping[int, date]
    entered: Mapping[int, Mapping[datetime, float]]
    days: Mapping[int, Set[date]]

    def by_hand_on(self, spot_id: int, day: date) -> bool:
        """Whether a spot goes by the form on a day, and each of its parts has hours of it."""
        plan = self.plans[spot_id]
        if plan.virtual:
            parts = plan.parts_on(day)
            return bool(parts) and all(self.by_hand_on(part.spot_id, day) for part in parts)
        return plan.method_on(day) is Method.FORM and day in self.days.get(spot_id, ())


def _hour(there: _Hours, spot_id: int, start: datetime) -> tuple[_Number, Method]:
    plan = there.plans[spot_id]
    day = start.astimezone(plan.zone).date()
    if plan.virtual:
        made = [(part.sign, *_hour(there, part.spot_id, start)) for part in plan.parts_on(day)]
        return _together([(sign, number) for sign, number, _ in made]), _one_method([method for *_, method in made])
    method = plan.method_on(day)
    if plan.retired is not None and day >= plan.retired:
        return _ABSENT, method
    if method is Method.FORM:
        value = there.entered.get(spot_id, {}).get(start)
        return (_ABSENT if value is None else _Number(value, value, None, None, 1.0, "ok")), method
    if method is not Method.COUNTER:
        return _ABSENT, method
    mine = there.counted[spot_id]
    sums = {each: mine[each][start] for each in mine if start in mine[each]}
    return _of_counters(plan.sources_on(day), day, sums, there.began), method


def _virtual_days(
    known: Mapping[int, Plan], spot_id: int, whole: Sequence[date], found: dict[int, list[SpotDay]]
) -> None:
    """Puts the days of a virtual spot, and those of its virtual parts, into `found`."""
    if spot_id in found:
        return
    plan = known[spot_id]
    for part in plan.parts:
        _virtual_days(known, part.spot_id, whole, found)
    mine = []
    before: Method | None = None
    for n, day in enumerate(whole):
        made = [(part.sign, found[part.spot_id][n]) for part in plan.parts_on(day)]
        method = _one_method([each.method for _, each in made])
        number = _together([(sign, _number(each)) for sign, each in made])
        if plan.retired is not None and day >= plan.retired:
            number = _ABSENT
        old = before if n else _one_method([each.method_before or each.method for _, each in made])
        mine.append(_as_day(day, number, method, old if old is not method else None))
        before = method
    found[spot_id] = mine


def _number(day: SpotDay) -> _Number:
    return _Number(day.visitors, day.raw, day.low, day.high, day.completeness, day.state)


def _together(parts: Sequence[tuple[int, _Number]]) -> _Number:
    """Sum and difference; no number where one of the parts has none. A difference below 0 stays what it is: the office
    has to see that its counters do not agree.
    """
    if not parts:
        return _ABSENT
    numbers = [number for _, number in parts]
    completeness = sum(each.completeness for each in numbers) / len(numbers)
    raws = [each.raw for each in numbers]
    raw = sum(each for each in raws if each is not None) if any(each is not None for each in raws) else None
    states = {each.state for each in numbers}
    if any(each.visitors is None for each in numbers):
        nobody = states == {"absent"}
        return _Number(None, raw, None, None, completeness, "absent" if nobody else "outage")
    visitors = sum(sign * (each.visitors or 0.0) for sign, each in parts)
    state: State = "estimated" if "estimated" in states else "ok"
    below = above = 0.0
    for sign, each in parts:
        if each.visitors is None or each.low is None or each.high is None:
            return _Number(visitors, raw, None, None, completeness, state)
        down, up = each.visitors - each.low, each.high - each.visitors
        if sign < 0:
            down, up = up, down
        below, above = below + down**2, above + up**2
    return _Number(visitors, raw, visitors - below**0.5, visitors + above**0.5, completeness, state)


def _one_method(methods: Sequence[Method]) -> Method:
    return methods[0] if len(set(methods)) == 1 else Method.MIXED

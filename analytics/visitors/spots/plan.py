"""What counts for a spot on a day: its method, its counters with formula and calibration, the parts of a virtual one.

    plans(conn, spot_ids)        everything that was ever said of these spots, and of the parts of virtual ones
    Plan.method_on(day)          form or counter
    Plan.sources_on(day)         the counters whose counts make the number (trends are none of them)
    Plan.parts_on(day)           of a virtual spot: other spots with their signs
    Source.factor_on(day)        manual / sensor with its 95 % interval; None where the counter is not calibrated then

All dates are local days; a stretch holds from `since` until before `until`, None is open. A factor holds until the
next one begins, and ends on the day on which a device was mounted anew after its last session: it was measured on
another device, or the same one elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

from store import Connection
from store.spots import CounterKind, Measure


class Method(StrEnum):
    """How a number of visitors came to be. `MIXED`: a virtual spot whose parts have several."""

    FORM = "form"
    COUNTER = "counter"
    MONTHLY_HISTORY = "monthly_history"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Factor:
    """manual / sensor, applied on the days `since`..before `until`; `low` and `high` its 95 % interval."""

    factor_id: int
    value: float
    low: float
    high: float
    since: date
    until: date | None

    def holds(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day < self.until)


@dataclass(frozen=True, slots=True)
class Source:
    """A counter at a spot. visitors += sign * weight * factor * (the sum over `datastreams`)."""

    source_id: int
    station_id: int
    kind: CounterKind
    measure: Measure
    sign: int
    weight: float
    entrance: str
    since: date | None
    until: date | None
    datastreams: tuple[int, ...]
    factors: tuple[Factor, ...]

    def holds(self, day: date) -> bool:
        return within(day, self.since, self.until)

    def factor_on(self, day: date) -> Factor | None:
        return next((each for each in self.factors if each.holds(day)), None)


@dataclass(frozen=True, slots=True)
class Part:
    """A spot that a virtual one adds (sign 1) or takes away (-1)."""

    spot_id: int
    sign: int
    since: date | None
    until: date | None

    def holds(self, day: date) -> bool:
        return within(day, self.since, self.until)


@dataclass(frozen=True, slots=True)
class Plan:
    """A spot. `methods`: (from this day on, None: from the beginning; method), the newest first. `form`: the datastream
    of the days that people enter, None where nobody does. `retired`: published no more from this day on.
    """

    spot_id: int
    virtual: bool
    zone: ZoneInfo
    form: int | None
    methods: tuple[tuple[date | None, Method], ...]
    sources: tuple[Source, ...]
    parts: tuple[Part, ...]
    retired: date | None

    def method_on(self, day: date) -> Method:
        return next((each for since, each in self.methods if since is None or since <= day), Method.FORM)

    def sources_on(self, day: date) -> tuple[Source, ...]:
        return tuple(each for each in self.sources if each.holds(day) and not each.measure.trend)

    def parts_on(self, day: date) -> tuple[Part, ...]:
        return tuple(each for each in self.parts if each.holds(day))


def within(day: date, since: date | None, until: date | None) -> bool:
    """Whether a day lies in [since, until); None is open.

    >>> within(date(2026, 4, 1), date(2026, 4, 1), None), within(date(2026, 4, 1), None, date(2026, 4, 1))
    (True, False)
    """
    return (since is None or since <= day) and (until is None or day < until)


def plans(conn: Connection, spot_ids: Iterable[int]) -> dict[int, Plan]:
    """The spots asked for that are there, and the parts of virtual ones, by id."""
    wanted = sorted(set(spot_ids))
    parts = _parts(conn, wanted)
    every = sorted({*wanted, *(part.spot_id for of_spot in parts.values() for part in of_spot)})
    methods: dict[int, list[tuple[date | None, Method]]] = {}
    for spot_id, since, method in conn.execute(
        "select spot_id, from_day, method from spot_method where spot_id = any(%s) order by from_day desc nulls last",
        (every,),
    ):
        methods.setdefault(spot_id, []).append((since, Method(method)))
    sources = _sources(conn, every)
    return {
        spot_id: Plan(
            spot_id,
            kind == "virtual",
            ZoneInfo(zone),
            form,
            tuple(methods.get(spot_id, ())),
            tuple(sources.get(spot_id, ())),
            tuple(parts.get(spot_id, ())),
            retired,
        )
        for spot_id, kind, zone, form, retired in conn.execute(
            """
            select s.spot_id, s.kind, m.timezone, d.datastream_id, s.retired_from
            from spot s join municipality m using (municipality_id)
            left join datastream d on d.station_id = s.station_id and d.observed_property = 'passages_day'
                                   and d.drill_run is null
            where s.spot_id = any(%s) order by s.spot_id
            """,
            (every,),
        )
    }


def _parts(conn: Connection, spot_ids: Sequence[int]) -> dict[int, list[Part]]:
    """The parts of virtual spots and, where one of them is virtual itself, its parts."""
    found: dict[int, list[Part]] = {}
    for spot_id, *rest in conn.execute(
        """
        with recursive asked (spot_id) as (
            select unnest(%s::integer[]) union select p.part_id from spot_part p join asked using (spot_id)
        )
        select spot_id, part_id, sign, from_day, to_day from spot_part join asked using (spot_id) order by spot_part_id
        """,
        (list(spot_ids),),
    ):
        found.setdefault(spot_id, []).append(Part(*rest))
    return found


def _sources(conn: Connection, spot_ids: Sequence[int]) -> dict[int, list[Source]]:
    rows = conn.execute(
        """
        select s.spot_id, s.spot_source_id, s.station_id, s.kind, s.measure, s.sign, s.weight, s.entrance, s.from_day,
               s.to_day, (select coalesce(json_object_agg(observed_property, datastream_id), '{}') from datastream d
                          where d.station_id = s.station_id and d.drill_run is null)
        from spot_source s where s.spot_id = any(%s)
        order by s.spot_id, s.from_day nulls first, s.spot_source_id
        """,
        (list(spot_ids),),
    ).fetchall()
    calibrated = factors(conn, sorted({row[2] for row in rows}))
    found: dict[int, list[Source]] = {}
    for spot_id, source_id, station_id, kind, measure, sign, weight, entrance, since, until, ids in rows:
        what = Measure(measure)
        found.setdefault(spot_id, []).append(
            Source(
                *(source_id, station_id, CounterKind(kind), what, sign, weight, entrance, since, until),
                tuple(ids[each] for each in what.properties if each in ids),
                tuple(calibrated.get((station_id, what), ())),
            )
        )
    return found


def factors(conn: Connection, station_ids: Sequence[int]) -> Mapping[tuple[int, Measure], list[Factor]]:
    """By counter (station) and measure, in the order of their days."""
    found: dict[tuple[int, Measure], list[Factor]] = {}
    for station_id, measure, *rest in conn.execute(
        """
        select f.station_id, f.measure, f.count_factor_id, f.factor, f.low, f.high, f.from_day,
               least(lead(f.from_day) over (partition by f.station_id, f.measure order by f.from_day), anew.day)
        from count_factor f join municipality m using (municipality_id)
        cross join lateral (
            select min((a.attached_from at time zone m.timezone)::date) as day
            from datastream d join field_mapping using (datastream_id) join attachment a using (attachment_id)
            where d.station_id = f.station_id and d.drill_run is null and a.attached_from > f.measured_until
        ) anew
        where f.station_id = any(%s) and f.withdrawn_at is null
        order by f.station_id, f.measure, f.from_day
        """,
        (list(station_ids),),
    ):
        found.setdefault((station_id, Measure(measure)), []).append(Factor(*rest))
    return found

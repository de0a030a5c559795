"""What the learnt checks have doubted, as people look at it: the list, one series around a doubt, and a month.

doubts(conn, ...)       events, those first that nobody has looked at
doubted_series(...)     one series: the values around an event, and what they would be if the doubt were right
month_of(...)           a station's month: how many values, how good, what was doubted and what people said of it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from api.pages.chart import Chart, line_chart
from api.pages.readings import Point, history
from api.roles import Role
from devices.model import ObservedProperty, Quality, Reason, StationKind
from quality.proposal import propose
from store.connection import Connection
from store.reviews import ConfirmedMonth, Review, confirmed_months, reviews

SHOWN = timedelta(days=62)
MOST = 200
_PAD, _MOST_AROUND = timedelta(hours=6), timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Place:
    """The series that is doubted, and where it is measured."""

    datastream_id: int
    station: str
    name: str
    name_en: str
    kind: StationKind
    observed_property: str
    unit: str
    step: timedelta

    def may_review(self, role: Role) -> bool:
        """The desk that watches the place says what is true, and the digital section."""
        return role in (Role(self.kind.desk), Role.DIGITAL)


@dataclass(frozen=True, slots=True)
class Doubt:
    """One event. `reviewed`: what was said of it last, None while nobody has; `more_than` how many times what is
    tolerated of the series.
    """

    event_id: int
    place: Place
    reason: Reason
    first: datetime
    last: datetime
    n: int
    more_than: float
    usual: float | None
    reviewed: str | None
    by: str | None


def doubts(
    conn: Connection, since: datetime, *, datastream_id: int | None = None, until: datetime | None = None
) -> list[Doubt]:
    """Within a tenant's transaction: those that nobody has looked at, then the others; each the newest first."""
    rows = conn.execute(
        """
        select e.quality_event_id, e.reason, e.first_time, e.last_time, e.n, e.excess, e.usual, said.verdict, said.by,
               d.datastream_id, s.code, s.name, s.name_en, s.kind, d.observed_property, d.unit, d.step
        from quality_event e join datastream d using (datastream_id) join station s using (station_id)
        left join lateral (
            select r.verdict, u.display_name as by from quality_review r join app_user u using (user_id)
            where r.quality_event_id = e.quality_event_id order by r.quality_review_id desc limit 1
        ) said on true
        where e.last_time >= %(since)s and (%(until)s::timestamptz is null or e.first_time < %(until)s)
          and (%(datastream)s::integer is null or e.datastream_id = %(datastream)s)
        order by said.verdict is not null, e.first_time desc limit %(most)s
        """,
        {"since": since, "until": until, "datastream": datastream_id, "most": MOST},
    ).fetchall()
    return [
        Doubt(event_id, _place(row), Reason(reason), first, last, n, min(excess, 999.0), usual, verdict, by)
        for event_id, reason, first, last, n, excess, usual, verdict, by, *row in rows
    ]


def place(conn: Connection, datastream_id: int) -> Place | None:
    """The series of this number; None where the tenant has none."""
    row = conn.execute(
        """
        select d.datastream_id, s.code, s.name, s.name_en, s.kind, d.observed_property, d.unit, d.step
        from datastream d join station s using (station_id) where d.datastream_id = %s and d.drill_run is null
        """,
        (datastream_id,),
    ).fetchone()
    return None if row is None else _place(row)


def _place(row: Sequence[Any]) -> Place:
    datastream_id, station, name, name_en, kind, *rest = row
    return Place(datastream_id, station, name, name_en, StationKind(kind), *rest)


@dataclass(frozen=True, slots=True)
class DoubtedSeries:
    """`chart` the values as they stand, `proposed` the same with the values that would stand if the doubt were right;
    None where there is no event. `rows` (time, value, quality, reason, proposed value) around it. `amount`: what would
    have to be added to all values from the beginning on. `start`, `end`: what a review would be about.
    """

    place: Place
    doubt: Doubt | None
    others: tuple[Doubt, ...]
    chart: Chart | None
    proposed: tuple[str, ...]
    rows: tuple[tuple[datetime, float | None, Quality, str | None, float | None], ...]
    amount: float | None
    start: datetime
    end: datetime
    said: tuple[Review, ...]


def doubted_series(
    conn: Connection, municipality_id: int, datastream_id: int, event_id: int | None, now: datetime, zone: ZoneInfo
) -> DoubtedSeries | None:
    """Around one event, else the first that nobody has looked at; None where there is no such series."""
    found = place(conn, datastream_id)
    if found is None:
        return None
    all_ = doubts(conn, now - timedelta(days=36500), datastream_id=datastream_id)
    doubt = next((each for each in all_ if each.event_id == event_id), all_[0] if all_ and event_id is None else None)
    said = tuple(reviews(conn, municipality_id, datastream_id))
    others = tuple(each for each in all_ if each is not doubt)[:20]
    if doubt is None:
        return DoubtedSeries(found, None, others, None, (), (), None, now - timedelta(hours=1), now, said)
    pad = min(max(_PAD, 2 * (doubt.last - doubt.first)), _MOST_AROUND)
    start, end = doubt.first - pad, min(doubt.last + pad, now)
    points = history(conn, [datastream_id], start, end)[datastream_id]
    reasons: dict[datetime, str] = dict(
        conn.execute(
            """
            select phenomenon_time, reason from tenant_observation
            where datastream_id = %s and phenomenon_time > %s and phenomenon_time <= %s and reason is not null
            """,
            (datastream_id, start, end),
        ).fetchall()
    )
    times = np.array([point.time.timestamp() for point in points])
    values = np.array([np.nan if point.value is None else point.value for point in points])
    proposal = propose(doubt.reason, times, values, doubt.first.timestamp(), doubt.last.timestamp())
    told = [None if np.isnan(value) else float(value) for value in proposal.values]
    # Both in one scale: what the picture holds is what the two together need.
    whole = [*points, *(Point(p.time, v, Quality.GOOD) for p, v in zip(points, told, strict=True))]
    scale = [(0, p.value) for p in whole if p.value is not None]
    bounds = [min(scale, key=lambda each: each[1]), max(scale, key=lambda each: each[1])] if scale else []
    drawn = [Point(p.time, p.value, Quality.GOOD if p.value is not None else p.quality) for p in points]
    chart = line_chart(drawn, start, end, found.step, zone, bounds)
    other = line_chart(
        [Point(p.time, v, Quality.GOOD) for p, v in zip(points, told, strict=True)],
        start,
        end,
        found.step,
        zone,
        bounds,
    )
    rows = tuple(
        (point.time, point.value, point.quality, reasons.get(point.time), value)
        for point, value in zip(points, told, strict=True)
    )
    lasts = doubt.reason in (Reason.STEP, Reason.DRIFT, Reason.NEIGHBOURS)
    return DoubtedSeries(
        found,
        doubt,
        others,
        chart,
        other.paths if told != [point.value for point in points] else (),
        rows,
        proposal.amount,
        datetime.fromtimestamp(proposal.begin, UTC),
        now if lasts and doubt.reviewed is None else doubt.last,
        said,
    )


@dataclass(frozen=True, slots=True)
class MonthSeries:
    """A series over a month. `n` values that can be used of `expected` so far; `worse` how many are not simply good, by
    (quality, reason), the most first. `confirmed` None: the values are provisional.
    """

    place: Place
    n: int
    expected: float
    worse: tuple[tuple[str, str | None, int], ...]
    doubts: tuple[Doubt, ...]
    confirmed: ConfirmedMonth | None

    @property
    def open(self) -> int:
        """Doubts that nobody has looked at."""
        return sum(each.reviewed is None for each in self.doubts)


@dataclass(frozen=True, slots=True)
class Month:
    """A local month of a station. `over`: it can be confirmed; `first` and `last` are local days."""

    station: str
    name: str
    name_en: str
    kind: StationKind
    first: date
    last: date
    over: bool
    series: tuple[MonthSeries, ...]

    def may_confirm(self, role: Role) -> bool:
        return role in (Role(self.kind.desk), Role.DIGITAL)


def month_of(
    conn: Connection, municipality_id: int, code: str, month: date, now: datetime, zone: ZoneInfo
) -> Month | None:
    """The month that begins with the local day `month`; None where there is no such station."""
    station = conn.execute("select name, name_en, kind from station where code = %s", (code,)).fetchone()
    if station is None:
        return None
    following = (month + timedelta(days=32)).replace(day=1)
    start, end = (datetime(day.year, day.month, 1, tzinfo=zone) for day in (month, following))
    places = [
        _place(row)
        for row in conn.execute(
            """
            select d.datastream_id, s.code, s.name, s.name_en, s.kind, d.observed_property, d.unit, d.step
            from datastream d join station s using (station_id)
            where s.code = %s and d.drill_run is null order by d.observed_property
            """,
            (code,),
        ).fetchall()
    ]
    ids = [each.datastream_id for each in places]
    confirmed = confirmed_months(conn, municipality_id, ids, month, month)
    # A total stands at the end of its interval: that of midnight belongs to the day before.
    counted: dict[int, Counter[tuple[str, str | None]]] = {i: Counter() for i in ids}
    for datastream_id, quality, reason, n in conn.execute(
        """
        select o.datastream_id, o.quality::text, o.reason, count(*)
        from tenant_observation o join datastream d using (datastream_id)
        where o.datastream_id = any(%(ids)s)
          and o.phenomenon_time >= %(start)s and o.phenomenon_time <= %(end)s
          and case d.statistic when 'total' then o.phenomenon_time > %(start)s else o.phenomenon_time < %(end)s end
        group by 1, 2, 3
        """,
        {"ids": ids, "start": start, "end": end},
    ):
        counted[datastream_id][quality, reason] += n
    passed = (min(end, now) - start).total_seconds()
    told = doubts(conn, start, until=end)
    series = []
    for each in places:
        found = counted[each.datastream_id]
        usable = sum(n for (quality, _), n in found.items() if quality not in (Quality.BAD, Quality.MISSING))
        expected = 1.0 if each.observed_property == ObservedProperty.PASSAGES_DAY else each.step.total_seconds()
        due = (min(following, now.astimezone(zone).date()) - month).days if expected == 1.0 else passed / expected
        series.append(
            MonthSeries(
                each,
                usable,
                max(0.0, due),
                tuple(
                    (quality, reason, n)
                    for (quality, reason), n in found.most_common()
                    if (quality, reason) != (Quality.GOOD, None)
                ),
                tuple(doubt for doubt in told if doubt.place.datastream_id == each.datastream_id),
                confirmed.get((each.datastream_id, month)),
            )
        )
    return Month(
        code,
        station[0],
        station[1],
        StationKind(station[2]),
        month,
        following - timedelta(days=1),
        now >= end,
        tuple(series),
    )

"""Inlets that are watched by themselves (`rises`), in the database: how far each was judged, and what was told.

    watch(conn, series) / put_watch(conn, inlet, watch)  the last night, and what has to be kept for the next
    told(conn, series) -> [Told, ...]                    in the order of their beginning
    add(conn, inlet, told) / put(conn, told)             one more; what has become of one
    hand_over(conn, told, series)                        it is told of by another inlet from now on
    others(conn, inlet, told) -> finding id | None       another finding that tells of the same
    tells_of(conn, series, since, newest) -> bool        whether somebody else tells of what the nights see
    nights(conn, inlet, rise) -> (m3/h, m3/h)            what the nights were before it and since
    in_cases(conn) / case_of(conn, inlet, told)          what people do about them
    settled(case) -> (time, why) | None                  what they found out

A rise flows as long as `ended_on` is None: what is not known to be over is not over.

Of a block that several meters enclose (`inlets`) all is kept under the series of the inlet that stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from analytics.findings import Kind
from analytics.leaks.blocks.inlets import Inlet, fed_with
from analytics.leaks.cases import stored as cases
from analytics.leaks.cases.case import REPAIRED, Case
from analytics.leaks.detection.inflow import EARLIER, LATER, NEAR
from store.connection import Connection

KIND: Kind = "inflow_rise"
_SETTLING = 2  # nights in which what was repaired may still be seen


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """The last `day` that was judged; `why` nothing could be said, None where it could. `learned`: the morning on which
    what is usual was learned last, None: never; `level` (n,) m3/h of the days from `first` on, as known then;
    `known_by` which meters, as `Inlet` says it."""

    day: date
    worked_at: datetime
    why: str | None
    learned: date | None = None
    first: date | None = None
    level: tuple[float, ...] = ()
    known_by: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


@dataclass(slots=True)
class Told:
    """A rise that was told. `start` the likeliest day, `began` with 80 % between two, `size` m3/h with 80 % `between`.
    `ended_on` with `why`, None while it flows; `finding` that tells of it, `own`: which is of this kind."""

    told_on: date
    start: date
    began: tuple[date, date]
    growing: bool
    size: float
    between: tuple[float, float]
    probability: float
    ended_on: date | None = None
    why: str | None = None
    finding: int | None = None
    own: bool = False
    number: int = 0

    @property
    def near(self) -> tuple[date, date]:
        """The days on which the same rise may seem to another to begin."""
        earlier, later = (EARLIER, LATER) if self.growing else (NEAR, NEAR)
        return self.began[0] - timedelta(days=earlier), self.began[1] + timedelta(days=later)


def watch(conn: Connection, series: int) -> Watch | None:
    """None: never yet."""
    row = conn.execute(
        """
        select day, worked_at, why, learned, first, level, lets_in, lets_out
        from inflow_watch where datastream_id = %s
        """,
        (series,),
    ).fetchone()
    if row is None:
        return None
    day, worked_at, why, learned, first, level, lets_in, lets_out = row
    return Watch(day, worked_at, why, learned, first, tuple(level), (tuple(lets_in), tuple(lets_out)))


def put_watch(conn: Connection, inlet: Inlet, night: Watch) -> None:
    """The newest night of an inlet."""
    conn.execute(
        """
        insert into inflow_watch (datastream_id, municipality_id, day, worked_at, why, learned, first, level,
                                  lets_in, lets_out)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (datastream_id) do update
            set (day, worked_at, why, learned, first, level, lets_in, lets_out)
              = (excluded.day, excluded.worked_at, excluded.why, excluded.learned, excluded.first, excluded.level,
                 excluded.lets_in, excluded.lets_out)
        """,
        (
            inlet.series,
            inlet.municipality_id,
            night.day,
            night.worked_at,
            night.why,
            night.learned,
            night.first,
            list(night.level),
            *(list(each) for each in inlet.known_by),
        ),
    )


def told(conn: Connection, series: int) -> list[Told]:
    """In the order of their beginning."""
    return [
        Told(day, start, (first, last), growing, size, (low, high), *rest)
        for day, start, first, last, growing, size, low, high, *rest in conn.execute(
            """
            select r.told_on, r.start, r.began_first, r.began_last, r.growing, r.size, r.size_low, r.size_high,
                   r.probability, r.ended_on, r.why, r.finding_id, coalesce(f.kind = 'inflow_rise', false),
                   r.inflow_rise_id
            from inflow_rise r left join finding f using (finding_id)
            where r.datastream_id = %s order by r.start, r.inflow_rise_id
            """,
            (series,),
        )
    ]


def add(conn: Connection, inlet: Inlet, rise: Told) -> None:
    """Gives it its number."""
    row = conn.execute(
        """
        insert into inflow_rise (municipality_id, datastream_id, told_on, start, began_first, began_last, growing, size,
                                 size_low, size_high, probability)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning inflow_rise_id
        """,
        (
            inlet.municipality_id,
            inlet.series,
            rise.told_on,
            rise.start,
            *rise.began,
            rise.growing,
            rise.size,
            *rise.between,
            rise.probability,
        ),
    ).fetchone()
    assert row is not None, "an insert returns its row"
    rise.number = row[0]


def put(conn: Connection, rise: Told) -> None:
    """What may change of one: its size, its end, and who tells of it."""
    conn.execute(
        """
        update inflow_rise set (size, size_low, size_high, ended_on, why, finding_id) = (%s, %s, %s, %s, %s, %s)
        where inflow_rise_id = %s
        """,
        (rise.size, *rise.between, rise.ended_on, rise.why, rise.finding, rise.number),
    )


def hand_over(conn: Connection, rise: Told, series: int) -> None:
    """It stays told, of the same block."""
    conn.execute(
        "update inflow_rise set datastream_id = %s where inflow_rise_id = %s",
        (series, rise.number),
    )


def others(conn: Connection, inlet: Inlet, rise: Told) -> int | None:
    """A finding of the nights, of a burst, or of the loggers of this block, which began when this rise may have."""
    first, last = rise.near
    row = conn.execute(
        """
        select finding_id from finding
        where (station_id = any(%(stations)s) and kind in ('night_flow', 'burst')
               or datastream_id = any(%(series)s) and kind = 'leak_suspect')
          and started_at < %(last)s and coalesce((detail->>'until')::timestamptz, started_at) >= %(first)s
          and (ended_at is null or ended_at > %(began)s and ended_at > started_at)
        order by ended_at desc nulls first, kind = 'leak_suspect' desc, finding_id limit 1
        """,
        {
            "stations": [inlet.station_id, *inlet.with_it],
            "series": [inlet.series, *inlet.lets_in],
            "first": inlet.morning(first),
            "last": inlet.morning(last + timedelta(days=1)),
            "began": inlet.morning(rise.began[0]) + timedelta(days=1),
        },
    ).fetchone()
    return None if row is None else int(row[0])


def tells_of(conn: Connection, series: int, since: date, newest: date) -> bool:
    """Whether a rise of the inflow, or a suspect of the loggers, tells of nights that are above usual from `since` to
    `newest` on. For some nights after the end of either, too; and for good where people found that it is none. Of a
    block that several feed, at whichever of them it is told.

    Until the transaction's end nobody else begins to tell of this block.
    """
    block = fed_with(conn, series)
    lock(conn, block[0])
    row = conn.execute(
        """
        select exists (
            select from inflow_rise r left join finding f using (finding_id)
            where r.datastream_id = any(%(block)s) and f.kind is distinct from 'night_flow'
              and %(since)s between r.began_first - case when r.growing then %(earlier)s else %(near)s end
                            and r.began_last + 1 + case when r.growing then %(later)s else %(near)s end
              and (r.ended_on is null or r.why = 'none' or %(newest)s <= r.ended_on + %(settling)s)
        ) or exists (
            select from finding
            where datastream_id = any(%(block)s) and kind = 'leak_suspect'
              and %(since)s between started_at::date - %(near)s
                            and coalesce((detail->>'until')::timestamptz, started_at)::date + 1 + %(near)s
              and (ended_at is null or %(newest)s <= ended_at::date + %(settling)s)
        )
        """,
        {
            "block": block,
            "since": since,
            "newest": newest,
            "earlier": EARLIER,
            "later": LATER,
            "near": NEAR,
            "settling": _SETTLING,
        },
    ).fetchone()
    return row is not None and bool(row[0])


def lock(conn: Connection, series: int) -> None:
    """Of the nights and the inflow one begins to tell of a block at a time."""
    conn.execute("select pg_advisory_xact_lock(hashtext('findings of a block'), %s)", (series,))


def nights(conn: Connection, inlet: Inlet, rise: Told) -> tuple[float | None, float | None]:
    """The median night minimum of the week before a rise, and since it (the newest seven), m3/h; None: under four. Of
    several inlets the sum of theirs, on nights that all of them know; of a block that lets out nothing is known."""
    if inlet.lets_out:
        return None, None
    row = conn.execute(
        """
        with of_block as (
            select day, sum(minimum) as minimum from night_flow
            where datastream_id = any(%(series)s) and minimum is not null
            group by day having count(*) = cardinality(%(series)s)
        )
        select (select case when count(*) >= 4 then percentile_cont(0.5) within group (order by minimum) end from (
                    select minimum from of_block
                    where day <= %(first)s and day > %(first)s - 14 order by day desc limit 7) before),
               (select case when count(*) >= 4 then percentile_cont(0.5) within group (order by minimum) end from (
                    select minimum from of_block where day > %(last)s + 1 order by day desc limit 7) since)
        """,
        {"series": [inlet.series, *inlet.lets_in], "first": rise.began[0], "last": rise.began[1]},
    ).fetchone()
    assert row is not None, "a query without a table has a row"
    before, since = (None if each is None else round(each, 1) for each in row)
    return before, since


def in_cases(conn: Connection) -> set[int]:
    """The series with a rise that still flows as far as is known, and has a case."""
    return {
        row[0]
        for row in conn.execute(
            """
            select r.datastream_id from inflow_rise r join leak_case c using (finding_id) where r.ended_on is null
            union
            select r.datastream_id from inflow_rise r
            join finding f on f.datastream_id = r.datastream_id and f.kind = 'inflow_rise'
                 and f.detail->>'start' = r.start::text
            join leak_case c on c.finding_id = f.finding_id
            where r.ended_on is null
            """
        )
    }


def case_of(conn: Connection, inlet: Inlet, rise: Told) -> Case | None:
    """The case that was opened from what tells of a rise, or told of it before."""
    row = conn.execute(
        """
        select c.leak_case_id from leak_case c join finding f using (finding_id)
        where c.municipality_id = %(town)s and (f.finding_id = %(finding)s
            or f.datastream_id = %(series)s and f.kind = 'inflow_rise' and f.detail->>'start' = %(start)s)
        order by c.leak_case_id desc limit 1
        """,
        {
            "town": inlet.municipality_id,
            "finding": rise.finding,
            "series": inlet.series,
            "start": rise.start.isoformat(),
        },
    ).fetchone()
    return None if row is None else cases.cases(conn, inlet.municipality_id, row[0])[0]


def settled(case: Case) -> tuple[datetime, str] | None:
    """When a case was repaired, or ended with `none`; None: neither."""
    last = case.settled
    return None if last is None else (last.at, "repaired" if last.kind == REPAIRED else "none")

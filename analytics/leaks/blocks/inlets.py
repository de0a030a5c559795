"""The inlets of all towns as they are judged by themselves (`rises`), and which of them are judged together.

    inlets(conn, now, fed) -> [Inlet, ...]       that measured within a month
    beside(conn, series) -> [Beside, ...]        the meters that a block is judged by, for its pages
    fed_with(conn, series) -> [series, ...]      the inlets of its block
    signed(lets_in, lets_out) -> {series: 1|-1}  what each of its meters counts for

Where several meters enclose a block (`together`) one of its inlets stands for it: whose pipes somebody has chosen, else
the first. By which meters a block was judged is kept with the last day that was (`inflow_watch`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from analytics.leaks.blocks.together import Fed
from analytics.leaks.detection.inflow_days import MORNING
from store.connection import Connection

_ALIVE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Inlet:
    """A block inlet with its flow `series`; `tanks` that are filled behind it: the series of the level and the area in
    m2, either None where nobody knows it. `until`: the time up to which all of this has come in; `judged` the last day
    that was, None: never.

    `lets_in` and `lets_out`: the series of the block's other meters, with the stations of the former (`with_it`)."""

    series: int
    municipality_id: int
    station_id: int
    zone: ZoneInfo
    until: datetime
    judged: date | None
    tanks: tuple[tuple[int | None, float | None], ...] = ()
    lets_in: tuple[int, ...] = ()
    lets_out: tuple[int, ...] = ()
    with_it: tuple[int, ...] = ()

    def morning(self, day: date) -> datetime:
        """At which a day begins."""
        return datetime.combine(day, time(MORNING), self.zone)

    @property
    def meters(self) -> dict[int, int]:
        """By series what it counts for in the use of the block, 1 or -1."""
        return signed((self.series, *self.lets_in), self.lets_out)

    @property
    def known_by(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The same for as long as the block is judged by the same meters."""
        return self.lets_in, self.lets_out


@dataclass(frozen=True, slots=True)
class Beside:
    """A meter of a block that several enclose. `stands`: the block's findings are at this one's station; `paged`: it is
    an inlet, which has a page of its own; `last`: when its newest value is from, None: there never was one."""

    code: str
    name: str
    name_en: str
    lets_in: bool
    stands: bool
    paged: bool
    last: datetime | None


@dataclass(slots=True)
class _Row:
    """An inlet as it is by itself. `alive`: it has measured lately; `drawn`: somebody has chosen its pipes."""

    inlet: Inlet
    alive: bool
    drawn: bool


def inlets(conn: Connection, now: datetime, fed: Mapping[int, Sequence[Fed]]) -> list[Inlet]:
    """In the order of their towns; of a block that several feed (`fed`, by town) the one that stands for it."""
    rows = [
        _Row(
            Inlet(series, town, station, ZoneInfo(zone), until, judged, ((tank, area),) if fills else ()),
            alive,
            drawn,
        )
        for series, town, station, zone, until, judged, fills, tank, area, alive, drawn in conn.execute(
            """
            select d.datastream_id, d.municipality_id, d.station_id, m.timezone,
                   coalesce(least(l.phenomenon_time + d.step, v.phenomenon_time + t.step), to_timestamp(0)),
                   w.day, u.fills is not null, t.datastream_id, k.area_m2,
                   coalesce(l.phenomenon_time >= %s, false), p.station_id is not null
            from datastream d
            join station s on s.station_id = d.station_id and s.kind = 'block_inlet'
            join municipality m on m.municipality_id = d.municipality_id
            left join datastream_latest l on l.datastream_id = d.datastream_id
            left join block_use u on u.station_id = d.station_id
            left join service_tank k on k.station_id = u.fills
            left join datastream t on t.station_id = u.fills and t.observed_property = 'tank_level'
                 and t.drill_run is null
            left join datastream_latest v on v.datastream_id = t.datastream_id
            left join block_pipes p on p.station_id = d.station_id
            left join inflow_watch w on w.datastream_id = d.datastream_id
            where d.observed_property = 'flow' and d.drill_run is null
            order by d.municipality_id, d.datastream_id
            """,
            (now - _ALIVE,),
        )
    ]
    by_series = {each.inlet.series: each for each in rows}
    stand: dict[int, Inlet] = {}
    gone: set[int] = set()
    for one in (each for several in fed.values() for each in several):
        own = [by_series[each.series] for each in one.lets_in if each.series in by_series]
        if not own:
            continue
        first = min(own, key=lambda each: (not each.drawn, each.inlet.series))
        stand[first.inlet.series] = _of_block(conn, one, first, own)
        gone |= {each.inlet.series for each in own if each is not first}
        if any(each.alive for each in own):
            first.alive = True
    return [stand.get(each.inlet.series, each.inlet) for each in rows if each.alive and each.inlet.series not in gone]


def signed(lets_in: Iterable[int], lets_out: Iterable[int]) -> dict[int, int]:
    """By series what a meter counts for in the use of its block.

    >>> signed([1, 2], [3])
    {1: 1, 2: 1, 3: -1}
    """
    return dict.fromkeys(lets_in, 1) | dict.fromkeys(lets_out, -1)


def beside(conn: Connection, series: int) -> list[Beside]:
    """The one that stands for the block first; nothing where `series` is judged by itself."""
    return [
        Beside(*row)
        for row in conn.execute(
            """
            select s.code, s.name, s.name_en, not d.datastream_id = any(w.lets_out), d.datastream_id = w.datastream_id,
                   s.kind = 'block_inlet', l.phenomenon_time
            from inflow_watch w
            join datastream d on d.datastream_id = any(w.datastream_id || w.lets_in || w.lets_out)
            join station s on s.station_id = d.station_id
            left join datastream_latest l on l.datastream_id = d.datastream_id
            where %(series)s = any(w.datastream_id || w.lets_in) and cardinality(w.lets_in || w.lets_out) > 0
            order by d.datastream_id <> w.datastream_id, 4 desc, s.code
            """,
            {"series": series},
        )
    ]


def fed_with(conn: Connection, series: int) -> list[int]:
    """The inlets of its block, the one that stands for it first; itself where it is alone."""
    row = conn.execute(
        "select datastream_id || lets_in from inflow_watch where %s = any(lets_in) or datastream_id = %s "
        "order by cardinality(lets_in) desc limit 1",
        (series, series),
    ).fetchone()
    return [series] if row is None else list(row[0])


def _of_block(conn: Connection, one: Fed, first: _Row, own: Sequence[_Row]) -> Inlet:
    others = sorted((each.series, each.station_id) for each in one.lets_in if each.series != first.inlet.series)
    lets_in = tuple(series for series, _ in others)
    lets_out = tuple(sorted(each.series for each in one.lets_out))
    tanks = {series: area for each in own for series, area in each.inlet.tanks}
    tanks |= dict(one.tanks)
    wanted = [first.inlet.series, *lets_in, *lets_out, *(each for each in tanks if each is not None)]
    row = conn.execute(
        """
        select min(coalesce(l.phenomenon_time + d.step, to_timestamp(0)))
        from datastream d left join datastream_latest l using (datastream_id) where d.datastream_id = any(%s)
        """,
        (wanted,),
    ).fetchone()
    assert row is not None, "an aggregate has a row"
    return replace(
        first.inlet,
        until=row[0],
        tanks=tuple(tanks.items()),
        lets_in=lets_in,
        lets_out=lets_out,
        with_it=tuple(station for _, station in others),
    )

"""The series that rules look at, read from the store into the engine's columns. SQL and nothing else.

`sites` and `streams` say what there is, `where_of` which series a body means at a station, `read` brings the values.
`tenant`: with the rights of the API's role, within its municipality.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from psycopg import sql

from alerts.observed import Place
from alerts.rules.columns import FOREVER, SECOND, Columns, micros
from alerts.rules.condition import Body, Series, sight
from store import Connection
from store.arrays import array, transposed
from store.columns import columns

# (datastream_id) or (station_id, number or name of a level)
Key = int | tuple[int, int | str]


_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Site:
    """A station that a rule can be about."""

    place: Place
    code: str
    tell_within: timedelta


@dataclass(frozen=True, slots=True)
class Stream:
    """A series of a station; `run` of a drill's. `newest` µs of its newest observation, None where it has none."""

    datastream_id: int
    station_id: int
    observed_property: str
    unit: str
    summed: bool
    step: int
    run: str | None
    newest: int | None


def sites(conn: Connection, municipality_ids: Iterable[int]) -> dict[int, Site]:
    """station_id -> station, of these municipalities."""
    return {
        row[3]: Site(Place(*row[:7]), row[7], row[8])
        for row in conn.execute(
            """
            select m.municipality_id, m.name, m.timezone, s.station_id, s.kind, s.name, s.name_en, s.code, s.tell_within
            from station s join municipality m using (municipality_id) where s.municipality_id = any(%s)
            order by s.station_id
            """,
            (sorted(set(municipality_ids)),),
        ).fetchall()
    }


def streams(conn: Connection, station_ids: Iterable[int]) -> dict[int, list[Stream]]:
    """station_id -> its series, those of drills among them."""
    found: dict[int, list[Stream]] = {}
    for datastream_id, station_id, name, unit, statistic, step, run, newest in conn.execute(
        """
        select d.datastream_id, d.station_id, d.observed_property, d.unit, d.statistic, d.step, d.drill_run,
               l.phenomenon_time
        from datastream d left join datastream_latest l using (datastream_id)
        where d.station_id = any(%s::integer[]) order by d.datastream_id
        """,
        (array(sorted(set(station_ids))),),
    ).fetchall():
        found.setdefault(station_id, []).append(
            Stream(
                datastream_id,
                station_id,
                name,
                unit,
                statistic == "total",
                step // _MICROSECOND,
                run,
                None if newest is None else micros(newest),
            )
        )
    return found


def where_of(
    body: Body,
    station_id: int,
    run: str | None,
    known: Mapping[int, Sequence[Stream]],
    by_code: Mapping[str, int],
) -> dict[Series | int | str, Stream | tuple[int, int | str]]:
    """Which series each name of the body means at a station: in a drill its own, where it has one. Nothing of what
    does not exist there.
    """
    found: dict[Series | int | str, Stream | tuple[int, int | str]] = {}
    seen = sight(body)
    for series in seen.series:
        at = station_id if series.station is None else by_code.get(series.station, -1)
        own = other = None
        for each in known.get(at, ()):
            if each.observed_property == series.observed_property:
                if each.run == run:
                    own = own or each
                elif each.run is None:
                    other = other or each
        if (chosen := own or other) is not None:
            found[series] = chosen
    for level in seen.references:
        found[level] = (station_id, level)
    return found


def read(
    conn: Connection,
    wanted: Mapping[int, tuple[Stream, int]],
    levels: Iterable[tuple[int, int | str]],
    *,
    tenant: bool = False,
    until: int | None = None,
) -> tuple[Columns, dict[Key, int]]:
    """The usable observations of each series from a time on (datastream_id -> (series, µs)), and the levels of
    stations, by number or name; with where each of them is.
    """
    given = sorted(wanted.items())
    marked, times, values = columns(
        conn,
        sql.SQL(_READ).format(sql.Identifier("tenant_observation" if tenant else "observation")),
        ("marked", "times", "values"),
        {
            "ids": array(each for each, _ in given),
            "since": array(since / SECOND for _, (_, since) in given),
            "until": "infinity" if until is None else until / SECOND,
        },
    )
    ids = np.array([each for each, _ in given], dtype=np.int64)
    place: dict[Key, int] = {each: index for index, (each, _) in enumerate(given)}
    steps = [stream.step for _, (stream, _) in given]
    summed = [stream.summed for _, (stream, _) in given]
    n, micro = np.floor(marked), np.round(times * SECOND).astype(np.int64)
    doubtful = marked - n
    # The server finds them in this order as a rule: to have it sort a hundred thousand rows takes longer than to look.
    later, after = np.diff(n), np.diff(micro)
    if np.any((later < 0) | (later == 0) & (after < 0)):
        order = np.lexsort((micro, n))
        n, micro, values, doubtful = n[order], micro[order], values[order], doubtful[order]
    index = np.searchsorted(ids, n.astype(np.int64))
    begin = min((since for _, (_, since) in given), default=0)
    dated = _levels(conn, set(levels))
    for number, (key, rows) in enumerate(dated.items(), start=len(given)):
        place[key] = number
        steps.append(FOREVER)
        summed.append(False)
        index = np.append(index, np.full(len(rows), number))
        # What began before anything that is looked at is in force from there on: the axis stays short.
        micro = np.append(micro, np.maximum(np.array([row[0] for row in rows], dtype=np.int64), begin))
        values = np.append(values, np.array([np.nan if row[1] is None else row[1] for row in rows], dtype=np.float64))
        doubtful = np.append(doubtful, np.zeros(len(rows)))
    return Columns.of(index, micro, values, doubtful > 0, steps or [FOREVER], summed=summed or [False]), place


def _levels(
    conn: Connection, wanted: Iterable[tuple[int, int | str]]
) -> dict[tuple[int, int | str], list[tuple[int, float | None]]]:
    """(station_id, level) -> (µs from which on, metres above gauge zero or None where the set has no such level)."""
    numbered = sorted((station, level) for station, level in wanted if isinstance(level, int))
    named = sorted((station, level) for station, level in wanted if isinstance(level, str))
    found: dict[tuple[int, int | str], list[tuple[int, float | None]]] = {}
    for query, asked in ((_NUMBERED, numbered), (_NAMED, named)):
        if not asked:
            continue
        for station_id, level, valid_from, value in conn.execute(query, transposed(asked, 2)).fetchall():
            found.setdefault((station_id, level), []).append((micros(valid_from), value))
    return found


# Where the water leaves the river, 5, is also what a 危機管理型 gauge calls its overflow level, without a number.
_NUMBERED = """
    select asked.station_id, asked.level, t.valid_from, coalesce(l.value, m.value)
    from unnest(%s::integer[], %s::integer[]) as asked (station_id, level)
    join threshold_set t using (station_id)
    left join threshold_level l on l.threshold_set_id = t.threshold_set_id and l.level = asked.level
    left join threshold_mark m on m.threshold_set_id = t.threshold_set_id and m.kind = 'overflow' and asked.level = 5
    order by asked.station_id, asked.level, t.valid_from, t.threshold_set_id
"""
_NAMED = """
    select asked.station_id, asked.name, t.valid_from, coalesce(
               (select min(l.value) from threshold_level l
                where l.threshold_set_id = t.threshold_set_id and l.name = asked.name),
               (select m.value from threshold_mark m
                where m.threshold_set_id = t.threshold_set_id and m.name = asked.name and m.kind <> 'design'))
    from unnest(%s::integer[], %s::text[]) as asked (station_id, name)
    join threshold_set t using (station_id)
    order by asked.station_id, asked.name, t.valid_from, t.threshold_set_id
"""
# `offset 0`: series by series, from the index. The planner does not know how recent `since` is, and would else rather
# join with all that was ever observed: 24 million rows for ten of each of 10,000 series.
# The number of a series, and a half more where the reading is doubtful: each column costs as much as finding the rows.
_READ = """
    select case when o.quality = 'doubtful' and o.reason is distinct from 'clock'
                then asked.datastream_id + 0.5::float8 else asked.datastream_id::float8 end,
           date_part('epoch', o.phenomenon_time), o.value
    from (
        select datastream_id, to_timestamp(since) as since
        from unnest(%(ids)s::integer[], %(since)s::float8[]) as asked (datastream_id, since)
    ) asked
    cross join lateral (
        select phenomenon_time, value, quality, reason from {}
        where datastream_id = asked.datastream_id and phenomenon_time >= asked.since
          and phenomenon_time <= to_timestamp(%(until)s::float8) and quality not in ('bad', 'missing')
        offset 0
    ) o
"""

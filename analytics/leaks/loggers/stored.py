"""Suspects of the loggers in a town's database, and what people found out about them.

    told(conn, town, network, first, day) -> (Told, sizes)     what detection has to know of earlier nights and of cases
    open_suspect(...) -> Changes                               a finding `leak_suspect` with its pipes
    end_settled(conn, town, now) -> Changes                    ends those that are decided
    judged(conn, town) -> Watch | None                         the last night
    put_area(...)                                              the pipes of a finding
    suspects(conn, town) -> {finding_id: Area}                 the pipes, for who may see where pipes are

A finding stands at the logger that is nearest to the pipe to begin at and has none open: at a station there is one of a
kind. It ends when its case is repaired or ended without a leak; without a case after `AGAIN_DAYS`, when the same place
may be spoken of anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from analytics.findings import Changes, Finding, Kind, end, open_or_update
from analytics.leaks.cases import stored as cases
from analytics.leaks.cases.case import FOUND, REPAIRED, Case
from analytics.leaks.detection import sudden
from analytics.leaks.detection.report import Report
from analytics.leaks.detection.year import AGAIN_DAYS, LEAST, Told
from analytics.leaks.network.pipes import Floats, Ints, Network
from store.connection import Connection

KIND: Kind = "leak_suspect"
RULE_VERSION = "leak_suspect:1"

_MEANS = {"pressures": "pressures", "inlets": "inlets", "customers' meters": "meters"}


@dataclass(frozen=True, slots=True)
class Watch:
    """The last `day` of data that was judged; `days` of the record, `loggers` used; `why` nothing could be said, None
    where it could."""

    day: date
    worked_at: datetime
    network_id: int | None
    days: int
    loggers: int
    by_model: bool
    why: str | None


@dataclass(frozen=True, slots=True)
class Area:
    """Pipes of a version of the network, likeliest first, with the chances that it is each; `pipe` to begin at
    and its `name`; `km` of them all."""

    network_id: int
    day: date
    pipe: int
    name: str
    pipes: tuple[int, ...]
    chances: tuple[float, ...]
    km: float


def judged(conn: Connection, municipality_id: int) -> Watch | None:
    """None: never yet."""
    row = conn.execute(
        """
        select day, worked_at, pipe_network_id, days, loggers, by_model, why from leak_watch where municipality_id = %s
        """,
        (municipality_id,),
    ).fetchone()
    return None if row is None else Watch(*row)


def put_judged(conn: Connection, municipality_id: int, watch: Watch) -> None:
    """The town's newest night."""
    conn.execute(
        """
        insert into leak_watch (municipality_id, day, worked_at, pipe_network_id, days, loggers, by_model, why)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (municipality_id) do update set (day, worked_at, pipe_network_id, days, loggers, by_model, why)
            = (excluded.day, excluded.worked_at, excluded.pipe_network_id, excluded.days, excluded.loggers,
               excluded.by_model, excluded.why)
        """,
        (
            municipality_id,
            watch.day,
            watch.worked_at,
            watch.network_id,
            watch.days,
            watch.loggers,
            watch.by_model,
            watch.why,
        ),
    )


def faults(conn: Connection, municipality_id: int) -> dict[int, date]:
    """Until which day a logger is not believed, by station id."""
    return dict(
        conn.execute(
            "select station_id, until from logger_fault where municipality_id = %s", (municipality_id,)
        ).fetchall()
    )


def put_faults(conn: Connection, municipality_id: int, until: Mapping[int, date]) -> None:
    """In place of those before."""
    conn.execute("delete from logger_fault where municipality_id = %s", (municipality_id,))
    for station_id, day in until.items():
        conn.execute("insert into logger_fault values (%s, %s, %s)", (station_id, municipality_id, day))


def told(
    conn: Connection, municipality_id: int, network: Network, start: datetime, sensors: Sequence[int]
) -> tuple[Told, dict[int, float]]:
    """For a record that begins at `start`, with the loggers of these station ids; and the m3/h, by pipe, of leaks that
    were found and still run. Pipes that the network does not have any more say nothing.
    """
    place = {name: at for at, name in enumerate(network.pipes.names)}
    first = start.date()

    said = []
    for day, name in conn.execute(
        """
        select s.day, p.name from leak_suspect s join network_pipe p using (pipe_network_id, pipe)
        join finding f using (finding_id)
        where s.municipality_id = %s and f.kind in (%s, 'burst')
          -- A burst that is over by itself says nothing of a leak there: the nights may find one.
          and (f.ended_at is null or f.kind = 'leak_suspect' and f.detail->'sudden' is null
               or exists (select from leak_case c where c.finding_id = f.finding_id))
        order by s.leak_suspect_id
        """,
        (municipality_id, KIND),
    ):
        if name in place:
            said.append(((day - first).days + 1, place[name]))
    mended, running = [], {}
    known = cases.cases(conn, municipality_id)
    for case, name in zip(known, _pipes(conn, known), strict=True):
        found, repaired = case.last(FOUND), case.last(REPAIRED)
        if found is None or name not in place:
            continue
        if repaired is not None:
            # What was repaired in the afternoon has its first whole day tomorrow.
            mended.append((round((repaired.at - start) / timedelta(days=1)), place[name]))
        elif case.state == FOUND:
            running[place[name]] = case.size_m3h or 0.0
    out = faults(conn, municipality_id)
    faulty = {at: (out[each] - first).days for at, each in enumerate(sensors) if each in out}
    return Told(tuple(said), tuple(mended), tuple(running), faulty), {p: size for p, size in running.items() if size}


def _pipes(conn: Connection, known: Iterable[Case]) -> list[str]:
    """The pipe that leaked, else the one to begin at, of each case; '' where neither is said."""
    several = list(known)
    asked = [(each.network_id, each.suspect) for each in several if each.suspect is not None]
    names = {
        (network, pipe): name
        for network, pipe, name in conn.execute(
            """
            select p.pipe_network_id, p.pipe, p.name
            from unnest(%s::integer[], %s::integer[]) as asked (pipe_network_id, pipe)
            join network_pipe p using (pipe_network_id, pipe)
            """,
            ([network for network, _ in asked], [pipe for _, pipe in asked]),
        )
    }
    said = [(each.last(FOUND), names.get((each.network_id, each.suspect), "")) for each in several]
    return [found.pipe if found is not None and found.pipe else name for found, name in said]


def open_suspect(
    conn: Connection,
    municipality_id: int,
    network_id: int,
    report: Report,
    *,
    start: datetime,
    day: date,
    stations: Sequence[int],
    series: int,
    by_model: bool,
    more: Mapping[str, Any] | None = None,
) -> Changes:
    """`stations`: where the finding may stand, best first; `series`: the flow that the size is counted in; `more` of
    its detail. Nothing where each of them has one open.
    """
    taken = {
        row[0]
        for row in conn.execute(
            "select station_id from finding where kind = %s and ended_at is null and station_id = any(%s)",
            (KIND, list(stations)),
        )
    }
    station = next((each for each in stations if each not in taken), None)
    if station is None:
        return []
    began, until = (start + timedelta(seconds=each) for each in report.began)
    finding = Finding(
        municipality_id,
        station,
        series,
        KIND,
        began,
        round(report.size, 1),
        None,
        round(report.strength / (sudden.LEAST if more and "sudden" in more else LEAST**0.5), 2),
        RULE_VERSION,
        {
            "until": until.isoformat(),
            "km": round(report.search_km, 2),
            "holds": round(report.holds, 2),
            "growth": report.growth,
            "likeness": round(report.likeness, 2),
            "means": [_MEANS[each] for each in report.means],
            "by_model": by_model,
            **(more or {}),
        },
    )
    changes = open_or_update(conn, finding)
    for _, finding_id in changes:
        put_area(conn, municipality_id, finding_id, network_id, day, report.pipe, report.area, report.chances)
    return changes


def put_area(
    conn: Connection,
    municipality_id: int,
    finding_id: int,
    network_id: int,
    day: date,
    pipe: int,
    pipes: Ints,
    chances: Floats,
) -> None:
    """The pipes that a finding speaks for, in place of those before; nothing where all is the same."""
    conn.execute(
        """
        insert into leak_suspect (municipality_id, finding_id, pipe_network_id, day, pipe, pipes, chances)
        select %(town)s, %(finding)s, %(network)s, %(day)s, %(pipe)s, %(pipes)s, %(chances)s
        where not exists (
            select from (
                select pipe_network_id, pipes, chances from leak_suspect
                where finding_id = %(finding)s order by leak_suspect_id desc limit 1
            ) newest
            where newest.pipe_network_id = %(network)s and newest.pipes = %(pipes)s::integer[]
              and newest.chances = %(chances)s::double precision[])
        """,
        {
            "town": municipality_id,
            "finding": finding_id,
            "network": network_id,
            "day": day,
            "pipe": pipe,
            "pipes": pipes.tolist(),
            "chances": np.round(chances, 5).tolist(),
        },
    )


def has_area(conn: Connection, finding_id: int) -> bool:
    """Whether pipes are known that this finding speaks for."""
    return conn.execute("select from leak_suspect where finding_id = %s limit 1", (finding_id,)).fetchone() is not None


def end_settled(conn: Connection, municipality_id: int, now: datetime) -> Changes:
    """Ends what was repaired, was none, or is old and nobody looked for it."""
    changes: Changes = []
    rows = conn.execute(
        """
        select f.finding_id, f.station_id, f.started_at, s.day, c.leak_case_id
        from finding f join leak_suspect s using (finding_id)
        left join leak_case c on c.finding_id = f.finding_id
        where f.municipality_id = %s and f.kind = %s and f.ended_at is null
        """,
        (municipality_id, KIND),
    ).fetchall()
    for _, station, started, day, case_id in rows:
        if case_id is None:
            if (now.date() - day).days > AGAIN_DAYS:
                changes += end(conn, station, KIND, now)
            continue
        (case,) = cases.cases(conn, municipality_id, case_id)
        if case.settled is not None:
            changes += end(conn, station, KIND, max(started, case.settled.at))
    return changes


def suspects(conn: Connection, municipality_id: int) -> dict[int, Area]:
    """By finding id, of the loggers' pressures and of what is heard; the newest of each."""
    return {
        row[0]: Area(row[1], row[2], row[3], row[4], tuple(row[5]), tuple(row[6]), row[7])
        for row in conn.execute(
            """
            select s.finding_id, s.pipe_network_id, s.day, s.pipe, p.name, s.pipes, s.chances,
                   (select coalesce(sum(a.length_m), 0) / 1000 from network_pipe a
                    where a.pipe_network_id = s.pipe_network_id and a.pipe = any(s.pipes))
            from leak_suspect s join network_pipe p using (pipe_network_id, pipe)
            where s.municipality_id = %s order by s.leak_suspect_id
            """,
            (municipality_id,),
        )
    }

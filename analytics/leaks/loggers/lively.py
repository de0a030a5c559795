"""Looks at a town's pressures whenever readings have come in: a pipe that bursts is told within minutes.

    look(conn, town, zone, kept, watched) -> Changes        judges what is new; what changed, which was announced

For towns whose inlets, tanks and at least three loggers of a part of the network send every 15 minutes or more often
(`detection.sudden`). What is usual is learned once a day, from the 31 days before; of a restart nothing is lost but the
seconds of learning it again. The last two hours are judged each time, so that what comes late is judged too, and in
which batches it comes does not matter.

A burst is a finding `leak_suspect` with `sudden` in its detail. Where the inflow's own rule has told it already
(`burst` at an inlet of this part, within three hours), its finding gets the pipes, and nothing is told twice;
`analytics.leaks.watch` does the same the other way round. It ends when the pressures of a whole hour are back: less
than a quarter of its size (at least 1 m3/h) is left against the three hours before it began. What was over by itself
does not keep the nights from finding a leak there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from scipy import sparse

from analytics.findings import Changes, Finding, announce, end, open_or_update
from analytics.leaks.burst import LOOK_BACK, OVER_FOR, OVER_LEAST, OVER_SHARE
from analytics.leaks.detection.record import Part, parts
from analytics.leaks.detection.sudden import (
    BEFORE,
    FEWEST,
    FIRST,
    LEARNED,
    NOW,
    Strong,
    Usual,
    differences,
    directions,
    report,
)
from analytics.leaks.emptying import behind, lasts
from analytics.leaks.loggers import places, stored
from analytics.leaks.loggers.known import NO_NUMBERS, Kept, keep, nearest, placed_names
from analytics.leaks.loggers.measured import Measured, Quick, measured, step, supplied
from analytics.leaks.loggers.places import Located, Placed
from analytics.leaks.network import stored as networks
from analytics.leaks.network.pipes import Floats, Ints, Network
from store.connection import Connection
from store.observations import series

log = structlog.get_logger(__name__)

_DAY = timedelta(days=1)
_WINDOWS = timedelta(seconds=NOW + BEFORE)


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """A part with what is usual in it. `inlets` station ids."""

    part: Part
    usual: Usual
    lengths: Floats
    near: sparse.csr_array
    inlets: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    """What a town's day is judged by."""

    network_id: int
    network: Network
    placed: list[Placed]
    where: Located
    pace: timedelta
    used: Ints
    parts: list[_Watched]
    found: Measured
    by_model: bool


@dataclass(slots=True)
class Watched:
    """Kept between looks: what was learned and by which (`key`), and the readings that were looked at (`seen`)."""

    key: object = None
    learned: _Learned | None = None
    seen: object = None


@dataclass(frozen=True, slots=True)
class _Told:
    """A finding of a part: of the pressures (`sudden`) or of its inflow; `pipe` where it has pipes."""

    finding: Finding
    ended_at: datetime | None
    finding_id: int
    sudden: bool
    network_id: int | None
    pipe: int | None


def look(conn: Connection, municipality_id: int, zone: ZoneInfo, kept: Kept, watched: Watched) -> Changes:
    """`conn` in autocommit. Nothing where no reading has come since the last look."""
    newest, seen = conn.execute(
        """
        select max(l.phenomenon_time), sum(extract(epoch from l.phenomenon_time))
        from logger_place p
        join datastream d on d.station_id = p.station_id and d.drill_run is null
             and d.observed_property in ('flow', 'pressure', 'tank_level')
        join datastream_latest l using (datastream_id)
        where p.municipality_id = %s
        """,
        (municipality_id,),
    ).fetchone() or (None, None)
    if newest is None or seen == watched.seen:
        return []
    watched.seen = seen
    try:
        learned = _known(conn, municipality_id, zone, newest, kept, watched)
        return [] if learned is None else _judged(conn, municipality_id, zone, newest, learned)
    except NO_NUMBERS:
        # The nights still look, and the next reading is a new chance.
        log.exception("leak_bursts_failed", municipality=municipality_id)
        return []


def _known(
    conn: Connection, town: int, zone: ZoneInfo, newest: datetime, kept: Kept, watched: Watched
) -> _Learned | None:
    number = networks.present(conn, town)
    if number is None:
        return None
    placed = places.stations(conn, town)
    said = tuple((each.station_id, each.element, each.reversed, each.faulty_until is not None) for each in placed)
    key = (number, newest.astimezone(zone).date(), said)
    if watched.key != key:
        # What could not be learned is tried again tomorrow, or when somebody has changed a place.
        watched.key, watched.learned = key, None
        watched.learned = _learned(conn, town, zone, newest, number, placed, kept)
    return watched.learned


def _learned(
    conn: Connection, town: int, zone: ZoneInfo, newest: datetime, number: int, placed: list[Placed], kept: Kept
) -> _Learned | None:
    drawn = networks.network_of(conn, town, number)
    where = places.located(drawn, placed)
    pace = step(conn, placed, where)
    if pace is None or not where.link:
        return None
    network = supplied(drawn, placed, where)
    midnight = _midnight(newest, zone)
    start = midnight - LEARNED * _DAY
    found = measured(conn, network, placed, where, start, LEARNED, Quick(pace, start, midnight))
    flows = np.isfinite(found.record.flows).all(axis=1).reshape(LEARNED, -1)
    if (flows.mean(axis=1) >= 0.5).sum() < FIRST:
        return None
    _, running = stored.told(conn, town, network, start, found.sensors)
    keep(kept, network, (number, found.sensors, found.flows, placed_names(placed, where)), found, running)
    assert kept.effects is not None and kept.near is not None
    faulty = {each.station_id for each in placed if each.faulty_until is not None}
    used = np.flatnonzero([each not in faulty for each in found.sensors])
    watched = []
    for part in parts(network, found.record, used):
        if part.values.shape[1] >= FEWEST:
            toward = directions(part, kept.effects.heads, kept.effects.shares)
            watched.append(
                _Watched(
                    part,
                    Usual(part, part.values, part.given, toward, found.record.per_day),
                    network.pipes.length[part.pipes],
                    kept.near[part.pipes][:, part.pipes],
                    tuple(found.flows[at] for at in part.inlets.tolist()),
                )
            )
    return _Learned(number, network, placed, where, pace, used, watched, found, kept.by_model)


def _judged(conn: Connection, town: int, zone: ZoneInfo, newest: datetime, learned: _Learned) -> Changes:
    start, rests = _rests(conn, zone, learned, newest - LOOK_BACK - _WINDOWS, newest)
    last = (newest - start) // learned.pace
    rows = np.arange(max(0, last - LOOK_BACK // learned.pace), last + 1)
    hours = (rows * learned.pace.total_seconds() // 3600).astype(np.int64) % 24
    changes: Changes = []
    with conn.transaction():
        for one, rest in zip(learned.parts, rests, strict=True):
            told = _told(conn, town, one, newest)
            open_ = [each for each in told if each.sudden and each.ended_at is None]
            for each in open_:
                changes += _goes_on(conn, zone, newest, learned, one, each, rest[: last + 1])
            if open_:
                continue
            moved = differences(rest, learned.pace.total_seconds())[rows]
            over = [each.ended_at for each in told if each.sudden and each.ended_at is not None]
            for strong in one.usual.strong(moved, hours):
                at = start + (int(rows[strong.row]) + 1) * learned.pace
                if not over or at > max(over) + timedelta(seconds=BEFORE):
                    changes += _open(conn, town, zone, newest, learned, one, strong, at, told)
                    break
        announce(conn, changes)
    return changes


def _rests(
    conn: Connection, zone: ZoneInfo, learned: _Learned, since: datetime, until: datetime
) -> tuple[datetime, list[Floats]]:
    """Of each part what use does not explain, (n, c) by the step from a midnight on; nan outside of since to until."""
    start = _midnight(since, zone)
    days = (until.astimezone(zone).date() - start.date()).days + 1
    quick = Quick(learned.pace, since, until + timedelta(microseconds=1))
    found = measured(conn, learned.network, learned.placed, learned.where, start, days, quick)
    several = {int(each.pipes[0]): each for each in parts(learned.network, found.record, learned.used)}
    now = [several[int(one.part.pipes[0])] for one in learned.parts]
    return start, [one.usual.rest(each.values, each.given) for one, each in zip(learned.parts, now, strict=True)]


def _open(
    conn: Connection,
    town: int,
    zone: ZoneInfo,
    newest: datetime,
    learned: _Learned,
    one: _Watched,
    strong: Strong,
    at: datetime,
    told: list[_Told],
) -> Changes:
    began = at - timedelta(seconds=2 * NOW)
    said = report(one.part, strong, 2 * NOW, one.lengths, one.near)
    day = at.astimezone(zone).date()
    same = next((each for each in told if not each.sudden and each.ended_at is None), None)
    if same is not None and abs(same.finding.started_at - at) <= timedelta(seconds=BEFORE):
        if not stored.has_area(conn, same.finding_id):  # what was said first stays
            stored.put_area(conn, town, same.finding_id, learned.network_id, day, said.pipe, said.area, said.chances)
        return []
    return stored.open_suspect(
        conn,
        town,
        learned.network_id,
        said,
        start=began,
        day=day,
        stations=nearest(learned.network, said, learned.found, learned.where),
        series=learned.found.flow_series[int(one.part.inlets[0])],
        by_model=learned.by_model,
        more={"sudden": True, "inlets": list(one.inlets), **_tank(conn, one, began, said.size, newest)},
    )


def _goes_on(
    conn: Connection,
    zone: ZoneInfo,
    newest: datetime,
    learned: _Learned,
    one: _Watched,
    told: _Told,
    rest: Floats,
) -> Changes:
    """Ends it where the pressures are back; else how long its tank lasts now."""
    finding = told.finding
    size = finding.value or 0.0
    hour = OVER_FOR // learned.pace
    place = np.flatnonzero(one.part.pipes == told.pipe)
    if newest - datetime.fromisoformat(finding.detail["until"]) >= OVER_FOR and told.network_id == learned.network_id:
        _, before = _rests(conn, zone, learned, finding.started_at - timedelta(seconds=BEFORE), finding.started_at)
        at = learned.parts.index(one)
        left = one.usual.size(_mean(rest[-hour:], hour) - _mean(before[at], 3 * hour), int(place[0]))
        if left < max(OVER_LEAST, OVER_SHARE * size):
            return end(conn, finding.station_id, stored.KIND, newest)
    detail = {name: said for name, said in finding.detail.items() if not name.startswith("tank")}
    detail |= _tank(conn, one, finding.started_at, size, newest)
    return open_or_update(conn, Finding(**{**_fields(finding), "detail": detail}))


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__slots__}


def _mean(rest: Floats, steps: int) -> Floats:
    """(c,), nan where less than half of so many steps are known."""
    there = np.isfinite(rest)
    count = there.sum(axis=0)
    return np.where(count * 2 >= steps, np.where(there, rest, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _tank(conn: Connection, one: _Watched, began: datetime, size: float, newest: datetime) -> dict[str, Any]:
    fed = behind(conn, one.inlets)
    if fed is None:
        return {}
    tank, level = fed
    return lasts(
        tank, series(conn, [level], min(began, newest) - timedelta(hours=3), newest)[level], began, size, newest
    )


def _told(conn: Connection, town: int, one: _Watched, newest: datetime) -> list[_Told]:
    """The open findings of a part and those that were over lately."""
    return [
        _Told(Finding(town, *row[:9]), *row[9:])
        for row in conn.execute(
            """
            select f.station_id, f.datastream_id, f.kind, f.started_at, f.value, f.usual, f.score, f.rule_version,
                   f.detail, f.ended_at, f.finding_id, f.kind = 'leak_suspect', s.pipe_network_id, s.pipe
            from finding f left join leak_suspect s using (finding_id)
            where f.municipality_id = %(town)s and (f.ended_at is null or f.ended_at > %(lately)s)
              and (f.kind = 'burst' and f.station_id = any(%(inlets)s)
                   or f.kind = 'leak_suspect' and f.detail->'inlets' = to_jsonb(%(inlets)s::integer[]))
            order by f.finding_id
            """,
            {"town": town, "lately": newest - _DAY, "inlets": list(one.inlets)},
        )
    ]


def _midnight(at: datetime, zone: ZoneInfo) -> datetime:
    return datetime.combine(at.astimezone(zone).date(), time(), zone)

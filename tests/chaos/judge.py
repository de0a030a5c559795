"""Counts, after a round, what is in the database against what the broker took.

    sent, stored    distinct transmissions (device, session, counter) that the broker has acknowledged; that are stored
    lost            sent and not stored
    unnamed         of these, which the town does not list as 欠番 (`frame_gap`): a loss that nobody would see
    doubled         transmissions stored a second time, and observations that two rows claim to be the current one
    strange         stored and never published
    bare            accepted, but neither an observation nor a revision came of it
    open_per_cause  the largest number of open alerts that one cause has

and in words, `complaints`: whatever else is not as it has to be.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta

from store import Connection
from store.town_clock import load_clock
from tests.chaos.fleet import Transmission

LONGEST_WAIT = timedelta(minutes=6)  # of town time: the series report every minute, and the clock is looked at often


@dataclass(frozen=True)
class Figures:
    """What one round left."""

    sent: int
    stored: int
    lost: int
    unnamed: int
    doubled: int
    strange: int
    bare: int
    open_per_cause: int
    repeats: int
    lost_ones: frozenset[Transmission]
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Mark:
    """How far the town was when a round began."""

    uplink_id: int
    cursors: dict[str, int]


def mark(conn: Connection) -> Mark:
    row = conn.execute("select coalesce(max(uplink_id), 0) from uplink").fetchone()
    assert row is not None
    return Mark(row[0], _cursors(conn))


def stored_since(conn: Connection, begun: Mark) -> Counter[Transmission]:
    """What has come in since."""
    return Counter(
        {
            (device, session, counter): n
            for device, session, counter, n in conn.execute(
                "select device_key, session, counter, count(*) from uplink where uplink_id > %s group by 1, 2, 3",
                (begun.uplink_id,),
            )
        }
    )


def judge(
    conn: Connection,
    begun: Mark,
    sent: Set[Transmission],
    published: Set[Transmission],
    lost_before: Set[Transmission],
    rivers: dict[str, bool],
    chance: random.Random,
) -> Figures:
    """`lost_before`: in earlier rounds. `rivers`: of each gauge's device, whether its last word was high."""
    stored = stored_since(conn, begun)
    lost = sent - stored.keys()
    named = _named(conn)
    return Figures(
        sent=len(sent),
        stored=len(stored),
        lost=len(lost),
        unnamed=len(lost - named),
        doubled=sum(n - 1 for n in stored.values()) + _doubled_observations(conn),
        strange=len(stored.keys() - published),
        bare=_bare(conn, begun),
        open_per_cause=_open_per_cause(conn),
        repeats=_number(conn, "select coalesce(sum(repeats), 0) from uplink where uplink_id > %s", begun.uplink_id),
        lost_ones=frozenset(lost),
        complaints=[
            *_named_wrongly(named - lost - lost_before),
            *_counts_wrong(conn),
            *_quarantined(conn, begun),
            *_cursors_wrong(conn, begun),
            *_alerts_wrong(conn, rivers),
            *_histories_wrong(conn),
            *_rollups_wrong(conn, _some({device for device, _, _ in sent}, chance)),
        ],
    )


def _some(devices: Set[str], chance: random.Random) -> list[str]:
    return chance.sample(sorted(devices), min(5, len(devices)))


def _named(conn: Connection) -> set[Transmission]:
    """What the town itself says is missing, by name."""
    return {
        (device, session, counter)
        for device, session, counter in conn.execute(
            "select d.key, r.session, generate_series(g.from_counter, g.to_counter) "
            "from frame_gap g join frame_run r using (frame_run_id) join device d on d.device_id = r.device_id"
        )
    }


def _named_wrongly(named: Set[Transmission]) -> list[str]:
    some = ", ".join(f"{device} {counter}" for device, _, counter in sorted(named)[:3])
    return [f"{len(named)} listed as 欠番 that are not missing: {some}"] if named else []


def _counts_wrong(conn: Connection) -> list[str]:
    """The count from inside closes, and agrees with the messages that are stored."""
    wrong = [
        f"the count of device {device} at {hour} does not close"
        for device, hour in conn.execute(
            "select device_id, hour from delivery_count where delivered <> accepted + event + duplicate + quarantined "
            "or given <> stored + unchanged + revised limit 3"
        )
    ]
    counted, stored = (
        conn.execute(sql).fetchone()
        for sql in (
            "select sum(accepted), sum(quarantined), sum(duplicate) from delivery_count",
            "select count(*) filter (where outcome = 'accepted'), count(*) filter (where outcome = 'quarantined'), "
            "sum(repeats) from uplink",
        )
    )
    if counted != stored:
        wrong.append(f"accepted, quarantined, duplicate: counted {counted}, stored {stored}")
    return wrong


def _doubled_observations(conn: Connection) -> int:
    """The primary key forbids it; a table whose key was lost would show it."""
    return _number(conn, "select count(*) - count(distinct (datastream_id, phenomenon_time)) from observation")


def _bare(conn: Connection, begun: Mark) -> int:
    return _number(
        conn,
        """
        select count(*) from uplink u where outcome = 'accepted' and uplink_id > %s
        and not exists (select from observation o where o.uplink_id = u.uplink_id)
        and not exists (select from observation_revision r where r.uplink_id = u.uplink_id)
        """,
        begun.uplink_id,
    )


def _open_per_cause(conn: Connection) -> int:
    return _number(
        conn,
        "select coalesce(max(n), 0) from (select count(*) as n from alert where cleared_at is null "
        "group by municipality_id, station_id, rule, mode, cause, alert_rule_id) as c",
    )


def _quarantined(conn: Connection, begun: Mark) -> list[str]:
    return [
        f"{n} messages quarantined: {reason}: {detail}"
        for reason, detail, n in conn.execute(
            "select reason, min(detail), count(*) from uplink "
            "where outcome = 'quarantined' and uplink_id > %s group by 1",
            (begun.uplink_id,),
        )
    ]


def _cursors(conn: Connection) -> dict[str, int]:
    return dict(conn.execute("select consumer, feed_id from feed_cursor").fetchall())


def unread(conn: Connection) -> bool:
    """Whether a consumer of the feed has observations before it that it has not answered."""
    answered = _number(conn, "select coalesce(max(feed_id), 0) from feed where kind = 'observations'")
    return any(at < answered for at in _cursors(conn).values())


def _cursors_wrong(conn: Connection, begun: Mark) -> list[str]:
    """A cursor never moves back, never beyond what there is, and in the end stands at the newest observation."""
    newest = _number(conn, "select coalesce(max(feed_id), 0) from feed")
    answered = _number(conn, "select coalesce(max(feed_id), 0) from feed where kind = 'observations'")
    now = _cursors(conn)
    return [
        f"cursor of {consumer} at {at}, was {begun.cursors.get(consumer, 0)}; observations to {answered} of {newest}"
        for consumer, at in now.items()
        if not max(begun.cursors.get(consumer, 0), answered) <= at <= newest
    ]


def _alerts_wrong(conn: Connection, rivers: dict[str, bool]) -> list[str]:
    """A river whose last word was above a threshold has one open alert, any other none."""
    opened: dict[str, int] = dict(
        conn.execute(
            """
            select d.key, count(a.alert_id) from device d
            join attachment t using (device_id)
            left join alert a on a.station_id = t.station_id and a.rule = 'level' and a.cleared_at is null
            where d.key = any(%s) group by d.key
            """,
            (sorted(rivers),),
        ).fetchall()
    )
    return [
        f"gauge {device}: {opened.get(device)} open alerts, the river is {'high' if high else 'low'}"
        for device, high in sorted(rivers.items())
        if opened.get(device) != int(high)
    ]


def _histories_wrong(conn: Connection) -> list[str]:
    """Every alert was raised once and first, cleared at most once and last. Of steps that came together only the last
    is told, and what was known late when it is said again: so of what stands open the level, or a higher one, was told,
    and of what was told its end (not where the same batch raised it anew; an outage ends what it explains without
    another word). What one doubtful reading alone says may wait, for no longer than `LONGEST_WAIT`: of that what is
    confirmed was told all the same. Nobody works at these devices.
    """
    rows = conn.execute(
        """
        with steps as (
            select alert_id, array_agg(event order by alert_history_id) filter (where event <> 'told') as events,
                   count(*) filter (where event <> 'told') as n, sum(told.n) as told,
                   max(level) filter (where told.n > 0) as told_level,
                   bool_and(told.n > 0) filter (where event = 'cleared') as end_told,
                   bool_or(unconfirmed) filter (where event = 'cleared') as taken_back
            from alert_history h
            cross join lateral (
                select count(*) as n from outbox o
                where o.alert_history_id = h.alert_history_id and o.channel = 'log') told
            where event in ('raised', 'escalated', 'lowered', 'confirmed', 'told', 'cleared') group by alert_id
        )
        select a.alert_id, a.rule, coalesce(s.events, '{}'), s.n, s.told from alert a left join steps s using (alert_id)
        where coalesce(s.events[1], '') <> 'raised'
           or cardinality(array_positions(s.events, 'raised')) <> 1
           or (a.cleared_at is not null) <> (s.events[s.n] = 'cleared')
           or cardinality(array_positions(s.events, 'cleared')) > 1
           or a.cleared_at is null and a.withheld is null and (s.told = 0 or s.told_level < a.level)
           or a.cleared_at is null and a.withheld is not null and (
               a.withheld <> 'unconfirmed' or a.level is not distinct from a.confirmed_level
               or coalesce(s.told_level, 0) < a.confirmed_level or a.withheld_at < %s)
           or s.taken_back and a.confirmed_level is not null
           or a.cleared_at is not null and a.part_of is null and s.told > 0 and not s.end_told
              and not exists (select from alert next
                              where next.station_id = a.station_id and next.rule = a.rule and next.mode = a.mode
                                and next.alert_id > a.alert_id and next.raised_at = a.cleared_at)
        order by 1 limit 5
        """,
        (load_clock(conn).now() - LONGEST_WAIT,),
    ).fetchall()
    return [f"alert {alert_id} ({rule}): {events}, {told} of {n} told" for alert_id, rule, events, n, told in rows]


def _rollups_wrong(conn: Connection, devices: Sequence[str]) -> list[str]:
    """Every hour and local day of some devices, against what the observations say when they are asked plainly."""
    wrong = []
    for table, key, bucket in (
        ("rollup_hour", "hour", "date_trunc('hour', o.phenomenon_time)"),
        ("rollup_day", "day", "(o.phenomenon_time at time zone m.timezone)::date"),
    ):
        rows = conn.execute(
            f"""
            with mine as (
                select s.datastream_id, s.municipality_id from device d join attachment t using (device_id)
                join datastream s on s.station_id = t.station_id where d.key = any(%(devices)s)
            ), plain as (
                select o.datastream_id, {bucket} as key, count(o.value) as n, min(o.value) as low, max(o.value) as high,
                       avg(o.value) as mean, max(o.quality) as worst
                from observation o join mine using (datastream_id) join municipality m using (municipality_id)
                group by 1, 2
            ), kept as (select r.* from {table} r join mine using (datastream_id))
            select coalesce(plain.datastream_id, kept.datastream_id), coalesce(plain.key, kept.{key}), plain.n, kept.n
            from plain full join kept on kept.datastream_id = plain.datastream_id and kept.{key} = plain.key
            where (plain.n, plain.low, plain.high, plain.worst)
                  is distinct from (kept.n, kept.minimum, kept.maximum, kept.worst_quality)
               or abs(plain.mean - kept.mean) > 1e-9 * abs(plain.mean)
            limit 3
            """.encode(),
            {"devices": list(devices)},
        ).fetchall()
        wrong += [f"{table}: series {series}, {at}: {n} observations, kept {kept}" for series, at, n, kept in rows]
    return wrong


def _number(conn: Connection, sql: str, *values: object) -> int:
    row = conn.execute(sql.encode(), values or None).fetchone()
    assert row is not None
    return int(row[0])

"""Corrects stored values of a stretch of time, in steps, so that nobody else waits long: what `mimamori correct` does.

    shift, scale     value + amount, value * amount; bad and missing values stay as they are
    missing          the values are taken out: quality missing
    confirm          the values stand, bad and doubtful ones too: quality good, reason confirmed
    reject           the values are false: quality bad, reason rejected; they stay to be seen
    replace          the values given, whatever stands there; None takes one out
    calibrate        value * amount + addend, of what one device measured (`store.settling`); a value keeps its verdict
                     where the new value allows it, and is judged again for how it moved

What was there before goes to `observation_revision`, with the town's time at which the correction was stated; who, why
and what is the row in `correction`. Every corrected value has the reason corrected, confirmed or rejected: nothing that
a device sends or a file says later stands above it. Rollups and findings follow through the change feed; verdicts on
values behind a corrected one, which were given beside what stood there before, are noted to be worked out again
(`store.verdicts`); old floods that come to light raise no alert.

Every step is a transaction with its row of the feed and its place in `correction`. Ended in the middle, the same
correction goes on where it ended; finished, it changes nothing any more unless it is asked for `again`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import groupby
from typing import LiteralString

from psycopg.sql import SQL

from devices.model import Quality, Reason
from store import chunks, feed, latest, verdicts
from store.arrays import transposed
from store.connection import Connection
from store.judged import count_past_as_judged

STEP = 20_000  # values of one transaction: some 20 compressed batches, and a second of work


class Operation(StrEnum):
    """What happens to the values."""

    SHIFT = "shift"
    SCALE = "scale"
    MISSING = "missing"
    CONFIRM = "confirm"
    REJECT = "reject"
    REPLACE = "replace"
    CALIBRATE = "calibrate"


Value = tuple[int, datetime, float | None]


@dataclass(frozen=True, slots=True)
class Correction:
    """What is asked: both ends inclusive. `amount` with shift, scale and calibrate; `source` and `values` with replace;
    `addend`, `device_id` and `calibration_id` with calibrate; `review_id` is whose it is, if it is of a review.
    """

    operation: Operation
    datastream_ids: tuple[int, ...]
    start: datetime
    end: datetime
    reason: str
    user_id: int
    amount: float | None = None
    source: str | None = None
    values: tuple[Value, ...] = ()
    addend: float | None = None
    device_id: int | None = None
    calibration_id: int | None = None
    review_id: int | None = None

    @property
    def digest(self) -> bytes:
        """The same for the same request, whoever types it."""
        said = [
            self.operation.value,
            self.amount,
            sorted(self.datastream_ids),
            self.start.timestamp(),
            self.end.timestamp(),
            self.reason,
            [(datastream_id, time.timestamp(), value) for datastream_id, time, value in sorted_values(self.values)],
        ]
        if self.operation is Operation.CALIBRATE:
            said += [self.addend, self.calibration_id]
        if self.review_id is not None:
            said.append(self.review_id)
        return sha256(json.dumps(said).encode()).digest()


@dataclass(slots=True)
class Report:
    """What became of the values: new ones (replace), changed ones, and those that needed no change.

    `resumed`: part of it had been done before. `finished_before`: all of it, and nothing was done now.
    """

    correction_id: int
    stored: int
    revised: int
    unchanged: int
    resumed: bool
    finished_before: bool
    steps: int = 0


def sorted_values(values: Sequence[Value]) -> list[Value]:
    """In the order in which they are written."""
    return sorted(values, key=lambda value: value[:2])


def correct(
    conn: Connection,
    municipality_id: int,
    asked: Correction,
    *,
    stated: datetime,
    paces: Mapping[int, timedelta],
    again: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Does it, committing step by step; `progress` hears how many values are behind it, of how many.

    `paces` gives the usual step of each datastream. Raises psycopg.Error; then what was committed before stays, and
    the same call goes on from there.
    """
    report = _begin(conn, municipality_id, asked, stated, again)
    if report.finished_before:
        return report
    if asked.operation is Operation.REPLACE:
        _replace(conn, municipality_id, asked, report, paces, progress)
    else:
        _change(conn, municipality_id, asked, report, paces, progress)
    with conn.transaction():
        conn.execute("update correction set finished = true where correction_id = %s", (report.correction_id,))
    conn.commit()
    return report


def _begin(conn: Connection, municipality_id: int, asked: Correction, stated: datetime, again: bool) -> Report:
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtext('correction'))")
        held = conn.execute(
            """
            select correction_id, stored, revised, unchanged, finished, again from correction
            where municipality_id = %s and digest = %s order by again desc limit 1
            """,
            (municipality_id, asked.digest),
        ).fetchone()
        if held is not None and (not held[4] or not again):
            report = Report(held[0], held[1], held[2], held[3], resumed=True, finished_before=bool(held[4]))
        else:
            row = conn.execute(
                """
                insert into correction (municipality_id, digest, again, operation, amount, addend, source,
                                        datastream_ids, from_time, to_time, reason, user_id, stated_at)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning correction_id
                """,
                (
                    municipality_id,
                    asked.digest,
                    0 if held is None else held[5] + 1,
                    asked.operation.value,
                    asked.amount,
                    asked.addend,
                    asked.source,
                    sorted(asked.datastream_ids),
                    asked.start,
                    asked.end,
                    asked.reason,
                    asked.user_id,
                    stated,
                ),
            ).fetchone()
            assert row is not None
            report = Report(row[0], 0, 0, 0, resumed=False, finished_before=False)
    conn.commit()
    return report


def _change(
    conn: Connection,
    municipality_id: int,
    asked: Correction,
    report: Report,
    paces: Mapping[int, timedelta],
    progress: Callable[[int, int], None],
) -> None:
    total = _count(conn, asked)
    conn.commit()
    for datastream_id in sorted(asked.datastream_ids):
        while _change_step(conn, municipality_id, asked, report, paces, datastream_id):
            progress(report.revised + report.unchanged, total)


def _change_step(
    conn: Connection,
    municipality_id: int,
    asked: Correction,
    report: Report,
    paces: Mapping[int, timedelta],
    datastream_id: int,
) -> bool:
    """The next values of one datastream, in a transaction; whether there were any."""
    value, quality, why, applies = _RULES[asked.operation]
    with _step(conn, report) as place:
        if place[0] > datastream_id:
            return False
        parameters = {
            "municipality": municipality_id,
            "datastream": datastream_id,
            "after": place[1] if place[0] == datastream_id else None,
            "start": asked.start,
            "end": asked.end,
            "most": STEP,
            "amount": asked.amount,
            "addend": asked.addend,
            "device": asked.device_id,
            "calibration": asked.calibration_id,
            "reason": _REASONS.get(asked.operation, Reason.CORRECTED),
            "correction": report.correction_id,
        }
        row = conn.execute(_STRETCH, parameters).fetchone()
        assert row is not None
        first, last, n = row
        if not n:
            return False
        parameters |= {"first": first, "last": last}
        count_past_as_judged(conn, municipality_id, {datastream_id: last})
        conn.execute(_HOLD, parameters)
        changed = conn.execute(
            SQL(_CHANGE).format(value=SQL(value), quality=SQL(quality), why=SQL(why), applies=SQL(applies)), parameters
        ).fetchall()
        report.revised += len(changed)
        report.unchanged += n - len(changed)
        keys = sorted((datastream_id, row[0]) for row in changed)
        # What is left between them is bad or missing, and no verdict on it can change.
        if asked.operation is Operation.CALIBRATE:
            again = [verdicts.Written(datastream_id, first, last, n, contested=True)] if keys else []
        else:
            again = verdicts.behind(conn, keys[-1:], paces)
        _end(conn, municipality_id, report, (datastream_id, last), keys, again)
    return True


def _replace(
    conn: Connection,
    municipality_id: int,
    asked: Correction,
    report: Report,
    paces: Mapping[int, timedelta],
    progress: Callable[[int, int], None],
) -> None:
    done = 0
    for part in chunks.steps(sorted_values(asked.values), lambda value: value[:2], paces.__getitem__):
        with _step(conn, report) as (datastream_id, time):
            left = [v for v in part if time is None or v[:2] > (datastream_id, time)]
            if left:
                _replace_step(conn, municipality_id, report, left, paces)
        done += len(part)
        progress(done, len(asked.values))


def _replace_step(
    conn: Connection,
    municipality_id: int,
    report: Report,
    values: Sequence[Value],
    paces: Mapping[int, timedelta],
) -> None:
    newest = {datastream_id: time for datastream_id, time, _ in values}
    count_past_as_judged(conn, municipality_id, newest)
    chunks.hold(conn, [value[:2] for value in values])
    changed = conn.execute(
        _PUT,
        {
            "datastreams": [value[0] for value in values],
            "times": [value[1] for value in values],
            "values": [value[2] for value in values],
            "reason": Reason.CORRECTED,
            "manual": Quality.MANUAL,
            "municipality": municipality_id,
            "correction": report.correction_id,
        },
    ).fetchall()
    stored = sum(1 for row in changed if row[2])
    report.stored += stored
    report.revised += len(changed) - stored
    report.unchanged += len(values) - len(changed)
    keys = sorted((row[0], row[1]) for row in changed)
    _end(conn, municipality_id, report, values[-1][:2], keys, verdicts.behind(conn, keys, paces))


@contextmanager
def _step(conn: Connection, report: Report) -> Iterator[tuple[int, datetime | None]]:
    """A transaction that knows how far the correction has come. One process at a time is in it."""
    with conn.transaction():
        row = conn.execute(
            """
            select done_datastream, done_time, stored, revised, unchanged from correction
            where correction_id = %s for update
            """,
            (report.correction_id,),
        ).fetchone()
        assert row is not None
        report.stored, report.revised, report.unchanged = row[2:]
        yield row[0], row[1]
    conn.commit()
    report.steps += 1


def _end(
    conn: Connection,
    municipality_id: int,
    report: Report,
    place: chunks.Key,
    changed: Sequence[chunks.Key],
    again: Sequence[verdicts.Written],
) -> None:
    """Notes the place, announces what changed (in order) and notes what is to be judged `again`, the last statements of
    a step.
    """
    conn.execute(
        """
        update correction set (done_datastream, done_time, stored, revised, unchanged) = (%s, %s, %s, %s, %s)
        where correction_id = %s
        """,
        (*place, report.stored, report.revised, report.unchanged, report.correction_id),
    )
    if not changed:
        return
    spans = []
    for datastream_id, group in groupby(changed, key=lambda key: key[0]):
        times = [time for _, time in group]
        spans.append((datastream_id, times[0], times[-1]))
    newest = [row[0] for row in conn.execute(_NEWEST, transposed(spans, 3))]
    if newest:
        latest.recompute(conn, newest)
    feed_id = feed.append_observations(
        conn, municipality_id, [(i, time) for i, first, last in spans for time in (first, last)]
    )
    verdicts.note(conn, municipality_id, again, seen=feed_id, feed_id=feed_id)


def _count(conn: Connection, asked: Correction) -> int:
    row = conn.execute(
        """
        select count(*) from observation
        where datastream_id = any(%s) and phenomenon_time >= %s and phenomenon_time <= %s
        """,
        (list(asked.datastream_ids), asked.start, asked.end),
    ).fetchone()
    assert row is not None
    return int(row[0])


_REASONS = {Operation.CONFIRM: Reason.CONFIRMED, Operation.REJECT: Reason.REJECTED}
_CALIBRATED: LiteralString = "(o.value * %(amount)s + %(addend)s)"
_OUTSIDE: LiteralString = f"({_CALIBRATED} < range_low or {_CALIBRATED} > range_high) is true"
# (value, quality, reason, the rows that it applies to)
_RULES: Mapping[Operation, tuple[LiteralString, LiteralString, LiteralString, LiteralString]] = {
    Operation.SHIFT: ("o.value + %(amount)s", "'good'", "%(reason)s", "o.quality not in ('bad', 'missing')"),
    Operation.SCALE: ("o.value * %(amount)s", "'good'", "%(reason)s", "o.quality not in ('bad', 'missing')"),
    Operation.MISSING: ("null::double precision", "'missing'", "%(reason)s", "o.quality <> 'missing'"),
    Operation.CONFIRM: ("o.value", "'good'", "%(reason)s", "o.quality <> 'missing'"),
    Operation.REJECT: ("o.value", "'bad'", "%(reason)s", "o.quality <> 'missing'"),
    # What a person has put right or confirmed stays; what other devices or files brought is not this device's.
    Operation.CALIBRATE: (
        _CALIBRATED,
        f"case when {_OUTSIDE} then 'bad' when o.reason = 'range' then 'good' else o.quality::text end",
        f"case when {_OUTSIDE} then 'range' when o.reason <> 'range' then o.reason end",
        """o.value is not null and coalesce(o.reason, '') not in ('corrected', 'confirmed', 'rejected')
           and exists (select from uplink u where u.uplink_id = o.uplink_id and u.device_id = %(device)s)
           and not exists (select from calibration_stamp s
                           where s.calibration_id = %(calibration)s and s.uplink_id = o.uplink_id)""",
    ),
}
_STRETCH = """
    select min(phenomenon_time), max(phenomenon_time), count(*) from (
        select phenomenon_time from observation
        where datastream_id = %(datastream)s and phenomenon_time >= %(start)s and phenomenon_time <= %(end)s
          and phenomenon_time > coalesce(%(after)s::timestamptz, '-infinity')
        order by phenomenon_time limit %(most)s) next
"""
_HOLD = """
    select observation_hold(array_agg(datastream_id), array_agg(phenomenon_time)) from observation
    where datastream_id = %(datastream)s and phenomenon_time >= %(first)s and phenomenon_time <= %(last)s
"""
_CHANGE: LiteralString = """
    with changing as materialized (
        select o.*, {value} as new_value, ({quality})::quality as new_quality, {why} as new_reason
        from observation o join (select datastream_id, range_low, range_high from datastream) d using (datastream_id)
        where o.datastream_id = %(datastream)s and o.phenomenon_time >= %(first)s and o.phenomenon_time <= %(last)s
          and {applies} and ({value}, ({quality})::quality, {why}) is distinct from (o.value, o.quality, o.reason)
    ), kept as (
        insert into observation_revision
               (municipality_id, datastream_id, phenomenon_time, value, quality, reason, uplink_id, revised_at)
        select %(municipality)s, datastream_id, phenomenon_time, value, quality, reason, uplink_id,
               (select stated_at from correction where correction_id = %(correction)s)
        from changing
    )
    insert into observation (datastream_id, phenomenon_time, value, quality, reason, uplink_id)
    select datastream_id, phenomenon_time, new_value, new_quality, new_reason, uplink_id from changing
    order by phenomenon_time
    on conflict (datastream_id, phenomenon_time) do update set (value, quality, reason)
        = (excluded.value, excluded.quality, excluded.reason)
    returning phenomenon_time
"""
_PUT = """
    with said as materialized (
        select datastream_id, phenomenon_time, said.value,
               (case when said.value is null then 'missing' else %(manual)s end)::quality as quality,
               o.datastream_id is null as new, o.value as old_value, o.quality as old_quality, o.reason as old_reason,
               o.uplink_id as old_uplink
        from unnest(%(datastreams)s::integer[], %(times)s::timestamptz[], %(values)s::double precision[])
             as said (datastream_id, phenomenon_time, value)
        left join observation o using (datastream_id, phenomenon_time)
    ), changing as materialized (
        select * from said
        where new or (value, quality, %(reason)s) is distinct from (old_value, old_quality, old_reason)
    ), kept as (
        insert into observation_revision
               (municipality_id, datastream_id, phenomenon_time, value, quality, reason, uplink_id, revised_at)
        select %(municipality)s, datastream_id, phenomenon_time, old_value, old_quality, old_reason, old_uplink,
               (select stated_at from correction where correction_id = %(correction)s)
        from changing where not new
    ), put as (
        insert into observation (datastream_id, phenomenon_time, value, quality, reason)
        select datastream_id, phenomenon_time, value, quality, %(reason)s from changing
        order by datastream_id, phenomenon_time
        on conflict (datastream_id, phenomenon_time) do update set (value, quality, reason, uplink_id)
            = (excluded.value, excluded.quality, excluded.reason, null)
    )
    select datastream_id, phenomenon_time, new from changing
"""
# The datastreams whose newest or newest measured observation is among what changed.
_NEWEST = """
    select datastream_id
    from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) as changed (datastream_id, first, last)
    left join datastream_latest l using (datastream_id)
    where l.datastream_id is null or changed.last >= l.measured_time or changed.first < l.first_time
       or changed.last >= l.phenomenon_time or l.measured_time is null
"""

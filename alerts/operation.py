"""The watch over the operation: reads what the rule `operation` looks at, and writes what it decides.

A loop of its own beside the evaluator, with its own connection: what holds the evaluator up is one of the things to
see. Since when a cause is there stands in `operation_condition` (real time), so that a restart of the watch changes
nothing. Two watches take turns on an advisory lock. What the whole installation has in common (disk, feed, backups)
is told to every municipality.

While the database is away nobody can be told through it: /healthz says so to whoever probes from outside.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from alerts import wording
from alerts.causes import OperationCause
from alerts.looking import look_again
from alerts.outbox import MAX_ATTEMPTS
from alerts.reach import Reach, reach
from alerts.reach_words import gap_line
from alerts.recording import Recorder
from alerts.rules.operation import (
    FAILED_ATTEMPTS,
    FolderSeen,
    Room,
    Seen,
    WorkerSeen,
    concerned,
    judge_operation,
    problems,
)
from alerts.rules.transition import Event, Transition
from devices.clock import Clock, real_now
from store import Connection, jma_feed
from store.backup_runs import last_runs
from store.counts import unclosed
from store.feed import append_alerts

LOOK_SECONDS = 5.0
# The counts of these hours of town time are held together, this often (real time): the sums are cheap, counting the
# stored messages is not.
COUNTS_SECONDS = 60.0
COUNTS_HOURS = timedelta(days=7)
KEPT_HOURS = timedelta(hours=3)
# Who would be told of every rule is looked at so often (real time).
REACH_SECONDS = 60.0
# A notification that was given up stays unsent for ever; for so long that is news.
_GIVEN_UP = timedelta(days=1)

RULE_VERSION = "operation:1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Town:
    municipality_id: int
    name: str
    timezone: str
    open_alerts: Mapping[str, int]  # cause -> alert_id


class Watch:
    """Looks after the operation. `folder`: of the database's files, where this machine has it."""

    def __init__(self, clock: Clock, *, mail: bool = False, folder: Path | None = None) -> None:
        self._clock = clock
        self._mail = mail
        self._folder = folder
        self._counts_due = 0.0
        self._open_hours: dict[int, int] = {}
        self._reach_due = 0.0
        self._reach: dict[int, Reach] = {}

    def run(self, dsn: str, stop: threading.Event) -> None:
        """Looks every few seconds until `stop` is set."""
        look_again(dsn, stop, name="operation", look=self.look, seconds=LOOK_SECONDS)

    def look(self, conn: Connection, *, counts: bool | None = None, people: bool | None = None) -> None:
        """One look, in one transaction; the caller commits. `counts`: whether to hold the counts together now too,
        `people`: whether to look whom every rule reaches (None: when it is time).
        """
        conn.execute("select pg_advisory_xact_lock(hashtext('alerts operation'))")
        recorder = Recorder(conn, self._clock.now(), self._mail)
        now = real_now()
        if counts or (counts is None and time.monotonic() >= self._counts_due):
            self._open_hours = self._count(conn)
            self._counts_due = time.monotonic() + COUNTS_SECONDS
        if people or (people is None and time.monotonic() >= self._reach_due):
            self._reach = self._reached(conn)
            self._reach_due = time.monotonic() + REACH_SECONDS
        shared = self._shared(conn, now)
        for town in _towns(conn):
            self._judge(recorder, town, self._seen(conn, town, shared, now), now)
        for municipality_id, alert_ids in sorted(recorder.touched.items()):
            append_alerts(conn, municipality_id, alert_ids)

    def _judge(self, recorder: Recorder, town: _Town, seen: Seen, now: datetime) -> None:
        conn, municipality_id = recorder.conn, town.municipality_id
        since: dict[str, datetime] = dict(
            conn.execute(
                "select cause, since from operation_condition where municipality_id = %s", (municipality_id,)
            ).fetchall()
        )
        judged = judge_operation(problems(seen), since, town.open_alerts, now)
        for cause in judged.note:
            conn.execute(
                "insert into operation_condition (municipality_id, cause, since) values (%s, %s, %s)",
                (municipality_id, cause, now),
            )
        if judged.forget:
            conn.execute(
                "delete from operation_condition where municipality_id = %s and cause = any(%s)",
                (municipality_id, list(judged.forget)),
            )
        for event, causes in ((Event.CLEARED, judged.cleared), (Event.RAISED, judged.raised)):
            for cause in causes:
                log.warning("operation", what=event.value, cause=cause, municipality=municipality_id)
                step = Transition(event, None, self._clock.now(), None, RULE_VERSION)
                recorder.record(
                    OperationCause(municipality_id, cause),
                    town.open_alerts.get(cause),
                    [(step, self._notice(town, cause, step))],
                )

    def _notice(self, town: _Town, cause: str, step: Transition) -> wording.Notice:
        return wording.Notice(
            rule="operation",
            event=step.event,
            municipality=town.name,
            station="見守りシステム",
            station_en="Mimamori",
            timezone=town.timezone,
            time=step.time,
            simulated=self._clock.simulated,
            cause=cause,
            details=self._details(town.municipality_id, cause),
        )

    def _details(self, municipality_id: int, cause: str) -> tuple[tuple[str, str], ...]:
        found = self._reach.get(municipality_id)
        if found is None or cause not in found.causes:
            return ()
        desk = concerned(cause)
        return tuple(
            (gap_line(gap, found.zone, "ja"), gap_line(gap, found.zone, "en"))
            for gap in found.gaps
            if desk in ("all", gap.desk)
        )

    # --- what is looked at -------------------------------------------------------------------------------

    def _count(self, conn: Connection) -> dict[int, int]:
        now = self._clock.now()
        found = {}
        for (municipality_id,) in conn.execute("select municipality_id from municipality").fetchall():
            open_hours = unclosed(conn, municipality_id, now - COUNTS_HOURS, kept_since=now - KEPT_HOURS)
            found[municipality_id] = len(open_hours)
            for hour in open_hours[:10]:
                log.error("counts do not close", municipality=municipality_id, hour=hour)
        return found

    def _reached(self, conn: Connection) -> dict[int, Reach]:
        """By municipality. A simulated town tells nobody, and need not."""
        if self._clock.simulated:
            return {}
        return {
            municipality_id: reach(conn, municipality_id, self._clock.now(), mail=self._mail)
            for (municipality_id,) in conn.execute("select municipality_id from municipality").fetchall()
        }

    def _shared(self, conn: Connection, now: datetime) -> dict[str, Any]:
        """What is the same for every municipality."""
        behind = {
            name: now - appended
            for name, appended in conn.execute(
                """
                select c.consumer, f.appended_at from feed_cursor c
                cross join lateral (
                    select appended_at from feed where feed_id > c.feed_id order by feed_id limit 1
                ) f
                where f.appended_at is not null
                """
            )
        }
        backup = last_runs(conn)["backup"].ended_at
        return {"behind": behind, "disk": self._disk(), "backup": None if backup is None else now - backup}

    def _disk(self) -> Room | None:
        if self._folder is None:
            return None
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:
            return None
        return Room(usage.free, usage.total)

    def _seen(self, conn: Connection, town: _Town, shared: Mapping[str, Any], now: datetime) -> Seen:
        return Seen(
            open_hours=self._open_hours.get(town.municipality_id, 0),
            workers=self._workers(conn, town.municipality_id),
            failed_mails=_failed_mails(conn, town.municipality_id, now),
            untold=found.causes if (found := self._reach.get(town.municipality_id)) else (),
            folders=self._folders(conn, town.municipality_id),
            folders_silent_for=self._folders_silent_for(conn, town.municipality_id),
            jma_stale=self._jma_stale(conn, town.municipality_id),
            alarmed=frozenset(town.open_alerts),
            **shared,
        )

    def _folders(self, conn: Connection, municipality_id: int) -> tuple[FolderSeen, ...]:
        now = self._clock.now()
        return tuple(
            # a contract is in town time, as what is observed
            FolderSeen(name, away, None if due is None or now <= due else now - due)
            for name, away, due in conn.execute(
                """
                select name, obstacle is not null, greatest(fed_at, every_since) + every
                from folder where municipality_id = %s and ended_at is null order by name
                """,
                (municipality_id,),
            )
        )

    def _folders_silent_for(self, conn: Connection, municipality_id: int) -> timedelta:
        row = conn.execute("select seen_at from folder_watch where municipality_id = %s", (municipality_id,)).fetchone()
        return timedelta(0) if row is None else (self._clock.now() - row[0]) / self._clock.speed

    def _jma_stale(self, conn: Connection, municipality_id: int) -> bool:
        found, now = jma_feed.feed(conn, municipality_id), self._clock.now()
        begun = found is not None and now - found.started_at > jma_feed.patience(self._clock.speed)
        return found is not None and begun and found.stale(now, self._clock.speed)

    def _workers(self, conn: Connection, municipality_id: int) -> tuple[WorkerSeen, ...]:
        now = self._clock.now()
        return tuple(
            # heartbeats are in town time, patience is in real time
            WorkerSeen(worker_id, (now - heartbeat) / self._clock.speed, obstacle, drained)
            for worker_id, heartbeat, obstacle, drained in conn.execute(
                "select worker_id, heartbeat_at, obstacle, drained_at is not null from ingest_worker "
                "where municipality_id = %s order by worker_id",
                (municipality_id,),
            )
        )


def _towns(conn: Connection) -> list[_Town]:
    """All municipalities with their open alerts of this rule, which are locked: a person and the rule take turns."""
    open_alerts: dict[int, dict[str, int]] = {}
    for municipality_id, cause, alert_id in conn.execute(
        "select municipality_id, cause, alert_id from alert where rule = 'operation' and cleared_at is null "
        "order by alert_id for update"
    ):
        open_alerts.setdefault(municipality_id, {})[cause] = alert_id
    return [
        _Town(municipality_id, name, timezone, open_alerts.get(municipality_id, {}))
        for municipality_id, name, timezone in conn.execute(
            "select municipality_id, name, timezone from municipality order by municipality_id"
        )
    ]


def _failed_mails(conn: Connection, municipality_id: int, now: datetime) -> int:
    """Notifications that were tried several times in vain: still tried, or given up lately."""
    row = conn.execute(
        """
        select count(*) from outbox
        where municipality_id = %s and sent_at is null and not stood_in and attempts >= %s and last_error is not null
          and call_test_id is null
          and (attempts < %s or next_attempt_at > %s)
        """,
        (municipality_id, FAILED_ATTEMPTS, MAX_ATTEMPTS, now - _GIVEN_UP),
    ).fetchone()
    assert row is not None
    return int(row[0])

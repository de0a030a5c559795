"""Calling on: where nobody answers at the two highest levels, or to a rule of the staff of the severity "act at once",
the next ones are told, and at last everybody.

A loop beside the evaluator with its own connection. It remembers nothing: how far an alert has been called stands in
its history (`called`), when somebody was told last in the outbox (real time: people do not live on the town clock). Two
loops take turns on the alert's row. It ends with an acknowledgement, with the end of the alert, below the two highest
levels, or when everybody was called. Sections that are told by their addresses, because nobody is configured, are not
called on. In a trial nobody is: it is watched by whoever has begun it.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import structlog

from alerts.calling import About, answer_within, ladder, watching
from alerts.looking import look_again
from alerts.recording import Recorder, recipients
from devices.clock import Clock, real_now
from devices.model import StationKind
from store import Connection
from store.feed import append_alerts

LOOK_SECONDS = 5.0

log = structlog.get_logger(__name__)

# What stands before the words of the message that nobody has answered.
MARK = "【未応答】"
_BODY = (
    "まだ誰からも応答がないため、次の方にもお知らせしています。\nNobody has answered yet: the next ones are told.\n\n"
)


class Escalation:
    """Looks for alerts that nobody answers. `mail` says whether mail is a channel of this town."""

    def __init__(self, clock: Clock, *, mail: bool = False) -> None:
        self._clock = clock
        self._mail = mail

    def run(self, dsn: str, stop: threading.Event) -> None:
        """Looks every few seconds until `stop` is set."""
        look_again(dsn, stop, name="escalation", look=self.look, seconds=LOOK_SECONDS)

    def look(self, conn: Connection, *, now: datetime | None = None) -> int:
        """Calls on wherever it is time at `now` (real time; None: the present); how many alerts. The caller commits."""
        recorder = Recorder(conn, self._clock.now(), self._mail)
        rows = conn.execute(_UNANSWERED).fetchall()
        called = sum(self._call(recorder, now or real_now(), *row) for row in rows)
        for municipality_id, alert_ids in sorted(recorder.touched.items()):
            append_alerts(conn, municipality_id, alert_ids)
        return called

    def _call(
        self,
        recorder: Recorder,
        now: datetime,
        alert_id: int,
        municipality_id: int,
        station_id: int,
        kind: str,
        *about: Any,
    ) -> bool:
        level, peak, severity, said, told_at, step, mode = about
        roster = recorder.roster_of(municipality_id, mode, station_id)
        what = About(StationKind(kind).desk, station_id, peak, severity)
        steps = ladder(roster, what, recorder.now, recorder.channels())
        if step >= len(steps) or now - told_at < answer_within(watching(roster, what)):
            return False
        log.warning("nobody_answered", alert=alert_id, step=step, municipality=municipality_id)
        row = recorder.conn.execute(
            """
            insert into alert_history (municipality_id, alert_id, at, event, level)
            values (%s, %s, %s, 'called', %s) returning alert_history_id
            """,
            (municipality_id, alert_id, recorder.now, level),
        ).fetchone()
        assert row is not None
        recorder.say_again(row[0], said, recipients(steps[step]), MARK, _BODY)
        recorder.touch(municipality_id, (alert_id,))
        return True


# The step that is due next: 1 after the one that was told at once, one more for every time that was called on since.
_UNANSWERED = """
select a.alert_id, a.municipality_id, a.station_id, s.kind, a.level, a.peak_level, a.severity, last.said, told.at,
       last.step, a.mode
from alert a
join station s using (station_id)
cross join lateral (
    select h.alert_history_id as said,
           1 + (select count(*)::integer from alert_history c where c.alert_id = a.alert_id
                and c.event = 'called' and c.alert_history_id > h.alert_history_id) as step
    from alert_history h
    where h.alert_id = a.alert_id and h.event in ('raised', 'escalated', 'confirmed', 'told')
      and (a.rule <> 'level' or h.level >= 4)
      and exists (select from outbox o where o.alert_history_id = h.alert_history_id)
    order by h.alert_history_id desc limit 1
) last
cross join lateral (
    select max(first) as at from (
        select min(o.written_at) as first from outbox o join alert_history h using (alert_history_id)
        where h.alert_id = a.alert_id and o.person_id is not null and h.alert_history_id >= last.said
           -- who is asked to go there was not told for the first time by that
           and h.event not in ('published', 'assigned', 'expiring', 'lapsed', 'in_trial')
        group by h.alert_history_id) each_time
) told
where (a.rule = 'level' and a.level >= 4 or a.rule = 'written' and a.severity = 3)
  and a.mode <> 'test' and a.cleared_at is null and a.acknowledged_at is null and told.at is not null
order by a.alert_id for update of a skip locked
"""

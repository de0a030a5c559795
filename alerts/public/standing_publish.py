"""Tells the public in the name of a standing approval, and tells the desk at once that this was done. For the worker.

    Standing(clock, mail=..., public_url=...).run(dsn, stop)      looks all the time
    situation_of(conn, alert_id, now)                             what the rule looks at; also for the API's role
    outlook(conn, alert_id, now, zone)                            why nothing is told (yet), for the pages of the desk

Beside the evaluator and not in it: what is told to the public must not hold up who is called in the night. What is
done follows from what is stored alone (`alerts.rules.standing`), so it does not matter who looks, or how often. Notice,
words, decision, the step of the alert's history and the messages to the desk are one transaction, in the turn of the
gauge (`standing.take_turn`) and of the alert; two unique indexes stand behind it. Whoever dies leaves all of it or
nothing.

One approval that cannot be handled, whatever the reason, keeps no other from being told.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString
from zoneinfo import ZoneInfo

import psycopg
import structlog

from alerts.alert_cause import cause_of
from alerts.beside import works
from alerts.looking import look_again
from alerts.public import expiring, standing, standing_words
from alerts.public.making import Step, closing_lines, decide, facts_of, insert
from alerts.public.notices import Notice, head_of, notice
from alerts.public.words import Kind
from alerts.recording import Recorder
from alerts.rules.standing import Seen, Situation, Why, choose, ended, renewed
from alerts.rules.transition import Event, Transition
from devices.clock import Clock
from devices.model import Quality
from store import Connection
from store.feed import append_alerts

NAME = "standing"
_LOOK_SECONDS = 0.5
_ENDED_WITHIN = timedelta(hours=1)  # an older end is left to a person

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _At:
    """What there may be to tell: that a level of an alert was reached, still stands, or that the alert is over."""

    step: Step
    alert_id: int
    municipality_id: int
    station_id: int


class Standing:
    """Looks for alerts of which an approval given beforehand may tell."""

    def __init__(self, clock: Clock, *, mail: bool = False, public_url: str | None = None) -> None:
        self._clock = clock
        self._mail = mail
        self._url = public_url

    def run(self, dsn: str, stop: threading.Event) -> None:
        look_again(dsn, stop, name=NAME, look=self.look, seconds=_LOOK_SECONDS)

    def look(self, conn: Connection) -> bool:
        """Tells of one alert, where there is one to tell of; the next look sees the next. The body of a transaction: it
        ends with what it has told, and so holds the feed and an alert no longer than it must.
        """
        for step, query in _STEPS:
            now = self._clock.now()
            asked = {"now": now, "lately": now - _ENDED_WITHIN, "soon": now + expiring.BEFORE}
            for alert_id, municipality_id, station_id in conn.execute(query, asked).fetchall():
                try:
                    with conn.transaction():
                        if self._one(conn, _At(step, alert_id, municipality_id, station_id)):
                            return True
                except (psycopg.IntegrityError, ArithmeticError, LookupError, TypeError, ValueError, AssertionError):
                    log.exception("nothing was told in the name of an approval", alert=alert_id, step=step)
        recorder = Recorder(conn, self._clock.now(), self._mail)
        return expiring.remind(recorder, simulated=self._clock.simulated, url=self._url)

    def _one(self, conn: Connection, at: _At) -> bool:
        # As the API sees it: one municipality.
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(at.municipality_id),))
        (timezone,) = conn.execute(
            "select timezone from municipality where municipality_id = %s", (at.municipality_id,)
        ).fetchone() or ("UTC",)
        zone = ZoneInfo(timezone)
        # Most of the time there is a reason against it: nobody has to wait for that look.
        if self._chosen(conn, at, zone) is None:
            return False
        standing.take_turn(conn, at.station_id)
        conn.execute("select from alert where alert_id = %s for update", (at.alert_id,))
        chosen = self._chosen(conn, at, zone)
        if chosen is None:
            return False
        self._tell(conn, at, *chosen, zone)
        return True

    def _chosen(self, conn: Connection, at: _At, zone: ZoneInfo) -> tuple[standing.StandingApproval, Situation] | None:
        """In whose name it is told, and of what; None where it is not."""
        now = self._clock.now()
        situation = situation_of(conn, at.alert_id, now)
        known = {each.approval_id: each for each in standing.approvals(conn, now, station_id=at.station_id)}
        if at.step == "reached":
            chosen, _ = choose((each.rule(zone) for each in _current(known)), situation)
            return None if chosen is None else (known[chosen.approval_id], situation)
        head = head_of(conn, at.alert_id)
        if head is None or head.standing is None:
            return None
        if at.step == "renewed":
            again = next((each for each in _current(known) if _renewal(each, head, situation, zone) is None), None)
            return None if again is None else (again, situation)
        by = known.get(head.standing.approval_id)
        return None if by is None or ended(by.rule(zone), situation) is not None else (by, situation)

    def _tell(
        self,
        conn: Connection,
        at: _At,
        by: standing.StandingApproval,
        situation: Situation,
        zone: ZoneInfo,
    ) -> None:
        step, alert_id, municipality_id = at.step, at.alert_id, at.municipality_id
        seen, now, head = situation.newest, situation.now, head_of(conn, alert_id)
        assert seen is not None, "the rule has looked at it"
        level = head.level if head is not None and step == "ended" else by.level
        facts = facts_of(
            conn, municipality_id, alert_id, level, seen.time, seen.value, None if head is None else head.level
        )
        kind: Kind = "cancel" if step == "ended" else "alert" if head is None else "update"
        supersedes = None if head is None else head.notice_id
        made = insert(
            conn,
            municipality_id,
            alert_id,
            situation.mode,
            kind,
            supersedes,
            level,
            facts,
            standing_words.filled(by.texts["ended" if step == "ended" else "reached"], zone, seen.time, seen.value),
            None,
            now,
            standing=(by.approval_id, step),
        )
        drafted = notice(conn, made)
        assert drafted is not None, "it was just made"
        decide(
            conn,
            municipality_id,
            drafted,
            "approved",
            None,
            now,
            text_id=drafted.text_id,
            valid_until=now + timedelta(hours=by.hours),
            ends=supersedes,
            closing=closing_lines(conn, municipality_id, situation.mode, now, zone),
            standing_approval_id=by.approval_id,
        )
        self._tell_desk(conn, at, made, level, situation)
        log.warning("told_the_public", notice=made, alert=alert_id, approval=by.approval_id, step=step)

    def _tell_desk(self, conn: Connection, at: _At, notice_id: int, level: int, situation: Situation) -> None:
        step, alert_id, municipality_id = at.step, at.alert_id, at.municipality_id
        found, seen = notice(conn, notice_id), situation.newest
        assert found is not None and seen is not None
        row = conn.execute(
            """
            insert into alert_history (municipality_id, alert_id, at, event, level)
            values (%s, %s, %s, %s, %s) returning alert_history_id
            """,
            (municipality_id, alert_id, situation.now, Event.PUBLISHED.value, level),
        ).fetchone()
        assert row is not None
        cause = cause_of(conn, alert_id)
        recorder = Recorder(conn, situation.now, self._mail)
        texts = standing_words.to_desk(
            found, cause.place.municipality, simulated=self._clock.simulated, url=self._url, step=step
        )
        told = Transition(Event.CLEARED if step == "ended" else Event.TOLD, level, seen.time, seen.value, "")
        to = [("log", cause.role, None, None), *recorder.told_of(cause, alert_id, told)]
        recorder.write_texts(municipality_id, row[0], to, texts)
        append_alerts(conn, municipality_id, [alert_id])


def situation_of(conn: Connection, alert_id: int, now: datetime) -> Situation:
    """An alert of the level rule as `alerts.rules.standing` looks at it. On a connection that sees its municipality."""
    row = conn.execute(_SITUATION, {"alert": alert_id}).fetchone()
    if row is None:
        raise LookupError(f"there is no level alert {alert_id}")
    station_id, datastream_id, mode, level, confirmed, cleared_at, cleared_by, retracted, reached, lowest = row[:10]
    read = row[10:]
    going = works(conn, station_id, datastream_id, now)
    newest = None
    if read[0] is not None:
        time, value, quality, reason = read
        during = any(start <= time < end for start, end in going)
        newest = Seen(time, value, Quality(quality), reason, during)
    chain = conn.execute(_CHAIN, {"alert": alert_id}).fetchall()
    standing_now = head_of(conn, alert_id)
    return Situation(
        now,
        mode,
        level,
        confirmed,
        newest,
        {int(each): datetime.fromisoformat(at) for each, at in (reached or {}).items()},
        None if standing_now is None else standing_now.level,
        cleared=cleared_at is not None,
        retracted=retracted,
        withdrawn=any(kind == "cancel" and step is None for kind, step in chain),
        working=any(end > now for _, end in going),
        cleared_by_hand=cleared_by is not None,
        told_by_hand=standing_now is not None and standing_now.standing is None,
        lowest=lowest,
    )


def outlook(conn: Connection, alert_id: int, now: datetime, zone: ZoneInfo) -> Why | None:
    """Why no approval tells of this open alert now, or why the notice of one is not told anew before its time is over;
    None where none is there, or one does.
    """
    row = conn.execute("select station_id from alert where alert_id = %s and rule = 'level'", (alert_id,)).fetchone()
    if row is None:
        return None
    (station_id,) = row
    known = {each.approval_id: each for each in standing.approvals(conn, now, station_id=station_id)}
    current, head = _current(known), head_of(conn, alert_id)
    if not current:
        return None
    situation = situation_of(conn, alert_id, now)
    if head is not None and head.standing is not None and expiring.soon(head, now):
        whys = [_renewal(each, head, situation, zone) for each in current if each.level == head.level]
        return None if None in whys else whys[0] if whys else Why.REVOKED
    return choose((each.rule(zone) for each in current), situation)[1]


def _renewal(by: standing.StandingApproval, head: Notice, situation: Situation, zone: ZoneInfo) -> Why | None:
    """Why a notice is not told anew in the name of an approval now; None where it is."""
    if not expiring.soon(head, situation.now):
        return Why.TOLD
    return renewed(by.rule(zone), situation)


def _current(known: dict[int, standing.StandingApproval]) -> list[standing.StandingApproval]:
    return [each for each in known.values() if each.signed_at is not None and each.ended is None]


# Cheap where nothing was approved: it begins with the approvals in force.
_REACHED = """
select a.alert_id, a.municipality_id, a.station_id
from standing_approval p
join standing_approval_event signed on signed.standing_approval_id = p.standing_approval_id and signed.event = 'signed'
join alert a on a.station_id = p.station_id and a.rule = 'level' and a.mode = 'actual' and a.cleared_at is null
     and a.confirmed_level >= p.level
where p.holds_until > %(now)s
  and not exists (select from standing_approval_event over
                  where over.standing_approval_id = p.standing_approval_id and over.event <> 'signed')
  and not exists (select from public_notice n
                  where n.alert_id = a.alert_id and n.standing_step = 'reached' and n.level >= p.level)
group by a.alert_id, a.municipality_id, a.station_id order by a.alert_id
"""
_ENDED = """
select a.alert_id, a.municipality_id, a.station_id
from alert a
join public_notice n on n.alert_id = a.alert_id and n.standing_step = 'reached'
join standing_approval_text t on t.standing_approval_id = n.standing_approval_id and t.step = 'ended'
where a.rule = 'level' and a.mode = 'actual' and a.cleared_at > %(lately)s
  and not exists (select from public_notice e where e.alert_id = a.alert_id and e.kind = 'cancel')
group by a.alert_id, a.municipality_id, a.station_id order by a.alert_id
"""
_SITUATION = """
select a.station_id, a.datastream_id, a.mode, a.level, a.confirmed_level, a.cleared_at, a.cleared_by,
       exists (select from alert_retraction r where r.alert_id = a.alert_id),
       (select json_object_agg(known.level, known.at) from (
            select l.level, min(h.at) as at from generate_series(1, 5) l (level)
            join alert_history h on h.alert_id = a.alert_id and h.level >= l.level
                 and h.event in ('raised', 'escalated', 'confirmed', 'told')
            group by l.level) known),
       (select min(l.value) - t.clear_margin from threshold_set t join threshold_level l using (threshold_set_id)
        where t.threshold_set_id = (
            select threshold_set_id from threshold_set
            where station_id = a.station_id and valid_from <= newest.phenomenon_time
            order by valid_from desc, threshold_set_id desc limit 1)
        group by t.clear_margin),
       newest.*
from alert a
left join lateral (
    select o.phenomenon_time, o.value, o.quality::text, o.reason from tenant_observation o
    where o.datastream_id = a.datastream_id and o.value is not null and o.quality not in ('bad', 'missing')
    order by o.phenomenon_time desc limit 1
) newest on true
where a.alert_id = %(alert)s and a.rule = 'level'
"""
_CHAIN = """
select n.kind, n.standing_step from public_notice n join public_notice_event e using (public_notice_id)
where n.alert_id = %(alert)s and e.event = 'approved'
"""
_STEPS: tuple[tuple[Step, LiteralString], ...] = (
    ("reached", _REACHED),
    ("renewed", expiring.OF_APPROVALS),
    ("ended", _ENDED),
)

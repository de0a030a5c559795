"""Writes what a rule decided: alert, history and outbox, in the evaluator's transaction. SQL for the worker.

The caller appends the feed row last and commits. The partial unique index on open causes stands behind this: a
second open alert of one cause cannot be stored, whoever tries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from alerts import public_words, roster, wording
from alerts.apart import roster_apart
from alerts.calling import About, Call, Roster, ladder, merged
from alerts.causes import AnyCause, Cause, WrittenCause
from alerts.rules.transition import Event, Transition
from devices.clock import real_now
from store import Connection
from store.arrays import transposed
from store.duty import modes_now

Recipient = tuple[str, str, int | None, int | None]
"""Channel, address, person and contact; these two None where a section's address is told."""


@dataclass
class Recorder:
    """Writes transitions at town time `now`; `mail` says whether mail is a channel of this town. Who is told follows
    from the roster (`alerts.calling`); where it names nobody, the addresses of the section are.

    `touched` collects the alerts it wrote, by municipality, for the feed.
    """

    conn: Connection
    now: datetime
    mail: bool
    touched: dict[int, list[int]] = field(default_factory=dict)
    _addresses: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    _rosters: dict[tuple[int, str, int | None], Roster] = field(default_factory=dict)
    _channels: frozenset[str] | None = None
    _paces: dict[int, timedelta] | None = None
    _worked: frozenset[int] | None = None

    def record(
        self,
        cause: AnyCause,
        alert_id: int | None,
        steps: Sequence[tuple[Transition, wording.Notice | None]],
    ) -> int | None:
        """Takes an alert (None: none is open) through its transitions, in order, and returns the id of the one it is
        about then. Of a step without a notice nobody is told.
        """
        for transition, notice in steps:
            if transition.event is Event.RAISED:
                alert_id, history_id = self._raise(cause, transition)
            else:
                assert alert_id is not None, "only a raised alert can move"
                self._move(alert_id, transition)
                history_id = self._history(cause, alert_id, transition)
            if notice is not None:
                self._notify(cause, alert_id, history_id, transition, notice)
            self.touch(cause.municipality_id, (alert_id,))
        return alert_id

    def touch(self, municipality_id: int, alert_ids: Iterable[int]) -> None:
        """Notes that these alerts are different now."""
        written = self.touched.setdefault(municipality_id, [])
        written += [each for each in alert_ids if each not in written]

    def _raise(self, cause: AnyCause, transition: Transition) -> tuple[int, int]:
        """The alert and its first step: in a flood many are raised at once, and each way to the database counts."""
        written = cause if isinstance(cause, WrittenCause) else None
        row = self.conn.execute(
            _RAISE,
            {
                "town": cause.municipality_id,
                "station": cause.station_id,
                "cause": cause.name,
                "rule": cause.rule,
                "mode": cause.mode,
                "series": cause.datastream_id,
                "finding": cause.finding_id,
                "written": None if written is None else written.rule_id,
                "severity": None if written is None else written.severity,
                "confirmed": transition.confirmed,
                "now": self.now,
                **self._step(transition),
            },
        ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def _move(self, alert_id: int, transition: Transition) -> None:
        if transition.event is Event.TOLD:  # of what is confirmed people may be told while the rest waits
            self.conn.execute(
                "update alert set phenomenon_time = %s, value = %s "
                "where alert_id = %s and level is not distinct from %s",
                (transition.time, transition.value, alert_id, transition.level),
            )
            return
        self.conn.execute(
            _TAKE_BACK if transition.unconfirmed and transition.event in (Event.LOWERED, Event.CLEARED) else _MOVE,
            {
                "level": transition.level,
                "confirmed": transition.confirmed,
                "over": transition.event is Event.CLEARED,
                "time": transition.time,
                "value": transition.value,
                "cleared": self.now if transition.event is Event.CLEARED else None,
                "alert_id": alert_id,
            },
        )

    def _history(self, cause: AnyCause, alert_id: int, transition: Transition) -> int:
        asked = {"town": cause.municipality_id, "alert": alert_id, "now": self.now, **self._step(transition)}
        row = self.conn.execute(_HISTORY, asked).fetchone()
        assert row is not None
        return int(row[0])

    @staticmethod
    def _step(transition: Transition) -> dict[str, object]:
        return {
            "event": transition.event.value,
            "level": transition.level,
            "time": transition.time,
            "value": transition.value,
            "version": transition.rule_version,
            "unconfirmed": transition.unconfirmed,
            "reason": transition.reason,
        }

    def _notify(
        self, cause: AnyCause, alert_id: int, history_id: int, transition: Transition, notice: wording.Notice
    ) -> None:
        to: list[Recipient] = [("log", cause.role, None, None)]
        if not isinstance(cause, WrittenCause) or cause.severity is not None:
            to += self.told_of(cause, alert_id, transition)
        self.write(cause.municipality_id, history_id, to, notice)

    def told_of(self, cause: AnyCause, alert_id: int, transition: Transition) -> list[Recipient]:
        """Who is written to about such a step of an alert."""
        calls = self._calls(cause, alert_id, transition)
        to = recipients(calls)
        if self.mail and cause.mode == "actual" and all(call.person.equipment for call in calls):
            to += [("mail", address, None, None) for address in self._mail_addresses(cause)]
        return to

    def write(
        self,
        municipality_id: int,
        history_id: int,
        to: Iterable[Recipient],
        notice: wording.Notice,
    ) -> None:
        """One message each to (channel, address, person, contact) about this step of an alert."""
        texts = wording.subject(notice), wording.body(notice), public_words.brief(notice), public_words.spoken(notice)
        self.write_texts(municipality_id, history_id, to, texts)

    def write_texts(
        self, municipality_id: int, history_id: int, to: Iterable[Recipient], texts: tuple[str, str, str, str]
    ) -> None:
        """The same in given words: subject, body, what could be public, and that for ears."""
        self.conn.execute(_WRITE, (municipality_id, history_id, *texts, real_now(), *transposed(list(to), 4)))

    def say_again(self, history_id: int, said: int, to: Iterable[Recipient], mark: str, why: str) -> None:
        """The words of an earlier step `said`, marked and with the reason before them, to others, about a later one."""
        now = real_now()
        for channel, recipient, person_id, contact_id in to:
            self.conn.execute(
                _SAY_AGAIN,
                {
                    "history": history_id,
                    "said": said,
                    "channel": channel,
                    "recipient": recipient,
                    "mark": mark,
                    "why": why,
                    "now": now,
                    "person": person_id,
                    "contact": contact_id,
                },
            )

    def _calls(self, cause: AnyCause, alert_id: int, transition: Transition) -> tuple[Call, ...]:
        """Who is told at once: who it is the turn of, and of what goes down or is over all who were told before."""
        everybody, channels = self.roster_of(cause.municipality_id, cause.mode, cause.station_id), self.channels()
        peak, severity = transition.level, cause.severity if isinstance(cause, WrittenCause) else None
        if transition.event is not Event.RAISED:
            found = self.conn.execute("select peak_level, severity from alert where alert_id = %s", (alert_id,))
            row = found.fetchone()
            assert row is not None, f"alert {alert_id} is there"
            peak, severity = row
        rising = transition.event in (Event.RAISED, Event.ESCALATED, Event.CONFIRMED, Event.TOLD)
        if rising and transition.level is not None:
            peak = transition.level  # what nobody is told of yet calls nobody
        about = About(cause.role, cause.station_id, peak, severity, cause.group_id)
        steps = ladder(everybody, about, self.now, channels)
        if rising:
            return steps[0] if steps else ()
        told = [
            each
            for (each,) in self.conn.execute(
                """
                select distinct o.person_id from outbox o join alert_history h using (alert_history_id)
                where h.alert_id = %s and o.person_id is not null order by o.person_id
                """,
                (alert_id,),
            )
        ]
        return merged(steps[0] if steps else (), everybody, told, channels)

    def roster_of(self, municipality_id: int, mode: str = "actual", station_id: int | None = None) -> Roster:
        """Everybody of a municipality and whose turn it is about now; of a drill those who take part; of a test those
        who are named for the trial of the station. Read once.
        """
        key = municipality_id, mode, station_id if mode == "test" else None
        if key not in self._rosters:
            if mode == "actual":
                self._rosters[key] = roster.load_roster(self.conn, municipality_id, self.now.date())
            else:
                everybody = self.roster_of(municipality_id)
                self._rosters[key] = roster_apart(self.conn, municipality_id, everybody, mode, station_id)
        return self._rosters[key]

    def channels(self) -> frozenset[str]:
        """The ways out; read once."""
        if self._channels is None:
            self._channels = roster.channels(self.conn) | ({"mail"} if self.mail else set())
        return self._channels

    def paces(self) -> dict[int, timedelta]:
        """How often devices with a duty cycle measure now, by the series that decides their mode; read once."""
        if self._paces is None:
            modes = modes_now(self.conn, self.now, tenant=False)
            self._paces = {
                each.datastream_id: each.mode.interval for each in modes.values() if each.datastream_id is not None
            }
        return self._paces

    def worked_at(self, station_id: int, since: datetime) -> bool:
        """Whether anybody works at a station, or has since then; asked of all of them once."""
        if self._worked is None:
            rows = self.conn.execute(
                """
                select distinct a.station_id from planned_work w join attachment a using (device_id)
                where w.starts_at <= %s and w.ends_at > %s
                """,
                (self.now, since),
            )
            self._worked = frozenset(row[0] for row in rows)
        return station_id in self._worked

    def _mail_addresses(self, cause: AnyCause) -> list[str]:
        key = (cause.municipality_id, cause.role)
        if key not in self._addresses:
            self._addresses[key] = addresses_of(self.conn, *key)
        return self._addresses[key]


def recipients(calls: Iterable[Call]) -> list[Recipient]:
    """The messages that these calls are made by."""
    return [
        (way.channel, way.address, call.person.person_id, way.contact_id) for call in calls for way in call.contacts
    ]


def addresses_of(conn: Connection, municipality_id: int, role: str) -> list[str]:
    """The mail addresses of a section."""
    return [
        row[0]
        for row in conn.execute(
            "select distinct email from app_user where municipality_id = %s and role = %s and email <> '' "
            "order by email",
            (municipality_id, role),
        )
    ]


def notice_of(cause: Cause, transition: Transition, *, simulated: bool) -> wording.Notice:
    """What there is to say of any step of an alert of a station."""
    place = cause.place
    return wording.Notice(
        rule=cause.rule,
        event=Event(transition.event),
        municipality=place.municipality,
        station=place.name,
        station_en=place.name_en,
        timezone=place.timezone,
        time=transition.time,
        value=transition.value,
        mode=cast(wording.Mode, cause.mode),
        simulated=simulated,
    )


def mark_judged(conn: Connection, judged: Sequence[tuple[int, int, datetime]]) -> None:
    """Notes (datastream_id, municipality_id, newest judged time) of the level rule; it never moves back."""
    conn.execute(
        """
        insert into alert_judged (datastream_id, municipality_id, rule, judged_to)
        select datastream_id, municipality_id, 'level', newest
        from unnest(%s::integer[], %s::integer[], %s::timestamptz[]) as said (datastream_id, municipality_id, newest)
        order by datastream_id
        on conflict (datastream_id, rule) do update
            set judged_to = greatest(alert_judged.judged_to, excluded.judged_to)
        """,
        transposed(judged, 3),
    )


_HISTORY = """
insert into alert_history
    (municipality_id, alert_id, at, event, level, phenomenon_time, value, rule_version, unconfirmed, reason)
values (%(town)s, %(alert)s, %(now)s, %(event)s, %(level)s, %(time)s, %(value)s, %(version)s, %(unconfirmed)s,
        %(reason)s)
returning alert_history_id
"""
_RAISE = """
with raised as (
    insert into alert (municipality_id, station_id, cause, rule, mode, datastream_id, finding_id, alert_rule_id,
                       severity, level, peak_level, confirmed_level, raised_at, phenomenon_time, value)
    values (%(town)s, %(station)s, %(cause)s, %(rule)s, %(mode)s, %(series)s, %(finding)s, %(written)s,
            %(severity)s, %(level)s, %(level)s, %(confirmed)s, %(now)s, %(time)s, %(value)s)
    returning alert_id
)
insert into alert_history
    (municipality_id, alert_id, at, event, level, phenomenon_time, value, rule_version, unconfirmed, reason)
select %(town)s, alert_id, %(now)s, %(event)s, %(level)s, %(time)s, %(value)s, %(version)s, %(unconfirmed)s, %(reason)s
from raised returning alert_id, alert_history_id
"""
_WRITE = """
insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, brief, spoken,
                    next_attempt_at, written_at, person_id, contact_id)
select said.town, said.history, each.channel, each.recipient, said.subject, said.body, said.brief, said.spoken,
       said.now, said.now, each.person_id, each.contact_id
from (values (%s::integer, %s::bigint, %s::text, %s::text, %s::text, %s::text, %s::timestamptz))
     as said (town, history, subject, body, brief, spoken, now)
cross join unnest(%s::text[], %s::text[], %s::integer[], %s::integer[]) with ordinality
     as each (channel, recipient, person_id, contact_id, place)
order by each.place
on conflict (alert_history_id, channel, recipient) do nothing
"""
_MOVE = """
update alert set level = coalesce(%(level)s, level), peak_level = greatest(peak_level, %(level)s),
    confirmed_level = case when %(over)s then confirmed_level else %(confirmed)s end,
    withheld = case when not %(over)s then withheld end, withheld_at = case when not %(over)s then withheld_at end,
    phenomenon_time = %(time)s, value = %(value)s, cleared_at = %(cleared)s
where alert_id = %(alert_id)s
"""
# What nothing has confirmed was no peak, unless it was all that there was.
_TAKE_BACK = """
update alert set level = coalesce(%(level)s, level),
    peak_level = coalesce(
        (select max(h.level) from alert_history h where h.alert_id = alert.alert_id and not h.unconfirmed
         and h.phenomenon_time is not null), peak_level),
    confirmed_level = case when %(over)s then confirmed_level else %(confirmed)s end,
    withheld = case when not %(over)s then withheld end, withheld_at = case when not %(over)s then withheld_at end,
    phenomenon_time = %(time)s, value = %(value)s, cleared_at = %(cleared)s
where alert_id = %(alert_id)s
"""
# In a drill 【訓練】, in a trial 【試験】 stays what a text begins with.
_SAY_AGAIN = r"""
insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, brief, spoken,
                    next_attempt_at, written_at, person_id, contact_id)
select municipality_id, %(history)s, %(channel)s, %(recipient)s,
       regexp_replace(subject, '^(((【模擬】)?【(訓練|試験)】)?)', '\1' || %(mark)s),
       regexp_replace(body, '^(((【模擬】)?【(訓練|試験)】)?)', '\1' || %(why)s),
       regexp_replace(brief, '^(((【模擬】)?【(訓練|試験)】)?)', '\1' || %(mark)s), spoken, %(now)s, %(now)s,
       %(person)s::integer, %(contact)s::integer
from outbox where alert_history_id = %(said)s order by outbox_id limit 1
on conflict (alert_history_id, channel, recipient) do nothing
"""

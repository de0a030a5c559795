"""Writes what a rule decided: alert, history and outbox, in the evaluator's transaction. SQL for the worker.

The caller appends the feed row last and commits. The partial unique index on open causes stands behind this: a
second open alert of one cause cannot be stored, whoever tries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alerts import wording
from alerts.observed import Place
from alerts.rules.transition import Event, Transition
from devices.clock import real_now
from devices.model import StationKind
from store import Connection
from store.arrays import transposed


@dataclass(frozen=True, slots=True)
class Cause:
    """What at most one open alert can have. `finding_id`: what analytics found, None for the rules that judge here."""

    place: Place
    rule: wording.Rule
    mode: str
    datastream_id: int
    finding_id: int | None = None

    @property
    def municipality_id(self) -> int:
        return self.place.municipality_id

    @property
    def station_id(self) -> int:
        return self.place.station_id

    @property
    def name(self) -> None:
        return None

    @property
    def role(self) -> str:
        """Who is told: by what the station is for; silence is the digital section's to mend."""
        return "digital" if self.rule == "silence" else StationKind(self.place.kind).desk


@dataclass(frozen=True, slots=True)
class WrittenCause(Cause):
    """The same for a rule that staff wrote. About what is information only nobody gets a mail."""

    rule_id: int | None = None
    severity: int | None = None


@dataclass(frozen=True, slots=True)
class OperationCause:
    """The same for the rule `operation`, which has no station: `name` as in `alerts.rules.operation`."""

    municipality_id: int
    name: str
    rule: wording.Rule = "operation"
    mode: str = "actual"
    role: str = "digital"
    station_id: None = None
    datastream_id: None = None
    finding_id: None = None


@dataclass(frozen=True, slots=True)
class OutageCause:
    """The same for the rule `outage`, which has many stations: `name` as in `alerts.rules.outage`."""

    municipality_id: int
    name: str
    rule: wording.Rule = "outage"
    mode: str = "actual"
    role: str = "digital"
    station_id: None = None
    datastream_id: None = None
    finding_id: None = None


AnyCause = Cause | WrittenCause | OperationCause | OutageCause


@dataclass
class Recorder:
    """Writes transitions at town time `now`; `mail` says whether mail is a channel of this town.

    `touched` collects the alerts it wrote, by municipality, for the feed.
    """

    conn: Connection
    now: datetime
    mail: bool
    touched: dict[int, list[int]] = field(default_factory=dict)
    _addresses: dict[tuple[int, str], list[str]] = field(default_factory=dict)

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
                alert_id = self._raise(cause, transition)
            else:
                assert alert_id is not None, "only a raised alert can move"
                self._move(alert_id, transition)
            history_id = self._history(cause, alert_id, transition)
            if notice is not None:
                self._notify(cause, history_id, notice)
            self.touch(cause.municipality_id, (alert_id,))
        return alert_id

    def touch(self, municipality_id: int, alert_ids: Iterable[int]) -> None:
        """Notes that these alerts are different now."""
        written = self.touched.setdefault(municipality_id, [])
        written += [each for each in alert_ids if each not in written]

    def _raise(self, cause: AnyCause, transition: Transition) -> int:
        row = self.conn.execute(
            """
            insert into alert (municipality_id, station_id, cause, rule, mode, datastream_id, finding_id, alert_rule_id,
                               severity, level, peak_level, raised_at, phenomenon_time, value)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning alert_id
            """,
            (
                cause.municipality_id,
                cause.station_id,
                cause.name,
                cause.rule,
                cause.mode,
                cause.datastream_id,
                cause.finding_id,
                cause.rule_id if isinstance(cause, WrittenCause) else None,
                cause.severity if isinstance(cause, WrittenCause) else None,
                transition.level,
                transition.level,
                self.now,
                transition.time,
                transition.value,
            ),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _move(self, alert_id: int, transition: Transition) -> None:
        self.conn.execute(
            """
            update alert set level = coalesce(%(level)s, level), peak_level = greatest(peak_level, %(level)s),
                phenomenon_time = %(time)s, value = %(value)s, cleared_at = %(cleared)s
            where alert_id = %(alert_id)s
            """,
            {
                "level": transition.level,
                "time": transition.time,
                "value": transition.value,
                "cleared": self.now if transition.event is Event.CLEARED else None,
                "alert_id": alert_id,
            },
        )

    def _history(self, cause: AnyCause, alert_id: int, transition: Transition) -> int:
        row = self.conn.execute(
            """
            insert into alert_history
                (municipality_id, alert_id, at, event, level, phenomenon_time, value, rule_version)
            values (%s, %s, %s, %s, %s, %s, %s, %s) returning alert_history_id
            """,
            (
                cause.municipality_id,
                alert_id,
                self.now,
                transition.event.value,
                transition.level,
                transition.time,
                transition.value,
                transition.rule_version,
            ),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _notify(self, cause: AnyCause, history_id: int, notice: wording.Notice) -> None:
        recipients = [("log", cause.role)]
        if self.mail and not (isinstance(cause, WrittenCause) and cause.severity is None):
            recipients += [("mail", address) for address in self._mail_addresses(cause)]
        for channel, recipient in recipients:
            self.conn.execute(
                """
                insert into outbox
                    (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at)
                values (%s, %s, %s, %s, %s, %s, %s) on conflict (alert_history_id, channel, recipient) do nothing
                """,
                (
                    cause.municipality_id,
                    history_id,
                    channel,
                    recipient,
                    wording.subject(notice),
                    wording.body(notice),
                    real_now(),
                ),
            )

    def _mail_addresses(self, cause: AnyCause) -> list[str]:
        key = (cause.municipality_id, cause.role)
        if key not in self._addresses:
            self._addresses[key] = addresses_of(self.conn, *key)
        return self._addresses[key]


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
        mode="exercise" if cause.mode == "exercise" else "actual",
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

"""アラート: what is open, worst and longest unacknowledged first; what was closed lately; what happened to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerts import operation_words, outage_words
from alerts.level_words import Whose, whose_of
from api.roles import Role, desks_of
from devices.model import StationKind
from store.connection import Connection

CLOSED_SHOWN = 30
LATE_SHOWN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Event:
    """One step in the life of an alert, taken at `at` because of the observation of `time`; `by` None where the rule
    did it, and then the two differ by how late the observation came and was judged. `unconfirmed` and `reason` as in
    `alerts.rules.transition`. `goes`: who was assigned.
    """

    at: datetime
    event: str
    level: int | None
    time: datetime | None
    value: float | None
    by: str | None
    note: str | None
    unconfirmed: bool
    reason: str | None
    goes: str | None = None


@dataclass(frozen=True, slots=True)
class Retracted:
    """That an alert was false, as somebody said at `at`; `reached`: to how many addresses a correction goes. `held`:
    what was false still stands there, and raises nothing.
    """

    at: datetime
    by: str
    reason: str
    reached: int
    held: bool


@dataclass(frozen=True, slots=True)
class Silenced:
    """A station that an outage silences, or did: `back` once it was heard again."""

    code: str
    kind: StationKind
    name: str
    name_en: str
    back: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as a row shows it, raised at `raised_at` because of the observation of `since`. `time` and `value` are
    the observation that last moved it; `usual` is what a finding's value is compared with, None where the alert came
    from none. One about the operation or an outage has no station and no unit: `code`, `kind` and `unit` are None,
    `name` says what is wrong and `to_do` what the digital section does about it. `silenced`: the stations of an outage.
    `rule_name` and `severity` of a rule that staff wrote. `told`: whether anybody was written to about it. `assigned`:
    who goes there. `confirmed_level` and `withheld` as in the database; `source` of its reference levels, as stated.
    """

    alert_id: int
    code: str | None
    name: str
    name_en: str
    kind: StationKind | None
    rule: str
    mode: str
    unit: str | None
    level: int | None
    peak_level: int | None
    raised_at: datetime
    time: datetime
    value: float | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cleared_at: datetime | None
    cleared_by: str | None
    usual: float | None
    since: datetime
    cause: str | None
    severity: int | None
    rule_name: str | None
    told: bool
    assigned: str | None
    retracted: Retracted | None
    confirmed_level: int | None
    withheld: str | None
    source: str | None
    silenced: tuple[Silenced, ...] = ()
    events: list[Event] = field(default_factory=list)

    @property
    def whose(self) -> Whose:
        """Whose its reference levels are."""
        return whose_of(self.source)

    @property
    def badge(self) -> str:
        if self.level is not None:
            return str(self.level)
        return "silence" if self.rule in ("silence", "outage") else "finding"

    @property
    def title(self) -> str:
        """What it is called where it has no level: a key of the catalogue behind "alert."."""
        if self.rule == "visits":
            fewer = self.value is not None and self.usual is not None and self.value < self.usual
            return f"visits_{'fewer' if fewer else 'more'}"
        return self.rule

    @property
    def to_do(self) -> tuple[str, str] | None:
        """In Japanese and English; None for what a station says."""
        if self.cause is None:
            return None
        words = outage_words if self.rule == "outage" else operation_words
        return words.to_do(self.cause, "ja"), words.to_do(self.cause, "en")

    @property
    def unconfirmed(self) -> bool:
        """Whether one doubtful reading alone says what it stands on."""
        return self.rule == "level" and self.level != self.confirmed_level

    @property
    def asks(self) -> bool:
        """Whether a person may say that the reading is right."""
        return self.rule == "level" and (self.unconfirmed or self.withheld == "work")

    def may_act(self, role: Role) -> bool:
        return self.cleared_at is None and self.on_desk_of(role)

    def on_desk_of(self, role: Role) -> bool:
        """Whether this role may act on it at all; also when it is over it may be retracted."""
        return role in desks_of(self.rule, self.kind)


@dataclass(frozen=True, slots=True)
class Strip:
    """The line on top of every page, of what is real. `worst` is the worst open alert, an unacknowledged one before the
    others. `alarms`: what nobody has acknowledged, for a page that sounds (sound.js); of drills too, not of
    trials.
    """

    open: int
    unacknowledged: int
    worst: Alert | None
    alarms: tuple[dict[str, int | bool], ...] = ()

    @property
    def urgent(self) -> bool:
        """Level 4 and 5, and "act at once", are spoken at once by a screen reader; everything else waits its turn."""
        return self.worst is not None and _rank(self.worst) >= 4


def strip(alerts: Sequence[Alert]) -> Strip:
    """The summary of the open alerts (in the order of `open_alerts`), without those of a drill or a test."""
    unanswered = [alert for alert in alerts if alert.acknowledged_at is None]
    alerts = [alert for alert in alerts if alert.mode == "actual"]
    return Strip(
        len(alerts),
        sum(alert.acknowledged_at is None for alert in alerts),
        max(alerts, key=_weight, default=None),
        tuple(
            {"id": each.alert_id, "rank": _rank(each), "drill": each.mode != "actual"}
            for each in unanswered
            if each.mode != "test"
        ),
    )


def _rank(alert: Alert) -> int:
    """The level; "act at once" stands with the fourth, as calling on has it; 0 for what has neither."""
    return alert.level or (alert.severity or 0) + (alert.severity is not None)


def _weight(alert: Alert) -> tuple[int, bool]:
    return (_rank(alert), alert.acknowledged_at is None)


def open_alerts(conn: Connection, role: Role) -> list[Alert]:
    """The open alerts: what is real first, then unacknowledged, then by level, then the oldest first. Those about the
    operation are for the digital section alone: nobody else can do anything about them. A silence that an outage
    explains is told with the outage.
    """
    rows = conn.execute(
        _ALERTS
        + """
        where a.cleared_at is null and a.part_of is null and (a.rule <> 'operation' or %s)
        order by a.mode <> 'actual', a.acknowledged_at is null desc, coalesce(a.level, a.severity + 1) desc nulls last,
            a.raised_at
        """,
        (role is Role.DIGITAL,),
    )
    return [_alert(row) for row in rows]


def closed_alerts(conn: Connection, role: Role, *, retracted: bool = False) -> list[Alert]:
    """The alerts closed last, newest first; for whom as `open_alerts`. Those that were false are a list of their own
    (`retracted`).
    """
    rows = conn.execute(
        _ALERTS
        + """
        where a.cleared_at is not null and a.part_of is null and (a.rule <> 'operation' or %s)
          and (taken_back.alert_id is not null) = %s
        order by coalesce(taken_back.at, a.cleared_at) desc, a.alert_id desc limit %s
        """,
        (role is Role.DIGITAL, retracted, CLOSED_SHOWN),
    )
    return [_alert(row) for row in rows]


def one_alert(conn: Connection, role: Role, alert_id: int) -> Alert | None:
    """One alert of the municipality, with its events; None where there is none for this role to see."""
    row = conn.execute(
        _ALERTS + "where a.alert_id = %s and (a.rule <> 'operation' or %s)", (alert_id, role is Role.DIGITAL)
    ).fetchone()
    if row is None:
        return None
    alert = _alert(row)
    add_events(conn, [alert])
    return alert


def station_alerts(conn: Connection, code: str, limit: int) -> list[Alert]:
    """The alerts of one station, open and closed, newest first, with the outages that silenced it."""
    rows = conn.execute(_ALERTS + _OF_STATION, (code, code, limit))
    return [_alert(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Late:
    """What was known afterwards: from `start` to `last` it was so, and newer observations said otherwise already.
    `rule_name` None: the reference levels.
    """

    name: str
    name_en: str
    mode: str
    rule_name: str | None
    level: int | None
    start: datetime
    last: datetime
    value: float | None
    unit: str
    judged_at: datetime


def late_excursions(conn: Connection, since: datetime) -> list[Late]:
    """What was known afterwards since then, the newest first."""
    return [
        Late(*row)
        for row in conn.execute(
            """
            select s.name, s.name_en, e.mode, (select v.name from alert_rule_version v
                       where v.alert_rule_id = e.alert_rule_id and v.valid_from <= e.from_time
                       order by v.valid_from desc limit 1),
                   e.level, e.from_time, e.to_time, e.value, d.unit, e.judged_at
            from late_excursion e join station s using (station_id)
            join datastream d on d.datastream_id = e.datastream_id
            where e.judged_at >= %s order by e.judged_at desc, e.late_excursion_id desc limit %s
            """,
            (since, CLOSED_SHOWN),
        )
    ]


def assignable(conn: Connection) -> list[tuple[int, str]]:
    """The town's people who can be sent somewhere, by name."""
    rows = conn.execute("select person_id, name from person where kind = 'person' and ended_at is null order by name")
    return [(row[0], row[1]) for row in rows]


def add_events(conn: Connection, alerts: Sequence[Alert]) -> None:
    """Fills `events` of the alerts, oldest first."""
    by_id = {alert.alert_id: alert for alert in alerts}
    for alert_id, *event in conn.execute(
        """
        select h.alert_id, h.at, h.event, h.level, h.phenomenon_time, h.value, coalesce(u.display_name, p.name), h.note,
               h.unconfirmed, h.reason, goes.name
        from alert_history h left join app_user u using (user_id) left join person p using (person_id)
        left join person goes on goes.person_id = h.assigned_person
        where h.alert_id = any(%s) order by h.alert_history_id
        """,
        (list(by_id),),
    ):
        by_id[alert_id].events.append(Event(*event))


def _alert(row: tuple[object, ...]) -> Alert:
    values = list(row)
    silenced, cause = values.pop(), values[_CAUSE]
    retracted = values[_RETRACTED]
    values[_RETRACTED] = [None if retracted[0] is None else Retracted(*retracted)]  # type: ignore[arg-type]
    if cause is not None:
        words = outage_words if values[5] == "outage" else operation_words
        values[2:4] = (words.headline(str(cause), False, language) for language in ("ja", "en"))
    else:
        values[4] = StationKind(str(values[4]))
    if isinstance(silenced, list):
        values.append(tuple(Silenced(code, StationKind(kind), *rest) for code, kind, *rest in silenced))
    return Alert(*values)  # type: ignore[arg-type]  # the columns of _ALERTS in the order of the fields


_CAUSE, _RETRACTED = 19, slice(24, 29)  # which of the columns
_ALERTS = """
select a.alert_id, s.code, s.name, s.name_en, s.kind, a.rule, a.mode, d.unit, a.level, a.peak_level,
       a.raised_at, a.phenomenon_time, a.value,
       a.acknowledged_at, coalesce(acknowledger.display_name, answered.name), a.cleared_at, clearer.display_name,
       f.usual,
       (select h.phenomenon_time from alert_history h where h.alert_id = a.alert_id and h.event = 'raised' limit 1),
       a.cause, a.severity,
       (select v.name from alert_rule_version v
        where v.alert_rule_id = a.alert_rule_id and v.valid_from <= a.phenomenon_time
        order by v.valid_from desc limit 1),
       exists (select from alert_history h join outbox o using (alert_history_id)
               where h.alert_id = a.alert_id and h.event <> 'assigned'),
       (select goes.name from alert_history h left join person goes on goes.person_id = h.assigned_person
        where h.alert_id = a.alert_id and h.event = 'assigned' order by h.alert_history_id desc limit 1),
       taken_back.at, retractor.display_name, taken_back.reason, taken_back.reached,
       taken_back.counts_again_at is null and not exists (
           select from alert later
           where later.station_id = a.station_id and later.rule = a.rule and later.mode = a.mode
             and later.alert_rule_id is not distinct from a.alert_rule_id and later.alert_id > a.alert_id),
       a.confirmed_level, a.withheld,
       case when a.rule = 'level' then (
           select c.source from threshold_source c where c.threshold_set_id = (
               select t.threshold_set_id from threshold_set t
               where t.station_id = a.station_id and t.valid_from <= a.phenomenon_time
               order by t.valid_from desc, t.threshold_set_id desc limit 1)
           order by c.threshold_source_id desc limit 1) end,
       case when a.rule = 'outage' then (
           select json_agg(json_build_array(o.code, o.kind, o.name, o.name_en, o.back)) from (
               select c.code, c.kind, c.name, c.name_en, bool_and(o.returned_at is not null) as back
               from outage_device o join station c using (station_id)
               where o.alert_id = a.alert_id group by c.station_id order by c.station_id) o) end
from alert a
left join station s using (station_id)
left join datastream d on d.datastream_id = a.datastream_id
left join finding f using (finding_id)
left join app_user acknowledger on acknowledger.user_id = a.acknowledged_by
left join person answered on answered.person_id = a.acknowledged_person
left join app_user clearer on clearer.user_id = a.cleared_by
left join alert_retraction taken_back on taken_back.alert_id = a.alert_id
left join app_user retractor on retractor.user_id = taken_back.user_id
"""
_OF_STATION = """
where s.code = %s and a.part_of is null or a.alert_id in (
    select o.alert_id from outage_device o join station here using (station_id) where here.code = %s)
order by a.alert_id desc limit %s
"""

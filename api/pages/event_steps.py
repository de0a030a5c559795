"""The course of an event, step by step: alerts, what was sent and seen, what people wrote down and ticked.

`steps` reads each ledger once and puts all in the order of town time. Nothing is interpreted: a step says what its
ledger says. What was sent is counted per channel, without addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from api.pages import formats
from api.pages.words import Words
from store import jma
from store.alert_reviews import KINDS
from store.checklists import ticks
from store.connection import Connection
from store.evacuation import orders, stages
from store.field_reports import LONGEST_AGO, reports
from store.headquarters import lines
from store.town_clock import read_clock


@dataclass(frozen=True, slots=True)
class Step:
    """`kind` says from which ledger: alert, sent, record, order, stage, check, report. `by` empty: a rule did it."""

    at: datetime
    kind: str
    place: str
    what: str
    by: str


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest usable level that a gauge had in the range, and the reference level that it reached then (0: none,
    None: the gauge had none). `value` None: there was no usable observation.
    """

    code: str
    name: str
    name_en: str
    value: float | None
    at: datetime | None
    level: int | None


def steps(
    conn: Connection,
    municipality_id: int,
    since: datetime,
    until: datetime,
    zone: ZoneInfo,
    words: Words,
    *,
    drill: bool,
) -> list[Step]:
    """Every step with since <= its time < until, oldest first."""
    found = [
        *_alerts(conn, since, until, zone, words, drill),
        *_sent(conn, since, until, words, drill),
        *_written(conn, municipality_id, since, until, words, drill),
        *_reported(conn, municipality_id, since, until, words, drill),
        *(() if drill else _issued(conn, municipality_id, since, until)),
    ]
    return sorted((step for step in found if since <= step.at < until), key=lambda step: step.at)


def _alerts(
    conn: Connection, since: datetime, until: datetime, zone: ZoneInfo, words: Words, drill: bool
) -> Iterator[Step]:
    for row in conn.execute(
        """
        select h.at, h.event, a.rule, h.level, h.phenomenon_time, h.value, s.name, s.name_en, d.unit, h.note,
               coalesce(u.display_name, answered.name), goes.name,
               (select v.name from alert_rule_version v
                where v.alert_rule_id = a.alert_rule_id and v.valid_from <= a.phenomenon_time
                order by v.valid_from desc limit 1),
               h.unconfirmed, h.reason
        from alert_history h join alert a using (alert_id)
        join station s on s.station_id = a.station_id
        left join datastream d on d.datastream_id = a.datastream_id
        left join app_user u on u.user_id = h.user_id
        left join person answered on answered.person_id = h.person_id
        left join person goes on goes.person_id = h.assigned_person
        where h.at >= %s and h.at < %s and a.mode = %s and s.kind = any(%s)
          and a.rule in ('level', 'silence', 'written')
        order by h.alert_history_id
        """,
        (since, until, "exercise" if drill else "actual", list(KINDS)),
    ):
        at, event, rule, level, time, value, name, name_en, unit, note, by, goes, called, unconfirmed, reason = row
        said = [words(f"event.{event}")]
        said.append(
            formats.level_word(level, None, words)
            if level
            else words("alert.silence")
            if rule == "silence"
            else called or ""
        )
        if unconfirmed:
            said.append(words("event.taken_back" if event in ("cleared", "lowered") else "event.unconfirmed"))
        if reason:
            said.append(words(f"event.reason.{reason}"))
        if value is not None and rule == "level":
            said.append(f"{formats.number(value, unit)} {words(f'unit.{unit}')}")
        if time is not None and rule == "level" and not by:
            said.append(words("alert.time.observed", time=formats.clock_time(time, at, zone)))
        if event == "assigned":
            said.append(goes or words("alert.nobody_goes"))
        said.append(note or "")
        yield Step(at, "alert", words.name(name, name_en), "・".join(filter(None, said)), by or "")


def _sent(conn: Connection, since: datetime, until: datetime, words: Words, drill: bool) -> Iterator[Step]:
    """Notifications by the step that they tell of and channel. The outbox keeps real time; a simulated town's clock
    says what time it was there.
    """
    clock = read_clock(conn)
    for at, channel, whole, sent, last_sent, tried, name, name_en in conn.execute(
        """
        select h.at, o.channel, count(*) filter (where o.sent_at is not null or not o.stood_in), count(o.sent_at),
               max(o.sent_at), max(o.attempts), s.name, s.name_en
        from outbox o join alert_history h using (alert_history_id) join alert a using (alert_id)
        join station s on s.station_id = a.station_id
        where h.at >= %s and h.at < %s and a.mode = %s and s.kind = any(%s) and o.channel <> 'log'
        group by h.alert_history_id, h.at, o.channel, s.name, s.name_en order by h.alert_history_id
        """,
        (since, until, "exercise" if drill else "actual", list(KINDS)),
    ):
        place = words.name(name, name_en)
        if sent:
            when = last_sent
            if clock is not None and clock.simulated:
                when = clock.town_start + (last_sent - clock.real_start) * clock.speed
            yield Step(max(when, at), "sent", place, words("review.sent", n=sent, channel=channel), "")
        if sent < whole:
            state = "not_sent" if tried else "waiting"
            yield Step(at, "sent", place, words(f"review.{state}", n=whole - sent, channel=channel), "")


def _written(
    conn: Connection, municipality_id: int, since: datetime, until: datetime, words: Words, drill: bool
) -> Iterator[Step]:
    for entry in lines(conn, municipality_id, since, until, drill=drill):
        if not entry.withdrawn:
            said = "・".join(filter(None, (words(f"log.source.{entry.source.value}"), entry.who, entry.text)))
            yield Step(entry.at, "record", entry.place, said, entry.entered_by)
    for order in orders(conn, municipality_id, since, until, drill=drill):
        if order.withdrawn:
            continue
        kind, decided = words(f"evacuation.kind.{order.kind.value}"), words("evacuation.decided", who=order.decided_by)
        yield Step(
            order.issued_at, "order", order.districts, words("review.issued", kind=kind, by=decided), order.entered_by
        )
        if order.lifted_at is not None:
            said = "・".join(filter(None, (words("review.lifted", kind=kind), order.note)))
            yield Step(order.lifted_at, "order", order.districts, said, order.entered_by)
    for stage in stages(conn, municipality_id, since, until, drill=drill):
        if not stage.withdrawn:
            decided = words("evacuation.decided", who=stage.decided_by)
            yield Step(stage.since, "stage", "", f"{stage.name or words('stage.none')}・{decided}", stage.entered_by)
    for tick in ticks(conn, municipality_id, since, until, drill=drill):
        word = words("checklist.done") if tick.done else words("checklist.untick")
        yield Step(tick.at, "check", "", f"{word}・{tick.text}（{words('level.short', level=tick.level)}）", tick.by)


def _reported(
    conn: Connection, municipality_id: int, since: datetime, until: datetime, words: Words, drill: bool
) -> Iterator[Step]:
    """Reports from the field at the time of seeing. What was entered into 本部記録 stands there already."""
    # A report may come days after what it saw.
    for each in reports(conn, municipality_id, drill=drill, since=since, until=until + LONGEST_AGO, limit=1000):
        if each.state == "withdrawn" or each.entry_id is not None:
            continue
        station = words.name(each.station or "", each.station_en or "")
        said = [each.text]
        if each.gauge_reading is not None:
            value = formats.number(each.gauge_reading, "m")
            said.append(words("report.reading", station=station, value=value))
        if each.photos or each.lost:
            said.append(words("report.line_photos", n=len(each.photos) + each.lost))
        said.append(words("report.title", n=each.report_id))
        place = "・".join(filter(None, (each.place, station)))
        yield Step(each.seen_at, "report", place, "・".join(filter(None, said)), each.author)


def _issued(conn: Connection, municipality_id: int, since: datetime, until: datetime) -> Iterator[Step]:
    """What the weather agency issued and what it ended, at its own time and in its own words; what only goes on is no
    step.
    """
    clock = read_clock(conn)
    own = jma.DRILL if clock is not None and clock.simulated else jma.ACTUAL
    for each in jma.telegrams(conn, municipality_id, since, until, status=(own,)):
        for item in each.items:
            if item.name and item.change != jma.GOES_ON:
                said = [item.name, item.change if item.change != item.name else "", each.headline]
                yield Step(each.report_at, "jma", item.area, "・".join(filter(None, said)), each.office)
        if not each.items:
            said = [each.head_title, each.info_type, each.headline]
            yield Step(each.report_at, "jma", "", "・".join(filter(None, said)), each.office)


def peaks(conn: Connection, since: datetime, until: datetime) -> list[Peak]:
    """The highest level of every river gauge in the range, by name; which reference level that was, by the set then in
    force.
    """
    rows = conn.execute(
        """
        select s.code, s.name, s.name_en, top.value, top.phenomenon_time,
               case when in_force.threshold_set_id is null or top.value is null then null
                    else (select coalesce(max(l.level), 0) from threshold_level l
                          where l.threshold_set_id = in_force.threshold_set_id and l.value <= top.value) end
        from station s
        join datastream d on d.station_id = s.station_id and d.observed_property = 'water_level' and d.drill_run is null
        left join lateral (
            select o.value, o.phenomenon_time from tenant_observation o
            where o.datastream_id = d.datastream_id and o.phenomenon_time >= %s and o.phenomenon_time < %s
              and o.quality not in ('bad', 'missing') and o.value is not null
            order by o.value desc, o.phenomenon_time limit 1
        ) top on true
        left join lateral (
            select threshold_set_id from threshold_set t
            where t.station_id = s.station_id and t.valid_from <= top.phenomenon_time
            order by t.valid_from desc, t.threshold_set_id desc limit 1
        ) in_force on true
        where s.kind = 'river_gauge' order by s.station_id
        """,
        (since, until),
    )
    return [Peak(*row) for row in rows]

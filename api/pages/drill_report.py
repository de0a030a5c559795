"""What came of a drill: who was told when by what and answered after how long, what was not answered, when the water
reached which level, and the course of it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.apart import GIVEN_UP
from api.pages.chart import Chart, line_chart
from api.pages.delivery import masked, state
from api.pages.disaster import Threshold, thresholds_at
from api.pages.event_steps import Step, steps
from api.pages.formats import level_word, number
from api.pages.hyetograph import Hyetograph, Interval, picture
from api.pages.readings import Point, history
from api.pages.words import Words
from devices.model import ObservedProperty, Quality, Statistic
from store.connection import Connection
from store.drills import Drill, DrillSeries, Series, planned
from store.town_clock import read_clock


@dataclass(frozen=True, slots=True)
class Told:
    """One message to one recipient. Times are town time; `took` from its going out to the answer to it."""

    station: str
    station_en: str
    event: str
    level: int | None
    name: str | None
    channel: str
    kind: str | None
    address: str
    written_at: datetime
    state: str
    sent_at: datetime | None
    answered_at: datetime | None

    @property
    def took(self) -> timedelta | None:
        if self.answered_at is None or self.sent_at is None:
            return None
        return max(self.answered_at - self.sent_at, timedelta(0))


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert of the drill; `took` until somebody acknowledged it."""

    alert_id: int
    name: str
    name_en: str
    rule: str
    peak_level: int | None
    rule_name: str | None
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cleared_at: datetime | None

    @property
    def took(self) -> timedelta | None:
        return None if self.acknowledged_at is None else self.acknowledged_at - self.raised_at


@dataclass(frozen=True, slots=True)
class Course:
    """What a series says in the drill, or is going to: the chart, or the bars of rain with their sum, and when water
    first stood at which level.
    """

    station: DrillSeries
    chart: Chart | None
    bars: Hyetograph | None
    total: float | None
    reached: tuple[tuple[Threshold, datetime], ...]
    peak: float | None
    peak_at: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """`silent`: the names of those who were told of something and answered nothing."""

    raised: Sequence[Raised]
    told: Sequence[Told]
    silent: Sequence[str]
    course: Sequence[Step]


def report(conn: Connection, municipality_id: int, drill: Drill, now: datetime, zone: ZoneInfo, words: Words) -> Report:
    """Of a drill that has begun."""
    assert drill.started_at is not None
    # What is written down just after the end belongs to it; and the alerts end some seconds after it.
    until = now if drill.ended_at is None else min(now, drill.ended_at + timedelta(minutes=5))
    mine = {"town": municipality_id, "since": drill.started_at, "until": until}
    raised = [Raised(*row) for row in conn.execute(_RAISED, mine)]
    told = _told(conn, mine)
    answered = {each.name for each in told if each.answered_at is not None}
    answered |= {each.acknowledged_by for each in raised}
    asked = {each.name for each in told if each.name is not None and each.sent_at is not None}
    course = steps(conn, municipality_id, drill.started_at, until + timedelta(seconds=1), zone, words, drill=True)
    return Report(raised, told, sorted(asked - answered), course)


def _told(conn: Connection, mine: Mapping[str, object]) -> list[Told]:
    clock = read_clock(conn)

    def town(real: datetime | None) -> datetime | None:
        """The outbox keeps real time; the town's clock says what time it was there."""
        if real is None or clock is None or not clock.simulated:
            return real
        return clock.town_start + (real - clock.real_start) * clock.speed

    found = []
    for row in conn.execute(_TOLD, {**mine, "held": GIVEN_UP}):
        address, at, answered, sent, tried, stood_in, withdrawn, unsure, held = row[7:]
        what = "withheld" if held else state(sent, tried, stood_in, withdrawn, unsure)
        found.append(Told(*(*row[:7], masked(address), at, what, town(sent), answered)))
    return found


def courses(
    conn: Connection, drill: Drill, taking_part: Iterable[DrillSeries], now: datetime, zone: ZoneInfo
) -> list[Course]:
    """What the series say: of a drill that has begun as it came; else as planned, from `starts_at` or now on."""
    series = list(taking_part)
    begin = drill.started_at or drill.starts_at or now
    levels = thresholds_at(conn, now)
    points: dict[Series, list[Point]]
    if drill.started_at is None:
        points = {
            of: [Point(begin + after, value, Quality.GOOD) for after, value in course]
            for of, course in planned(conn, drill.drill_id).items()
        }
    else:
        ids = {each.datastream_id: each.key for each in series if each.datastream_id is not None}
        found = history(conn, list(ids), begin - timedelta(microseconds=1), begin + drill.lasts)
        points = {ids[i]: came for i, came in found.items()}
    return [
        _course(each, points.get(each.key, []), begin, drill.lasts, levels.get(each.station_id, ()), zone)
        for each in series
    ]


def _course(
    station: DrillSeries,
    points: Sequence[Point],
    begin: datetime,
    lasts: timedelta,
    levels: Sequence[Threshold],
    zone: ZoneInfo,
) -> Course:
    usable = [(each.time, each.value) for each in points if each.usable and each.value is not None]
    reached = []
    observed = ObservedProperty(station.observed_property)
    for level in levels if observed is ObservedProperty.WATER_LEVEL else ():
        first = next((time for time, value in usable if value >= level.value), None)
        if first is not None:
            reached.append((level, first))
    top = max(usable, key=lambda each: each[1], default=None)
    chart = bars = None
    if observed is ObservedProperty.PRECIPITATION:
        step = lasts / max(1, station.readings - 1)
        wide = [Interval(each.time - step, each.time, each.value, 1, 1, each.quality) for each in points]
        bars = picture(wide, begin, begin + lasts, zone)
    else:
        lines = [(level.level, level.value) for level in levels] if observed is ObservedProperty.WATER_LEVEL else []
        chart = line_chart(points, begin, begin + lasts, None, zone, lines)
    total = sum(value for _, value in usable) if usable and observed.statistic is Statistic.TOTAL else None
    peak, peak_at = (None, None) if top is None else (top[1], top[0])
    return Course(station, chart, bars, total, tuple(reached), peak, peak_at)


def level_steps(found: Iterable[Course], words: Words) -> list[Step]:
    """When the water stood at a level first, as steps of the course."""
    return [
        Step(
            at,
            "water",
            words.name(each.station.name, each.station.name_en),
            words("drills.reached", level=level_word(level.level, None, words), value=number(level.value, "m")),
            "",
        )
        for each in found
        for level, at in each.reached
    ]


_RAISED = """
select a.alert_id, s.name, s.name_en, a.rule, a.peak_level,
       (select v.name from alert_rule_version v where v.alert_rule_id = a.alert_rule_id
        order by v.valid_from desc limit 1),
       a.raised_at, a.acknowledged_at, coalesce(u.display_name, p.name), a.cleared_at
from alert a join station s using (station_id)
left join app_user u on u.user_id = a.acknowledged_by
left join person p on p.person_id = a.acknowledged_person
where a.municipality_id = %(town)s and a.mode = 'exercise' and a.raised_at >= %(since)s and a.raised_at <= %(until)s
order by a.alert_id
"""
_TOLD = """
select s.name, s.name_en, h.event, h.level, p.name, o.channel, d.kind, o.recipient, h.at,
       (select min(l.answered_at) from answer_link l where l.outbox_id = o.outbox_id),
       o.sent_at, o.attempts, o.stood_in, o.withdrawn, o.unsure > 0 or (o.withdrawn and o.begun_at is not null),
       o.sent_at is null and o.last_error is not distinct from %(held)s
from outbox o join alert_history h using (alert_history_id) join alert a using (alert_id)
join station s on s.station_id = a.station_id
left join person p on p.person_id = o.person_id
left join delivery_channel d on d.name = o.channel
where a.municipality_id = %(town)s and a.mode = 'exercise' and a.raised_at >= %(since)s and h.at <= %(until)s
  and o.channel <> 'log'
order by o.outbox_id
"""

"""直近30分の変化: what has become different at the gauges, in words and with times, newest first.

A step of the level is told from the observations, with the time of the one that made it; alerts from their history,
with the time at which they were raised or cleared. An alert of silence is a station lost, its end a station returned;
so is an outage of each station that it silences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from api.pages.readings import Point, StationNow
from devices.model import Quality, StationKind
from store.connection import Connection

SPAN = timedelta(minutes=30)
KINDS = (StationKind.RIVER_GAUGE, StationKind.RAIN_GAUGE)
What = Literal["rose", "fell", "raised", "cleared", "retracted", "lost", "returned"]


class Level(Protocol):
    """A reference level: 1..5, from `value` metres on."""

    @property
    def level(self) -> int: ...
    @property
    def value(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `level` is the one reached (rose, fell: 0 is below all), that of the alert once it was raised, or the
    highest it had; `value` in metres. `by`: the person who cleared it, None where the rule did. `time`: of the
    observation that raised or cleared an alert, which may be older than `at`. `unconfirmed`: one doubtful reading alone
    says it.
    """

    at: datetime
    what: What
    code: str
    name: str
    name_en: str
    level: int | None = None
    before: int | None = None
    value: float | None = None
    by: str | None = None
    time: datetime | None = None
    unconfirmed: bool = False

    @property
    def rule(self) -> str:
        """Whose step it is, for an alert's."""
        return "silence" if self.what in ("lost", "returned") or self.level is None else "level"


def steps(station: StationNow, points: Sequence[Point], levels: Sequence[Level], since: datetime) -> Iterable[Change]:
    """The steps between reference levels after `since`, from the observations (oldest first, some of them before)."""
    if not levels:
        return
    before: int | None = None
    known = (n for n in range(len(points) - 1, -1, -1) if points[n].time <= since and points[n].usable)
    usable = [point for point in points[next(known, 0) :] if point.usable and point.value is not None]
    for n, point in enumerate(usable):
        assert point.value is not None
        level = max((each.level for each in levels if each.value <= point.value), default=0)
        if before is not None and level != before and point.time > since:
            what: What = "rose" if level > before else "fell"
            # What the next reading bears out was right, however it had moved.
            after = usable[n + 1].value if n + 1 < len(usable) else None
            borne_out = after is not None and any(each.level == level and each.value <= after for each in levels)
            yield Change(
                point.time,
                what,
                station.code,
                station.name,
                station.name_en,
                level,
                before,
                point.value,
                unconfirmed=what == "rose" and point.quality is Quality.DOUBTFUL and not borne_out,
            )
        before = level


def told_by_alerts(conn: Connection, since: datetime, now: datetime) -> list[Change]:
    """What was raised and cleared at rivers and rain gauges after `since`. One query.

    Observations that came late, all at once, take an alert through several levels in one judging: it was raised at the
    last of them.
    """
    rows = conn.execute(
        """
        select h.at, h.event, a.rule, s.code, s.name, s.name_en,
               case when h.event in ('cleared', 'retracted') then a.peak_level else (
                   select max(g.level) from alert_history g where g.alert_id = h.alert_id and g.at = h.at) end,
               h.value, u.display_name, h.phenomenon_time, h.unconfirmed
        from alert_history h
        join alert a using (alert_id)
        join station s using (station_id)
        left join app_user u on u.user_id = h.user_id
        where h.at > %(since)s and h.at <= %(now)s and h.event in ('raised', 'cleared', 'retracted')
          and a.rule in ('level', 'silence') and a.mode = 'actual' and a.part_of is null and s.kind = any(%(kinds)s)
        union all
        select h.at, h.event, 'silence', s.code, s.name, s.name_en, null, null, u.display_name, h.phenomenon_time, false
        from alert_history h
        join alert a using (alert_id)
        join outage_device o using (alert_id)
        join station s on s.station_id = o.station_id
        left join app_user u on u.user_id = h.user_id
        where h.at > %(since)s and h.at <= %(now)s and a.rule = 'outage' and s.kind = any(%(kinds)s)
          and (h.event = 'raised' or h.event = 'cleared' and o.returned_at is not null)
        """,
        {"since": since, "now": now, "kinds": [kind.value for kind in KINDS]},
    )
    words: dict[tuple[str, str], What] = {
        ("level", "raised"): "raised",
        ("level", "cleared"): "cleared",
        ("level", "retracted"): "retracted",
        ("silence", "retracted"): "retracted",
        ("silence", "raised"): "lost",
        ("silence", "cleared"): "returned",
    }
    return [
        Change(at, words[rule, event], code, name, name_en, level, None, value, by, time, unconfirmed)
        for at, event, rule, code, name, name_en, level, value, by, time, unconfirmed in rows
    ]

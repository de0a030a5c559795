"""The drill that runs, as the other pages show it: beside what is real, marked, and never in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.pages.disaster import Threshold, thresholds_at
from devices.model import Quality
from store.connection import Connection
from store.drills import Drill, running


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a station says in the drill; `value` and `time` None before its first reading. `badge` as a gauge's."""

    datastream_id: int
    station_id: int
    code: str
    name: str
    name_en: str
    value: float | None
    time: datetime | None
    quality: Quality | None
    thresholds: tuple[Threshold, ...]

    @property
    def badge(self) -> str:
        if self.value is None:
            return "unknown"
        if not self.thresholds:
            return "none"
        return str(max((each.level for each in self.thresholds if each.value <= self.value), default=0))


@dataclass(frozen=True, slots=True)
class DrillNow:
    """The drill, and its stations by their codes."""

    drill: Drill
    shadows: Mapping[str, Shadow]


def drill_now(conn: Connection, municipality_id: int, now: datetime) -> DrillNow | None:
    """None where none runs."""
    found = running(conn, municipality_id)
    return None if found is None else DrillNow(found, {each.code: each for each in shadows(conn, found.drill_id, now)})


def shadows(conn: Connection, drill_id: int, now: datetime) -> Sequence[Shadow]:
    """The stations of a drill that has begun, with what they said last."""
    levels = thresholds_at(conn, now)
    return [
        Shadow(*(*row[:7], None if row[7] is None else Quality(row[7]), levels.get(row[1], ())))
        for row in conn.execute(
            """
            select x.datastream_id, x.station_id, s.code, s.name, s.name_en, l.value, l.phenomenon_time,
                   l.quality::text
            from drill_station x join station s using (station_id)
            left join datastream_latest l on l.datastream_id = x.datastream_id
            where x.drill_id = %s and x.datastream_id is not null order by x.station_id
            """,
            (drill_id,),
        )
    ]

"""A rain gauge's effective rain (`analytics.rivers.effective_rain`): now, by the hour, and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.rivers.effective_rain import EffectiveNow, effective_by_hour, effective_now
from api.pages.gauge_file import BOM, lines, number_text, time_text
from api.pages.readings import Now
from api.pages.station import RANGES, StationPage
from devices.model import StationKind
from store.connection import Connection

_LONGEST_TABLE = timedelta(days=7)  # on the page; the file has the whole range
Hour = tuple[datetime, float, bool, float, bool]


@dataclass(frozen=True, slots=True)
class EffectiveHere:
    """`now` None: nothing came for a day. `hours`, newest first: the end of each hour, both figures
    in mm, each with whether nothing is missing from it.
    """

    now: EffectiveNow | None
    hours: tuple[Hour, ...]


def effective_here(conn: Connection, model: StationPage, now: datetime) -> EffectiveHere | None:
    """What the page of a rain gauge shows; None of any other."""
    if model.kind is not StationKind.RAIN_GAUGE or model.now is None:
        return None
    current = effective_now(conn, {model.now.datastream_id: model.now.step}, now)[model.now.datastream_id]
    start = now - min(RANGES[model.range], _LONGEST_TABLE)
    return EffectiveHere(current, tuple(reversed(_hours(conn, model.now, start, now))))


def effective_file(conn: Connection, reading: Now | None, start: datetime, end: datetime, zone: ZoneInfo) -> bytes:
    """The hours of a range, oldest first."""
    heads = [("station", "time", "effective_1.5h", "complete_1.5h", "effective_72h", "complete_72h", "unit")]
    if reading is None:
        return BOM + lines(heads)
    station = reading.datastream.rpartition("/")[0]
    return BOM + lines(
        [
            *heads,
            *(
                (station, time_text(time, zone), number_text(short), int(first), number_text(long), int(second), "mm")
                for time, short, first, long, second in _hours(conn, reading, start, end)
            ),
        ]
    )


def _hours(conn: Connection, reading: Now, start: datetime, end: datetime) -> list[Hour]:
    last = end if reading.time is None else min(end, reading.time)
    told = effective_by_hour(conn, reading.datastream_id, reading.step, start, last)
    return [
        (datetime.fromtimestamp(time, UTC), *figures)
        for time, *figures in zip(
            told.times.tolist(),
            told.short.amounts.tolist(),
            told.short.complete.tolist(),
            told.long.amounts.tolist(),
            told.long.complete.tolist(),
            strict=True,
        )
    ]

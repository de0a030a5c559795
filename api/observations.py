"""/api/v1/datastreams/{station}/{observed_property}/observations: history, raw or by hour or local day.

Ranges include both ends. A page has at most `limit` rows; `next` is the address of the following one. Raw
observations reach over at most 31 days a request, hours over 366, days over ten years. With `points`, or the step auto,
the answer is a curve instead: the whole range, thinned so that lowest and highest values and gaps stay (`api.curves`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from math import isnan
from typing import Annotated, Literal, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Query
from psycopg.rows import dict_row

from api.access import READERS, Router, SignedIn, access
from api.curves import FEWEST_POINTS, MOST_POINTS, Step, curve, quality_of
from api.models import BucketOut, BucketPage, CurveOut, CurvePoint, ObservationOut, RawPage
from api.readings import Latest
from api.stations import find_datastream
from api.times import instant, span, text
from store.connection import Connection

router = Router(prefix="/api/v1", tags=["observations"])


class Asked(StrEnum):
    """How fine the history is to be; AUTO: as fine as is affordable."""

    RAW = "raw"
    HOUR = "hour"
    DAY = "day"
    AUTO = "auto"

    @property
    def step(self) -> Step | None:
        return None if self is Asked.AUTO else Step(self.value)


_USUAL_POINTS = 1000
_USUAL = {
    Asked.RAW: timedelta(days=1),
    Asked.HOUR: timedelta(days=7),
    Asked.DAY: timedelta(days=31),
    Asked.AUTO: timedelta(days=1),
}
_LONGEST = {
    Asked.RAW: timedelta(days=31),
    Asked.HOUR: timedelta(days=366),
    Asked.DAY: timedelta(days=3660),
    Asked.AUTO: timedelta(days=36600),
}
_RFC3339 = {"format": "date-time"}


@dataclass(frozen=True, slots=True)
class _Range:
    """One request's range. `after`: the last row of the page before; rows follow strictly after it."""

    start: datetime
    end: datetime
    after: datetime | None
    limit: int


@router.get("/datastreams/{station}/{observed_property}/observations")
@access(READERS)
def observations(
    visit: SignedIn,
    station: str,
    observed_property: str,
    start: Annotated[str | None, Query(alias="from", json_schema_extra=_RFC3339)] = None,
    end: Annotated[str | None, Query(alias="to", json_schema_extra=_RFC3339)] = None,
    step: Asked = Asked.RAW,
    points: Annotated[
        int | None,
        Query(ge=FEWEST_POINTS, le=MOST_POINTS, description="a curve of at most so many points; auto: 1000"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    after: Annotated[str | None, Query(json_schema_extra=_RFC3339, description="set by `next`")] = None,
) -> RawPage | BucketPage | CurveOut:
    """History of one datastream; without a range the last day (raw, auto), week (hour) or month (day) of town time."""
    since, until = span(start, end, now=visit.clock.now(), usual=_USUAL[step], longest=_LONGEST[step])
    asked = _Range(since, until, instant("after", after) if after is not None else None, limit)
    zone = ZoneInfo(visit.tenant.timezone)
    with visit.transaction() as conn:
        series = find_datastream(conn, station, observed_property)
        if step is Asked.AUTO or points is not None:
            return _curve(conn, series, asked, zone, step.step, points or _USUAL_POINTS)
        if step is Asked.RAW:
            return _raw(conn, series, asked)
        buckets = _days(conn, series, asked, zone) if step is Asked.DAY else _hours(conn, series, asked)
    more = len(buckets) > limit
    buckets = buckets[:limit]
    return BucketPage(
        datastream=series.datastream,
        step="day" if step is Asked.DAY else "hour",
        unit=series.unit,
        start=since,
        end=until,
        buckets=buckets,
        next=_next(series, asked, step, buckets[-1].start) if more else None,
    )


def _curve(conn: Connection, series: Latest, asked: _Range, zone: ZoneInfo, step: Step | None, points: int) -> CurveOut:
    found = curve(conn, series, asked.start, asked.end, zone, points=points, step=step)
    return CurveOut(
        datastream=series.datastream,
        step=found.step.value,
        slice_seconds=None if found.slice is None else found.slice.total_seconds(),
        unit=series.unit,
        statistic=cast(Literal["instant", "total"], series.statistic),
        start=asked.start,
        end=asked.end,
        points=[
            CurvePoint(
                time=datetime.fromtimestamp(at, UTC), value=None if isnan(value) else value, quality=quality_of(worst)
            )
            for at, value, worst in zip(found.times.tolist(), found.values.tolist(), found.worst.tolist(), strict=True)
        ],
    )


def _raw(conn: Connection, series: Latest, asked: _Range) -> RawPage:
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select phenomenon_time, value, quality::text as quality, reason from tenant_observation
            where datastream_id = %s and phenomenon_time >= %s and phenomenon_time <= %s
              and (%s::timestamptz is null or phenomenon_time > %s)
            order by phenomenon_time limit %s
            """,
            (series.datastream_id, asked.start, asked.end, asked.after, asked.after, asked.limit + 1),
        ).fetchall()
    more = len(rows) > asked.limit
    page = [ObservationOut(unit=series.unit, **row) for row in rows[: asked.limit]]
    return RawPage(
        datastream=series.datastream,
        start=asked.start,
        end=asked.end,
        observations=page,
        next=_next(series, asked, Asked.RAW, page[-1].phenomenon_time) if more else None,
    )


def _hours(conn: Connection, series: Latest, asked: _Range) -> list[BucketOut]:
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select hour as start, n, expected, minimum, maximum, mean, total, worst_quality::text as worst_quality,
                   reliability
            from rollup_hour
            where datastream_id = %s and hour >= %s and hour <= %s
              and (%s::timestamptz is null or hour > %s)
            order by hour limit %s
            """,
            (series.datastream_id, asked.start, asked.end, asked.after, asked.after, asked.limit + 1),
        ).fetchall()
    return [BucketOut(**row) for row in rows]


def _days(conn: Connection, series: Latest, asked: _Range, zone: ZoneInfo) -> list[BucketOut]:
    first = _first_day(asked.start, zone)
    after = asked.after.astimezone(zone).date() if asked.after is not None else None
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select day, n, expected, minimum, maximum, mean, total, worst_quality::text as worst_quality, reliability
            from rollup_day
            where datastream_id = %s and day >= %s and day <= %s and (%s::date is null or day > %s)
            order by day limit %s
            """,
            (series.datastream_id, first, asked.end.astimezone(zone).date(), after, after, asked.limit + 1),
        ).fetchall()
    return [BucketOut(start=_midnight(row["day"], zone), **row) for row in rows]


def _first_day(start: datetime, zone: ZoneInfo) -> date:
    """The first local day that begins within a range beginning at `start`."""
    local = start.astimezone(zone)
    return local.date() if _midnight(local.date(), zone) >= start else local.date() + timedelta(days=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _next(series: Latest, asked: _Range, step: Asked, last: datetime) -> str:
    query = {
        "from": text(asked.start),
        "to": text(asked.end),
        "step": step.value,
        "limit": asked.limit,
        "after": text(last),
    }
    return f"/api/v1/datastreams/{series.datastream}/observations?{urlencode(query)}"

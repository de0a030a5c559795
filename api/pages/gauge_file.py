"""A gauge's observations as files for a spreadsheet: UTF-8 with a BOM, so that Excel reads it; times in the town's zone
with their offset; an empty cell where there is no value.

`observations` has every observation of the range, exactly as it is stored (`import-csv` takes it back), `stretches` the
hours or days of a long one, as its table shows them (docs/dashboards.md). Rows are read in parts, each in a transaction
of its own, and leave before the next part is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from zoneinfo import ZoneInfo

from api.pages.readings import Now
from api.pages.stretches import Stretch
from store.connection import Connection

BOM = "\ufeff".encode()
PART = 5000  # rows in memory at a time
_OBSERVATIONS = ("station", "observed_property", "time", "value", "unit", "quality", "reason")
_PLACE, _SHARE = ("station", "observed_property", "start", "end"), ("unit", "n", "expected", "reliability", "quality")

Transaction = Callable[[], AbstractContextManager[Connection]]


def observations(
    transaction: Transaction, reading: Now | None, start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[bytes]:
    """Every observation with start < time <= end."""
    yield BOM + lines([_OBSERVATIONS])
    if reading is None:
        return
    after, station, observed = start, *reading.datastream.split("/")
    while True:
        with transaction() as conn:
            rows = conn.execute(
                """
                select phenomenon_time, value, quality::text, reason from tenant_observation
                where datastream_id = %s and phenomenon_time > %s and phenomenon_time <= %s
                order by phenomenon_time limit %s
                """,
                (reading.datastream_id, after, end, PART),
            ).fetchall()
        yield lines(
            (station, observed, time_text(time, zone), _exactly(value), reading.unit, quality, reason or "")
            for time, value, quality, reason in rows
        )
        if len(rows) < PART:
            return
        after = rows[-1][0]


def stretches(reading: Now | None, told: Iterable[Stretch], zone: ZoneInfo, *, total: bool) -> bytes:
    """What was gathered, oldest first, with the worst quality of each. A running one has fewer `expected` than a whole
    one.
    """
    station, observed, unit = ("", "", "") if reading is None else (*reading.datastream.split("/"), reading.unit)
    rows = [
        (
            station,
            observed,
            time_text(each.start, zone),
            time_text(each.end, zone),
            *((number_text(each.low),) if total else (number_text(each.low), number_text(each.high))),
            unit,
            each.n,
            each.expected,
            each.reliability.value,
            each.worst or "",
        )
        for each in sorted(told, key=lambda each: each.start)
    ]
    figures = ("total",) if total else ("minimum", "maximum")
    return BOM + lines([(*_PLACE, *figures, *_SHARE), *rows])


def time_text(time: datetime, zone: ZoneInfo) -> str:
    """A time as these files have it."""
    return time.astimezone(zone).isoformat()


def _exactly(value: float | None) -> str:
    return "" if value is None else repr(value).removesuffix(".0")


def number_text(value: float | None) -> str:
    """A number as these files have it; empty where there is none."""
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as CSV; a file begins with BOM."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()

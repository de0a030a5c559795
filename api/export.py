"""/api/v1/observations: everything the town has observed in a range, for other systems, however much that is.

Rows come by datastream and, within one, by time: the order of the key under which they are stored. So whatever is
written meanwhile, each row that was there at the beginning comes exactly once, and where the reading stopped is one
place: the key of the last row, which is what a cursor says. (A value that is corrected meanwhile comes as it is when
its turn comes; one that is new comes if its place is still ahead.)

Nothing is gathered: rows are read in parts of `PART`, each in a transaction of its own, and leave before the next part
is read. NDJSON tells a cursor after every part, so that who was cut off goes on from there, and ends with
`{"next": null}`, so that a whole answer is known from a broken one. With `limit` the answer is one part, and `Link`
names the address of the following one, in both formats.
"""

from __future__ import annotations

import csv
import io
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode

import msgspec
from fastapi import Query
from starlette.responses import Response, StreamingResponse

from api.access import READERS, Router, SignedIn, access
from api.errors import BadRequest, Text
from api.times import instant, span, text
from store.connection import Connection

router = Router(prefix="/api/v1", tags=["observations"])

PART = 5000  # rows in memory at a time
MOST_ROWS = 50_000  # of an answer with a limit
_USUAL, _LONGEST = timedelta(days=1), timedelta(days=36600)
_RFC3339 = {"format": "date-time"}
COLUMNS = ("datastream", "phenomenon_time", "value", "unit", "quality", "reason")

Row = tuple[str, str, float | None, str, str, str | None]


class Format(StrEnum):
    """How rows are written: an object a line, or comma-separated with a line of column names."""

    NDJSON = "ndjson"
    CSV = "csv"


_MEDIA_TYPES = {Format.NDJSON: "application/x-ndjson", Format.CSV: "text/csv; charset=utf-8"}


class Transactions(Protocol):
    """Gives a transaction of the person's municipality."""

    def __call__(self) -> AbstractContextManager[Connection]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """The key of the last row that was told: `time` None before the first one of the datastream."""

    datastream_id: int
    time: datetime | None

    def cursor(self) -> str:
        moment = "" if self.time is None else text(self.time)
        return urlsafe_b64encode(f"{self.datastream_id} {moment}".encode()).decode().rstrip("=")


BEGINNING = Place(0, None)


def place_of(cursor: str) -> Place:
    """The place that a cursor says. Raises `BadRequest` where it is none of ours."""
    try:
        number, moment = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(" ")
        datastream_id = int(number)
        time = instant("cursor", moment) if moment else None
        if not 0 <= datastream_id < 2**31:
            raise ValueError(number)
    except (ValueError, BadRequest) as error:
        raise BadRequest(
            Text(f"cursor「{cursor}」を読めません。", f"cursor: cannot read {cursor!r}."),
            Text(
                "前の応答にあった cursor をそのまま指定するか、指定せずに最初から読み直してください。",
                "Give the cursor of an earlier answer unchanged, or none to begin anew.",
            ),
        ) from error
    return Place(datastream_id, time)


@router.get("/observations", response_class=Response)
@access(READERS)
def export(
    visit: SignedIn,
    start: Annotated[str | None, Query(alias="from", json_schema_extra=_RFC3339)] = None,
    end: Annotated[str | None, Query(alias="to", json_schema_extra=_RFC3339)] = None,
    form: Annotated[Format, Query(alias="format")] = Format.NDJSON,
    limit: Annotated[int | None, Query(ge=1, le=MOST_ROWS, description="an answer of at most so many rows")] = None,
    cursor: Annotated[str | None, Query(max_length=100, description="go on behind this place")] = None,
) -> Response:
    """All observations of the town with from <= phenomenon_time <= to, by datastream and time; usually the last day."""
    since, until = span(start, end, now=visit.clock.now(), usual=_USUAL, longest=_LONGEST)
    after = BEGINNING if cursor is None else place_of(cursor)
    if limit is None:
        parts = _parts(visit.transaction, since, until, after, PART)
        return StreamingResponse(_lines(parts, form), media_type=_MEDIA_TYPES[form])
    rows, place = next(_parts(visit.transaction, since, until, after, limit))
    headers = {}
    if place is not None:
        query = {"from": text(since), "to": text(until), "format": form.value, "limit": limit, "cursor": place.cursor()}
        headers["Link"] = f'</api/v1/observations?{urlencode(query)}>; rel="next"'
    return Response(b"".join(_lines(iter([(rows, place)]), form)), media_type=_MEDIA_TYPES[form], headers=headers)


def _parts(
    transaction: Transactions, since: datetime, until: datetime, after: Place, size: int
) -> Iterator[tuple[list[Row], Place | None]]:
    """Up to `size` rows at a time, with the place of the last one; None with the last part."""
    while True:
        with transaction() as conn:
            rows, place = _part(conn, since, until, after, size)
        yield rows, place
        if place is None:
            return
        after = place


def _part(
    conn: Connection, since: datetime, until: datetime, after: Place, size: int
) -> tuple[list[Row], Place | None]:
    """Datastream by datastream: each is one stretch of the primary key, on both engines."""
    found: list[Row] = []
    for datastream_id, name, unit in conn.execute(
        """
        select d.datastream_id, s.code || '/' || d.observed_property, d.unit
        from datastream d join station s using (station_id)
        join datastream_latest l using (datastream_id)
        where d.drill_run is null and d.datastream_id >= %s and l.phenomenon_time >= %s and l.first_time <= %s
        order by d.datastream_id
        """,
        (after.datastream_id, since, until),
    ).fetchall():
        behind = after.time if datastream_id == after.datastream_id else None
        rows = conn.execute(
            """
            select phenomenon_time, value, quality::text, reason from tenant_observation
            where datastream_id = %s and phenomenon_time >= %s and phenomenon_time <= %s
              and (%s::timestamptz is null or phenomenon_time > %s)
            order by phenomenon_time limit %s
            """,
            (datastream_id, since, until, behind, behind, size - len(found)),
        ).fetchall()
        found += [(name, text(time), value, unit, quality, reason) for time, value, quality, reason in rows]
        if len(found) == size:
            return found, Place(datastream_id, rows[-1][0])
    return found, None


def _lines(parts: Iterator[tuple[Sequence[Row], Place | None]], form: Format) -> Iterator[bytes]:
    if form is Format.CSV:
        yield _csv([COLUMNS])
        for rows, _ in parts:
            yield _csv([("" if cell is None else cell for cell in row) for row in rows])
        return
    encoder = msgspec.json.Encoder()
    for rows, place in parts:
        told: list[dict[str, Any]] = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        yield encoder.encode_lines([*told, {"next": None if place is None else place.cursor()}])


def _csv(rows: Sequence[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()

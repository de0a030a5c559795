"""What the forms for the field send, read: a report with its photos, a word of a shelter. Staff and links alike.

The files of a form are read one after the other, and only as many as a report may have. A photo that cannot be read is
no reason to lose the report: it is left out, and the answer says so.
"""

from __future__ import annotations

import asyncio
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.pages.town_time import read_time
from api.pages.words import Words
from devices.photos import MOST_BYTES, Photo, PhotoError, reduced
from store import shelters
from store.connection import Connection
from store.errors import RecordError
from store.feed import append_headquarters
from store.field_reports import LONGEST_AGO, MOST_PHOTOS, Author, Seen, enter

MOST_BODY = 40_000_000  # bytes of a report with its photos
FIELDS = ("station", "place", "latitude", "longitude", "accuracy", "reading", "text", "time")
SHELTER_FIELDS = ("shelter", "state", "crowding", "people", "note", "time")


@dataclass(frozen=True, slots=True)
class Sent:
    """A form: its texts, and the files chosen as photos, which lie on the disk as long as the request lasts."""

    typed: Mapping[str, str]
    files: tuple[UploadFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that is no photo that we keep: its name, and the code of `devices.photos.PhotoError`."""

    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A report that was taken; `again`: it had come before, and nothing is new."""

    report_id: int
    again: bool
    unread: tuple[Unread, ...]


async def read_form(request: Request) -> Sent:
    """The form of a request, whose sender is known by now."""
    form = await request.form(max_files=2 * MOST_PHOTOS, max_fields=50)
    typed = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    chosen = [each for each in form.getlist("photos") if isinstance(each, UploadFile)]
    return Sent(typed, tuple(each for each in chosen if each.size or each.filename))


async def read_photos(files: Sequence[UploadFile]) -> tuple[tuple[Photo, ...], tuple[Unread, ...]]:
    """The photos among the files, reduced, and what is none. It takes its time: before any transaction. Raises
    `RecordError` where there are too many.

    One report after the other: who waits holds neither a thread, which the pages need, nor a photo in memory.
    """
    if len(files) > MOST_PHOTOS:
        raise RecordError("photos", "photos")
    photos, unread = [], []
    async with _one_at_a_time():
        for file in files:
            try:
                if (file.size or 0) > MOST_BYTES:
                    raise PhotoError("large")
                photos.append(await run_in_threadpool(reduced, await file.read()))
            except PhotoError as error:
                unread.append(Unread((file.filename or "")[:100], error.code))
    return tuple(photos), tuple(unread)


@lru_cache(maxsize=8)
def _limiter(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(1)


def _one_at_a_time() -> asyncio.Semaphore:
    """Of this process; a semaphore belongs to the loop that waits for it."""
    return _limiter(asyncio.get_running_loop())


def take_report(
    conn: Connection,
    municipality_id: int,
    author: Author,
    sent: Sent,
    photos: Sequence[Photo],
    unread: tuple[Unread, ...],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> Taken:
    """Writes a report down with its photos. Raises `RecordError`."""
    seen = _seen(conn, municipality_id, sent.typed, now, zone)
    if unread and not photos and not seen.text.strip() and seen.gauge_reading is None:
        raise RecordError("photos", f"photo_{unread[0].code}")
    drill = sent.typed.get("drill") == "1"
    key = key_of(sent.typed.get("key", "")) or uuid4()
    report_id, new = enter(conn, municipality_id, author, seen, photos, key=key, drill=drill, now=now)
    if new:
        append_headquarters(conn, municipality_id)
    return Taken(report_id, not new, () if not new else unread)


def say_shelter(
    conn: Connection, municipality_id: int, author: Author, typed: Mapping[str, str], *, now: datetime, zone: ZoneInfo
) -> None:
    """Writes down what somebody says of a shelter. Raises `RecordError`."""
    people = number(typed.get("people", ""), "people")
    word = shelters.Word(
        typed.get("state") or None,
        typed.get("crowding") or None,
        None if people is None else round(people),
        typed.get("note", ""),
        read_time(typed.get("time", ""), now, zone),
    )
    shelter = typed.get("shelter", "")
    if not (shelter.isascii() and shelter.isdigit() and len(shelter) < 10):
        raise RecordError("shelter", "empty")
    drill = typed.get("drill") == "1"
    shelters.say(conn, municipality_id, int(shelter), author, word, drill=drill, now=now)
    append_headquarters(conn, municipality_id)


def number(text: str, field: str) -> float | None:
    """A number as people type it (full-width digits, a comma for a point); None for nothing. Raises `RecordError`."""
    written = unicodedata.normalize("NFKC", text).replace(",", ".").strip()
    if not written:
        return None
    try:
        value = float(written)
    except ValueError:
        raise RecordError(field, "number") from None
    if not math.isfinite(value) or len(written) > 30:
        raise RecordError(field, "number")
    return value


def _seen(conn: Connection, municipality_id: int, typed: Mapping[str, str], now: datetime, zone: ZoneInfo) -> Seen:
    station_id = None
    if code := typed.get("station", ""):
        row = conn.execute(
            "select station_id from station where municipality_id = %s and code = %s", (municipality_id, code)
        ).fetchone()
        if row is None:
            raise RecordError("station", "unknown")
        station_id = int(row[0])
    latitude, longitude = (number(typed.get(name, ""), "place") for name in ("latitude", "longitude"))
    if (latitude is None) != (longitude is None):
        raise RecordError("place", "number")
    if latitude is not None and longitude is not None and not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise RecordError("place", "number")
    accuracy = number(typed.get("accuracy", ""), "place")
    return Seen(
        when(typed, now, zone),
        typed.get("text", ""),
        typed.get("place", ""),
        station_id,
        latitude,
        longitude,
        abs(accuracy) if accuracy is not None and latitude is not None else None,
        number(typed.get("reading", ""), "reading"),
    )


def when(typed: Mapping[str, str], now: datetime, zone: ZoneInfo) -> datetime:
    """The time of seeing. Left empty it is when the form was first sent: `waited` says how many seconds ago that was,
    for a report that lay in the browser until the network was there again. An hour that was typed is the last one
    before the button was pressed with it, `since` seconds ago: not before it came, which may be days later.
    """
    if typed.get("time", "").strip():
        return read_time(typed["time"], now - _ago(typed, "since"), zone)
    return now - _ago(typed, "waited")


def _ago(typed: Mapping[str, str], field: str) -> timedelta:
    seconds = number(typed.get(field, ""), "time") or 0.0
    return min(max(timedelta(0), timedelta(seconds=min(seconds, 1e9))), LONGEST_AGO - timedelta(minutes=1))


def key_of(text: str) -> UUID | None:
    """The key that a form made; None where it made none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def wants_json(request: Request) -> bool:
    """Whether it was the queue of a page that sent the form: it takes JSON for an answer."""
    return "application/json" in request.headers.get("accept", "")


def taken_json(number_: int, again: bool, unread: Sequence[Unread], words: Words) -> JSONResponse:
    """What the queue is told of what was taken."""
    why = {each.code: words(f"record.problem.photo_{each.code}") for each in unread}
    left_out = [{"name": each.name, "code": each.code, "why": why[each.code]} for each in unread]
    return JSONResponse({"report": number_, "again": again, "unread": left_out})

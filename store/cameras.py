"""Cameras at stations and their stills: a still is a photo (`store.field_photos`) that a camera has made.

    add_camera(conn, town, entry, now=, user_id=)      the digital section; RecordError at what cannot be meant
    end_camera(conn, town, camera_id, now=)            nothing more is fetched; what is kept stays for its days
    cameras(conn, town, ...) -> [Camera]               with what came of the last try, and the newest still
    stills(conn, camera_id, since) -> [FieldPhoto]     newest first
    due(conn, town, now) -> [Due]                      for the worker: which are to be tried now
    keep_still / note_try                              for the worker: one picture; what came of the try

Each still is kept once: a camera that has frozen sends the same bytes again, and grows stale instead of looking alive.
Release to the public, taking back, forgetting and the 30 days are those of every photo.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, LiteralString
from urllib.parse import urlsplit

from store.connection import Connection
from store.errors import RecordError
from store.field_photos import PHOTOS, FieldPhoto
from store.headquarters import clean

if TYPE_CHECKING:
    from devices.photos import Photo

EVERY, EVERY_ALERT = timedelta(minutes=10), timedelta(minutes=2)
STALE_AFTER = 3  # times of its usual pace without a new picture
DAY = timedelta(hours=24)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST = {"name": 60, "url": 500, "pattern": 100}
_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A camera as somebody enters it: an address that is asked, or a folder that it writes into. `secret`: the name of
    a file among the process's secrets. `every` in minutes, `every_alert` while an alert of its station is open.
    """

    station: str
    name: str
    url: str = ""
    secret: str = ""
    folder: str = ""
    pattern: str = "*.jpg"
    every: int = 10
    every_alert: int = 2


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera with its newest still, None where it has none (any more). `fault`: what came of the last try, a word of
    `ingest.cameras`, since `fault_since`. `heard_at`: when a picture last came, be it the same one again.
    """

    camera_id: int
    station_id: int
    station: str
    station_name: str
    station_name_en: str
    name: str
    url: str | None
    secret: str | None
    folder: str | None
    pattern: str | None
    every: timedelta
    every_alert: timedelta
    entered_at: datetime
    ended_at: datetime | None
    tried_at: datetime | None
    heard_at: datetime | None
    fault: str | None
    fault_said: str | None
    fault_since: datetime | None
    photo_id: int | None
    width: int | None
    height: int | None
    taken_at: datetime | None

    def unasked(self, now: datetime) -> bool:
        """Whether nobody asks it: the process does not run, or does not reach the database."""
        return now - (self.tried_at or self.entered_at) > STALE_AFTER * self.every

    def stale(self, now: datetime) -> bool:
        """Whether its newest still is older than a camera that works would leave it."""
        return self.taken_at is not None and now - self.taken_at > STALE_AFTER * self.every


@dataclass(frozen=True, slots=True)
class Due:
    """A camera that is to be tried now."""

    camera_id: int
    name: str
    url: str | None
    secret: str | None
    folder: str | None
    pattern: str | None


def add_camera(conn: Connection, municipality_id: int, entry: Entry, *, now: datetime, user_id: int | None) -> int:
    """Registers a camera and returns its number. Raises `RecordError`, naming the field."""
    name = clean("name", entry.name, _MOST["name"])
    if not name:
        raise RecordError("name", "empty")
    url, folder = entry.url.strip(), entry.folder.strip()
    if bool(url) == bool(folder):
        raise RecordError("url", "one_way")
    if url:
        _refuse_url(url)
    elif not _FILE.fullmatch(folder):
        raise RecordError("folder", "folder")
    secret = entry.secret.strip()
    if secret and (not url or not _FILE.fullmatch(secret)):
        raise RecordError("secret", "secret")
    pattern = entry.pattern.strip() or "*.jpg"
    if len(pattern) > _MOST["pattern"] or "/" in pattern or not pattern.isprintable():
        raise RecordError("pattern", "pattern")
    for field in ("every", "every_alert"):
        if not 1 <= getattr(entry, field) <= _LONGEST / timedelta(minutes=1):
            raise RecordError(field, "every")
    namesake = conn.execute(
        "select from camera where municipality_id = %s and name = %s and ended_at is null", (municipality_id, name)
    ).fetchone()
    if namesake is not None:
        raise RecordError("name", "taken")
    row = conn.execute(
        """
        insert into camera (municipality_id, station_id, name, url, secret, folder, pattern, every, every_alert,
                            entered_at, entered_by)
        select municipality_id, station_id, %s, %s, %s, %s, %s, %s, %s, %s, %s
        from station where municipality_id = %s and code = %s and kind in ('river_gauge', 'rain_gauge')
        returning camera_id
        """,
        (
            name,
            url or None,
            secret or None,
            folder or None,
            pattern if folder else None,
            timedelta(minutes=entry.every),
            timedelta(minutes=entry.every_alert),
            now,
            user_id,
            municipality_id,
            entry.station,
        ),
    ).fetchone()
    if row is None:
        raise RecordError("station", "station")
    return int(row[0])


def end_camera(conn: Connection, municipality_id: int, camera_id: int, *, now: datetime) -> None:
    """Once more does no harm."""
    conn.execute(
        "update camera set ended_at = %s where municipality_id = %s and camera_id = %s and ended_at is null",
        (now, municipality_id, camera_id),
    )


def cameras(conn: Connection, municipality_id: int, *, station: str | None = None) -> list[Camera]:
    """Those in use, of all stations or of one."""
    rows = conn.execute(
        _CAMERAS + "where c.municipality_id = %s and c.ended_at is null and (%s::text is null or s.code = %s) "
        "order by s.station_id, c.camera_id",
        (municipality_id, station, station),
    )
    return [Camera(*row) for row in rows]


def camera(conn: Connection, municipality_id: int, camera_id: int) -> Camera | None:
    """One, also when it has ended."""
    row = conn.execute(
        _CAMERAS + "where c.municipality_id = %s and c.camera_id = %s", (municipality_id, camera_id)
    ).fetchone()
    return None if row is None else Camera(*row)


def stills(conn: Connection, municipality_id: int, camera_id: int, since: datetime) -> list[FieldPhoto]:
    """Its stills of the time since then, newest first; those that somebody took away are not shown."""
    rows = conn.execute(
        PHOTOS + "where f.municipality_id = %s and f.camera_id = %s and f.received_at > %s and f.forgotten_at is null "
        "order by f.received_at desc",
        (municipality_id, camera_id, since),
    )
    return [FieldPhoto(*row) for row in rows]


def still(conn: Connection, municipality_id: int, camera_id: int, photo_id: int) -> FieldPhoto | None:
    """One of them, also when its picture is gone."""
    row = conn.execute(
        PHOTOS + "where f.municipality_id = %s and f.camera_id = %s and f.field_photo_id = %s",
        (municipality_id, camera_id, photo_id),
    ).fetchone()
    return None if row is None else FieldPhoto(*row)


def alone(conn: Connection, municipality_id: int) -> bool:
    """Whether this process is the one that asks the cameras; the lock goes with its connection."""
    row = conn.execute("select pg_try_advisory_lock(hashtextextended('cameras', %s))", (municipality_id,)).fetchone()
    return row is not None and bool(row[0])


def due(conn: Connection, municipality_id: int, now: datetime) -> list[Due]:
    """The cameras that have not been tried for as long as they want: less while an alert of their station is open."""
    rows = conn.execute(
        """
        select c.camera_id, c.name, c.url, c.secret, c.folder, c.pattern
        from camera c left join camera_state t using (camera_id)
        where c.municipality_id = %(town)s and c.ended_at is null
          and (t.tried_at is null or t.tried_at + case
                when exists (select from alert a where a.station_id = c.station_id and a.cleared_at is null
                             and a.mode = 'actual') then least(c.every, c.every_alert) else c.every end <= %(now)s)
        order by c.camera_id
        """,
        {"town": municipality_id, "now": now},
    )
    return [Due(*row) for row in rows]


def keep_still(
    conn: Connection, municipality_id: int, camera_id: int, data: bytes, photo: Photo, now: datetime
) -> bool:
    """Keeps a picture as it came (`data`), reduced to `photo`; whether it is a new one."""
    kept = conn.execute(
        """
        insert into field_photo (municipality_id, camera_id, digest, image, thumbnail, width, height, received_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
        """,
        (
            municipality_id,
            camera_id,
            hashlib.sha256(data).digest(),
            photo.image,
            photo.thumbnail,
            photo.width,
            photo.height,
            now,
        ),
    ).rowcount
    return bool(kept)


def note_try(
    conn: Connection,
    municipality_id: int,
    camera_id: int,
    now: datetime,
    *,
    heard: bool = False,
    fault: str | None = None,
    said: str | None = None,
) -> None:
    """What came of a try: a picture (`heard`), nothing new, or a `fault` with what was `said`. A fault that lasts keeps
    its beginning.
    """
    conn.execute(
        """
        insert into camera_state as s (camera_id, municipality_id, tried_at, heard_at, fault, fault_said, fault_since)
        values (%(camera)s, %(town)s, %(now)s, %(heard)s, %(fault)s, %(said)s, %(since)s)
        on conflict (camera_id) do update set tried_at = excluded.tried_at,
            heard_at = coalesce(excluded.heard_at, s.heard_at),
            fault = excluded.fault, fault_said = excluded.fault_said,
            fault_since = case when s.fault is not null and excluded.fault is not null then s.fault_since
                               else excluded.fault_since end
        """,
        {
            "camera": camera_id,
            "town": municipality_id,
            "now": now,
            "heard": now if heard else None,
            "fault": fault,
            "said": said,
            "since": None if fault is None else now,
        },
    )


def _refuse_url(url: str) -> None:
    """Nothing but http and https, and no password in it: an address stands on pages and in the database."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RecordError("url", "url") from None
    if parts.username is not None or parts.password is not None:
        raise RecordError("url", "password")
    good = parts.scheme in ("http", "https") and parts.hostname and port != 0 and len(url) <= _MOST["url"]
    if not good or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise RecordError("url", "url")


_CAMERAS: LiteralString = """
select c.camera_id, c.station_id, s.code, s.name, s.name_en, c.name, c.url, c.secret, c.folder, c.pattern, c.every,
       c.every_alert, c.entered_at, c.ended_at, t.tried_at, t.heard_at, t.fault, t.fault_said, t.fault_since,
       newest.field_photo_id, newest.width, newest.height, newest.received_at
from camera c
join station s using (station_id)
left join camera_state t using (camera_id)
left join lateral (
    select f.field_photo_id, f.width, f.height, f.received_at from field_photo f
    where f.camera_id = c.camera_id and f.forgotten_at is null order by f.received_at desc limit 1) newest on true
"""

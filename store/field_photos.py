"""Photos of reports, and stills of cameras (`store.cameras`): kept in the database for some days, then really gone;
only a released one is seen outside.

    put_photos(conn, town, report_id, photos, now=)
    picture(conn, town, photo_id, small=) -> bytes | None      None: no such photo, or its picture is gone
    photos_of(conn, town, report_id) -> [FieldPhoto]
    release(...)  take_back(...)                               one photo, by a named person; the newest word counts
    forget(conn, town, photo_id, now=, user_id=)               now, by a person
    forget_old(conn, town, before) -> how many                 those whose days are over, a step a call
    released(conn, town) -> [ReleasedPhoto]                    what everybody may see, newest first

In the database and not in a folder: the row and its picture come and go in one transaction, row-level security keeps
the towns apart, one backup holds everything, and the services of the container image share no folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from store.connection import Connection
from store.errors import RecordError
from store.headquarters import clean

if TYPE_CHECKING:
    from devices.photos import Photo

KEPT = timedelta(days=30)
STEP = 100  # photos
MOST_CAPTION = 200  # characters


@dataclass(frozen=True, slots=True)
class FieldPhoto:
    """A photo of a report; `there` False: its picture is gone since `forgotten_at`, by a person (`forgotten_by`) or by
    age. `released`: everybody may see it, as `released_by` said.
    """

    photo_id: int
    width: int
    height: int
    received_at: datetime
    forgotten_at: datetime | None
    forgotten_by: str | None
    released: bool
    caption: str
    released_at: datetime | None
    released_by: str | None

    @property
    def there(self) -> bool:
        return self.forgotten_at is None


# The columns of `FieldPhoto`; its ends say of what.
PHOTOS: LiteralString = """
select f.field_photo_id, f.width, f.height, f.received_at, f.forgotten_at, g.display_name,
       coalesce(last.released, false), coalesce(last.caption, ''), last.at, last.by
from field_photo f
left join app_user g on g.user_id = f.forgotten_by
left join lateral (
    select p.released, p.caption, p.at, u.display_name as by
    from field_photo_release p join app_user u using (user_id)
    where p.field_photo_id = f.field_photo_id order by p.field_photo_release_id desc limit 1) last on true
"""


@dataclass(frozen=True, slots=True)
class ReleasedPhoto:
    """A photo as everybody sees it: what the person who released it wrote, and when it was taken (a still: came)."""

    photo_id: int
    width: int
    height: int
    caption: str
    seen_at: datetime
    released_at: datetime


def put_photos(
    conn: Connection, municipality_id: int, report_id: int, photos: Sequence[Photo], *, now: datetime
) -> None:
    """Keeps the photos of a new report, each once."""
    for photo in {hashlib.sha256(photo.image).digest(): photo for photo in photos}.values():
        conn.execute(
            """
            insert into field_photo (municipality_id, field_report_id, image, thumbnail, width, height, received_at)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            (municipality_id, report_id, photo.image, photo.thumbnail, photo.width, photo.height, now),
        )


def picture(
    conn: Connection, municipality_id: int, photo_id: int, *, small: bool = False, public: bool = False
) -> bytes | None:
    """A JPEG; `public`: only if it is released."""
    row = conn.execute(
        sql.SQL(
            """
        select {} from field_photo f
        where f.municipality_id = %s and f.field_photo_id = %s and f.forgotten_at is null
          and (not %s or coalesce((select p.released from field_photo_release p
                                   where p.field_photo_id = f.field_photo_id
                                   order by p.field_photo_release_id desc limit 1), false))
        """
        ).format(sql.Identifier("thumbnail" if small else "image")),
        (municipality_id, photo_id, public),
    ).fetchone()
    return None if row is None else bytes(row[0])


def photos_of(conn: Connection, municipality_id: int, report_id: int) -> list[FieldPhoto]:
    """The photos of a report, also those whose picture is gone."""
    rows = conn.execute(
        PHOTOS + "where f.municipality_id = %s and f.field_report_id = %s order by f.field_photo_id",
        (municipality_id, report_id),
    )
    return [FieldPhoto(*row) for row in rows]


def release(
    conn: Connection, municipality_id: int, photo_id: int, *, caption: str, now: datetime, user_id: int
) -> None:
    """Shows a photo to everybody. Raises `RecordError`: it is gone, or of a drill or a withdrawn report (`photo`)."""
    caption = clean("caption", caption, MOST_CAPTION)
    if not caption:
        raise RecordError("caption", "empty")
    row = conn.execute(
        """
        select 1 from field_photo f left join field_report r using (field_report_id)
        where f.municipality_id = %s and f.field_photo_id = %s and f.forgotten_at is null
          and (f.camera_id is not null or not r.drill)
        """,
        (municipality_id, photo_id),
    ).fetchone()
    if row is None:
        raise RecordError("photo", "unknown")
    _said(conn, municipality_id, photo_id, released=True, caption=caption, now=now, user_id=user_id)


def take_back(conn: Connection, municipality_id: int, photo_id: int, *, now: datetime, user_id: int) -> None:
    """Shows it to staff alone again. Who has loaded it meanwhile has it."""
    _said(conn, municipality_id, photo_id, released=False, caption="", now=now, user_id=user_id)


def _said(
    conn: Connection,
    municipality_id: int,
    photo_id: int,
    *,
    released: bool,
    caption: str,
    now: datetime,
    user_id: int,
) -> None:
    row = conn.execute(
        """
        insert into field_photo_release (municipality_id, field_photo_id, released, caption, at, user_id)
        select municipality_id, field_photo_id, %s, %s, %s, %s from field_photo
        where municipality_id = %s and field_photo_id = %s returning 1
        """,
        (released, caption, now, user_id, municipality_id, photo_id),
    ).fetchone()
    if row is None:
        raise RecordError("photo", "unknown")


def forget(conn: Connection, municipality_id: int, photo_id: int, *, now: datetime, user_id: int) -> None:
    """Takes a picture away at once: a face, a number plate, a mistake. The row stays and says who did it."""
    conn.execute(
        """
        update field_photo set image = null, thumbnail = null, forgotten_at = %s, forgotten_by = %s
        where municipality_id = %s and field_photo_id = %s and forgotten_at is null
        """,
        (now, user_id, municipality_id, photo_id),
    )


def forget_old(conn: Connection, municipality_id: int, now: datetime) -> int:
    """Takes away the pictures whose days are over, STEP at most; how many that were."""
    return conn.execute(
        """
        update field_photo set image = null, thumbnail = null, forgotten_at = %s
        where field_photo_id in (
            select field_photo_id from field_photo
            where municipality_id = %s and forgotten_at is null and received_at < %s order by received_at limit %s)
        """,
        (now, municipality_id, now - KEPT, STEP),
    ).rowcount


def released(conn: Connection, municipality_id: int) -> list[ReleasedPhoto]:
    """What everybody may see now."""
    rows = conn.execute(
        """
        select f.field_photo_id, f.width, f.height, last.caption, coalesce(r.seen_at, f.received_at), last.at
        from field_photo f
        left join field_report r using (field_report_id)
        join lateral (
            select p.released, p.caption, p.at from field_photo_release p
            where p.field_photo_id = f.field_photo_id
            order by p.field_photo_release_id desc limit 1) last on last.released
        where f.municipality_id = %s and f.forgotten_at is null and (f.camera_id is not null or not r.drill)
        order by last.at desc, f.field_photo_id desc limit 100
        """,
        (municipality_id,),
    )
    return [ReleasedPhoto(*row) for row in rows]

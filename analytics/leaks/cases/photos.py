"""Photos of the steps of a case, in the town's database: kept with the record, for who may see pipes, never public.

put_photos(conn, town, case_id, number, photos, now=)
photos_of(conn, town, case_id) -> {number: [LeakPhoto, ...]}
picture(conn, town, case_id, photo_id, small=) -> bytes | None    None: no such photo, or it was taken away
forget(conn, town, case_id, photo_id, now=, user_id=) -> bool     takes the picture away; False: there is none
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from devices.photos import Photo
from store.connection import Connection


@dataclass(frozen=True, slots=True)
class LeakPhoto:
    """`forgotten_at`: since when its picture is gone, by whom; None: it is there."""

    photo_id: int
    width: int
    height: int
    received_at: datetime
    forgotten_at: datetime | None
    forgotten_by: str | None


def put_photos(
    conn: Connection, municipality_id: int, case_id: int, number: int, photos: Sequence[Photo], *, now: datetime
) -> None:
    """Keeps the photos of a step, each once."""
    for photo in {hashlib.sha256(photo.image).digest(): photo for photo in photos}.values():
        conn.execute(
            """
            insert into leak_photo (municipality_id, leak_case_id, number, image, thumbnail, width, height, received_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (municipality_id, case_id, number, photo.image, photo.thumbnail, photo.width, photo.height, now),
        )


def photos_of(conn: Connection, municipality_id: int, case_id: int) -> dict[int, list[LeakPhoto]]:
    """By the number of the step, in the order in which they came."""
    found: dict[int, list[LeakPhoto]] = {}
    for number, *row in conn.execute(
        """
        select p.number, p.leak_photo_id, p.width, p.height, p.received_at, p.forgotten_at, u.display_name
        from leak_photo p left join app_user u on u.user_id = p.forgotten_by
        where p.municipality_id = %s and p.leak_case_id = %s order by p.leak_photo_id
        """,
        (municipality_id, case_id),
    ):
        found.setdefault(number, []).append(LeakPhoto(*row))
    return found


def picture(
    conn: Connection, municipality_id: int, case_id: int, photo_id: int, *, small: bool = False
) -> bytes | None:
    """A JPEG."""
    row = conn.execute(
        sql.SQL(
            """
        select {} from leak_photo where municipality_id = %s and leak_case_id = %s and leak_photo_id = %s
          and forgotten_at is null
        """
        ).format(sql.Identifier("thumbnail" if small else "image")),
        (municipality_id, case_id, photo_id),
    ).fetchone()
    return None if row is None else bytes(row[0])


def forget(conn: Connection, municipality_id: int, case_id: int, photo_id: int, *, now: datetime, user_id: int) -> bool:
    """A face, a number plate, a mistake. The row stays and says who did it."""
    return bool(
        conn.execute(
            """
            update leak_photo set image = null, thumbnail = null, forgotten_at = %s, forgotten_by = %s
            where municipality_id = %s and leak_case_id = %s and leak_photo_id = %s and forgotten_at is null
            """,
            (now, user_id, municipality_id, case_id, photo_id),
        ).rowcount
    )

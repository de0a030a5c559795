"""What a town keeps of a device beside its readings: its papers, its photo, and who looked after it when.

Works with the rights of the API's role as with the owner's; the caller commits. RegistrationError names the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from hashlib import sha256

from devices.pictures import Picture
from store.connection import Connection
from store.errors import RegistrationError

MOST_TEXT = 200
MOST_NOTE = 2_000
MOST_PHOTO = 900_000  # bytes: a form of the pages takes no more
LOG_SHOWN = 200
_PHONE = re.compile(r"[0-9０-９+＋()（）\-－ー‐ 　#＃]{3,40}")


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """The papers of a device. None: not known. `service_ends`: the last day on which its network or contract carries
    messages. `jc_star`: level 1 to 4 of its JC-STAR label, whose number is `jc_star_label`.
    """

    serial_number: str | None = None
    owner: str | None = None
    phone: str | None = None
    battery_type: str | None = None
    battery_exchanged: date | None = None
    solar: bool | None = None
    service_ends: date | None = None
    jc_star: int | None = None
    jc_star_label: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Maintenance:
    """An entry of the 点検記録: who did what, when; `station`: code of where the device was then."""

    done_at: datetime
    done_by: str
    work: str
    station: str | None
    entered_at: datetime
    entered_by: str | None


@dataclass(frozen=True, slots=True)
class Photo:
    """The newest photo of a device."""

    media_type: str
    image: bytes
    digest: bytes
    changed_at: datetime


RECORD_FIELDS = tuple(field.name for field in fields(DeviceRecord))


def device_id_of(conn: Connection, municipality_id: int, key: str) -> int:
    """The id of a device by its key. RegistrationError where the town has none of it."""
    row = conn.execute(
        "select device_id from device where municipality_id = %s and key = %s", (municipality_id, key)
    ).fetchone()
    if row is None:
        raise RegistrationError("key", f"there is no device {key[:64]!r} in this town: register it first")
    return int(row[0])


def record_of(conn: Connection, municipality_id: int, device_id: int) -> DeviceRecord:
    """The papers of a device; of one that has none, nothing but None."""
    row = conn.execute(
        """
        select serial_number, owner, phone, battery_type, battery_exchanged, solar, service_ends, jc_star,
               jc_star_label, note
        from device_record where municipality_id = %s and device_id = %s
        """,
        (municipality_id, device_id),
    ).fetchone()
    return DeviceRecord() if row is None else DeviceRecord(*row)


def records(conn: Connection, municipality_id: int) -> Mapping[int, DeviceRecord]:
    """The papers of every device that has any, by its id."""
    rows = conn.execute(
        """
        select device_id, serial_number, owner, phone, battery_type, battery_exchanged, solar, service_ends, jc_star,
               jc_star_label, note
        from device_record where municipality_id = %s
        """,
        (municipality_id,),
    )
    return {row[0]: DeviceRecord(*row[1:]) for row in rows}


def put_record(
    conn: Connection, municipality_id: int, device_id: int, record: DeviceRecord, *, now: datetime, user_id: int | None
) -> None:
    """Makes these the papers of a device. RegistrationError where they cannot be."""
    check_record(record)
    conn.execute(
        """
        insert into device_record (device_id, municipality_id, changed_at, user_id, serial_number, owner, phone,
                                   battery_type, battery_exchanged, solar, service_ends, jc_star, jc_star_label, note)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (device_id) do update
            set (changed_at, user_id, serial_number, owner, phone, battery_type, battery_exchanged, solar,
                 service_ends, jc_star, jc_star_label, note)
              = (excluded.changed_at, excluded.user_id, excluded.serial_number, excluded.owner, excluded.phone,
                 excluded.battery_type, excluded.battery_exchanged, excluded.solar, excluded.service_ends,
                 excluded.jc_star, excluded.jc_star_label, excluded.note)
        """,
        (device_id, municipality_id, now, user_id, *(getattr(record, name) for name in RECORD_FIELDS)),
    )


def check_record(record: DeviceRecord) -> None:
    """RegistrationError for the first field that cannot be meant."""
    for name in ("serial_number", "owner", "battery_type", "jc_star_label"):
        _short(name, getattr(record, name), MOST_TEXT)
    _short("note", record.note, MOST_NOTE)
    if record.phone is not None and not _PHONE.fullmatch(record.phone):
        raise RegistrationError("phone", f"{record.phone[:40]!r} is no telephone number: write it as 0994-12-3456")
    if record.jc_star is not None and not 1 <= record.jc_star <= 4:
        raise RegistrationError("jc_star", f"JC-STAR has the levels 1 to 4, not {record.jc_star}")
    for name in ("battery_exchanged", "service_ends"):
        day: date | None = getattr(record, name)
        if day is not None and not 1990 <= day.year <= 2100:
            raise RegistrationError(name, f"{day.isoformat()} cannot be meant: write the year with four digits")


def add_maintenance(
    conn: Connection,
    municipality_id: int,
    device_id: int,
    *,
    done_at: datetime,
    done_by: str,
    work: str,
    now: datetime,
    user_id: int | None,
) -> None:
    """Adds an entry to the 点検記録, for ever. RegistrationError where it says nothing, or speaks of the future."""
    for name, text, most in (("done_by", done_by, MOST_TEXT), ("work", work, MOST_NOTE)):
        if not text.strip():
            raise RegistrationError(name, "this is empty: say who did what")
        _short(name, text, most)
    if done_at > now:
        raise RegistrationError("done_at", "this is later than now: what is to be done belongs to the planned work")
    conn.execute(
        """
        insert into maintenance_entry (municipality_id, device_id, station_id, done_at, done_by, work, entered_at,
                                       user_id)
        select %(municipality)s, %(device)s, (
            select station_id from attachment a where a.device_id = %(device)s
              and a.attached_from <= %(done_at)s and (a.attached_to is null or a.attached_to > %(done_at)s)),
            %(done_at)s, %(done_by)s, %(work)s, %(now)s, %(user)s
        """,
        {
            "municipality": municipality_id,
            "device": device_id,
            "done_at": done_at,
            "done_by": done_by.strip(),
            "work": work.strip(),
            "now": now,
            "user": user_id,
        },
    )


def maintenance(conn: Connection, municipality_id: int, device_id: int) -> list[Maintenance]:
    """The 点検記録 of a device, the newest first, LOG_SHOWN entries at most."""
    rows = conn.execute(
        """
        select m.done_at, m.done_by, m.work, s.code, m.entered_at, u.display_name
        from maintenance_entry m left join station s using (station_id) left join app_user u using (user_id)
        where m.municipality_id = %s and m.device_id = %s
        order by m.done_at desc, m.maintenance_entry_id desc limit %s
        """,
        (municipality_id, device_id, LOG_SHOWN),
    )
    return [Maintenance(*row) for row in rows]


def put_photo(
    conn: Connection, municipality_id: int, device_id: int, picture: Picture, *, now: datetime, user_id: int | None
) -> None:
    """Makes this the photo of a device; the one before it is gone."""
    if len(picture.data) > MOST_PHOTO:
        size, most = len(picture.data) // 1000, MOST_PHOTO // 1000
        raise RegistrationError("photo", f"the photo has {size} KB; at most {most} are kept: make it smaller")
    conn.execute(
        """
        insert into device_photo (device_id, municipality_id, media_type, image, digest, changed_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (device_id) do update set (media_type, image, digest, changed_at, user_id)
            = (excluded.media_type, excluded.image, excluded.digest, excluded.changed_at, excluded.user_id)
        """,
        (
            device_id,
            municipality_id,
            picture.media_type,
            picture.data,
            sha256(picture.data).digest(),
            now,
            user_id,
        ),
    )


def photo(conn: Connection, municipality_id: int, device_id: int) -> Photo | None:
    """The photo of a device, None where there is none."""
    row = conn.execute(
        "select media_type, image, digest, changed_at from device_photo where municipality_id = %s and device_id = %s",
        (municipality_id, device_id),
    ).fetchone()
    return None if row is None else Photo(row[0], bytes(row[1]), bytes(row[2]), row[3])


def remove_photo(conn: Connection, municipality_id: int, device_id: int) -> None:
    """Takes the photo of a device away, where it has one."""
    conn.execute("delete from device_photo where municipality_id = %s and device_id = %s", (municipality_id, device_id))


def _short(name: str, text: str | None, most: int) -> None:
    if text is not None and len(text) > most:
        raise RegistrationError(name, f"this has {len(text)} characters; at most {most} are kept: shorten it")

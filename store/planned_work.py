"""作業予定: when somebody works at a device. What it says meanwhile is doubtful (reason `maintenance`), and its silence
is no fault.

    plan_work, cancel_work        what people do
    planned_work                  the works that touch a stretch of time, of all devices or of one
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from store.connection import Connection
from store.errors import RegistrationError

LONGEST = timedelta(days=366)
_MOST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """One work: from `starts_at` until before `ends_at`. `entered_by` None: somebody with the command line."""

    planned_work_id: int
    device_id: int
    device_key: str
    starts_at: datetime
    ends_at: datetime
    work: str
    entered_at: datetime
    entered_by: str | None


def plan_work(
    conn: Connection,
    municipality_id: int,
    device_id: int,
    *,
    starts_at: datetime,
    ends_at: datetime,
    work: str,
    now: datetime,
    user_id: int | None,
) -> int:
    """Plans a work and returns its id. RegistrationError where it ends before it begins, is over already, or is longer
    than a year.
    """
    if not work.strip():
        raise RegistrationError("work", "this is empty: say what is to be done")
    if len(work) > _MOST_TEXT:
        raise RegistrationError("work", f"this has {len(work)} characters; at most {_MOST_TEXT} are kept: shorten it")
    if ends_at <= starts_at:
        raise RegistrationError("ends_at", "the end must be later than the beginning")
    if ends_at <= now:
        raise RegistrationError("ends_at", "this is over: what was done belongs to the maintenance log")
    if ends_at - starts_at > LONGEST:
        raise RegistrationError("ends_at", "a work of more than a year is none: take the device down instead")
    row = conn.execute(
        """
        insert into planned_work (municipality_id, device_id, starts_at, ends_at, work, entered_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s) returning planned_work_id
        """,
        (municipality_id, device_id, starts_at, ends_at, work.strip(), now, user_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def cancel_work(
    conn: Connection, municipality_id: int, planned_work_id: int, *, now: datetime, user_id: int | None
) -> bool:
    """Calls a work off, or ends it where it has begun; False where there is none that is not over. What has been
    marked until now stays marked.
    """
    cursor = conn.execute(
        """
        update planned_work set (cancelled_at, cancelled_by) = (%s, %s)
        where municipality_id = %s and planned_work_id = %s and cancelled_at is null and ends_at > %s
        """,
        (now, user_id, municipality_id, planned_work_id, now),
    )
    return cursor.rowcount == 1


def planned_work(
    conn: Connection, municipality_id: int, start: datetime, end: datetime, *, device_id: int | None = None
) -> list[PlannedWork]:
    """The works that touch start <= time <= end, the earliest first. A work that was called off after it had begun
    lasted until then.
    """
    rows = conn.execute(
        """
        select w.planned_work_id, w.device_id, d.key, w.starts_at, least(w.ends_at, w.cancelled_at), w.work,
               w.entered_at, u.display_name
        from planned_work w join device d using (device_id) left join app_user u using (user_id)
        where w.municipality_id = %s and w.starts_at <= %s and least(w.ends_at, w.cancelled_at) > %s
          and (w.cancelled_at is null or w.cancelled_at > w.starts_at)
          and (%s::integer is null or w.device_id = %s)
        order by w.starts_at, w.planned_work_id
        """,
        (municipality_id, end, start, device_id, device_id),
    )
    return [PlannedWork(*row) for row in rows]


def works_of(conn: Connection, municipality_id: int) -> dict[int, tuple[tuple[datetime, datetime], ...]]:
    """From when until before when somebody works, or worked, at a device, by its id."""
    found: dict[int, tuple[tuple[datetime, datetime], ...]] = {}
    for device_id, start, end in conn.execute(
        """
        select device_id, starts_at, least(ends_at, cancelled_at) from planned_work
        where municipality_id = %s and (cancelled_at is null or cancelled_at > starts_at) order by starts_at
        """,
        (municipality_id,),
    ):
        found[device_id] = (*found.get(device_id, ()), (start, end))
    return found

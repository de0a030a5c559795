"""What a person says of a stretch of a series: the values are true, false, or moved by an amount; and months that are
confirmed (確定値).

    review                 what the person says; the caller commits
    settle_reviews         the values follow, step by step, as every other correction (`store.correct`)
    confirm_month          a month whose values are no longer provisional; it can be taken back

A review is about the values that stand when it is settled. One that was wrong is followed by another one; of both the
later counts, and what stood before stays as a revision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from store.connection import Connection
from store.correct import Correction, Operation, Report, correct
from store.errors import RegistrationError

MOST_NOTE = 500
LONGEST = timedelta(days=400)  # of one review


class Said(StrEnum):
    """What a person says of values."""

    TRUE = "true"
    FALSE = "false"
    SHIFTED = "shifted"


_OPERATIONS = {Said.TRUE: Operation.CONFIRM, Said.FALSE: Operation.REJECT, Said.SHIFTED: Operation.SHIFT}


@dataclass(frozen=True, slots=True)
class Review:
    """One review for people; `settled_at` None: the values are not changed yet."""

    review_id: int
    event_id: int | None
    start: datetime
    end: datetime
    verdict: Said
    amount: float | None
    note: str
    by: str
    stated_at: datetime
    settled_at: datetime | None


def review(
    conn: Connection,
    municipality_id: int,
    datastream_id: int,
    *,
    start: datetime,
    end: datetime,
    verdict: Said,
    amount: float | None,
    note: str,
    now: datetime,
    user_id: int,
    event_id: int | None = None,
) -> int:
    """Enters what a person says of the values from `start` to `end`, both inclusive; its id. RegistrationError names
    the field that cannot be meant.
    """
    if not note.strip():
        raise RegistrationError("note", "this is empty: say how you know, for whoever asks later")
    if len(note) > MOST_NOTE:
        raise RegistrationError("note", f"this has {len(note)} characters; at most {MOST_NOTE} are kept")
    if verdict is Said.SHIFTED and (amount is None or not math.isfinite(amount) or amount == 0 or abs(amount) > 1e6):
        raise RegistrationError("amount", "say by how much the values are moved: a number other than 0")
    if start > now:
        raise RegistrationError("start", "this is later than now")
    if end < start:
        raise RegistrationError("end", "the end must not be before the beginning")
    if end - start > LONGEST:
        raise RegistrationError("end", f"one review covers at most {LONGEST.days} days")
    row = conn.execute(
        """
        insert into quality_review (municipality_id, datastream_id, quality_event_id, from_time, to_time, verdict,
                                    amount, note, user_id, stated_at)
        select municipality_id, datastream_id, %s, %s, %s, %s, %s, %s, %s, %s from datastream
        where municipality_id = %s and datastream_id = %s and drill_run is null
          and (%s::bigint is null or exists (
              select from quality_event e where e.quality_event_id = %s and e.datastream_id = datastream.datastream_id))
        returning quality_review_id
        """,
        (
            event_id,
            start,
            end,
            verdict.value,
            amount if verdict is Said.SHIFTED else None,
            note.strip(),
            user_id,
            now,
            municipality_id,
            datastream_id,
            event_id,
            event_id,
        ),
    ).fetchone()
    if row is None:
        raise RegistrationError("event", "there is no such series, or the event is of another one")
    return int(row[0])


def open_reviews(conn: Connection) -> bool:
    """Whether there is anything to settle."""
    return conn.execute("select from quality_review where settled_at is null limit 1").fetchone() is not None


def settle_reviews(conn: Connection, *, now: datetime) -> Report | None:
    """Lets the values follow the oldest review that is open, in transactions of its own; None where none is, or another
    process is at it. Ended in the middle, the next call goes on. Raises psycopg.Error.
    """
    row = conn.execute("select pg_try_advisory_lock(hashtext('reviews'))").fetchone()
    conn.commit()
    if row is None or not row[0]:
        return None
    try:
        return _settle(conn, now)
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("select pg_advisory_unlock(hashtext('reviews'))")
            conn.commit()


def _settle(conn: Connection, now: datetime) -> Report | None:
    row = conn.execute(
        """
        select r.quality_review_id, r.municipality_id, r.datastream_id, r.from_time, r.to_time, r.verdict, r.amount,
               r.note, r.user_id, r.stated_at, d.step
        from quality_review r join datastream d using (datastream_id)
        where r.settled_at is null order by r.quality_review_id limit 1
        """
    ).fetchone()
    conn.commit()
    if row is None:
        return None
    review_id, municipality_id, datastream_id, start, end, verdict, amount, note, user_id, stated, step = row
    asked = Correction(
        _OPERATIONS[Said(verdict)], (datastream_id,), start, end, note, user_id, amount=amount, review_id=review_id
    )
    report = correct(conn, municipality_id, asked, stated=stated, paces={datastream_id: step})
    conn.execute(
        "update quality_review set (settled_at, correction_id) = (%s, %s) where quality_review_id = %s",
        (now, report.correction_id, review_id),
    )
    conn.commit()
    return report


def reviews(conn: Connection, municipality_id: int, datastream_id: int, *, most: int = 50) -> list[Review]:
    """What has been said of a series, the newest first."""
    rows = conn.execute(
        """
        select r.quality_review_id, r.quality_event_id, r.from_time, r.to_time, r.verdict, r.amount, r.note,
               u.display_name, r.stated_at, r.settled_at
        from quality_review r join app_user u using (user_id)
        where r.municipality_id = %s and r.datastream_id = %s order by r.quality_review_id desc limit %s
        """,
        (municipality_id, datastream_id, most),
    )
    return [
        Review(review_id, event_id, start, end, Said(verdict), *rest)
        for review_id, event_id, start, end, verdict, *rest in rows
    ]


@dataclass(frozen=True, slots=True)
class ConfirmedMonth:
    """A month of a series that was confirmed. `touched`: a value of it was revised since."""

    datastream_id: int
    month: date
    by: str
    stated_at: datetime
    touched: bool


def confirm_month(
    conn: Connection, municipality_id: int, datastream_ids: list[int], month: date, *, now: datetime, user_id: int
) -> int:
    """Says that the values of a local month are confirmed; of how many of these series that was news.

    RegistrationError where the month is not over, or where somebody has still to look at what is doubted in it.
    """
    row = conn.execute(
        """
        select %(now)s < (%(month)s::date + interval '1 month') at time zone timezone,
               (select count(*) from quality_event e
                where e.datastream_id = any(%(ids)s::integer[])
                  and e.last_time >= %(month)s::timestamp at time zone timezone
                  and e.first_time < (%(month)s::date + interval '1 month') at time zone timezone
                  and not exists (select from quality_review r where r.quality_event_id = e.quality_event_id))
        from municipality where municipality_id = %(municipality)s
        """,
        {"now": now, "month": month, "ids": datastream_ids, "municipality": municipality_id},
    ).fetchone()
    assert row is not None
    if row[0]:
        raise RegistrationError("month", "this month is not over yet: it can be confirmed when it is")
    if row[1]:
        raise RegistrationError("doubts", f"doubts that nobody has looked at yet: {row[1]}. Review them first")
    return conn.execute(
        """
        insert into confirmed_month (datastream_id, month, municipality_id, user_id, stated_at)
        select datastream_id, %(month)s, municipality_id, %(user)s, %(now)s from datastream d
        where datastream_id = any(%(ids)s::integer[]) and municipality_id = %(municipality)s and drill_run is null
          and not exists (select from confirmed_month c
                          where c.datastream_id = d.datastream_id and c.month = %(month)s and withdrawn_at is null)
        """,
        {"now": now, "month": month, "ids": datastream_ids, "municipality": municipality_id, "user": user_id},
    ).rowcount


def withdraw_month(
    conn: Connection, municipality_id: int, datastream_ids: list[int], month: date, *, now: datetime
) -> int:
    """Takes that back; of how many series."""
    return conn.execute(
        """
        update confirmed_month set withdrawn_at = %s
        where municipality_id = %s and datastream_id = any(%s::integer[]) and month = %s and withdrawn_at is null
        """,
        (now, municipality_id, datastream_ids, month),
    ).rowcount


def confirmed_months(
    conn: Connection, municipality_id: int, datastream_ids: list[int], first: date, last: date
) -> Mapping[tuple[int, date], ConfirmedMonth]:
    """What stands confirmed of these series in the months from `first` to `last`."""
    rows = conn.execute(
        """
        select c.datastream_id, c.month, u.display_name, c.stated_at,
               exists (select from observation_revision r
                       where r.datastream_id = c.datastream_id and r.revised_at > c.stated_at
                         and r.phenomenon_time >= c.month::timestamp at time zone m.timezone
                         and r.phenomenon_time < (c.month + interval '1 month') at time zone m.timezone)
        from confirmed_month c join municipality m using (municipality_id) join app_user u using (user_id)
        where c.municipality_id = %s and c.datastream_id = any(%s::integer[]) and c.month >= %s and c.month <= %s
          and withdrawn_at is null
        """,
        (municipality_id, datastream_ids, first, last),
    )
    return {(row[0], row[1]): ConfirmedMonth(*row) for row in rows}

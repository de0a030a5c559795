"""What a calibration does to the values that were stored without it (`store.calibrations`).

    settle(conn, municipality_id, now, paces)   the oldest that is due, all of it; what a worker does beside the batches

It waits until no worker can store a value without the calibration any more (SETTLE_AFTER, real time). Then every value
of the device in its time that has no stamp is put right, in the steps of `store.correct`; ended in the middle, the next
call goes on. At the end the stamps have done their work and go.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from store.calibrations import SETTLE_AFTER
from store.connection import Connection
from store.correct import Correction, Operation, Report, correct

# An open end means everything that is there; a device's clock may be ahead, but not by so much.
_AHEAD = timedelta(days=2)


def settle(
    conn: Connection,
    municipality_id: int,
    *,
    now: datetime,
    paces: Mapping[int, timedelta],
    after: timedelta = SETTLE_AFTER,
) -> Report | None:
    """Settles the oldest calibration that is due, in transactions of its own; None where none is, or another process
    is at it. `now` is town time, `paces` as in `store.correct`. Raises psycopg.Error.
    """
    # Of the session, because a settlement has many transactions; who dies lets it go.
    key = (municipality_id,)
    row = conn.execute("select pg_try_advisory_lock(hashtext('settle'), %s)", key).fetchone()
    conn.commit()
    if row is None or not row[0]:
        return None
    try:
        return _settle(conn, municipality_id, now, paces, after)
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute("select pg_advisory_unlock(hashtext('settle'), %s)", key)
            conn.commit()


def _settle(
    conn: Connection, municipality_id: int, now: datetime, paces: Mapping[int, timedelta], after: timedelta
) -> Report | None:
    # Strictly in their order: each applies to what those before it gave.
    row = conn.execute(
        """
        select calibration_id, device_id, datastream_id, from_time, to_time, gain, value_offset, reason, user_id,
               entered_at, entered_real + %s <= clock_timestamp()
        from calibration where municipality_id = %s and settled_at is null order by calibration_id limit 1
        """,
        (after, municipality_id),
    ).fetchone()
    conn.commit()
    if row is None or not row[10]:
        return None
    calibration_id, device_id, datastream_id, start, end, gain, offset, reason, user_id, entered_at, _ = row
    asked = Correction(
        Operation.CALIBRATE,
        (datastream_id,),
        start,
        # Times are whole microseconds: before `end` is up to the one before it.
        max(now, entered_at) + _AHEAD if end is None else end - timedelta(microseconds=1),
        reason,
        user_id,
        amount=gain,
        addend=offset,
        device_id=device_id,
        calibration_id=calibration_id,
    )
    report = correct(conn, municipality_id, asked, stated=now, paces=paces)
    conn.execute(
        "update calibration set (settled_at, correction_id) = (%s, %s) where calibration_id = %s",
        (now, report.correction_id, calibration_id),
    )
    # Also what a worker stamped before it heard that the one before this was settled.
    conn.execute(
        """
        delete from calibration_stamp where calibration_id in (
            select calibration_id from calibration where municipality_id = %s and settled_at is not null)
        """,
        (municipality_id,),
    )
    conn.commit()
    return report

"""Calibration (校正): what a device measures of a datastream in a stretch of time is value * gain + offset.

Values that come are corrected as they come in (`Applied`, in the directory of `store.registry`). Values that are stored
already are put right by `settle`, through the path of every other correction (`store.correct`), so that what stood
there stays as a revision. Which values those are is known: until a calibration is settled, each message that it was
applied to leaves a stamp. So no value is corrected twice or not at all, whatever worker stored it when.

Calibrations are never changed: of several that cover one time each applies to what those before it gave, in the order
in which they were entered. One that was wrong is taken back by its opposite (`withdraw_calibration`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from store.connection import Connection
from store.errors import RegistrationError

# How long (real time) a worker may go on with a directory that does not have a calibration yet, and some more: only
# then is it known that nothing is stored without it any more.
SETTLE_AFTER = timedelta(seconds=75)
_MOST_REASON = 500


class Applied(NamedTuple):
    """A calibration as ingest applies it, from `start` until before `end`. `stamped`: its messages leave a stamp."""

    calibration_id: int
    start: datetime
    end: datetime | None
    gain: float
    offset: float
    stamped: bool


def calibrated(calibrations: Sequence[Applied], time: datetime, value: float) -> tuple[float, tuple[int, ...]]:
    """The value after all that cover its time, in order, and those of them that want a stamp."""
    stamps: tuple[int, ...] = ()
    for each in calibrations:
        if each.start <= time and (each.end is None or time < each.end):
            value = value * each.gain + each.offset
            if each.stamped:
                stamps += (each.calibration_id,)
    return value, stamps


@dataclass(frozen=True, slots=True)
class Calibration:
    """One calibration for people. `withdrawn`: its opposite has been entered; `withdraws`: it is itself an opposite.
    `settled_at` None: the values stored before are not put right yet.
    """

    calibration_id: int
    device_id: int
    datastream_id: int
    station_code: str
    observed_property: str
    unit: str
    start: datetime
    end: datetime | None
    gain: float
    offset: float
    reason: str
    withdraws: int | None
    withdrawn: bool
    entered_at: datetime
    entered_by: str
    settled_at: datetime | None


def applied(conn: Connection, municipality_id: int) -> Mapping[tuple[int, int], tuple[Applied, ...]]:
    """The calibrations of a municipality by (device, datastream), each in the order in which they apply."""
    found: dict[tuple[int, int], tuple[Applied, ...]] = {}
    for device_id, datastream_id, *rest in conn.execute(
        """
        select device_id, datastream_id, calibration_id, from_time, to_time, gain, value_offset, settled_at is null
        from calibration where municipality_id = %s order by calibration_id
        """,
        (municipality_id,),
    ):
        key = (device_id, datastream_id)
        found[key] = (*found.get(key, ()), Applied(*rest))
    return found


def calibrate(
    conn: Connection,
    municipality_id: int,
    device_id: int,
    datastream_id: int,
    *,
    start: datetime,
    end: datetime | None,
    gain: float,
    offset: float,
    reason: str,
    now: datetime,
    user_id: int,
    withdraws: int | None = None,
) -> int:
    """Enters a calibration and returns its id. RegistrationError names the field that cannot be meant.

    The caller commits; from then on ingest applies it, and a worker puts right what is stored.
    """
    _check(conn, municipality_id, device_id, datastream_id, start, end, gain, offset, reason, now)
    row = conn.execute(
        """
        insert into calibration (municipality_id, device_id, datastream_id, from_time, to_time, gain, value_offset,
                                 reason, withdraws, entered_at, user_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning calibration_id
        """,
        (
            municipality_id,
            device_id,
            datastream_id,
            start,
            end,
            gain,
            offset,
            reason.strip(),
            withdraws,
            now,
            user_id,
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _check(
    conn: Connection,
    municipality_id: int,
    device_id: int,
    datastream_id: int,
    start: datetime,
    end: datetime | None,
    gain: float,
    offset: float,
    reason: str,
    now: datetime,
) -> None:
    if not reason.strip():
        raise RegistrationError("reason", "this is empty: say what was compared with what, for whoever asks later")
    if len(reason) > _MOST_REASON:
        raise RegistrationError("reason", f"this has {len(reason)} characters; at most {_MOST_REASON} are kept")
    if not math.isfinite(gain) or not 1e-6 <= abs(gain) <= 1e6:
        raise RegistrationError("gain", "the gain must be a number other than 0; 1 leaves the values as they are")
    if not math.isfinite(offset) or abs(offset) > 1e9:
        raise RegistrationError("offset", "the offset must be a number; 0 adds nothing")
    if gain == 1 and offset == 0:
        raise RegistrationError("offset", "gain 1 and offset 0 change nothing: say what is to be added or multiplied")
    if start > now:
        raise RegistrationError("start", "this is later than now: enter it when it has been done")
    if end is not None and end <= start:
        raise RegistrationError("end", "the end must be later than the beginning")
    row = conn.execute(
        """
        select d.statistic from datastream d
        where d.municipality_id = %s and d.datastream_id = %s and d.drill_run is null and exists (
            select from attachment a join field_mapping f using (attachment_id)
            where a.device_id = %s and f.datastream_id = d.datastream_id)
        """,
        (municipality_id, datastream_id, device_id),
    ).fetchone()
    if row is None:
        raise RegistrationError("datastream", "this device measures nothing of that series: choose one that it feeds")
    if row[0] == "total":
        raise RegistrationError(
            "datastream", "this series counts (rain, passages): set its scale in the mapping of the device instead"
        )


def withdraw_calibration(
    conn: Connection, municipality_id: int, calibration_id: int, *, reason: str, now: datetime, user_id: int
) -> int:
    """Takes a calibration back: enters its opposite over the same time, whose id is returned. RegistrationError where
    there is none, or it has been taken back.
    """
    found = next((c for c in calibrations(conn, municipality_id) if c.calibration_id == calibration_id), None)
    if found is None or found.withdraws is not None:
        raise RegistrationError("calibration", "there is no such calibration")
    if found.withdrawn:
        raise RegistrationError("calibration", "this calibration has been taken back already")
    return calibrate(
        conn,
        municipality_id,
        found.device_id,
        found.datastream_id,
        start=found.start,
        end=found.end,
        gain=1 / found.gain,
        offset=-found.offset / found.gain,
        reason=reason,
        now=now,
        user_id=user_id,
        withdraws=calibration_id,
    )


def calibrations(conn: Connection, municipality_id: int, *, device_id: int | None = None) -> list[Calibration]:
    """The calibrations of a town, or of one device, the newest first."""
    rows = conn.execute(
        """
        select c.calibration_id, c.device_id, c.datastream_id, s.code, d.observed_property, d.unit, c.from_time,
               c.to_time, c.gain, c.value_offset, c.reason, c.withdraws,
               exists (select from calibration o where o.withdraws = c.calibration_id),
               c.entered_at, u.display_name, c.settled_at
        from calibration c join datastream d using (datastream_id) join station s using (station_id)
        join app_user u using (user_id)
        where c.municipality_id = %s and (%s::integer is null or c.device_id = %s)
        order by c.calibration_id desc
        """,
        (municipality_id, device_id, device_id),
    )
    return [Calibration(*row) for row in rows]


def stamp(conn: Connection, municipality_id: int, stamps: Sequence[tuple[int, int]]) -> None:
    """Notes (calibration, uplink) of messages that came in with calibrations which are not settled."""
    conn.execute(
        """
        insert into calibration_stamp (calibration_id, uplink_id, municipality_id)
        select calibration_id, uplink_id, %s
        from unnest(%s::integer[], %s::bigint[]) as said (calibration_id, uplink_id)
        on conflict do nothing
        """,
        (municipality_id, [each[0] for each in stamps], [each[1] for each in stamps]),
    )

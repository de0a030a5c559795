"""Duty cycles in the database: written by the town file or a page, read with the mode that each device is in now.

    put_duty(conn, municipality_id, device_id, duty)    None: it keeps its pace
    change_duty(conn, municipality_id, key, duty)       the same by a person, checked; RegistrationError
    levels_proposed(conn, municipality_id, code, now)   (start, stop) that a station's reference levels suggest
    duties(conn)                                         device_id -> its cycle
    modes_now(conn, now, tenant=...)                     device_id -> cycle and present mode
    datastream_duties(conn, datastream_ids, ...)         datastream_id -> cycle of the device that feeds it

The mode follows from the observations and is stored nowhere: each mode above is on where the last value outside its
band of [stop, start) was at or above the start (`devices.duty.mode_after` of the whole series).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from devices.duty import DutyCycle, Mode, mode_of
from store.arrays import transposed
from store.connection import Connection
from store.errors import RegistrationError
from store.ledgers import hold_ledgers
from store.registrable import known_device


@dataclass(frozen=True, slots=True)
class DutyNow:
    """A device's cycle, the mode that it is in, and the datastream that decides; None: it feeds none now."""

    cycle: DutyCycle
    mode: Mode
    datastream_id: int | None


def put_duty(conn: Connection, municipality_id: int, device_id: int, duty: DutyCycle | None) -> None:
    """Makes this the duty cycle of a device, and the patience of its calm mode the device's. The caller commits; works
    with the rights of the API's role too.
    """
    conn.execute("delete from device_duty where device_id = %s", (device_id,))
    if duty is None:
        return
    conn.execute(
        "update device set silence_after = %(patience)s where device_id = %(device)s and silence_after <> %(patience)s",
        {"patience": duty.calm.silence_after, "device": device_id},
    )
    conn.execute(
        "insert into device_duty (device_id, municipality_id, observed_property, report_interval) "
        "values (%s, %s, %s, %s)",
        (device_id, municipality_id, duty.observed_property, duty.calm.interval),
    )
    for mode in duty.above:
        conn.execute(
            """
            insert into device_duty_mode
                (device_id, municipality_id, start_level, stop_level, report_interval, silence_after)
            values (%s, %s, %s, %s, %s, %s)
            """,
            (device_id, municipality_id, mode.start, mode.stop, mode.interval, mode.silence_after),
        )


def change_duty(conn: Connection, municipality_id: int, key: str, duty: DutyCycle | None) -> None:
    """Makes this the duty cycle of a device that is mounted, as a person says it; None: it keeps its pace, and may be
    silent for as long as before. The caller commits.

    RegistrationError for "duty" where the device does not measure what is to decide, for "start" or "stop" where a
    level cannot be believed at its station.
    """
    hold_ledgers(conn, municipality_id)
    device_id, _ = known_device(conn, municipality_id, key)
    if duty is not None:
        _check_levels(conn, key, device_id, duty)
    put_duty(conn, municipality_id, device_id, duty)
    conn.execute("update device set managed_by = 'people' where device_id = %s", (device_id,))


def _check_levels(conn: Connection, key: str, device_id: int, duty: DutyCycle) -> None:
    row = conn.execute(
        """
        select d.range_low, d.range_high, d.unit
        from attachment a join field_mapping f using (attachment_id) join datastream d using (datastream_id)
        where a.device_id = %s and a.attached_to is null and d.observed_property = %s limit 1
        """,
        (device_id, duty.observed_property),
    ).fetchone()
    if row is None:
        raise RegistrationError(
            "duty",
            f"device {key} measures no {duty.observed_property} where it is mounted, so its pace cannot depend on it: "
            "mount it, or say first which of its fields that is",
        )
    low, high, unit = row
    for mode in duty.above:
        for field, level in (("start", mode.start), ("stop", mode.stop)):
            assert level is not None
            if (low is not None and level < low) or (high is not None and level > high):
                raise RegistrationError(
                    field,
                    f"device {key}: {level:g} is no level that can be there "
                    f"({'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'} {unit}): "
                    f"give it in {unit}, as on the station's page",
                )


def levels_proposed(conn: Connection, municipality_id: int, code: str, now: datetime) -> tuple[float, float] | None:
    """(start, stop) for a gauge at a station: its lowest reference level at `now`, and as far below as an alert of that
    level waits before it is over; None where it has no reference levels.
    """
    row = conn.execute(
        """
        select min(l.value), t.clear_margin
        from threshold_set t join threshold_level l using (threshold_set_id) join station s using (station_id)
        where s.municipality_id = %s and s.code = %s and t.threshold_set_id = (
            select threshold_set_id from threshold_set u where u.station_id = t.station_id and u.valid_from <= %s
            order by u.valid_from desc, u.threshold_set_id desc limit 1)
        group by t.threshold_set_id
        """,
        (municipality_id, code, now),
    ).fetchone()
    return None if row is None else (row[0], round(row[0] - row[1], 6))


def duties(conn: Connection) -> dict[int, DutyCycle]:
    """device_id -> its duty cycle, for those that have one; in a tenant's transaction, those of the tenant."""
    modes: dict[int, list[Mode]] = {}
    heads: dict[int, tuple[Mode, str]] = {}
    for device_id, observed_property, interval, silence_after, *above in conn.execute(
        """
        select device_id, u.observed_property, u.report_interval, v.silence_after,
               m.report_interval, m.silence_after, m.start_level, m.stop_level
        from device_duty u join device v using (device_id) join device_duty_mode m using (device_id)
        order by device_id, m.start_level
        """
    ):
        # The patience of a device may have been shortened by somebody who did not think of the cycle.
        heads[device_id] = Mode(interval, max(interval, silence_after)), observed_property
        modes.setdefault(device_id, []).append(Mode(*above))
    return {
        device_id: DutyCycle(calm, tuple(modes[device_id]), observed) for device_id, (calm, observed) in heads.items()
    }


def modes_now(conn: Connection, now: datetime, *, tenant: bool) -> dict[int, DutyNow]:
    """device_id -> cycle and mode at `now`, for those that have a cycle. `tenant`: in the transaction of a tenant, by
    the role that sees no other; else by a worker.
    """
    cycles = duties(conn)
    if not cycles:
        return {}
    held: dict[int, dict[float, bool]] = {}
    feeds: dict[int, int] = {}
    query = sql.SQL(
        """
        select u.device_id, d.datastream_id, m.start_level, coalesce((
            select o.value >= m.start_level from {observation} o
            where o.datastream_id = d.datastream_id and o.phenomenon_time <= %(now)s
              and o.quality not in ('bad', 'missing') and (o.value >= m.start_level or o.value < m.stop_level)
            order by o.phenomenon_time desc limit 1), false)
        from device_duty u
        join device_duty_mode m using (device_id)
        join attachment a on a.device_id = u.device_id
             and a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
        join field_mapping f using (attachment_id)
        join datastream d on d.datastream_id = f.datastream_id and d.observed_property = u.observed_property
        """
    ).format(observation=sql.Identifier("tenant_observation" if tenant else "observation"))
    for device_id, datastream_id, start, on in conn.execute(query, {"now": now}):
        held.setdefault(device_id, {})[start] = on
        feeds[device_id] = datastream_id
    return {
        device_id: DutyNow(cycle, mode_of(cycle, _held(cycle, held.get(device_id, {}))), feeds.get(device_id))
        for device_id, cycle in cycles.items()
    }


def datastream_duties(conn: Connection, datastream_ids: Iterable[int]) -> dict[int, DutyCycle]:
    """datastream_id -> cycle of the device that feeds it last, for those whose values come at the pace of one."""
    cycles = duties(conn)
    if not cycles:
        return {}
    return {
        datastream_id: cycles[device_id]
        for datastream_id, device_id in conn.execute(
            """
            select distinct on (d.datastream_id) d.datastream_id, a.device_id
            from datastream d
            join field_mapping f using (datastream_id)
            join attachment a using (attachment_id)
            join device_duty u on u.device_id = a.device_id and u.observed_property = d.observed_property
            where d.datastream_id = any(%s) order by d.datastream_id, a.attached_from desc
            """,
            (sorted(set(datastream_ids)),),
        )
    }


def held_before(
    conn: Connection, cycles: Mapping[int, DutyCycle], times: Mapping[int, datetime], *, tenant: bool
) -> dict[int, tuple[bool, ...]]:
    """datastream_id -> which modes above were on just before its time (`devices.duty.missed`'s `held`)."""
    asked = [(each, times[each], m.start, m.stop) for each, cycle in cycles.items() for m in cycle.above]
    if not asked:
        return {}
    query = sql.SQL(
        """
        select asked.datastream_id, asked.start, coalesce((
            select o.value >= asked.start from {observation} o
            where o.datastream_id = asked.datastream_id and o.phenomenon_time < asked.before
              and o.quality not in ('bad', 'missing') and (o.value >= asked.start or o.value < asked.stop)
            order by o.phenomenon_time desc limit 1), false)
        from unnest(%s::integer[], %s::timestamptz[], %s::float8[], %s::float8[])
             as asked (datastream_id, before, start, stop)
        """
    ).format(observation=sql.Identifier("tenant_observation" if tenant else "observation"))
    found: dict[int, dict[float, bool]] = {}
    for datastream_id, start, on in conn.execute(query, transposed(asked, 4)):
        found.setdefault(datastream_id, {})[start] = on
    return {each: _held(cycle, found.get(each, {})) for each, cycle in cycles.items()}


def _held(cycle: DutyCycle, on: Mapping[float, bool]) -> tuple[bool, ...]:
    return tuple(on.get(mode.start, False) if mode.start is not None else False for mode in cycle.above)

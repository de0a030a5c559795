"""`device_status`: what each device last said of its battery; `battery_day`: the first that it said on a day (UTC)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date

from store.arrays import transposed
from store.batch import BatteryRow, UplinkRow
from store.connection import Connection
from store.device_health import ADD_BATTERY_DAYS


def keep_batteries(conn: Connection, municipality_id: int, rows: Iterable[UplinkRow]) -> None:
    """One row a device, by its own time of measurement: a late message does not take the battery back. Of two readings
    of one time the lower stands, whichever came first. And one a day, of the first reading: nearly always it is there
    already, so that it costs no write.
    """
    newest: dict[int, BatteryRow] = {}
    first: dict[tuple[int, date, str], BatteryRow] = {}
    for row in rows:
        if row.device_id is None or row.battery is None:
            continue
        held = newest.get(row.device_id)
        if row.battery.unit == "V" and (held is None or _rank(held) < _rank(row.battery)):
            newest[row.device_id] = row.battery
        day = (row.device_id, row.battery.measured_at.astimezone(UTC).date(), row.battery.unit)
        if day not in first or _earlier(row.battery) < _earlier(first[day]):
            first[day] = row.battery
    if not first:
        return
    if newest:
        _keep_newest(conn, municipality_id, newest)
    conn.execute(
        ADD_BATTERY_DAYS,
        (
            municipality_id,
            *transposed(
                [(*day, b.volts, b.measured_at) for day, b in sorted(first.items(), key=lambda each: each[0])], 5
            ),
        ),
    )


def _keep_newest(conn: Connection, municipality_id: int, newest: Mapping[int, BatteryRow]) -> None:
    conn.execute(
        """
        insert into device_status as held (device_id, municipality_id, battery, battery_low, measured_at)
        select device_id, %s, battery, low, measured_at
        from unnest(%s::integer[], %s::double precision[], %s::boolean[], %s::timestamptz[])
             as said (device_id, battery, low, measured_at)
        on conflict (device_id) do update set (battery, battery_low, measured_at)
            = (excluded.battery, excluded.battery_low, excluded.measured_at)
        where (held.measured_at, -held.battery, held.battery_low)
            < (excluded.measured_at, -excluded.battery, excluded.battery_low)
        """,
        (municipality_id, *transposed([(i, b.volts, b.low, b.measured_at) for i, b in sorted(newest.items())], 4)),
    )


def _rank(battery: BatteryRow) -> tuple[object, ...]:
    return (battery.measured_at, -battery.volts, battery.low)


def _earlier(battery: BatteryRow) -> tuple[object, ...]:
    return (battery.measured_at, battery.volts)

"""`device_status`: what each device last said of its battery."""

from __future__ import annotations

from collections.abc import Iterable

from store.arrays import transposed
from store.batch import BatteryRow, UplinkRow
from store.connection import Connection


def keep_batteries(conn: Connection, municipality_id: int, rows: Iterable[UplinkRow]) -> None:
    """One row a device, by its own time of measurement: a late message does not take the battery back. Of two readings
    of one time the lower stands, whichever came first.
    """
    newest: dict[int, BatteryRow] = {}
    for row in rows:
        if row.device_id is None or row.battery is None:
            continue
        held = newest.get(row.device_id)
        if held is None or _rank(held) < _rank(row.battery):
            newest[row.device_id] = row.battery
    if not newest:
        return
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

"""`radio_day` and `device_report`: what networks say of a device beside its messages, kept with the batch that has it.

    keep_radio(conn, municipality_id, rows)      one row a device, day of receipt and best gateway
    keep_reports(conn, municipality_id, rows)    what the network last asked the device (battery in %, mains, margin)

Both only of rows that bring any: a network that says nothing of this costs a look at each row. Adding up is right
because every message is new: repetitions have ended before (`store.uplinks`), and a quarantined one counts when it is
read at last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from devices.model import Outcome, Radio
from devices.radio import margin, spreading
from store.arrays import transposed
from store.batch import UplinkRow
from store.connection import Connection

_LONGEST_NAME = 200  # characters of a gateway's id that are kept


@dataclass(slots=True)
class _Day:
    """What one batch says of a device, a day and a gateway."""

    heard_at: datetime
    radio: Radio
    uplinks: int = 0
    best_rssi: float | None = None
    best_snr: float | None = None
    lowest: float | None = None
    total: float = 0.0
    margins: int = 0

    def add(self, at: datetime, radio: Radio) -> None:
        self.uplinks += 1
        rssi, snr = _number(radio.rssi), _number(radio.snr)
        above = margin(spreading(radio.data_rate), snr)
        self.best_rssi = _higher(self.best_rssi, rssi)
        self.best_snr = _higher(self.best_snr, snr)
        if above is not None:
            self.lowest = above if self.lowest is None else min(self.lowest, above)
            self.total += above
            self.margins += 1
        if at >= self.heard_at:
            self.heard_at, self.radio = at, radio


def keep_radio(conn: Connection, municipality_id: int, rows: Sequence[UplinkRow]) -> None:
    """Adds what the networks say of how these new messages were heard. The caller commits."""
    heard = [row for row in rows if row.radio is not None]
    if not heard:
        return
    days: dict[tuple[int, date, str], _Day] = {}
    for row in heard:
        radio = row.radio
        if radio is None or row.device_id is None or row.outcome is not Outcome.ACCEPTED:
            continue
        at = row.received_time
        gateway = "" if radio.gateway is None else radio.gateway.replace("\x00", "")[:_LONGEST_NAME]
        key = (row.device_id, at.astimezone(UTC).date(), gateway)
        day = days.get(key)
        if day is None:
            day = days[key] = _Day(at, radio)
        day.add(at, radio)
    if not days:
        return
    conn.execute(
        _ADD_RADIO,
        (
            municipality_id,
            *transposed(
                [
                    (
                        *key,
                        each.uplinks,
                        each.best_rssi,
                        each.best_snr,
                        each.lowest,
                        each.total,
                        each.margins,
                        each.heard_at,
                        _number(each.radio.rssi),
                        _number(each.radio.snr),
                        spreading(each.radio.data_rate),
                        max(1, min(each.radio.gateways, 32_000)),
                    )
                    for key, each in sorted(days.items())
                ],
                14,
            ),
        ),
    )


_ADD_RADIO = """
insert into radio_day as held (municipality_id, device_id, day, gateway, uplinks, best_rssi, best_snr, lowest_margin,
                               margin_sum, margins, heard_at, rssi, snr, spreading, gateways)
select %s, * from unnest(%s::integer[], %s::date[], %s::text[], %s::integer[], %s::real[], %s::real[], %s::real[],
                         %s::float8[], %s::integer[], %s::timestamptz[], %s::real[], %s::real[], %s::smallint[],
                         %s::smallint[])
on conflict (device_id, day, gateway) do update
    set (uplinks, best_rssi, best_snr, lowest_margin, margin_sum, margins)
      = (held.uplinks + excluded.uplinks, greatest(held.best_rssi, excluded.best_rssi),
         greatest(held.best_snr, excluded.best_snr), least(held.lowest_margin, excluded.lowest_margin),
         held.margin_sum + excluded.margin_sum, held.margins + excluded.margins),
        heard_at = greatest(held.heard_at, excluded.heard_at),
        rssi = case when excluded.heard_at >= held.heard_at then excluded.rssi else held.rssi end,
        snr = case when excluded.heard_at >= held.heard_at then excluded.snr else held.snr end,
        spreading = case when excluded.heard_at >= held.heard_at then excluded.spreading else held.spreading end,
        gateways = case when excluded.heard_at >= held.heard_at then excluded.gateways else held.gateways end
"""


def keep_reports(conn: Connection, municipality_id: int, rows: Iterable[UplinkRow]) -> None:
    """Keeps the newest of what the devices said of themselves through their network, and its battery in percent as the
    first of the day. The caller commits.
    """
    said: dict[int, tuple[datetime, float | None, bool, float | None]] = {}
    for row in rows:
        if row.status is None or row.device_id is None:
            continue
        report = (
            row.sent_time,
            _number(row.status.battery_percent),
            row.status.external_power,
            _number(row.status.margin_db),
        )
        if row.device_id not in said or said[row.device_id][0] <= report[0]:
            said[row.device_id] = report
    if not said:
        return
    columns = transposed([(device_id, *report) for device_id, report in sorted(said.items())], 5)
    conn.execute(
        """
        insert into device_report as held
            (municipality_id, device_id, reported_at, battery_percent, external_power, margin)
        select %s, * from unnest(%s::integer[], %s::timestamptz[], %s::real[], %s::boolean[], %s::real[])
        on conflict (device_id) do update set (reported_at, battery_percent, external_power, margin)
            = (excluded.reported_at, excluded.battery_percent, excluded.external_power, excluded.margin)
        where excluded.reported_at >= held.reported_at
        """,
        (municipality_id, *columns),
    )
    percent = [(i, at, value) for i, (at, value, _, _) in sorted(said.items()) if value is not None]
    if percent:
        conn.execute(
            ADD_BATTERY_DAYS,
            (
                municipality_id,
                *transposed([(i, at.astimezone(UTC).date(), "%", value, at) for i, at, value in percent], 5),
            ),
        )


# municipality, then columns of device, day (UTC), unit, value, time. Of two readings of a day the earlier stands;
# mostly it is there already, and looking costs less than the lock of an upsert that changes nothing.
ADD_BATTERY_DAYS = """
insert into battery_day as held (municipality_id, device_id, day, unit, value, measured_at)
select %s, said.*
from unnest(%s::integer[], %s::date[], %s::text[], %s::float8[], %s::timestamptz[])
     as said (device_id, day, unit, value, measured_at)
where not exists (
    select from battery_day b where b.device_id = said.device_id and b.day = said.day and b.unit = said.unit
    and (b.measured_at, b.value) <= (said.measured_at, said.value))
on conflict (device_id, day, unit) do update set (value, measured_at) = (excluded.value, excluded.measured_at)
    where (excluded.measured_at, excluded.value) < (held.measured_at, held.value)
"""


def _number(value: float | None) -> float | None:
    """What a column of real can hold."""
    return value if value is not None and math.isfinite(value) and abs(value) < 1e30 else None


def _higher(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)

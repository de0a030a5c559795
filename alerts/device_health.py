"""How every device of a municipality fares, by its daily figures: for the digital section's pages and weekly letter.

    device_health(conn, now)             device_id -> Health, of the tenant's devices
    device_health(conn, now, device_id)  of one

The figures come from `store.device_health`, `store.batteries` and `analytics.device_days`; what they mean is
`quality.device_health`'s. Works for the API's role within one municipality, and for the worker with `municipality_id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from devices.codecs import MODELS
from quality.device_health import (
    BatteryOutlook,
    ClockDrift,
    RadioOutlook,
    Sending,
    SentDay,
    battery_outlook,
    clock_drift,
    radio_outlook,
    sending,
)
from store import Connection
from store.heard import usual_gaps

BATTERY_DAYS, OTHER_DAYS = 120, 35
EMPTY_PERCENT = 10.0  # of what a network tells: below it a battery should be exchanged


@dataclass(frozen=True, slots=True)
class Battery:
    """The newest value in its unit (V or %), whether that is low, and the outlook. `limit`: None where nobody said."""

    value: float
    unit: str
    measured_at: datetime
    low: bool
    limit: float | None
    outlook: BatteryOutlook


@dataclass(frozen=True, slots=True)
class Radio:
    """The newest message as its network heard it best (dBm, dB), and by which gateways on the last days; `outlook` None
    where no margin is known.
    """

    heard_at: datetime
    gateway: str
    rssi: float | None
    snr: float | None
    spreading: int | None
    gateways: int
    by_gateway: tuple[tuple[str, int, float | None], ...]  # id, messages, best RSSI: of the last days, the best first
    outlook: RadioOutlook | None


@dataclass(frozen=True, slots=True)
class Health:
    """One device; None for what nobody said. `messages` came in the last 7 days; `repeats` are repetitions on those
    days, `gaps` frames that never came.
    """

    device_id: int
    battery: Battery | None
    mains: bool | None
    clock: ClockDrift | None
    radio: Radio | None
    sending: Sending
    interval: timedelta | None
    messages: int
    repeats: int
    gaps: int
    downlink_margin: float | None


def device_health(
    conn: Connection, now: datetime, device_id: int | None = None, *, municipality_id: int | None = None
) -> dict[int, Health]:
    """How each device fares at `now`; in nine queries, however many there are."""
    values = {
        "device": device_id,
        "town": municipality_id,
        "battery": (now - timedelta(days=BATTERY_DAYS)).date(),
        "other": (now - timedelta(days=OTHER_DAYS)).date(),
        "week": now - timedelta(days=7),
        "now": now,
    }
    batteries = _batteries(conn, values)
    radios = _radios(conn, values)
    days = _days(conn, values)
    gaps = usual_gaps(conn)
    promised: dict[int, timedelta] = dict(conn.execute(_PROMISED, values).fetchall())
    lost: dict[int, int] = dict(conn.execute(_LOST, values).fetchall())
    came = {row[0]: (row[1], row[2]) for row in conn.execute(_CAME, values)}
    reports = {row[0]: row[1:] for row in conn.execute(_REPORTS, values)}
    found = {}
    for (number,) in conn.execute(_WHO, values).fetchall():
        sent, offsets = days.get(number, ([], []))
        messages, repeats = came.get(number, (0, 0))
        mains, margin = reports.get(number, (None, None))
        found[number] = Health(
            device_id=number,
            battery=batteries.get(number),
            mains=mains,
            clock=clock_drift([day for day, _ in offsets], [offset for _, offset in offsets]),
            radio=radios.get(number),
            sending=sending([day for _, day in sent], promised.get(number)),
            interval=gaps.get(number),
            messages=messages,
            repeats=repeats,
            gaps=lost.get(number, 0),
            downlink_margin=margin,
        )
    return found


def _batteries(conn: Connection, values: Mapping[str, object]) -> dict[int, Battery]:
    series: dict[tuple[int, str], list[tuple[int, float, datetime]]] = {}
    for device_id, unit, day, value, measured_at in conn.execute(_BATTERY_DAYS, values):
        series.setdefault((device_id, unit), []).append((day.toordinal(), value, measured_at))
    limits: dict[str, float] = {
        name: low / 1000 if unit == "mV" else low
        for name, unit, low in conn.execute(
            "select name, battery_unit, battery_low from device_model where battery_low is not null "
            "and (%(town)s::integer is null or municipality_id = %(town)s)",
            values,
        )
    }
    found: dict[int, Battery] = {}
    for device_id, model, volts, low, measured_at in conn.execute(_BATTERY_NOW, values):
        known = series.get((device_id, "V"), [])
        if volts is not None:
            limit = MODELS[model].battery_low if model in MODELS else limits.get(model)
            outlook = battery_outlook([day for day, _, _ in known], [value for _, value, _ in known], limit)
            found[device_id] = Battery(volts, "V", measured_at, low, limit, outlook)
        elif percents := series.get((device_id, "%")):
            _, newest, at = percents[-1]
            limit = limits.get(model, EMPTY_PERCENT)
            outlook = battery_outlook([day for day, _, _ in percents], [value for _, value, _ in percents], limit)
            found[device_id] = Battery(newest, "%", at, newest < limit, limit, outlook)
    return found


def _radios(conn: Connection, values: Mapping[str, object]) -> dict[int, Radio]:
    found = {}
    rows = conn.execute(_RADIO_DAYS, values).fetchall()
    for device_id, group in groupby(rows, key=lambda row: row[0]):
        mine = list(group)
        newest = max(mine, key=lambda row: row[9])
        margins: dict[date, tuple[float, int]] = {}
        gateways: dict[str, tuple[int, float | None]] = {}
        for _, day, gateway, uplinks, best, margin_sum, count, *_ in mine:
            total, n = margins.get(day, (0.0, 0))
            margins[day] = total + margin_sum, n + count
            seen, loudest = gateways.get(gateway, (0, None))
            gateways[gateway] = seen + uplinks, _louder(loudest, best)
        daily = [(day.toordinal(), total / n) for day, (total, n) in sorted(margins.items()) if n]
        _, _, gateway, _, _, _, _, rssi, snr, heard_at, spreading, heard_by = newest
        found[device_id] = Radio(
            heard_at,
            gateway,
            rssi,
            snr,
            spreading,
            heard_by,
            tuple(sorted(((g, n, best) for g, (n, best) in gateways.items()), key=lambda each: (-each[1], each[0]))),
            radio_outlook([day for day, _ in daily], [margin for _, margin in daily]),
        )
    return found


_Sent = tuple[int, SentDay]


def _days(conn: Connection, values: Mapping[str, object]) -> dict[int, tuple[list[_Sent], list[tuple[int, float]]]]:
    found: dict[int, tuple[list[_Sent], list[tuple[int, float]]]] = {}
    for device_id, day, messages, payloads, offset in conn.execute(_DEVICE_DAYS, values):
        sent, offsets = found.setdefault(device_id, ([], []))
        sent.append((day.toordinal(), SentDay(messages, payloads)))
        if offset is not None:
            offsets.append((day.toordinal(), offset))
    return found


def _louder(one: float | None, other: float | None) -> float | None:
    known: Iterable[float] = (each for each in (one, other) if each is not None)
    return max(known, default=None)


_WHO = """
select device_id from device
where (%(device)s::integer is null or device_id = %(device)s)
  and (%(town)s::integer is null or municipality_id = %(town)s)
order by device_id
"""
_BATTERY_NOW = """
select d.device_id, d.model, b.battery, b.battery_low, b.measured_at
from device d left join device_status b using (device_id)
where (%(device)s::integer is null or d.device_id = %(device)s)
  and (%(town)s::integer is null or d.municipality_id = %(town)s)
"""
_BATTERY_DAYS = """
select device_id, unit, day, value, measured_at from battery_day
where day > %(battery)s and measured_at <= %(now)s and (%(device)s::integer is null or device_id = %(device)s)
  and (%(town)s::integer is null or municipality_id = %(town)s)
order by device_id, unit, day
"""
_RADIO_DAYS = """
select device_id, day, gateway, uplinks, best_rssi, margin_sum, margins, rssi, snr, heard_at, spreading, gateways
from radio_day
where day > %(other)s and (%(device)s::integer is null or device_id = %(device)s)
  and (%(town)s::integer is null or municipality_id = %(town)s)
order by device_id, day
"""
_DEVICE_DAYS = """
select device_id, day, messages, payloads, clock_offset from device_day
where day > %(other)s and (%(device)s::integer is null or device_id = %(device)s)
  and (%(town)s::integer is null or municipality_id = %(town)s)
order by device_id, day
"""
# How often it speaks at most: what it sends lately is no measure, for one that is stuck sends that all the time.
_PROMISED = """
select a.device_id, least(min(d.step), min(m.report_interval))
from attachment a
join field_mapping f using (attachment_id)
join datastream d using (datastream_id)
left join device_duty_mode m on m.device_id = a.device_id
where a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
  and (%(device)s::integer is null or a.device_id = %(device)s)
  and (%(town)s::integer is null or a.municipality_id = %(town)s)
group by a.device_id
"""
_LOST = """
select device_id, sum(to_counter - from_counter + 1)::bigint from frame_gap
where noticed_at > %(week)s and noticed_at <= %(now)s and (%(device)s::integer is null or device_id = %(device)s)
  and (%(town)s::integer is null or municipality_id = %(town)s)
group by device_id
"""
_CAME = """
select device_id, sum(accepted + quarantined)::bigint, sum(duplicate)::bigint from delivery_count
where hour > %(week)s and hour <= %(now)s and (%(device)s::integer is null or device_id = %(device)s)
  and (%(town)s::integer is null or municipality_id = %(town)s) and device_id is not null
group by device_id
"""
_REPORTS = """
select device_id, external_power, margin from device_report
where (%(device)s::integer is null or device_id = %(device)s)
  and (%(town)s::integer is null or municipality_id = %(town)s)
"""

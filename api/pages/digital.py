"""デジタル: the ledgers of stations and devices, devices by state, what could not be read, and the machine room.

A device is heard when one of its messages was accepted; what its stations say is the other desks' business. States,
worst first:

  LOST         nothing for longer than its silence_after
  NEVER        it has never been heard
  LOW_BATTERY  heard, but its battery is below the limit of its model, or the device says so itself
  STANDBY      it is in a mode of its duty cycle in which it hardly speaks; or, without such a cycle, nothing came for
               more than three of its usual intervals, which its silence_after still allows
  NORMAL       heard as usual

The usual interval is that of the mode that a device is in, else the median of its last gaps: the ledger knows how often
a device measures, not how often it sends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from devices.codecs import MODELS
from devices.model import StationKind
from store.connection import Connection
from store.duty import DutyNow, modes_now
from store.heard import LAST_HEARD, PARAMETERS, USUAL_GAP

STANDBY_INTERVALS = 3
QUARANTINE_SHOWN = 50
_TEXT_SHOWN, _BYTES_SHOWN = 400, 64


class DeviceState(StrEnum):
    """In the order in which they ask for somebody."""

    LOST = "lost"
    NEVER = "never"
    LOW_BATTERY = "low_battery"
    STANDBY = "standby"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class DeviceNow:
    """A row of the device ledger. Place and `attached_from` are None for a device that is mounted nowhere now.

    `interval` is the usual one, None where too little was heard to say. `battery` is in V.
    """

    key: str
    model: str
    silence_after: timedelta
    station: str | None
    name: str | None
    name_en: str | None
    attached_from: datetime | None
    heard: datetime | None
    interval: timedelta | None
    battery: float | None
    battery_low: bool
    battery_at: datetime | None
    state: DeviceState
    own_title: tuple[str, str] | None = None  # of a model that the municipality brought along

    @property
    def title(self) -> tuple[str, str]:
        """The model's name in Japanese and English; its key where no codec knows it any more."""
        known = MODELS.get(self.model)
        return (known.title, known.title_en) if known else self.own_title or (self.model, self.model)

    @property
    def silent_at(self) -> datetime | None:
        """When it turns LOST if nothing comes; None where it is lost already, or was never heard."""
        if self.heard is None or self.state is DeviceState.LOST:
            return None
        return self.heard + self.silence_after


@dataclass(frozen=True, slots=True)
class StationRow:
    """A row of the station ledger: what is watched there, and with how many devices now."""

    code: str
    kind: StationKind
    name: str
    name_en: str
    latitude: float
    longitude: float
    properties: tuple[str, ...]
    devices: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that could not be read. `preview` is its text, or its first bytes in hex where it is none."""

    received: datetime
    reason: str
    detail: str | None
    device_key: str | None
    topic: str
    preview: str
    size: int


@dataclass(frozen=True, slots=True)
class Digital:
    """`counts` has every state, in order. `quarantine` is None for who may not read raw messages."""

    devices: tuple[DeviceNow, ...]
    counts: Mapping[DeviceState, int]
    stations: tuple[StationRow, ...]
    reasons: Mapping[str, int]
    quarantine: tuple[Quarantined, ...] | None


def digital(conn: Connection, now: datetime, *, raw: bool) -> Digital:
    """The ledgers and the quarantine in five queries; `raw`: with the messages themselves."""
    devices = devices_now(conn, now)
    reasons: dict[str, int] = dict(
        conn.execute(
            "select reason, count(*) from uplink where outcome = 'quarantined' group by reason order by 2 desc, 1"
        ).fetchall()
    )
    return Digital(devices, counted(devices), _stations(conn, now), reasons, _quarantine(conn) if raw else None)


def counted(devices: tuple[DeviceNow, ...]) -> dict[DeviceState, int]:
    """How many devices are in each state, worst state first; every state has a number."""
    found = Counter(device.state for device in devices)
    return {state: found[state] for state in DeviceState}


def devices_now(conn: Connection, now: datetime) -> tuple[DeviceNow, ...]:
    """All devices as they are at a moment, those that ask for somebody first, then as the register orders places."""
    devices = []
    duties = modes_now(conn, now, tenant=True)
    for row in conn.execute(_DEVICES + LAST_HEARD + USUAL_GAP + _BY_PLACE, {"now": now, **PARAMETERS}):
        (
            device_id,
            key,
            model,
            silence_after,
            code,
            name,
            name_en,
            attached_from,
            heard,
            interval,
            battery,
            low,
            battery_at,
            *own_title,
        ) = row
        duty = duties.get(device_id)
        if duty is not None:
            silence_after, interval = duty.mode.silence_after, duty.mode.interval
        devices.append(
            DeviceNow(
                key=key,
                model=model,
                silence_after=silence_after,
                station=code,
                name=name,
                name_en=name_en,
                attached_from=attached_from,
                heard=heard,
                interval=interval,
                battery=battery,
                battery_low=bool(low),
                battery_at=battery_at,
                state=_state(now, heard, interval, silence_after, bool(low), duty),
                own_title=(own_title[0], own_title[1]) if own_title[0] else None,
            )
        )
    order = list(DeviceState)
    return tuple(sorted(devices, key=lambda device: order.index(device.state)))


def _state(
    now: datetime,
    heard: datetime | None,
    interval: timedelta | None,
    silence_after: timedelta,
    low: bool,
    duty: DutyNow | None,
) -> DeviceState:
    if heard is None:
        return DeviceState.NEVER
    age = now - heard
    if age > silence_after:
        return DeviceState.LOST
    if low:
        return DeviceState.LOW_BATTERY
    if duty is not None:
        return DeviceState.STANDBY if duty.mode.standby else DeviceState.NORMAL
    if interval is not None and age > STANDBY_INTERVALS * interval:
        return DeviceState.STANDBY
    return DeviceState.NORMAL


_DEVICES = """
select d.device_id, d.key, d.model, d.silence_after, s.code, s.name, s.name_en, a.attached_from,
       heard.received_time, usual.gap, b.battery, b.battery_low, b.measured_at, m.title, m.title_en
from device d
left join device_model m on m.municipality_id = d.municipality_id and m.name = d.model
left join attachment a on a.device_id = d.device_id
     and a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
left join station s using (station_id)
left join device_status b on b.device_id = d.device_id
"""
_BY_PLACE = "order by s.station_id nulls last, d.device_id"


def _stations(conn: Connection, now: datetime) -> tuple[StationRow, ...]:
    rows = conn.execute(
        """
        select s.code, s.kind, s.name, s.name_en, s.latitude, s.longitude,
               array(select d.observed_property from datastream d
                     where d.station_id = s.station_id and d.drill_run is null order by d.datastream_id),
               (select count(*) from attachment a where a.station_id = s.station_id
                and a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s))
        from station s order by s.station_id
        """,
        {"now": now},
    )
    return tuple(
        StationRow(code, StationKind(kind), name, name_en, latitude, longitude, tuple(properties), devices)
        for code, kind, name, name_en, latitude, longitude, properties, devices in rows
    )


def _quarantine(conn: Connection) -> tuple[Quarantined, ...]:
    rows = conn.execute(
        """
        select received_time, reason, detail, device_key, topic, substring(raw for %s), length(raw)
        from uplink where outcome = 'quarantined' order by received_time desc, uplink_id desc limit %s
        """,
        (4 * _TEXT_SHOWN, QUARANTINE_SHOWN),
    )
    return tuple(
        Quarantined(received, reason, detail, key, topic, preview(bytes(raw), size), size)
        for received, reason, detail, key, topic, raw, size in rows
    )


def preview(raw: bytes, size: int) -> str:
    """The beginning of a message for people: its text where it is one, else hex; … where there is more.

    `raw` may itself be the beginning only, `size` is that of the whole message.

    >>> preview(b'{"a": 1}', 8), preview(bytes([1, 0xFF]), 2), preview(b"", 0)
    ('{"a": 1}', '01 ff', '')
    """
    text = _text(raw, cut=len(raw) < size)
    if text is not None and all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        return text if len(text) <= _TEXT_SHOWN and len(raw) == size else text[:_TEXT_SHOWN] + "…"
    return raw[:_BYTES_SHOWN].hex(" ") + (" …" if size > _BYTES_SHOWN else "")


def _text(raw: bytes, *, cut: bool) -> str | None:
    """The message as text, None where it is none. Cut inside its last character it still is one."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return raw[: error.start].decode("utf-8") if cut and error.start > len(raw) - 4 else None

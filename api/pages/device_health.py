"""The technical part of a device's page: battery, radio, clock, what came and what did not, and when it is due next.

    part = health_part(conn, now, device_id)     None where there is no such device
    {% from "parts/device_health.html" import health_card with context %} {{ health_card(part) }}

Everybody else reads one sentence a station (`api.pages.readings.Now.sentence`); here are the dBm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.device_health import Health, device_health
from devices.radio import margin
from store.connection import Connection
from store.duty import DutyNow, modes_now
from store.heard import LAST_HEARD


@dataclass(frozen=True, slots=True)
class HealthPart:
    """A device as the digital section looks at it. `interval`: how often it speaks in the mode that it is in, else as
    it usually does; `due`: when the next word is due by that; `silent_at`: when it counts as lost. None: not known.
    """

    health: Health
    duty: DutyNow | None
    heard: datetime | None
    interval: timedelta | None
    due: datetime | None
    silence_after: timedelta
    silent_at: datetime | None
    outage: bool

    @property
    def margin(self) -> float | None:
        """dB that the newest message had above what its spreading factor needs."""
        radio = self.health.radio
        return None if radio is None else margin(radio.spreading, radio.snr)


def health_part(conn: Connection, now: datetime, device_id: int) -> HealthPart | None:
    """Within a tenant's transaction; about ten small queries."""
    row = conn.execute(_DEVICE + LAST_HEARD + "where d.device_id = %(device)s", {"device": device_id}).fetchone()
    health = device_health(conn, now, device_id).get(device_id)
    if row is None or health is None:
        return None
    silence_after, outage, heard = row
    duty = modes_now(conn, now, tenant=True).get(device_id)
    interval = health.interval
    if duty is not None:
        interval, silence_after = duty.mode.interval, duty.mode.silence_after
    return HealthPart(
        health,
        duty,
        heard,
        interval,
        None if heard is None or interval is None else heard + interval,
        silence_after,
        None if heard is None else heard + silence_after,
        outage,
    )


_DEVICE = """
select d.silence_after,
       exists (select from outage_device o join alert a using (alert_id)
               where o.device_id = d.device_id and o.returned_at is null and a.cleared_at is null),
       heard.received_time
from device d
"""

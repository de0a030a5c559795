"""The day of a device: how much it sent, and how far its clock was off."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from analytics.device_days import next_day
from devices.model import Quality
from store import connect
from store.batch import ObservationRow
from store.writer import write_batch
from tests.conftest import START, Registered, accepted

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BRIDGE = "river-mimamoribashi"


def send(registered: Registered, sent: datetime, measured: datetime) -> None:
    device = next(
        each
        for each in registered.directory.devices.values()
        if any(attachment.station_code == BRIDGE for attachment in each.attachments)
    )
    value = ObservationRow(registered.datastream(BRIDGE, "water_level"), measured, 1.0, Quality.GOOD, None)
    with connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, [accepted(device, sent, (value,), sent=sent)])


def work(registered: Registered, now: datetime) -> list[tuple[date, int, int, float | None]]:
    with connect(registered.worker, name="test") as conn:
        while next_day(conn, now):
            pass
        return conn.execute("select day, messages, payloads, clock_offset from device_day order by day").fetchall()


def test_the_message_with_the_least_delay_tells_the_clock(registered: Registered) -> None:
    for n, delay in enumerate((30, 4, 50)):
        at = START + n * 10 * MINUTE
        send(registered, at, at + timedelta(seconds=12 - delay))
    assert work(registered, START + DAY + timedelta(hours=4)) == [(date(2026, 6, 1), 3, 3, 8.0)]


def test_a_device_without_a_clock_has_no_offset(registered: Registered) -> None:
    send(registered, START, START)
    send(registered, START + 10 * MINUTE, START + 10 * MINUTE)
    assert work(registered, START + DAY + timedelta(hours=4)) == [(date(2026, 6, 1), 2, 2, None)]


def test_a_day_is_worked_out_once_it_is_over_and_missed_days_are_made_up_for(registered: Registered) -> None:
    for n in (0, 2):
        send(registered, START + n * DAY, START + n * DAY)
    assert work(registered, START + DAY) == [], "late messages may still come"
    assert [row[0].day for row in work(registered, START + 3 * DAY + timedelta(hours=4))] == [1, 3]

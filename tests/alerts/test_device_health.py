"""A transmitter that is stuck (送信しっぱなし) is told by what it was to send, not by what it sends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.device_health import device_health
from devices.duty import crisis_gauge
from quality.device_health import Sending
from store import connect
from store.duty import put_duty
from store.writer import write_batch
from tests.conftest import START, Registered, accepted

GAUGE = "a84041ffff310001"
DAY, QUARTER = timedelta(days=1), timedelta(seconds=15)


def sent(registered: Registered, *messages: int) -> Sending:
    """What is said of the gauge when it sent so many messages on each of the last days, and every 15 s just now."""
    device = registered.directory.devices[GAUGE]
    with connect(registered.worker, name="test") as conn:
        for n, number in enumerate(reversed(messages), 1):
            conn.execute(
                "insert into device_day (device_id, day, municipality_id, messages, repeats, payloads) "
                "values (%s, %s, %s, %s, 0, 50)",
                (device.device_id, (START - n * DAY).date(), registered.municipality_id, number),
            )
        rows = [accepted(device, START - n * QUARTER, sent=START - n * QUARTER) for n in range(20, 0, -1)]
        write_batch(conn, registered.municipality_id, rows)
        found = device_health(conn, START, municipality_id=registered.municipality_id)[device.device_id]
        assert found.interval == QUARTER, "by what it sends, all is as usual"
        return found.sending


@pytest.mark.parametrize(
    ("messages", "how"),
    [
        ((5760,), Sending.TOO_OFTEN),
        ((144,) * 9 + (5760,), Sending.TOO_OFTEN),
        ((144,) * 9 + (5760,) * 5, Sending.TOO_OFTEN),
        ((144,) * 9 + (150,), Sending.WELL),
        ((5760,) * 9, Sending.WELL),  # somebody has set it to that
    ],
)
def test_a_stuck_transmitter_is_no_new_usual(registered: Registered, messages: tuple[int, ...], how: Sending) -> None:
    assert sent(registered, *messages) is how


def test_a_flood_makes_no_stuck_transmitter_of_a_gauge_that_speaks_every_two_minutes_then(
    registered: Registered,
) -> None:
    with connect(registered.owner, name="test") as conn:
        device_id = registered.directory.devices[GAUGE].device_id
        put_duty(conn, registered.municipality_id, device_id, crisis_gauge(1.2, 1.0, timedelta(minutes=2)))
    assert sent(registered, *(1,) * 9, 720) is Sending.WELL

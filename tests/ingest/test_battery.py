"""What a message says of its device's battery, from the codec's fields to the row that is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devices.codecs import MODELS, flow_pressure, people_counter, radar_level
from devices.model import Outcome
from store.writer import BatteryRow
from tests.conftest import START, Registered
from tests.ingest.test_decode import decoded, own_json
from tests.ingest.town import COUNTER, GAUGE, LOGGER, chirpstack


@pytest.mark.parametrize(
    ("device", "payload", "low"),
    [
        (GAUGE, radar_level.encode(distance=5000, battery=3.6), False),
        (GAUGE, radar_level.encode(distance=5000, battery=3.2), True),
        (GAUGE, radar_level.encode(distance=5000, battery=3.6, status=radar_level.BATTERY_LOW), True),
        (GAUGE, radar_level.encode(distance=5000, battery=3.6, status=radar_level.TILTED), False),
        (COUNTER, people_counter.encode(time=START, passages_in=1, passages_out=1, battery=3.6, status=2), True),
        (COUNTER, people_counter.encode(time=START, passages_in=1, passages_out=1, battery=3.6, status=1), False),
        (
            LOGGER,
            flow_pressure.encode(time=START, step=timedelta(minutes=5), samples=[(9.0, 400.0)], battery=3.2),
            True,
        ),
    ],
)
def test_a_battery_is_low_by_its_voltage_or_by_the_devices_own_word(
    registered: Registered, device: str, payload: bytes, low: bool
) -> None:
    row = decoded(registered, chirpstack(device, payload, counter=1, time=START))
    assert row.outcome is Outcome.ACCEPTED and row.battery is not None
    assert (row.battery.low, row.battery.measured_at) == (low, START)
    assert row.battery.volts in (pytest.approx(3.6), pytest.approx(3.2))


def test_a_device_that_does_not_know_its_battery_says_nothing_of_it(registered: Registered) -> None:
    payload = radar_level.encode(distance=5000, status=radar_level.BATTERY_LOW)
    assert decoded(registered, chirpstack(GAUGE, payload, counter=1, time=START)).battery is None


def test_our_own_json_may_bring_a_battery_too(registered: Registered) -> None:
    row = decoded(
        registered, own_json(GAUGE, counter=1, time=START.isoformat(), readings={"distance": 5200, "battery": 3.1})
    )
    assert row.battery == BatteryRow(3.1, True, START)


def test_a_message_that_cannot_pass_tells_of_no_battery(registered: Registered) -> None:
    row = decoded(
        registered,
        own_json(GAUGE, counter=1, time="2001-01-01T00:00:00Z", readings={"battery": 3.1, "humidity": 3}),
    )
    assert row.outcome is Outcome.QUARANTINED and row.battery is None


def test_every_model_that_tells_its_battery_has_a_limit() -> None:
    for model in MODELS.values():
        assert ("battery" in model.fields) == (model.battery_low is not None), model.name
        assert model.battery_low_bit is None or "status" in model.fields, model.name

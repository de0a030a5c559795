"""From a raw message to the row that is stored of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devices.codecs import flow_pressure, radar_level
from devices.model import Outcome, Quality, Reason
from ingest.decode import bare, decode
from ingest.subscriber import Delivery
from store.writer import UplinkRow
from tests.conftest import START, Registered
from tests.ingest.town import COUNTER, GAUGE, LOGGER, chirpstack, level, passages

MINUTE = timedelta(minutes=1)


def decoded(registered: Registered, message: tuple[str, bytes], received: datetime = START) -> UplinkRow:
    topic, raw = message
    row = decode(Delivery(topic, raw, received, packet_id=1, generation=1), registered.directory)
    assert (row.topic, row.raw, row.received_time) == (topic, raw, received)
    return row


def own_json(device: str, **body: object) -> tuple[str, bytes]:
    return f"mimamori/v1/{device}/up", json.dumps({"device": device} | body).encode()


def test_a_level_becomes_an_observation_in_the_datastreams_unit_at_the_networks_time(registered: Registered) -> None:
    row = decoded(registered, level(1.25, counter=7, time=START - MINUTE))
    assert row.outcome is Outcome.ACCEPTED
    assert (row.device_key, row.session, row.counter, row.network) == (GAUGE, "00189440", 7, "chirpstack_v4")
    (observation,) = row.observations
    assert observation.datastream_id == registered.datastream("river-okusawa", "water_level")
    assert observation.phenomenon_time == START - MINUTE
    assert observation.value == pytest.approx(1.25)
    assert (observation.quality, observation.reason) == (Quality.GOOD, None)


def test_upper_and_lower_case_name_the_same_device(registered: Registered) -> None:
    payload = radar_level.encode(distance=5000)
    lower = decoded(registered, chirpstack(GAUGE, payload, counter=1, time=START))
    upper = decoded(registered, chirpstack(GAUGE.upper(), payload, counter=1, time=START))
    assert lower.outcome is upper.outcome is Outcome.ACCEPTED
    assert lower.identity == upper.identity


def test_a_device_that_could_not_measure_gives_a_missing_observation_not_a_zero(registered: Registered) -> None:
    row = decoded(registered, chirpstack(GAUGE, radar_level.encode(distance=None), counter=1, time=START))
    (observation,) = row.observations
    assert (observation.value, observation.quality, observation.reason) == (None, Quality.MISSING, Reason.SENSOR)


@pytest.mark.parametrize(
    ("measured", "network", "expected", "doubtful"),
    [
        (START - MINUTE, START, START - MINUTE, False),
        (START + 4 * MINUTE, START, START + 4 * MINUTE, False),
        (START + 6 * MINUTE, START - MINUTE, START - MINUTE, True),
        (datetime(1970, 1, 1, tzinfo=UTC), START - MINUTE, START - MINUTE, True),
        (datetime(2036, 2, 7, tzinfo=UTC), START - MINUTE, START - MINUTE, True),
        (datetime(1970, 1, 1, tzinfo=UTC), None, START, True),
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(2036, 2, 7, tzinfo=UTC), START, True),
    ],
)
def test_an_impossible_clock_costs_the_time_and_not_the_value(
    registered: Registered, measured: datetime, network: datetime | None, expected: datetime, doubtful: bool
) -> None:
    row = decoded(registered, passages(42, counter=1, measured=measured, network=network))
    assert row.outcome is Outcome.ACCEPTED
    inwards, outwards = row.observations
    assert (inwards.phenomenon_time, inwards.value, outwards.value) == (expected, 42.0, 0.0)
    want = (Quality.DOUBTFUL, Reason.CLOCK) if doubtful else (Quality.GOOD, None)
    assert (inwards.quality, inwards.reason) == want


@pytest.mark.parametrize(
    ("network", "expected", "doubtful"), [(START - MINUTE, START - MINUTE, False), (None, START, True)]
)
def test_a_device_without_a_clock_counts_at_the_networks_time(
    registered: Registered, network: datetime | None, expected: datetime, doubtful: bool
) -> None:
    (observation,) = decoded(registered, level(1.0, counter=1, time=network)).observations
    assert observation.phenomenon_time == expected
    assert (observation.reason is Reason.CLOCK) is doubtful


def test_our_own_json_without_a_time_counts_when_it_was_received(registered: Registered) -> None:
    row = decoded(registered, own_json(GAUGE, counter=1, readings={"distance": 5200}))
    (observation,) = row.observations
    assert observation.phenomenon_time == START
    assert observation.value == pytest.approx(1.0)
    assert observation.reason is Reason.CLOCK


def test_samples_of_a_broken_clock_stay_apart_by_their_ages(registered: Registered) -> None:
    payload = flow_pressure.encode(
        time=datetime(1970, 1, 1, 0, 10, tzinfo=UTC), step=timedelta(minutes=5), samples=[(10.0, 300.0), (11.0, 301.0)]
    )
    row = decoded(registered, chirpstack(LOGGER, payload, counter=1, time=START))
    flow = registered.datastream("block-hamamachi", "flow")
    assert [(o.phenomenon_time, o.value) for o in row.observations if o.datastream_id == flow] == [
        (START - 5 * MINUTE, 10.0),
        (START, 11.0),
    ]
    assert {o.reason for o in row.observations} == {Reason.CLOCK}


def test_a_network_event_is_an_event_and_two_of_them_are_two(registered: Registered) -> None:
    def join(time: datetime) -> tuple[str, bytes]:
        body = {"deviceInfo": {"devEui": GAUGE}, "devAddr": "00189440", "time": time.isoformat()}
        return f"application/8a1f/device/{GAUGE}/event/join", json.dumps(body).encode()

    first, second = decoded(registered, join(START)), decoded(registered, join(START + MINUTE))
    assert first.outcome is second.outcome is Outcome.EVENT
    assert first.detail == "join" and first.observations == ()
    assert first.identity != second.identity


def test_a_fields_order_and_spacing_do_not_make_another_message(registered: Registered) -> None:
    one = own_json(GAUGE, counter=1, time=START.isoformat(), readings={"distance": 5200, "battery": 3.6})
    two = (one[0], json.dumps(json.loads(one[1]), indent=2, sort_keys=True).encode())
    assert one[1] != two[1]
    assert decoded(registered, one).identity == decoded(registered, two).identity
    other = own_json(GAUGE, counter=1, time=START.isoformat(), readings={"distance": 5201, "battery": 3.6})
    assert decoded(registered, one).identity != decoded(registered, other).identity


UP = f"application/8a1f/device/{GAUGE}/event/up"
OWN = f"mimamori/v1/{GAUGE}/up"
OWN_START = b'{"device": "%s", "counter": 1, "readings": ' % GAUGE.encode()
GOOD_UP = level(1.0, counter=1, time=START)[1]
BAD = {
    "truncated JSON": ((UP, GOOD_UP[:-9]), "envelope"),
    "a megabyte": ((UP, b'{"data": "' + b"A" * 1_000_000 + b'"}'), "envelope"),
    "a megabyte of payload": (chirpstack(GAUGE, b"\x01" * 750_000, counter=1, time=START), "codec"),
    "deep nesting": ((UP, b"[" * 100_000 + b"]" * 100_000), "envelope"),
    "deep nesting inside": ((UP, GOOD_UP[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "envelope"),
    "wrong encoding": ((UP, GOOD_UP.replace(b"8944", "観測".encode("cp932"))), "envelope"),
    "empty": ((UP, b""), "envelope"),
    "not base64": ((UP, GOOD_UP.replace(b'"data": "', b'"data": "*')), "envelope"),
    "true for a number": (own_json(GAUGE, counter=1, time=START.isoformat(), readings={"distance": True}), "envelope"),
    "text for a number": (own_json(GAUGE, counter=1, time=START.isoformat(), readings={"distance": "5"}), "envelope"),
    "NaN": ((OWN, OWN_START + b'{"distance": NaN}}'), "envelope"),
    "infinite": ((OWN, OWN_START + b'{"distance": 1e999}}'), "envelope"),
    "foreign topic": (("zigbee2mqtt/lamp", b"{}"), "envelope"),
    "unknown EUI": (level(1.0, counter=1, time=START, device="ffffffffffffffff"), "unknown_device"),
    "another model's bytes": (chirpstack(GAUGE, b"\x09\x00", counter=1, time=START), "codec"),
    "a local time without a zone": ((UP, GOOD_UP.replace(b"+00:00", b"")), "envelope"),
    "a number for a time": ((UP, GOOD_UP.replace(b'"2026-06-01T00:00:00+00:00"', b"1780272000")), "envelope"),
    "another device's topic": ((UP.replace(GAUGE, LOGGER), GOOD_UP), "envelope"),
    "a statement in the topic": ((UP.replace(GAUGE, "'; drop table uplink; --"), GOOD_UP), "envelope"),
    "another device's own topic": ((OWN.replace(GAUGE, LOGGER), OWN_START + b'{"distance": 5}}'), "envelope"),
    "unknown field": (own_json(GAUGE, counter=1, time=START.isoformat(), readings={"depth": 1.0}), "codec"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "reason"), BAD.values(), ids=BAD.keys())
def test_what_cannot_pass_is_kept_raw_with_the_reason(
    registered: Registered, message: tuple[str, bytes], reason: str
) -> None:
    row = decoded(registered, message)
    assert (row.outcome, row.reason, row.observations) == (Outcome.QUARANTINED, reason, ())
    assert row.detail and len(row.detail) < 500


def test_a_reading_from_before_the_device_was_mounted_is_kept_apart(registered: Registered) -> None:
    early = datetime(2025, 3, 1, tzinfo=UTC)
    row = decoded(registered, passages(5, counter=1, measured=early, network=early), received=early)
    assert (row.outcome, row.reason) == (Outcome.QUARANTINED, "not_attached")
    assert row.detail is not None and COUNTER in row.detail


def test_a_row_that_the_database_refused_is_left_with_nothing_to_refuse(registered: Registered) -> None:
    row = bare(decoded(registered, level(1.0, counter=1, time=START)), "text with \x00 and \ud800")
    assert (row.outcome, row.reason, row.observations) == (Outcome.QUARANTINED, "store", ())
    assert (row.device_id, row.device_key, row.counter) == (None, GAUGE, None)
    assert row.detail is not None and "\x00" not in row.detail
    row.detail.encode()


def test_a_value_that_the_mapping_makes_infinite_is_kept_raw(registered: Registered) -> None:
    device = registered.directory.devices[GAUGE]
    attachment = device.attachments[0]
    huge = replace(attachment, fields={"distance": replace(attachment.fields["distance"], scale=1e308)})
    directory = replace(registered.directory, devices={GAUGE: replace(device, attachments=(huge,))})
    topic, raw = level(1.0, counter=1, time=START)
    row = decode(Delivery(topic, raw, START, packet_id=1, generation=1), directory)
    assert (row.outcome, row.reason, row.observations) == (Outcome.QUARANTINED, "not_finite", ())
    assert row.detail is not None and GAUGE in row.detail and "river-okusawa" in row.detail

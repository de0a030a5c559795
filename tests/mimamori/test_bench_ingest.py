"""`mimamori bench ingest` with small numbers, and its parts. How fast it is, the command says, and no test."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import Any

import pytest

from devices import codecs
from devices.clock import FixedClock
from devices.envelopes import open_uplink
from devices.town import load_town
from ingest.broker import Broker, end_session
from ingest.subscriber import Subscriber
from mimamori.bench.bulk import Bulk, make_session
from mimamori.bench.flood import STEP, Flood, Kind, device_key, flooded_town
from mimamori.bench.ingest_figures import within_targets
from mimamori.bench.ingest_processes import STAGES
from simulators.towns import path
from tests.brokers.running import broker, embedded, wait_for
from tests.mimamori.test_cli import command

__all__ = ["broker", "embedded"]

START = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", Kind)
def test_a_message_is_read_as_what_it_says(kind: Kind) -> None:
    town = flooded_town(load_town(path()), 7)
    devices = {device.key: device for station in town.stations for device in station.devices}
    assert len(devices) == 14
    said = [open_uplink(*message) for message in Flood(kind, 7, START, run=3).messages(21)]
    assert [(u.device_key, u.counter) for u in said] == [(device_key(kind, n % 7), n // 7) for n in range(21)]
    for uplink in said:
        (mapping,) = devices[uplink.device_key].mapping
        value = next(r for r in codecs.decode(devices[uplink.device_key].model, uplink) if r.field == mapping.field)
        assert value.value is not None
        assert 0.0 < value.value * mapping.scale + mapping.offset < 5.0


def test_both_kinds_say_the_same_levels() -> None:
    own, wrapped = (list(Flood(kind, 3, START).messages(9)) for kind in Kind)
    for n in range(9):
        (reading,) = open_uplink(*own[n]).readings or ()
        distance = codecs.decode("radar_level", open_uplink(*wrapped[n]))[0].value
        assert reading.value is not None and distance is not None
        assert reading.value == pytest.approx(9.0 - distance / 1000)
        assert reading.time == START + n // 3 * STEP


def test_floods_differ_and_a_flood_repeats_itself() -> None:
    first = list(Flood(Kind.OWN, 5, START, run=1).messages(50))
    assert first == list(Flood(Kind.OWN, 5, START, run=1).messages(50))
    assert not set(first) & set(Flood(Kind.OWN, 5, START, run=2).messages(50))
    assert list(Flood(Kind.OWN, 5, START, run=1).messages(10, skip=40)) == first[40:]


def test_what_is_published_in_bulk_waits_in_the_session(broker: Broker) -> None:
    make_session(broker, "bench-test", ["t/+"])
    sent = [(f"t/{n % 9}", b"x" * (n % 300)) for n in range(1700)]
    with Bulk(broker, "bench-publisher") as bulk:
        assert bulk.publish(sent) == 1700
    heard: list[tuple[str, bytes]] = []
    subscriber = Subscriber(
        broker, "bench-test", ["t/+"], FixedClock(START), lambda each: heard.append((each.topic, each.raw))
    )
    subscriber.start()
    try:
        wait_for(lambda: len(heard) == 1700, "all that was published")
    finally:
        subscriber.stop()
        end_session(broker, "bench-test")
    assert heard == sent


GOOD = {
    "ratio_to_c_client": 0.5, "worker_us_a_row": 60.0, "latency": {"p99_ms": 300.0}, "backlog_seconds": 30.0,
    "worker_rss_mb": 120.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("ratio_to_c_client", {"ratio_to_c_client": 0.49}),
        ("worker_us_a_row", {"worker_us_a_row": 60.1}),
        ("p99_ms", {"latency": {"p99_ms": 301.0}}),
        ("backlog_seconds", {"backlog_seconds": 30.1}),
        ("worker_rss_mb", {"worker_rss_mb": 120.1}),
    ],
)
def test_each_target_counts(name: str, figures: dict[str, Any]) -> None:
    assert set(within_targets(GOOD).values()) == {True}
    assert [key for key, met in within_targets(GOOD | figures).items() if not met] == [name]
    assert within_targets(GOOD | {"ratio_to_c_client": None})["ratio_to_c_client"] is None


@pytest.mark.demo
def test_it_measures_and_prints_one_object() -> None:
    words = ("bench", "ingest", "--messages", "300", "--rounds", "1", "--sensors", "50", "--backlog", "1500")
    done = command(*words, "--rate", "50", "--for", "2", "--json", within=400)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(done.stdout.splitlines()) == 1, "nothing else on stdout"
    if shutil.which("mosquitto") and shutil.which("mosquitto_sub"):
        assert found["broker"] == "mosquitto"
        assert found["ratio_to_c_client"] == pytest.approx(
            found["two_workers_rows_s"] / found["c_client_rows_s"], abs=0.001
        )
    else:
        assert found["ratio_to_c_client"] is None
    assert set(found["stages_us"]) == set(STAGES) == set(found["chirpstack_stages_us"])
    assert all(us > 0 for us in (*found["stages_us"].values(), *found["receive_us"].values()))
    assert sum(found["stages_us"].values()) < found["worker_us_a_row"]
    assert 0 < found["latency"]["p50_ms"] <= found["latency"]["p99_ms"]
    assert 0 < found["backlog_ingest_seconds"] <= found["backlog_seconds"]
    assert found["backlog_readings"] == 1500
    assert len(found["rounds"]) == 1 and found["worker_rss_mb"] > 10
    assert found["within_targets"] == within_targets(found)

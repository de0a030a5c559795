"""A run against a real broker: nothing is on the ledger that the broker has not acknowledged, and nothing else is."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

import simulators
from devices.clock import Clock, FixedClock
from devices.envelopes import TOPIC_FILTERS, open_uplink
from devices.model import Town, Uplink
from devices.town import load_town
from ingest.embedded import EmbeddedBroker, available
from simulators.config import PERFECT, Impairments, Scenario, SimulatorConfig
from simulators.devices import SAMPLES
from simulators.errors import SimulatorError
from simulators.towns import path as town_path

START = datetime(2026, 6, 20, 8, tzinfo=UTC)
_TOWN = load_town(town_path())
_SPEAKING = [(station, device) for station in _TOWN.stations for device in station.devices]
DEVICES = len(_SPEAKING)
# Uplinks of the whole town in an hour. A logger has several samples in each.
HOURLY = sum(
    timedelta(hours=1) // (station.datastreams[0].interval * (SAMPLES if device.model == "flow_pressure" else 1))
    for station, device in _SPEAKING
)
PATIENCE = 60.0  # s; only a hanging test ever waits for it


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    if not available():
        pytest.skip("no MQTT broker here: mosquitto is not on PATH and the embedded extra is not installed")
    with EmbeddedBroker(tmp_path / "broker") as broker:
        yield broker


class Listener:
    """Everything that arrives at the broker, opened, in the order of arrival."""

    def __init__(self, embedded: EmbeddedBroker) -> None:
        self._arrived: queue.SimpleQueue[Uplink] = queue.SimpleQueue()
        self.uplinks: list[Uplink] = []
        ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._client.username_pw_set(embedded.broker.username, embedded.broker.password)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in TOPIC_FILTERS])
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect(embedded.broker.host, embedded.broker.port)
        self._client.loop_start()
        assert ready.wait(PATIENCE)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._arrived.put(open_uplink(message.topic, message.payload))

    def until(self, condition: Callable[[list[Uplink]], bool]) -> list[Uplink]:
        """The uplinks so far, as soon as they fulfil the condition."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.uplinks):
            self.uplinks.append(self._arrived.get(timeout=max(0.01, deadline - time.monotonic())))
        return self.uplinks

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(embedded: EmbeddedBroker) -> Iterator[Listener]:
    listener = Listener(embedded)
    yield listener
    listener.close()


def config(embedded: EmbeddedBroker, ledger: Path, **changes: Any) -> SimulatorConfig:
    broker = embedded.broker
    fields: dict[str, Any] = {"scenario": Scenario.FLOOD, "impairments": PERFECT, "ledger": ledger}
    return SimulatorConfig(broker.host, broker.port, broker.username, broker.password, **(fields | changes))


@contextmanager
def running(config: SimulatorConfig, town: Town, clock: Clock) -> Iterator[None]:
    """A run in the background; leaving stops it and raises what it raised."""
    stop, failure = threading.Event(), []

    def work() -> None:
        try:
            simulators.run(config, town, clock, stop)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    if failure:
        raise failure[0]


def lines(ledger: Path, what: str = "sent", event: str = "up") -> list[dict[str, Any]]:
    """The ledger's finished lines of one kind."""
    if not ledger.exists():
        return []
    text = ledger.read_text(encoding="utf-8")
    read = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [line for line in read if (line["what"], line["event"]) == (what, event)]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def identities(uplinks: list[Uplink]) -> Counter[tuple[str, str, int | None]]:
    return Counter((u.device_key, u.session, u.counter) for u in uplinks if u.event is None)


def on_ledger(read: list[dict[str, Any]]) -> Counter[tuple[str, str, int | None]]:
    return Counter((line["device"], line["session"], line["counter"]) for line in read)


def test_every_uplink_that_is_due_is_sent_in_order_and_none_before_its_time(
    embedded: EmbeddedBroker, listener: Listener, town: Town, tmp_path: Path
) -> None:
    ledger, clock = tmp_path / "ledger.jsonl", FixedClock(START)
    due = HOURLY
    with running(config(embedded, ledger), town, clock):
        wait_for(lambda: len(lines(ledger, event="join")) == DEVICES)
        assert lines(ledger) == []
        clock.advance(timedelta(hours=1, minutes=1))
        wait_for(lambda: len(lines(ledger)) >= due)
    arrived = listener.until(lambda uplinks: len(uplinks) >= due + DEVICES)
    ups = [uplink for uplink in arrived if uplink.event is None]
    times = [uplink.network_time for uplink in ups if uplink.network_time is not None]
    assert len(ups) == due and times == sorted(times) and times[-1] <= clock.now()
    assert identities(ups) == on_ledger(lines(ledger))
    assert [uplink.event for uplink in arrived[:DEVICES]] == ["join"] * DEVICES


def test_impairments_are_on_the_ledger_as_they_happened(
    embedded: EmbeddedBroker, listener: Listener, town: Town, tmp_path: Path
) -> None:
    ledger, clock = tmp_path / "ledger.jsonl", FixedClock(START)
    impaired = config(embedded, ledger, impairments=Impairments(0.1, 0.1, 0.1, 0.1, 0.0))
    end = START + timedelta(hours=12, minutes=1)
    uplinks = 12 * HOURLY

    def settled(what: str) -> Counter[tuple[str, str, int | None]]:
        """Of those heard by `end`: nothing is on its way for longer than three hours."""
        return on_ledger([x for x in lines(ledger, what) if datetime.fromisoformat(x["time"]) <= end])

    with running(impaired, town, clock):
        clock.advance(timedelta(hours=16))
        wait_for(lambda: len(settled("sent") + settled("lost")) >= uplinks)
    assert len(settled("sent") + settled("lost")) == uplinks
    assert set(settled("sent")).isdisjoint(settled("lost"))
    assert 0.05 * uplinks < len(settled("lost")) < 0.15 * uplinks
    sent = lines(ledger)
    arrived = listener.until(lambda seen: sum(u.event is None for u in seen) >= len(sent))
    assert identities(arrived) == on_ledger(sent)
    assert max(on_ledger(sent).values()) == 2
    times = [u.network_time for u in arrived if u.event is None and u.network_time is not None]
    assert times != sorted(times)


def test_counters_start_again_in_a_new_session_after_a_restart(
    embedded: EmbeddedBroker, listener: Listener, town: Town, tmp_path: Path
) -> None:
    ledger, clock = tmp_path / "ledger.jsonl", FixedClock(START)
    for run in (1, 2):
        with running(config(embedded, ledger, origin=START), town, clock):
            wait_for(lambda run=run: len(lines(ledger, event="join")) == run * DEVICES)  # type: ignore[misc]
            clock.advance(timedelta(hours=1, minutes=1))
            wait_for(lambda run=run: len(lines(ledger)) >= run * HOURLY)  # type: ignore[misc]
    arrived = identities(listener.until(lambda uplinks: len(uplinks) >= 2 * (HOURLY + DEVICES)))
    assert arrived == on_ledger(lines(ledger)) and set(arrived.values()) == {1}
    sessions = {(device, session) for device, session, _ in arrived}
    assert len(sessions) == 2 * DEVICES
    assert all((device, session, 0) in arrived for device, session in sessions)


def test_history_is_sent_first(embedded: EmbeddedBroker, listener: Listener, town: Town, tmp_path: Path) -> None:
    ledger, clock = tmp_path / "ledger.jsonl", FixedClock(START)
    with running(config(embedded, ledger, since=START - timedelta(hours=24)), town, clock):
        wait_for(lambda: len(lines(ledger)) >= 24 * HOURLY - DEVICES)
    times = [datetime.fromisoformat(line["time"]) for line in lines(ledger)]
    assert START - timedelta(hours=24) < times[0] < START - timedelta(hours=23, minutes=45)
    assert times == sorted(times) and times[-1] <= START


def test_a_broker_that_comes_late_and_dies_in_between_gets_everything(town: Town, tmp_path: Path) -> None:
    if not available():
        pytest.skip("no MQTT broker here: mosquitto is not on PATH and the embedded extra is not installed")
    embedded = EmbeddedBroker(tmp_path / "broker")
    embedded.prepare()
    ledger, clock = tmp_path / "ledger.jsonl", FixedClock(START)
    with running(config(embedded, ledger), town, clock):
        clock.advance(timedelta(hours=1, minutes=1))
        embedded.start()
        try:
            wait_for(lambda: len(lines(ledger)) == HOURLY)
            embedded.kill()
            clock.advance(timedelta(hours=1))
            embedded.start()
            wait_for(lambda: len(lines(ledger)) == 2 * HOURLY)
        finally:
            embedded.stop()
    assert set(on_ledger(lines(ledger)).values()) == {1}


def test_what_no_broker_acknowledged_is_not_on_the_ledger_as_sent(town: Town, tmp_path: Path) -> None:
    embedded = EmbeddedBroker(tmp_path / "broker") if available() else None
    port = 1 if embedded is None else embedded.port  # nobody listens there
    ledger, clock, stop = tmp_path / "ledger.jsonl", FixedClock(START), threading.Event()
    clock.advance(timedelta(hours=1))
    threading.Timer(0.3, stop.set).start()
    nobody = SimulatorConfig("127.0.0.1", port, impairments=PERFECT, ledger=ledger, since=START)
    assert simulators.run(nobody, town, clock, stop) == 0
    assert lines(ledger) == [] and len(lines(ledger, "unsent", "join")) == DEVICES


def test_a_wrong_password_is_said_and_not_tried_for_ever(embedded: EmbeddedBroker, town: Town) -> None:
    wrong = SimulatorConfig(embedded.broker.host, embedded.broker.port, embedded.broker.username, "wrong")
    with pytest.raises(SimulatorError, match="refuses the simulator: Not authorized"):
        simulators.run(wrong, town, FixedClock(START), threading.Event())


def test_the_password_does_not_reach_a_log() -> None:
    assert "secret" not in repr(SimulatorConfig("localhost", 1883, "user", "secret"))

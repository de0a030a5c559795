"""The broker of docker-compose.yml, really run: its configuration, its ACL and the passwords of `mimamori secrets`.

Only what names a place in the container is changed: port and folders.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from devices.envelopes import TOPIC_FILTERS
from ingest.broker import Broker, probe
from ingest.errors import BrokerError
from mimamori.container_secrets import make
from tests.brokers.running import Ear, publish_all, wait_for

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DEVICE, OTHER = "gauge-7", "gauge-8"
CHIRPSTACK = "application/1/device/a840411234567890/event/up"
TTN = "v3/mimamori@ttn/devices/gauge-1/up"
OWN = f"mimamori/v1/{DEVICE}/up"


@dataclass
class Running:
    """A mosquitto as the container runs it."""

    secrets: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def as_(self, account: str) -> Broker:
        file = {"ingest": "broker_ingest", "network-server": "broker_network_server"}.get(account, f"devices/{account}")
        password = (self.secrets / file).read_text().strip()
        return Broker("127.0.0.1", self.port, username=account, password=password, max_unacked=4000)


@contextmanager
def running(folder: Path, **instead: str) -> Iterator[Running]:
    """Starts it in a folder; `instead` gives options of mosquitto.conf other values."""
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed here")
    secrets, data = folder / "secrets", folder / "data"
    data.mkdir()
    for device in (DEVICE, OTHER):
        make(secrets, device)
    mounts = {
        c["target"]: ROOT / COMPOSE["configs"][c["source"]]["file"] for c in COMPOSE["services"]["broker"]["configs"]
    }
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    text = mounts["/mosquitto/config/mosquitto.conf"].read_text("utf-8")
    places = {
        "listener 1883": f"listener {port} 127.0.0.1",
        "/run/secrets/": f"{secrets}/",
        "/mosquitto/config/acl": str(mounts["/mosquitto/config/acl"]),
        "/mosquitto/data/": f"{data}/",
    }
    for there, here in places.items():
        assert there in text
        text = text.replace(there, here)
    lines = [line for line in text.splitlines() if line.partition(" ")[0] not in instead]
    lines += [f"{option} {value}" for option, value in instead.items()]
    # Ignored unless this test runs as root; there it keeps mosquitto from becoming a user who cannot read the folder.
    (folder / "mosquitto.conf").write_text("\n".join([*lines, "user root"]) + "\n", "utf-8")
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(["mosquitto", "-c", str(folder / "mosquitto.conf")], stdout=out, stderr=out)
    try:
        broker = Running(secrets, port, log, process)
        wait_for(lambda: process.poll() is not None or accepts(broker.as_("ingest")), "mosquitto answers")
        assert process.poll() is None, log.read_text()
        yield broker
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as broker:
        yield broker


def accepts(broker: Broker) -> bool:
    try:
        probe(broker, timeout=5)
    except BrokerError:
        return False
    return True


def try_to_say(broker: Broker, topic: str) -> None:
    """Publishes on its own connection until the broker has answered: MQTT 3.1.1 has no word for a refusal.

    mosquitto acknowledges, hangs up, or both.
    """
    answered = threading.Event()
    client = broker.client("", clean=True)

    def say(*_: object) -> None:
        client.publish(topic, topic.encode(), qos=1)

    client.on_connect = say
    client.on_publish = lambda *_: answered.set()
    client.on_disconnect = lambda *_: answered.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert answered.wait(60), topic
    client.disconnect()
    client.loop_stop()


def said_all(ear: Ear) -> None:
    """Waits until the broker has answered this subscriber once more: whatever it had for it is here."""
    answered = threading.Event()
    ear.client.on_subscribe = lambda *_: answered.set()
    ear.client.subscribe("nothing/of/the/kind", qos=1)
    assert answered.wait(60)


def test_ingest_hears_what_each_kind_of_sender_says_on_every_filter_it_subscribes(mosquitto: Running) -> None:
    ears = [Ear(mosquitto.as_("ingest"), f"ingest-{n}", topic) for n, topic in enumerate(TOPIC_FILTERS)]
    publish_all(mosquitto.as_("network-server"), CHIRPSTACK, [b"chirpstack"])
    publish_all(mosquitto.as_("network-server"), TTN, [b"ttn"])
    publish_all(mosquitto.as_(DEVICE), OWN, [b"own"])
    wait_for(lambda: sum(len(ear.heard) for ear in ears) == 3, "one message on each filter")
    assert sorted(p for ear in ears for p in ear.payloads) == [b"chirpstack", b"own", b"ttn"]
    for ear in ears:
        ear.leave()


def test_nobody_can_speak_for_another_or_overhear_anybody(mosquitto: Running) -> None:
    everything = Ear(mosquitto.as_("ingest"), "ingest", "#")
    spies = [Ear(mosquitto.as_(who), f"spy-{who}", "#") for who in (DEVICE, OTHER, "network-server")]
    refused = {
        DEVICE: [f"mimamori/v1/{OTHER}/up", f"{OWN}/more", CHIRPSTACK, TTN, "mimamori/v1/x/up"],
        "network-server": [OWN, "application/1/device/a840411234567890/command/down", "somewhere"],
        "ingest": [CHIRPSTACK, TTN, OWN],
    }
    for who, topics in refused.items():
        for topic in topics:
            try_to_say(mosquitto.as_(who), topic)
    # behind all of it: when this has arrived, nothing is still on its way
    publish_all(mosquitto.as_("network-server"), CHIRPSTACK, [b"the last word"])
    publish_all(mosquitto.as_(DEVICE), OWN, [b"the last word"])
    wait_for(lambda: everything.payloads.count(b"the last word") == 2, "what is allowed arrives")
    assert set(everything.payloads) == {b"the last word"}
    for spy in spies:
        said_all(spy)
        assert spy.payloads == []
        spy.leave()
    everything.leave()


@pytest.mark.parametrize(
    ("name", "password"),
    [(None, None), ("ingest", None), ("ingest", "wrong"), ("stranger", "x"), (DEVICE, ""), ("mimamori", "mimamori")],
)
def test_without_an_account_and_its_password_nobody_gets_in(
    mosquitto: Running, name: str | None, password: str | None
) -> None:
    assert not accepts(replace(mosquitto.as_("ingest"), username=name, password=password))
    assert accepts(mosquitto.as_(DEVICE))


def test_a_new_device_gets_in_after_a_hangup_without_a_restart(mosquitto: Running) -> None:
    make(mosquitto.secrets, "gauge-9")
    assert not accepts(mosquitto.as_("gauge-9"))
    mosquitto.process.send_signal(signal.SIGHUP)
    wait_for(lambda: accepts(mosquitto.as_("gauge-9")), "the new account is known")
    assert accepts(mosquitto.as_(DEVICE))


def test_at_the_limit_the_broker_keeps_what_waits_refuses_what_comes_and_says_so(tmp_path: Path) -> None:
    size, room = 1000, 20
    with running(tmp_path, max_queued_bytes=str(size * room), max_inflight_messages="1") as mosquitto:
        Ear(mosquitto.as_("ingest"), "ingest", OWN).leave()
        messages = [f"{n:04d}".ljust(size).encode() for n in range(3 * room)]
        publish_all(mosquitto.as_(DEVICE), OWN, messages)
        ear = Ear(mosquitto.as_("ingest"), "ingest", OWN)
        assert ear.resumed
        heard = 0
        while b"end" not in ear.payloads:  # one at a time: the window of this test has room for one
            wait_for(lambda: len(ear.heard) == heard + 1, "the next one")  # noqa: B023 - called within this round
            heard += 1
            if heard == room:  # there is room again, and what comes now is taken
                publish_all(mosquitto.as_(DEVICE), OWN, [b"end"])
            ear.acknowledge(heard - 1, heard)
        kept = ear.payloads[:-1]
        assert room - 2 <= len(kept) <= room + 2, "about as much as there was room for"
        assert kept == messages[: len(kept)], "the oldest, in their order"
        assert "Outgoing messages are being dropped for client ingest" in mosquitto.log.read_text()
        ear.leave()

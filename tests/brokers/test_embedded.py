"""The embedded broker's own habits."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from ingest.broker import Broker, probe
from ingest.embedded import EmbeddedBroker, available
from ingest.errors import BrokerError
from tests.brokers.running import Ear, wait_for

KINDS = ["mosquitto", "nats"]


def needs(kind: str) -> None:
    if kind not in available():
        pytest.skip(f"{kind} is not installed here")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_with_a_space_and_japanese_in_a_closed_home_serves(kind: str, tmp_path: Path) -> None:
    needs(kind)
    home = tmp_path / "home 町"
    home.mkdir(mode=0o700)
    with EmbeddedBroker(home / "broker", kind=kind) as running:
        Ear(running.broker, "ear", "t/#").leave()
        running.stop()
        running.start()
        ear = Ear(running.broker, "ear", "t/#")
        assert ear.resumed, running.log.read_text()
        ear.leave()


@pytest.mark.parametrize("kind", KINDS)
def test_the_secrets_are_for_nobody_else_and_the_password_survives(kind: str, tmp_path: Path) -> None:
    needs(kind)
    one = EmbeddedBroker(tmp_path, kind=kind)
    one.prepare()
    password = one.broker.password
    for name in ["password", f"{kind}.conf", *(["mosquitto.passwd"] if kind == "mosquitto" else [])]:
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    again = EmbeddedBroker(tmp_path, kind=kind)
    again.prepare()
    assert again.broker.password == password
    assert password is not None and password not in repr(again.broker)
    assert EmbeddedBroker(tmp_path / "other", kind=kind).kind == kind


def test_auto_prefers_mosquitto_and_falls_back_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("nats")
    if shutil.which("mosquitto"):
        assert EmbeddedBroker(tmp_path).kind == "mosquitto"
    monkeypatch.setenv("PATH", "")
    assert EmbeddedBroker(tmp_path).kind == "nats"
    with pytest.raises(BrokerError, match="install mosquitto"):
        EmbeddedBroker(tmp_path, kind="mosquitto")


def test_a_nats_server_on_path_is_not_the_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("nats")
    other = tmp_path / "bin" / "nats-server"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert EmbeddedBroker(tmp_path / "data", kind="nats").command()[0] != str(other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_taken_port_is_told_with_what_the_broker_said(kind: str, tmp_path: Path) -> None:
    needs(kind)
    with EmbeddedBroker(tmp_path / "one", kind=kind) as running:
        second = EmbeddedBroker(tmp_path / "two", port=running.port, kind=kind)
        with pytest.raises(BrokerError, match=r"(?s)ended|not ready"):
            second.start()
        assert second.process is None


def test_an_absent_broker_is_told_by_its_address() -> None:
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1 cannot be reached"):
        probe(Broker("127.0.0.1", 1))


def test_mosquitto_keeps_what_was_published_without_qos_for_an_absent_ingest(tmp_path: Path) -> None:
    needs("mosquitto")
    with EmbeddedBroker(tmp_path, kind="mosquitto") as running:
        Ear(running.broker, "ear", "t/#").leave()
        client = running.broker.client("network-server", clean=True)
        client.connect(running.broker.host, running.broker.port)
        client.loop_start()
        client.publish("t/1", b"by QoS 0", qos=0).wait_for_publish(10)
        # A QoS 1 message behind it on the same connection: when that is acknowledged the first has been taken.
        client.publish("t/1", b"by QoS 1", qos=1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()
        ear = Ear(running.broker, "ear", "t/#")
        wait_for(lambda: len(ear.heard) == 2, "both messages")
        assert [(m.payload, m.qos) for m in ear.heard] == [(b"by QoS 0", 1), (b"by QoS 1", 1)]
        ear.leave()

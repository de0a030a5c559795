"""`mimamori run ingest --workers N` and `mimamori ingest drain`: real processes, a real broker, a real database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from ingest import EmbeddedBroker
from ingest.embedded import available
from mimamori.settings import Settings
from mimamori.workers import ids
from tests.brokers.running import wait_for
from tests.conftest import Registered
from tests.ingest.test_sessions import publish, publishing
from tests.ingest.town import count, level, levels, query
from tests.mimamori.test_cli import command, environment


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    if "mosquitto" not in available():
        pytest.skip("mosquitto is not installed here")
    with EmbeddedBroker(tmp_path / "broker", kind="mosquitto") as running:
        yield running


def settings(registered: Registered, broker: EmbeddedBroker) -> dict[str, str]:
    known = broker.broker
    return {
        "WORKER_DSN": registered.worker,
        "MUNICIPALITY": "999999",
        "BROKER_HOST": known.host,
        "BROKER_PORT": str(known.port),
        "BROKER_USER": known.username or "",
        "BROKER_PASSWORD": known.password or "",
        "BROKER_KIND": broker.kind,
        "BROKER_MAX_UNACKED": str(known.max_unacked),
    }


@contextmanager
def workers(number: int, known: dict[str, str]) -> Iterator[psutil.Process]:
    """The parent of so many; ended in good order."""
    command = [sys.executable, "-m", "mimamori", "run", "ingest", "--workers", str(number)]
    with subprocess.Popen(command, env=environment(**known), stderr=subprocess.PIPE) as parent:
        try:
            yield psutil.Process(parent.pid)
        finally:
            parent.terminate()
            _, said = parent.communicate(timeout=60)
    assert parent.returncode in (0, -signal.SIGKILL), said.decode()


def mimamori(*words: str, known: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return command(*words, stdin=None, within=60, **known)


def listening(registered: Registered) -> list[str]:
    rows = query(
        registered.owner, "select worker_id from ingest_worker where listening_since is not null order by worker_id"
    )
    return [worker_id for (worker_id,) in rows]


def named(parent: psutil.Process) -> dict[str, psutil.Process]:
    """The workers by their id."""
    found = {}
    for child in parent.children():
        with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            # Between fork and exec a child still looks like its parent.
            worker_id = child.environ().get("MIMAMORI_WORKER_ID")
            if worker_id is not None and "run" in child.cmdline():
                found[worker_id] = child
    return found


def test_a_killed_worker_is_back_under_its_id_and_every_message_is_stored_once(
    registered: Registered, mosquitto: EmbeddedBroker
) -> None:
    known = settings(registered, mosquitto)
    messages = levels(3000)
    with workers(2, known) as parent:
        wait_for(lambda: listening(registered) == ["0", "1"], "both to listen")
        with publishing(mosquitto.broker, messages, 500):
            for n in range(1, 4):
                wait_for(lambda: count(registered, "uplink") > 600 * n, "some messages")  # noqa: B023
                wait_for(lambda: "1" in named(parent), "the second worker")
                victim = named(parent)["1"]
                victim.kill()
                wait_for(lambda: named(parent).get("1") not in (None, victim), "another in its place")  # noqa: B023
        wait_for(lambda: count(registered, "uplink") == 3000, "all of them")
        assert "0" in named(parent)
    assert count(registered, "observation") == 3000
    assert count(registered, "observation_revision") == 0
    assert query(registered.owner, "select distinct outcome::text from uplink") == [("accepted",)]
    assert query(registered.owner, "select count(*) from ingest_worker where stopped_at is not null") == [(2,)]


def test_workers_do_not_outlive_their_parent(registered: Registered, mosquitto: EmbeddedBroker) -> None:
    with workers(2, settings(registered, mosquitto)) as parent:
        wait_for(lambda: len(named(parent)) == 2, "two workers")
        children = parent.children(recursive=True)
        os.kill(parent.pid, signal.SIGKILL)
        wait_for(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), "their end")


def test_fewer_workers_and_the_one_too_many_is_drained(registered: Registered, mosquitto: EmbeddedBroker) -> None:
    known = settings(registered, mosquitto)
    with workers(2, known):
        wait_for(lambda: listening(registered) == ["0", "1"], "both to listen")
    publish(mosquitto.broker, *levels(100))
    with workers(1, known):
        wait_for(lambda: listening(registered) == ["0"], "the first to listen")
        wait_for(lambda: count(registered, "uplink") == 50, "its half")
        refused = mimamori("ingest", "drain", "0", known=known)
        assert refused.returncode == 1 and "worker 0 is alive" in refused.stderr
        done = mimamori("ingest", "drain", "1", "--json", known=known)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"worker": "1", "messages": 50, "outcomes": {"accepted": 50}}
        again = mimamori("ingest", "drain", "1", known=known)
        assert again.stdout == "worker 1: 0 messages (nothing was waiting); its session has ended\n"
        publish(mosquitto.broker, level(2.0, counter=5000, time=None))
        wait_for(lambda: count(registered, "uplink") == 101, "what came afterwards")
    assert count(registered, "uplink", "repeats > 0") == 0


def test_more_than_one_worker_at_nats_is_refused_with_what_to_do(registered: Registered, tmp_path: Path) -> None:
    if "nats" not in available():
        pytest.skip("nats is not installed here")
    with EmbeddedBroker(tmp_path / "broker", kind="nats") as broker:
        done = mimamori("run", "ingest", "--workers", "2", known=settings(registered, broker))
    assert done.returncode == 1
    assert "nats has no shared subscriptions" in done.stderr and "run one worker there" in done.stderr


def test_an_unknown_kind_of_broker_is_refused_with_those_that_are_known(registered: Registered) -> None:
    done = command("run", "ingest", WORKER_DSN=registered.worker, MUNICIPALITY="999999", BROKER_KIND="mosqitto")
    assert done.returncode == 1 and "must be mosquitto, emqx, nats, not 'mosqitto'" in done.stderr


def test_ids_are_numbers_and_where_several_machines_share_their_names_come_first() -> None:
    assert ids(Settings(), 3) == ["0", "1", "2"]
    assert ids(Settings(worker_id="east"), 2) == ["east-0", "east-1"]

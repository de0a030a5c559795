"""Posting to a real HTTP server: each message answered for once, sent again where it is asked for, refused in words."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import simulators
from devices.clock import FixedClock
from devices.envelopes import open_uplink
from devices.model import Town
from ingest.embedded import EmbeddedBroker, available
from simulators.config import PERFECT, Post, SimulatorConfig
from simulators.errors import SimulatorError
from simulators.frames import SIGFOX
from simulators.poster import Poster

START = datetime(2026, 6, 20, 8, tzinfo=UTC)
SECRET = "a secret"
PATIENCE = 60.0


class Intake:
    """A server that takes what comes with the secret, after it has sent the first `busy` away."""

    def __init__(self, busy: int = 0) -> None:
        self.taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        lock, left = threading.Lock(), [busy]
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 202 if self.headers["Authorization"] == f"Bearer {SECRET}" else 401
                with lock:
                    if status == 202 and left[0]:
                        left[0] -= 1
                        status = 503
                if status == 202:
                    taken.put(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.send_header("Retry-After", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/intake/sigfox"


@contextmanager
def served(intake: Intake) -> Iterator[Intake]:
    thread = threading.Thread(target=intake.server.serve_forever)
    thread.start()
    try:
        yield intake
    finally:
        intake.server.shutdown()
        thread.join(PATIENCE)
        intake.server.server_close()


def test_each_is_taken_once_though_the_server_was_busy() -> None:
    acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
    refusals: list[str] = []
    with served(Intake(busy=5)) as intake:
        poster = Poster(Post(intake.url, SECRET), acknowledged.put, refusals.append)
        for number in range(40):
            poster.put(number, b"%d" % number)
        heard = sorted(acknowledged.get(timeout=PATIENCE) for _ in range(40))
        poster.close()
        taken = sorted(int(intake.taken.get_nowait()) for _ in range(40))
    assert heard == taken == list(range(40)) and intake.taken.empty() and refusals == []


def test_a_wrong_secret_is_said_and_nothing_counts_as_taken() -> None:
    refusals: queue.SimpleQueue[str] = queue.SimpleQueue()
    acknowledged: list[int] = []
    with served(Intake()) as intake:
        poster = Poster(Post(intake.url, "wrong"), acknowledged.append, refusals.put)
        poster.put(1, b"{}")
        assert "401" in refusals.get(timeout=PATIENCE)
        poster.close()
    assert acknowledged == []
    assert "wrong" not in repr(Post(intake.url, "wrong"))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost/intake/x", "http://localhost:8000/"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(SimulatorError, match="must be the address of a source"):
        Poster(Post(url, SECRET), lambda _number: None, lambda _why: None)


def test_a_town_with_sigfox_posts_that_and_publishes_the_rest(town: Town, tmp_path: Path) -> None:
    if not available():
        pytest.skip("no MQTT broker here: mosquitto is not on PATH and the embedded extra is not installed")
    ledger, truth = tmp_path / "ledger.jsonl", tmp_path / "truth.jsonl"
    clock, stop, never = FixedClock(START), threading.Event(), threading.Event()
    with EmbeddedBroker(tmp_path / "broker") as broker, served(Intake()) as intake:
        config = SimulatorConfig(
            broker.broker.host, broker.broker.port, broker.broker.username, broker.broker.password,
            impairments=PERFECT, ledger=ledger, truth=truth, devices=40, networks=(SIGFOX,),
            sigfox=Post(intake.url, SECRET), scenario=simulators.Scenario.GATEWAY, since=START - timedelta(hours=1),
            origin=START - timedelta(hours=3),
        )  # fmt: skip
        done = threading.Thread(target=simulators.run, args=(config, town, clock, stop))
        done.start()
        bodies = [intake.taken.get(timeout=PATIENCE) for _ in range(60)]
        clock.advance(timedelta(hours=6))
        bodies += [intake.taken.get(timeout=PATIENCE) for _ in range(60)]
        stop.set()
        done.join(PATIENCE)
        assert not done.is_alive()
        with pytest.raises(SimulatorError, match=r"only posts by HTTP, .*mimamori intake add"):
            simulators.run(replace(config, sigfox=None, ledger=None, truth=None), town, FixedClock(START), never)
    opened = {(u.device_key, u.counter) for u in (open_uplink("intake/sigfox/sigfox", body) for body in bodies)}
    lines = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
    sent = {(line["device"], line["counter"]) for line in lines if line["what"] == "sent"}
    assert len(opened) == len(bodies) == 120 and opened <= sent
    assert any(
        line["device"].startswith("a84041") and line["event"] == "up" for line in lines if line["what"] == "sent"
    )
    broken = [json.loads(line) for line in truth.read_text("utf-8").splitlines()]
    (gateway,) = [line for line in broken if line["kind"] == "gateway"]
    lost = {line["device"] for line in lines if line["what"] == "lost"}
    assert lost and lost <= set(gateway["parameters"]["only_there"])
    assert {line["why"] for line in lines if line["what"] == "lost"} == {"radio"}

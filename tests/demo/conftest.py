"""A town that a person has ended with Ctrl-C, for whoever asks how it ended and for whoever starts it again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from store import Connection, connect
from store.embedded import EmbeddedServer
from tests.demo.town_process import gone, town


def private(parent: Path) -> Path:
    """A home that nobody else may enter, as root's is."""
    folder = parent / "home"
    folder.mkdir(mode=0o700)
    return folder


@dataclass(frozen=True)
class Ended:
    """What was seen of a town that a person ended with Ctrl-C, and what it left behind."""

    data: Path
    page: str
    stdout: list[str]
    absent: list[str]  # processes that a town has, and this one had not
    database_by_root: bool
    second: subprocess.CompletedProcess[str]  # another demo that was to run in the same folder meanwhile
    seconds: float
    code: int
    left: list[str]
    newest: int  # of its messages, the key in the database
    messages: int
    last: datetime  # by the town's clock
    imported: int
    overlapping: int
    nights: int
    old_alerts: int


def remembered(conn: Connection) -> tuple[int, int, datetime]:
    """The newest of a town's messages, how many it holds, and its time at the last of them."""
    row = conn.execute("select max(uplink_id), count(*), max(received_time) from uplink").fetchone()
    assert row is not None
    return row


def past(conn: Connection) -> tuple[int, int, int, int]:
    """Values without a message, series in which these do not end before the first message's, nights, old alerts."""
    row = conn.execute(
        """
        select (select count(*) from observation where uplink_id is null),
               (select count(*) from (
                    select max(phenomenon_time) filter (where uplink_id is null) as last,
                           min(phenomenon_time) filter (where uplink_id is not null) as first
                    from observation group by datastream_id) s where last >= first),
               (select count(*) from night_flow where minimum is not null),
               (select count(*) from alert where phenomenon_time < timestamptz '2026-06-20 02:00Z')
        """
    ).fetchone()
    assert row is not None
    return row


def started(*options: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A demo that is to say at once why it does not start."""
    return subprocess.run(
        [sys.executable, "-m", "mimamori", "demo", *options],
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def sent(data: Path) -> int:
    """How many messages of this run the broker has taken."""
    ledger = data / "ledger.jsonl"
    return ledger.read_text("utf-8").count('"sent"') if ledger.exists() else 0


# The broker of a machine that has none of its own; test_kill takes mosquitto where it is.
NATS = ("--broker", "nats")


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    data = private(tmp_path_factory.mktemp("life")) / "data"
    with town(data, "--speed", "600", *NATS) as demo:
        with urllib.request.urlopen(demo.url(), timeout=10) as page:
            assert page.status == 200
            read = page.read().decode()
        children = demo.children()
        there = {name: demo.child(name) for name in ("postgres", "nats-server", "ingest", "analytics", "alerts", "api")}
        postgres = there["postgres"]
        by_root = os.getuid() == 0 and postgres is not None and postgres.uids().real == 0
        second = started("--port", "0", "--data", str(data))
        demo.wait(lambda: sent(data) > 20, within=60)
        seconds = demo.end(signal.SIGINT, within=30)
        code, stdout, left = demo.process.returncode, demo.stdout, gone(children, within=0)
    with EmbeddedServer(data) as server, connect(server.dsn("owner"), name="test") as conn:
        absent = [name for name, process in there.items() if process is None]
        return Ended(data, read, stdout, absent, by_root, second, seconds, code, left, *remembered(conn), *past(conn))

"""The demo's life: one address, a clean end, nothing left behind, and a memory."""

from __future__ import annotations

import json
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

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return private(tmp_path_factory.mktemp("life"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return private(tmp_path)


def private(parent: Path) -> Path:
    """A home that nobody else may enter, as root's is."""
    folder = parent / "home"
    folder.mkdir(mode=0o700)
    return folder


@dataclass(frozen=True)
class Ended:
    """What was seen of a town that a person ended with Ctrl-C, and what it left behind."""

    page: str
    stdout: list[str]
    absent: list[str]  # processes that a town has, and this one had not
    database_by_root: bool
    second: subprocess.CompletedProcess[str]  # another demo that was to run in the same folder meanwhile
    seconds: float
    code: int
    left: list[str]
    messages: int
    last: datetime  # by the town's clock
    imported: int
    overlapping: int
    nights: int
    old_alerts: int


def remembered(conn: Connection) -> tuple[int, datetime]:
    """How many messages a town holds, and its time at the last of them."""
    row = conn.execute("select count(*), max(received_time) from uplink").fetchone()
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


@pytest.fixture(scope="module")
def ended(shared_home: Path) -> Ended:
    data = shared_home / "data"
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
        return Ended(read, stdout, absent, by_root, second, seconds, code, left, *remembered(conn), *past(conn))


def test_ctrl_c_ends_all_within_ten_seconds(ended: Ended) -> None:
    assert "見守り" in ended.page
    assert len(ended.stdout) == 1, "one address, and nothing else on stdout"
    assert ended.absent == []
    assert not ended.database_by_root, "PostgreSQL must not be root"
    assert ended.seconds < 10
    assert ended.code == 0
    assert ended.left == []


def test_it_has_a_past_that_woke_nobody(ended: Ended) -> None:
    assert ended.imported > 50_000 and ended.nights >= 7
    assert ended.overlapping == 0, "the devices go on where the files end"
    assert ended.old_alerts == 0, "history wakes nobody"


def test_a_second_demo_in_the_same_folder_is_refused(ended: Ended) -> None:
    assert ended.second.returncode == 1
    assert "another town runs in" in ended.second.stderr and "Traceback" not in ended.second.stderr


def test_the_next_start_goes_on(ended: Ended, shared_home: Path) -> None:
    data = shared_home / "data"
    assert ended.messages > 10
    with town(data, "--headless", "--for", "40", *NATS) as again:
        assert again.process.wait(120) == 0, again.stderr
        result = json.loads(again.stdout[-1])
    with EmbeddedServer(data) as server, connect(server.dsn("owner"), name="test") as conn:
        more, later = remembered(conn)
    assert later > ended.last, "the town's clock went on"
    assert (later - ended.last).total_seconds() < 1.5 * 3600 * result["town_hours"], "and stood still in between"
    new = more - ended.messages
    assert new == result["outcomes"]["accepted"] + result["outcomes"]["event"], "it counts its own run only"
    assert min(result["stored"].values()) > 0 and result["complete"] >= 1


def test_an_end_while_the_town_is_still_being_built_leaves_no_process(home: Path) -> None:
    data = home / "data"
    with town(data) as demo:
        demo.wait(lambda: (data / "logs" / "postgres.log").exists(), within=60)
        children = demo.children()
        assert demo.end(signal.SIGTERM, within=30) < 10
        assert gone(children, within=0) == []


def test_a_town_whose_floods_are_not_real_refuses_a_mail_server(home: Path) -> None:
    done = started("--data", str(home / "data"), environment={"MIMAMORI_MAIL_HOST": "mail.example.jp"})
    assert done.returncode == 1
    assert "MIMAMORI_MAIL_HOST" in done.stderr and "Traceback" not in done.stderr
    assert not (home / "data").exists()


def test_a_broker_that_is_not_here_is_said_in_a_sentence(home: Path) -> None:
    words = ("--port", "0", "--broker", "mosquitto", "--data", str(home / "data"))
    done = started(*words, environment={"PATH": str(home)})
    assert done.returncode == 1
    assert "install mosquitto" in done.stderr and "Traceback" not in done.stderr

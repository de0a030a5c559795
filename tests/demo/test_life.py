"""The demo's life: one address, a clean end, nothing left behind, and a memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest

from store import connect
from store.embedded import EmbeddedServer
from tests.demo.town_process import gone, town

pytestmark = pytest.mark.demo


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that nobody else may enter, as root's is."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def remembered(data: Path) -> tuple[int, datetime]:
    """How many messages DATA holds, and the town's time at the last of them."""
    with EmbeddedServer(data) as server, connect(server.dsn("owner"), name="test") as conn:
        row = conn.execute("select count(*), max(received_time) from uplink").fetchone()
    assert row is not None
    return row


def past(data: Path) -> tuple[int, int, int, int]:
    """Values without a message, series in which these do not end before the first message's, nights, old alerts."""
    with EmbeddedServer(data) as server, connect(server.dsn("owner"), name="test") as conn:
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


def sent(data: Path) -> int:
    """How many messages of this run the broker has taken."""
    ledger = data / "ledger.jsonl"
    return ledger.read_text("utf-8").count('"sent"') if ledger.exists() else 0


def test_ctrl_c_ends_all_within_ten_seconds_and_the_next_start_goes_on(home: Path) -> None:
    data = home / "data"
    # The broker of a machine that has none of its own; test_kill takes mosquitto where it is.
    nats = ("--broker", "nats")
    with town(data, "--speed", "600", *nats) as demo:
        url = demo.url()
        with urllib.request.urlopen(url, timeout=10) as page:
            assert page.status == 200 and "見守り" in page.read().decode()
        assert len(demo.stdout) == 1, "one address, and nothing else on stdout"
        children = demo.children()
        for name in ("postgres", "nats-server", "ingest", "analytics", "alerts", "api"):
            assert demo.child(name) is not None, name
        postgres = demo.child("postgres")
        if os.getuid() == 0 and postgres is not None:
            assert postgres.uids().real != 0, "PostgreSQL must not be root"
        demo.wait(lambda: sent(data) > 20, within=60)

        seconds = demo.end(signal.SIGINT, within=30)

        assert seconds < 10
        assert demo.process.returncode == 0
        assert gone(children, within=0) == []
    messages, last = remembered(data)
    assert messages > 10
    imported, overlapping, nights, old_alerts = past(data)
    assert imported > 50_000 and nights >= 7
    assert overlapping == 0, "the devices go on where the files end"
    assert old_alerts == 0, "history wakes nobody"

    with town(data, "--headless", "--for", "60", *nats) as again:
        assert again.process.wait(120) == 0, again.stderr
        result = json.loads(again.stdout[-1])
    more, later = remembered(data)
    assert later > last, "the town's clock went on"
    assert (later - last).total_seconds() < 1.5 * 3600 * result["town_hours"], "and stood still in between"
    assert more - messages == result["outcomes"]["accepted"] + result["outcomes"]["event"], "it counts its own run only"
    assert min(result["stored"].values()) > 0 and result["complete"] >= 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's death signal is Linux's")
def test_killing_the_supervisor_leaves_no_process(home: Path) -> None:
    with town(home / "data", "--history-days", "0") as demo:
        demo.url()
        children = demo.children()
        assert len(children) > 6
        demo.process.kill()
        demo.process.wait()
        assert gone(children, within=15) == []


def test_an_end_while_the_town_is_still_being_built_leaves_no_process(home: Path) -> None:
    data = home / "data"
    with town(data) as demo:
        demo.wait(lambda: (data / "logs" / "postgres.log").exists(), within=60)
        children = demo.children()
        assert demo.end(signal.SIGTERM, within=30) < 10
        assert gone(children, within=0) == []


def test_a_second_demo_in_the_same_folder_is_refused(home: Path) -> None:
    with town(home / "data", "--history-days", "0") as first:
        first.wait(lambda: (home / "data" / "lock").exists(), within=60)
        first.wait(lambda: "PostgreSQL" in first.stderr, within=60)
        second = subprocess.run(
            [sys.executable, "-m", "mimamori", "demo", "--port", "0", "--data", str(home / "data")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert "another town runs in" in second.stderr and "Traceback" not in second.stderr
        first.end(signal.SIGINT, within=30)


def test_a_town_whose_floods_are_not_real_refuses_a_mail_server(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mimamori", "demo", "--data", str(home / "data")],
        env=os.environ | {"MIMAMORI_MAIL_HOST": "mail.example.jp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "MIMAMORI_MAIL_HOST" in done.stderr and "Traceback" not in done.stderr
    assert not (home / "data").exists()


def test_a_broker_that_is_not_here_is_said_in_a_sentence(home: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mimamori",
            "demo",
            "--port",
            "0",
            "--broker",
            "mosquitto",
            "--data",
            str(home / "data"),
        ],
        env=os.environ | {"PATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "install mosquitto" in done.stderr and "Traceback" not in done.stderr

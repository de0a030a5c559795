"""`mimamori quarantine`: what waits, what would happen, and reading it again."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from ingest.message import Message
from ingest.settle import KnownDevices, Settling
from quality.gate import CLOCK
from simulators.towns import path as town_path
from store import connect
from tests.conftest import START, Database, Registered
from tests.ingest.town import GAUGE, count, level
from tests.mimamori.test_cli import command

MINUTE = timedelta(minutes=1)


def deliver(registered: Registered, *messages: tuple[str, bytes]) -> None:
    with (
        connect(registered.worker, name="test") as conn,
        closing(KnownDevices(registered.municipality_id)) as devices,
    ):
        devices.refresh(conn)
        settling = Settling(conn, devices, [Message(topic, raw, START) for topic, raw in messages], CLOCK)
        while not settling.over:
            settling.step(conn)


def asked(database: Database, *words: str) -> dict[str, Any]:
    done = command("quarantine", *words, "--json", WORKER_DSN=database.worker)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_device_that_is_registered_afterwards_gets_its_past(registered: Registered, tmp_path: Path) -> None:
    """The way of docs/ingest.md: look, add it to the town file, apply, try, replay."""
    with connect(registered.owner, name="test") as conn:
        conn.execute("update device set key = 'somewhere-else' where key = %s", (GAUGE,))
    deliver(
        registered,
        *[level(1.25, counter=i, time=START - (300 - i) * MINUTE) for i in range(250)],
        ("application/x/device/beef/event/up", b"{"),
    )
    waiting = asked(registered, "list")
    assert waiting["total"] == 251
    assert {r["reason"]: (r["messages"], r["senders"]) for r in waiting["reasons"]} == {
        "unknown_device": (250, 1),
        "envelope": (1, 1),
    }
    still = {"total": 250, "would": {"accepted": 0, "event": 0, "quarantined": 250}}
    assert asked(registered, "replay", "--reason", "unknown_device", "--dry-run") == still | {
        "reasons": {"unknown_device": 250}
    }

    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "delete from field_mapping where attachment_id in "
            "(select attachment_id from attachment join device using (device_id) where key = 'somewhere-else')"
        )
        conn.execute(
            "delete from attachment where device_id = (select device_id from device where key = 'somewhere-else')"
        )
        conn.execute("delete from device where key = 'somewhere-else'")
    applied = command("town", "apply", str(town_path()), OWNER_DSN=registered.owner)
    assert applied.returncode == 0, applied.stderr

    would = asked(registered, "replay", "--dry-run")
    assert would["would"] == {"accepted": 250, "event": 0, "quarantined": 1}
    assert would["reasons"] == {"envelope": 1}
    assert count(registered, "observation") == 0
    assert count(registered, "quarantine_replay") == 0

    done = asked(registered, "replay", "--device", GAUGE)
    assert {k: v for k, v in done.items() if k != "replay"} == {
        "total": 250,
        "accepted": 250,
        "event": 0,
        "duplicate": 0,
        "quarantined": 0,
    }
    assert count(registered, "observation") == 250
    again = asked(registered, "replay", "--device", GAUGE)
    assert (again["replay"], again["total"]) == (None, 0)
    assert asked(registered, "list")["total"] == 1


def test_what_it_says_to_people(registered: Registered) -> None:
    nothing = command("quarantine", "list", WORKER_DSN=registered.worker)
    assert (nothing.returncode, nothing.stdout) == (0, "") and "no message waits" in nothing.stderr
    deliver(registered, ("application/x/device/beef/event/up", b"{"))
    listed = command("quarantine", "list", WORKER_DSN=registered.worker)
    assert "envelope" in listed.stdout and "messages wait" in listed.stdout
    dry = command("quarantine", "replay", "--dry-run", WORKER_DSN=registered.worker)
    assert dry.stdout.splitlines()[0] == "of 1 messages 0 would be stored now" and "still envelope" in dry.stdout
    done = command("quarantine", "replay", WORKER_DSN=registered.worker)
    assert done.stdout == "1 messages read again: 0 stored, 1 still cannot be read\n"
    later = command("quarantine", "replay", "--since", "2026-06-01T09:01", WORKER_DSN=registered.worker)
    assert later.stdout == "nothing to read again\n"  # START is 09:00 in the town
    same = command("quarantine", "replay", "--since", "2026-06-01T09:00", WORKER_DSN=registered.worker)
    assert same.stdout.startswith("1 messages")
    wrong = command("quarantine", "replay", "--since", "yesterday", WORKER_DSN=registered.worker)
    assert wrong.returncode == 1 and "write it as 2026-06-01" in wrong.stderr and "Traceback" not in wrong.stderr


def test_how_long_messages_are_kept_is_checked_before_anything_starts(registered: Registered) -> None:
    for name, days in (("QUARANTINE_DAYS", "0"), ("RAW_DAYS", "6"), ("RAW_EVENT_DAYS", "-1")):
        settings: dict[str, Any] = {"WORKER_DSN": registered.worker, name: days}
        done = command("run", "analytics", **settings)
        assert done.returncode == 1 and f"MIMAMORI_{name} is {days}: it must be 7 to" in done.stderr
        assert "Traceback" not in done.stderr

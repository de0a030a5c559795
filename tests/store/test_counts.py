"""The count from inside: what was delivered and what became of it, so counted that a fault of ours shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from devices.model import Outcome
from store import connect
from store.batch import UplinkRow
from store.connection import Connection
from store.counts import COLUMNS, Tallies, Unclosed, slot, unclosed, write_tallies
from store.values import write_candidates
from store.writer import write_batch
from tests.conftest import START, Registered
from tests.store.test_writer import level, observation, uplink

HOUR = timedelta(hours=1)


@pytest.fixture
def conn(registered: Registered) -> Iterator[Connection]:
    with connect(registered.worker, name="test") as opened:
        yield opened


def deliver(conn: Connection, registered: Registered, *rows: UplinkRow) -> None:
    delivered = Tallies()
    delivered.deliver(slot(row.device_id, row.received_time) for row in rows)
    write_batch(conn, registered.municipality_id, rows, delivered=delivered)
    conn.commit()


def counted(conn: Connection) -> dict[tuple[int | None, int], dict[str, int]]:
    """(device, hours after START) -> what is not 0."""
    found = {}
    for device_id, hour, *numbers in conn.execute(f"select device_id, hour, {', '.join(COLUMNS)} from delivery_count"):
        numbered = {name: n for name, n in zip(COLUMNS, numbers, strict=True) if n}
        found[device_id, (hour - START) // HOUR] = numbered
    return found


def test_every_message_and_value_is_counted_with_its_device_and_hour(conn: Connection, registered: Registered) -> None:
    device, other = (d.device_id for d in list(registered.directory.devices.values())[:2])
    stream = level(registered)
    first = replace(uplink(1, observation(stream, 1, 1.0), observation(stream, 2, 1.1)), device_id=device)
    correction = replace(uplink(2, observation(stream, 1, 2.0), observation(stream, 2, 1.1)), device_id=device)
    partly = replace(
        uplink(61, observation(stream, 61, 1.0)), device_id=other, quarantined_fields=("battery",), rejected=3
    )
    event = replace(uplink(3), device_id=device, outcome=Outcome.EVENT)
    bad = replace(uplink(4), outcome=Outcome.QUARANTINED, reason="unknown_device", detail="who?")
    deliver(conn, registered, first, first, event, bad)
    deliver(conn, registered, correction, partly, first)
    assert counted(conn) == {
        (device, 0): {
            "delivered": 5,
            "accepted": 2,
            "event": 1,
            "duplicate": 2,
            "given": 4,
            "stored": 2,
            "unchanged": 1,
            "revised": 1,
        },
        (None, 0): {"delivered": 1, "quarantined": 1},
        (other, 1): {"delivered": 1, "accepted": 1, "given": 1, "stored": 1, "rejected": 3},
    }
    assert unclosed(conn, registered.municipality_id, START) == []
    fields = conn.execute("select quarantined_fields from uplink where counter = 61").fetchone()
    assert fields == (["battery"],)


def test_what_is_rolled_back_is_not_counted(conn: Connection, registered: Registered) -> None:
    delivered = Tallies()
    delivered.deliver([slot(None, START)])
    write_batch(conn, registered.municipality_id, [uplink(1)], delivered=delivered)
    conn.rollback()
    deliver(conn, registered, uplink(1))
    assert counted(conn) == {(None, 0): {"delivered": 1, "accepted": 1}}


def test_a_message_that_gets_lost_between_hand_in_and_writer_leaves_an_hour_open(
    conn: Connection, registered: Registered
) -> None:
    delivered = Tallies()
    delivered.deliver(slot(None, START) for _ in range(3))
    write_batch(conn, registered.municipality_id, [uplink(1), uplink(2)], delivered=delivered)
    assert unclosed(conn, registered.municipality_id, START) == [Unclosed(None, START, 1, 0, 0)]


def test_a_value_that_gets_lost_in_the_writer_leaves_an_hour_open(
    conn: Connection, registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = next(iter(registered.directory.devices.values()))
    real = write_candidates

    def careless(*given: Any) -> Any:
        done = real(*given)
        done.losers.clear()
        return done

    monkeypatch.setattr("store.writer.write_candidates", careless)
    stream = level(registered)
    both = uplink(1, observation(stream, 1, 1.0)), uplink(2, observation(stream, 1, 2.0))
    deliver(conn, registered, *(replace(row, device_id=device.device_id) for row in both))
    assert unclosed(conn, registered.municipality_id, START) == [Unclosed(device.key, START, 0, 1, 0)]


def test_a_stored_message_that_vanishes_leaves_an_hour_open(conn: Connection, registered: Registered) -> None:
    deliver(conn, registered, uplink(1), uplink(2), uplink(70))
    conn.execute("delete from uplink where counter = 2")
    assert unclosed(conn, registered.municipality_id, START) == [Unclosed(None, START, 0, 0, -1)]
    assert unclosed(conn, registered.municipality_id, START + HOUR) == []


def test_tallies_add_up_in_the_table(conn: Connection, registered: Registered) -> None:
    for _ in range(2):
        tallies = Tallies()
        tallies[slot(None, START)].delivered = 2
        tallies[slot(None, START)].duplicate = 2
        write_tallies(conn, registered.municipality_id, tallies)
    assert counted(conn) == {(None, 0): {"delivered": 4, "duplicate": 4}}

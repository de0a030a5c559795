"""Messages are kept for as long as is set, go in small steps, and stay counted."""

from __future__ import annotations

import secrets
from datetime import date, datetime, timedelta

import pytest

from analytics.maintenance import Maintenance
from devices.clock import FixedClock
from store import connect
from store.quarantine import Selection, ask
from store.retention import STEP, Retention, prune
from tests.conftest import START, Registered

DAY = timedelta(days=1)


def keep(registered: Registered, outcome: str, *received: datetime, device: bool = True, repeats: int = 0) -> None:
    with connect(registered.owner, name="test") as conn, conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into uplink (municipality_id, device_id, device_key, payload_hash, topic, raw, received_time,
                                outcome, reason, repeats)
            select %s, (select min(device_id) from device where %s), 'k', %s, 't', 'four', %s, %s,
                   case %s when 'quarantined' then 'codec' end, %s
            """,
            [
                (registered.municipality_id, device, secrets.token_bytes(32), at, outcome, outcome, repeats)
                for at in received
            ],
        )


def rows(registered: Registered, query: str) -> list[tuple[object, ...]]:
    with connect(registered.owner, name="test") as conn:
        return conn.execute(query.encode()).fetchall()


def prune_all(registered: Registered, retention: Retention, now: datetime = START) -> int:
    """Until there is no more to do; how many steps it took."""
    steps = 0
    more = True
    while more:
        with connect(registered.worker, name="test") as conn:
            more = prune(conn, registered.municipality_id, retention, now)
        steps += 1
    return steps


def test_quarantined_messages_go_after_their_time_and_stay_counted(registered: Registered) -> None:
    keep(registered, "quarantined", *(START - n * DAY for n in (1, 9, 10.5, 11, 11.2)), repeats=2)
    keep(registered, "quarantined", START - 12 * DAY, device=False)
    keep(registered, "accepted", START - 12 * DAY)
    prune_all(registered, Retention(quarantined=10 * DAY))
    left = rows(registered, "select received_time, outcome from uplink order by 1")
    assert left == [
        (START - 12 * DAY, "accepted"),
        (START - 9 * DAY, "quarantined"),
        (START - DAY, "quarantined"),
    ]
    gone = rows(
        registered,
        "select day, device_id is null, outcome, reason, messages, repeats, bytes from uplink_pruned order by 1, 2",
    )
    assert gone == [
        (date(2026, 5, 20), False, "quarantined", "codec", 1, 2, 4),
        (date(2026, 5, 20), True, "quarantined", "codec", 1, 0, 4),
        (date(2026, 5, 21), False, "quarantined", "codec", 2, 4, 8),
    ]
    assert sum(int(str(row[4])) for row in gone) + len(left) == 7
    # Again: nothing is counted twice.
    prune_all(registered, Retention(quarantined=10 * DAY))
    assert rows(registered, "select sum(messages), sum(repeats) from uplink_pruned") == [(4, 6)]


def test_what_somebody_wants_read_again_does_not_go_meanwhile(registered: Registered) -> None:
    keep(registered, "quarantined", START - 100 * DAY)
    with connect(registered.worker, name="test") as conn:
        assert ask(conn, registered.municipality_id, Selection(), now=START, user_id=None)
    prune_all(registered, Retention(quarantined=DAY))
    assert rows(registered, "select count(*) from uplink") == [(1,)]
    with connect(registered.owner, name="test") as conn:
        conn.execute("update quarantine_replay set finished_at = now()")
    prune_all(registered, Retention(quarantined=DAY))
    assert rows(registered, "select count(*) from uplink") == [(0,)]


def test_the_first_of_an_identity_stays_as_long_as_there_is_a_second(registered: Registered) -> None:
    """A device that counts anew may say what it said long ago; its repetition must still be told from a new message."""
    keep(registered, "quarantined", START - 100 * DAY, START - 90 * DAY)
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into uplink (municipality_id, device_id, device_key, payload_hash, epoch, topic, raw, received_time,
                                outcome)
            select municipality_id, device_id, device_key, payload_hash, 1, topic, raw, %s, 'accepted'
            from uplink order by received_time limit 1
            """,
            (START,),
        )
    prune_all(registered, Retention(quarantined=DAY))
    assert rows(registered, "select epoch, outcome from uplink order by 1") == [(0, "quarantined"), (1, "accepted")]


@pytest.mark.parametrize("outcome", ["accepted", "event"])
def test_of_others_only_the_raw_bytes_go(registered: Registered, outcome: str) -> None:
    keep(registered, outcome, *(START - n * DAY for n in (1, 20, 30)))
    keep(registered, "event" if outcome == "accepted" else "accepted", START - 30 * DAY)
    retention = Retention(accepted=10 * DAY) if outcome == "accepted" else Retention(event=10 * DAY)
    for _ in range(2):
        prune_all(registered, retention)
        kept = f"select received_time, raw is null from uplink where outcome = '{outcome}' order by 1"
        assert rows(registered, kept) == [(START - 30 * DAY, True), (START - 20 * DAY, True), (START - DAY, False)]
        assert rows(registered, "select count(*) from uplink where raw is null") == [(2,)]
        assert rows(registered, "select outcome, sum(messages), sum(bytes) from uplink_pruned group by 1") == [
            (outcome, 2, 8)
        ]
    prune_all(registered, retention, START + 15 * DAY)
    assert rows(registered, "select sum(messages) from uplink_pruned") == [(3,)]


def test_it_goes_in_small_steps_also_where_many_came_in_one_moment(registered: Registered) -> None:
    keep(registered, "accepted", *(START - 20 * DAY for _ in range(STEP + 20)))
    keep(registered, "accepted", *(START - 19 * DAY + timedelta(seconds=n) for n in range(STEP + 20)))
    keep(registered, "quarantined", *(START - 20 * DAY for _ in range(STEP + 20)))
    steps = prune_all(registered, Retention(quarantined=10 * DAY, accepted=10 * DAY))
    assert steps >= 3
    assert rows(registered, "select outcome, sum(messages) from uplink_pruned group by 1 order by 1") == [
        ("accepted", 2 * (STEP + 20)),
        ("quarantined", STEP + 20),
    ]


def test_for_ever_is_for_ever(registered: Registered) -> None:
    for outcome in ("quarantined", "accepted", "event"):
        keep(registered, outcome, START - 20_000 * DAY)
    prune_all(registered, Retention())
    assert rows(registered, "select count(*) from uplink where raw is not null") == [(3,)]


def test_housekeeping_does_it_a_step_at_a_time(registered: Registered) -> None:
    keep(registered, "quarantined", *(START - 20 * DAY for _ in range(STEP + 1)))
    house = Maintenance(FixedClock(START), Retention(quarantined=10 * DAY))
    left = []
    for _ in range(4):
        with connect(registered.worker, name="test") as conn:
            house.tick(conn)
        left += rows(registered, "select count(*) from uplink")
    assert left == [(STEP + 1,), (1,), (0,), (0,)]

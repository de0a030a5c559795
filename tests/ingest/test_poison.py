"""One poisonous message or device never slows the others: counted in transactions, not in seconds."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from devices import codecs, envelopes
from devices.codecs import flow_pressure
from devices.model import Outcome
from ingest import decode
from ingest.budget import BURST_SECONDS, SHARE, SLOW_SECONDS, Budget
from ingest.message import Message
from ingest.poison import Suspects, refused
from ingest.settle import InOrder, KnownDevices, Settling
from quality.gate import CLOCK
from store import connect
from store.connection import Connection
from tests.conftest import START, Registered
from tests.ingest.town import COUNTER, GAUGE, LOGGER, chirpstack, count, level, passages, query

MINUTE = timedelta(minutes=1)
POISON = 2.0  # metres, which the database of these tests refuses


@dataclass
class Shop:
    """A worker's batches, and what they cost: rows in committed and in rolled back transactions."""

    registered: Registered
    devices: KnownDevices
    conn: Connection
    committed: int = 0
    rolled_back: int = 0
    order: list[str] = field(default_factory=list)

    def settle(self, messages: Sequence[tuple[str, bytes]]) -> Counter[Outcome]:
        """Writes a batch; notes which messages each commit brought."""
        batch = [Message(topic, raw, START) for topic, raw in messages]
        settling = Settling(self.conn, self.devices, batch, CLOCK)
        outcomes: Counter[Outcome] = Counter()
        while not settling.over:
            for settled in settling.step(self.conn):
                outcomes[settled.outcome] += 1
                self.order.append(settled.message.topic)
        return outcomes


class _Counting(psycopg.Connection[Any]):
    commits = 0
    rollbacks = 0

    def commit(self) -> None:
        if self.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            type(self).commits += 1
        super().commit()

    def rollback(self) -> None:
        if self.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            type(self).rollbacks += 1
        super().rollback()


@pytest.fixture
def shop(registered: Registered) -> Iterator[Shop]:
    with connect(registered.owner, name="test") as owner:
        # A value that only the database refuses, as a later constraint or a full number range might.
        owner.execute("alter table observation add constraint no_two check (value <> 2)")
    _Counting.commits = _Counting.rollbacks = 0
    with (
        _Counting.connect(registered.worker, options="-c timezone=UTC") as conn,
        closing(KnownDevices(registered.municipality_id)) as devices,
    ):
        devices.refresh(conn)
        yield Shop(registered, devices, conn)


def spent(shop: Shop, messages: Sequence[tuple[str, bytes]]) -> tuple[int, int]:
    """(commits, rollbacks) of a batch."""
    before = _Counting.commits, _Counting.rollbacks
    shop.settle(messages)
    return _Counting.commits - before[0], _Counting.rollbacks - before[1]


def poison(n: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Messages of one gauge, every one of which the database refuses."""
    return [level(POISON, counter=first + i, time=START - (first + i + 1) * MINUTE) for i in range(n)]


def good(n: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Messages of two other devices."""
    logger = [
        chirpstack(
            LOGGER,
            flow_pressure.encode(time=at, step=MINUTE, samples=[(10.0 + i / 100, 400.0)]),
            counter=first + i,
            time=at,
        )
        for i in range(n // 2)
        for at in [START - (first + i + 1) * MINUTE]
    ]
    counter = [
        passages(10 + i, counter=first + i, measured=START - (first + i + 1) * MINUTE, network=START - MINUTE)
        for i in range(n - n // 2)
    ]
    return logger + counter


def mixed(*parts: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    together = [message for part in parts for message in part]
    random.Random(4).shuffle(together)
    return together


def test_a_thousand_poisonous_messages_cost_the_others_no_transaction(shop: Shop) -> None:
    """Batches of fifty, half of it poison of one device. Halving them would take some 50 commits a batch."""
    batches = [mixed(poison(25, 25 * n), good(25, 25 * n)) for n in range(40)]
    first = spent(shop, batches[0])
    assert first[0] <= 2, "one commit holds everything, after the search"
    later = [spent(shop, batch) for batch in batches[1:]]
    # One commit for the others, one for the suspect; the others are never tried again.
    assert {commits for commits, _ in later} == {2}
    # What the search costs is at most two tries a poisonous message, and one more that said there is poison.
    assert max(rollbacks for _, rollbacks in later) <= 2 * 25 + 1
    registered = shop.registered
    assert count(registered, "uplink", "outcome = 'quarantined' and reason = 'store'") == 1000
    assert count(registered, "uplink", "outcome = 'accepted'") == 1000
    assert {
        key for (key,) in query(registered.owner, "select distinct device_key from uplink where reason = 'store'")
    } == {GAUGE}


def test_the_others_are_committed_before_a_suspect_is_looked_at(shop: Shop) -> None:
    shop.settle(mixed(poison(5), good(5)))
    shop.order.clear()
    shop.settle(mixed(poison(20, 100), good(20, 100)))
    devices = ["gauge" if GAUGE in topic else "other" for topic in shop.order]
    assert devices == ["other"] * 20 + ["gauge"] * 20


def test_one_poisonous_message_among_a_thousand_is_found_by_halves(shop: Shop) -> None:
    """Also within one device, whose good messages pass."""
    messages = [level(1.5, counter=i, time=START - i * MINUTE) for i in range(500)]
    messages[137] = poison(1, 137)[0]
    commits, rollbacks = spent(shop, messages)
    assert commits == 1 and rollbacks <= 2 * 9 + 8
    assert count(shop.registered, "observation") == 499


def test_a_device_whose_messages_pass_again_is_no_suspect_any_more(shop: Shop) -> None:
    gauge = shop.registered.directory.devices[GAUGE].device_id
    shop.settle(poison(3))
    assert gauge in shop.devices.suspects
    shop.settle(mixed([level(1.5, counter=900, time=START)], good(5)))
    assert gauge not in shop.devices.suspects
    assert spent(shop, mixed([level(1.5, counter=901, time=START - MINUTE)], good(5, 500))) == (1, 0)


def test_a_name_that_the_database_cannot_keep_costs_nothing(shop: Shop) -> None:
    """Known without asking it: no transaction fails for them."""
    names = ["mimamori/v1/a\x00b/up", "mimamori/v1/\ud800/up"]
    assert spent(shop, mixed([(name, b"{}") for name in names], good(20))) == (1, 0)
    assert query(shop.registered.owner, "select reason, count(*) from uplink group by 1 order by 1") == [
        ("store", 2),
        (None, 20),
    ]


def test_a_name_too_long_for_the_index_is_kept_without_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be an error that looks like a lost database, and ingest would try again for ever."""
    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6000))
    opened = envelopes.open_uplink

    def named(topic: str, raw: bytes, *known: Any) -> object:
        uplink = opened(topic, raw, *known)
        return replace(uplink, session=long) if uplink.counter == 7 else uplink

    monkeypatch.setattr(envelopes, "open_uplink", named)
    messages = [level(1.5, counter=i, time=START - i * MINUTE) for i in range(10)]
    assert spent(shop, messages) == (1, 0)
    assert query(shop.registered.owner, "select counter, reason from uplink where reason is not null") == [
        (None, "store")
    ]
    # And where the limit is not known beforehand, the database's word is enough.
    monkeypatch.setattr(decode, "LONGEST_NAMES", 10_000)
    shop.settle([level(1.6, counter=7, time=START - timedelta(days=2))])
    assert count(shop.registered, "uplink", "reason = 'store'") == 2


def test_what_is_refused_only_together_is_written_apart() -> None:
    def attempt(some: Sequence[str]) -> Exception | None:
        return ValueError("not together") if {"a", "b"} <= set(some) else None

    assert refused(list("xaybz"), ValueError("not together"), lambda each: each, attempt) == {}


@pytest.mark.parametrize("bad", [{3}, {0, 99}, set(range(50)), set(range(100)), {7, 8, 9}])
def test_the_search_finds_all_of_it_and_nothing_else(bad: set[int]) -> None:
    tries = 0

    def attempt(some: Sequence[int]) -> Exception | None:
        nonlocal tries
        tries += 1
        return ValueError(str(sorted(some))) if bad & set(some) else None

    found = refused(range(100), ValueError("first"), lambda each: each // 50, attempt)
    assert set(found) == bad
    assert tries <= 2 * len(bad) * 8 and tries <= 200


def test_the_longest_quiet_suspects_are_forgotten_first() -> None:
    suspects = Suspects(limit=2)
    for device in (1, 2, 1, 3):
        suspects.add(device)
    assert (1 in suspects, 2 in suspects, 3 in suspects) == (True, False, True)


def test_acknowledgements_stay_in_the_order_of_arrival() -> None:
    batch = [Message(str(n), b"", START) for n in range(5)]
    order = InOrder(batch)
    assert order.add(batch[1:3]) == []
    assert order.add([batch[0]]) == batch[:3]
    assert order.add([batch[4]]) == []
    assert order.add([batch[3]]) == batch[3:]


class _Time:
    """The clock of the machine and the computing time of this thread, both by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.thread = 0.0


def test_a_slow_device_takes_its_share_and_no_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = _Time()
    shop.devices.budget = Budget(now=lambda: by_hand.now)
    monkeypatch.setattr(time, "thread_time", lambda: by_hand.thread)
    reading = codecs.decode
    took = Counter[str]()

    def slow(model: str, uplink: Any, *known: Any) -> Any:
        seconds = 0.25 if uplink.device_key == GAUGE else 0.00001
        by_hand.thread += seconds
        by_hand.now += seconds
        took[uplink.device_key] += 1
        return reading(model, uplink, *known)

    monkeypatch.setattr(codecs, "decode", slow)
    slow_ones = [level(1.5, counter=i, time=START - i * MINUTE) for i in range(100)]
    shop.settle(mixed(slow_ones, good(100)))
    # A burst, and what came back meanwhile; the others are all read.
    assert took[GAUGE] == pytest.approx(BURST_SECONDS / 0.25 / (1 - SHARE), abs=1)
    assert took[LOGGER] + took[COUNTER] == 100
    registered = shop.registered
    assert count(registered, "uplink", "reason = 'slow'") == 100 - took[GAUGE]
    assert count(registered, "uplink", "outcome = 'accepted'") == 100 + took[GAUGE]
    # They are known by who sent them and when: a repetition is one, and reading them again is possible.
    assert count(registered, "uplink", f"reason = 'slow' and device_key = '{GAUGE}' and counter is not null") > 0
    by_hand.now += 10.0
    monkeypatch.setattr(codecs, "decode", reading)
    assert shop.settle([level(1.5, counter=i, time=START - i * MINUTE) for i in range(200, 250)]) == {
        Outcome.ACCEPTED: 50
    }


def test_a_quick_message_ends_a_devices_slowness() -> None:
    now = [0.0]
    some = Budget(now=lambda: now[0])
    some.took("a", BURST_SECONDS + 1)
    assert not some.allows("a") and some.allows("b")
    now[0] += 1 / SHARE + 1
    assert some.allows("a")
    some.took("a", SLOW_SECONDS / 2)
    some.took("b", 10.0)
    assert some.allows("a") and not some.allows("b")


def test_a_busy_machine_makes_no_device_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = _Time()
    monkeypatch.setattr(time, "thread_time", lambda: by_hand.thread)
    some = Budget(now=lambda: by_hand.now)
    for _ in range(20):
        some.begin()
        by_hand.now += BURST_SECONDS  # others had the processor
        by_hand.thread += SLOW_SECONDS / 1000
        some.end("a")
        assert some.allows("a")
    some.begin()
    by_hand.now += 60.0
    by_hand.thread += 60.0
    some.end("a")
    assert not some.allows("a")

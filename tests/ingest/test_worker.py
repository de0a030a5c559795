"""The whole way in, with a real broker and a real database: nothing lost, nothing twice, whatever dies."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from devices.clock import real_now
from ingest import Broker, ConfigError, EmbeddedBroker, run
from store import connect
from tests.brokers.running import Ear, publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.test_decode import BAD
from tests.ingest.town import (
    GAUGE,
    Child,
    config_for,
    count,
    level,
    levels,
    listening,
    passages,
    query,
    worker,
)

MINUTE = timedelta(minutes=1)


def publish(broker: Broker, *messages: tuple[str, bytes]) -> None:
    with publisher(broker) as send:
        for topic, raw in messages:
            send(topic, raw)


def outcomes(registered: Registered) -> dict[str, int]:
    return dict(query(registered.owner, "select outcome, count(*) from uplink group by 1"))  # type: ignore[arg-type]


def nothing_waits_for(broker: Broker, client_id: str) -> None:
    """The worker's session is empty: all that was delivered has been acknowledged."""
    ear = Ear(broker, client_id, "mimamori/v1/marker/up")
    assert ear.resumed
    with publisher(broker) as send:
        send("mimamori/v1/marker/up", b"marker")
    # What NATS holds back from an earlier connection it gives out after this time.
    until = time.monotonic() + 1.5 * broker.redelivery_seconds
    wait_for(lambda: bool(ear.heard) and time.monotonic() > until, "the marker, and any redelivery")
    assert set(ear.payloads) == {b"marker"}
    ear.acknowledge(0, len(ear.heard))
    ear.leave()


def test_a_level_is_stored_judged_and_acknowledged(registered: Registered, broker: Broker) -> None:
    config = config_for(registered, broker)
    begin = START - timedelta(hours=1)
    with worker(config):
        publish(
            broker,
            level(1.00, counter=1, time=begin),
            level(1.10, counter=2, time=begin + 10 * MINUTE),
            level(4.90, counter=3, time=begin + 20 * MINUTE),
            level(-3.0, counter=4, time=begin + 30 * MINUTE),
            level(1.20, counter=5, time=begin + 40 * MINUTE),
        )
        wait_for(lambda: count(registered, "observation") == 5, "five observations")
    rows = query(registered.owner, "select value, quality::text, reason from observation order by phenomenon_time")
    assert [(round(value, 3), quality, reason) for value, quality, reason in rows] == [
        (1.0, "good", None),
        (1.1, "good", None),
        (4.9, "doubtful", "rate"),
        (-3.0, "bad", "range"),
        (1.2, "good", None),
    ]
    assert outcomes(registered) == {"accepted": 5}
    assert count(registered, "feed") >= 1
    nothing_waits_for(broker, config.client_id)


def test_the_verdict_does_not_depend_on_how_the_messages_fell_into_batches(
    registered: Registered, broker: Broker
) -> None:
    begin = START - timedelta(days=2)
    still = [level(1.0, counter=i, time=begin + 20 * MINUTE * i) for i in range(80)]
    with worker(config_for(registered, broker, batch_size=7)):
        publish(broker, *still)
        wait_for(lambda: count(registered, "observation") == 80, "80 observations")
    stuck = query(registered.owner, "select phenomenon_time from observation where reason = 'stuck' order by 1")
    # The gauge may stand still for a day: from then on it is doubted, in whichever batch that fell.
    assert stuck[0][0] == begin + timedelta(days=1)
    assert len(stuck) == 80 - 72


def test_a_batch_does_not_wait_for_more_than_half_the_brokers_window(registered: Registered, broker: Broker) -> None:
    # By its own size and time it would wait for a thousand messages or ten minutes.
    config = config_for(registered, replace(broker, max_unacked=4), batch_size=1000, batch_seconds=600)
    with worker(config):
        publish(broker, *levels(4))
        wait_for(lambda: count(registered, "observation") == 4, "two batches of two")


def test_everything_that_cannot_pass_is_kept_with_its_reason_and_the_rest_passes(
    registered: Registered, broker: Broker
) -> None:
    config = config_for(registered, broker)
    # The topic filters keep what is on other topics away, and NATS hangs up on who publishes to one with a space.
    bad = {
        name: (message, reason)
        for name, (message, reason) in BAD.items()
        if name != "foreign topic" and (broker.shared or " " not in message[0])
    }
    with worker(config):
        publish(
            broker,
            level(1.0, counter=100, time=START - MINUTE),
            *(message for message, _ in bad.values()),
            passages(7, counter=101, measured=START.replace(year=1970), network=START - MINUTE),
            level(1.1, counter=102, time=START),
        )
        wait_for(lambda: count(registered, "uplink") == len(bad) + 3, "every message")
    assert outcomes(registered) == {"accepted": 3, "quarantined": len(bad)}
    kept = query(registered.owner, "select topic, raw, reason from uplink where outcome = 'quarantined'")
    assert {(topic, bytes(raw)): reason for topic, raw, reason in kept} == dict(bad.values())
    clocks = query(registered.owner, "select value, quality::text from observation where reason = 'clock' order by 1")
    assert clocks == [(0.0, "doubtful"), (7.0, "doubtful")]
    nothing_waits_for(broker, config.client_id)


def test_a_repeated_message_ends_as_a_duplicate(registered: Registered, broker: Broker) -> None:
    message = level(1.0, counter=1, time=START - MINUTE)
    with worker(config_for(registered, broker)):
        publish(broker, message, message)
        wait_for(lambda: count(registered, "uplink") == 1, "the message")
        publish(broker, message, level(1.1, counter=2, time=START))
        wait_for(lambda: count(registered, "observation") == 2, "the next message")
    assert query(registered.owner, "select counter, repeats from uplink order by 1") == [(1, 2), (2, 0)]


def test_a_poisonous_message_does_not_hold_up_the_rest(registered: Registered, broker: Broker) -> None:
    with connect(registered.owner, name="test") as conn:
        # A value that only the database refuses, as a later constraint or a full number range might.
        conn.execute("alter table observation add constraint no_two check (value <> 2)")
    config = config_for(registered, broker, batch_seconds=1.0)
    begin = START - timedelta(hours=1)
    messages = [
        level(2.0 if i == 13 else 1 + i / 1000, counter=i, time=begin + timedelta(seconds=10 * i)) for i in range(40)
    ]
    with worker(config):
        publish(broker, *messages)
        wait_for(lambda: count(registered, "uplink") == 40, "every message")
    assert count(registered, "observation") == 39
    ((topic, raw, reason, detail, device),) = query(
        registered.owner, "select topic, raw, reason, detail, device_key from uplink where outcome = 'quarantined'"
    )
    assert ((topic, bytes(raw)), reason, device) == (messages[13], "store", GAUGE)
    assert "no_two" in detail
    nothing_waits_for(broker, config.client_id)


def test_nothing_is_acknowledged_before_the_commit(registered: Registered, broker: Broker) -> None:
    config = config_for(registered, broker)
    messages = levels(20)
    with connect(registered.owner, name="holds the table") as holder, Child(config) as child:
        wait_for(lambda: listening(config), "the child to listen")
        holder.execute("lock table uplink in share mode")  # whoever writes waits
        publish(broker, *messages)
        wait_for(
            lambda: bool(
                query(
                    registered.owner,
                    "select 1 from pg_stat_activity where application_name = %s and wait_event_type = 'Lock' "
                    "and datname = current_database()",
                    "mimamori ingest test",
                )
            ),
            "the child to stand before its commit",
        )
        child.kill()
        holder.rollback()
    assert count(registered, "observation") == 0
    with worker(config):
        wait_for(lambda: count(registered, "observation") == 20, "all 20, delivered again")
    assert outcomes(registered) == {"accepted": 20}
    nothing_waits_for(broker, config.client_id)


def test_killing_ingest_again_and_again_loses_nothing_and_doubles_nothing(
    registered: Registered, broker: Broker
) -> None:
    config = config_for(registered, broker, batch_size=20, batch_seconds=0.02)
    messages = levels(1500)
    with connect(registered.owner, name="test") as conn:
        # A slow disk: so that a kill finds a transaction open and a batch in hand.
        conn.execute(
            "create function slow() returns trigger language plpgsql as "
            "'begin perform pg_sleep(0.02); return null; end'"
        )
        conn.execute("create trigger slow after insert on uplink for each statement execute function slow()")
    publishing = threading.Thread(target=publish, args=(broker, *messages))
    chance = random.Random(20260601)
    kills_in_the_middle = 0
    with Child(config) as child:
        wait_for(lambda: listening(config), "the first child to listen")
        publishing.start()
        for _ in range(5):
            target = count(registered, "observation") + chance.randint(20, 200)
            wait_for(lambda: count(registered, "observation") >= min(target, 1500), f"{target} observations")  # noqa: B023
            child.kill()
            kills_in_the_middle += count(registered, "observation") < 1500
            child.start()
        wait_for(lambda: count(registered, "observation") == 1500, "all 1500 observations")
        publishing.join()
    assert kills_in_the_middle == 5
    stored = query(registered.owner, "select topic, raw from uplink")
    assert sorted((topic, bytes(raw)) for topic, raw in stored) == sorted(messages)
    assert outcomes(registered) == {"accepted": 1500}
    assert count(registered, "observation_revision") == 0
    with worker(config):
        pass  # closes what the last kill left unacknowledged
    assert outcomes(registered) == {"accepted": 1500}
    assert count(registered, "observation") == 1500


def test_a_lost_database_connection_is_made_again_and_the_batch_is_kept(registered: Registered, broker: Broker) -> None:
    config = config_for(registered, broker, batch_size=10)
    with worker(config):
        publish(broker, *levels(50))
        wait_for(lambda: count(registered, "observation") == 50, "50 observations")
        ended = query(
            registered.owner,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mimamori ingest test' "
            "and datname = current_database()",
        )
        assert ended == [(True,)]
        publish(broker, *[level(2.0, counter=1000 + i, time=START - MINUTE + timedelta(seconds=i)) for i in range(30)])
        wait_for(lambda: count(registered, "observation") == 80, "the 30 that came meanwhile")
    assert outcomes(registered) == {"accepted": 80}
    nothing_waits_for(broker, config.client_id)


def test_a_worker_started_before_its_broker_waits_for_it_and_says_that_it_hears_nothing(
    registered: Registered, embedded: EmbeddedBroker
) -> None:
    config = config_for(registered, embedded.broker)
    with worker(config):
        ((first,),) = query(registered.owner, "select heartbeat_at from ingest_worker")
        embedded.stop()
        wait_for(
            lambda: query(registered.owner, "select listening_since from ingest_worker") == [(None,)],
            "the heartbeat to say so",
        )
        wait_for(
            lambda: query(registered.owner, "select heartbeat_at from ingest_worker")[0][0] > first,
            "the heart to beat on",
        )
        embedded.start()
        wait_for(
            lambda: query(registered.owner, "select listening_since from ingest_worker")[0][0] is not None,
            "the heartbeat to say that it hears again",
        )
        ((since, beat),) = query(registered.owner, "select listening_since, heartbeat_at from ingest_worker")
        # Town time: it stands at START and runs with the real one, far from the machine's own date.
        assert START <= since <= beat < START + timedelta(hours=1)
        assert abs(real_now() - beat) > timedelta(days=1)
    assert query(registered.owner, "select listening_since from ingest_worker") == [(None,)]


def test_a_device_registered_while_ingest_runs_is_known_within_seconds(registered: Registered, broker: Broker) -> None:
    with connect(registered.owner, name="test") as conn:
        conn.execute("update device set key = 'a84041ffff31ffff' where key = %s", (GAUGE,))
    with worker(config_for(registered, broker)):
        publish(broker, level(1.0, counter=1, time=START - MINUTE))
        wait_for(lambda: count(registered, "uplink", "reason = 'unknown_device'") == 1, "the unknown device")
        with connect(registered.owner, name="test") as conn:
            conn.execute("update device set key = %s where key = 'a84041ffff31ffff'", (GAUGE,))
        counters = iter(range(2, 10_000))

        def known() -> bool:
            publish(broker, level(1.0, counter=next(counters), time=START))
            return count(registered, "observation") > 0

        wait_for(known, "the device to be known")


def test_a_municipality_that_is_not_there_ends_ingest_with_its_code(registered: Registered, broker: Broker) -> None:
    with pytest.raises(ConfigError, match="010006 is not in the database"):
        run(config_for(registered, broker, municipality="010006"), threading.Event())


def test_a_missing_right_ends_ingest_and_acknowledges_nothing(registered: Registered, broker: Broker) -> None:
    config = config_for(registered, broker)
    with connect(registered.owner, name="test") as conn:
        conn.execute("revoke insert on uplink from mimamori_worker")
    with worker(config):
        pass  # the session is there, and what comes now waits in it
    publish(broker, *levels(5))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(config, threading.Event())
    with connect(registered.owner, name="test") as conn:
        conn.execute("grant insert on uplink to mimamori_worker")
    with worker(config):
        wait_for(lambda: count(registered, "observation") == 5, "all five")

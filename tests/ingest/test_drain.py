"""A worker's sessions are emptied before it goes for good; real brokers, real processes."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from devices.model import Outcome
from ingest import Broker
from ingest.drain import Drained, drain
from ingest.errors import BrokerError, DrainRefused
from store import connect
from tests.brokers.running import Ear, wait_for
from tests.conftest import START, Registered
from tests.ingest.test_sessions import mosquitto, publish, slowly
from tests.ingest.town import Child, config_for, count, level, levels, listening, query, worker

__all__ = ["mosquitto"]


def drained(registered: Registered, broker: Broker, worker_id: str, **changes: object) -> Drained:
    found = drain(config_for(registered, broker, worker_id=worker_id, **changes), threading.Event())
    assert found is not None
    return found


def long_ago(registered: Registered, worker_id: str) -> None:
    """As if the worker had died an hour ago."""
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "update ingest_worker set heartbeat_at = heartbeat_at - interval '1 hour' where worker_id = %s",
            (worker_id,),
        )


def test_a_dead_workers_messages_are_taken_the_others_go_on_and_its_session_is_over(
    registered: Registered, mosquitto: Broker
) -> None:
    stays, goes = (config_for(registered, mosquitto, worker_id=name, shared=True) for name in ("0", "1"))
    with worker(stays):
        with Child(goes):
            wait_for(lambda: listening(goes), "the second to listen")
        long_ago(registered, "1")
        publish(mosquitto, *levels(400))
        wait_for(lambda: count(registered, "uplink") == 200, "the first one's half")
        found = drained(registered, mosquitto, "1", shared=True)
        assert (found.messages, found.outcomes) == (200, {Outcome.ACCEPTED: 200})
        assert count(registered, "uplink") == count(registered, "observation") == 400
        # All of what comes now goes to the one that is left.
        publish(mosquitto, *[level(2.0, counter=1000 + n, time=START + timedelta(seconds=n)) for n in range(60)])
        wait_for(lambda: count(registered, "uplink") == 460, "what came afterwards")
    assert count(registered, "uplink", "repeats > 0") == 0
    assert query(registered.owner, "select worker_id from ingest_worker where drained_at is not null") == [("1",)]
    for client_id in (goes.client_id, goes.spare_client_id):
        ear = Ear(mosquitto, client_id, "t/#")
        assert not ear.resumed
        ear.leave()


def test_a_drain_that_was_killed_in_the_middle_is_called_again(registered: Registered, mosquitto: Broker) -> None:
    stays, goes = (config_for(registered, mosquitto, worker_id=name, shared=True) for name in ("0", "1"))
    with worker(stays):
        with worker(goes):
            pass
        publish(mosquitto, *levels(400))
        wait_for(lambda: count(registered, "uplink") == 200, "the first one's half")
        slowly(registered, 0.1)
        stop = threading.Event()
        small = config_for(registered, mosquitto, worker_id="1", shared=True, batch_size=10)
        found: list[Drained | None] = []
        first = threading.Thread(target=lambda: found.append(drain(small, stop)))
        first.start()
        wait_for(lambda: count(registered, "uplink") > 220, "some of the rest")
        stop.set()
        first.join()
        assert found == [None] and count(registered, "uplink") < 400
        assert query(registered.owner, "select count(drained_at) from ingest_worker") == [(0,)]
        slowly(registered, 0.0)
        assert drained(registered, mosquitto, "1", shared=True).messages > 0
    assert count(registered, "uplink") == count(registered, "observation") == 400


def test_a_worker_that_comes_back_after_all_is_not_drained_any_more(registered: Registered, mosquitto: Broker) -> None:
    stays, goes = (config_for(registered, mosquitto, worker_id=name, shared=True) for name in ("0", "1"))
    with worker(stays):
        with worker(goes):
            pass
        assert drained(registered, mosquitto, "1", shared=True).messages == 0
        with worker(goes):
            publish(mosquitto, *levels(100))
            wait_for(lambda: count(registered, "uplink") == 100, "all of them")
            assert query(registered.owner, "select count(drained_at) from ingest_worker") == [(0,)]


def test_what_would_lose_messages_is_refused_with_what_to_do(registered: Registered, mosquitto: Broker) -> None:
    stays, goes = (config_for(registered, mosquitto, worker_id=name, shared=True) for name in ("0", "1"))
    with worker(goes):
        with pytest.raises(DrainRefused, match="there never was an ingest worker 7 of 999999; known: 1"):
            drained(registered, mosquitto, "7")
        with worker(stays), pytest.raises(DrainRefused, match=r"worker 1 is alive .*: stop it first"):
            drained(registered, mosquitto, "1")
    with pytest.raises(DrainRefused, match="no other ingest worker of 999999 listens"):
        drained(registered, mosquitto, "1")


def test_a_broker_that_forgets_what_waits_when_a_subscription_ends_is_not_drained(
    registered: Registered, broker: Broker
) -> None:
    if broker.keeps_unsubscribed:
        pytest.skip("this broker keeps it")
    with pytest.raises(DrainRefused, match="would lose messages"):
        drained(registered, broker, "0")


def test_a_drain_without_a_broker_says_so(
    registered: Registered, mosquitto: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.drain.BROKER_PATIENCE_SECONDS", 1.0)
    nobody = Broker("127.0.0.1", 9, shared=True, keeps_unsubscribed=True)
    stays, goes = (config_for(registered, mosquitto, worker_id=name, shared=True) for name in ("0", "1"))
    with worker(stays):
        with worker(goes):
            pass
        with pytest.raises(BrokerError, match=r"127\.0\.0\.1:9 did not answer"):
            drained(registered, nobody, "1")
    assert query(registered.owner, "select count(drained_at) from ingest_worker") == [(0,)]

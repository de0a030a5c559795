"""A worker says that it lives and, where it takes no messages, why."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from devices.clock import FixedClock
from ingest import Broker, EmbeddedBroker
from ingest.heart import Doing, Heart
from ingest.sessions import Hearing
from store import connect
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.ingest.test_worker import publish
from tests.ingest.town import config_for, count, levels, query, worker

MINUTE = timedelta(minutes=1)


def told(registered: Registered, columns: str) -> tuple[Any, ...]:
    rows = query(registered.owner, f"select {columns} from ingest_worker")
    return rows[0] if rows else ()


def test_a_database_that_stores_nothing_is_named_and_the_heart_beats_on(
    registered: Registered, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.heart.SLOW_SECONDS", 0.3)
    with worker(config_for(registered, broker)):
        (first,) = told(registered, "listening_since")
        with connect(registered.owner, name="holds the table") as holder:
            holder.execute("lock table uplink in share mode")  # whoever writes waits
            publish(broker, *levels(20))
            wait_for(lambda: told(registered, "obstacle, listening_since") == ("database", None), "the reason")
            beat, since, held = told(registered, "heartbeat_at, obstacle_since, held")
            assert since <= beat and held == 20
            wait_for(lambda: told(registered, "heartbeat_at")[0] > beat, "the heart to beat on")
            holder.rollback()
        wait_for(lambda: count(registered, "observation") == 20, "all that waited")
        wait_for(lambda: told(registered, "obstacle, held") == (None, 0), "the reason to be over")
        # Silence of a device means something again from now on, and not from before.
        assert told(registered, "listening_since")[0] > first


def test_a_broker_out_of_reach_is_named_since_when(registered: Registered, embedded: EmbeddedBroker) -> None:
    with worker(config_for(registered, embedded.broker)):
        embedded.stop()
        wait_for(lambda: told(registered, "obstacle, listening_since") == ("broker", None), "the reason")
        (since,) = told(registered, "obstacle_since")
        (beat,) = told(registered, "heartbeat_at")
        assert START <= since <= beat
        wait_for(lambda: told(registered, "heartbeat_at")[0] > beat, "the heart to beat on")
        assert told(registered, "obstacle_since") == (since,)
        embedded.start()
        wait_for(lambda: told(registered, "obstacle") == (None,), "the reason to be over")


def test_an_outage_of_the_database_is_told_afterwards_and_an_end_in_good_order(
    registered: Registered, broker: Broker
) -> None:
    with worker(config_for(registered, broker)):
        assert told(registered, "outage_from, outage_until") == (None, None)
        query(
            registered.owner,
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
            "and application_name like '%%heart of ingest test'",
        )
        wait_for(lambda: told(registered, "outage_from")[0] is not None, "the outage to be told")
        begin, end, since = told(registered, "outage_from, outage_until, listening_since")
        assert START <= begin <= end <= since
        assert told(registered, "stopped_at") == (None,)
    stopped, since = told(registered, "stopped_at, listening_since")
    assert stopped >= end and since is None


def test_a_worker_without_room_says_so_after_a_while(registered: Registered) -> None:
    clock = FixedClock(START)
    full: datetime | None = START

    def doing() -> Doing:
        return Doing(Hearing(START, START, full, 4000), 0.0)

    heart = Heart(registered.worker, "0", registered.municipality_id, clock, doing)
    heart.start()
    wait_for(lambda: told(registered, "obstacle, listening_since, held") == (None, START, 4000), "a moment is nothing")
    clock.at = START + MINUTE
    wait_for(lambda: told(registered, "obstacle, obstacle_since") == ("full", START), "a minute is told")
    full, clock.at = None, START + 2 * MINUTE
    wait_for(lambda: told(registered, "obstacle") == (None,), "there is room again")
    assert told(registered, "listening_since")[0] >= START + MINUTE
    heart.stop()
    assert told(registered, "stopped_at, listening_since") == (START + 2 * MINUTE, None)

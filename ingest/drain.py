"""Emptying the sessions of a worker that is not to come back, so that nothing waits for it.

A worker that has ended still has its sessions at the broker, and as one of several that share their messages it goes on
being given its part. `drain` takes its place, without subscribing: it leaves the subscriptions, so that nothing new
comes; takes what waits through the same way as a worker, acknowledging after the commit; and ends the sessions.

It may be killed at any moment and called again. Only with a broker that keeps what waits when a subscription ends.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from devices.clock import Clock
from devices.model import Outcome
from ingest.batcher import Batcher, batch_limit
from ingest.broker import end_session
from ingest.config import IngestConfig
from ingest.errors import BrokerError, DrainRefused
from ingest.settle import KnownDevices, Settling
from ingest.subscriber import Delivery, Subscriber
from quality.gate import CLOCK
from store.connection import Connection, connect
from store.town_clock import load_clock

# A worker that has given no sign of life for so long (real time) is not there any more.
ALIVE_FOR = timedelta(seconds=30)
BROKER_PATIENCE_SECONDS = 30.0
REPORT_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Drained:
    """What came out of the sessions of a worker, all of it committed."""

    worker_id: str
    outcomes: Counter[Outcome]

    @property
    def messages(self) -> int:
        """How many."""
        return self.outcomes.total()


def drain(config: IngestConfig, stop: threading.Event) -> Drained | None:
    """Empties the sessions of the worker `config` describes and ends them; None when `stop` came first.

    Raises DrainRefused while that worker lives, when there
    never was one of that name, when nobody else listens to the town (what comes would be lost), and where the broker
    cannot do it; BrokerError when the broker does not answer; psycopg.OperationalError when the database is away.
    """
    if not config.broker.keeps_unsubscribed:
        raise DrainRefused(
            f"broker {config.broker.address} does not keep what waits in a session whose subscription ends, so that "
            "draining it would lose messages: let the worker itself take what waits"
        )
    outcomes: Counter[Outcome] = Counter()
    with connect(config.dsn, name=f"drain {config.worker_id}") as conn:
        clock = load_clock(conn)
        devices = KnownDevices(_permitted(conn, config, clock))
        with closing(devices):
            devices.listen(conn)
            devices.refresh(conn)
            for client_id in (config.client_id, config.spare_client_id):
                if not _empty(config, client_id, conn, devices, clock, outcomes, stop):
                    return None
        for client_id in (config.client_id, config.spare_client_id):
            end_session(config.broker, client_id)
        conn.execute(
            "update ingest_worker set drained_at = %s, listening_since = null, held = 0 where worker_id = %s",
            (clock.now(), config.worker_id),
        )
    return Drained(config.worker_id, outcomes)


def _permitted(conn: Connection, config: IngestConfig, clock: Clock) -> int:
    """The municipality_id of the worker, which must be gone while another of the town listens."""
    rows: list[tuple[str, int, datetime, datetime | None, datetime | None]] = conn.execute(
        """
        select worker_id, municipality_id, heartbeat_at, listening_since, stopped_at
        from ingest_worker join municipality using (municipality_id) where code = %s order by worker_id
        """,
        (config.municipality,),
    ).fetchall()
    conn.commit()
    lately = clock.now() - ALIVE_FOR * clock.speed
    found = next((row for row in rows if row[0] == config.worker_id), None)
    if found is None:
        names = ", ".join(row[0] for row in rows) or "none"
        raise DrainRefused(
            f"there never was an ingest worker {config.worker_id} of {config.municipality}; known: {names}"
        )
    if found[4] is None and found[2] > lately:
        raise DrainRefused(
            f"ingest worker {config.worker_id} is alive (or was, less than {ALIVE_FOR.seconds} s ago): stop it first, "
            "by starting ingest with fewer --workers"
        )
    if not any(row[0] != config.worker_id and row[3] is not None and row[2] > lately for row in rows):
        raise DrainRefused(
            f"no other ingest worker of {config.municipality} listens: what comes while {config.worker_id} is drained "
            "would be lost. Start ingest first"
        )
    return found[1]


def _empty(
    config: IngestConfig,
    client_id: str,
    conn: Connection,
    devices: KnownDevices,
    clock: Clock,
    outcomes: Counter[Outcome],
    stop: threading.Event,
) -> bool:
    """Takes what waits in one session; whether it is empty, and not stopped."""
    batcher: Batcher[Delivery] = Batcher(
        limit=batch_limit(config.batch_size, config.broker), linger=config.batch_seconds
    )
    left = config.filters(devices.directory.definitions).all
    subscriber = Subscriber(config.broker, client_id, (), clock, batcher.put, without=left)
    possible = replace(CLOCK, behind=config.oldest.total_seconds())
    asked, received = 1, -1
    heard = said = time.monotonic()
    subscriber.start()
    try:
        while not stop.is_set():
            subscriber.check()
            batch = batcher.take(timeout=0.2)
            if batch:
                settling = Settling(conn, devices, batch, possible)
                while not settling.over:
                    done = settling.step(conn)
                    outcomes.update(settled.outcome for settled in done)
                    subscriber.acknowledge(settled.message for settled in done)
                if time.monotonic() - said > REPORT_SECONDS:
                    said = time.monotonic()
                    log.info("draining", messages=outcomes.total())
            if batch or subscriber.granted(asked):
                heard = time.monotonic()
            elif time.monotonic() - heard > BROKER_PATIENCE_SECONDS:
                raise BrokerError(f"broker {config.broker.address} did not answer in {BROKER_PATIENCE_SECONDS:g} s")
            if subscriber.granted(asked) and not subscriber.held:
                if subscriber.received == received:
                    return True
                received = subscriber.received
                asked = subscriber.change((), without=left)
        return False
    finally:
        subscriber.stop()

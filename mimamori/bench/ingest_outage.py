"""The parts of `mimamori bench ingest` that are measured once: the steady stream, and the day after an outage."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from itertools import islice
from typing import Any

from mimamori.bench.bulk import Bulk, make_session
from mimamori.bench.flood import Flood, Kind
from mimamori.bench.ingest import Place, committed, end_sessions
from mimamori.bench.ingest_processes import Worker
from mimamori.embedded import caught_up, child_environment, start_rooms
from mimamori.errors import StartError
from store import Connection, connect

_A_TICK = 0.01  # s between two handfuls of messages
_PATIENCE = 300.0


def latency(place: Place, rate: int, seconds: float) -> dict[str, Any]:
    """From just before a message is sent until its commit is seen, at `rate` messages a second, by one worker."""
    flood = place.flood(Kind.OWN)
    (config,) = place.configs(1)
    count = int(rate * seconds)
    sent: dict[tuple[str, int], float] = {}
    with Worker(config) as worker, connect(place.server.dsn("owner"), name="bench", autocommit=True) as conn:
        worker.go()
        wait_until_heard(conn, config.worker_id)
        newest = conn.execute("select coalesce(max(uplink_id), 0) from uplink").fetchone()
        assert newest is not None
        conn.execute("listen feed")
        publisher = threading.Thread(target=_publish, args=(place, flood, count, rate, sent), daemon=True)
        publisher.start()
        seen = _watch(conn, int(newest[0]), count)
        publisher.join()
        place.look([worker])
        worker.stop()
    end_sessions(place.broker, [config])
    delays = sorted(seen[key] - sent[key] for key in seen)
    return {
        "messages_s": rate,
        "seconds": seconds,
        "p50_ms": round(1e3 * delays[len(delays) // 2], 1),
        "p99_ms": round(1e3 * delays[len(delays) * 99 // 100], 1),
    }


def _publish(place: Place, flood: Flood, count: int, rate: int, sent: dict[tuple[str, int], float]) -> None:
    messages = flood.messages(count)
    with Bulk(place.broker, "bench-steady") as bulk:
        began, done = time.monotonic(), 0
        while done < count:
            due = min(count, int(rate * (time.monotonic() - began)) + 1)
            some = list(islice(messages, due - done))
            now = time.monotonic()
            for n in range(done, due):
                sent[f"gauge-{n % flood.sensors:04d}", n // flood.sensors] = now
            bulk.publish(some)
            done = due
            time.sleep(_A_TICK)


def _watch(conn: Connection, newest: int, count: int) -> dict[tuple[str, int], float]:
    """(device, counter) -> when its commit was seen. One worker commits in the order of its ids."""
    seen: dict[tuple[str, int], float] = {}
    deadline = time.monotonic() + _PATIENCE
    while len(seen) < count:
        if time.monotonic() > deadline:
            raise StartError(f"{len(seen)} of {count} messages came in within {_PATIENCE:.0f} s")
        list(conn.notifies(timeout=0.2, stop_after=1))
        now = time.monotonic()
        for uplink_id, key, counter in conn.execute(
            "select uplink_id, device_key, counter from uplink where uplink_id > %s order by 1", (newest,)
        ):
            seen[key, counter] = now
            newest = uplink_id
    return seen


def wait_until_heard(conn: Connection, worker_id: str) -> None:
    """Returns when that worker hears the broker; StartError where it does not."""
    deadline = time.monotonic() + _PATIENCE
    while (
        conn.execute(
            "select from ingest_worker where worker_id = %s and listening_since is not null", (worker_id,)
        ).fetchone()
        is None
    ):
        if time.monotonic() > deadline:
            raise StartError("an ingest worker does not hear the broker")
        time.sleep(0.05)


def backlog(place: Place, readings: int) -> dict[str, Any]:
    """What waits after an outage through two workers (one, where the broker cannot share), rollups and alerts."""
    configs = place.configs(2 if place.broker.shared else 1)
    for config in configs:
        make_session(place.broker, config.client_id, config.filters().wanted)
    flood = place.flood(Kind.OWN)
    began = time.monotonic()
    with Bulk(place.broker, "bench-publisher") as bulk:
        bulk.publish(flood.messages(readings))
    filled = time.monotonic() - began
    environment = child_environment(place.environment, place.server, place.embedded)
    start_rooms(("analytics", "alerts"), environment, place.supervisor)
    with ExitStack() as stack, connect(place.server.dsn("owner"), name="bench", autocommit=True) as conn:
        running = [stack.enter_context(Worker(config)) for config in configs]
        place.supervisor.wait(lambda: caught_up(conn), what="analytics and alerts", timeout=_PATIENCE)
        before, worked = _alerts(conn), place.processor()
        began = time.monotonic()
        for worker in running:
            worker.go()
        committed(place, flood, readings, running)
        ingested = time.monotonic() - began
        place.supervisor.wait(lambda: caught_up(conn), what="rollups and alerts", timeout=_PATIENCE)
        taken = time.monotonic() - began
        seconds = {name: used - worked.get(name, 0.0) for name, used in place.processor().items()}
        seconds["ingest"] = sum(worker.stop().total for worker in running)
        alerts = _alerts(conn) - before
    end_sessions(place.broker, configs)
    return {
        "backlog_readings": readings,
        "backlog_seconds": round(taken, 2),
        "backlog_ingest_seconds": round(ingested, 2),
        "backlog_alerts": alerts,
        "backlog_fill_seconds": round(filled, 2),
        "backlog_us_a_reading": {name: round(1e6 * used / readings, 1) for name, used in sorted(seconds.items())},
    }


def _alerts(conn: Connection) -> int:
    row = conn.execute("select count(*) from alert_history where event = 'raised'").fetchone()
    assert row is not None
    return int(row[0])

"""The same as `mimamori.bench.rules` through the database, as a town does it: nothing is left out.

    stored(server, 10_000)      -> {"judging_stored": ..., "rehearsing_stored": ...}

A database of its own with so many gauges, a rule each, their levels of a day behind them; one gauge has a whole year.
Judging is a whole step of the evaluator, in one transaction, in turn with batches in which nothing happens and such in
which one gauge in a hundred rises above its second level: feed rows read, series read, reference levels and rules
judged, alerts, histories and outbox written, cursor moved, committed. Rehearsing is what the page does, by its role.

    seconds, processor_seconds, statements    of the middle one of BATCHES; processor time of this process alone
    first_seconds                             the first batch, for which everything is done for the first time
    alerts                                    raised or ended in all of them
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import psycopg

from alerts.evaluator import Evaluator
from alerts.rehearsal import YEAR, rehearse
from alerts.shards import NAME
from api.database import enter_municipality
from devices.clock import ClockSetting, FixedClock
from devices.town import load_town
from mimamori.bench.many import STEP, many_gauges, measured, say
from mimamori.bench.rules import LIMITS, rehearsed_body
from mimamori.heap import settle
from simulators.towns import path as town_path
from store import Connection, connect
from store.embedded import EmbeddedServer
from store.feed import Consumer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

BATCHES = 7
RESTLESS = 100
_NAME = "many_gauges"
_UNTIL = datetime(2026, 6, 20, 9, 0, tzinfo=UTC)


def stored(server: EmbeddedServer, gauges: int) -> dict[str, Any]:
    """Both, in a database of their own on that server."""
    server.create_database(_NAME)
    migrate(server.dsn("owner", _NAME))
    town = load_town(town_path())
    with connect(server.dsn("owner", _NAME), name="bench") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=_UNTIL, town_start=_UNTIL, speed=1.0))
        bare = replace(town, stations=(), shapes=())
        municipality_id = sync_town(conn, bare)
        many_gauges(conn, municipality_id, gauges, _UNTIL)
        measured(conn, municipality_id, _UNTIL - YEAR, _UNTIL, gauges=1)
        measured(conn, municipality_id, _UNTIL - timedelta(days=1), _UNTIL)
    with connect(server.dsn("owner", _NAME), name="bench", autocommit=True) as conn:
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")
    settle()  # as in a process of alerts
    return {
        "judging_stored": _judging(server, municipality_id),
        "rehearsing_stored": _rehearsing(server, municipality_id),
    }


class _Counting(psycopg.Cursor[Any]):
    statements = 0

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        type(self).statements += 1
        return super().execute(*args, **kwargs)


def _judging(server: EmbeddedServer, municipality_id: int) -> dict[str, Any]:
    clock = FixedClock(_UNTIL)
    took: list[tuple[float, float, int]] = []
    consumer, evaluator = Consumer(server.dsn("worker", _NAME), NAME), Evaluator(clock)
    with (
        connect(server.dsn("owner", _NAME), name="bench") as ingest,
        connect(server.dsn("worker", _NAME), name=NAME) as conn,
    ):
        conn.cursor_factory = _Counting
        for n in range(BATCHES):
            at = _UNTIL + n * STEP
            clock.at = at + timedelta(seconds=20)
            observations = say(ingest, municipality_id, at, restless=n % 2 * RESTLESS)
            _Counting.statements = 0
            took.append((*_timed(lambda: consumer.drain(conn, evaluator.handle)), _Counting.statements))
        alerts = conn.execute("select count(*) from alert_history").fetchone()
    seconds, processor, statements = (median(each) for each in zip(*took, strict=True))
    return {
        "rules": observations,
        "observations": observations,
        "alerts": 0 if alerts is None else alerts[0],
        "seconds": round(seconds, 3),
        "first_seconds": round(took[0][0], 3),
        "processor_seconds": round(processor, 3),
        "statements": int(statements),
        "limit_s": LIMITS["judging_s"],
        "kept": seconds <= LIMITS["judging_s"],
    }


def _rehearsing(server: EmbeddedServer, municipality_id: int) -> dict[str, Any]:
    with connect(server.dsn("owner", _NAME), name="bench") as conn:
        station_id = _first_gauge(conn)
        conn.execute("set role mimamori_api")
        took = []
        for _ in range(BATCHES):
            enter_municipality(conn, municipality_id)
            took.append(
                _timed(
                    lambda: rehearse(
                        conn,
                        municipality_id,
                        rehearsed_body(),
                        station_id=station_id,
                        start=_UNTIL - YEAR,
                        end=_UNTIL,
                        tenant=True,
                    )
                )
            )
            conn.commit()
    seconds, processor = (median(each) for each in zip(*took, strict=True))
    return {
        "observations": YEAR // STEP,
        "seconds": round(seconds, 3),
        "first_seconds": round(took[0][0], 3),
        "processor_seconds": round(processor, 3),
        "limit_s": LIMITS["rehearsing_s"],
        "kept": seconds <= LIMITS["rehearsing_s"],
    }


def _first_gauge(conn: Connection) -> int:
    row = conn.execute("select station_id from datastream order by datastream_id limit 1").fetchone()
    assert row is not None
    return int(row[0])


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used

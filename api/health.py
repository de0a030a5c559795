"""/healthz for whoever watches the service, /metrics for Prometheus.

/healthz is open to all and therefore says nothing about the town: which parts are well, and in a few words why
not. /metrics needs the role digital, or the bearer token of the configuration; an account sees its own
municipality only, the token all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from types import MappingProxyType
from typing import Literal

import psycopg
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from psycopg_pool import PoolClosed, PoolTimeout
from pydantic import BaseModel

from api.access import PUBLIC, Role, Router, Visit, access
from api.reception import reception
from api.state import ApiState
from api.workers import WorkerState, workers
from devices.clock import Clock, real_now
from ingest.intake import IntakeState
from store.backup_runs import last_runs
from store.connection import Connection
from store.errors import ClockNotSet

router = Router(tags=["operation"])

# Town time that the count of observations looks back over.
_WINDOW = timedelta(hours=24)
# A series a device is much for a collector where a town has thousands of them.
_DEVICES_NAMED = 500
# Whoever probes has little patience.
_PATIENCE_SECONDS = 2.0


# Why ingest takes no messages, the worst first.
_INGEST: Mapping[WorkerState, str] = MappingProxyType(
    {
        WorkerState.LOST: "no sign of life",
        WorkerState.STOPPED: "stopped",
        WorkerState.DATABASE: "the database does not store what is in hand",
        WorkerState.NO_BROKER: "the broker is out of reach",
        WorkerState.FULL: "more comes than is stored, nothing is read meanwhile",
    }
)


class Part(BaseModel):
    """One part of the service. `failing` alone makes the whole 503."""

    state: Literal["ok", "waiting", "failing"]
    detail: str = ""


class Health(BaseModel):
    """`state` is the worst of the parts."""

    state: Literal["ok", "failing"]
    parts: dict[str, Part]


# Whether messages posted over HTTP are taken.
_INTAKE: Mapping[IntakeState, Part] = MappingProxyType(
    {
        IntakeState.OPENING: Part(state="waiting", detail="not open yet"),
        IntakeState.OPEN: Part(state="ok", detail="open"),
        IntakeState.FAULT: Part(state="failing", detail="the database does not store messages, see the log"),
        IntakeState.CLOCK: Part(state="failing", detail="closed: the town clock is not set"),
        IntakeState.DATABASE: Part(state="failing", detail="closed: the database is out of reach"),
    }
)


@router.get("/healthz", response_model=Health, responses={503: {"model": Health}})
@access(PUBLIC)
def healthz(request: Request) -> Response:
    """200 while everything works, 503 while a part does not; the parts say which."""
    state: ApiState = request.app.state.api
    parts: dict[str, Part] = {}
    try:
        with state.database.transaction(None, patience=_PATIENCE_SECONDS) as conn:
            parts["database"] = Part(state="ok")
            parts["consumers"] = _consumers(conn, state.config.feed_lag_limit)
            municipalities = [row[0] for row in conn.execute("select municipality_id from municipality order by 1")]
        clock = state.database.clock()
        parts["clock"] = Part(state="ok", detail="simulated" if clock.simulated else "real")
        parts["ingest"] = _ingest(state, clock, municipalities)
    except ClockNotSet:
        parts["clock"] = Part(state="failing", detail="not set")
    except (psycopg.OperationalError, PoolTimeout, PoolClosed):
        parts["database"] = Part(state="failing", detail="out of reach")
    if state.intake is not None:
        parts["intake"] = _INTAKE[state.intake.state]
    parts["stream"] = (
        Part(state="ok") if state.hub.connected else Part(state="failing", detail="feed listener not connected")
    )
    failing = any(part.state == "failing" for part in parts.values())
    health = Health(state="failing" if failing else "ok", parts=parts)
    return JSONResponse(health.model_dump(), 503 if failing else 200)


def _ingest(state: ApiState, clock: Clock, municipalities: list[int]) -> Part:
    """Well while every worker of every town takes messages; waiting where none has started yet.

    A worker that is gone matters also where others go on: messages wait in its session, unless that was drained.
    """
    # heartbeats are in town time, patience is in real time
    oldest = clock.now() - state.config.worker_silence * clock.speed
    waiting = False
    for municipality_id in municipalities:
        with state.database.transaction(municipality_id) as conn:
            states = [worker.state for worker in workers(conn, oldest) if worker.state is not WorkerState.DRAINED]
        worst = next((state for state in _INGEST if state in states), None)
        if worst is not None:
            n = states.count(worst)
            which = "" if n == len(states) == 1 else f"{n} of {len(states)} workers: "
            return Part(state="failing", detail=which + _INGEST[worst])
        waiting = waiting or not states
    return Part(state="waiting", detail="no worker has started yet") if waiting else Part(state="ok")


def _consumers(conn: Connection, limit: int) -> Part:
    """Alerts, rollups and whoever else reads the feed: well while none is far behind."""
    found = lags(conn)
    late = sorted(name for name, lag in found.items() if lag > limit)
    if late:
        return Part(state="failing", detail=f"behind: {', '.join(late)}")
    return Part(state="ok") if found else Part(state="waiting", detail="none has started yet")


def lags(conn: Connection) -> dict[str, int]:
    """How many committed batches each consumer of the feed has not read yet."""
    return dict(
        conn.execute(
            """
            select c.consumer, (select count(*) from feed f where f.feed_id > c.feed_id)
            from feed_cursor c order by 1
            """
        ).fetchall()
    )


@router.get("/metrics", response_class=Response)
@access(frozenset({Role.DIGITAL}), token=True)
def metrics(request: Request) -> Response:
    """Counters of this process and gauges of the town, as Prometheus text."""
    state: ApiState = request.app.state.api
    visit: Visit | None = request.state.visit
    with state.database.transaction(None) as conn:
        towns = conn.execute("select municipality_id, code from municipality order by code").fetchall()
    if visit is not None:
        towns = [town for town in towns if town[0] == visit.tenant.municipality_id]
    text = generate_latest(state.instruments.registry) + generate_latest(_Towns(state, towns))
    return Response(text, media_type=CONTENT_TYPE_LATEST)


class _Towns(Collector):
    """The gauges of these municipalities, asked of the database when collected."""

    def __init__(self, state: ApiState, towns: list[tuple[int, str]]) -> None:
        self._state = state
        self._towns = towns

    def collect(self) -> Iterator[GaugeMetricFamily]:
        uplinks = GaugeMetricFamily(
            "mimamori_uplinks_24h",
            "Messages delivered in the last 24 hours of town time, by outcome; their sum is what was delivered.",
            labels=("municipality", "outcome"),
        )
        values = GaugeMetricFamily(
            "mimamori_values_24h",
            "Values of the new messages of the last 24 hours of town time, by what became of them.",
            labels=("municipality", "fate"),
        )
        missing = GaugeMetricFamily(
            "mimamori_frames_missing_24h",
            "Messages that never came, by the devices' own numbers, noticed in the last 24 hours of town time.",
            labels=("municipality",),
        )
        missing_of = GaugeMetricFamily(
            "mimamori_device_frames_missing_24h",
            f"The same by device, where a town has at most {_DEVICES_NAMED} that number their messages.",
            labels=("municipality", "device"),
        )
        unclosed = GaugeMetricFamily(
            "mimamori_counts_open_24h",
            "Messages and values of the last 24 hours of town time without an outcome: anything but 0 is a fault.",
            labels=("municipality",),
        )
        observations = GaugeMetricFamily(
            "mimamori_observations_24h",
            "Current observations of the last 24 hours of town time.",
            labels=("municipality",),
        )
        open_alerts = GaugeMetricFamily(
            "mimamori_alerts_open",
            "Alerts not cleared, by whether somebody has acknowledged them.",
            labels=("municipality", "rule", "acknowledged"),
        )
        waiting = GaugeMetricFamily("mimamori_outbox_waiting", "Notifications not sent yet.", labels=("municipality",))
        oldest = GaugeMetricFamily(
            "mimamori_outbox_oldest_seconds",
            "For how long the oldest unsent notification has been due (real time); 0 where none is.",
            labels=("municipality",),
        )
        heartbeat = GaugeMetricFamily(
            "mimamori_ingest_heartbeat_age_seconds",
            "Real seconds since the newest sign of life of an ingest worker.",
            labels=("municipality",),
        )
        clock = self._state.database.clock()
        now = clock.now()
        for municipality_id, code in self._towns:
            with self._state.database.transaction(municipality_id) as conn:
                received = [(each.key, each.day) for each in reception(conn, now)]
                for outcome in ("accepted", "event", "quarantined", "duplicate"):
                    uplinks.add_metric((code, outcome), sum(getattr(day, outcome) for _, day in received))
                for fate in ("stored", "unchanged", "revised", "rejected"):
                    values.add_metric((code, fate), sum(getattr(day, fate) for _, day in received))
                unclosed.add_metric((code,), sum(day.open for _, day in received))
                numbered = [(key, day.missing) for key, day in received if key and day.missing is not None]
                missing.add_metric((code,), sum(n for _, n in numbered))
                if len(numbered) <= _DEVICES_NAMED:
                    for key, n in numbered:
                        missing_of.add_metric((code, key), n)
                observations.add_metric((code,), _number(conn, _OBSERVATIONS, (now - _WINDOW,)))
                for rule, acknowledged, n in conn.execute(
                    """
                    select rule, acknowledged_at is not null, count(*) from alert
                    where cleared_at is null and mode = 'actual' group by 1, 2
                    """
                ):
                    open_alerts.add_metric((code, rule, str(acknowledged).lower()), n)
                waiting.add_metric((code,), _number(conn, _WAITING))
                oldest.add_metric((code,), _number(conn, _OLDEST_DUE, (real_now(),)))
                seen = conn.execute("select max(heartbeat_at) from ingest_worker").fetchone()
                if seen is not None and seen[0] is not None:
                    heartbeat.add_metric((code,), (now - seen[0].astimezone(UTC)).total_seconds() / clock.speed)
        backup_age = GaugeMetricFamily(
            "mimamori_backup_age_seconds",
            "Real seconds since the last backup, or drill of one, that succeeded; none where none ever did.",
            labels=("kind",),
        )
        backup_failed = GaugeMetricFamily(
            "mimamori_backup_failed", "1 where the newest backup, or drill, did not succeed.", labels=("kind",)
        )
        lag = GaugeMetricFamily("mimamori_feed_lag", "Batches a consumer is behind.", labels=("consumer",))
        with self._state.database.transaction(None) as conn:
            for consumer, behind in lags(conn).items():
                lag.add_metric((consumer,), behind)
            for kind, run in last_runs(conn).items():
                backup_failed.add_metric((kind,), float(run.failed))
                if run.ended_at is not None:
                    backup_age.add_metric((kind,), (real_now() - run.ended_at).total_seconds())
        yield from (uplinks, values, missing, missing_of, unclosed)
        yield from (observations, open_alerts, waiting, oldest, heartbeat, backup_age, backup_failed, lag)


_OBSERVATIONS = """
    select coalesce(sum(n), 0) from datastream d cross join lateral (
        select count(*) as n from tenant_observation
        where datastream_id = d.datastream_id and phenomenon_time > %s
    ) counted
    where d.drill_run is null
"""
_WAITING = "select count(*) from outbox where sent_at is null and not stood_in and call_test_id is null"
_OLDEST_DUE = """
    select coalesce(extract(epoch from greatest(%s - min(next_attempt_at), interval '0')), 0)::double precision
    from outbox where sent_at is null and not stood_in and call_test_id is null
"""


def _number(conn: Connection, query: str, values: tuple[object, ...] = ()) -> float:
    row = conn.execute(query, values).fetchone()
    assert row is not None
    return float(row[0])

"""Messages of the demo town's devices, a worker in a thread or a process of its own, and what became of it all."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import psycopg

from devices.codecs import people_counter, radar_level
from ingest import Broker, IngestConfig, run
from tests.brokers.running import DEADLINE, wait_for
from tests.conftest import START, Registered
from tests.connections import kept

GAUGE = "a84041ffff310001"  # river-okusawa, 6.20 m above gauge zero, no clock
LOGGER = "a84041ffff320001"  # block-hamamachi
COUNTER = "a84041ffff330001"  # spot-michinoeki, has a clock
SENSOR_HEIGHT = 6.20


def chirpstack(
    device: str,
    payload: bytes,
    *,
    counter: int,
    time: datetime | None,
    topic_device: str | None = None,
) -> tuple[str, bytes]:
    """An uplink event as ChirpStack v4 publishes it."""
    body: dict[str, Any] = {
        "deviceInfo": {"devEui": device},
        "devAddr": "00189440",
        "fCnt": counter,
        "fPort": 1,
        "data": base64.b64encode(payload).decode(),
    }
    if time is not None:
        body["time"] = time.isoformat()
    topic = f"application/8a1f/device/{topic_device or device}/event/up"
    return topic, json.dumps(body).encode()


def level(metres: float, *, counter: int, time: datetime | None, device: str = GAUGE) -> tuple[str, bytes]:
    """A water level at river-okusawa."""
    payload = radar_level.encode(distance=round((SENSOR_HEIGHT - metres) * 1000))
    return chirpstack(device, payload, counter=counter, time=time)


def passages(inwards: float, *, counter: int, measured: datetime, network: datetime | None) -> tuple[str, bytes]:
    """A counting period of spot-michinoeki, whose device has a clock."""
    payload = people_counter.encode(time=measured, passages_in=inwards, passages_out=0)
    return chirpstack(COUNTER, payload, counter=counter, time=network)


def levels(n: int) -> list[tuple[str, bytes]]:
    """n distinct levels of one gauge, ten seconds apart, the last one a minute before the town's present."""
    begin = START - timedelta(seconds=60 + 10 * n)
    return [
        level(1 + (i % 7) / 1000, counter=i, time=begin + timedelta(seconds=10 * i), device=GAUGE) for i in range(n)
    ]


def config_for(registered: Registered, broker: Broker, **changes: Any) -> IngestConfig:
    settings: dict[str, Any] = {
        "worker_id": "test",
        "dsn": registered.worker,
        "municipality": "999999",
        "broker": broker,
    }
    return IngestConfig(**(settings | changes))


@contextmanager
def worker(config: IngestConfig) -> Iterator[None]:
    """`ingest.run` in a thread; what it raises fails the test."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def body() -> None:
        try:
            run(config, stop)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        wait_for(lambda: bool(failures) or listening(config), "the worker to listen")
        yield
    finally:
        stop.set()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def listening(config: IngestConfig) -> bool:
    return bool(
        query(
            config.dsn,
            "select 1 from ingest_worker where worker_id = %s and listening_since is not null",
            config.worker_id,
        )
    )


_CHILD = """
import json, sys, threading
from ingest import Broker, IngestConfig, run
settings = json.loads(sys.argv[1])
run(IngestConfig(**(settings | {"broker": Broker(**settings["broker"])})), threading.Event())
"""


class Child:
    """`ingest.run` in a process of its own, to be killed; it never outlives the test."""

    def __init__(self, config: IngestConfig) -> None:
        self._settings = _settings(config)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", _CHILD, self._settings], stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """kill -9; harmless when that was done."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _settings(config: IngestConfig) -> str:
    settings = {
        "worker_id": config.worker_id,
        "dsn": config.dsn,
        "municipality": config.municipality,
        "batch_size": config.batch_size,
        "batch_seconds": config.batch_seconds,
        "shared": config.shared,
        "broker": asdict(config.broker),
    }
    return json.dumps(settings)


def query(dsn: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of a query in a transaction of its own; none while the server is not to be had."""
    for _ in range(2):  # the server may just be ending the connection that was kept
        with suppress(psycopg.OperationalError), kept(dsn) as conn:
            return conn.execute(sql.encode(), values).fetchall()
    return []


def count(registered: Registered, table: str, where: str = "true") -> int:
    rows = query(registered.owner, f"select count(*) from {table} where {where}")
    return int(rows[0][0]) if rows else -1

"""A database, a broker and ingest workers as real processes, under the load of made-up devices: for measurements.

Unlike `tests.chaos.town` nothing stands between them, and whoever measures stops and starts them by hand.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg

from devices.clock import ClockSetting, clock_from, real_now
from ingest.embedded import EmbeddedBroker
from mimamori.embedded import child_environment
from mimamori.supervisor import Service, Supervisor
from store import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock
from tests.chaos.fleet import Fleet, Transmission, town_of

START = datetime(2026, 6, 1, tzinfo=UTC)


class SmallTown:
    """What runs. `workers` of ingest are the grandchildren of this process, under `mimamori run ingest`."""

    def __init__(self, data: Path, devices: int, workers: int) -> None:
        self.data = data
        self.workers = workers
        self.server = EmbeddedServer(data / "database")
        self.broker = EmbeddedBroker(data / "broker", kind="mosquitto")
        self._municipality = town_of(devices // 2, devices - devices // 2)
        self._supervisor: Supervisor | None = None

    def prepare(self) -> None:
        """A migrated database with the town in it, and its devices as `fleet`."""
        migrate(self.server.dsn())
        setting = ClockSetting(simulated=True, real_start=real_now(), town_start=START, speed=1.0)
        with connect(self.server.dsn(), name="chaos") as conn:
            sync_town(conn, self._municipality)
            write_clock(conn, setting)
        self.fleet = Fleet(self._municipality, clock_from(setting), random.Random(20260601), "000000f1")

    def start_ingest(self) -> None:
        """Starts the workers and waits until all of them listen."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MIMAMORI_")}
        child = child_environment(environment, self.server, self.broker)
        self._supervisor = Supervisor(self.data / "logs", say=lambda sentence: print(sentence, file=sys.stderr))
        command = [sys.executable, "-m", "mimamori", "run", "ingest", "--workers", str(self.workers)]
        self._supervisor.start(Service("ingest", command, child))
        self.wait(lambda: self.listening() == self.workers, "every worker listens")

    def stop_ingest(self) -> None:
        """Ends the workers in good order; their sessions stay at the broker."""
        if self._supervisor is not None:
            self._supervisor.stop(within=60)
            self._supervisor = None

    def listening(self) -> int:
        """How many workers take messages."""
        return self._number("select count(*) from ingest_worker where listening_since is not null")

    def stored(self) -> set[Transmission]:
        """Every transmission that is in the database; empty while there is none."""
        rows = self.query("select device_key, session, counter from uplink")
        return {(device, session, counter) for device, session, counter in rows}

    def number_stored(self) -> int:
        """How many messages are."""
        return self._number("select count(*) from uplink")

    def doubled(self) -> int:
        """How many messages stand there twice."""
        return self._number("select count(*) - count(distinct (device_key, session, counter)) from uplink")

    def rss(self) -> list[float]:
        """Megabytes of each worker."""
        assert self._supervisor is not None
        parent = psutil.Process(self._supervisor.pids()["ingest"])
        workers = parent.children() if self.workers > 1 else [parent]
        found = []
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                found.append(worker.memory_info().rss / 1e6)
        return found

    def wait(self, condition: Callable[[], bool], what: str, *, within: float = 900.0) -> None:
        """Keeps ingest running until the condition holds; AssertionError when it does not."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within:g} s: {what}")
            if self._supervisor is not None:
                self._supervisor.tend()
            time.sleep(0.05)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query; none while the database is not to be had."""
        try:
            with connect(self.server.dsn(), name="judge") as conn:
                return conn.execute(sql.encode(), values).fetchall()
        except psycopg.OperationalError:
            return []

    def _number(self, sql: str) -> int:
        rows = self.query(sql)
        return int(rows[0][0]) if rows else -1


@contextmanager
def small_town(*, devices: int, workers: int, data: Path | None = None) -> Iterator[SmallTown]:
    """A running database and broker in `data` (else in a folder that is removed), everything ended afterwards."""
    folder = data or Path(tempfile.mkdtemp(prefix="mimamori-outage-"))
    with ExitStack() as stack:
        if data is None:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        town = SmallTown(folder, devices, workers)
        stack.enter_context(town.server)
        stack.enter_context(town.broker)
        stack.callback(town.stop_ingest)
        town.prepare()
        yield town

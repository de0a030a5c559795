"""The town under test: database, broker and rooms as real processes, kept running by the product's own supervisor.

    DATA/database    the cluster, on a small file system of its own where that can be mounted (as root): to be filled
    DATA/broker      mosquitto's or the NATS server's
    DATA/traps       one file a process, while something is to happen to it (`points.py`)
    DATA/logs        what each says

Ingest, analytics and alerts reach the database, and ingest the broker, through a `Proxy` each.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

from devices.clock import Clock, ClockSetting, clock_from, real_now
from ingest.embedded import EmbeddedBroker
from mimamori.embedded import child_environment
from mimamori.supervisor import Service, Supervisor
from store import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock
from tests.chaos import points
from tests.chaos.fleet import town_of
from tests.chaos.proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 6, 1, tzinfo=UTC)
SPEED = 60.0
CONSUMERS = ("analytics", "alerts")
GAUGES, SENDERS = 40, 60


class Stuck(AssertionError):
    """Something did not come true in time."""


class Town:
    """Everything that runs, and what can be done to it. Only for the thread that made it."""

    def __init__(
        self, data: Path, kind: Literal["mosquitto", "nats"], workers: int, supervisor: Supervisor, disk: Path | None
    ) -> None:
        self.data = data
        self.kind = kind
        self.disk = disk
        self.municipality = town_of(GAUGES, SENDERS)
        self._supervisor = supervisor
        self.workers = tuple(f"ingest-{n}" for n in range(workers))
        self.rooms = (*self.workers, *CONSUMERS)
        self.server = EmbeddedServer(data / "database")
        self.broker = EmbeddedBroker(data / "broker", kind=kind)
        self.setting: ClockSetting
        self.clock: Clock  # the devices'
        self._shown: Clock  # the one that the town's processes have been told

    # --- life --------------------------------------------------------------------------------------------

    def start(self, stack: ExitStack) -> None:
        """Starts all and waits until ingest listens."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MIMAMORI_")}
        (self.data / "traps").mkdir(parents=True, exist_ok=True)
        self.server.prepare()
        interrupt = signal.SIGINT
        self._supervisor.start(
            Service("postgres", self.server.command(), environment, self.server.data, interrupt, interrupt)
        )
        self.server.wait_ready()
        self.broker.prepare()
        self._supervisor.start(Service("broker", self.broker.command(), environment, self.broker.data))
        self.broker.wait_ready()
        migrate(self.server.dsn())
        with connect(self.server.dsn(), name="chaos") as conn:
            sync_town(conn, self.municipality)
        self.set_clock(START)

        self.to_broker = stack.enter_context(Proxy(self.broker.port))
        self.to_database = stack.enter_context(Proxy(self.server.port))
        child = child_environment(
            environment, self.server, self.broker,
            BROKER_HOST="127.0.0.1", BROKER_PORT=str(self.to_broker.port),
            WORKER_DSN=_through(self.server.dsn("worker"), self.to_database.port),
            INGEST_SHARED=str(len(self.workers) > 1).lower(),
        )  # fmt: skip
        for name in self.rooms:
            room, _, worker = name.partition("-")
            command = [sys.executable, "-m", "tests.chaos.points", str(self.trap(name)), "run", room]
            self._supervisor.start(Service(name, command, child | {"MIMAMORI_WORKER_ID": worker or "0"}, ROOT))
        self.wait_whole()

    def wait(self, condition: Callable[[], Any], what: str, *, within: float = 120.0) -> None:
        """Keeps the town running until the condition holds; `Stuck` when it does not."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise Stuck(f"not within {within:g} s: {what}")
            self._supervisor.tend()
            time.sleep(0.02)

    def live(self, seconds: float) -> None:
        """Keeps the town running for so long."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= end, "time passes", within=seconds + 60)

    def wait_whole(self) -> None:
        """Waits until every process runs and every worker listens to the broker, by a heartbeat from now on."""
        since = self._shown.now()
        self.wait(lambda: self.broker_answers() and self._listening(since), "every worker listens to the broker")

    def broker_answers(self) -> bool:
        return self.pid("broker") is not None

    def _listening(self, since: datetime) -> bool:
        rows = self.query(
            "select count(*) from ingest_worker where listening_since is not null and heartbeat_at >= %s", since
        )
        return bool(rows) and rows[0][0] >= len(self.workers)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query, straight from the database; none while it is not to be had."""
        try:
            with connect(self.server.dsn(), name="judge") as conn:
                return conn.execute(sql.encode(), values).fetchall()
        except psycopg.OperationalError:
            return []

    def restarts(self) -> dict[str, int]:
        return self._supervisor.restarts()

    # --- what can happen ---------------------------------------------------------------------------------

    def pid(self, name: str) -> int | None:
        return self._supervisor.pids().get(name)

    def trap(self, name: str) -> Path:
        """Where a process looks whether something is to happen to it."""
        return self.data / "traps" / name

    def at(self, name: str, point: str, *, nth: int, victim: str | None = None) -> None:
        """Kills the process `name` (or `victim` in its stead) when it reaches the point, and waits for that."""
        victims = [] if victim is None else [self._running(victim)]
        points.lay(self.trap(name), point, nth=nth, victims=victims)
        self.wait(lambda: not self.trap(name).exists(), f"{name} reaches {point}, {nth} times")

    def kill(self, name: str) -> None:
        """`kill -9` of a process with all that it has started."""
        points.kill([self._running(name)])

    def kill_backend(self, chance: random.Random) -> None:
        """`kill -9` of one connection's process in the database, which takes all others down."""
        backends = self.query("select pid from pg_stat_activity where application_name like 'mimamori ingest%%'")
        if backends:
            os.kill(chance.choice(backends)[0], signal.SIGKILL)

    def signal(self, name: str, how: signal.Signals) -> None:
        """Sends a signal to one process alone."""
        os.kill(self._running(name), how)

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP of a process with all that it has started, then SIGCONT."""
        parent = psutil.Process(self._running(name))
        processes = [parent, *parent.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Nothing is left on the database's file system."""
        assert self.disk is not None
        ballast = self.disk / "ballast"
        free = shutil.disk_usage(self.disk).free
        with ballast.open("wb") as file:
            while free > 4096:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)
                    file.seek(0, os.SEEK_END)
                except OSError:
                    free //= 2
        try:
            yield
        finally:
            ballast.unlink()

    def set_clock(self, town_start: datetime) -> None:
        """The town's clock from now on."""
        self.setting = ClockSetting(simulated=True, real_start=real_now(), town_start=town_start, speed=SPEED)
        self.clock = clock_from(self.setting)
        self._write(self.setting)

    def jump(self, by: timedelta) -> None:
        """The clock of the town's processes goes wrong by so much; the devices' does not."""
        self._write(replace(self.setting, town_start=self.setting.town_start + by))
        # On a simulated clock a process learns of it when it starts.
        for name in self.rooms:
            self.kill(name)

    def _write(self, setting: ClockSetting) -> None:
        with connect(self.server.dsn(), name="chaos") as conn:
            write_clock(conn, setting)
        self._shown = clock_from(setting)

    def _running(self, name: str) -> int:
        self.wait(lambda: self.pid(name) is not None, f"{name} runs")
        pid = self.pid(name)
        assert pid is not None
        return pid


@contextmanager
def town(data: Path, kind: Literal["mosquitto", "nats"], *, workers: int, disk_mb: int) -> Iterator[Town]:
    """A running town in `data`, gone at the end."""
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        disk = stack.enter_context(_small_disk(data / "database", disk_mb))
        supervisor = stack.enter_context(Supervisor(data / "logs", say=_quiet))
        running = Town(data, kind, workers, supervisor, disk)
        running.start(stack)
        yield running


def _quiet(_sentence: str) -> None:
    """What ends here was ended on purpose; the logs have it."""


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Path | None]:
    """A file system of so many megabytes at `folder`; None where it cannot be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder.with_suffix(".img")
    if sys.platform == "win32" or os.geteuid() != 0 or not _mounted(image, folder, megabytes):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)
        image.unlink(missing_ok=True)


def _mounted(image: Path, folder: Path, megabytes: int) -> bool:
    """Mounts a real file system, so that what is synced is written; in memory where there is no loop device."""
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    attempts = [
        [["mkfs.ext4", "-q", "-m", "0", "-F", str(image)], ["mount", "-o", "loop", str(image), str(folder)]],
        [["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "chaos", str(folder)]],
    ]
    for commands in attempts:
        try:
            if all(subprocess.run(each, check=False, capture_output=True).returncode == 0 for each in commands):
                return True
        except OSError:
            continue
    image.unlink()
    return False


def _through(dsn: str, port: int) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))

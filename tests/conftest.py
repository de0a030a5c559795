"""Real servers for every test: an embedded PostgreSQL for the whole run, a fresh database for each test.

Where MIMAMORI_TEST_TIMESCALE_DSN names a superuser's address on a server with TimescaleDB, every test that uses
`database` runs a second time there.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import hypothesis
import psutil
import psycopg
import pytest
from psycopg import sql
from xdist.scheduler import LoadFileScheduling

from devices.clock import ClockSetting, FixedClock
from devices.model import Outcome, Town
from devices.town import load_town
from simulators.towns import path as town_path
from store import connect, feed
from store.batch import BatteryRow, ObservationRow, UplinkRow
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import Directory, RegisteredDevice, load_directory, sync_town
from store.town_clock import write_clock
from tests.connections import close_all

# How fast the machine is at the moment decides no test, nor does chance: whoever changes something is not stopped by an
# example that nobody had tried before. Who looks for new ones: pytest -m hypothesis --hypothesis-profile search
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.register_profile("mimamori", deadline=None, derandomize=True)
hypothesis.settings.load_profile("mimamori")

_TIMESCALE = os.environ.get("MIMAMORI_TEST_TIMESCALE_DSN")
_ENGINES = ["postgresql", *(["timescaledb"] if _TIMESCALE else [])]
_numbers = count(1)
_makers: dict[str, psycopg.Connection[Any]] = {}  # by engine: who makes and drops the databases of tests
_directories: dict[str, Directory] = {}  # by engine: all copies of a town have the same
T = TypeVar("T")
# The TimescaleDB server outlives a run, and several may use it at the same time.
TEMPLATE = f"mimamori_template_{os.getpid()}"
TOWN = f"mimamori_town_{os.getpid()}"

START = datetime(2026, 6, 1, tzinfo=UTC)


_TOWNS = (
    "tests/demo/",
    "tests/chaos/",
    *(f"tests/mimamori/test_bench_{name}.py" for name in ("town", "alerts", "ingest", "posts")),
)


def _together(nodeid: str) -> str:
    """What a test is run with, one after the other: its file; those with a whole town, one town at a time; those with
    a browser, one browser at a time. On two cores they need the room.
    """
    file = nodeid.split("::", 1)[0]
    if file.startswith(_TOWNS):
        return "towns"
    return "browsers" if file.startswith("tests/browser/") else file


# What takes longest, longest first. What is not named here takes less than the last of them.
_LONGEST = (
    "browsers",
    "towns",
    "tests/test_authorisation.py",
    "tests/analytics/test_doubts_reviewed.py",
    "tests/ingest/test_worker.py",
    "tests/ingest/test_exactly.py",
    "tests/dashboards/test_quality.py",
    "tests/store/test_restore.py",
)


# Thousands of tests and all that they import are there to stay: who looks for garbage need not look at them.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that nobody waits for it at the end."""
    first = {together: n for n, together in enumerate(_LONGEST)}
    items.sort(key=lambda item: first.get(_together(item.nodeid), len(first)))


class Together(LoadFileScheduling):
    """Workers take what belongs together, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    config.option.loadscopereorder = False
    return Together(config, log)


@pytest.fixture(scope="session", autouse=True)
def prompt() -> None:
    """Hundreds of tests end a thread that listens; none need wait half a second for it."""
    feed._DEAF_SECONDS = 0.05


@pytest.fixture(scope="session", autouse=True)
def codecs_ended() -> Iterator[None]:
    """Whoever has made a process for codecs has ended it."""
    yield
    left = []
    for each in psutil.Process().children():
        with suppress(psutil.Error):  # others end meanwhile
            left += [each] if any(Path(part).name == "child.py" for part in each.cmdline()) else []
    assert left == [], "somebody has not closed a Sandbox"


@pytest.fixture(autouse=True)
def connections_closed() -> Iterator[None]:
    """Those that a test kept (tests/connections.py)."""
    yield
    close_all()


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, from a thread of its own: in this one Playwright leaves a loop running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@dataclass(frozen=True)
class Database:
    """A migrated database of its own: one address a role."""

    engine: str
    owner: str
    worker: str
    api: str


@dataclass(frozen=True)
class Registered(Database):
    """A database in which the demo town is registered."""

    municipality_id: int
    directory: Directory

    def datastream(self, station: str, observed_property: str) -> int:
        """The id of a datastream by its station's code and its property."""
        return next(
            d.datastream_id
            for d in self.directory.datastreams.values()
            if (d.station_code, d.observed_property) == (station, observed_property)
        )


def accepted(
    device: RegisteredDevice,
    received: datetime,
    observations: tuple[ObservationRow, ...] = (),
    *,
    sent: datetime | None = None,
    battery: BatteryRow | None = None,
) -> UplinkRow:
    """A message of a device as ingest hands it to the store; no two are repetitions of each other."""
    return UplinkRow(
        device_id=device.device_id,
        device_key=device.key,
        session="",
        counter=None,
        payload_hash=secrets.token_bytes(32),
        network="test",
        topic="test",
        raw=b"{}",
        network_time=sent,
        received_time=received,
        outcome=Outcome.ACCEPTED,
        reason=None,
        detail=None,
        observations=observations,
        battery=battery,
    )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One PostgreSQL for the run, in memory where there is room, for a database a test is a thousand small files. No
    fsync: a test database need not survive a power cut.
    """
    settings = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "200"}
    settings["autovacuum"] = "off"  # hundreds of databases, none of which lives for long
    # Tens of thousands of connections, by long random passwords, which more rounds of hashing make no safer.
    settings["scram_iterations"] = "1"
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30
    with (
        tempfile.TemporaryDirectory(
            prefix="mimamori_", dir=memory if roomy else tmp_path_factory.mktemp("server")
        ) as at,
        EmbeddedServer(Path(at) / "postgresql", settings=settings) as running,
    ):
        with psycopg.connect(running.dsn(), autocommit=True) as conn:  # whose own was hashed before the settings held
            password = urlsplit(running.dsn()).password or ""
            conn.execute(sql.SQL("alter role current_user password {}").format(sql.Literal(unquote(password))))
        yield running


@pytest.fixture(scope="session")
def templates(server: EmbeddedServer) -> Iterator[dict[str, tuple[str, str, str]]]:
    """engine -> (admin, worker, api) addresses; on each two databases to copy: the migrated `TEMPLATE`, and `TOWN`, in
    which the demo town is registered too.
    """
    addresses = {"postgresql": (server.dsn(), server.dsn("worker"), server.dsn("api"))}
    if _TIMESCALE:
        addresses["timescaledb"] = (
            _TIMESCALE,
            _with_user(_TIMESCALE, "mimamori_worker"),
            _with_user(_TIMESCALE, "mimamori_api"),
        )
    for admin, _, _ in addresses.values():
        with psycopg.connect(_with_database(admin, "postgres"), autocommit=True) as conn:
            for template in (TEMPLATE, TOWN):
                conn.execute(f"drop database if exists {template} with (force)")
            conn.execute(f"create database {TEMPLATE}")
            migrate(_with_database(admin, TEMPLATE))
            _close(conn, TEMPLATE)
            conn.execute(f"create database {TOWN} template {TEMPLATE} strategy file_copy")
            with connect(_with_database(admin, TOWN), name="test") as town:
                sync_town(town, load_town(town_path()))
            _close(conn, TOWN)
    yield addresses
    while _makers:
        _makers.popitem()[1].close()
    if _TIMESCALE:
        with psycopg.connect(_TIMESCALE, autocommit=True) as conn:
            for template in (TEMPLATE, TOWN):
                conn.execute(f"drop database {template} with (force)")


def _close(conn: psycopg.Connection[Any], template: str) -> None:
    """A database in use cannot be copied, and TimescaleDB's scheduler would keep a connection to it."""
    conn.execute(f"alter database {template} allow_connections false")
    conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (template,))


@contextmanager
def copied(template: str, engine: str, addresses: tuple[str, str, str]) -> Iterator[Database]:
    """A database of its own, as the template is, dropped afterwards."""
    if engine not in _makers:
        _makers[engine] = psycopg.connect(_with_database(addresses[0], "postgres"), autocommit=True)
    name = f"mimamori_test_{os.getpid()}_{next(_numbers)}"
    _makers[engine].execute(f"create database {name} template {template} strategy file_copy")
    yield Database(engine, *(_with_database(address, name) for address in addresses))
    _leave(_makers[engine], name)
    _makers[engine].execute(f"drop database {name} with (force)")


def _leave(conn: psycopg.Connection[Any], database: str) -> None:
    """Ends whoever still speaks to a database. Who drops one that is in use is made to wait for a tenth of a second,
    however soon the others have gone: in nearly two thousand tests that were minutes.
    """
    close_all()
    ending = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
    while conn.execute(ending, (database,)).fetchall():
        time.sleep(0.002)


@pytest.fixture(params=_ENGINES)
def database(request: pytest.FixtureRequest, templates: dict[str, tuple[str, str, str]]) -> Iterator[Database]:
    """A fresh migrated database."""
    with copied(TEMPLATE, request.param, templates[request.param]) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def town() -> Town:
    """The fictional town of the demo."""
    return load_town(town_path())


@pytest.fixture
def clock() -> FixedClock:
    """A town clock at 2026-06-01 00:00 UTC that the test moves."""
    return FixedClock(START)


@pytest.fixture(params=_ENGINES)
def registered(request: pytest.FixtureRequest, templates: dict[str, tuple[str, str, str]]) -> Iterator[Registered]:
    """A database that knows the demo town, with a simulated clock standing at START at real speed."""
    with copied(TOWN, request.param, templates[request.param]) as fresh:
        yield knowing_the_town(fresh)


def knowing_the_town(database: Database) -> Registered:
    """The same as `registered`, of a copy of `TOWN`."""
    with connect(database.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=datetime.now(UTC), town_start=START, speed=1.0))
        if database.engine not in _directories:
            (municipality_id,) = conn.execute("select municipality_id from municipality").fetchone() or (0,)
            _directories[database.engine] = load_directory(conn, municipality_id)
    directory = _directories[database.engine]
    return Registered(**vars(database), municipality_id=directory.municipality_id, directory=directory)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded series beside the checkout; skips, saying so, where there are none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded series beside the checkout ({folder.parent.name}/{folder.name} is missing)")
    return folder


def _with_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def _with_user(dsn: str, user: str) -> str:
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}@{host}"))

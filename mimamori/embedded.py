"""A whole town on one machine: what every command that starts its own database and broker has in common.

    with interruptible(), sole_user(data), Supervisor(data / "logs", say=say) as supervisor:
        server, broker = start_storage(data, "auto", environment, supervisor, say=say)
        ...                                          # migrate, register a town, set its clock
        child = child_environment(environment, server, broker)
        start_rooms(("ingest", "analytics", "alerts"), child, supervisor)

A town that is made up or replayed must not reach real people: `refuse_real_channels` comes before everything.
"""

from __future__ import annotations

import fcntl
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from ingest.embedded import EmbeddedBroker
from ingest.errors import IngestError
from mimamori.errors import StartError
from mimamori.settings import PREFIX, Settings
from mimamori.supervisor import Service, Supervisor
from store import Connection
from store.embedded import EmbeddedServer

BrokerChoice = Literal["auto", "mosquitto", "nats"]


def refuse_real_channels(environment: Mapping[str, str], what: str) -> None:
    """StartError where settings would let a simulated town write to real people. `what` begins the sentence."""
    channels = Settings.read(environment).real_channels
    if channels:
        raise StartError(f"{what}, and {', '.join(channels)} would let it write to real people: unset them")


def start_storage(
    data: Path,
    kind: BrokerChoice,
    environment: Mapping[str, str],
    supervisor: Supervisor,
    *,
    say: Callable[[str], None],
) -> tuple[EmbeddedServer, EmbeddedBroker]:
    """Start database and broker in `data` and wait until both answer. StartError where there is no such broker."""
    try:
        broker = EmbeddedBroker(data / "broker", kind=kind)
    except IngestError as error:
        raise StartError(str(error)) from error
    say("starting PostgreSQL")
    server = EmbeddedServer(data)
    server.prepare()
    supervisor.start(
        Service(
            "postgres", server.command(), environment, server.data,
            stop_signal=signal.SIGINT, orphan_signal=signal.SIGINT,
        )
    )  # fmt: skip
    server.wait_ready()
    broker.prepare()
    say(f"starting the broker ({broker.kind})")
    supervisor.start(Service("broker", broker.command(), environment, broker.data, orphan_signal=signal.SIGTERM))
    broker.wait_ready()
    return server, broker


def child_environment(
    environment: Mapping[str, str], server: EmbeddedServer, broker: EmbeddedBroker, **more: str
) -> dict[str, str]:
    """The environment of a room's process: this database and broker, none of the settings of the one who started us."""
    settings = {
        "WORKER_DSN": server.dsn("worker"),
        "API_DSN": server.dsn("api"),
        "BROKER_HOST": broker.broker.host,
        "BROKER_PORT": str(broker.broker.port),
        "BROKER_USER": broker.broker.username or "",
        "BROKER_PASSWORD": broker.broker.password or "",
        "BROKER_MAX_UNACKED": str(broker.broker.max_unacked),
    } | more
    inherited = {name: value for name, value in environment.items() if not name.startswith(PREFIX)}
    return inherited | {PREFIX + name: value for name, value in settings.items()}


def start_rooms(rooms: Iterable[str], environment: Mapping[str, str], supervisor: Supervisor) -> None:
    """Start `mimamori run ROOM` for each."""
    for room in rooms:
        supervisor.start(Service(room, [sys.executable, "-m", "mimamori", "run", room], environment))


def listening(conn: Connection, since: datetime) -> bool:
    """Whether an ingest worker has heard the broker since that town time."""
    row = conn.execute(
        "select exists (select from ingest_worker where listening_since is not null and heartbeat_at >= %s)", (since,)
    ).fetchone()
    return row is not None and bool(row[0])


@contextmanager
def sole_user(data: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however that ends."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(f"another town runs in {data}: end it, or take another folder") from error
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end the town: once, so that a second one cannot stop the stopping."""
    told = False

    def interrupt(*_: object) -> None:
        nonlocal told
        if not told:
            told = True
            raise KeyboardInterrupt

    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before: list[tuple[signal.Signals, Callable[..., object] | int | None]] = [
        (name, signal.signal(name, interrupt)) for name in names
    ]
    try:
        yield
    finally:
        for name, handler in before:
            signal.signal(name, handler)

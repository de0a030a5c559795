"""The demo: a whole fictional town on one machine, started, watched and ended by one process.

    DATA/postgres, DATA/broker   what the town remembers; the next start goes on where the last one ended
    DATA/logs/NAME.log           what each process says
    DATA/ledger.jsonl            every message the simulated devices sent in the latest run
    DATA/lock                    one demo at a time in a folder

Order of start: database, broker, schema, town, accounts, clock; then ingest, analytics, alerts and api; the
devices last, when ingest listens (a broker keeps messages for a subscriber it has met, not for one to come). The
end goes the other way round. The town runs on a simulated clock, so it refuses to start where settings would let
it reach real people. Headless, `mimamori.headless` acts as the officer on duty and judges the run.
"""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import typer

from api.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD, create_demo_users
from devices.clock import ClockSetting, clock_from, real_now
from devices.town import load_town
from mimamori.embedded import (
    child_environment,
    interruptible,
    listening,
    refuse_real_channels,
    sole_user,
    start_rooms,
    start_storage,
)
from mimamori.errors import StartError
from mimamori.headless import watch
from mimamori.running import Before, Demo, DemoOptions, progress
from mimamori.supervisor import Service, Supervisor
from simulators.towns import path as town_path
from store import Connection, connect
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

INTERACTIVE_SPEED = 60.0
FIRST_EVENING = datetime(2026, 6, 20, 8, 0, tzinfo=UTC)  # 17:00 in the town
# Whoever opens the first page finds nights and days behind the town, and within a minute a river at level 4.
FIRST_HISTORY = timedelta(days=4, hours=17)  # since a midnight
RAINING_SINCE = timedelta(hours=3, minutes=35)
# From the first rain of a flood until its last alert is over.
FLOOD = timedelta(hours=14)


def show(options: DemoOptions, environment: Mapping[str, str]) -> int:
    """Run the demo until Ctrl-C (or, headless, for its seconds) and return the exit code."""
    refuse_real_channels(environment, "the demo's floods are not real")
    with interruptible(), sole_user(options.data), Supervisor(options.data / "logs", say=progress) as supervisor:
        try:
            demo = _start(options, environment, supervisor)
            if options.seconds is not None:
                return watch(demo, seconds=options.seconds)
            _greet(demo)
            while True:
                supervisor.tend()
                time.sleep(0.2)
        except KeyboardInterrupt:
            progress("stopping")
            supervisor.stop()
            progress(f"demo: stopped; {options.data} keeps the town for the next start")
            return 0 if options.seconds is None else 130


def _start(options: DemoOptions, environment: Mapping[str, str], supervisor: Supervisor) -> Demo:
    port = _free_port(options.port)
    server, broker = start_storage(options.data, options.broker, environment, supervisor, say=progress)

    progress("preparing the town")
    migrate(server.dsn("owner"))
    town = load_town(town_path())
    with connect(server.dsn("owner"), name="demo") as conn:
        sync_town(conn, town)
        before = _before(conn)
        setting = _set_clock(conn, options)
        create_demo_users(conn, town.municipality.code)
    ledger = options.data / "ledger.jsonl"
    ledger.unlink(missing_ok=True)
    url = f"http://127.0.0.1:{port}/"

    child = child_environment(
        environment,
        server,
        broker,
        HTTP_PORT=str(port),
        SECURE_COOKIES="false",
        DEMO="true",
        DATA_FOLDER=str(options.data.resolve()),
    )

    def start(name: str, *arguments: str) -> None:
        supervisor.start(Service(name, [sys.executable, "-m", "mimamori", *arguments], child))

    start_rooms(("ingest", "analytics", "alerts", "api"), child, supervisor)
    with connect(server.dsn("owner"), name="demo", autocommit=True) as conn:
        supervisor.wait(lambda: listening(conn, setting.town_start), what="ingest", timeout=60)
    clock = clock_from(setting)
    origin, history = _weather(options, clock.now(), first_run=before.uplink_id == 0)
    start(
        "devices", "simulate", "--scenario", options.scenario, "--origin", f"{origin:%Y-%m-%dT%H:%M:%S}",
        "--history", str(history // timedelta(hours=1)), "--ledger", str(ledger),
    )  # fmt: skip
    supervisor.wait(lambda: _answers(url), what="the first page", timeout=60)
    return Demo(options, supervisor, server, url, clock, setting.town_start, before, ledger)


def _greet(demo: Demo) -> None:
    logins = ", ".join(account.login for account in DEMO_ACCOUNTS)
    progress(f"first page after {demo.age():.1f} s; Ctrl-C ends the demo")
    progress(f"sign in as {logins}; password: {DEMO_PASSWORD}")
    typer.echo(demo.url)


def _before(conn: Connection) -> Before:
    row = conn.execute(
        "select coalesce((select max(uplink_id) from uplink), 0), coalesce((select max(alert_id) from alert), 0)"
    ).fetchone()
    assert row is not None
    return Before(*row)


def _set_clock(conn: Connection, options: DemoOptions) -> ClockSetting:
    """Write the town's clock: the first start is an evening, later ones go on where the last one ended."""
    speed = options.speed or (INTERACTIVE_SPEED if options.seconds is None else _speed_for(options.seconds))
    row = conn.execute(
        "select greatest((select max(heartbeat_at) from ingest_worker), (select max(received_time) from uplink))"
    ).fetchone()
    last: datetime | None = row[0] if row else None
    start = last + timedelta(seconds=1) if last else FIRST_EVENING
    setting = ClockSetting(simulated=True, real_start=real_now(), town_start=start, speed=speed)
    write_clock(conn, setting)
    return setting


def _weather(options: DemoOptions, now: datetime, *, first_run: bool) -> tuple[datetime, timedelta]:
    """When the scenario begins, and how much of the time before the start the devices tell first.

    Later starts go on in the same weather; but a headless run needs a whole flood of its own, so that its scenario
    begins when its devices do, however long the start took.
    """
    if options.seconds is not None:
        return now, timedelta(0)
    return FIRST_EVENING - RAINING_SINCE, FIRST_HISTORY if first_run else timedelta(0)


def _speed_for(seconds: float) -> float:
    """A clock so fast that a whole flood takes 60 % of the run, and the rest is left for starting on a slow machine."""
    return FLOOD.total_seconds() / (0.6 * seconds)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _free_port(wanted: int) -> int:
    """The port, or any free one for 0. StartError where somebody else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise StartError(f"port {wanted} cannot be used ({error.strerror}): make demo PORT={wanted + 1}") from error
        port: int = probe.getsockname()[1]
        return port

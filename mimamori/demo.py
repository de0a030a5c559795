"""The demo: a whole fictional town on one machine, started, watched and ended by one process.

    DATA/postgres, DATA/broker   what the town remembers; the next start goes on where the last one ended
    DATA/logs/NAME.log           what each process says
    DATA/folders                 watched: what is dropped in a folder in it is read (docs/import.md)
    DATA/cameras                 the town's camera, which is drawn, writes its pictures here
    DATA/jma                     telegrams of a weather agency that does not exist (`mimamori.demo_agency`)
    DATA/meter_key               the key of the smart meters' numbers (`mimamori meter-key`)
    DATA/ledger.jsonl            every message the simulated devices sent in the latest run
    DATA/history                 the past that a first start loads, as the files of a town (`mimamori.demo_history`)
    DATA/lock                    one demo at a time in a folder

Order of start: database, broker, schema, town, accounts, the town's past, and only then its clock, so that the past
ends now however long it took; then ingest, analytics, alerts and api; the devices last, when ingest listens (a broker
keeps messages for a subscriber it has met, not for one to come). They first tell what has been since the past ended.
The first page is announced when all of that is answered. The end goes the other way round. The town runs on a
simulated clock, so it refuses to start where settings would let it reach real people. Headless, `mimamori.headless`
acts as the officer on duty and judges the run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import typer

from analytics.maintenance import keep_house
from api.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD, create_demo_users
from dashboards import vendor
from devices.clock import Clock, ClockSetting, clock_from, real_now
from devices.town import load_town
from mimamori import demo_history
from mimamori.demo_town import calendar, furnish, pipes
from mimamori.demo_water import smart_meters, works
from mimamori.embedded import (
    answers,
    caught_up,
    child_environment,
    free_port,
    listening,
    refuse_real_channels,
    start_command,
    start_rooms,
    start_storage,
)
from mimamori.errors import StartError
from mimamori.headless import watch
from mimamori.places import sole_user
from mimamori.running import Before, Demo, DemoOptions, progress
from mimamori.stopping import interruptible
from mimamori.supervisor import Supervisor
from simulators.config import Scenario
from simulators.towns import path as town_path
from simulators.visits import FIRST_FESTIVAL
from store import Connection, connect
from store.feed import newest_id
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

INTERACTIVE_SPEED = 60.0
FIRST_EVENING = datetime(2026, 6, 20, 8, 0, tzinfo=UTC)  # 17:00 in the town
# Whoever opens the first page finds months behind the town, and within a minute a river at level 4. The last hours
# come from the devices themselves: so that batteries, ledgers and last signs of life are there too.
FIRST_TELLING = timedelta(hours=6)
RAINING_SINCE = timedelta(hours=3, minutes=38)
METER_KEY = "meter_key"  # in DATA
_LIVED = "lived"  # in DATA: an empty file, once the town has come to life
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
    port = free_port(options.port)
    past = None
    if not (options.data / _LIVED).exists() and options.history_days:
        origin, until = _weather(options, FIRST_EVENING), _past_until(options)
        past = demo_history.begin(
            options.data, supervisor,
            scenario=options.scenario, origin=origin, until=until, days=options.history_days, seed=options.seed,
        )  # fmt: skip
    server, broker = start_storage(options.data, options.broker, environment, supervisor, say=progress)

    progress("preparing the town")
    migrate(server.dsn("owner"))
    town = load_town(town_path())
    with connect(server.dsn("owner"), name="demo") as conn:
        sync_town(conn, town)
        before = _before(conn)
        keep_house(conn, FIRST_EVENING)
        setting, since = _set_clock(conn, options)
        create_demo_users(conn, town.municipality.code)
        furnish(conn, town.municipality.code, setting.town_start)
        pipes(conn, town.municipality.code, setting.town_start)
        works(conn, town.municipality.code, setting.town_start)
        smart_meters(conn, town.municipality.code, options.data / METER_KEY, setting.town_start)
        calendar(conn, town.municipality.code, setting.town_start, _festival(options))
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
        METER_KEY_FILE=str((options.data / METER_KEY).resolve()),
        DATA_FOLDER=str(options.data.resolve()),
        FOLDERS=str(options.data.resolve() / "folders"),
        # Nobody looks at a headless run.
        **(
            {}
            if options.seconds is not None
            else {
                "CAMERAS": str(options.data.resolve() / "cameras"),
                "JMA_FOLDER": str(options.data.resolve() / "jma"),
            }
        ),
    )

    if past is not None:
        demo_history.load(past, supervisor, child)
        with connect(server.dsn("owner"), name="demo") as conn:
            setting, since = _set_clock(conn, options)
    start_rooms(("ingest", "analytics", "alerts", "api"), child, supervisor)
    with connect(server.dsn("owner"), name="demo", autocommit=True) as conn:
        supervisor.wait(lambda: listening(conn, setting.town_start), what="ingest", timeout=60)
        clock = clock_from(setting)
        origin = _weather(options, clock.now())
        telling = (
            "simulate", "--scenario", options.scenario, "--origin", f"{origin:%Y-%m-%dT%H:%M:%S}",
            "--since", f"{since:%Y-%m-%dT%H:%M:%S}", "--ledger", str(ledger),
            "--seed", str(options.seed),
        )  # fmt: skip
        start_command("devices", telling, child, supervisor)
        supervisor.wait(lambda: answers(url), what="the first page", timeout=60)
        if options.seconds is None:
            _hear(conn, clock, supervisor)
            for name in ("folders", "cameras", "jma"):
                (options.data / name).mkdir(exist_ok=True)
            start_rooms(("folders", "cameras", "jma"), child, supervisor)
    (options.data / _LIVED).touch()
    return Demo(options, supervisor, server, url, clock, setting.town_start, before, ledger)


def _greet(demo: Demo) -> None:
    logins = ", ".join(account.login for account in DEMO_ACCOUNTS)
    progress(f"first page after {demo.age():.1f} s; Ctrl-C ends the demo; {demo.options.data} keeps the town")
    if not vendor.present():
        progress(vendor.ABSENT)
    progress(f"sign in as {logins}; password: {DEMO_PASSWORD}")
    typer.echo(demo.url)


def _before(conn: Connection) -> Before:
    row = conn.execute(
        "select coalesce((select max(uplink_id) from uplink), 0), coalesce((select max(alert_id) from alert), 0)"
    ).fetchone()
    assert row is not None
    return Before(*row)


def _set_clock(conn: Connection, options: DemoOptions) -> tuple[ClockSetting, datetime]:
    """Write the town's clock: the first start is an evening, later ones go on where the last one ended.

    Returns it, and since when the devices have not told anything.
    """
    speed = options.speed or (INTERACTIVE_SPEED if options.seconds is None else _speed_for(options.seconds))
    row = conn.execute(
        "select greatest((select max(heartbeat_at) from ingest_worker), (select max(received_time) from uplink))"
    ).fetchone()
    last: datetime | None = row[0] if row else None
    start = last + timedelta(seconds=1) if last else FIRST_EVENING
    setting = ClockSetting(simulated=True, real_start=real_now(), town_start=start, speed=speed)
    write_clock(conn, setting)
    return setting, start if last and (options.data / _LIVED).exists() else _past_until(options)


def _past_until(options: DemoOptions) -> datetime:
    """When the files of a first start end and the devices begin to tell."""
    return FIRST_EVENING - (FIRST_TELLING if options.seconds is None else timedelta(0))


def _weather(options: DemoOptions, now: datetime) -> datetime:
    """When the scenario begins.

    Later starts go on in the same weather; but a headless run needs a whole flood of its own, so that its scenario
    begins when its devices do, however long the start took.
    """
    return FIRST_EVENING - RAINING_SINCE if options.seconds is None else now


def _festival(options: DemoOptions) -> datetime | None:
    """When the scenario's first festival begins; None where it has none, or nobody looks."""
    if options.scenario != Scenario.FESTIVAL or options.seconds is not None:
        return None
    return FIRST_EVENING - RAINING_SINCE + FIRST_FESTIVAL


def _hear(conn: Connection, clock: Clock, supervisor: Supervisor) -> None:
    """Wait until the devices have told what was before, and analytics and alerts have answered it."""

    def told() -> bool:
        # A fast clock goes on meanwhile: of that, what passes within two seconds.
        lately = clock.now() - timedelta(minutes=20) - timedelta(seconds=2 * clock.speed)
        row = conn.execute("select coalesce(max(network_time) > %s, false) from uplink", (lately,)).fetchone()
        return row is not None and bool(row[0])

    progress("hearing what the devices have to tell of the last hours")
    try:
        supervisor.wait(told, what="the devices' report", timeout=60)
        newest = newest_id(conn)
        supervisor.wait(lambda: caught_up(conn, newest), what="the answer to it", timeout=60)
    except StartError:
        progress("this machine is busy: the last hours fill in while you look")


def _speed_for(seconds: float) -> float:
    """A clock so fast that a whole flood takes 60 % of the run, and the rest is left for starting on a slow machine."""
    return FLOOD.total_seconds() / (0.6 * seconds)

"""The command `mimamori`.

Exit codes: 0 it ran; 1 bad input or something does not start, with one sentence on stderr that says what and what
to do; 2 bad usage. What is for people and programs to read goes to stdout, progress and logs to stderr.
A password never comes from the command line, where every user of the machine could read it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from mimamori.errors import InputError, MimamoriError
from mimamori.settings import Settings

# The demo tells how long a person waited: from here, a tenth of a second after the command began.
_STARTED = time.monotonic()

app = typer.Typer(
    name="mimamori",
    help="見守り: an open sensor platform for small towns. Settings and operation: docs/operations.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
run = typer.Typer(help="Run one process of a town until SIGTERM or Ctrl-C.", no_args_is_help=True)
town = typer.Typer(help="The stations and devices of a town.", no_args_is_help=True)
user = typer.Typer(help="Who may sign in.", no_args_is_help=True)
app.add_typer(run, name="run")
app.add_typer(town, name="town")
app.add_typer(user, name="user")


class BrokerKind(StrEnum):
    auto = "auto"
    mosquitto = "mosquitto"
    nats = "nats"


# The same words as in simulators.config and api.roles (a test compares them): importing those rooms here would cost
# every process half a second and the memory of all.
class Scenario(StrEnum):
    NORMAL = "normal"
    LEAK = "leak"
    BURST = "burst"
    FESTIVAL = "festival"
    FLOOD = "flood"


class Role(StrEnum):
    DISASTER = "disaster"
    WATER = "water"
    TOURISM = "tourism"
    DIGITAL = "digital"
    VIEWER = "viewer"


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the pages on this machine; 0 takes a free one.")] = 8000,
    data: Annotated[Path, typer.Option(help="Folder for everything the demo keeps; it goes on from there.")] = Path(
        "data/demo"
    ),
    scenario: Annotated[Scenario, typer.Option(help="What happens in the town.")] = Scenario.FLOOD,
    speed: Annotated[
        float | None, typer.Option(help="Town seconds a second. [default: 60; headless: as --for needs]", min=0.001)
    ] = None,
    broker: Annotated[BrokerKind, typer.Option(help="auto: mosquitto where it is, else NATS.")] = BrokerKind.auto,
    headless: Annotated[
        bool, typer.Option("--headless", help="For scripts: run for so many seconds, judge, print JSON.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--for", help="With --headless: seconds in all. [default: 60]", min=20.0)
    ] = None,
) -> None:
    """Show a fictional town, alive: database, broker, devices, alerts and pages, all in DATA."""
    from mimamori.demo import show
    from mimamori.running import DemoOptions

    if seconds is not None and not headless:
        raise typer.BadParameter("--for goes with --headless")
    options = DemoOptions(
        data=data,
        port=port,
        scenario=scenario.value,
        speed=speed,
        broker=broker.value,
        seconds=(seconds or 60.0) if headless else None,
        started=_STARTED,
    )
    raise typer.Exit(show(options, os.environ))


@run.command("ingest")
def run_ingest() -> None:
    """From the broker into the database."""
    _run("ingest")


@run.command("analytics")
def run_analytics() -> None:
    """Hours, days and night flows from observations."""
    _run("analytics")


@run.command("alerts")
def run_alerts() -> None:
    """Judge observations, raise and clear alerts, send notifications."""
    _run("alerts")


@run.command("api")
def run_api() -> None:
    """Pages, JSON API and live stream."""
    _run("api")


@app.command()
def simulate(
    scenario: Annotated[Scenario, typer.Option(help="What happens in the town.")] = Scenario.NORMAL,
    origin: Annotated[
        datetime | None, typer.Option(help="Town time (UTC) at which the scenario begins. [default: now]")
    ] = None,
    history: Annotated[int, typer.Option(help="Tell so many hours before now first, as fast as it goes.")] = 0,
    ledger: Annotated[
        Path | None, typer.Option(help="Write every message sent to this file, a JSON object a line.")
    ] = None,
) -> None:
    """Be the devices of the demo's town: publish their uplinks to the broker on the town's clock."""
    from mimamori import rooms

    rooms.run_simulator(
        _settings(),
        _stop_event("simulate"),
        scenario=scenario.value,
        origin=origin and origin.replace(tzinfo=UTC),
        history=timedelta(hours=history),
        ledger=ledger,
    )


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date, and give its roles the passwords of their addresses."""
    from mimamori import administration

    typer.echo(administration.migrate(_settings()))


@app.command("import-csv")
def import_csv(
    file: Annotated[Path, typer.Argument(help="The CSV file: UTF-8 or CP932, wide or long.")],
    map_file: Annotated[Path, typer.Option("--map", help="The YAML that says which column is which series.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Load history from a CSV file. It may be run again: what is there already stays as it is."""
    from mimamori import history

    history.import_csv(_settings(), file, map_file, as_json=as_json)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with dataset.json and series.csv.")],
    speed: Annotated[str, typer.Option(help="Town seconds a second, or max: as fast as it goes.")] = "max",
    levels: Annotated[str, typer.Option(help="Reference levels of the target in m, for example 0.5,0.7,0.9.")] = "",
    clear_margin: Annotated[float, typer.Option(help="An alert clears so many m below its level.", min=0.0)] = 0.10,
    hold: Annotated[float, typer.Option(help="... and after so many minutes there.", min=0.0)] = 0.0,
    neighbour_unit: Annotated[
        str | None, typer.Option(help="Unit of the neighbours' levels: m, cm, mm, ft. [default: the target's]")
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="Doubt levels that change by more m/h. [default: do not check]", min=0.0)
    ] = None,
    stuck_after: Annotated[
        float | None, typer.Option(help="Doubt levels that stand still for so many hours. [default: do not]", min=0.1)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep the town in this folder. [default: a temporary one, removed]")
    ] = None,
    broker: Annotated[BrokerKind, typer.Option(help="auto: mosquitto where it is, else NATS.")] = BrokerKind.auto,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Send a recorded river through a broker of its own, on a simulated clock, and say what became of it."""
    from mimamori.replay import ReplayOptions
    from mimamori.replay import replay as run_replay
    from simulators.errors import SimulatorError
    from simulators.replay import Levels

    try:
        heights = tuple(float(height) for height in levels.split(",") if height.strip())
        wanted = Levels(heights, clear_margin, timedelta(minutes=hold))
    except ValueError as error:
        raise typer.BadParameter("--levels must be numbers with commas between them, such as 0.5,0.7,0.9") from error
    except SimulatorError as error:
        raise typer.BadParameter(str(error)) from error
    options = ReplayOptions(
        folder=folder,
        speed=_speed(speed),
        levels=wanted,
        data=data,
        broker=broker.value,
        neighbour_unit=neighbour_unit,
        max_rate=max_rate,
        stuck_after=None if stuck_after is None else timedelta(hours=stuck_after),
        as_json=as_json,
    )
    raise typer.Exit(run_replay(options, os.environ))


@town.command("apply")
def town_apply(file: Annotated[Path, typer.Argument(help="The town's YAML.")]) -> None:
    """Register what a town's file describes, or refresh it; nothing that has observations is removed."""
    from mimamori import administration

    typer.echo(administration.apply_town(_settings(), file))


@user.command("add")
def user_add(
    login: Annotated[str, typer.Argument(help="What the person types to sign in.")],
    role: Annotated[Role, typer.Option(help="What the person may see and do.")],
    name: Annotated[str, typer.Option(help="The name shown beside what the person does.")],
    municipality: Annotated[str, typer.Option(help="6-digit code (全国地方公共団体コード).")],
    email: Annotated[str | None, typer.Option(help="Where alerts of the role are mailed to.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Read the password from here instead of asking; - reads standard input.")
    ] = None,
) -> None:
    """Make an account. The password is asked for, or read from a file or standard input."""
    from mimamori import administration

    settings = _settings()
    password = _password(password_file)
    typer.echo(
        administration.add_user(
            settings, login=login, role=role.value, name=name, municipality=municipality, email=email, password=password
        )
    )


def main() -> NoReturn:
    """The entry point: every expected error is one sentence on stderr and exit code 1."""
    import psycopg

    from devices.model import DevicesError
    from store.errors import StoreError

    try:
        app()
    except (MimamoriError, StoreError, DevicesError, psycopg.OperationalError) as error:
        typer.echo(f"mimamori: {str(error).strip()}", err=True)
        sys.exit(1)
    sys.exit(0)


def _settings() -> Settings:
    return Settings.read(os.environ)


def _stop_event(process: str) -> threading.Event:
    """An event that SIGTERM and Ctrl-C set, and logs for this process. To be called before any thread starts.

    A thread takes the signals, because a handler would run in the middle of whatever the main thread does: inside
    `Event.wait` or `Event.set` it would wait for ever for the lock that is held there.
    """
    from mimamori.logs import configure_logs

    configure_logs(process)
    stop = threading.Event()
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def take() -> None:
        while True:
            signal.sigwait(signals)
            stop.set()

    threading.Thread(target=take, name="signals", daemon=True).start()
    return stop


def _speed(text: str) -> float | None:
    """Town seconds a second; None for max."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1e6:
        raise typer.BadParameter("--speed must be a number such as 600, or max")
    return speed


def _run(room: str) -> None:
    from mimamori import rooms

    rooms.RUN[room](_settings(), _stop_event(room))


def _password(file: Path | None) -> str:
    if file is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the password cannot be read from {file}: {error}") from error
    return text.rstrip("\r\n")

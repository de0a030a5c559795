"""The command `mimamori`.

Exit codes: 0 it ran; 1 bad input or something does not start, with one sentence on stderr that says what and what
to do; 2 bad usage. What is for people and programs to read goes to stdout, progress and logs to stderr.
A password never comes from the command line, where every user of the machine could read it.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from mimamori.bench.commands import bench
from mimamori.commands import settings, stop_event
from mimamori.commands.backups import backups
from mimamori.commands.corrections import corrections
from mimamori.commands.devices import devices
from mimamori.commands.evaluate import evaluate
from mimamori.commands.ingest import ingest, run_ingest
from mimamori.commands.intake import intake
from mimamori.commands.meters import meters
from mimamori.commands.network import network
from mimamori.commands.quarantine import quarantine
from mimamori.commands.rules import rules
from mimamori.commands.simulated import simulated
from mimamori.commands.sound import sound
from mimamori.commands.source import source
from mimamori.errors import InputError, MimamoriError

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
app.add_typer(simulated)
app.add_typer(backups)
app.add_typer(corrections)
app.add_typer(network)
app.add_typer(meters)
app.add_typer(sound)
app.add_typer(run, name="run")
app.add_typer(town, name="town")
app.add_typer(user, name="user")
app.add_typer(ingest, name="ingest")
app.add_typer(intake, name="intake")
app.add_typer(source, name="source")
run.command("ingest")(run_ingest)
app.add_typer(quarantine, name="quarantine")
app.add_typer(rules, name="rules")
app.add_typer(bench, name="bench")
app.add_typer(devices, name="devices")
app.add_typer(evaluate, name="evaluate")


# The same words as in api.roles (a test compares them), without importing that room.
class Role(StrEnum):
    DISASTER = "disaster"
    WATER = "water"
    TOURISM = "tourism"
    DIGITAL = "digital"
    VIEWER = "viewer"


@run.command("folders")
def run_folders() -> None:
    """Read the CSV and Excel files that are dropped in the watched folders."""
    _run("folders")


@run.command("cameras")
def run_cameras() -> None:
    """Fetch the stills of the cameras that are registered."""
    _run("cameras")


@run.command("jma")
def run_jma(
    off: Annotated[
        bool, typer.Option("--off", help="The town reads none any more: what came stays, pages end.")
    ] = False,
) -> None:
    """Read the weather agency's telegrams from its feed, or from a folder (docs/rivers.md)."""
    if off:
        from mimamori import administration

        typer.echo(administration.end_jma(settings()))
    else:
        _run("jma")


@run.command("analytics")
def run_analytics(
    once: Annotated[bool, typer.Option("--once", help="Answer what is stored so far, and end.")] = False,
) -> None:
    """Hours, days and night flows from observations."""
    if once:
        from mimamori import rooms

        stop_event("analytics")
        rooms.catch_up_analytics(settings())
    else:
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
def migrate() -> None:
    """Bring the database's schema up to date, and give its roles the passwords of their addresses."""
    from mimamori import administration

    typer.echo(administration.migrate(settings()))


@app.command("import-csv")
def import_csv(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV or Excel files, or files in a known form.")
    ],
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="The YAML that says which column is which series. [default: FILE's name, .yaml]"),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="A known form: kagoshima, usgs, hubeau or mimamori. [default: as the map says]"),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Store nothing, and say what would become of it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file instead of a table.")] = False,
) -> None:
    """Load history from files. It may be run again: what is there already stays as it is."""
    from mimamori import history

    known = settings()
    for file in files:
        history.import_csv(known, file, map_file, form, check=check, as_json=as_json)


@app.command()
def secrets(
    folder: Annotated[Path, typer.Argument(help="Where they go; docker-compose.yml looks in secrets.")],
    device: Annotated[
        str | None, typer.Option(help="Also an account at the broker for this device, which speaks MQTT itself.")
    ] = None,
) -> None:
    """Make the passwords of a town in containers, each a file of FOLDER. What is there stays as it is."""
    from mimamori import container_secrets

    typer.echo(container_secrets.make(folder, device))


@app.command("push-key")
def push_key(
    file: Annotated[Path, typer.Argument(help="Where it goes; the file of channels names it as key_file.")],
) -> None:
    """Make the key by which push services know this town, in FILE. One that is there stays as it is."""
    from mimamori import push_key as push

    typer.echo(push.make(file))


@town.command("apply")
def town_apply(file: Annotated[Path, typer.Argument(help="The town's YAML.")]) -> None:
    """Register what a town's file describes, or refresh it; nothing that has observations is removed."""
    from mimamori import administration

    typer.echo(administration.apply_town(settings(), file))


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

    known = settings()
    password = _password(password_file)
    typer.echo(
        administration.add_user(
            known, login=login, role=role.value, name=name, municipality=municipality, email=email, password=password
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


def _run(room: str) -> None:
    from mimamori import rooms

    rooms.RUN[room](settings(), stop_event(room))


def _password(file: Path | None) -> str:
    if file is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the password cannot be read from {file}: {error}") from error
    return text.rstrip("\r\n")

"""What an operator does to a town's database from the command line; each returns the sentence that says what it did."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api.accounts import AccountError, create_user
from devices.town import load_town
from mimamori.errors import InputError, SettingError
from mimamori.settings import Settings, variable
from store import Connection, connect, jma_feed
from store import migrate as schema
from store.feed import append_headquarters
from store.registry import sync_town
from store.town_clock import load_clock


def migrate(settings: Settings) -> str:
    """Bring the schema up to date; roles get the passwords of MIMAMORI_WORKER_DSN and MIMAMORI_API_DSN where set."""
    dsn = settings.need("owner_dsn")
    applied = schema.migrate(dsn)
    with connect(dsn, name="migrate") as conn:
        given = [_give_password(conn, name, address) for name, address in _role_addresses(settings)]
    done = f"{applied} migrations applied" if applied else "the schema was up to date"
    return done + (f"; password set for {', '.join(given)}" if given else "")


def apply_town(settings: Settings, file: Path) -> str:
    """Register or refresh the town that a YAML file describes."""
    town = load_town(file)
    with connect(settings.need("owner_dsn"), name="town apply") as conn:
        sync_town(conn, town)
    devices = sum(len(station.devices) for station in town.stations)
    m = town.municipality
    return f"{m.name} ({m.code}): {len(town.stations)} stations and {devices} devices registered"


def add_user(
    settings: Settings, *, login: str, role: str, name: str, municipality: str, email: str | None, password: str
) -> str:
    """Make an account in a registered municipality. InputError where login, password or municipality will not do."""
    with connect(settings.need("owner_dsn"), name="user add") as conn:
        try:
            create_user(
                conn,
                municipality_code=municipality,
                login=login,
                display_name=name,
                role=role,
                password=password,
                email=email,
            )
        except AccountError as error:
            raise InputError(str(error)) from error
    return f"{login} may now sign in as {role}"


def end_jma(settings: Settings) -> str:
    """The town reads no telegrams any more. InputError where it has none."""
    from mimamori.rooms import municipality_of

    dsn = settings.need("worker_dsn")
    with connect(dsn, name="jma off") as conn:
        row = conn.execute(
            "select municipality_id from municipality where code = %s", (municipality_of(settings, dsn),)
        ).fetchone()
        if row is None or not jma_feed.end(conn, row[0], load_clock(conn).now()):
            raise InputError("this town has no feed of telegrams: there is nothing to end")
        append_headquarters(conn, row[0])
    return "no telegrams are shown any more; what came stays. Stop the process `mimamori run jma` too"


def _role_addresses(settings: Settings) -> list[tuple[str, str]]:
    return [(name, address) for name in ("worker_dsn", "api_dsn") if (address := getattr(settings, name)) is not None]


def _give_password(conn: Connection, setting: str, address: str) -> str:
    """Give the role in an address the password in it."""
    try:
        parts = conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise SettingError(f"{variable(setting)} is no database address: {str(error).strip()}") from error
    role, password = parts.get("user"), parts.get("password")
    if not role or not password:
        raise SettingError(f"{variable(setting)} needs a user and a password: postgresql://USER:PASSWORD@HOST/DATABASE")
    conn.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(str(role)), sql.Literal(str(password))))
    return str(role)

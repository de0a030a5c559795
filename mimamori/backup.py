"""`mimamori backup`, `restore` and `drill`: what the store does, for people as a table, or as one JSON object.

backup   the manifest (store/manifest.py), and `folder`
restore  the manifest, `folder`, and `restored`: database, route, rows, differences, migrated, kept, seconds
drill    the same; `restored` has no `kept`, and differences may be listed: then the command ends with 1

Each writes a row into the town's ledger of backups, failed ones too, so that page and metrics know their age.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from alerts.outbox import withhold
from api.pages.formats import size
from devices.clock import real_now
from mimamori import administration
from mimamori.settings import Settings
from store import Connection, connect
from store.backup import make_backup
from store.backup_runs import Kind, record
from store.embedded import EmbeddedServer
from store.errors import BackupError, StoreError
from store.manifest import Backup, open_backup
from store.restore import Restored, database_name
from store.restore import drill as try_out
from store.restore import restore as put_back


def backup(settings: Settings, folder: Path, *, keep: int | None, as_json: bool) -> int:
    """Make a backup in `folder`; the exit code."""
    dsn = settings.need("owner_dsn")
    began = real_now()
    try:
        made = make_backup(dsn, folder, product=version("mimamori"), keep=keep, say=_say)
    except (StoreError, psycopg.Error) as error:
        _note(dsn, "backup", began, problem=str(error))
        raise _in_words(error, folder) from error
    _note(dsn, "backup", began, made)
    _print(made, None, {}, as_json=as_json, title=f"{made.folder}: {made.manifest.seconds:g} s")
    return 0


def restore(settings: Settings, path: Path, *, into: str | None, replace_there: bool, as_json: bool) -> int:
    """Put a backup into the database `into`, or into that of MIMAMORI_OWNER_DSN; the exit code."""
    dsn = into or settings.need("owner_dsn")
    began = real_now()
    found = open_backup(path)
    try:
        done = put_back(found, dsn, replace=replace_there, settle=_settled(found), say=_say)
    except psycopg.Error as error:
        raise _in_words(error, found.folder) from error
    # On a new server the roles have no passwords yet.
    _say(administration.migrate(replace(settings, owner_dsn=dsn)))
    _note(dsn, "restore", began, found)
    name = database_name(dsn)
    _print(found, done, {"database": name}, as_json=as_json, title=f"{found.folder} → {name}: {done.seconds:g} s")
    if done.kept is not None:
        _say(f"what was there before is the database {done.kept}; once it is not needed: drop database {done.kept}")
    return 0


def drill(settings: Settings, path: Path, *, embedded: bool, as_json: bool) -> int:
    """Restore into a database that is thrown away; 1 where something else came back than was put in."""
    began = real_now()
    dsn = settings.owner_dsn if embedded else settings.need("owner_dsn")
    try:
        found = open_backup(path)
        done = _on_a_server(found, None if embedded else dsn)
    except (StoreError, psycopg.Error) as error:
        if dsn is not None:
            _note(dsn, "drill", began, problem=str(error))
        raise _in_words(error, path) from error
    if dsn is not None:
        _note(dsn, "drill", began, found, problem="; ".join(done.differences) or None)
    _print(found, done, {}, as_json=as_json, title=f"{found.folder}: {done.seconds:g} s")
    return 1 if done.differences else 0


def _on_a_server(found: Backup, dsn: str | None) -> Restored:
    if dsn is not None:
        return try_out(found, dsn, say=_say)
    with tempfile.TemporaryDirectory(prefix="mimamori-drill-") as data:
        folder = Path(data)
        folder.chmod(0o711)  # the server may run as another account, and must be able to pass
        with EmbeddedServer(folder, settings={"fsync": "off", "synchronous_commit": "off"}) as server:
            return try_out(found, server.dsn(), say=_say)


def _settled(found: Backup) -> Callable[[Connection], None]:
    """What was waiting at the time of the backup must not go out days later, and nobody listens to the broker yet."""
    reason = f"not sent: it was waiting when the backup of {found.manifest.taken_at:%Y-%m-%d %H:%M} UTC was made"

    def settle(conn: Connection) -> None:
        held = withhold(conn, reason)
        if held:
            _say(f"{held} notifications were waiting at the time of the backup and will not be sent")
        # Silence is judged from when ingest listens; what it said in another life means nothing now.
        conn.execute("update ingest_worker set listening_since = null")

    return settle


def _note(dsn: str, kind: Kind, began: datetime, found: Backup | None = None, *, problem: str | None = None) -> None:
    """Writes into the ledger where that is possible; a backup that was made is made also where it is not."""
    try:
        with connect(dsn, name=kind) as conn:
            record(
                conn,
                kind,
                began,
                real_now(),
                taken_at=None if found is None else found.manifest.taken_at,
                size=None if found is None else found.manifest.bytes,
                problem=problem,
            )
    except psycopg.Error as error:
        _say(f"the town's ledger of backups could not be written: {str(error).strip()}")


def _in_words(error: Exception, path: Path) -> Exception:
    if isinstance(error, psycopg.OperationalError | StoreError):
        return error
    return BackupError(f"{path}: the database refused: {str(error).strip()}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _print(found: Backup, done: Restored | None, more: dict[str, Any], *, as_json: bool, title: str) -> None:
    manifest = found.manifest
    if as_json:
        value = manifest.as_json() | {"folder": str(found.folder)}
        if done is not None:
            value["restored"] = more | asdict(done)
        typer.echo(json.dumps(value, ensure_ascii=False))
        return
    console = Console(highlight=False)
    table = Table(title=title, title_justify="left")
    table.add_column("table 表")
    table.add_column("rows 行数", justify="right")
    table.add_column("hash 照合値")
    for name, content in manifest.tables.items():
        table.add_row(name, str(content.rows), content.hash)
    console.print(table)
    if done is None:
        console.print(f"{manifest.rows} rows in {size(manifest.bytes)}, SHA-256 {manifest.dump.sha256}", soft_wrap=True)
    elif done.differences:
        for line in done.differences:
            console.print(line, markup=False, soft_wrap=True)
    else:
        console.print(f"{done.rows} rows came back as they were: every count and hash agrees", soft_wrap=True)

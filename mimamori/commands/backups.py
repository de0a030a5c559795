"""`mimamori backup`, `restore`, `drill` (docs/backup.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamori.commands import settings

backups = typer.Typer()


@backups.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that backups go into.")],
    keep: Annotated[
        int | None, typer.Option(help="Keep so many whole ones, remove older ones. [default: all]", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as one JSON object.")] = False,
) -> None:
    """Write a backup of the whole database, with counts and hashes, while the town goes on."""
    from mimamori.backup import backup as make

    raise typer.Exit(make(settings(), folder, keep=keep, as_json=as_json))


@backups.command()
def restore(
    path: Annotated[Path, typer.Argument(metavar="DIR|FILE", help="A backup, or a folder of them: the newest.")],
    into: Annotated[
        str | None,
        typer.Option(metavar="DSN", help="The database, as its owner. [default: MIMAMORI_OWNER_DSN]"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Where a town is in it: put it aside under another name.")
    ] = False,
    drilling: Annotated[bool, typer.Option("--drill", help="The same as mimamori drill.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print manifest and verification as one JSON object.")
    ] = False,
) -> None:
    """Put a backup back; only what agrees with its manifest gets the database's name."""
    from mimamori import backup as room

    if drilling:
        if into is not None or replace:
            raise typer.BadParameter("--drill throws its database away: --into and --replace do not go with it")
        raise typer.Exit(room.drill(settings(), path, embedded=False, as_json=as_json))
    raise typer.Exit(room.restore(settings(), path, into=into, replace_there=replace, as_json=as_json))


@backups.command()
def drill(
    path: Annotated[Path, typer.Argument(metavar="DIR|FILE", help="A backup, or a folder of them: the newest.")],
    embedded: Annotated[
        bool, typer.Option("--embedded", help="On a PostgreSQL of its own instead of the town's server.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print manifest and verification as one JSON object.")
    ] = False,
) -> None:
    """Try a backup out: restore it into a database that is thrown away, and compare every count and hash."""
    from mimamori import backup as room

    raise typer.Exit(room.drill(settings(), path, embedded=embedded, as_json=as_json))

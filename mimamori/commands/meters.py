"""`mimamori meter-key` and `mimamori import-meters` (docs/waterworks.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamori.commands import settings

meters = typer.Typer()


@meters.command("meter-key")
def meter_key(
    file: Annotated[Path, typer.Argument(help="Where it goes; MIMAMORI_METER_KEY_FILE names it for the api process.")],
) -> None:
    """Make the key that the numbers of customers' meters are kept by, in FILE. One that is there stays as it is."""
    from analytics.leaks.meters.keyed import new_key
    from mimamori import key_files

    then = "name it in MIMAMORI_METER_KEY_FILE, and keep a copy apart from the backups of the database"
    typer.echo(key_files.make(file, new_key, then))


@meters.command("import-meters")
def import_meters(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV or Excel, as on the page スマートメーター.")
    ],
    municipality: Annotated[str, typer.Option(help="6-digit code (全国地方公共団体コード).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Take in hours of customers' meters; their numbers are kept by MIMAMORI_METER_KEY."""
    from mimamori.meters_import import import_files

    import_files(settings(), files, municipality, as_json=as_json)

"""`mimamori import-network` (docs/waterworks.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamori.commands import settings

network = typer.Typer()


@network.command("import-network")
def import_network(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="GeoJSON, Shapefile (all its files, or a ZIP), or one EPANET .inp."),
    ],
    municipality: Annotated[str, typer.Option(help="6-digit code (全国地方公共団体コード).")],
    system: Annotated[
        int | None,
        typer.Option(metavar="EPSG", help="Coordinates of files that do not say theirs, such as 6670 (zone 2)."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Say what is wrong, and store nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Read the town's pipe network and take it over; earlier versions stay."""
    from mimamori.network_import import import_files

    import_files(settings(), files, municipality, system=system, check=check, as_json=as_json)

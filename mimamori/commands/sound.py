"""`mimamori correlate` (docs/waterworks.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

sound = typer.Typer()


@sound.command("correlate")
def correlate(
    files: Annotated[
        list[Path], typer.Argument(metavar="A.wav [B.wav]", help="What was heard at A and at B; or one file of both.")
    ],
    length: Annotated[
        list[float], typer.Option(metavar="M", min=1, max=3000, help="Metres of pipe from A to B; once a material.")
    ],
    material: Annotated[
        list[str] | None, typer.Option(help="DIP, CIP, SP, SUS, VP, HIVP, HPPE, PP, ACP, LP or CP; once a length.")
    ] = None,
    diameter: Annotated[
        list[float] | None, typer.Option(metavar="MM", min=10, max=3000, help="Once a length, or not at all.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(metavar="M/S", min=100, max=1600, help="The speed of sound as measured, instead of materials."),
    ] = None,
    asynchrony: Annotated[
        float, typer.Option(metavar="MS", min=0, max=100, help="How far apart the recorders' clocks may be.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Where between two recorders the noise of a leak comes from, with an interval."""
    from mimamori.correlation import correlate_files

    correlate_files(files, length, material or [], diameter or [], speed, asynchrony / 1000, as_json=as_json)

"""`mimamori correct` (docs/store.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimamori.commands import settings

corrections = typer.Typer()


@corrections.command()
def correct(
    reason: Annotated[str, typer.Option(help="Why, for whoever asks in ten years.")],
    user: Annotated[str, typer.Option(metavar="LOGIN", help="Who answers for it.")],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="CSV: station,observed_property,time,value; an empty value takes one out."),
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(metavar="STATION/PROPERTY", help="A series; may be said several times. */PROPERTY: all of them."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="First time, local or with offset.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Last time, itself too.")] = None,
    shift: Annotated[float | None, typer.Option(help="Add this, in the unit of the series.")] = None,
    scale: Annotated[float | None, typer.Option(help="Multiply by this.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Take the values out.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="The values are true as they stand.")] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="The values are false: they stay, and count no more.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Do it once more, although the same has been done before.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Correct stored values: those of FILE, or a stretch of time of series. What was there stays as a revision."""
    from mimamori import correction

    asked = correction.Asked(
        file, tuple(series or ()), start, end, shift, scale, missing, confirm, reject, reason, user
    )
    correction.correct(settings(), asked, again=again, as_json=as_json)

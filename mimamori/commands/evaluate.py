"""`mimamori evaluate`: what the estimators are worth on recorded data (docs/quality.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

evaluate = typer.Typer(help="Judge recorded data, with nothing from later, and say how good it was.")


@evaluate.callback()
def evaluations() -> None:
    """Judge recorded data, with nothing from later, and say how good it was."""


@evaluate.command("anomalies")
def anomalies(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="<series>.csv with time,value,label; sub-folders are read too.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write time,value,score,label of each series.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Find what is wrong in recorded series, with one setting for all, and compare with what is labelled in them."""
    from mimamori.bench.report import bar, give
    from mimamori.evaluate_anomalies import measure, rows

    with bar("series", quiet=as_json) as progress:
        figures = measure(folder, out, progress)
    columns = ("", "told", "right", "true", "found", "F1", "false a month", "minutes")
    give(figures, f"{len(figures['series'])} series in {folder}", columns, rows(figures), as_json=as_json)

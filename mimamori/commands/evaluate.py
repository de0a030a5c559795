"""`mimamori evaluate`: what the estimators are worth on recorded data (docs/quality.md)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class LeakMode(StrEnum):
    model = "model"
    free = "free"


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


@evaluate.command("river")
def river(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="dataset.json and series.csv of a river (docs/rivers.md).")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="Where to write every forecast.")],
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also draw the best and the worst floods as PNG files there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Forecast a recorded river, with one setting for all, and say how good it was beside persistence."""
    from mimamori.bench.report import give, say
    from mimamori.evaluate_river import SHOWN, measure
    from mimamori.evaluate_river import rows as lines

    figures = measure(folder, out)
    if plots is not None:
        from mimamori.river_plots import draw

        for file in draw(folder, plots):
            say(f"{file}")
    title = f"{folder}: {figures['method']}, {figures['seconds']:g} s"
    give(figures, title, ("", "n", *SHOWN), lines(figures), as_json=as_json)


@evaluate.command("visitors")
def visitors(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="dataset.json and series.csv of counters (docs/tourism.md).")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="Where to write what was expected of every row.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Forecast recorded counts a day ahead, with one setting for all, and say how good it was beside simple methods."""
    from mimamori.bench.report import bar, give
    from mimamori.evaluate_visitors import measure, rows

    with bar("steps", quiet=as_json) as progress:
        figures = measure(folder, out, progress)
    outages = figures["outages"]
    columns = ("", "n", "WAPE", "median of 4", "week ago", "MASE", "inside", "outages?")
    title = f"{folder}: {figures['seconds']:g} s; of {outages['planted']} planted outages {outages['found']} found"
    give(figures, title, columns, rows(figures), as_json=as_json)


@evaluate.command("effects")
def effects(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="dataset.json and series.csv of counters (docs/tourism.md).")
    ],
    dates: Annotated[int, typer.Option(min=1, metavar="N", help="Dates of each counter, for each length.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Plant effects of events in recorded counts, at random, and say how well they are measured."""
    from mimamori.bench.report import bar, give
    from mimamori.evaluate_effects import measure, rows

    with bar("counters", quiet=as_json) as progress:
        figures = measure(folder, dates, progress)
    title = f"{folder}: {figures['counters']} counters, {figures['seconds']:g} s"
    columns = ("planted", "days", "tried", "said", "bias", "off", "inside", "more", "fewer")
    give(figures, title, columns, rows(figures), as_json=as_json)


@evaluate.command("leaks")
def leaks(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="dataset.json and a year of a pipe network (docs/waterworks.md).")
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Where to write the suspects.")] = None,
    mode: Annotated[
        LeakMode, typer.Option(help="free: by the map of the pipes alone; model: by the network's hydraulic model.")
    ] = LeakMode.free,
    sensors: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Only the N best-placed pressure loggers; 0: inlets only.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="DIR", help="leaks.csv and leak_flows.csv: judge by the published rule.")
    ] = None,
    burst: Annotated[
        bool, typer.Option("--burst", help="With --truth: how soon sudden leaks are found by data that come all day.")
    ] = False,
    faults: Annotated[
        int | None,
        typer.Option(min=0, metavar="SEED", help="Spoil the record first: gaps, a drifting and a stuck logger."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Find suspects in a recorded year of a pipe network, day by day, with one setting for all."""
    from mimamori.bench.report import bar, give
    from mimamori.evaluate_leaks import measure, rows

    with bar("days", quiet=as_json) as progress:
        figures = measure(folder, out, mode.value, sensors, truth, progress, burst=burst, faults=faults)
    give(figures, f"{folder}: {figures['reports']} suspects", ("", ""), rows(figures), as_json=as_json)

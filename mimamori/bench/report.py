"""How a bench gives its figures: one JSON object for programs, or a table for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

Row = tuple[str, ...]


def give(figures: Mapping[str, Any], title: str, columns: Row, rows: Iterable[Row], *, as_json: bool) -> None:
    """Print the figures to stdout: as one object, or their `rows` under `columns`, the first of them words."""
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def say(sentence: str) -> None:
    """Tell people what happens."""
    typer.echo(sentence, err=True)


@contextmanager
def bar(words: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr: a function that takes how much is done, of how much."""
    shown = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), disable=quiet,
    )  # fmt: skip
    with shown:
        task = shown.add_task(words, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)

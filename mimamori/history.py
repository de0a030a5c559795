"""`mimamori import-csv`: history from a file, with a progress bar and a table for people, or one JSON object.

lines                          lines with values that were read
stored, unchanged, rejected    values that are new, that were there already, and values or lines not taken
revised, outranked             values that replaced another, and those that another stands above (docs/import.md)
errors                         [{line, reason}], the first 1000 of those rejected
unlisted                       [{series, name, unit}] of a file in a known form: what its map leaves out
absent                         series of the map that the file does not have
check                          true: nothing was stored, these figures are what would become of it
seconds                        real time
"""

from __future__ import annotations

import gc
import json
import time
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ingest.errors import IngestError
from ingest.history import ImportReport, import_history, layout_of
from mimamori.errors import InputError
from mimamori.rooms import municipality_of
from mimamori.settings import Settings

_SHOWN_ERRORS = 20
_SHOWN_SERIES = 400


def import_csv(
    settings: Settings, file: Path, map_file: Path | None, form: str | None, *, check: bool, as_json: bool
) -> None:
    """Import, or only look what would become of it, and print that. InputError where file and map do not fit."""
    began = time.monotonic()
    gc.disable()  # a batch is a hundred thousand small objects and no cycle; a quarter of the time would go there
    dsn = settings.need("worker_dsn")
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), disable=as_json,
    )  # fmt: skip
    try:
        layout = layout_of(file, map_file, form, check=check)
        size = file.stat().st_size
        with bar:
            task = bar.add_task(file.name, total=size or 1)
            report = import_history(
                dsn,
                municipality_of(settings, dsn),
                file,
                layout,
                check=check,
                progress=lambda done, _report: bar.update(task, completed=done),
            )
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except IngestError as error:
        raise InputError(str(error)) from error
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"seconds": seconds}, ensure_ascii=False))
    else:
        _show(report, file, seconds)


def _show(report: ImportReport, file: Path, seconds: float) -> None:
    console = Console(highlight=False)
    if report.check:
        console.print("CHECK: nothing is stored 確認のみ（保存していません）")
    table = Table(title=f"{file.name}: {report.lines} lines in {seconds:g} s", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("stored 新規", str(report.stored))
    table.add_row("unchanged 変更なし", str(report.unchanged))
    table.add_row("revised 訂正", str(report.revised))
    table.add_row("outranked 参考保存", str(report.outranked))
    table.add_row("rejected 取込不可", str(report.rejected))
    console.print(table)
    for error in report.errors[:_SHOWN_ERRORS]:
        console.print(f"line {error.line}: {error.reason}", markup=False)
    if report.rejected > _SHOWN_ERRORS:
        console.print(f"… and {report.rejected - _SHOWN_ERRORS} more; --json lists the first 1000")
    if report.unlisted:
        console.print("In the file, and not in the map 対応表にない系列 (to copy into its 'series:'):")
    for each in report.unlisted[:_SHOWN_SERIES]:
        unit = each.unit or "unit not said 単位なし"
        said = f"name: {json.dumps(each.name, ensure_ascii=False)}" if each.name else ""
        entry = ", ".join(filter(None, ("station: ", "property: ", said)))
        # a comment, the unit; wide names would break the table, so it is none
        typer.echo(f"  {json.dumps(each.series, ensure_ascii=False)}: {{{entry}}}   # {unit}")
    if len(report.unlisted) > _SHOWN_SERIES:
        console.print(f"… and {len(report.unlisted) - _SHOWN_SERIES} more; --json lists all")
    if report.absent:
        console.print(f"In the map, and not in the file ファイルにない系列: {', '.join(report.absent)}", markup=False)

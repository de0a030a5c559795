"""`mimamori devices bulk`: a device list checked and registered, all of it or nothing.

lines, added, changed, unchanged, stations   of the list, as `store.bulk` counts them
done                                         whether it was registered
problems                                     [{"line", "cell", "column", "what"}]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from devices.device_list import COLUMNS, read_list
from devices.sheets import SheetError, read_sheet
from mimamori.errors import InputError
from mimamori.settings import Settings
from store import connect
from store.bulk import Report, register
from store.registry import municipality_id_of
from store.town_clock import load_clock


def bulk(settings: Settings, file: Path, municipality: str, *, check: bool, as_json: bool) -> bool:
    """Does it and prints what became of it; whether all lines are right. InputError where the file cannot be read."""
    try:
        sheet = read_sheet(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except SheetError as error:
        raise InputError(f"{file}: {error}; nothing was registered") from error
    with connect(settings.need("owner_dsn"), name="devices bulk") as conn:
        municipality_id = municipality_id_of(conn, municipality)
        if municipality_id is None:
            raise InputError(f"municipality {municipality} is not in the database: load its town file first")
        row = conn.execute(
            "select timezone from municipality where municipality_id = %s", (municipality_id,)
        ).fetchone()
        assert row is not None
        now = load_clock(conn).now()
        report = register(conn, municipality_id, read_list(sheet, ZoneInfo(row[0])), now=now, user_id=None, check=check)
        conn.commit()
    _show(file, report, as_json=as_json)
    return not report.problems


def _show(file: Path, report: Report, *, as_json: bool) -> None:
    counts = {name: getattr(report, name) for name in ("lines", "added", "changed", "unchanged", "stations")}
    if as_json:
        problems: list[dict[str, Any]] = [
            {"line": each.line, "cell": each.cell, "column": each.column, "what": str(each)} for each in report.problems
        ]
        typer.echo(json.dumps(counts | {"done": report.done, "problems": problems}, ensure_ascii=False))
        return
    if report.problems:
        table = Table("line", "cell", "column", "what to do")
        for each in report.problems:
            column = f"{each.column} {COLUMNS.get(each.column, '')}".strip()
            table.add_row(str(each.line), each.cell, column, str(each))
        Console(highlight=False).print(table)
        typer.echo(f"{file}: {len(report.problems)} things to put right; nothing was registered")
        return
    said = ", ".join(f"{n} {name}" for name, n in counts.items())
    typer.echo(f"{said}: " + ("registered" if report.done else "all right; nothing was registered yet"))

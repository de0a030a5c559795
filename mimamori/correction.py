"""`mimamori correct`: stored values put right, with a progress bar and a table for people, or one JSON object.

correction_id          the row in the table `correction`: who, why, what, and how far it has come
operation              shift, scale, missing, confirm, reject or replace
series                 how many series it was about
stored                 values where nothing stood before (replace)
revised, unchanged     values that are different now, and those that needed no change
resumed                whether a part had been done before, by a run that ended in the middle
finished_before        whether all of it had been done before; then nothing was done now
seconds                real time
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ingest.again import judge_again
from mimamori.errors import InputError
from mimamori.rooms import municipality_of
from mimamori.settings import Settings
from store import Connection, connect
from store.correct import Correction, Operation, Report, Value, sorted_values
from store.correct import correct as apply
from store.registry import Directory, load_directory, municipality_id_of
from store.town_clock import load_clock

_COLUMNS = ["station", "observed_property", "time", "value"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    file: Path | None
    series: tuple[str, ...]
    start: str | None
    end: str | None
    shift: float | None
    scale: float | None
    missing: bool
    confirm: bool
    reject: bool
    reason: str
    user: str


def correct(settings: Settings, asked: Asked, *, again: bool, as_json: bool) -> None:
    """Correct, and print what became of it. InputError where what was typed does not fit the town."""
    began = time.monotonic()
    dsn = settings.need("worker_dsn")
    with connect(dsn, name="correct") as conn:
        code = municipality_of(settings, dsn)
        municipality_id = municipality_id_of(conn, code)
        if municipality_id is None:
            raise InputError(f"municipality {code} is not in the database: load its town file first")
        directory = load_directory(conn, municipality_id)
        now = load_clock(conn).now()
        correction = _correction(conn, directory, asked, now)
        conn.commit()
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
            console=Console(stderr=True), disable=as_json,
        )  # fmt: skip
        with bar:
            task = bar.add_task(correction.operation.value, total=None)
            report = apply(
                conn,
                municipality_id,
                correction,
                stated=now,
                paces={i: each.step for i, each in directory.datastreams.items()},
                again=again,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        judge_again(conn, directory)
    _show(correction, report, round(time.monotonic() - began, 1), as_json=as_json)


def _show(correction: Correction, report: Report, seconds: float, *, as_json: bool) -> None:
    said = {"operation": correction.operation.value, "series": len(correction.datastream_ids)}
    if as_json:
        typer.echo(json.dumps(asdict(report) | said | {"seconds": seconds}, ensure_ascii=False))
        return
    if report.finished_before:
        typer.echo(
            f"correction {report.correction_id} had been done before: nothing was changed now. "
            "If it is to be done once more on purpose, say --again."
        )
        return
    title = f"correction {report.correction_id}: {correction.operation.value}, {seconds:g} s"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("stored 新規", str(report.stored))
    table.add_row("revised 訂正", str(report.revised))
    table.add_row("unchanged 変更なし", str(report.unchanged))
    Console(highlight=False).print(table)
    if report.resumed:
        typer.echo("These are all its values; a part had been done by a run that ended in the middle.")


def _correction(conn: Connection, directory: Directory, asked: Asked, now: datetime) -> Correction:
    if not asked.reason.strip():
        raise InputError("--reason is empty: say why the values are wrong")
    user_id = _user(conn, directory.municipality_id, asked.user)
    zone = _zone(conn, directory.municipality_id)
    chosen = [
        (operation, amount)
        for operation, amount, said in (
            (Operation.SHIFT, asked.shift, asked.shift is not None),
            (Operation.SCALE, asked.scale, asked.scale is not None),
            (Operation.MISSING, None, asked.missing),
            (Operation.CONFIRM, None, asked.confirm),
            (Operation.REJECT, None, asked.reject),
        )
        if said
    ]
    if asked.file is not None:
        if chosen or asked.series or asked.start or asked.end:
            raise InputError("a FILE says itself which values of which series: leave the other options out")
        values = tuple(sorted_values(list(_values(asked.file, directory, zone, now))))
        if not values:
            raise InputError(f"{asked.file}: there is no value in it")
        times = [value[1] for value in values]
        ids = tuple(sorted({value[0] for value in values}))
        return Correction(
            Operation.REPLACE, ids, min(times), max(times), asked.reason, user_id,
            source=asked.file.name, values=values,
        )  # fmt: skip
    if len(chosen) != 1:
        raise InputError("say one of --shift, --scale, --missing, --confirm, --reject, or name a FILE")
    if not asked.series or asked.start is None or asked.end is None:
        raise InputError("say which values: --series STATION/PROPERTY, --from and --to")
    operation, amount = chosen[0]
    if amount is not None and not isfinite(amount):
        raise InputError(f"--{operation.value} must be a number")
    start, end = _moment("--from", asked.start, zone), min(_moment("--to", asked.end, zone), now)
    if start > end:
        raise InputError(f"--from {asked.start} is after --to {asked.end}, or in the future")
    found = sorted({i for name in asked.series for i in _series(directory, name)})
    return Correction(operation, tuple(found), start, end, asked.reason, user_id, amount=amount)


def _user(conn: Connection, municipality_id: int, login: str) -> int:
    row = conn.execute(
        "select user_id, role from app_user where login = %s and municipality_id = %s", (login, municipality_id)
    ).fetchone()
    if row is None:
        raise InputError(f"there is no account {login} in this municipality: `mimamori user add` makes one")
    if row[1] == "viewer":
        raise InputError(f"the account {login} may only look; somebody who answers for the values must be named")
    return int(row[0])


def _zone(conn: Connection, municipality_id: int) -> ZoneInfo:
    row = conn.execute("select timezone from municipality where municipality_id = %s", (municipality_id,)).fetchone()
    assert row is not None
    return ZoneInfo(row[0])


def _series(directory: Directory, name: str) -> list[int]:
    station, _, observed_property = name.partition("/")
    found = [
        i
        for i, each in directory.datastreams.items()
        if station in ("*", each.station_code) and each.observed_property == observed_property
    ]
    if found:
        return found
    there = sorted(f"{d.station_code}/{d.observed_property}" for d in directory.datastreams.values())
    near = [each for each in there if each.startswith(f"{station}/")] or there
    raise InputError(f"there is no series {name[:80]!r}; there are {', '.join(near)[:400]}")


def _moment(option: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"{option}: {text!r} is no time like 2026-06-01T09:00 or 2026-06-01T00:00+00:00") from error
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment


def _values(file: Path, directory: Directory, zone: ZoneInfo, now: datetime) -> Iterator[Value]:
    """The values of a file. InputError with its line for the first that is wrong: a correction is all or nothing."""
    seen: dict[tuple[int, datetime], int] = {}

    def refuse(line: int, why: str) -> NoReturn:
        raise InputError(f"{file}:{line}: {why}; nothing was changed")

    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines)
            header = next(reader, [])
            if [name.strip() for name in header] != _COLUMNS:
                refuse(1, f"the first line must be {','.join(_COLUMNS)}")
            for row in reader:
                line = reader.line_num
                if not row:
                    continue
                if len(row) != len(_COLUMNS):
                    refuse(line, f"{len(row)} columns instead of {len(_COLUMNS)}")
                station, observed_property, moment, text = (cell.strip() for cell in row)
                try:
                    (datastream_id,) = _series(directory, f"{station}/{observed_property}")
                    at = _moment("time", moment, zone)
                except (InputError, ValueError) as error:
                    refuse(line, str(error))
                if at > now:
                    refuse(line, f"{moment} is later than the town's present")
                try:
                    value = float(text) if text else None
                except ValueError:
                    refuse(line, f"{text!r} is no number")
                if value is not None and not isfinite(value):
                    refuse(line, f"{text!r} is no number")
                if (datastream_id, at) in seen:
                    refuse(line, f"line {seen[datastream_id, at]} says already what {station} had at {moment}")
                seen[datastream_id, at] = line
                yield datastream_id, at, value
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: is not a text file in UTF-8") from error

"""Recorded rivers, as `mimamori evaluate river` reads them, and forecasts as it writes them.

    read(folder) -> RiverSet            dataset.json and series.csv
    write(file, rows)                   issue_time,lead_h,target_time,value,lo,hi,persistence

`dataset.json` has `target`, `test_start`, `step` (such as "1h", "10min") and, as far as there are any, `neighbours`,
`rain`, `leads_h` and `unit`. `series.csv` has a column `time` (ISO 8601, the dataset's own zone, ascending) and one for
each name; empty means missing. Steps may be left out of it: nothing is known of them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytics.rivers.forecast.record import Floats, Record, on_grid
from mimamori.errors import InputError
from mimamori.recorded import lines_of, time_of, value_of

HEADER = ("issue_time", "lead_h", "target_time", "value", "lo", "hi", "persistence")
_STEP = re.compile(r"(\d+)\s*(min|h)")
_MOST_ROWS = 5_000_000


@dataclass(frozen=True, slots=True)
class RiverSet:
    """`record` of all of it; `first` the row at which the test begins: learning ends before it. `leads` in hours."""

    name: str
    unit: str
    record: Record
    first: int
    leads: tuple[float, ...]


def read(folder: Path) -> RiverSet:
    """InputError names the file, and the key or line that is wrong."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    file = folder / "dataset.json"
    said = _described(file)
    target, neighbours, rain = said.get("target"), said.get("neighbours", []), said.get("rain", [])
    if not isinstance(target, str):
        raise InputError(f"{file}: 'target' must be the name of a column of series.csv")
    for key, names in (("neighbours", neighbours), ("rain", rain)):
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise InputError(f"{file}: {key!r} must be a list of names of columns")
    step = _step(file, said.get("step"))
    begins = time_of(f"{file}, test_start", str(said.get("test_start", "")))[0].timestamp()
    leads = said.get("leads_h", [1, 3, 6])
    if not isinstance(leads, list) or not all(isinstance(each, int | float) and 0 < each <= 48 for each in leads):
        raise InputError(f"{file}: 'leads_h' must be a list of hours above 0 and up to 48")
    if any(each * 3600 % step for each in leads):
        raise InputError(f"{file}: every one of 'leads_h' must be a whole number of steps")
    times, columns = _series(folder / "series.csv", [target, *neighbours, *rain])
    n = round((times[-1] - times[0]) / step) + 1
    if n > _MOST_ROWS:
        raise InputError(f"{folder / 'series.csv'}: {n} steps from its first to its last time; is 'step' right?")
    off = np.flatnonzero(np.abs((times - times[0]) / step - np.round((times - times[0]) / step)) > 1e-6)
    if len(off):
        raise InputError(
            f"{folder / 'series.csv'}: row {off[0] + 1} is at no whole step of {said['step']} from the first"
        )

    def grid(names: list[str]) -> Floats:
        found = [on_grid(times, columns[name], times[0], step, n) for name in names]
        return np.column_stack(found) if found else np.empty((n, 0))

    record = Record(float(times[0]), step, grid([target])[:, 0], grid(neighbours), grid(rain))
    first = int(np.ceil((begins - times[0]) / step - 1e-9))
    if not 0 <= first < n:
        raise InputError(f"{file}: test_start {said['test_start']} is not within the times of series.csv")
    return RiverSet(
        str(said.get("name", folder.name)),
        str(said.get("unit", "")),
        record,
        first,
        tuple(sorted({float(each) for each in leads})),
    )


def write(file: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """InputError: it cannot be written."""
    try:
        with file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out, lineterminator="\n").writerows([HEADER, *rows])
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from error


def _described(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file}: is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise InputError(f"{file}: must be one JSON object")
    return said


def _step(file: Path, said: object) -> float:
    """Seconds."""
    found = _STEP.fullmatch(str(said).strip())
    step = 0 if found is None else int(found[1]) * (3600 if found[2] == "h" else 60)
    if not step or step > 3600 or 3600 % step:
        raise InputError(f"{file}: 'step' is {said!r}; it must be like '10min' or '1h', and whole steps make an hour")
    return float(step)


def _series(file: Path, names: list[str]) -> tuple[Floats, dict[str, Floats]]:
    with lines_of(file) as text:
        lines = csv.reader(text)
        header = [column.strip() for column in next(lines, [])]
        for name in ("time", *names):
            if name not in header:
                raise InputError(f"{file}, line 1: has no column {name}")
        at_time, places = header.index("time"), [header.index(name) for name in names]
        times: list[float] = []
        values: list[list[float]] = []
        for row in lines:
            if not row:
                continue
            where = f"{file}, line {lines.line_num}"
            if len(row) < len(header):
                raise InputError(f"{where}: has {len(row)} of {len(header)} columns")
            moment = time_of(where, row[at_time])[0].replace(tzinfo=None)
            seconds = time_of(where, moment.isoformat())[0].timestamp()
            if times and seconds <= times[-1]:
                raise InputError(
                    f"{where}: the time {row[at_time]} does not come after the one before it: sort the file"
                )
            times.append(seconds)
            values.append([value_of(where, row[place]) for place in places])
    if not times:
        raise InputError(f"{file}: has a header and no rows")
    matrix = np.array(values)
    return np.array(times), {name: matrix[:, at] for at, name in enumerate(names)}

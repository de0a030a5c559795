"""What recorded data has in common, whatever is judged in it: how its files are opened, read and written.

    described(file)         dataset.json, one object
    step_of(file, said)     "5min" in seconds
    table(file, names)      series.csv: its times and the columns asked for
    write(file, header, rows)

Every mistake is an InputError that names the file and, where there is one, the line.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from mimamori.errors import InputError

_STEP = re.compile(r"(\d+)\s*(min|h)")


@contextmanager
def lines_of(file: Path) -> Iterator[TextIO]:
    """The lines of a CSV in UTF-8, with or without a BOM; of a CSV.gz as well."""
    try:
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "rt", encoding="utf-8-sig", newline="") as lines:
            yield lines
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{file}: is no whole gzip file: {error}") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: is not UTF-8 (byte {error.start})") from error
    except csv.Error as error:
        raise InputError(f"{file}: is no CSV: {error}") from error


def time_of(where: str, text: str) -> tuple[datetime, bool]:
    """The time, and whether its zone was written."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"{where}: the time is written like 2026-06-01T09:00, not {text!r}") from error
    return (moment.replace(tzinfo=UTC), False) if moment.tzinfo is None else (moment, True)


def value_of(where: str, text: str) -> float:
    text = text.strip()
    try:
        value = float(text) if text else np.nan
    except ValueError as error:
        raise InputError(f"{where}: the value is a number or empty, not {text!r}") from error
    if text and not np.isfinite(value):
        raise InputError(f"{where}: the value is a number or empty, not {text!r}")
    return value


def stamps_of(moments: Sequence[datetime]) -> tuple[str, ...]:
    """As the dataset wrote them, to the minute where that says all."""
    fine = any(moment.second or moment.microsecond for moment in moments)
    precision = "auto" if fine else "minutes"
    return tuple(moment.replace(tzinfo=None).isoformat(timespec=precision) for moment in moments)


def described(file: Path) -> dict[str, Any]:
    """What the file says of its data."""
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file}: is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise InputError(f"{file}: must be one JSON object")
    return said


def names_in(file: Path, said: dict[str, Any], key: str) -> list[str]:
    """The columns that the description lists under `key`; none where it does not."""
    names = said.get(key, [])
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise InputError(f"{file}: {key!r} must be a list of names of columns")
    return names


def step_of(file: Path, said: object) -> float:
    """The seconds of a step such as "5min" or "1h"; whole ones make an hour."""
    found = _STEP.fullmatch(str(said).strip())
    step = 0 if found is None else int(found[1]) * (3600 if found[2] == "h" else 60)
    if not step or step > 3600 or 3600 % step:
        raise InputError(f"{file}: 'step' is {said!r}; it must be like '10min' or '1h', and whole steps make an hour")
    return float(step)


def table(
    file: Path, names: Sequence[str], *, ascending: bool = True
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Seconds (n,), in the zone the file is written in, and each named column (n,), nan where it is empty.

    In the order of their times. Without `ascending` the file may have them in any order, and one time twice, as local
    times come in the night in which summer ends.
    """
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
            seconds = time_of(where, row[at_time])[0].replace(tzinfo=UTC).timestamp()
            if ascending and times and seconds <= times[-1]:
                raise InputError(
                    f"{where}: the time {row[at_time]} does not come after the one before it: sort the file"
                )
            times.append(seconds)
            values.append([value_of(where, row[place]) for place in places])
    if not times:
        raise InputError(f"{file}: has a header and no rows")
    order = np.argsort(times, kind="stable")
    matrix = np.array(values)[order]
    return np.array(times)[order], {name: matrix[:, at] for at, name in enumerate(names)}


def write(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """One CSV in UTF-8."""
    try:
        with file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out, lineterminator="\n").writerows([header, *rows])
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from error

"""Recorded series with labels, as `mimamori evaluate anomalies` reads them, and verdicts as it writes them.

    read(folder) -> [Series]             every <series>.csv of a folder and of its sub-folders
    write(folder, series, scores, verdict)

A file has a header and at least the columns `time`, `value`, `label`; others are left alone. Times are ISO 8601 in the
dataset's own zone, ascending; an empty value is a missing one; a label is 0 or 1. A recording in local time has an hour
twice, or is short of one, where the clocks are changed: a time that stands there twice, or goes back by up to an hour,
is read as it stands. One that goes back farther is a file that nobody has sorted, and is refused.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from mimamori.errors import InputError
from mimamori.recorded import lines_of, stamps_of, time_of, value_of
from quality.estimator import Flags, Floats

_COLUMNS = ("time", "value", "label")
_SUMMER = timedelta(hours=1)
_LABELS = {"0": False, "1": True, "0.0": False, "1.0": True}


@dataclass(frozen=True, slots=True)
class Series:
    """One file: its path below the folder without `.csv`; all of shape (n,), `times` in s since 1970, `values` nan
    where there is none. `stamps` are the times as they are written again.
    """

    name: str
    stamps: tuple[str, ...]
    times: Floats
    values: Floats
    truth: Flags


def read(folder: Path, without: Path | None = None) -> list[Series]:
    """Every series, by name; what lies in the folder `without` is none. InputError names the wrong file and line."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    left = None if without is None else without.resolve()
    there = (file for file in folder.rglob("*.csv") if left is None or left not in file.resolve().parents)
    files = sorted(there, key=lambda file: file.relative_to(folder).parts)
    if not files:
        raise InputError(f"{folder}: has no file <series>.csv with the columns {', '.join(_COLUMNS)}")
    return [_series(file, file.relative_to(folder).with_suffix("").as_posix()) for file in files]


def write(folder: Path, series: Series, scores: Floats, verdict: Flags) -> Path:
    """`time,value,score,label` of one series, at the same place below `folder`. InputError: it cannot be written."""
    file = folder / f"{series.name}.csv"
    rows = zip(series.stamps, series.values.tolist(), scores.tolist(), verdict.tolist(), strict=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8", newline="") as out:
            out.write("time,value,score,label\n")
            for stamp, value, score, told in rows:
                out.write(f"{stamp},{'' if value != value else repr(value)},{score:.4f},{told:d}\n")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from error
    return file


def _series(file: Path, name: str) -> Series:
    with lines_of(file) as lines:
        return _parsed(file, name, lines)


def _parsed(file: Path, name: str, text: Iterable[str]) -> Series:
    lines = csv.reader(text)
    header = [column.strip() for column in next(lines, [])]
    for column in _COLUMNS:
        if column not in header:
            raise InputError(f"{file}, line 1: has no column {column}; it takes {', '.join(_COLUMNS)}")
    at_time, at_value, at_label = (header.index(column) for column in _COLUMNS)
    moments: list[datetime] = []
    values: list[float] = []
    truth: list[bool] = []
    with_zone = False
    for row in lines:
        if not row:
            continue
        where = f"{file}, line {lines.line_num}"
        if len(row) < len(header):
            raise InputError(f"{where}: has {len(row)} of {len(header)} columns")
        moment, zoned = time_of(where, row[at_time])
        if moments and zoned is not with_zone:
            raise InputError(
                f"{where}: the time {row[at_time]} has {'a' if zoned else 'no'} zone, unlike those before it"
            )
        with_zone = zoned
        if moments and moment < moments[-1] - _SUMMER:
            raise InputError(f"{where}: the time {row[at_time]} comes after a later one: sort the file")
        moments.append(moment)
        values.append(value_of(where, row[at_value]))
        label = _LABELS.get(row[at_label].strip())
        if label is None:
            raise InputError(f"{where}: the label is 0 or 1, not {row[at_label]!r}")
        truth.append(label)
    if not moments:
        raise InputError(f"{file}: has a header and no rows")
    return Series(
        name,
        stamps_of(moments),
        np.array([moment.timestamp() for moment in moments]),
        np.array(values),
        np.array(truth),
    )

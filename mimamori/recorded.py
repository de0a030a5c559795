"""What recorded data has in common, whatever is judged in it: how a file is opened and its times and values are read.

Every mistake is an InputError that names the file and, where there is one, the line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import numpy as np

from mimamori.errors import InputError


@contextmanager
def lines_of(file: Path) -> Iterator[TextIO]:
    """The lines of a CSV in UTF-8, with or without a BOM."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
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

"""Columns of a batch as PostgreSQL writes arrays: `array([1, None])` is ``{1,NULL}``, for a parameter with a cast.

psycopg asks of every element anew how to write it, which for a batch costs more than everything else that is done with
it. A column has one type, so here that is asked once. The statement says what the text is: ``%s::integer[]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

_NULL = "NULL"


def array(values: Iterable[object]) -> str:
    """One column. Numbers, bools, texts, bytes, times, days and spans of time, or None. TypeError for anything else."""
    column = list(values)
    kinds: set[type[Any]] = set(map(type, column))
    missing = type(None) in kinds
    kinds.discard(type(None))
    if len(kinds) == 1:
        write = _writer(kinds.pop())
        texts = [_NULL if each is None else write(each) for each in column] if missing else map(write, column)
    else:
        texts = [_NULL if each is None else _writer(type(each))(each) for each in column]
    return "{" + ",".join(texts) + "}"


def transposed(rows: Sequence[tuple[object, ...]], width: int) -> tuple[str, ...]:
    """Rows to columns, as unnest takes them."""
    columns: Iterable[Sequence[object]] = zip(*rows, strict=True) if rows else ((),) * width
    return tuple(map(array, columns))


def _writer(kind: type[Any]) -> Callable[..., str]:
    """How a value of this type stands in an array. Only what could hold a comma, brace, quotation mark or blank is
    quoted.
    """
    if issubclass(kind, bool):
        return lambda value: "t" if value else "f"
    if issubclass(kind, int | float):
        return repr
    if issubclass(kind, str):
        return _quoted
    if issubclass(kind, bytes | bytearray | memoryview):
        return lambda value: f'"\\\\x{bytes(value).hex()}"'
    if issubclass(kind, datetime | date):
        return kind.isoformat
    if issubclass(kind, timedelta):
        return lambda value: f'"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"'
    raise TypeError(f"no column of a batch has the type {kind.__name__}")


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

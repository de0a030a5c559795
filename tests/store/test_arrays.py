"""Columns as text: what PostgreSQL reads is what was written, whatever stands in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.model import Quality
from store import connect
from store.arrays import array, transposed
from store.embedded import EmbeddedServer

AT = datetime(2026, 6, 1, 9, 30, 0, 123456, tzinfo=UTC)


def read_back(server: EmbeddedServer, kind: str, values: list[object]) -> object:
    with connect(server.dsn(database="postgres"), name="test") as conn:
        row = conn.execute(f"select %s::{kind}[]".encode(), (array(values),)).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [1, None, -3]),
        ("bigint", [2**62]),
        ("double precision", [0.1, float("inf"), 1e300, None, 3.0]),
        ("double precision", [1, 2.5]),
        ("boolean", [True, None, False]),
        ("text", ["", "NULL", "null", None, "a,b", "{}", '"', "\\", " ", "見守り", "\n\t", "\\N", "'"]),
        ("bytea", [b"", b'\x00\xff\\"', None]),
        ("timestamptz", [AT, None, AT.replace(year=1)]),
        ("date", [date(2026, 6, 1)]),
        ("interval", [timedelta(days=-1, seconds=3, microseconds=5), timedelta(0)]),
        ("integer", []),
        ("text", [None, None]),
    ],
)
def test_what_is_read_is_what_was_written(server: EmbeddedServer, kind: str, values: list[object]) -> None:
    assert read_back(server, kind, values) == values


def test_a_word_of_ours_is_its_text(server: EmbeddedServer) -> None:
    assert read_back(server, "text", [Quality.GOOD, None]) == ["good", None]


@given(values=st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])) | st.none()))
def test_any_text_passes(server: EmbeddedServer, values: list[object]) -> None:
    assert read_back(server, "text", values) == values


@given(values=st.lists(st.floats(allow_nan=False) | st.none()))
def test_any_number_passes_to_the_last_digit(server: EmbeddedServer, values: list[object]) -> None:
    assert read_back(server, "double precision", values) == values


def test_rows_become_columns_and_no_rows_become_empty_ones() -> None:
    assert transposed([(1, "a"), (2, None)], 2) == ("{1,2}", '{"a",NULL}')
    assert transposed([], 2) == ("{}", "{}")


def test_what_no_column_has_is_refused() -> None:
    with pytest.raises(TypeError, match="no column of a batch has the type list"):
        array([[1]])

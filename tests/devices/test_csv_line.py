"""Lines of CSV as a device sends them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.codecs import MODELS
from devices.codecs.csv_line import COLUMNS, decode, encode
from devices.model import CodecError, Reading

NOON = datetime(2026, 6, 1, 3, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("1.25,3.61,", None),
        ("2026-06-01T12:00:00+09:00,1.25,3.61,", NOON),
        ("2026-06-01T03:00:00Z;1.25;3.61;", NOON),
        ("2026/06/01 12:00\t1.25\t3.61\t", NOON),
        ("\ufeff2026/06/01 12:00:00.000,1.25, 3.61 ,\r\n\r\n", NOON),
    ],
)
def test_a_line_is_its_values_in_order(line: str, time: datetime | None) -> None:
    assert decode(line.encode()) == (
        Reading("c1", 1.25, time),
        Reading("c2", 3.61, time),
        Reading("c3", None, time),
    )


def test_several_lines_are_several_measurements() -> None:
    times = [NOON + n * timedelta(minutes=10) for n in range(3)]
    readings = decode(encode(*((time, [n, None]) for n, time in enumerate(times))))
    assert [(r.field, r.value, r.time, r.age) for r in readings] == [
        (field, value, time, times[-1] - time)
        for n, time in enumerate(times)
        for field, value in (("c1", float(n)), ("c2", None))
    ]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "no line of data"),
        (b"1.25\n1.30\n", "line 1 has no time"),
        (b"2026/06/01 12:00,1\n2\n", "line 2 has no time"),
        (b"1.25,wet", "line 1: value 2 is 'wet'"),
        (b"nan", "no number"),
        (b"1e999x", "no number"),
        (b"2026/13/01 12:00,1", "does not exist"),
        (b"2026/06/01 12:00", "a time and no value"),
        (b",".join([b"1"] * 17), "has 17 values"),
        (b'"1', "not CSV"),
        (b"\x00\x01", "not text"),
    ],
)
def test_what_is_none_is_refused_with_its_place(payload: bytes, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        decode(payload)


def test_a_town_file_can_name_its_columns() -> None:
    assert list(MODELS["csv_line"].fields) == [f"c{n}" for n in range(1, COLUMNS + 1)]


@given(st.binary(max_size=60) | st.text(alphabet='0123456789.,;\t\n"-+/: eT', max_size=60).map(str.encode))
def test_whatever_comes_is_readings_or_a_codec_error(payload: bytes) -> None:
    with contextlib.suppress(CodecError):
        assert decode(payload)

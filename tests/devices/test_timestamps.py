"""Timestamps: RFC 3339 with an offset, and nothing that would have to be guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.timestamps import parse_timestamp

OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS).filter(lambda moment: 1 < moment.year < 9999))
def test_every_moment_is_read_back(moment: datetime) -> None:
    assert parse_timestamp(moment.isoformat()) == moment
    assert parse_timestamp(moment.isoformat()).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-01T00:00:00Z",
        "2026-06-01t00:00:00z",
        "2026-06-01 00:00:00+00:00",
        "2026-06-01T00:00Z",
        "2026-06-01T09:00:00.000000999+09:00",
    ],
)
def test_what_rfc_3339_allows_is_read(text: str) -> None:
    assert parse_timestamp(text) == datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-06-01T00:00:00", "has no time zone: add +09:00"),
        ("2026-06-01", "is not a time"),
        ("20260601T000000Z", "is not a time"),
        ("2026-W23-1T00:00:00Z", "is not a time"),
        ("1780272000", "is not a time"),
        ("２０２６-06-01T00:00:00Z", "is not a time"),
        ("2026-06-31T00:00:00Z", "does not exist"),
        ("2026-06-01T24:00:00Z", "does not exist"),
        ("2026-06-01T00:00:00+99:00", "does not exist"),
        ("9999-12-31T23:59:59-01:00", "does not exist"),
        ("x" * 1000, "is not a time"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_timestamp(text)
    assert len(str(caught.value)) < 150

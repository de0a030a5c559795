"""The dialect in which a codec's answer becomes fields."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.codecs.javascript import field_units, flatten
from devices.codecs.javascript.flatten import MOST_READINGS
from devices.model import CodecError


def fields(decoded: object) -> dict[str, float | None]:
    return {reading.field: reading.value for reading in flatten(decoded)}


NAMES = [
    ({"level": 2.1}, {"level": 2.1}),
    ({"water": {"level": 2}}, {"water.level": 2.0}),
    ({"ch": [{"value": 1}, {"value": 2}]}, {"ch[0].value": 1.0, "ch[1].value": 2.0}),
    ({"ch": [[1, 2], [3]]}, {"ch[0][0]": 1.0, "ch[0][1]": 2.0, "ch[1][0]": 3.0}),
    ({"level": {"displayName": "Level", "value": 2.1, "unit": "m"}}, {"level": 2.1}),
    ({"level": {"value": [1, 2], "unit": "m"}}, {"level[0]": 1.0, "level[1]": 2.0}),
    ({"level": {"value": 2.1}}, {"level.value": 2.1}),
    ({"value": 2.1, "unit": "m"}, {"value": 2.1}),
    ({"level": "39.65", "rain": " 1500.60 ", "far": "-1.5e3", "id": "0x1f", "no": "1.2.3", "mode": "auto", "e": ""},
     {"level": 39.65, "rain": 1500.6, "far": -1500.0}),
    ({"alarm": True, "door": False}, {"alarm": 1.0, "door": 0.0}),
    ({"level": None}, {"level": None}),
    ({"a.b": 1, "": 2, 'c"d': 3, "e[0]": 4}, {'["a.b"]': 1.0, '[""]': 2.0, '["c\\"d"]': 3.0, '["e[0]"]': 4.0}),
    ({"x": {"a.b": 1}}, {'x["a.b"]': 1.0}),
    ({"水位": 2.1, "Water level": 3}, {"水位": 2.1, "Water level": 3.0}),
    ([{"level": 1}, {"level": 2}], {"[0].level": 1.0, "[1].level": 2.0}),
    ({}, {}),
    ({"a": {}, "b": []}, {}),
    ({"big": 10**30}, {"big": 1e30}),
]  # fmt: skip


@pytest.mark.parametrize(("decoded", "expected"), NAMES)
def test_names(decoded: object, expected: dict[str, float]) -> None:
    assert fields(decoded) == expected


NINE = datetime(2026, 6, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    ["2026-06-01T09:00:00Z", "2026-06-01T18:00+09:00", "2026-06-01 09:00:00", "2026-06-01T09:00:00.000Z",
     int(NINE.timestamp()), NINE.timestamp() * 1000, str(int(NINE.timestamp()))],
)  # fmt: skip
@pytest.mark.parametrize("key", ["time", "timestamp", "datetime", "date_time", "measured_at", "Timestamp"])
def test_an_object_is_dated_by_its_time(key: str, written: object) -> None:
    (reading,) = flatten({key: written, "level": 2.1})
    assert (reading.field, reading.value, reading.time) == ("level", 2.1, NINE)


@pytest.mark.parametrize(
    "written",
    [600, "soon", "2026-06-01", "1999-12-31T23:59Z", 4_102_444_800, True, -1, "2026-13-01T00:00Z",
     "0001-01-01T00:00+23:59"],
)  # fmt: skip
def test_what_is_no_time_of_these_years_is_a_field_like_others(written: object) -> None:
    readings = flatten({"time": written, "level": 2.1})
    assert all(reading.time is None for reading in readings)
    assert [reading.field for reading in readings if reading.field != "time"] == ["level"]


def test_history_has_the_names_of_what_stands_beside_it() -> None:
    readings = flatten(
        {"level": 2.1, "history": [{"timestamp": 1780304400, "level": 2.0}, {"timestamp": 1780304700, "level": "1.9"}]}
    )
    assert [(each.field, each.value, None if each.time is None else each.time.minute) for each in readings] == [
        ("level", 2.1, None), ("level", 2.0, 0), ("level", 1.9, 5),
    ]  # fmt: skip


def test_other_series_keep_their_name_and_have_no_index() -> None:
    decoded = {"log": [{"time": "2026-06-01T09:00Z", "flow": {"value": 1, "unit": "m3/h"}, "in": {"p": 5}}]}
    assert [(each.field, each.value, each.time) for each in flatten(decoded)] == [
        ("log.flow", 1.0, NINE), ("log.in.p", 5.0, NINE),
    ]  # fmt: skip
    assert fields({"history": [{"time": "soon", "level": 1}]}) == {"history[0].level": 1.0}
    assert [each.field for each in flatten([{"time": "2026-06-01T09:00Z", "level": 1}])] == ["level"]


def test_a_value_with_its_unit_and_time() -> None:
    (reading,) = flatten({"level": {"value": 1, "unit": "m", "time": "2026-06-01T09:00Z"}})
    assert (reading.field, reading.time) == ("level", NINE)


def test_two_values_of_one_name_and_time_are_none() -> None:
    entry = {"time": "2026-06-01T09:00Z", "level": 1}
    (reading,) = flatten({"history": [entry, {**entry, "level": 2}]})
    assert reading.value is None and reading.problem == "there are two values called level"


def test_what_is_no_number_has_a_problem() -> None:
    first, second, third = flatten({"a": None, "b": [None], "c": "9" * 400}, holes=[["b", 0]])
    assert (first.value, first.problem) == (None, None)
    assert (second.value, second.problem) == (None, "b[0] is not a number")
    assert (third.value, third.problem) == (None, "c is too large a number")


@pytest.mark.parametrize(
    ("decoded", "words"),
    [
        (None, "nothing"), (2.1, "a number"), ("2.1", "a text"), (True, "true or false"),
        ({"__proto__": 1}, "__proto__"), ({"a\0": 1}, "no text"), ({"\udc00": 1}, "no text"),
        ({"k" * 300: 1}, "300 characters"),
        ({"a": list(range(MOST_READINGS + 1))}, "more than 1,000 values"),
    ],
)  # fmt: skip
def test_what_cannot_be_fields_is_refused(decoded: object, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        flatten(decoded)


@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner]])
def test_nesting_without_reason_is_refused(wrap: Any) -> None:
    node: Any = {"level": 1}
    for _ in range(10):
        node = wrap(node)
    assert len(flatten(node)) == 1
    for _ in range(20):
        node = wrap(node)
    with pytest.raises(CodecError, match="nested more than"):
        flatten(node)


def test_units_are_those_that_the_codec_states() -> None:
    decoded = {
        "level": {"value": 1, "unit": "m"},
        "in": {"t": {"value": "2", "units": "°C"}},
        "n": {"value": 1, "unit": None},
    }
    assert field_units(decoded) == {"level": "m", "in.t": "°C"}
    assert field_units(3) == {}


TIMES = {"time", "timestamp", "datetime", "date_time", "measured_at"}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["2026-06-01T09:00Z", "12.5"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["time", "value", "unit", "history", "level", "a.b", "__proto__", ""])
            | st.text(max_size=5),
            inner,
        )
    ),
    max_leaves=30,
)


@given(JSON)
def test_whatever_is_answered_becomes_readings_or_a_codec_error(decoded: object) -> None:
    try:
        readings = flatten(decoded)
    except CodecError:
        return
    assert len({(reading.field, reading.time) for reading in readings}) == len(readings)
    for reading in readings:
        assert reading.field
        reading.field.encode()
        assert "\0" not in reading.field
        assert reading.value is None or (reading.problem is None and math.isfinite(reading.value))
        assert reading.time is None or reading.time.tzinfo is UTC
    assert flatten(decoded) == readings
    assert set(field_units(decoded)) <= {reading.field for reading in readings} or not readings


PLAIN_KEYS = st.text(max_size=8).filter(lambda key: key.lower() not in TIMES | {"value", "unit", "units", "__proto__"})


@given(st.dictionaries(PLAIN_KEYS, st.floats(allow_nan=False, allow_infinity=False), max_size=8))
def test_names_of_different_places_differ(decoded: dict[str, float]) -> None:
    whole = {"data": decoded, "list": list(decoded.values()), **{f"x{key}": value for key, value in decoded.items()}}
    try:
        readings = flatten(whole)
    except CodecError:
        assert any("\0" in key for key in decoded)
        return
    assert len(readings) == 3 * len(decoded)
    assert all(reading.problem is None for reading in readings)

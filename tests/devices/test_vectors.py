"""A codec's examples, run and compared, and whether it may keep its context."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from devices.codecs.javascript import Limits, Sandbox, Vector, codec_of, run_vectors

ECHO = codec_of(
    "function decodeUplink(input) { const text = String.fromCharCode(...input.bytes); return eval('(' + text + ')'); }"
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(patience_seconds=60.0)) as made:
        yield made


def vector(text: str, expected: dict[str, Any], name: str = "one") -> Vector:
    return Vector(name, text.encode(), expected, 1)


AGREE = [
    ("{data: {a: 1, b: null, c: [1, 2]}}", {"data": {"a": 1, "c": [1, 2]}}),
    ("{data: {a: 1}}", {"data": {"a": 1, "b": None}, "warnings": [], "errors": []}),
    ("{data: {a: 1}, warnings: [], errors: []}", {"data": {"a": 1.0}}),
    ("{data: {a: 21.100000381469727}}", {"data": {"a": 21.1}}),
    ("{data: {a: 1e-12}}", {"data": {"a": 0}}),
    ("{data: {a: {}}}", {"data": {"a": {"b": None}}}),
    ("{errors: ['other words']}", {"errors": ["unknown port"]}),
    ("nowhere", {"errors": ["unknown port"]}),
    ("{data: {on: 'off'}}", {"data": {"on": "off"}}),
]
DIFFER = [
    ("{data: {a: 21.2}}", {"data": {"a": 21.1}}, "data.a: expected 21.1, got 21.2"),
    ("{data: {a: '21.1'}}", {"data": {"a": 21.1}}, 'data.a: expected 21.1, got "21.1"'),
    ("{data: {a: 1}}", {"data": {"a": True}}, "data.a: expected true, got 1"),
    ("{data: {}}", {"data": {"a": 0}}, "data.a: expected 0, got nothing"),
    ("{data: {a: 1, b: 2}}", {"data": {"a": 1}}, "data.b: expected nothing, got 2"),
    ("{data: {a: [1, 2]}}", {"data": {"a": [1]}}, "data.a: expected [1], got [1, 2]"),
    ("{data: {a: [1, {b: 2}]}}", {"data": {"a": [1, {"b": 3}]}}, "data.a[1].b: expected 3, got 2"),
    ("{data: {a: 1}, warnings: ['low']}", {"data": {"a": 1}}, 'warnings: expected nothing, got ["low"]'),
    ("{data: {a: 1}, errors: ['x']}", {"data": {"a": 1}}, 'the codec says: ["x"]'),
    ("{data: {a: 1}}", {"errors": ["x"]}, 'errors were expected (["x"]), there are none'),
    ("nowhere", {"data": {}}, "line 1 of the codec: ReferenceError: nowhere is not defined"),
]


@pytest.mark.parametrize(("text", "expected"), AGREE)
def test_what_agrees(sandbox: Sandbox, text: str, expected: dict[str, Any]) -> None:
    result = run_vectors(sandbox, ECHO, [vector(text, expected)])
    assert (result.passed, result.failed, result.failures) == (1, 0, ())


@pytest.mark.parametrize(("text", "expected", "reason"), DIFFER)
def test_what_differs_is_said_with_its_place(
    sandbox: Sandbox, text: str, expected: dict[str, Any], reason: str
) -> None:
    result = run_vectors(sandbox, ECHO, [vector("{data: {}}", {"data": {}}), vector(text, expected, "two")])
    assert (result.passed, result.failed) == (1, 1)
    (failure,) = result.failures
    assert (failure.name, failure.reason) == ("two", reason)
    assert result.to_json()["failures"][0]["expected"] == expected


def test_an_example_may_be_its_json_and_a_wrong_one_fails_by_itself(sandbox: Sandbox) -> None:
    codec = codec_of(
        "function decodeUplink(i) { return {data: {n: i.bytes, p: i.fPort, t: i.recvTime.getTime(), v: i.variables}}; }"
    )
    good = Vector(
        "all", b"\x01\xff", {"data": {"n": [1, 255], "p": 2, "t": 1780304400000, "v": {"a": "1"}}}, 2,
        datetime(2026, 6, 1, 9, tzinfo=UTC), {"a": "1"},
    )  # fmt: skip
    assert Vector.from_json(good.to_json()) == good
    wrong = [
        {}, {"input": {}, "output": {}}, {"input": {"bytes": [256]}, "output": {}},
        {"input": {"bytes": "0g"}, "output": {}}, {"input": {"bytes": [], "fPort": "x"}, "output": {}},
        {"input": {"bytes": [], "recvTime": "noon"}, "output": {}},
        {"input": {"bytes": [], "variables": 3}, "output": {}}, {"input": {"bytes": []}},
    ]  # fmt: skip
    result = run_vectors(sandbox, codec, [good.to_json(), *wrong])
    assert (result.passed, result.failed) == (1, len(wrong))
    assert all(failure.name.startswith("example ") and failure.reason for failure in result.failures)


def test_a_codec_that_completes_a_time_by_the_clock_is_run_at_the_time_of_its_example(sandbox: Sandbox) -> None:
    codec = codec_of(
        "function decodeUplink(i) { const now = new Date();"
        " return {data: {time: new Date(Date.UTC(now.getFullYear(), 0, 2, i.bytes[0])).toISOString()}}; }"
    )
    result = run_vectors(sandbox, codec, [Vector("t", b"\x05", {"data": {"time": "2026-01-02T05:00:00.000Z"}})])
    assert result.passed == 1


STATE = {
    "nothing kept": ("", "{data: {n: input.bytes.length}}", True),
    "a table made once": ("const t = [5, 6, 7];", "{data: {n: t[input.bytes.length % 3]}}", True),
    "a loose variable": ("", "(n = input.bytes.length, {data: {n}})", True),
    "a count": ("let n = 0;", "{data: {n: n++}}", False),
    "the last payload": ("let x = 0;", "(() => { const d = {x}; x = input.bytes[0]; return {data: d} })()", False),
    "members that pile up": ("const d = {};", "(d['k' + input.bytes[0]] = 1, {data: d})", False),
    "the first time": ("let first;", "{data: {t: first = first || Date.now()}}", False),
    "a changed prototype": (
        "const names = () => Object.keys(Array.prototype).length;",
        "(() => { const n = names(); Array.prototype['k' + input.bytes[0]] = 1; return {data: {n}} })()",
        False,
    ),
    "a sticky expression": ("const r = /[0-9]/g;", "{data: {n: r.test('12') ? 1 : 0}}", False),
}  # fmt: skip


@pytest.mark.parametrize("name", STATE)
def test_a_codec_is_stateless_when_one_decode_is_not_seen_in_the_next(sandbox: Sandbox, name: str) -> None:
    before, answer, stateless = STATE[name]
    codec = codec_of(f"{before}\nfunction decodeUplink(input) {{ return {answer}; }}")
    expected = sandbox.raw(codec, b"\x03\x04")
    result = run_vectors(sandbox, codec, [Vector("one", b"\x03\x04", expected)])
    assert result.stateless is stateless
    assert run_vectors(sandbox, codec, []).stateless is False

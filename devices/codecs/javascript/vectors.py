"""Does a codec give what its maker says it gives? Its examples, run and compared.

A vector agrees when its answer, as JSON, equals what is expected, with these liberties:

- members that are null, and `warnings` and `errors` that are empty, count as absent;
- numbers agree within a relative 1e-6 (1e-9 near zero): single precision against double;
- where errors are expected, it is enough that the codec states or throws some: their texts are not compared.

A vector that does not say when it was received is run a minute after the newest time that its expected answer names:
codecs that complete a short time from the device by the clock then mean the same year as their maker.

Whether a codec may keep its context is found out in the same run (`stateless`): every vector, and payloads made from
them (cut short, zeros, inverted), has the same answer in a context that is reused, there and back, as in a fresh one.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from devices.codecs.javascript.codec import JavaScriptCodec
from devices.codecs.javascript.sandbox import Answer, Request, Sandbox
from devices.model import CodecError

_MOST_PROBES = 200
_LONGEST_VALUE = 120
_DEEPEST = 16
_ISO = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Vector:
    """One example: a payload, and TS013's object that is expected for it.

    As JSON: {"name", "input": {"bytes": hexadecimal or list of numbers, "fPort", "recvTime", "variables"}, "output"}.
    """

    name: str
    payload: bytes
    expected: Mapping[str, Any]
    port: int | None = None
    time: datetime | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """The vector that was written so. ValueError: what is wrong with it."""
        given, expected = written.get("input"), written.get("output")
        if not isinstance(given, Mapping) or not isinstance(expected, Mapping):
            raise ValueError("an example needs an input and an output, each an object")
        payload, port, moment = given.get("bytes"), given.get("fPort"), given.get("recvTime")
        try:
            payload = bytes.fromhex(payload) if isinstance(payload, str) else bytes(payload)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ValueError("the bytes of the input must be a list of numbers from 0 to 255") from None
        if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 2**31):
            raise ValueError(f"fPort of the input is {port!r:.40}, not a number")
        time = None
        if moment is not None:
            try:
                time = datetime.fromisoformat(str(moment))
            except ValueError:
                raise ValueError(f"recvTime of the input is {moment!r:.40}, not a time") from None
            time = time if time.tzinfo else time.replace(tzinfo=UTC)
        variables = given.get("variables") or {}
        if not isinstance(variables, Mapping):
            raise ValueError("the variables of the input are no object")
        names = {str(key): str(value) for key, value in variables.items()}
        return cls(str(written.get("name") or ""), payload, expected, port, time, names)

    def to_json(self) -> dict[str, Any]:
        """The same, to be kept."""
        given: dict[str, Any] = {"bytes": self.payload.hex()}
        if self.port is not None:
            given["fPort"] = self.port
        if self.time is not None:
            given["recvTime"] = self.time.isoformat()
        if self.variables:
            given["variables"] = dict(self.variables)
        return {"name": self.name, "input": given, "output": dict(self.expected)}


@dataclass(frozen=True, slots=True)
class Failure:
    """A vector that does not agree: why, in words, and the two objects (`got` None: the codec failed)."""

    name: str
    reason: str
    expected: Mapping[str, Any]
    got: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class VectorsResult:
    """What came of a codec's vectors."""

    passed: int
    failed: int
    failures: tuple[Failure, ...]
    stateless: bool

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "passed": self.passed,
            "failed": self.failed,
            "stateless": self.stateless,
            "failures": [
                {"example": each.name, "reason": each.reason, "expected": each.expected, "got": each.got}
                for each in self.failures
            ],
        }


def run_vectors(
    sandbox: Sandbox, codec: JavaScriptCodec, vectors: Sequence[Vector | Mapping[str, Any]]
) -> VectorsResult:
    """Run the vectors, each in a fresh context, and compare; then see whether the codec is stateless.

    Vectors may be given as their JSON; one that is not what `Vector.from_json` takes has failed.
    """
    failures: list[Failure] = []
    good: list[Vector] = []
    for position, vector in enumerate(vectors, 1):
        if not isinstance(vector, Vector):
            try:
                vector = Vector.from_json(vector)
            except ValueError as error:
                failures.append(Failure(f"example {position}", str(error), {}, None))
                continue
        good.append(vector)
    fresh = replace(codec, stateless=False)
    for vector, answer in zip(good, sandbox.answers([_request(fresh, vector) for vector in good]), strict=True):
        reason = disagreement(vector.expected, answer)
        if reason is not None:
            got = None if isinstance(answer, CodecError) else answer.output
            failures.append(Failure(vector.name, reason, vector.expected, got))
    return VectorsResult(len(vectors) - len(failures), len(failures), tuple(failures), _stateless(sandbox, fresh, good))


def disagreement(expected: Mapping[str, Any], answer: Answer | CodecError) -> str | None:
    """In what an answer is not what was expected; None where it is."""
    expects_errors = bool(expected.get("errors"))
    if isinstance(answer, CodecError):
        return None if expects_errors else str(answer)
    got = answer.output
    if expects_errors:
        return None if got.get("errors") else f"errors were expected ({_shown(expected['errors'])}), there are none"
    if got.get("errors"):
        return f"the codec says: {_shown(got['errors'])}"
    return _difference(_plain(expected), _plain(got), "")


def _plain(output: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in output.items() if not (key in ("warnings", "errors") and not each)}


def _difference(expected: Any, got: Any, path: str) -> str | None:
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for key in [*expected, *(key for key in got if key not in expected)]:
            found = _difference(expected.get(key), got.get(key), f"{path}.{key}" if path else str(key))
            if found is not None:
                return found
        return None
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = zip(expected, got, strict=True)
        differences = (_difference(*pair, f"{path}[{index}]") for index, pair in enumerate(pairs))
        return next((each for each in differences if each is not None), None)
    if _is_number(expected) and _is_number(got):
        same = math.isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9)
    else:
        same = type(expected) is type(got) and bool(expected == got)
    return None if same else f"{path}: expected {_shown(expected)}, got {_shown(got)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    if value is None:
        text = "nothing"
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _request(codec: JavaScriptCodec, vector: Vector) -> Request:
    time = vector.time
    if time is None:
        newest = max(_times(vector.expected, 0), default=None)
        time = None if newest is None else newest + timedelta(minutes=1)
    return Request(codec, vector.payload, vector.port, time, vector.variables)


def _times(value: Any, depth: int) -> Iterator[datetime]:
    """The times of the years 2000 to 2099 that a value holds as ISO 8601 text."""
    if isinstance(value, str):
        if _ISO.match(value):
            with contextlib.suppress(ValueError):
                time = datetime.fromisoformat(value)
                yield time if time.tzinfo else time.replace(tzinfo=UTC)
    elif isinstance(value, (Mapping, list)) and depth < _DEEPEST:
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _times(each, depth + 1)


def _stateless(sandbox: Sandbox, codec: JavaScriptCodec, vectors: Sequence[Vector]) -> bool:
    """Whether nothing of one decode is seen in the next, as far as the vectors and what is made from them show."""
    requests: list[Request] = []
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for vector in vectors[:_MOST_PROBES]:
        payload = vector.payload
        for probe in (payload, payload[:-1], bytes(len(payload)), bytes(255 - byte for byte in payload)):
            # Another time each, so that one that is kept from an earlier decode is seen.
            time = start + timedelta(hours=len(requests))
            requests.append(Request(codec, probe, vector.port, time, vector.variables))
    requests = requests[:_MOST_PROBES]
    if not requests:
        return False
    alone = [_seen(answer) for answer in sandbox.answers(requests)]
    kept = [request._replace(codec=replace(codec, stateless=True)) for request in requests]
    there = [_seen(answer) for answer in sandbox.answers(kept)]
    back = [_seen(answer) for answer in sandbox.answers(kept[::-1])]
    return there == alone and back[::-1] == alone


def _seen(answer: Answer | CodecError) -> tuple[object, ...]:
    return (str(answer),) if isinstance(answer, CodecError) else (answer.output, answer.holes)

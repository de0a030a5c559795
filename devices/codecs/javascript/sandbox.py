"""The parent's end of the process that codecs run in: it asks, waits, and ends a process that does not come back.

A `Sandbox` is one process, started with the first decode and again after each end. Decodes go to it one frame at a
time, each with one or several; an answer that does not come is the end of the process, and of a frame of several each
is asked again alone, so that only the one that hangs fails. Several threads may use one sandbox; one waits for the
other.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import struct
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from devices.codecs.javascript.codec import JavaScriptCodec, Limits, UnloadableCodec
from devices.codecs.javascript.flatten import checked_key, flatten
from devices.codecs.javascript.scripts import ENTRIES, own_script, scripts_of
from devices.codecs.javascript.watch import Watch
from devices.codecs.javascript.words import in_words, unloadable
from devices.model import CodecError, Reading

_HERE = Path(__file__).parent
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_LARGEST_PAYLOAD = 64 * 1024  # bytes; what a datagram holds
_LONGEST_FRAME = 32  # decodes that are asked for at once
_START_SECONDS = 30.0
_LENGTH = struct.Struct("<I")
_SETTINGS = struct.Struct("<QQdQQI")
_LEARN = struct.Struct("<cIIII")
_DECODE = struct.Struct("<I?dI")
_LENGTHS = struct.Struct("<III")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class Request(NamedTuple):
    """One decode. `time`, the network's or else the reception time, is what the codec sees as the clock; None: 1970."""

    codec: JavaScriptCodec
    payload: bytes
    port: int | None = None
    time: datetime | None = None
    variables: Mapping[str, str] = _NO_VARIABLES


class Answer(msgspec.Struct, frozen=True):
    """What a codec answered: TS013's object (`data`, `errors`, `warnings`) as plain JSON values, the first lines that
    it printed, and the paths in it where it had NaN or Infinity (null in JSON).
    """

    output: dict[str, Any]
    console: list[str] = []
    holes: list[list[str | int]] = []


class _Gone(Exception):
    """The process has ended, or was ended, before it answered."""


class Sandbox:
    """Runs codecs in a process of its own. `decode` and `raw` raise CodecError and nothing else, whatever the codec
    does; the sandbox is usable afterwards. Close it, or use it in a `with` statement.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process that runs now; None before the first decode and after an end."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process. What is asked for later fails."""
        with self._lock:
            self._closed = True
            self._end()

    def decode(
        self,
        codec: JavaScriptCodec,
        payload: bytes,
        port: int | None = None,
        time: datetime | None = None,
        variables: Mapping[str, str] = _NO_VARIABLES,
    ) -> tuple[Reading, ...]:
        """The readings of a payload (`flatten`). CodecError: in words, with the codec's line where that is known."""
        return readings_of(self._one(Request(codec, payload, port, time, variables)))

    def raw(
        self,
        codec: JavaScriptCodec,
        payload: bytes,
        port: int | None = None,
        time: datetime | None = None,
        variables: Mapping[str, str] = _NO_VARIABLES,
    ) -> dict[str, Any]:
        """The object as the codec returned it (`data`, `errors`, `warnings`), as plain JSON values; the answer of a
        codec of the older kinds stands under `data`. Errors that the codec states are part of it, not raised.
        """
        return self._one(Request(codec, payload, port, time, variables)).output

    def answers(self, requests: Sequence[Request]) -> list[Answer | CodecError]:
        """Many decodes, in order, with fewer ways to and fro: for whole folders, imports and replays."""
        results: list[Answer | CodecError] = []
        size = min(_LONGEST_FRAME, self._limits.codecs)
        for start in range(0, len(requests), size):
            results += self._frame(requests[start : start + size])
        return results

    def _one(self, request: Request) -> Answer:
        (answer,) = self._frame((request,))
        if isinstance(answer, CodecError):
            raise answer
        return answer

    def _frame(self, requests: Sequence[Request], *, again: bool = True) -> list[Answer | CodecError]:
        with self._lock:
            if self._closed:
                return [CodecError("the sandbox of codecs is closed")] * len(requests)
            try:
                return self._asked(requests)
            except _Gone as error:
                mine = self._process is not None and self._process.was_ended
                self._end()
                if len(requests) == 1 and (mine or not again):
                    return [CodecError(str(error))]
            except OSError as error:
                self._end()
                return [CodecError(f"the process for codecs does not start: {error}")] * len(requests)
        # One of them was the end of the process: each alone, so that the others have their answer. One that was alone
        # may have been ended from outside (memory of the machine): once more.
        alone = len(requests) == 1
        return [answer for request in requests for answer in self._frame((request,), again=not alone)]

    def _asked(self, requests: Sequence[Request]) -> list[Answer | CodecError]:
        decodes: list[_Decode | CodecError] = [_decode(request) for request in requests]
        good = [decode for decode in decodes if isinstance(decode, _Decode)]
        answers: Iterator[Answer | CodecError] = iter(())
        if good:
            if self._process is None:
                self._process = _Process(self._limits)
            answers = iter(self._process.ask(good))
        return [next(answers) if isinstance(decode, _Decode) else decode for decode in decodes]

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


def check_loads(sandbox: Sandbox, codec: JavaScriptCodec) -> None:
    """UnloadableCodec, with the line where there is one, for a codec that decodes nothing whatever it is given."""
    (answer,) = sandbox.answers([Request(codec, b"\0", 1)])
    if isinstance(answer, UnloadableCodec):
        raise answer


def readings_of(answer: Answer) -> tuple[Reading, ...]:
    """The readings of an answer. CodecError when the codec states errors, or has neither data nor errors."""
    output = answer.output
    errors = output.get("errors")
    if errors:
        said = errors if isinstance(errors, list) else [errors]
        raise CodecError(f"the codec says: {'; '.join(str(each)[:200] for each in said[:5])}")
    if output.get("data") is None:
        raise CodecError("the codec answered neither data nor errors")
    return flatten(output["data"], holes=[path[1:] for path in answer.holes if path[:1] == ["data"]])


class _Process:
    """One run of child.py, and what it knows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: OrderedDict[str, int] = OrderedDict()
        self._next = 0
        command = [sys.executable, "-I", "-S", str(_HERE / "child.py"), _engine_folder()]
        # A zone of its own, so that the machine's is not to be seen; Windows finds its libraries by SYSTEMROOT.
        environment = {"TZ": "UTC0", **{key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ}}
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            cwd=os.sep,
            start_new_session=True,
        )
        assert self._child.stdin is not None and self._child.stdout is not None
        self.pid = self._child.pid
        self._in, self._out = self._child.stdin.fileno(), self._child.stdout.fileno()
        self._watch = Watch(self._child, limits)
        self._watch.start(1, patience=_START_SECONDS)
        try:
            self._write(_settings_frame(limits))
            self._read()
        except (OSError, _Gone):
            self.end()
            raise _Gone("the process for codecs does not start") from None
        finally:
            self._watch.stop()

    def ask(self, decodes: Sequence[_Decode]) -> list[Answer | CodecError]:
        """The answers, in order. _Gone when the process ends first."""
        before: list[bytes] = []
        parts = [b"D"]
        for decode in decodes:
            number = self._known.get(decode.codec.sha256)
            if number is None:
                number = self._learn(decode.codec, before)
            else:
                self._known.move_to_end(decode.codec.sha256)
            parts.append(_DECODE.pack(number, decode.codec.stateless, decode.milliseconds, len(decode.given)))
            parts.append(decode.given)
        self._watch.start(len(decodes))
        try:
            for frame in (*before, b"".join(parts)):
                self._write(frame)
            reply = self._read()
        except (OSError, _Gone):
            raise _Gone(self._watch.verdict()) from None
        finally:
            self._watch.stop()
        return [_answer(letter, texts, self._limits) for letter, texts in _replies(reply)]

    def _learn(self, codec: JavaScriptCodec, before: list[bytes]) -> int:
        number = self._next
        self._next += 1
        self._known[codec.sha256] = number
        texts = [text.encode("utf-8", "replace") for text in scripts_of(codec.source)]
        before.append(_LEARN.pack(b"L", number, *map(len, texts)) + b"".join(texts))
        if len(self._known) > self._limits.codecs:
            before.append(b"F" + _LENGTH.pack(self._known.popitem(last=False)[1]))
        return number

    def _write(self, frame: bytes) -> None:
        rest = memoryview(_LENGTH.pack(len(frame)) + frame)
        while rest:
            rest = rest[os.write(self._in, rest) :]

    def _read(self) -> bytes:
        """The next frame. _Gone where it ends."""
        part = os.read(self._out, 1 << 16)
        parts, have = [part], len(part)
        while part and (have < 4 or have < 4 + _LENGTH.unpack(b"".join(parts)[:4])[0]):
            part = os.read(self._out, 1 << 20)
            parts.append(part)
            have += len(part)
        if not part:
            raise _Gone("the process for codecs ended")
        return b"".join(parts)[4:]

    @property
    def was_ended(self) -> bool:
        """Whether it took so long that it was ended."""
        return self._watch.ended

    def end(self) -> None:
        self._watch.close()
        with contextlib.suppress(OSError):
            self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._child.wait()


class _Decode(NamedTuple):
    """A request as the process gets it: `given` is TS013's input as JSON, without its time."""

    codec: JavaScriptCodec
    given: bytes
    milliseconds: float


def _decode(request: Request) -> _Decode | CodecError:
    codec, payload, port, time, variables = request
    if len(payload) > _LARGEST_PAYLOAD:
        return CodecError(f"the payload has {len(payload):,} bytes, at most {_LARGEST_PAYLOAD:,} are decoded")
    try:
        milliseconds = 0.0 if time is None else time.timestamp() * 1000.0
        named = msgspec.json.encode(dict(variables)) if variables else b"{}"
    except (ValueError, TypeError, OverflowError) as error:
        return CodecError(f"the codec's time or variables cannot be handed to it: {error}")
    written = b"null" if port is None else b"%d" % port
    return _Decode(codec, b'{"bytes":%a,"fPort":%b,"variables":%b}' % (list(payload), written, named), milliseconds)


def _replies(frame: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    at = 0
    while at < len(frame):
        letter = frame[at : at + 1]
        sizes = _LENGTHS.unpack_from(frame, at + 1)
        at += 1 + _LENGTHS.size
        texts = []
        for size in sizes:
            texts.append(frame[at : at + size])
            at += size
        yield letter, texts


_OBJECT = msgspec.json.Decoder(dict[str, Any])
_HOLES = msgspec.json.Decoder(list[list[str | int]])
_LINES = msgspec.json.Decoder(list[str])
_INSTEAD = {"undefined": "nothing", "promise": "a promise", "boolean": "true or false"}


def _answer(letter: bytes, texts: list[bytes], limits: Limits) -> Answer | CodecError:
    text, holes, lines = texts
    if letter == b"J":
        try:
            if b"\\u0000" in text or b"\\ud" in text or b"__proto__" in text:
                output = _cleaned(json.loads(text))
            else:
                output = _OBJECT.decode(text)
            return Answer(output, _LINES.decode(lines) if lines else [], _HOLES.decode(holes) if holes else [])
        except CodecError as error:
            return error
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return CodecError("the codec answered what cannot be read as JSON, or is nested too deep")
    words = text.decode("utf-8", "replace")
    if letter == b"W":
        what = _INSTEAD.get(words, f"a {words}" if words in ("string", "function", "symbol", "bigint") else words)
        return CodecError(f"the codec returned {what}; it must return an object with the values as data")
    if letter == b"E":
        return UnloadableCodec(f"the codec has none of the functions {', '.join(ENTRIES)}")
    if letter == b"S":
        return UnloadableCodec(unloadable(words, limits))
    return CodecError(in_words(words, words, limits))


def _cleaned(node: Any) -> Any:
    """The same with checked keys, and with U+FFFD for what no text can hold (NUL, halves of surrogate pairs)."""
    if isinstance(node, dict):
        return {checked_key(key): _cleaned(each) for key, each in node.items()}
    if isinstance(node, list):
        return [_cleaned(each) for each in node]
    return _NO_TEXT.sub("\ufffd", node) if isinstance(node, str) else node


def _settings_frame(limits: Limits) -> bytes:
    numbers = limits.heap, limits.stack, limits.cpu_seconds, limits.address_space
    return _SETTINGS.pack(*numbers, limits.result, limits.contexts) + own_script("holes.js").encode()


@lru_cache(maxsize=1)
def _engine_folder() -> str:
    found = importlib.util.find_spec("_quickjs")
    if found is None or found.origin is None:
        raise OSError("the package quickjs-ng is not installed")
    return str(Path(found.origin).parent)

"""What the engine says, in words for people: what is wrong, and on which line of the codec."""

from __future__ import annotations

import re

from devices.codecs.javascript.codec import Limits

# "at decode (<input>:12:7)", "at <input>:3:1"; our own prelude calls itself mimamori, the Buffer stands far below.
_FRAME = re.compile(r"at (?:(?P<name>.*?) \()?<input>:(?P<line>\d+)")
OWN_LINES = 20_000  # what stands below is ours: the Buffer
_LONGEST = 300


def in_words(thrown: str, stack: str, limits: Limits) -> str:
    """What a codec, or the engine in it, has thrown."""
    first = _first_line(thrown)
    if "InternalError: interrupted" in thrown:
        first = f"it was stopped after {limits.cpu_seconds:g} s of computing (an endless loop?)"
    elif "out of memory" in thrown or thrown.startswith("MemoryError"):
        first = f"it needs more than {limits.heap // 2**20} MB of memory"
    elif "Maximum call stack size exceeded" in thrown or "stack overflow" in thrown:
        first = "its calls are nested too deep (a function that calls itself without end?)"
    elif first == "null":  # what is left to throw where there is no memory for an error
        first = f"it threw null, as happens when more than {limits.heap // 2**20} MB of memory are needed"
    elif thrown.startswith("(Failed obtaining") or not first:
        first = "it threw something that cannot be printed"
    line = _line(stack)
    return f"{'the codec' if line is None else f'line {line} of the codec'}: {first}"


def unloadable(thrown: str, limits: Limits) -> str:
    """Why a codec's source does not load."""
    if not thrown.startswith("SyntaxError"):
        return in_words(thrown, thrown, limits)
    line = _line(thrown)
    where = "the codec" if line is None else f"line {line} of the codec"
    return f"{where} is not JavaScript: {_first_line(thrown).removeprefix('SyntaxError: ')}"


def _first_line(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in line)
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"


def _line(stack: str) -> int | None:
    for frame in _FRAME.finditer(stack):
        line = int(frame["line"][:8])
        if frame["name"] != "mimamori" and line < OWN_LINES:
            return line
    return None

"""`mimamori bench codecs`: how fast manufacturers' JavaScript decodes in its process, and what that costs in memory.

Decoded are messages of a water level logger (`level_logger.js`, 150 lines: five fields with units, or a history of
eight, or a status, or an alarm, each with a checksum), or with `--dir` the examples of a folder of codecs in turn.

    isolated, reused         a fresh context for each decode; the context kept, as for a codec proven stateless
      per_core               decodes in a second of processor time, of this process and the codecs' together
      per_second             decodes in a second of the clock, asked for in frames
      single_per_second      the same, each asked for when the one before has been answered
    rss_mb                   memory of the codecs' process: before the first codec (`empty`), with one (`one_codec`),
                             and what each other codec whose context is kept adds (`each_codec`)
    within_limits            per_core and memory are within `LIMITS`

Everything is read to the end: the process's answer is parsed and flattened into readings, as ingest does it.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from devices.codecs.folders import read_folder
from devices.codecs.javascript import JavaScriptCodec, Request, Sandbox, codec_of
from devices.codecs.javascript.sandbox import readings_of
from devices.model import CodecError
from mimamori.errors import InputError

LIMITS = {"isolated_per_core": 2000, "reused_per_core": 10_000, "empty_mb": 20.0, "each_codec_mb": 1.0}
_MANY = 24  # codecs whose memory is compared with that of one

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CodecsBench:
    """`decodes` of each kind in each of `rounds`; `folder` of codecs instead of our own."""

    decodes: int
    rounds: int
    folder: Path | None


def measure(bench: CodecsBench, progress: Progress) -> dict[str, Any]:
    """The figures, as the module's docstring names them. InputError: the folder has no examples."""
    began = clock.monotonic()
    requests = _own() if bench.folder is None else _of_folder(bench.folder)
    requests = [requests[number % len(requests)] for number in range(bench.decodes)]
    rounds = []
    with Sandbox() as sandbox:
        for number in range(bench.rounds):
            progress(number, bench.rounds)
            rounds.append(
                {
                    "isolated": _measured(sandbox, requests, stateless=False),
                    "reused": _measured(sandbox, requests, stateless=True),
                }
            )
    progress(bench.rounds, bench.rounds)
    best = {
        way: {figure: round(max(each[way][figure] for each in rounds)) for figure in rounds[0][way]}
        for way in ("isolated", "reused")
    }
    memory = _memory(requests[0].codec)
    within = (
        best["isolated"]["per_core"] >= LIMITS["isolated_per_core"]
        and best["reused"]["per_core"] >= LIMITS["reused_per_core"]
        and memory["empty"] <= LIMITS["empty_mb"]
        and memory["each_codec"] <= LIMITS["each_codec_mb"]
    )
    return {
        "decodes": bench.decodes,
        "codecs": len({request.codec.sha256 for request in requests}),
        **best,
        "rounds": [{way: {name: round(value) for name, value in each[way].items()} for way in each} for each in rounds],
        "rss_mb": memory,
        "limits": LIMITS,
        "within_limits": within,
        "seconds": round(clock.monotonic() - began, 1),
    }


def rows(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """The figures as lines of a table: what, how much, the limit."""
    limits, memory = figures["limits"], figures["rss_mb"]
    lines = []
    for way, words in (("isolated", "a fresh context for each"), ("reused", "the context kept")):
        each = figures[way]
        lines += [
            (f"{words}: decodes a second and core", f"{each['per_core']:,}", f"≥ {limits[f'{way}_per_core']:,}"),
            ("… a second, asked for in frames", f"{each['per_second']:,}", ""),
            ("… a second, one by one", f"{each['single_per_second']:,}", ""),
        ]
    return [
        *lines,
        ("memory of the process before the first codec, MB", f"{memory['empty']:.1f}", f"≤ {limits['empty_mb']:g}"),
        ("… with one", f"{memory['one_codec']:.1f}", ""),
        ("… more for each other codec", f"{memory['each_codec']:.2f}", f"≤ {limits['each_codec_mb']:g}"),
    ]


def _measured(sandbox: Sandbox, requests: Sequence[Request], *, stateless: bool) -> dict[str, float]:
    asked = [each._replace(codec=replace(each.codec, stateless=stateless)) for each in requests]
    sandbox.answers(asked[:64])  # the process is up
    busy, began = _processor(sandbox), clock.perf_counter()
    for answer in sandbox.answers(asked):
        if not isinstance(answer, CodecError) and not answer.output.get("errors"):
            readings_of(answer)
    seconds, busy = clock.perf_counter() - began, _processor(sandbox) - busy
    single = asked[: max(1, len(asked) // 4)]
    began = clock.perf_counter()
    for each in single:
        try:
            sandbox.decode(each.codec, each.payload, each.port, each.time)
        except CodecError:  # an example of what is no message
            continue
    single_seconds = clock.perf_counter() - began
    return {
        "per_core": len(asked) / busy,
        "per_second": len(asked) / seconds,
        "single_per_second": len(single) / single_seconds,
    }


def _processor(sandbox: Sandbox) -> float:
    """Seconds of processor time that this process and the codecs' have used."""
    times = psutil.Process(sandbox.pid).cpu_times()
    return clock.process_time() + float(times.user + times.system)


def _memory(codec: JavaScriptCodec) -> dict[str, float]:
    """MB of the codecs' process: empty, with one codec, and more for each other one that is kept ready."""
    nothing = codec_of("function decodeUplink(input) { return {data: {}}; }")
    others = [codec_of(f"{codec.source}\n// {number}") for number in range(_MANY)]
    with Sandbox() as sandbox:
        _used(sandbox, nothing)
        empty = _rss(sandbox)
        _used(sandbox, codec)
        one = _rss(sandbox)
        for other in others:
            _used(sandbox, other)
        many = _rss(sandbox)
    return {
        "empty": round(empty, 1),
        "one_codec": round(one, 1),
        "each_codec": round((many - one) / _MANY, 2),
    }


def _used(sandbox: Sandbox, codec: JavaScriptCodec) -> None:
    sandbox.answers([Request(replace(codec, stateless=True), b"\0" * 8, 1)])


def _rss(sandbox: Sandbox) -> float:
    return float(psutil.Process(sandbox.pid).memory_info().rss) / 1e6


def _of_folder(folder: Path) -> list[Request]:
    with Sandbox() as sandbox:
        contents = read_folder(folder, sandbox, models=False)
    requests = [
        Request(each.codec, vector.payload, vector.port, vector.time, vector.variables)
        for each in contents.codecs
        for vector in each.vectors
    ]
    if not requests:
        raise InputError(f"{folder} has no codec with examples; `mimamori devices check` says why")
    return requests


def _own() -> list[Request]:
    codec = codec_of((Path(__file__).parent / "level_logger.js").read_bytes())
    return [Request(codec, body + _checksum(body).to_bytes(2, "big"), port) for port, body in _messages()]


def _messages() -> list[tuple[int, bytes]]:
    """A measurement, a history, a status and an alarm, as often as a logger sends them."""
    measurement = bytes.fromhex("0104d20305dc04071c05278f080e10")
    history = bytes.fromhex("016a1d2f80012c") + b"".join((1200 + step).to_bytes(2, "big") for step in range(8))
    status = bytes.fromhex("01040002020e100d80")
    alarm = b"\x01" + bytes.fromhex("010a28080d48")
    return [*[(1, measurement)] * 6, (2, history), (2, history), (3, status), (4, alarm)]


def _checksum(body: bytes) -> int:
    """CRC-16/CCITT-FALSE."""
    rest = 0xFFFF
    for byte in body:
        rest ^= byte << 8
        for _ in range(8):
            rest = (rest << 1 ^ 0x1021 if rest & 0x8000 else rest << 1) & 0xFFFF
    return rest

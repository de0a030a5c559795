"""What a codec in JavaScript is, and how far it may go."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from devices.model import CodecError

LARGEST_SOURCE = 2**20  # bytes of UTF-8; the largest manufacturers' codecs have about 100 kB


class UnloadableCodec(CodecError):
    """The source does not load, or has none of the functions by which codecs are called: it decodes nothing, ever."""


@dataclass(frozen=True, slots=True)
class JavaScriptCodec:
    """A manufacturer's codec, unmodified. `sha256` (hexadecimal) is of `source` in UTF-8 and is what it is known by.

    `stateless`: its answers were shown not to depend on earlier decodes (`vectors.run_vectors`), so it may keep its
    context; any other gets a fresh one for each decode.
    """

    source: str
    sha256: str
    stateless: bool = False


def codec_of(source: bytes | str, *, stateless: bool = False) -> JavaScriptCodec:
    """The codec that a file holds. CodecError when it is too large, not UTF-8, or has characters no script has."""
    if isinstance(source, str):
        source = source.encode("utf-8", "surrogatepass")
    if len(source) > LARGEST_SOURCE:
        raise CodecError(f"the codec has {len(source):,} bytes, at most {LARGEST_SOURCE:,} are taken")
    sha256 = hashlib.sha256(source).hexdigest()
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise CodecError(f"line {line} of the codec is not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CodecError(f"line {line} of the codec has a NUL character; this is no JavaScript file")
    return JavaScriptCodec(text, sha256, stateless)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a decode may use. Seconds of computing time are counted by the engine, which stops there; what the engine
    cannot stop (a few functions of its own) ends with its process when nothing has come back after `wall_seconds` and
    the process has used up `cpu_seconds`; after `patience_seconds` in any case (a machine may be that busy).
    """

    heap: int = 16 * 2**20
    stack: int = 256 * 2**10
    cpu_seconds: float = 0.25
    wall_seconds: float = 1.0
    patience_seconds: float = 10.0
    result: int = 2**18  # characters of JSON that a codec may answer
    address_space: int = 512 * 2**20  # of the process
    contexts: int = 32  # codecs whose next context is made ahead, or which keep theirs
    codecs: int = 128  # sources that the process knows

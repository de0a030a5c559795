"""Strict JSON for the envelopes: whatever is wrong with a message becomes an EnvelopeError in plain words."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TypeVar

import msgspec

from devices.model import EnvelopeError

T = TypeVar("T")
W = TypeVar("W")

_HEX = re.compile(r"([0-9A-Fa-f]{2})*")


def decode(raw: bytes, decoder: msgspec.json.Decoder[T], network: str) -> T:
    """`raw` as the decoder's type. Text for numbers, bool for numbers, NaN, Infinity, wrong types, JSON that is cut
    off or nested too deeply, and text that is not UTF-8 raise EnvelopeError. Keys that the type does not have
    are skipped unread.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise EnvelopeError(f"{network}: the message does not have the documented shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnvelopeError(f"{network}: the message is not JSON in UTF-8: {error}") from None
    except RecursionError:
        raise EnvelopeError(f"{network}: the message is nested too deeply") from None


def decode_either(raw: bytes, whole: msgspec.json.Decoder[W], needed: msgspec.json.Decoder[T], network: str) -> W | T:
    """`raw` as the first type, or, where something that can be done without has the wrong shape, as the second."""
    try:
        return whole.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode(raw, needed, network)


def known(raw: msgspec.Raw) -> bytes | None:
    """A piece of a message, as it stood there; None where it was absent or null."""
    said = bytes(raw)
    return said if said and said != b"null" else None


def from_base64(text: str, where: str) -> bytes:
    """The bytes of a base64 text; EnvelopeError says `where` it stood."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeError(f"{where} is not base64: {shown(text)}") from None


def from_hex(text: str, where: str) -> bytes:
    """The bytes of a text in hex, of either case; EnvelopeError says `where` it stood."""
    if not _HEX.fullmatch(text):
        raise EnvelopeError(f"{where} is not hex: {shown(text)}")
    return bytes.fromhex(text)


def shown(text: str) -> str:
    """Somebody else's text for an error message: short, and without control characters."""
    return repr(text if len(text) <= 40 else text[:40] + "…")

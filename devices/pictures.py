"""A photo from outside: is it really a picture of a kind that we show, and what a camera wrote beside it taken off.

    cleaned(data) -> Picture

JPEG and PNG are walked through piece by piece. Only the pieces that make the picture stay, so that neither the place
and the owner of a phone (EXIF) nor anything hidden behind the picture's end is stored or served. PictureError, in words
with a `code`, for what is no picture, is broken off, or has more pixels than a browser should be asked to draw.

    kind     neither JPEG nor PNG
    broken   it ends in the middle, or is not built as its format demands
    pixels   more than MOST_PIXELS
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from devices.model import DevicesError

MOST_PIXELS = 50_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
# What a PNG needs to look as it does; text, times and anything private goes.
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"pHYs"}
)
_SENTENCES = {
    "kind": "this is no JPEG or PNG picture",
    "broken": "this picture is broken or not whole; take it again, or save it anew",
    "pixels": "this picture has more than 50 million pixels; make it smaller",
}


class PictureError(DevicesError):
    """Not a picture that we show."""

    def __init__(self, code: str) -> None:
        super().__init__(_SENTENCES[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture without anything beside it."""

    media_type: str
    data: bytes
    width: int
    height: int


def cleaned(data: bytes) -> Picture:
    """The picture itself. PictureError where it is none."""
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    raise PictureError("kind")


def _sized(media_type: str, data: bytes, width: int, height: int) -> Picture:
    if width < 1 or height < 1:
        raise PictureError("broken")
    if width * height > MOST_PIXELS:
        raise PictureError("pixels")
    return Picture(media_type, data, width, height)


def _png(data: bytes) -> Picture:
    kept = [_PNG]
    at, size = len(_PNG), (0, 0)
    drawn = False
    while True:
        if at + 12 > len(data):
            raise PictureError("broken")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data) or struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(data[at + 4 : end - 4]):
            raise PictureError("broken")
        if at == len(_PNG):
            if kind != b"IHDR" or length != 13:
                raise PictureError("broken")
            size = struct.unpack_from(">II", data, at + 8)
        drawn = drawn or kind == b"IDAT"
        if kind in _PNG_KEPT:
            kept.append(data[at:end])
        elif not kind[0] & 0x20:  # it says itself that the picture is none without it
            raise PictureError("broken")
        if kind == b"IEND":
            break
        at = end
    if not drawn:
        raise PictureError("broken")
    return _sized("image/png", b"".join(kept), *size)


def _jpeg(data: bytes) -> Picture:
    kept = [b"\xff\xd8"]
    at = 2
    size: tuple[int, int] | None = None
    turned = b""
    while True:
        while at + 1 < len(data) and data[at] == 0xFF and data[at + 1] == 0xFF:
            at += 1  # filling
        if at + 4 > len(data) or data[at] != 0xFF:
            raise PictureError("broken")
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(data) or marker in (0x00, 0x01, 0xD8, 0xD9) or 0xD0 <= marker <= 0xD7:
            raise PictureError("broken")
        if marker == 0xE1 and not turned:
            turned = _turned(data[at + 4 : end])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if length < 8 or size is not None:
                raise PictureError("broken")
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = (width, height)
        # APP0 (JFIF), APP2 (colours) and APP14 (Adobe's colours) say how it looks; the other APPs and comments do not.
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in (0xE0, 0xE2, 0xEE):
            kept.append(data[at:end])
        at = end
        if marker == 0xDA:
            if size is None:
                raise PictureError("broken")
            at = _scan_end(data, at)
            kept.append(data[end:at])
            if data[at + 1] == 0xD9:
                kept.append(b"\xff\xd9")
                break
    if turned:
        kept.insert(1, turned)
    return _sized("image/jpeg", b"".join(kept), *size)


def _scan_end(data: bytes, at: int) -> int:
    """Where the next marker behind the picture's own bytes stands."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise PictureError("broken")
        following = data[at + 1]
        if following == 0x00 or 0xD0 <= following <= 0xD7:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at


def _turned(exif: bytes) -> bytes:
    """An EXIF segment that says nothing but which way up the picture is; empty where that is as it should be."""
    if not exif.startswith(b"Exif\x00\x00") or len(exif) < 16:
        return b""
    tiff = exif[6:]
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return b""
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, first)
        for n in range(min(entries, 100)):
            tag, kind, count, way = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * n)
            if (tag, kind, count) == (0x0112, 3, 1) and 2 <= way <= 8:
                body = b"Exif\x00\x00MM\x00*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, way, 0, 0)
                return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    except struct.error:
        return b""
    return b""

"""Pictures as telephones make them, for tests: with the place in their EXIF, on their side, too large."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

SECRET = b"35.123456 secret owner"


def picture(
    width: int = 640, height: int = 480, kind: str = "JPEG", *, orientation: int | None = None, **options: Any
) -> bytes:
    """Red above, blue below, with the words SECRET in everything that can hold words."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (0, height // 2, width, height))
    exif = Image.Exif()
    exif[0x010F] = SECRET.decode()
    if orientation is not None:
        exif[0x0112] = orientation
    if kind == "JPEG":
        options |= {"comment": SECRET}
    out = io.BytesIO()
    image.save(out, kind, exif=exif, **options)
    assert SECRET in out.getvalue()
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises so many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\x00" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

"""A photo from a telephone -> a small JPEG that says nothing but what it shows.

    reduced(data, longest=LONGEST) -> Photo(image, thumbnail, width, height)

It is turned upright, made smaller (longest side LONGEST pixels, or what is asked), drawn anew on white, and written
without anything that came beside it: no place, no time, no owner (EXIF), no comment, no colour profile. JPEG, PNG and
WebP are read, decided by their first bytes; of a moving picture the first. HEIC is not: no decoder of it is installed.
PhotoError, in words with a `code`:

    kind     none of these formats
    broken   it ends in the middle, or cannot be decoded
    pixels   more than MOST_PIXELS of its format: its header says so, and nothing is decoded
    large    more than MOST_BYTES

Pillow decodes: a JPEG at a fraction of its size, the others whole. Whoever calls this from many threads bounds how many
photos are decoded at once (`api.pages.field_form`).
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from types import MappingProxyType

from PIL import Image, ImageOps

from devices.model import DevicesError

LONGEST, THUMBNAIL = 1600, 240  # pixels
MOST_BYTES = 15_000_000
MOST_PIXELS = MappingProxyType({"JPEG": 50_000_000, "PNG": 16_000_000, "WEBP": 16_000_000})
_QUALITY = 80
_SENTENCES = {
    "kind": "this is no JPEG, PNG or WebP picture",
    "broken": "this picture is broken or not whole; take it again",
    "pixels": "this picture has too many pixels; make it smaller",
    "large": "this picture has more than 15 MB; make it smaller",
}
# What Pillow raises at pictures that are not what they say.
_FAULTS = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError)

# Above it Pillow warns, above twice as much it refuses; both before it decodes, and both are `pixels` here.
Image.MAX_IMAGE_PIXELS = max(MOST_PIXELS.values())


class PhotoError(DevicesError):
    """Not a photo that we keep."""

    def __init__(self, code: str) -> None:
        super().__init__(_SENTENCES[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class Photo:
    """JPEGs: the picture, `width` by `height` pixels, and a small one of it."""

    image: bytes
    thumbnail: bytes
    width: int
    height: int


def reduced(data: bytes, longest: int = LONGEST) -> Photo:
    """The photo as it is kept, no longer than so many pixels. PhotoError where it is none."""
    if len(data) > MOST_BYTES:
        raise PhotoError("large")
    kind = _kind(data)
    if kind is None:
        raise PhotoError("kind")
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as opened:
            if opened.width * opened.height > MOST_PIXELS[kind]:
                raise PhotoError("pixels")
            return _drawn(opened, longest)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoError("pixels") from None
    except _FAULTS:
        raise PhotoError("broken") from None


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _drawn(opened: Image.Image, most: int) -> Photo:
    longest = max(opened.size)
    # A JPEG is decoded at half, a quarter or an eighth of its size, which is the most of the memory saved.
    opened.draft("RGB", (max(1, opened.width * most // longest), max(1, opened.height * most // longest)))
    opened.thumbnail((most, most), Image.Resampling.LANCZOS, reducing_gap=None)
    upright = _upright(opened)
    # Onto an empty sheet: what was beside the picture stays behind, and what is transparent is white.
    sheet = Image.new("RGB", upright.size, "white")
    if upright.has_transparency_data:
        clear = upright.convert("RGBA")
        sheet.paste(clear, mask=clear)
    else:
        sheet.paste(upright.convert("RGB"))
    small = sheet.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return Photo(_jpeg(sheet), _jpeg(small), *sheet.size)


def _upright(opened: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(opened)
    except _FAULTS:  # what the camera wrote beside it is damaged: the picture need not be
        return opened


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()

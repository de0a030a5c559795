"""A photo is small, upright, and says nothing but what it shows; what is none is refused before it costs anything."""

from __future__ import annotations

import io
import random
from contextlib import suppress

import pytest
from PIL import Image

from devices.photos import LONGEST, MOST_BYTES, MOST_PIXELS, THUMBNAIL, PhotoError, reduced
from tests.photos import SECRET, bomb, opened, picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_stays_of_what_stood_beside_the_picture(kind: str) -> None:
    photo = reduced(picture(kind=kind))
    for data in (photo.image, photo.thumbnail):
        assert SECRET not in data and b"Exif" not in data and b"secret" not in data
        kept = opened(data)
        assert kept.format == "JPEG" and not kept.getexif() and "comment" not in kept.info
    assert (photo.width, photo.height) == opened(photo.image).size == (640, 480)
    assert max(opened(photo.thumbnail).size) == THUMBNAIL


@pytest.mark.parametrize(
    ("orientation", "turned", "top"), [(1, False, "red"), (3, False, "blue"), (6, True, "left"), (8, True, "left")]
)
def test_it_stands_upright(orientation: int, turned: bool, top: str) -> None:
    photo = reduced(picture(orientation=orientation))
    assert (photo.width, photo.height) == ((480, 640) if turned else (640, 480))
    image = opened(photo.image).convert("RGB")
    red, _, blue = image.getpixel((240, 10) if not turned else (10, 320))
    if not turned:
        assert (red > 200) is (top == "red") and (blue > 200) is (top == "blue")
    else:
        assert (red > 200) is (orientation == 8), "what was above stands at the side it was turned to"


def test_the_longest_side_is_bounded_and_a_small_picture_stays_small() -> None:
    photo = reduced(picture(4000, 3000))
    assert (photo.width, photo.height) == (LONGEST, 1200) == opened(photo.image).size
    wide = reduced(picture(6000, 40))
    assert wide.width == LONGEST and wide.height >= 1
    assert reduced(picture(40, 30)).width == 40


def test_what_is_transparent_is_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(out, "PNG")
    assert opened(reduced(out.getvalue()).image).getpixel((25, 25)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "kind"),
        (b"<svg/>", "kind"),
        (b"GIF89a" + bytes(100), "kind"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(100), "kind"),
        (b"%PDF-1.7", "kind"),
        (b"\xff\xd8\xff" + bytes(100), "broken"),
        (picture()[:-2000], "broken"),
        (picture(kind="PNG")[:200], "broken"),
        (picture(kind="WEBP")[:60], "broken"),
        (bomb(6000, 5000), "pixels"),
        (bomb(60_000, 50_000), "pixels"),
        (bomb(100, 100)[:-30], "broken"),
        (b"\xff\xd8\xff" + bytes(MOST_BYTES), "large"),
    ],
)
def test_what_is_no_photo_is_refused_by_name(data: bytes, code: str) -> None:
    with pytest.raises(PhotoError) as caught:
        reduced(data)
    assert caught.value.code == code


def test_a_picture_of_just_as_many_pixels_as_are_allowed_is_read() -> None:
    width = MOST_PIXELS["JPEG"] // 5000
    out = io.BytesIO()
    Image.new("L", (width, 5000)).save(out, "JPEG", quality=1)
    assert reduced(out.getvalue()).width == LONGEST
    out = io.BytesIO()
    Image.new("L", (width, 5001)).save(out, "JPEG", quality=1)
    with pytest.raises(PhotoError, match="pixels"):
        reduced(out.getvalue())


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of what it finds beside the picture
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_bytes_are_a_photo_or_a_refusal_and_nothing_else(kind: str) -> None:
    chance, data = random.Random(6), picture(64, 48, kind)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        with suppress(PhotoError):
            assert max(opened(reduced(bytes(damaged)).image).size) <= LONGEST

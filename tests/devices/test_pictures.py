"""Photos from outside: only the picture itself is kept."""

from __future__ import annotations

import struct
import zlib

import pytest

from devices.pictures import PictureError, cleaned

GPS = b"35.6812N 139.7671E"


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def exif(way: int) -> bytes:
    entries = struct.pack(">HHHIHH", 1, 0x0112, 3, 1, way, 0) + struct.pack(">I", 0)
    return segment(0xE1, b"Exif\x00\x00MM\x00*" + struct.pack(">I", 8) + entries + GPS)


def jpeg(*extra: bytes, width: int = 8, height: int = 6) -> bytes:
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    tables = segment(0xDB, bytes(65)) + segment(0xC4, bytes(20))
    return b"\xff\xd8" + b"".join(extra) + tables + frame + scan + b"\xff\xd9"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*extra: bytes, width: int = 3, height: int = 2) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + pixels + chunk(b"IEND", b"")


def test_what_a_camera_writes_beside_the_picture_goes_and_which_way_up_it_is_stays() -> None:
    photo = jpeg(exif(6), segment(0xFE, b"comment " + GPS), segment(0xED, GPS), segment(0xE0, b"JFIF\x00"))
    picture = cleaned(photo + b"<script>hidden behind the end</script>" + GPS)
    assert GPS not in picture.data and b"script" not in picture.data and b"comment" not in picture.data
    assert (picture.media_type, picture.width, picture.height) == ("image/jpeg", 8, 6)
    assert b"JFIF" in picture.data and picture.data.endswith(b"\xff\xd9")
    # 0x0112 (orientation), a short, once, 6
    assert struct.pack(">HHIH", 0x0112, 3, 1, 6) in picture.data
    assert cleaned(picture.data).data == picture.data, "what is clean stays as it is"


def test_a_picture_without_anything_beside_it_is_not_changed() -> None:
    assert cleaned(jpeg()).data == jpeg()
    assert cleaned(png()).data == png()


def test_texts_and_private_pieces_of_a_png_go() -> None:
    picture = cleaned(png(chunk(b"tEXt", b"GPS\x00" + GPS), chunk(b"eXIf", GPS), chunk(b"gAMA", bytes(4))) + GPS)
    assert GPS not in picture.data and b"gAMA" in picture.data
    assert (picture.media_type, picture.width, picture.height) == ("image/png", 3, 2)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "kind"),
        (b"GIF89a" + bytes(50), "kind"),
        (b"<svg onload='alert(1)'/>", "kind"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "kind"),
        (jpeg()[:-40], "broken"),
        (jpeg()[:-2], "broken"),
        (jpeg(width=0), "broken"),
        (b"\xff\xd8\xff\xe0\x00", "broken"),
        (b"\xff\xd8\xff\xd9", "broken"),
        (png()[:-4], "broken"),
        (png().replace(b"IDAT", b"IDAX"), "broken"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "broken"),
        (png(chunk(b"ABCD", b"needed")), "broken"),
        (jpeg(width=60_000, height=60_000), "pixels"),
    ],
)
def test_what_is_no_whole_picture_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(PictureError) as caught:
        cleaned(data)
    assert caught.value.code == code


def test_no_beginning_of_a_picture_passes_and_none_breaks_anything() -> None:
    for whole in (jpeg(exif(3)), png(chunk(b"tEXt", b"a"))):
        for length in range(len(whole)):
            with pytest.raises(PictureError):
                cleaned(whole[:length])

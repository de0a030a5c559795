"""A small PMTiles file (version 3) of vector tiles, written from the two specifications for tests of readers."""

from __future__ import annotations

import gzip
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EXTENT = 4096
_KINDS = {"Point": 1, "LineString": 2, "Polygon": 3}

Positions = Sequence[tuple[float, float]]  # longitude, latitude


@dataclass(frozen=True)
class Feature:
    """`form`: Point, LineString or Polygon (one ring, not closed)."""

    form: str
    positions: Positions
    properties: Mapping[str, str]


def write(
    path: Path, layers: Mapping[str, Sequence[Feature]], bounds: tuple[float, float, float, float], zoom: int
) -> None:
    """One zoom of tiles over bounds (west, south, east, north); nearer ones the browser makes of them."""
    west, south, east, north = bounds
    left, top = (math.floor(n) for n in _tile(west, north, zoom))
    right, bottom = (math.floor(n) for n in _tile(east, south, zoom))
    tiles = sorted(
        (_tile_id(zoom, x, y), gzip.compress(_mvt(layers, zoom, x, y), mtime=0))
        for x in range(left, right + 1)
        for y in range(top, bottom + 1)
    )
    ids, lengths = [i for i, _ in tiles], [len(body) for _, body in tiles]
    steps = [b - a for a, b in zip([0, *ids[:-1]], ids, strict=True)]
    # every offset follows the tile before it, which is written as 0
    columns = [[len(tiles)], steps, [1] * len(tiles), lengths, [1] + [0] * (len(tiles) - 1)]
    root = gzip.compress(b"".join(_varint(n) for column in columns for n in column), mtime=0)
    about = {"vector_layers": [{"id": name, "fields": {}} for name in layers], "name": "test"}
    metadata = gzip.compress(json.dumps(about).encode(), mtime=0)
    data = b"".join(body for _, body in tiles)
    start = 127 + len(root)
    first, n = start + len(metadata), len(tiles)
    e7 = [round(n * 1e7) for n in (west, south, east, north, (west + east) / 2, (south + north) / 2)]
    header = struct.pack(
        "<7sB8Q3Q6B4iB2i", b"PMTiles", 3, 127, len(root), start, len(metadata), first, 0, first, len(data), n, n, n,
        1, 2, 2, 1, zoom, zoom, *e7[:4], zoom, *e7[4:],
    )  # fmt: skip
    path.write_bytes(header + root + metadata + data)


def _tile(longitude: float, latitude: float, zoom: int) -> tuple[float, float]:
    """A place in tiles from the north-western corner of the world (Web Mercator)."""
    size = 1 << zoom
    y = math.asinh(math.tan(math.radians(latitude))) / math.pi
    return (longitude + 180) / 360 * size, (1 - y) / 2 * size


def _tile_id(zoom: int, x: int, y: int) -> int:
    """The number of a tile on the Hilbert curve, those of all smaller zooms before it."""
    found = ((1 << (2 * zoom)) - 1) // 3
    step = 1 << zoom >> 1
    while step:
        right, low = int(x & step > 0), int(y & step > 0)
        found += step * step * ((3 * right) ^ low)
        if not low:
            if right:
                x, y = step - 1 - (x & (step - 1)), step - 1 - (y & (step - 1))
            x, y = y & (step - 1), x & (step - 1)
        else:
            x, y = x & (step - 1), y & (step - 1)
        step >>= 1
    return found


def _mvt(layers: Mapping[str, Sequence[Feature]], zoom: int, x: int, y: int) -> bytes:
    return b"".join(_field(3, _layer(name, features, zoom, x, y)) for name, features in layers.items())


def _layer(name: str, features: Sequence[Feature], zoom: int, x: int, y: int) -> bytes:
    keys = sorted({key for feature in features for key in feature.properties})
    values = sorted({value for feature in features for value in feature.properties.values()})
    body = [_field(1, name.encode()), _varint(15 << 3), _varint(2)]
    for feature in features:
        tags = b"".join(_varint(keys.index(k)) + _varint(values.index(v)) for k, v in feature.properties.items())
        drawn = _geometry(
            feature,
            [tuple((a - b) * EXTENT for a, b in zip(_tile(*p, zoom), (x, y), strict=True)) for p in feature.positions],
        )
        body.append(_field(2, _field(2, tags) + _varint(3 << 3) + _varint(_KINDS[feature.form]) + _field(4, drawn)))
    body += [_field(3, key.encode()) for key in keys]
    body += [_field(4, _field(1, value.encode())) for value in values]
    return b"".join([*body, _varint(5 << 3) + _varint(EXTENT)])


def _geometry(feature: Feature, positions: Iterable[tuple[float, ...]]) -> bytes:
    """Move to the first position, lines to the others, a ring is closed; all as steps from the one before."""
    whole = [(round(p[0]), round(p[1])) for p in positions]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip([(0, 0), *whole[:-1]], whole, strict=True)]
    commands = [1 | 1 << 3, *(_zigzag(n) for n in steps[0])]
    if len(steps) > 1:
        commands += [2 | (len(steps) - 1) << 3, *(_zigzag(n) for step in steps[1:] for n in step)]
    if feature.form == "Polygon":
        commands.append(7 | 1 << 3)
    return b"".join(_varint(n) for n in commands)


def _zigzag(n: int) -> int:
    return n << 1 if n >= 0 else (-n << 1) - 1


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])

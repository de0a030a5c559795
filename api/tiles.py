"""/api/v1/map/tiles: the map of a real town, a PMTiles file (version 3, vector tiles) that the operator has provided.

Browsers read of it by Range what they look at, so nothing of the map comes from elsewhere. It lies under the town's own
shapes; without it, or where it cannot be used, those are the whole map, and the page デジタル says what is wrong. The
file may be exchanged while the server runs: its address has a release in it, so that browsers may keep what they have.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from starlette.responses import FileResponse

from api.access import READERS, Router, SignedIn, access
from api.errors import NotFound, Text

router = Router(prefix="/api/v1", tags=["map"])

_log = structlog.get_logger("tiles")

MEDIA_TYPE = "application/vnd.pmtiles"
_HEADER = struct.Struct("<7sB 8Q 3Q 6B 4i B 2i")  # the PMTiles specification, version 3: 127 bytes
_VECTOR_TILES = 1
_PLAIN, _GZIP = 1, 2  # compressions that every browser can undo


class TileState(StrEnum):
    """READY: it is shown. The others say why it is not."""

    READY = "ready"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    FOREIGN = "foreign"  # no PMTiles 3 with vector tiles that are plain or gzipped
    DAMAGED = "damaged"  # shorter than its header says, or its directory cannot be read


@dataclass(frozen=True, slots=True)
class Tiles:
    """A file that can be shown. `credit` must stand on the map; `link` is where it leads, None: nowhere."""

    path: Path
    release: str
    credit: str
    link: str | None

    @property
    def address(self) -> str:
        return f"/api/v1/map/tiles/{self.release}.pmtiles"


class TileFile:
    """The file of the configuration, looked at anew whenever it has changed. `path` None: there is none."""

    def __init__(self, path: Path | None, credit: str | None) -> None:
        self._path = path
        self._credit, self._link = _linked(credit or "")
        self._seen: tuple[int, ...] | None = None
        self._state: TileState | None = None
        self._release = ""

    @property
    def path(self) -> Path | None:
        return self._path

    def state(self) -> TileState | None:
        """What it is at this moment; None where the operator wants none. Costs one look at the folder."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            signature: tuple[int, ...] = ()
        else:
            signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._state is None or signature != self._seen:
            self._state, self._release = _examine(self._path)
            self._seen = signature
            if self._state is not TileState.READY:
                _log.warning("the map tiles are not shown", file=str(self._path), reason=self._state.value)
        return self._state

    def now(self) -> Tiles | None:
        """The file as it can be shown at this moment; None where it cannot."""
        if self.state() is not TileState.READY:
            return None
        assert self._path is not None
        return Tiles(self._path, self._release, self._credit, self._link)


def _examine(path: Path) -> tuple[TileState, str]:
    """The state of the file and, if it can be shown, its release."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
            found = os.fstat(file.fileno())
            if len(head) < _HEADER.size or head[:8] != b"PMTiles\x03":
                return TileState.FOREIGN, ""
            (_, _, root, root_size, metadata, metadata_size, leaves, leaves_size, tiles, tiles_size,
             _, _, _, _, directories, packed, kind, *_) = _HEADER.unpack(head)  # fmt: skip
            if kind != _VECTOR_TILES or not {directories, packed} <= {_PLAIN, _GZIP}:
                return TileState.FOREIGN, ""
            ends = (root + root_size, metadata + metadata_size, leaves + leaves_size, tiles + tiles_size)
            if max(ends) > found.st_size:
                return TileState.DAMAGED, ""
            file.seek(root)
            directory = file.read(root_size)
            if directories == _GZIP:
                directory = gzip.decompress(directory)
    except FileNotFoundError:
        return TileState.MISSING, ""
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return TileState.DAMAGED, ""
    except OSError:
        return TileState.UNREADABLE, ""
    marks = f"{found.st_mtime_ns} {found.st_size} ".encode()
    return TileState.READY, hashlib.sha256(marks + head + directory).hexdigest()[:12]


def _linked(credit: str) -> tuple[str, str | None]:
    """The words of a credit and the address at its end, if there is one.

    >>> _linked("国土地理院ベクトルタイル https://maps.gsi.go.jp/development/ichiran.html")
    ('国土地理院ベクトルタイル', 'https://maps.gsi.go.jp/development/ichiran.html')
    >>> _linked("○○町都市計画図")
    ('○○町都市計画図', None)
    """
    words, _, last = credit.strip().rpartition(" ")
    address = urlsplit(last)
    return (words.strip(), last) if words and address.scheme in ("https", "http") and address.netloc else (credit, None)


@router.get("/map/tiles/{release}.pmtiles", response_class=FileResponse)
@access(READERS)
def tile_file(visit: SignedIn, release: str) -> FileResponse:
    """The town's map as PMTiles; ask for parts of it by Range. 404 for another release than the present one."""
    tiles = visit.state.tiles.now()
    if tiles is None or tiles.release != release:
        raise NotFound(Text("この地図はありません。", "There is no such map."))
    return FileResponse(
        tiles.path,
        media_type=MEDIA_TYPE,
        # For the signed-in browser only, and as long as it likes: another file has another address.
        headers={"Cache-Control": "private, max-age=31536000, immutable", "ETag": f'"{tiles.release}"'},
    )

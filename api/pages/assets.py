"""The files in dashboards/static, as the browser gets them: named by content, compressed once, kept for a year.

Every URL is ``/static/<release>/<name>`` where the release is a hash over the files. The hash stands in the path, not
in the name, because ES modules import one another by relative path: ``import './clock.js'`` then finds the file of
the same release with no bundler and no rewriting. Our own files together are some 40 kB, so that a change of one may
well rename all; the libraries in ``vendor/`` (half a megabyte) have a release of their own, and stay in the browsers
when a word of ours changes. So no module of ours may import a library by relative path: the page names its address.

``app.css`` is the index of ``styles/``: each ``@import`` line of it is replaced by the sheet it names, so that people
have a file a subject and the browser has one.

Without the libraries (a wheel built where they could not be fetched) the pages keep the pictures the server draws.

AssetsError   the vendored libraries are not whole: the message says which command brings them; or app.css names a
              sheet that is not there
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import dashboards
from dashboards.vendor import present

ROOM = Path(dashboards.__file__).parent

# Not from the machine's registry: on some office machines it calls modules text/plain and browsers refuse them.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_SHEETS = "styles/"
_IMPORT = re.compile(rb'^@import "([^"]+)";$', re.MULTILINE)


REMEDY = "run: python -m dashboards.vendor"


class AssetsError(Exception):
    """The static files are not complete."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and gzipped."""

    media_type: str
    body: bytes
    gzipped: bytes


class Assets:
    """All static files, read once. `libraries` says whether the vendored ones are there. Raises AssetsError."""

    def __init__(self, folder: Path) -> None:
        self.libraries = present(folder / "vendor")
        if self.libraries:
            _check_vendor(folder / "vendor")
        self._files: dict[str, Asset] = {}
        digests = {own: hashlib.sha256() for own in (True, False)}
        for path in sorted(folder.rglob("*")):
            media_type = _TYPES.get(path.suffix)
            name = path.relative_to(folder).as_posix()
            if media_type is None or not path.is_file() or name.startswith(_SHEETS):
                continue
            body = path.read_bytes()
            if path.suffix == ".css" and _own(name):
                body = _with_sheets(path, body)
            twin = path.with_name(path.name + ".gz")
            gzipped = twin.read_bytes() if twin.exists() else gzip.compress(body, 9, mtime=0)
            self._files[name] = Asset(media_type, body, gzipped)
            digests[_own(name)].update(f"{name}\0{len(body)}\0".encode() + body)
        self._releases = {own: digest.hexdigest()[:12] for own, digest in digests.items()}

    def url(self, name: str) -> str:
        """The address of a file. A name that does not exist is a mistake in a template: KeyError."""
        self._files[name]
        return f"/static/{self._releases[_own(name)]}/{name}"

    @property
    def release(self) -> str:
        """Of our own files."""
        return self._releases[True]

    def get(self, release: str, name: str) -> Asset | None:
        """The file of this release; None for an unknown name or another release (never the wrong content)."""
        return self._files.get(name) if release == self._releases[_own(name)] else None


def _with_sheets(index: Path, body: bytes) -> bytes:
    def sheet(line: re.Match[bytes]) -> bytes:
        try:
            return (index.parent / line[1].decode()).read_bytes()
        except FileNotFoundError as error:
            raise AssetsError(f"{index} imports {error.filename}, which is not there") from None

    return _IMPORT.sub(sheet, body)


def _own(name: str) -> bool:
    return not name.startswith("vendor/")


def _check_vendor(folder: Path) -> None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    except FileNotFoundError:
        raise AssetsError(f"{folder} has no manifest.json; {REMEDY}") from None
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise AssetsError(f"{path} is not the file its manifest names; {REMEDY}")

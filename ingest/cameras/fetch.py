"""One picture of a camera: over HTTP, or the newest that it has written into its folder.

    from_address(url, login, seconds) -> bytes
    from_folder(folder, pattern) -> Taken | None       None: nothing is there
    Taken.clear()                                      takes what was taken, and what is older, out of the folder

CameraFault says why there is none, in a word for the pages (`camera.fault.*` of the catalogues) and the raw sentence:

    connect, timeout, auth, status, redirect           the way to it
    large, kind, broken, pixels                        what came (`devices.photos`)
    secret, gone, refused                              this machine

Only http and https, no redirect followed, no proxy asked: what the digital section has entered is fetched, and nothing
else. The user and password go out only after the camera has asked for them (Basic or Digest). No more than MOST_BYTES
are read, for `seconds` in all however slowly they come. A folder is a letter box: the newest whole picture is taken,
and with it goes what is older, because a recorder that writes every second would fill any disk.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from fnmatch import fnmatch
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any

from devices.photos import MOST_BYTES, Photo, PhotoError, reduced
from ingest.errors import IngestError
from ingest.folders.look import read_whole

LONGEST = 1280  # pixels of a still: 144 of them a day are kept for a month
_CHUNK = 1 << 16
_TRIED = 3  # newest files: the very newest may still be growing
_SAID = 200  # letters of what went wrong that are kept


class CameraFault(IngestError):
    """Why there is no picture: `code` as above, and what was said."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(f"{code}: {said}" if said else code)
        self.code, self.said = code, said.replace("\x00", "")[:_SAID]


@dataclass(frozen=True, slots=True)
class Login:
    """What a camera is asked with."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture from a folder: as it lay there, reduced, and the files that go with it."""

    data: bytes
    photo: Photo
    files: tuple[Path, ...]

    def clear(self) -> bool:
        """Whether all of them could be removed."""
        gone = True
        for path in self.files:
            try:
                path.unlink(missing_ok=True)
            except OSError:
                gone = False
        return gone


def login_of(secrets: Path | None, name: str) -> Login:
    """The user and password in a file of one line, user:password."""
    if secrets is None:
        raise CameraFault("secret", "MIMAMORI_CAMERA_SECRETS is not set")
    try:
        user, colon, password = (secrets / name).read_text("utf-8").strip().partition(":")
    except (OSError, UnicodeDecodeError) as error:
        raise CameraFault("secret", f"{name}: {type(error).__name__}") from None
    if not (user and colon):
        raise CameraFault("secret", f"{name}: user:password")
    return Login(user, password)


def still_of(data: bytes) -> Photo:
    """The picture as it is kept."""
    try:
        return reduced(data, LONGEST)
    except PhotoError as error:
        raise CameraFault(error.code) from None


def from_address(url: str, login: Login | None, seconds: float) -> bytes:
    """What the address answers with."""
    until = time.monotonic() + seconds
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
    if login is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, url, login.user, login.password)
        handlers += [urllib.request.HTTPBasicAuthHandler(known), urllib.request.HTTPDigestAuthHandler(known)]
    request = urllib.request.Request(url, headers={"User-Agent": "mimamori", "Accept": "image/*"})
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as response:
            return _read(response, until)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            raise CameraFault("auth", f"HTTP {error.code}") from None
        raise CameraFault("redirect" if 300 <= error.code < 400 else "status", f"HTTP {error.code}") from None
    except TimeoutError:
        raise CameraFault("timeout") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise CameraFault("timeout") from None
        raise CameraFault("connect", str(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise CameraFault("connect", f"{type(error).__name__}: {error}") from None


def from_folder(folder: Path, pattern: str) -> Taken | None:
    """The newest picture in it that is whole."""
    try:
        found = [
            path
            for path in folder.iterdir()
            if fnmatch(path.name, pattern) and path.is_file() and not path.is_symlink()
        ]
        dated = sorted(((path.stat().st_mtime_ns, path.name, path) for path in found), reverse=True)
    except FileNotFoundError:
        raise CameraFault("gone", folder.name) from None
    except OSError as error:
        raise CameraFault("refused", f"{folder.name}: {error.strerror}") from None
    fault: CameraFault | None = None
    for n, (_, name, path) in enumerate(dated[:_TRIED]):
        try:
            read = read_whole(path, MOST_BYTES)
        except OSError as error:
            fault = CameraFault("refused", f"{name}: {error.strerror}")
            continue
        if read is None:
            fault = CameraFault("large" if path.stat().st_size > MOST_BYTES else "broken", name)
            continue
        try:
            photo = still_of(read[0])
        except CameraFault as error:
            fault = CameraFault(error.code, name)
            continue
        return Taken(read[0], photo, tuple(path for _, _, path in dated[n:]))
    if fault is not None:
        raise fault
    return None


def _read(response: HTTPResponse, until: float) -> bytes:
    data = bytearray()
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > MOST_BYTES:
            raise CameraFault("large")
        if time.monotonic() > until:
            raise CameraFault("timeout")
    return bytes(data)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Any:
        return None

"""What lies in a folder, and which of it is whole.

A share tells nobody that somebody has finished writing, so a file is taken for whole when size and time of change have
stayed the same over a while (real time; the clock of the share is not believed, only compared with itself). Not looked
at: links of any kind, folders, and names that programs use for what is not finished (.part, .filepart, .tmp, those that
begin with a dot, and Excel's lock ~$NAME, which makes NAME itself wait).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ingest.folders.config import FoldersConfig

Why = Literal["empty", "growing", "open", "transfer", "link", "too_large", "no_map"]

DONE, FAILED = "done", "failed"
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".swp")
_NOBODYS = frozenset({"thumbs.db", "desktop.ini"})
_LOCK = "~$"


class Signature(NamedTuple):
    """What changes when a file does."""

    size: int
    changed: int
    inode: int


class Found(NamedTuple):
    """A file that has stayed the same."""

    name: str
    signature: Signature


class Waiting(NamedTuple):
    """A file that is not read, and why."""

    name: str
    size: int
    why: Why


@dataclass(slots=True)
class Look:
    """`ready`, oldest change first."""

    ready: list[Found] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


@dataclass(slots=True)
class _Known:
    signature: Signature
    since: float
    looks: int = 1


class Watched:
    """One folder over time. `settled(found)`: it need not be named any more until it changes."""

    def __init__(self, config: FoldersConfig) -> None:
        self._config = config
        self._known: dict[str, _Known] = {}
        self._settled: dict[str, Signature] = {}

    def settled(self, found: Found) -> None:
        self._settled[found.name] = found.signature

    def look(self, folder: Path, now: float) -> Look:
        """One look; `now` on the monotonic clock. Raises OSError where the folder cannot be read."""
        result = Look()
        with os.scandir(folder) as entries:
            there = {entry.name: entry for entry in entries}
        open_ = {name.removeprefix(_LOCK).lower() for name in there if name.startswith(_LOCK)}
        for name, entry in sorted(there.items()):
            if name.startswith((".", _LOCK)) or name.lower() in _NOBODYS:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile, or not yet there
            if stat.S_ISDIR(status.st_mode):
                continue
            if not stat.S_ISREG(status.st_mode):
                result.waiting.append(Waiting(name, 0, "link"))
                continue
            signature = Signature(status.st_size, status.st_mtime_ns, status.st_ino)
            if self._settled.get(name) == signature:
                continue
            why = self._why(name, signature, now, opened=_opened(name, open_))
            if why is None:
                result.ready.append(Found(name, signature))
            else:
                result.waiting.append(Waiting(name, signature.size, why))
        for gone in self._known.keys() - there.keys():
            del self._known[gone]
        for gone in self._settled.keys() - there.keys():
            del self._settled[gone]
        result.ready.sort(key=lambda found: (found.signature.changed, found.name))
        return result

    def _why(self, name: str, signature: Signature, now: float, *, opened: bool) -> Why | None:
        if name.lower().endswith(_UNFINISHED):
            return "transfer"
        known = self._known.get(name)
        if known is None or known.signature != signature:
            self._known[name] = known = _Known(signature, now)
        else:
            known.looks += 1
        if signature.size == 0:
            return "empty"
        same_for = now - known.since
        if known.looks < 2 or same_for < self._config.settle_seconds:
            return "growing"
        if opened and same_for < self._config.open_seconds:
            return "open"
        return "too_large" if signature.size > self._config.max_bytes else None


def _opened(name: str, locks: set[str]) -> bool:
    """Whether a lock of Excel names this file. Of a long name Excel leaves out the first two letters."""
    return name.lower() in locks or name.lower()[2:] in locks


def read_whole(path: Path, limit: int) -> tuple[bytes, Signature] | None:
    """The content of a regular file; None where it changed meanwhile, or is above the limit. Raises OSError.

    No link is followed, and nothing is waited for that is no file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if stat.S_ISLNK(path.lstat().st_mode):
        return None
    with os.fdopen(os.open(path, flags), "rb") as file:
        before = _signature(os.fstat(file.fileno()))
        if before is None or before.size > limit:
            return None
        content = file.read(limit + 1)
        after = _signature(os.fstat(file.fileno()))
    return (content, before) if before == after and len(content) == before.size else None


def _signature(status: os.stat_result) -> Signature | None:
    if not stat.S_ISREG(status.st_mode):
        return None
    return Signature(status.st_size, status.st_mtime_ns, status.st_ino)


def signature_of(path: Path) -> Signature | None:
    """As it lies there now; None where there is no such file."""
    try:
        return _signature(path.lstat())
    except OSError:
        return None

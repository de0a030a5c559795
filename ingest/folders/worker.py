"""The process that reads the watched folders.

Contract
- A file is read when it is whole (`look.py`), oldest first, and its values, its counts and how far it is read are
  committed together (`reading.py`). Killed anywhere, it goes on behind what is committed: nothing lost, nothing twice.
- Only then is the file moved; killed in between, the ledger knows the content and it is moved later. A file that was
  written to while it was moved is put back and read again.
- The same content again is only counted. What could not be read stays, and is read again when the map is another one,
  or when somebody wants it.
- One process a municipality reads; others wait for its end (a lock that goes with its connection).
- One bad file stops nothing: its fault is noted at the file. Only a database that lacks tables or rights ends the
  process: that is for an operator.
"""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import structlog

from devices.clock import Clock
from ingest.errors import ConfigError, HistoryError
from ingest.folders import keep
from ingest.folders.config import FoldersConfig
from ingest.folders.look import DONE, FAILED, Found, Signature, Waiting, Watched, read_whole, signature_of
from ingest.folders.reading import Reading
from ingest.folders.tables import sample_of
from ingest.settle import KnownDevices
from store import folders
from store.connection import Connection, connect
from store.folders import FileRow, Folder, Obstacle
from store.registry import municipality_id_of
from store.town_clock import load_clock

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
SHARE = 0.1  # of the time at most for looking where nothing is new: a slow share is asked less often
MOST_WAITING = 50  # names of waiting files that are told
# Two files of one look have come one after the other: what decides between their values must not be a hash.
_APART = timedelta(milliseconds=1)

log = structlog.get_logger(__name__)


def run(config: FoldersConfig, stop: threading.Event) -> None:
    """Reads the folders until `stop` is set, then finishes the part in hand.

    Raises ConfigError when the municipality is not in the database, store.errors.ClockNotSet when it has no town
    clock, and psycopg.Error for what reconnecting cannot cure.
    """
    watched: dict[str, Watched] = {}
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            with connect(config.dsn, name="folders") as conn:
                pause = FIRST_PAUSE_SECONDS
                with closing(Reader(config, conn, watched, stop)) as reader:
                    reader.run()
        except psycopg.OperationalError as error:
            log.warning("database out of reach", error=str(error).strip(), again_in=pause)
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


class Stopped(Exception):
    """The end was asked for in the middle of a file: it is read on at the next start."""


class Reader:
    """One connection's time as the one that reads."""

    def __init__(
        self, config: FoldersConfig, conn: Connection, watched: dict[str, Watched], stop: threading.Event
    ) -> None:
        found = municipality_id_of(conn, config.municipality)
        if found is None:
            raise ConfigError(f"municipality {config.municipality} is not in the database: load its town file first")
        self._config = config
        self._conn = conn
        self._town = found
        self._stop = stop
        self._clock: Clock = load_clock(conn)
        self._devices = KnownDevices(found)
        self._watched = watched
        self._sampled: dict[int, Found] = {}
        self._arrived: datetime | None = None
        conn.commit()

    def run(self) -> None:
        waiting = False
        while not folders.alone(self._conn, self._town):
            self._conn.commit()
            if not waiting:
                log.info("another process reads the folders, waiting for its end")
                waiting = True
            if self._stop.wait(self._config.poll_seconds):
                return
        self._conn.commit()
        log.info("reading folders", root=str(self._config.root))
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                busy = self.look()
                took = time.monotonic() - began
                self._stop.wait(0.0 if busy else max(self._config.poll_seconds, took / SHARE))
        except Stopped:
            pass
        folders.alive(self._conn, self._town, self._clock.now(), stopped=True)
        self._conn.commit()

    def close(self) -> None:
        """Ends the process for codecs; the connection is whoever's made it."""
        self._devices.close()

    def look(self) -> bool:
        """Looks into every folder once and reads what is whole; whether anything was read."""
        known = folders.folders(self._conn, self._town)
        there = self._folders()
        for name in sorted(there.keys() - known.keys()):
            log.info("a folder to watch", folder=name)
            known[name] = folders.add_folder(self._conn, self._town, name, self._clock.now())
        self._alive()
        self._conn.commit()
        busy = False
        for name, folder in known.items():
            if folder.ended and name not in there:
                continue
            if folder.ended:
                folders.watch_again(self._conn, folder.folder_id)
            busy |= self._folder(folder, there.get(name))
        return busy

    def _folders(self) -> dict[str, Path]:
        """What is watched. A link is none: it could lead anywhere."""
        try:
            return {
                path.name: path
                for path in self._config.root.iterdir()
                if path.is_dir() and not path.is_symlink() and not path.name.startswith(".") and _storable(path.name)
            }
        except OSError as error:
            log.warning("the folders cannot be read", root=str(self._config.root), error=str(error))
            return {}

    def _folder(self, folder: Folder, path: Path | None) -> bool:
        watched = self._watched.setdefault(folder.name, Watched(self._config))
        obstacle: Obstacle | None = None
        waiting: list[Waiting] = []
        busy = False
        try:
            if path is None:
                raise FileNotFoundError(folder.name)
            look = watched.look(path, time.monotonic())
        except FileNotFoundError:
            obstacle = "gone"
        except OSError as error:
            log.warning("folder cannot be read", folder=folder.name, error=str(error))
            obstacle = "refused"
        else:
            assert path is not None
            waiting = look.waiting
            for found in look.ready:
                if folder.map is None:
                    waiting.append(Waiting(found.name, found.signature.size, "no_map"))
                    continue
                taken = self._take(folder, path / found.name) if _storable(found.name) else None
                if taken is None:
                    waiting.append(Waiting(found.name, found.signature.size, "open"))
                else:
                    busy |= self._file(watched, folder, path, found.name, *taken)
            if folder.map is None and look.ready:
                self._sample_newest(folder, path, look.ready[-1])
            if folder.map is not None:
                for file in folders.to_read_again(self._conn, folder):
                    self._conn.commit()
                    busy |= self._again(folder, path, file)
        told = [
            {"name": each.name, "size": each.size, "why": each.why}
            for each in waiting[:MOST_WAITING]
            if _storable(each.name)
        ]
        folders.looked(self._conn, folder.folder_id, self._clock.now(), obstacle=obstacle, waiting=told)
        self._alive()
        self._conn.commit()
        return busy

    # --- one file ----------------------------------------------------------------------------------------

    def _file(
        self, watched: Watched, folder: Folder, path: Path, name: str, content: bytes, signature: Signature
    ) -> bool:
        """A file in the folder itself."""
        digest = hashlib.sha256(content).digest()
        known = folders.file_of(self._conn, folder.folder_id, digest)
        if known is not None and known.state != "reading" and not known.wanted:
            same_file = known.place == name
            unread = known.state == "failed" or known.rejected > 0
            if known.version == folder.version or (same_file and not unread):
                if not same_file:
                    folders.repeated(self._conn, known)
                self._put_away(watched, folder, path, name, signature, known, failed=known.state == "failed")
                return not same_file
        if known is None or known.state != "reading" or known.version != folder.version or known.wanted:
            known = self._begin(folder, name, name, digest, len(content))
        elif known.place != name:
            folders.moved(self._conn, known, name)
        self._conn.commit()
        self._sample(folder, name, content)
        why = self._read(folder, known, content)
        self._put_away(watched, folder, path, name, signature, known, failed=why is not None)
        self._report(folder, path, known)
        return True

    def _again(self, folder: Folder, path: Path, file: FileRow) -> bool:
        """A file of the ledger, wherever it lies now."""
        place = path / file.place
        taken = self._take(folder, place) if self._within(path, file.place) else None
        if taken is None or hashlib.sha256(taken[0]).digest() != file.sha256:
            if signature_of(place) is not None and taken is None:
                return False  # it cannot be read at the moment
            why = (
                f"it is no longer at {file.place} as it was, and cannot be read again; what is there now is another",
                f"{file.place} に元の内容で残っていないため、読み直せません（今の内容は別のファイルとして扱います）。",
            )
            folders.give_up(self._conn, folder, file, self._clock.now(), why)
            self._conn.commit()
            return False
        if file.state != "reading" or file.wanted or file.version != folder.version:
            file = self._begin(folder, file.name, file.place, file.sha256, len(taken[0]))
            self._conn.commit()
        failed = self._read(folder, file, taken[0]) is not None
        if Path(file.place).parent.name in (DONE, FAILED):
            self._shelve(folder, path, file, file.place, failed=failed)
        self._report(folder, path, file)
        return True

    def _begin(self, folder: Folder, name: str, place: str, digest: bytes, size: int) -> FileRow:
        now = self._clock.now()
        if self._arrived is not None:
            now = max(now, self._arrived + _APART)
        self._arrived = now
        return folders.begin(self._conn, self._town, folder, sha256=digest, name=name, place=place, size=size, now=now)

    def _take(self, folder: Folder, path: Path) -> tuple[bytes, Signature] | None:
        try:
            return read_whole(path, self._config.max_bytes)
        except OSError as error:
            log.warning("file cannot be read yet", folder=folder.name, file=path.name, error=str(error))
            return None

    def _read(self, folder: Folder, file: FileRow, content: bytes) -> tuple[str, str] | None:
        self._devices.refresh(self._conn)
        reading = Reading(self._conn, self._devices.directory, self._clock, self._between)
        try:
            why = reading.read(folder, file, content)
        except (psycopg.Error, Stopped):
            raise
        except Exception as error:  # one file's fault shall not be all others'
            log.exception("file could not be read", folder=folder.name, file=file.name)
            self._conn.rollback()
            why = (
                f"a fault of ours: {type(error).__name__}; see the log",
                "システムの不具合です。記録（ログ）に詳細があります。",
            )
            folders.finish(self._conn, file, self._clock.now(), why=why)
            self._conn.commit()
        log.info("file read", folder=folder.name, file=file.name, problem=None if why is None else why[0])
        return why

    def _put_away(
        self,
        watched: Watched,
        folder: Folder,
        path: Path,
        name: str,
        signature: Signature,
        file: FileRow,
        *,
        failed: bool,
    ) -> None:
        """Moves a file out of the folder, or leaves it and looks at it no more until it changes."""
        if folder.stays:
            watched.settled(Found(name, signature))
        elif signature_of(path / name) == signature:
            place = self._shelve(folder, path, file, name, failed=failed)
            if place == name:
                watched.settled(Found(name, signature))
            elif (now := signature_of(path / place)) is not None and now[:2] != signature[:2]:
                log.info("file was written to while it was moved", folder=folder.name, file=name)
                keep.move_back(path, place)
        self._conn.commit()

    def _shelve(self, folder: Folder, path: Path, file: FileRow, place: str, *, failed: bool) -> str:
        """Moves a file to done/ or failed/; its place now, the old one where that is not allowed."""
        try:
            moved = keep.move(path, place, failed=failed)
        except keep.CannotMove as error:
            log.warning("file stays where it is", folder=folder.name, file=place, error=str(error))
            folders.note_read_only(self._conn, folder.folder_id, read_only=True)
            self._conn.commit()
            return place
        keep.move_report(path, place, moved)
        folders.note_read_only(self._conn, folder.folder_id, read_only=False)
        folders.moved(self._conn, file, moved)
        self._conn.commit()
        return moved

    def _report(self, folder: Folder, path: Path, file: FileRow) -> None:
        """The report beside a file that has a shelf; where files stay, reports would be taken for files."""
        row = self._conn.execute(
            "select place, reason, reason_ja, rejected from folder_file where folder_file_id = %s",
            (file.folder_file_id,),
        ).fetchone()
        problems = folders.problems(self._conn, file.folder_file_id)
        self._conn.commit()
        if row is not None and Path(row[0]).parent.name in (DONE, FAILED):
            why = None if row[1] is None else (str(row[1]), str(row[2]))
            keep.report(path, row[0], why=why, rejected=row[3], problems=problems)

    @staticmethod
    def _within(path: Path, place: str) -> bool:
        """Whether a place is in the folder, by no link."""
        parts = Path(place).parts
        return len(parts) == 1 or (
            len(parts) == 2 and parts[0] in (DONE, FAILED) and not (path / parts[0]).is_symlink()
        )

    # --- what the page is made with ------------------------------------------------------------------------

    def _sample_newest(self, folder: Folder, path: Path, found: Found) -> None:
        if self._sampled.get(folder.folder_id) == found:
            return
        taken = self._take(folder, path / found.name)
        if taken is not None:
            self._sampled[folder.folder_id] = found
            self._sample(folder, found.name, taken[0])

    def _sample(self, folder: Folder, name: str, content: bytes) -> None:
        try:
            sheets = sample_of(name, content)
        except HistoryError:
            return
        folders.keep_sample(self._conn, self._town, folder.folder_id, "file", name, sheets, self._clock.now())
        self._conn.commit()

    # --- signs of life -------------------------------------------------------------------------------------

    def _alive(self) -> None:
        folders.alive(self._conn, self._town, self._clock.now())

    def _between(self) -> None:
        """Between two parts of a file, before the commit of the first."""
        self._alive()
        if self._stop.is_set():
            self._conn.commit()
            raise Stopped


def _storable(name: str) -> bool:
    """Whether the database can hold a name: a share may have bytes in it that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return len(name) <= 255

"""A backup on disk: a folder with `database.dump` (pg_dump, custom format) and `manifest.json`, what is in it.

    BACKUPS/mimamori-20261121T181500Z/database.dump
                                      observation.copy.gz    where chunks were compressed
                                      manifest.json

A folder of that name is whole: it is written under another name, `.partial-...`, and renamed when everything is on the
disk. The manifest:

    format               1; a program refuses what is newer than it knows
    product, migrations  which Mimamori made it, and the migrations that its database had
    postgresql, timescaledb, pg_dump   versions; timescaledb is null on plain PostgreSQL
    municipalities       codes of the towns in it
    taken_at, town_time, simulated     the moment whose state it holds, on both clocks
    rows, tables         see store.content
    parts                partition or chunk -> its table, for putting one engine's backup into the other
    compressed           whether chunks were compressed: only the same TimescaleDB can read them out of database.dump
    bytes, sha256        of database.dump
    observation          bytes and sha256 of observation.copy.gz, all observations as COPY writes them, for every other
                         server; null where no chunk was compressed
    seconds              how long it took
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from store.content import TableContent
from store.errors import BackupError

FORMAT = 1
DUMP = "database.dump"
OBSERVATION = "observation.copy.gz"
MANIFEST = "manifest.json"
PREFIX = "mimamori-"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was written: its length and SHA-256."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """OSError where it cannot be read."""
        return cls(path.stat().st_size, sha256(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds; the fields are described above."""

    product: str
    migrations: tuple[str, ...]
    postgresql: str
    timescaledb: str | None
    pg_dump: str
    municipalities: tuple[str, ...]
    taken_at: datetime
    town_time: datetime | None
    simulated: bool
    tables: Mapping[str, TableContent]
    parts: Mapping[str, str]
    compressed: bool
    dump: Written
    observation: Written | None
    seconds: float

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())

    @property
    def files(self) -> Mapping[str, Written]:
        """All files beside the manifest, by their names."""
        return {DUMP: self.dump} | ({} if self.observation is None else {OBSERVATION: self.observation})

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "product": self.product,
            "migrations": list(self.migrations),
            "postgresql": self.postgresql,
            "timescaledb": self.timescaledb,
            "pg_dump": self.pg_dump,
            "municipalities": list(self.municipalities),
            "taken_at": self.taken_at.astimezone(UTC).isoformat(),
            "town_time": self.town_time and self.town_time.astimezone(UTC).isoformat(),
            "simulated": self.simulated,
            "rows": self.rows,
            "tables": {name: table.as_json() for name, table in self.tables.items()},
            "parts": dict(self.parts),
            "compressed": self.compressed,
            "bytes": self.dump.bytes,
            "sha256": self.dump.sha256,
            "observation": self.observation and asdict(self.observation),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """KeyError, TypeError, ValueError or AttributeError where `value` is no such thing."""
        apart = value.get("observation")
        return cls(
            product=str(value["product"]),
            migrations=tuple(map(str, value["migrations"])),
            postgresql=str(value["postgresql"]),
            timescaledb=None if value["timescaledb"] is None else str(value["timescaledb"]),
            pg_dump=str(value["pg_dump"]),
            municipalities=tuple(map(str, value["municipalities"])),
            taken_at=datetime.fromisoformat(value["taken_at"]),
            town_time=None if value["town_time"] is None else datetime.fromisoformat(value["town_time"]),
            simulated=bool(value["simulated"]),
            tables={str(name): TableContent.from_json(table) for name, table in value["tables"].items()},
            parts={str(part): str(table) for part, table in value["parts"].items()},
            compressed=bool(value["compressed"]),
            dump=Written(int(value["bytes"]), str(value["sha256"])),
            # Backups from before there was such a file do not speak of it.
            observation=Written(int(apart["bytes"]), str(apart["sha256"])) if apart is not None else None,
            seconds=float(value["seconds"]),
        )


@dataclass(frozen=True, slots=True)
class Backup:
    """A folder with its manifest, read but not yet verified."""

    folder: Path
    manifest: Manifest

    @property
    def dump(self) -> Path:
        return self.folder / DUMP

    @property
    def observation(self) -> Path:
        return self.folder / OBSERVATION

    @property
    def whole(self) -> bool:
        """Whether its files are there in their full length; `verify` reads them all."""
        try:
            return all((self.folder / name).stat().st_size == file.bytes for name, file in self.manifest.files.items())
        except OSError:
            return False

    def verify(self) -> None:
        """Reads its files through. BackupError where one is not, bit for bit, what was written."""
        for name, file in self.manifest.files.items():
            _verify(self.folder / name, file)


def _verify(path: Path, written: Written) -> None:
    try:
        size = path.stat().st_size
        if size != written.bytes:
            raise BackupError(
                f"{path} has {size} bytes and was written with {written.bytes}: it is "
                f"{'cut off' if size < written.bytes else 'not the same file'}; take another backup"
            )
        found = sha256(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error
    if found != written.sha256:
        raise BackupError(f"{path} is damaged: its SHA-256 is {found} and was {written.sha256}; take another backup")


def open_backup(path: Path) -> Backup:
    """The backup at a path: its folder, one of its files, or a folder of backups, of which the newest is taken.

    BackupError names the file that is missing or cannot be understood.
    """
    folder = path.parent if path.is_file() else path
    if not folder.is_dir():
        raise BackupError(f"{path}: there is no such file or folder")
    if not path.is_file() and not (folder / MANIFEST).exists() and not (folder / DUMP).exists():
        names = backup_folders(folder)
        if not names:
            raise BackupError(f"{folder}: there is no backup in this folder (no {PREFIX}... with a {MANIFEST})")
        folder = names[-1]
    return read_backup(folder)


def backup_folders(folder: Path) -> list[Path]:
    """The folders in it that are named as backups, oldest first."""
    return sorted(each for each in folder.glob(f"{PREFIX}*") if each.is_dir())


def read_backup(folder: Path) -> Backup:
    """Reads the manifest. BackupError where there is none, or one that this program does not understand."""
    path = folder / MANIFEST
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BackupError(f"{path} is missing: without it nobody can say whether {DUMP} is whole") from error
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BackupError(f"{path} is damaged: it is no text") from error
    except json.JSONDecodeError as error:
        raise BackupError(f"{path}:{error.lineno} is damaged: {error.msg}") from error
    try:
        written = int(value["format"])
        if written > FORMAT:
            raise BackupError(
                f"{path} has format {written}, and this Mimamori reads up to {FORMAT}: it was made by a newer one "
                f"({value.get('product', 'unknown')}); update first"
            )
        return Backup(folder, Manifest.from_json(value))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupError(f"{path} is no manifest of a backup, or damaged: {error!r}") from error


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex. OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()

"""A folder of the town as an office keeps it, the worker's looks into it, and what became of the files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl

from ingest.folders import FoldersConfig
from ingest.folders.worker import Reader
from store import connect
from store.counts import unclosed
from tests.conftest import START, Registered
from tests.connections import kept
from tests.ingest.town import query

RIVER = "river-okusawa"
WIDE = """
time: {column: 日時, zone: Asia/Tokyo}
missing: {"***": failure, "": no_record}
columns:
  奥沢: {station: river-okusawa, property: water_level, scale: 0.01}
  流量: {station: block-hamamachi, property: flow}
"""
LONG = """
time: {column: [日付, 時刻], zone: Asia/Tokyo}
long: {station: 観測所, property: 項目, value: 値}
stations: {奥沢: river-okusawa}
properties: {水位: {property: water_level, scale: 0.01}}
"""
HEAD = "日時,奥沢,流量\n"
# 09:00 in the town is START
ROWS = [f"2026/6/1 8:{minute:02},{50 + minute},{minute}.5\n" for minute in (0, 10, 20, 30, 40, 50)]


class Office:
    """A folder of the town, and the worker's looks into it."""

    def __init__(self, registered: Registered, root: Path, name: str = "kawa") -> None:
        self.registered = registered
        self.root = root
        self.name = name
        self.folder = root / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = FoldersConfig(
            registered.worker, "999999", root, max_bytes=200_000, poll_seconds=0.02, settle_seconds=0.0
        )
        self._watched: dict[str, Any] = {}

    def drop(self, name: str, text: str | bytes, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    def look(self, times: int = 3) -> None:
        """What the process does: to take a file it needs two looks."""
        with (
            connect(self.registered.worker, name="folders") as conn,
            closing(Reader(self.config, conn, self._watched, threading.Event())) as reader,
        ):
            for _ in range(times):
                reader.look()

    def restart(self) -> None:
        self._watched.clear()

    def map(self, text: str = WIDE, *, every: timedelta | None = None, stays: bool = False) -> None:
        """Saves a map as the page does."""
        with kept(self.registered.owner) as conn:
            if not self.folders():
                conn.execute(
                    "insert into folder (municipality_id, name, found_at, looked_at) values (%s, %s, %s, %s)",
                    (self.registered.municipality_id, self.name, START, START),
                )
            conn.execute(
                """
                insert into folder_map (folder_id, version, municipality_id, map, saved_at)
                select folder_id, coalesce(map_version, 0) + 1, municipality_id, %s, %s from folder where name = %s
                """,
                (text, START, self.name),
            )
            conn.execute(
                """
                update folder set map_version = coalesce(map_version, 0) + 1, stays = %s, every = %s,
                       every_since = case when %s::interval is null then null else %s end where name = %s
                """,
                (stays, every, every, START, self.name),
            )

    def folders(self) -> list[tuple[Any, ...]]:
        return query(self.registered.owner, "select name, obstacle, read_only from folder where name = %s", self.name)

    def waiting(self) -> dict[str, str]:
        ((told,),) = query(self.registered.owner, "select waiting from folder where name = %s", self.name)
        return {each["name"]: each["why"] for each in told}

    def files(self) -> dict[str, tuple[Any, ...]]:
        """place -> (state, stored, unchanged, revised, rejected)."""
        return {
            row[0]: row[1:]
            for row in query(
                self.registered.owner, "select place, state, stored, unchanged, revised, rejected from folder_file"
            )
        }

    def problems(self) -> list[tuple[Any, ...]]:
        return query(self.registered.owner, "select line, reason, reason_ja from folder_problem order by line")

    def reason(self) -> tuple[str, str]:
        ((en, ja),) = query(self.registered.owner, "select reason, reason_ja from folder_file")
        return en, ja

    def there(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def levels(self, station: str = RIVER, observed_property: str = "water_level") -> list[tuple[Any, ...]]:
        """(local time, value, quality, reason)."""
        return query(
            self.registered.owner,
            "select to_char(phenomenon_time at time zone 'Asia/Tokyo', 'MM-DD HH24:MI'), value, quality::text, reason "
            "from observation where datastream_id = %s order by phenomenon_time",
            self.registered.datastream(station, observed_property),
        )

    def closed(self) -> None:
        """Both counts, and the ledger's."""
        with kept(self.registered.worker) as conn:
            assert unclosed(conn, self.registered.municipality_id, START - timedelta(days=2)) == []


def local(*parts: int) -> datetime:
    """As a spreadsheet has it: without a zone."""
    return datetime(*parts)  # type: ignore[misc,arg-type]  # noqa: DTZ001


def workbook(path: Path, fill: Callable[[Any], None]) -> None:
    book = openpyxl.Workbook()
    fill(book.active)
    book.save(path)


def query_owner(office: Office, statement: str) -> None:
    with kept(office.registered.owner) as conn:
        conn.execute(statement.encode())

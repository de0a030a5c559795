"""Watched folders: files as offices drop them become observations; nothing lost, nothing twice, nothing deleted."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest

from alerts.evaluator import Evaluator
from devices.clock import FixedClock
from ingest.errors import ConfigError
from ingest.folders import FoldersConfig, run
from ingest.folders.worker import Reader
from store import connect
from store.counts import unclosed
from store.feed import Consumer
from store.folders import alone
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
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
        with connect(self.registered.owner, name="test") as conn:
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
        with connect(self.registered.worker, name="test") as conn:
            assert unclosed(conn, self.registered.municipality_id, START - timedelta(days=2)) == []


@pytest.fixture
def office(registered: Registered, tmp_path: Path) -> Office:
    return Office(registered, tmp_path / "folders")


# --- what files say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_wide_csv_becomes_observations_and_is_kept_in_done(office: Office, encoding: str) -> None:
    office.map()
    office.drop("水位.csv", HEAD + '2026/6/1 8:00,５０,1.5\r\n2026/5/31 24:00,△5,"1,204.5"\r\n', encoding)
    office.look()
    assert office.files() == {"done/水位.csv": ("read", 4, 0, 0, 0)}
    assert office.there() == {"done/水位.csv"}
    assert office.levels() == [("06-01 00:00", -0.05, "good", None), ("06-01 08:00", 0.5, "good", None)]
    assert [row[1] for row in office.levels("block-hamamachi", "flow")] == [1204.5, 1.5]
    office.closed()


def test_a_long_csv_with_lines_above_its_header_and_an_era(office: Office) -> None:
    office.map("header: 3\nfirst_line: 4\n" + LONG)
    text = "水位月報,,,,\n美守町,,,,\n観測所,日付,時刻,項目,値\n"
    text += "奥沢,令和8年6月1日,8:00,水位,52\n奥沢,R8.6.1,24:00,水位,1\n"
    office.drop("月報.csv", text, "cp932")
    office.look()
    assert office.levels() == [("06-01 08:00", 0.52, "good", None)]
    ((line, en, ja),) = office.problems()
    assert line == 5 and "later than the town's present" in en and "いまより先" in ja


def local(*parts: int) -> datetime:
    """As a spreadsheet has it: without a zone."""
    return datetime(*parts)  # type: ignore[misc,arg-type]  # noqa: DTZ001


def workbook(path: Path, fill: Callable[[Any], None]) -> None:
    book = openpyxl.Workbook()
    fill(book.active)
    book.save(path)


def test_an_excel_sheet_with_merged_headings_dates_and_clock_times(office: Office) -> None:
    office.map("header: [2, 3]\n" + WIDE.replace("column: 日時", "column: [日付, 時刻]").replace("奥沢:", "水位 奥沢:"))

    def fill(sheet: Any) -> None:
        sheet["A1"] = "水位・流量 日報"
        sheet.merge_cells("A1:D1")
        for cell, text in {"A2": "日付", "B2": "時刻", "C2": "水位", "D2": "流量", "C3": "奥沢"}.items():
            sheet[cell] = text
        for cells in ("A2:A3", "B2:B3", "D2:D3", "A4:A6"):
            sheet.merge_cells(cells)
        sheet["A4"] = local(2026, 5, 31)
        sheet["A4"].number_format = "yyyy/mm/dd"
        for line, (hours, level) in enumerate([(22, 50), (23, "***"), (24, 52.5)], 4):
            sheet.cell(line, 2, timedelta(hours=hours)).number_format = "[h]:mm"
            sheet.cell(line, 3, level)
            sheet.cell(line, 4, "" if line == 5 else 1.25)

    workbook(office.folder / "日報.xlsx", fill)
    office.look()
    assert office.files() == {"done/日報.xlsx": ("read", 6, 0, 0, 0)}
    assert office.levels() == [
        ("05-31 22:00", 0.5, "good", None),
        ("05-31 23:00", None, "missing", "failure"),
        ("06-01 00:00", 0.525, "good", None),
    ]
    office.closed()


def test_merged_values_and_ambiguous_headings_are_refused_with_their_cells(office: Office) -> None:
    office.map()

    def fill(sheet: Any) -> None:
        sheet.append(["日時", "奥沢", "流量"])
        for minute in (0, 10, 20, 30):
            sheet.append([local(2026, 6, 1, 8, minute), 50 + minute, 1.0])
        sheet.merge_cells("B3:B4")

    workbook(office.folder / "a.xlsx", fill)
    office.look()
    assert [row[0][-5:] for row in office.levels()] == ["08:00", "08:30"]
    assert [line for line, _, _ in office.problems()] == [3, 4]
    assert all("B3:B4" in en and "B3:B4" in ja for _, en, ja in office.problems())

    other = Office(office.registered, office.root, "two")
    other.map(WIDE.replace("奥沢:", "水位:"))

    def merged_heading(sheet: Any) -> None:
        sheet.append(["日時", "水位", "", "流量"])
        sheet.append(["", "奥沢", "新橋", ""])
        sheet.merge_cells("B1:C1")

    workbook(other.folder / "b.xlsx", merged_heading)
    other.look()
    ((en, ja),) = query(other.registered.owner, "select reason, reason_ja from folder_file where state = 'failed'")
    assert "cells B1:C1 are merged" in en and "[1, 2]" in en and "セル B1:C1" in ja


def test_a_file_without_a_header_has_letters_and_a_sheet_can_be_named(office: Office) -> None:
    office.map("header: 0\nsheet: データ\ntime: {column: A, zone: Asia/Tokyo}\n"
               "columns: {C: {station: river-okusawa, property: water_level}}")  # fmt: skip
    book = openpyxl.Workbook()
    book.active.append(["目次"])
    sheet = book.create_sheet("データ")
    sheet.append([local(2026, 6, 1, 8, 10), "x", 1.5])
    book.save(office.folder / "c.xlsx")
    office.look()
    assert office.levels() == [("06-01 08:10", 1.5, "good", None)]


def zipped(*parts: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "古い形式（.xls）"),
        ("secret.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "パスワード"),
        ("bomb.xlsx", zipped(("xl/worksheets/sheet1.xml", b"0" * 101_000_000)), "上限"),
        ("many.xlsx", zipped(*[(f"x{n}", b"") for n in range(2001)]), "上限"),
        ("cut.xlsx", zipped(("xl/workbook.xml", random.Random(1).randbytes(9000)))[:4000], "途中で切れて"),
        ("other.xlsx", zipped(("readme", b"nothing")), "Excel ファイルとして読めません"),
        (
            "entities.xlsx",
            zipped(("[Content_Types].xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')),
            "Excel ファイル",
        ),
        ("picture.png", b"\x89PNG\r\n", "CSV"),
        ("binary.csv", b"\0\1\2\3", "文字のファイルではありません"),
        ("unicode.csv", HEAD.encode("utf-16"), "UTF-16"),
        ("header.csv", "時刻,奥沢,流量\n".encode(), "列「日時」がありません"),
        ("empty.csv", b"\n", "がありません"),
    ],
)
def test_what_is_no_table_is_kept_in_failed_with_words_beside_it(
    office: Office, name: str, content: bytes, words: str
) -> None:
    office.map()
    office.drop(name, content)
    office.drop("good.csv", HEAD + ROWS[0])
    office.look(4)
    assert office.there() == {f"failed/{name}", f"failed/{name}.txt", "done/good.csv"}
    report = (office.folder / "failed" / f"{name}.txt").read_bytes().decode("utf-8-sig")
    assert words in report and "could not be read" in report and report.count("\r\n") == report.count("\n")
    assert (office.folder / "failed" / name).read_bytes() == content
    assert len(office.levels()) == 1


def test_a_broken_line_stops_no_other_and_is_named_in_the_report(office: Office) -> None:
    office.map()
    office.drop("a.csv", HEAD + ROWS[0] + "昨日,1,2\n" + "2026/6/1 8:10,高い,2\n" + ROWS[2])
    office.look()
    assert office.files() == {"done/a.csv": ("read", 5, 0, 0, 2)}
    assert [line for line, _, _ in office.problems()] == [3, 4]
    report = (office.folder / "done" / "a.csv.txt").read_text("utf-8-sig")
    assert "3行目：「昨日」は日時として読めません" in report and "line 4: 奥沢: '高い' is no number" in report
    office.closed()


# --- what lies in a folder -------------------------------------------------------------------------------------


def test_half_written_files_are_awaited_and_what_is_no_file_is_left_alone(office: Office, tmp_path: Path) -> None:
    office.map()
    outside = tmp_path / "outside.csv"
    outside.write_text(HEAD + ROWS[0], "utf-8")
    (office.folder / "link.csv").symlink_to(outside)
    os.mkfifo(office.folder / "pipe.csv")
    (office.folder / "sub").mkdir()
    (office.folder / "sub" / "a.csv").write_text(HEAD + ROWS[0], "utf-8")
    office.root.joinpath("linked").symlink_to(tmp_path)
    for name in ("a.csv.part", "b.csv.filepart", "~$c.xlsx", ".d.csv", "Thumbs.db"):
        office.drop(name, HEAD + ROWS[0])
    office.drop("empty.csv", b"")
    office.drop("large.csv", b"x" * 200_001)
    growing = office.drop("growing.csv", HEAD)
    before = office.there()
    for row in ROWS[:3]:
        with growing.open("a") as file:
            file.write(row)
        office.look(1)
        assert office.files() == {}
    told = office.waiting()
    assert told == {
        "a.csv.part": "transfer", "b.csv.filepart": "transfer", "empty.csv": "empty", "large.csv": "too_large",
        "growing.csv": "growing", "link.csv": "link", "pipe.csv": "link",
    }  # fmt: skip
    assert office.there() == before
    office.look()
    assert list(office.files()) == ["done/growing.csv"]
    assert len(office.levels()) == 3
    assert [row[0] for row in query(office.registered.owner, "select name from folder")] == ["kawa"]
    # renamed in when it is whole, as careful programs do
    (office.folder / "a.csv.part").rename(office.folder / "a.csv")
    office.look()
    assert ("done/a.csv" in office.files()) and outside.exists()


def test_a_file_settles_for_as_long_as_the_setting_says(office: Office) -> None:
    office.map()
    office.config = FoldersConfig(office.registered.worker, "999999", office.root, settle_seconds=3600)
    office.drop("a.csv", HEAD + ROWS[0])
    office.look(5)
    assert office.files() == {} and office.waiting() == {"a.csv": "growing"}


def test_a_workbook_that_somebody_has_open_waits_for_them(office: Office) -> None:
    office.map()
    workbook(office.folder / "水位.xlsx", lambda sheet: sheet.append(["日時", "奥沢", "流量"]))
    lock = office.drop("~$水位.xlsx", b"somebody")
    office.look(4)
    assert office.waiting() == {"水位.xlsx": "open"} and office.files() == {}
    lock.unlink()
    office.look()
    assert list(office.files()) == ["done/水位.xlsx"]


def test_without_a_map_files_wait_and_the_newest_is_a_sample(office: Office) -> None:
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    assert office.waiting() == {"a.csv": "no_map"} and office.there() == {"a.csv"}
    ((name, sheets),) = query(office.registered.owner, "select name, sheets from folder_sample")
    assert name == "a.csv" and sheets[0]["rows"][0] == ["日時", "奥沢", "流量"]
    office.map()
    office.look()
    assert office.files() == {"done/a.csv": ("read", 2, 0, 0, 0)} and office.waiting() == {}


def test_the_same_content_again_is_harmless_whatever_it_is_called(office: Office) -> None:
    office.map()
    text = HEAD + "".join(ROWS)
    office.drop("a.csv", text)
    office.look()
    messages = query(office.registered.owner, "select count(*) from uplink")
    feeds = query(office.registered.owner, "select count(*) from feed")
    for name in ("a.csv", "b.csv"):
        office.drop(name, text)
        office.look()
    assert office.there() == {"done/a.csv", "done/a (2).csv", "done/b.csv"}
    assert len(office.files()) == 1
    assert query(office.registered.owner, "select repeats, stored, unchanged from folder_file") == [(2, 12, 0)]
    assert query(office.registered.owner, "select count(*) from uplink") == messages
    assert query(office.registered.owner, "select count(*) from feed") == feeds
    office.closed()


def test_a_daily_file_that_grows_brings_only_what_is_new_and_what_changed_is_a_revision(office: Office) -> None:
    office.map()
    figures = []
    for n in range(1, 5):
        office.drop("daily.csv", HEAD + "".join(ROWS[:n]))
        office.look()
    corrected = [ROWS[0].replace(",50,", ",49,"), *ROWS[1:4]]
    office.drop("daily.csv", HEAD + "".join(corrected))
    office.look()
    for row in query(office.registered.owner, "select stored, unchanged, revised from folder_file order by arrived_at"):
        figures.append(row)
    assert figures == [(2, 0, 0), (2, 2, 0), (2, 4, 0), (2, 6, 0), (0, 7, 1)]
    assert office.levels()[0] == ("06-01 08:00", 0.49, "good", None)
    assert query(office.registered.owner, "select value from observation_revision") == [(0.5,)]
    # the older content once more, put back by somebody: it stands below what came after it
    office.drop("again.csv", HEAD + ROWS[0])
    office.look()
    assert office.levels()[0][1] == 0.49
    office.closed()


def test_a_share_that_may_only_be_read_is_remembered(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.map()
    # root may write wherever the mode says nobody may: the shelf's name is taken by a file instead
    (office.folder / "done").write_text("no folder")
    (office.folder / "done").rename(office.folder / ".x")
    monkeypatch.setattr(Path, "mkdir", _refused)
    office.drop("a.csv", HEAD + ROWS[0])
    office.look(5)
    assert office.files() == {"a.csv": ("read", 2, 0, 0, 0)} and "a.csv" in office.there()
    assert office.folders() == [("kawa", None, True)]
    office.restart()
    office.look(4)
    assert query(office.registered.owner, "select repeats, stored from folder_file") == [(0, 2)]
    office.drop("a.csv", HEAD + "".join(ROWS[:2]))
    office.look()
    assert [row[1] for row in office.levels()] == [0.5, 0.6]


def _refused(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_files_may_stay_where_they_are_and_are_read_again_only_when_they_change(office: Office) -> None:
    office.map(stays=True)
    office.drop("a.csv", HEAD + ROWS[0])
    office.look(4)
    assert office.there() == {"a.csv"} and office.files() == {"a.csv": ("read", 2, 0, 0, 0)}
    with (office.folder / "a.csv").open("a", encoding="utf-8") as file:
        file.write(ROWS[1])
    office.look(4)
    assert [row[1] for row in office.levels()] == [0.5, 0.6]
    assert query(office.registered.owner, "select stored, unchanged, repeats from folder_file order by arrived_at") == [
        (2, 0, 0), (2, 2, 0),
    ]  # fmt: skip


def test_what_could_not_be_read_is_read_when_the_map_is_put_right(office: Office) -> None:
    office.map(WIDE.replace("奥沢:", "水位:"))
    office.drop("a.csv", HEAD + ROWS[0] + "2026/6/1 8:10,休止,2\n")
    office.look()
    assert office.there() == {"failed/a.csv", "failed/a.csv.txt"}
    office.map()
    office.look(1)
    assert office.files() == {"done/a.csv": ("read", 3, 0, 0, 1)}
    assert office.there() == {"done/a.csv", "done/a.csv.txt"}
    office.map(WIDE.replace('"***": failure', '"休止": out_of_service'))
    office.look(2)
    assert office.files() == {"done/a.csv": ("read", 1, 3, 0, 0)}
    assert "すべて読めました" in (office.folder / "done" / "a.csv.txt").read_text("utf-8-sig")
    assert office.levels()[1] == ("06-01 08:10", None, "missing", "out_of_service")
    office.closed()


def test_a_map_that_was_wrong_is_corrected_by_reading_again_and_the_later_map_stands(office: Office) -> None:
    office.map(WIDE.replace("scale: 0.01", "scale: 0.1"))
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    assert office.levels()[0][1] == 5.0
    for scale in ("0.02", "0.001", "0.01"):
        office.map(WIDE.replace("scale: 0.01", f"scale: {scale}"))
        query_owner(office, "update folder_file set wanted = true")
        office.look(1)
        assert office.levels()[0][1] == pytest.approx(50 * float(scale))
    query_owner(office, "update folder_file set wanted = true")
    office.look(1)
    assert office.files() == {"done/a.csv": ("read", 0, 2, 0, 0)}
    office.closed()


def query_owner(office: Office, statement: str) -> None:
    with connect(office.registered.owner, name="test") as conn:
        conn.execute(statement.encode())


def test_a_file_that_is_gone_or_another_by_now_is_not_asked_for_for_ever(office: Office) -> None:
    office.map(WIDE.replace("奥沢:", "水位:"))
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    (office.folder / "failed" / "a.csv").unlink()
    office.map()
    office.look(3)
    assert office.files() == {"failed/a.csv": ("failed", 0, 0, 0, 0)}
    assert "no longer at failed/a.csv" in office.reason()[0]
    # nothing in the ledger leads out of the folder
    outside = office.root.parent / "outside.csv"
    outside.write_text(HEAD + ROWS[0], "utf-8")
    query_owner(office, "update folder_file set wanted = true, place = '../../outside.csv'")
    office.look(2)
    assert office.levels() == []


def test_a_folder_that_is_away_is_said_and_nothing_is_forgotten(office: Office) -> None:
    office.map()
    office.drop("a.csv", HEAD + ROWS[0])
    office.look()
    office.folder.rename(office.root / ".away")
    office.look(1)
    assert office.folders() == [("kawa", "gone", False)]
    # nobody waits for it any more, until it is there again
    query_owner(office, "update folder set ended_at = looked_at, obstacle = null, obstacle_since = null")
    office.look(1)
    assert query(office.registered.owner, "select obstacle, ended_at is null from folder") == [(None, False)]
    (office.root / ".away").rename(office.folder)
    office.look(1)
    assert query(office.registered.owner, "select obstacle, ended_at is null from folder") == [(None, True)]
    assert len(office.files()) == 1


# --- of what stands ----------------------------------------------------------------------------------------------


def test_a_fresh_level_raises_an_alert_and_a_year_of_history_none(office: Office, town: Any) -> None:
    station = next(s for s in town.stations if s.code == RIVER)
    highest = max(level.value for s in (station,) for t in s.thresholds for level in t.levels) + 0.2
    office.map(WIDE.replace("scale: 0.01", "scale: 1"))
    old = "".join(f"2025/9/{day} 12:00,{highest},\n" for day in range(1, 20))
    office.drop("old.csv", HEAD + old + "2026/6/1 7:00,0.2,\n2026/6/1 8:00,0.3,\n")
    office.look()
    assert judged(office) == []
    office.drop("new.csv", HEAD + f"2026/6/1 8:40,{highest},\n2026/6/1 8:50,{highest},\n")
    office.look()
    assert judged(office) == ["level"]


def judged(office: Office) -> list[str]:
    with connect(office.registered.worker, name="test") as conn:
        Consumer(office.registered.worker, "alerts").drain(conn, Evaluator(FixedClock(START)).handle)
    return [row[0] for row in query(office.registered.owner, "select rule from alert where rule = 'level'")]


@pytest.mark.parametrize(("quality", "level"), [("manual", 0.5), ("good", 0.8)])
def test_what_a_person_wrote_stands_above_a_file_of_a_device(office: Office, quality: str, level: float) -> None:
    office.map(f"quality: {quality}\n{WIDE}")
    office.drop("a.csv", HEAD + "2026/6/1 8:00,50,\n")
    office.look()
    office.map()
    office.drop("b.csv", HEAD + "2026/6/1 8:00,80,\n")
    office.look()
    assert office.levels()[0][1] == level


# --- the process -------------------------------------------------------------------------------------------------


def environment(office: Office) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIMAMORI_")}
    return kept | {"MIMAMORI_WORKER_DSN": office.registered.worker, "MIMAMORI_FOLDERS": str(office.root)}


def test_killed_in_the_middle_of_a_file_nothing_is_lost_and_nothing_twice(office: Office) -> None:
    """kill -9, again and again, of the real process while it reads a file of many parts."""
    begin = local(2026, 2, 1)
    n = 14_000
    text = HEAD + "".join(
        f"{begin + timedelta(minutes=5 * i):%Y/%m/%d %H:%M},{20 + i % 97},{i % 89}.5\n" for i in range(n)
    )
    office.map()
    office.config = replace(office.config, max_bytes=10_000_000)
    office.drop("large.csv", text)
    command = [sys.executable, "-m", "mimamori", "run", "folders"]
    kills, reached = 0, 0
    for _ in range(30):
        with (office.root.parent / "folders.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment(office), stderr=log)
        try:
            wait_for(partial(beyond, office, reached, process), "the next part to be stored", seconds=180)
            assert process.poll() is None, (office.root.parent / "folders.log").read_text("utf-8")
            reached = progress(office)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if finished(office):
            break
        kills += 1
    assert kills >= 3, "it was too fast to be killed in the middle"
    office.look(4)
    assert office.there() == {"done/large.csv"}
    assert query(
        office.registered.owner, "select state, lines, stored + unchanged, revised, rejected from folder_file"
    ) == [("read", n, 2 * n, 0, 0)]
    assert query(
        office.registered.owner, "select count(*), count(distinct (datastream_id, phenomenon_time)) from observation"
    ) == [(2 * n, 2 * n)]
    assert query(office.registered.owner, "select count(*) from observation_revision") == [(0,)]
    office.closed()


def beyond(office: Office, reached: int, process: subprocess.Popen[bytes]) -> bool:
    return progress(office) > reached or finished(office) or process.poll() is not None


def progress(office: Office) -> int:
    row = query(office.registered.owner, "select coalesce(max(reached), 0) from folder_file")
    return int(row[0][0])


def finished(office: Office) -> bool:
    return query(office.registered.owner, "select count(*) from folder_file where state = 'read'") == [(1,)]


def test_killed_between_the_commit_and_the_move_the_file_is_moved_later(office: Office) -> None:
    office.map()
    path = office.drop("a.csv", HEAD + "".join(ROWS))
    office.look()
    (office.folder / "done" / "a.csv").rename(path)
    query_owner(office, "update folder_file set place = 'a.csv'")
    office.restart()
    office.look()
    assert office.files() == {"done/a.csv": ("read", 12, 0, 0, 0)}
    assert query(office.registered.owner, "select repeats from folder_file") == [(0,)]


def test_one_process_reads_and_the_next_takes_over(office: Office) -> None:
    office.map()
    office.drop("a.csv", HEAD + ROWS[0])
    stop = threading.Event()
    with closing(psycopg.connect(office.registered.worker)) as first:
        assert alone(first, office.registered.municipality_id)
        thread = threading.Thread(target=run, args=(office.config, stop), name="folders under test", daemon=True)
        thread.start()
        wait_for(
            lambda: (
                query(
                    office.registered.owner,
                    "select count(*) from pg_stat_activity where application_name = 'mimamori folders' "
                    "and datname = current_database()",
                )
                == [(1,)]
            ),
            "the second process to be there",
        )
        assert office.files() == {}
    try:
        wait_for(lambda: list(office.files()) == ["done/a.csv"], "the second process to take over")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    ((stopped,),) = query(office.registered.owner, "select stopped_at is not null from folder_watch")
    assert stopped


def test_a_connection_that_is_lost_is_made_again(office: Office) -> None:
    office.map()
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(office.config, stop), name="folders under test", daemon=True)
    thread.start()
    try:
        wait_for(
            lambda: query(office.registered.owner, "select count(*) from folder_watch") == [(1,)], "a sign of life"
        )
        query_owner(
            office,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mimamori folders' "
            "and datname = current_database()",
        )
        office.drop("a.csv", HEAD + ROWS[0])
        wait_for(lambda: list(office.files()) == ["done/a.csv"], "the file to be read over a new connection")
    finally:
        stop.set()
        thread.join(20)


def test_what_cannot_work_is_said(registered: Registered, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        FoldersConfig(registered.worker, "999999", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="000000"):
        run(FoldersConfig(registered.worker, "000000", tmp_path), threading.Event())

"""What files in a watched folder say: CSV and Excel as offices write them, and what is no table."""

from __future__ import annotations

import io
import random
import zipfile
from datetime import timedelta
from typing import Any

import openpyxl
import pytest

from tests.ingest.office import HEAD, LONG, ROWS, WIDE, Office, local, workbook
from tests.ingest.town import query


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
        ("year.zip", zipped(("a.csv", b"a,b")), "中に、決まった形式のファイルがありません"),
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

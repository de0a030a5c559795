"""Reports of the visitors, from days to cells: gaps are no totals, years are named, and the year before is fair or
silent.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.visitors.day_types import DayType, day_type, holiday_name
from analytics.visitors.reports import prefecture, tables
from analytics.visitors.reports.cells import Asked, Cell, Kind, Place
from analytics.visitors.reports.compare import Way, change, partner
from analytics.visitors.reports.counting import Counted, Known, Version, of_day, of_days
from analytics.visitors.reports.layout import DEFAULT, Column, LayoutError, read
from analytics.visitors.reports.periods import YearKind, days_between, days_of, months
from analytics.visitors.reports.standard import Survey, size, survey_for
from analytics.visitors.reports.text_file import CP932, UTF_8, csv_file, lost
from analytics.visitors.reports.workbook import workbook
from analytics.visitors.spots.plan import Method
from analytics.visitors.spots.series import SpotDay
from api.pages.site import site

TAKI, SHIRYOKAN = Place(1, "taki", "見守の滝", "Mimamori Falls"), Place(2, "shiryokan", "=資料館𠮷", "")
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
FIRST, LAST = date(2024, 1, 1), date(2026, 12, 31)
COUNTER = frozenset({"counter"})


def every_day(visitors: int = 10, first: date = FIRST, last: date = LAST, **more: object) -> dict[date, Counted]:
    made = (Counted(day, visitors, COUNTER) for day in days_between(first, last))
    return {each.day: Counted(each.day, each.visitors, **{"methods": COUNTER, **more}) for each in made}  # type: ignore[arg-type]


def without(of: dict[date, Counted], *days: date) -> dict[date, Counted]:
    return of | {day: Counted(day, None, why="missing") for day in days}


def asked(kind: Kind, **more: object) -> Asked:
    chosen: dict[str, object] = {
        "places": (TAKI, SHIRYOKAN),
        "month": MAY,
        "year": 2026,
        "years": 3,
        "ways": tuple(Way),
        "version": Version.ALL,
        "year_kind": YearKind.FISCAL,
        "most_missing": 3,
        "until": date(2026, 6, 10),
        "at": datetime(2026, 6, 11, 9, 30, tzinfo=ZoneInfo("Asia/Tokyo")),
        **more,
    }
    return Asked(kind, **chosen)  # type: ignore[arg-type]


def known(days: Mapping[int, dict[date, Counted]]) -> dict[int, Known]:
    return {spot_id: Known(each) for spot_id, each in days.items()}


def texts(row: tuple[Cell, ...]) -> list[str]:
    return [cell.text + (f" {cell.marks}" if cell.marks else "") for cell in row]


# --- days, months, years ----------------------------------------------------------------------------------------


def spot_day(visitors: int | None, **more: object) -> SpotDay:
    known: dict[str, object] = {"completeness": 1.0, "state": "ok", "method": Method.COUNTER, "version": "confirmed"}
    return SpotDay(MAY, visitors, visitors, None, None, **{**known, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "version", "visitors", "why", "flags"),
    [
        (spot_day(5), Version.CONFIRMED, 5, None, set()),
        (spot_day(0), Version.CONFIRMED, 0, None, set()),
        (spot_day(5, version="checked"), Version.CONFIRMED, None, "unconfirmed", set()),
        (spot_day(5, version="checked"), Version.ALL, 5, None, {"provisional"}),
        (spot_day(5, completeness=0.5), Version.ALL, 5, None, {"partial"}),
        (spot_day(5, completeness=0.0, state="estimated"), Version.ALL, 5, None, {"estimated"}),
        (spot_day(None, state="outage"), Version.CONFIRMED, None, "missing", set()),
        (spot_day(None, state="absent"), Version.ALL, None, "absent", set()),
        (spot_day(None, state="absent", method=Method.FORM), Version.ALL, None, "not_entered", set()),
        (spot_day(5, method_before=Method.FORM), Version.ALL, 5, None, {"switched"}),
    ],
)
def test_zero_missing_not_entered_and_not_confirmed_are_different_days(
    day: SpotDay, version: Version, visitors: int | None, why: str | None, flags: set[str]
) -> None:
    found = of_day(day, version)
    assert (found.visitors, found.why) == (visitors, why)
    assert {name for name in ("provisional", "partial", "estimated", "switched") if getattr(found, name)} == flags


@given(st.lists(st.one_of(st.none(), st.integers(0, 9999)), min_size=31, max_size=31), st.integers(0, 15))
def test_a_month_has_a_total_only_with_few_enough_days_missing(values: list[int | None], most: int) -> None:
    """Whatever the days: the total is the sum of what was counted or it is none, and nothing is lost on the way."""
    counted = {
        day: Counted(
            day, value, COUNTER if value is not None else frozenset(), why=None if value is not None else "missing"
        )
        for day, value in zip(days_of(MAY), values, strict=True)
    }
    found = of_days(days_of(MAY), counted, LAST, most)
    missing = values.count(None)
    assert found.counted == sum(value or 0 for value in values) and found.missing == missing
    assert found.total == (found.counted if missing <= most and missing < 31 else None)
    assert (found.why is None) == (found.total is not None)


def test_a_year_without_a_months_total_has_none_and_says_what_was_counted() -> None:
    days = {1: without(every_day(), *days_between(date(2026, 5, 3), date(2026, 5, 6))), 2: every_day()}
    made = tables.make(asked(Kind.MONTHLY, ways=()), known(days))
    (table,) = made.tables
    assert table.head[:3] == ("地点", "2026年4月", "2026年5月") and table.head[-1] == "年計"
    assert texts(table.rows[0])[:5] == ["見守の滝", "300", "欠測など4日", "100 r", "これから"]
    assert table.rows[0][2].note == "数えた分 270" and table.rows[0][2].value is None
    assert table.rows[0][-1].value is None and table.rows[0][-1].note == "数えた分 670"
    assert texts(table.rows[1])[-1] == "710 r"
    assert made.period == "2026年度（2026年4月〜2027年3月）"
    assert ("年の区切り", "年度（4月〜翌年3月）で集計しています。暦年ではありません。") in made.notes
    calendar = tables.make(asked(Kind.MONTHLY, ways=(), year_kind=YearKind.CALENDAR), known(days))
    assert calendar.tables[0].head[1] == "2026年1月" and "暦年" in calendar.period


def test_only_confirmed_days_make_a_month_that_is_called_confirmed() -> None:
    days = {1: every_day() | {MAY: Counted(MAY, None, why="unconfirmed")}, 2: every_day(provisional=True)}
    (table,) = tables.make(asked(Kind.DAILY, ways=()), known(days)).tables
    assert texts(table.rows[0]) == ["5/1", "金", "GW", "未確定", "10 p"]
    assert texts(table.rows[2])[2] == "憲法記念日"
    assert texts(table.rows[-1]) == ["月計", "", "", "未確定 1日", "310 p"]


# --- the year before --------------------------------------------------------------------------------------------


def test_every_day_finds_a_day_of_its_kind_and_a_holiday_the_one_of_its_name() -> None:
    for day in days_between(date(2023, 1, 1), date(2028, 12, 31)):
        weekday, holiday = partner(day, Way.WEEKDAY), partner(day, Way.HOLIDAY)
        assert weekday is not None and weekday.weekday() == day.weekday()
        assert holiday is not None and day_type(holiday) is day_type(day)
        assert abs((day - holiday).days - 364) <= 21, day
        if day_type(day) is DayType.WEEKDAY and day_type(weekday) is DayType.WEEKDAY:
            assert holiday == weekday
    moved = date(2026, 7, 20)  # 海の日, on 21 July in the year before
    assert holiday_name(partner(moved, Way.HOLIDAY) or moved) == holiday_name(moved) == "海の日"
    assert partner(date(2026, 8, 13), Way.HOLIDAY) == date(2025, 8, 13)


def test_the_three_ways_differ_where_the_calendar_does_and_only_pairs_are_added() -> None:
    """Sundays bring 100, other days 10: May 2026 has five of them, May 2025 four, and no other difference."""
    days = {day: Counted(day, 100 if day.weekday() == 6 else 10, COUNTER) for day in days_between(FIRST, LAST)}
    plain, aligned, kind = (change(days_of(MAY), days, way, 3) for way in Way)
    assert plain.ratio == pytest.approx((5 * 100 + 260) / (4 * 100 + 270))
    assert aligned.ratio == 1.0
    assert kind.pairs == 31 and kind.why is None
    fewer = change(days_of(MAY), without(days, date(2025, 5, 4)), Way.WEEKDAY, 3)
    assert (fewer.pairs, fewer.ratio) == (30, pytest.approx(1.0, abs=0.2))
    gone = without(days, *days_between(date(2025, 5, 1), date(2025, 5, 6)))
    assert (change(days_of(MAY), gone, Way.DATE, 3).ratio, change(days_of(MAY), gone, Way.DATE, 3).why) == (
        None,
        "gaps",
    )
    assert change(days_of(MAY), {}, Way.DATE, 3).why == "nothing"
    leap = change(days_of(date(2024, 2, 1)), every_day(first=date(2023, 1, 1)), Way.DATE, 0)
    assert (leap.pairs, leap.days, leap.ratio) == (28, 29, 1.0)


def test_another_method_a_year_before_is_marked() -> None:
    days = every_day() | every_day(20, date(2025, 5, 1), date(2025, 5, 31), methods=frozenset({"form"}))
    found = tables.make(asked(Kind.DAILY, places=(TAKI,), ways=(Way.DATE,)), known({1: days})).tables[1]
    assert found.head[-1] == "同日付 前年比"
    assert texts(found.rows[0]) == ["見守の滝", "2026年5月", "310", "620", "50.0 % #"]


def test_months_that_the_office_kept_stand_where_no_days_are_and_are_compared_by_the_month() -> None:
    days = every_day(first=date(2026, 4, 1), last=date(2026, 6, 10))
    kept = dict.fromkeys(months(2025, YearKind.FISCAL), 620)
    made = tables.make(asked(Kind.YEARLY, places=(TAKI,), years=2, until=date(2026, 6, 10)), {1: Known(days, kept)})
    table, compared = made.tables
    assert texts(table.rows[0]) == ["見守の滝", "7,440", "710 r"] and "過去の月計" in dict(made.notes)["計測方法"]
    assert texts(compared.rows[0])[2:] == ["", "", "前年の数なし"] * 3
    made = tables.make(asked(Kind.DAILY, places=(TAKI,), month=MAY), {1: Known(days, kept)})
    assert texts(made.tables[1].rows[0])[2:8] == ["310", "620", "50.0 % #", "", "", "前年の数なし"]
    prefectures = prefecture.make(asked(Kind.PREFECTURE, places=(TAKI,)), {1: Known(days, kept)}, DEFAULT, None, {}, "")
    row = dict(zip(prefectures.tables[0].head, texts(prefectures.tables[0].rows[0]), strict=True))
    assert (row["前年同月 延べ人数"], row["前年同月比（%）"]) == ("620", "50.0 % #")
    assert row["備考"] == "前年と計測方法が異なる"


# --- 共通基準 and the prefecture's table -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("each", "gap", "enough"),
    [(28, 0, True), (10, 0, False), (10, 5, None), (28, 5, True), (0, 0, False)],
)
def test_the_size_of_a_point_is_yes_no_or_not_known(each: int, gap: int, enough: bool | None) -> None:
    days = without(every_day(each), *days_between(date(2025, 3, 1), date(2025, 3, gap)) if gap else ())
    of_year = [(month, of_days(days_of(month), days, LAST, 3)) for month in months(2025, YearKind.CALENDAR)]
    found = size(2025, of_year)
    assert (found.enough, found.without) == (enough, gap)
    assert found.counted == each * (365 - gap)
    busy = days | every_day(200, date(2025, 8, 1), date(2025, 8, 25))
    august = size(2025, [(month, of_days(days_of(month), busy, LAST, 3)) for month in months(2025, YearKind.CALENDAR)])
    assert august.enough is True and august.best_month == date(2025, 8, 1)


def test_the_prefectures_table_has_the_columns_that_the_office_wrote() -> None:
    layout = read(
        [
            ("number", "番号", "1"),
            ("name", "施設名", "1"),
            ("", "", "1"),
            ("visitors", "延べ", "1000"),
            ("change", "前年比", "1"),
            ("overnight", "宿泊", "1"),
            ("year_to_date", "累計", "1"),
            ("remarks", "備考", "1"),
        ]
    )
    spring = Survey(date(2026, 4, 25), date(2026, 5, 5), 112, "観光協会", day_trip=75.0, overnight=25.0)
    old = Survey(date(2024, 5, 1), date(2024, 5, 2), 80, "観光協会", day_trip=50.0, overnight=50.0)
    assert (
        survey_for([old, spring], MAY, date(2026, 5, 31)) is spring
        and survey_for([old], MAY, date(2026, 5, 31)) is None
    )
    days: Mapping[int, dict[date, Counted]] = {
        1: every_day(100),
        2: without(every_day(), *days_between(date(2026, 5, 1), date(2026, 5, 9))),
    }
    facts = {1: prefecture.Facts("O-12", "自然", (spring,))}
    made = prefecture.make(asked(Kind.PREFECTURE, ways=()), known(days), layout, None, facts, "美守町")
    (table,) = made.tables
    assert table.head == ("番号", "施設名", "延べ（千人）", "前年比", "宿泊", "累計", "備考")
    assert texts(table.rows[0]) == [
        "O-12", "見守の滝", "3.1", "100.0 %", "775 e", "6,100", "割合は2026-04-25〜2026-05-05の調査による",
    ]  # fmt: skip
    assert texts(table.rows[1])[2:6] == ["欠測など9日", "比較なし（欠測が多い）", "調査なし", "欠測など9日"]
    assert texts(table.rows[1])[6] == "欠測9日、数えた分 220人"


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "empty"),
        ([("name", "施設", "1")], "visitors"),
        ([("", "題だけ", "1")], "field"),
        ([("visitors", " ", "1")], "title"),
        ([("visitors", "数", "7")], "unit"),
        ([("visitors", "数", "1"), ("before", "数", "1")], "twice"),
    ],
)
def test_columns_that_make_no_table_are_refused_with_their_place(rows: list[tuple[str, str, str]], code: str) -> None:
    with pytest.raises(LayoutError) as refused:
        read(rows)
    assert refused.value.code == code


# --- the files --------------------------------------------------------------------------------------------------


def test_excel_has_numbers_formats_a_chart_and_the_notes() -> None:
    days = {1: without(every_day(1234, provisional=True), date(2026, 5, 3)), 2: every_day()}
    made = tables.make(asked(Kind.DAILY), known(days))
    book = openpyxl.load_workbook(io.BytesIO(workbook(made)))
    assert book.sheetnames == ["日別 観光地点の延べ人数", "前年との比較", "データ", "注記", "グラフの数"]
    sheet = book["日別 観光地点の延べ人数"]
    assert sheet["A2"].value == "2026年5月　【速報】"
    assert (sheet["E4"].value, sheet["E4"].data_type) == ("=資料館𠮷", "s")
    assert sheet["A5"].value.date() == date(2026, 5, 1) and sheet["D5"].value == 1234
    assert sheet["D5"].number_format == '#,##0" p"' and sheet["D7"].value == "欠測"
    assert sheet["A36"].value == "月計" and sheet["D36"].value == 30 * 1234 and sheet.freeze_panes == "D5"
    assert len(sheet._charts) == 1 and len(sheet._charts[0].series) == 2
    ratio = book["前年との比較"]["E5"]
    assert ratio.number_format.startswith("0.0%") and ratio.value == pytest.approx(1.0)
    notes = {row[0].value: row[1].value for row in book["注記"].iter_rows()}
    assert (
        "延べ" in notes["何の数か"] and "2026-06-11 09:30" in notes["データの版"] and "カウンター" in notes["計測方法"]
    )
    assert "模擬" not in notes
    invented = tables.make(asked(Kind.DAILY, simulated=True), known(days))
    book = openpyxl.load_workbook(io.BytesIO(workbook(invented)))
    assert book.worksheets[0]["A1"].value.startswith("【模擬】") and book["注記"]["A1"].value == "模擬"
    for kind in (Kind.MONTHLY, Kind.YEARLY):
        page = openpyxl.load_workbook(io.BytesIO(workbook(tables.make(asked(kind), known(days))))).worksheets[0]
        assert len(page._charts[0].series) == 2 and page["A5"].value == "見守の滝"
    # a missing day is a gap in the chart, not a zero
    assert [book["グラフの数"].cell(row, 2).value for row in (1, 2, 4)] == ["見守の滝", 1234, None]
    table = prefecture.make(asked(Kind.PREFECTURE), known(days), DEFAULT, None, {}, "美守町")
    assert [len(s._charts) for s in openpyxl.load_workbook(io.BytesIO(workbook(table))).worksheets] == [1, 0, 0]


def test_a_table_of_many_spots_goes_over_pages_that_each_name_the_days() -> None:
    many = tuple(Place(n, f"spot-{n}", f"地点{n}", "") for n in range(1, 31))
    made = tables.make(asked(Kind.DAILY, places=many, ways=()), known({n: every_day() for n in range(1, 31)}))
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(made))).worksheets[0]
    assert sheet.page_setup.fitToWidth == 3 and sheet.print_title_cols == "$A:$C"
    html = str(
        site()
        .environment.get_template("parts/visit_report.html")
        .make_module({"t": site().words["ja"]})
        .report_table(made.tables[0], "report")
    )
    heads = [re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", part) for part in html.split("<table")[1:]]
    assert [len(head) for head in heads] == [3 + 12, 3 + 12, 3 + 6]
    assert all(head[:3] == ["日付", "曜日", "日の種類"] for head in heads)
    assert [name for head in heads for name in head[3:]] == [place.name for place in many]


def test_a_csv_is_read_by_excel_and_tells_which_letters_its_code_does_not_have() -> None:
    days = {1: every_day(), 2: without(every_day(), MAY + timedelta(days=1))}
    made = tables.make(asked(Kind.DAILY, ways=()), known(days))
    data, replaced = csv_file(made, UTF_8)
    assert data.startswith("\ufeff".encode()) and replaced == ""
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert (rows[0]["日付"], rows[0]["地点"], rows[0]["延べ人数"], rows[0]["状態"]) == (
        "2026-05-01",
        "見守の滝",
        "10",
        "全日",
    )
    assert (rows[3]["地点"], rows[3]["延べ人数"], rows[3]["状態"]) == ("'=資料館𠮷", "", "欠測")
    data, replaced = csv_file(made, CP932)
    lines = list(csv.reader(io.StringIO(data.decode("cp932"))))
    assert replaced == lost(made) == "𠮷" and lines[2][3] == "'=資料館〓"
    assert "〓" in lines[-1][0] and "U+20BB7" in lines[-1][0]
    months_made = tables.make(asked(Kind.MONTHLY, ways=()), known(days))
    data, _ = csv_file(months_made, UTF_8)
    may = [row for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig"))) if row["期間"] == "2026-05"]
    assert [(row["延べ人数"], row["欠測日数"]) for row in may] == [("310", "0"), ("300", "1")]
    assert Column("visitors", "当月 延べ人数") in DEFAULT

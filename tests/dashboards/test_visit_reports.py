"""報告書: the table of the page and of its files; layout, common standard and monthly letter, over a real server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx
import openpyxl
import pytest

from analytics.visitors.reports.monthly import Letters
from api.roles import Role
from devices.clock import FixedClock
from store import connect
from tests.api.serving import TownHall
from tests.dashboards.reading import main

TAKI, TOKYO = "spot-taki", ZoneInfo("Asia/Tokyo")
# START is 2026-06-01 09:00 in the town. Counted from 2025-04-01 on: ten a day, a hundred on Sundays, a gap.
FIRST, LAST = date(2025, 4, 1), date(2026, 5, 31)
GAP = [date(2026, 4, day) for day in (6, 7, 8, 9)]
REPORTS = "/tourism/reports"


@pytest.fixture
def counted(hall: TownHall) -> TownHall:
    datastream_id = hall.database.datastream(TAKI, "passages_in")
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    with connect(hall.database.owner, name="test") as conn, conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into rollup_day (municipality_id, datastream_id, day, n, expected, total, worst_quality)
            values (%s, %s, %s, 144, 144, %s, 'good')
            """,
            [
                (hall.database.municipality_id, datastream_id, day, 100 if day.weekday() == 6 else 10)
                for day in days
                if day not in GAP
            ],
        )
        conn.execute("update app_user set email = login || '@example.jp' where login like 'own-%' and role = 'tourism'")
    return hall


@pytest.fixture
def clerk(counted: TownHall) -> Iterator[httpx.Client]:
    with counted.visitor(Role.TOURISM) as client:
        yield client


def sums(first: date, last: date) -> int:
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return sum(100 if day.weekday() == 6 else 10 for day in days if day not in GAP)


def asked(**query: object) -> str:
    return urlencode({f"spot-{TAKI}": 1, "version": "all", **query})


def test_the_page_shows_what_the_files_hold_and_no_total_with_too_many_gaps(clerk: httpx.Client) -> None:
    query = asked(kind="monthly", year=2026)
    page = main(clerk.get(f"{REPORTS}?{query}"))
    may = sums(date(2026, 5, 1), LAST)
    april = sums(date(2026, 4, 1), date(2026, 4, 30))
    assert "2026年度（2026年4月〜2027年3月）" in page and "暦年ではありません" in page
    assert "欠測など4日" in page and f"数えた分 {april:,}" in page and f"{may:,} p" in page
    assert "未確定の日を含む速報" in page
    book = openpyxl.load_workbook(io.BytesIO(clerk.get(f"{REPORTS}/file.xlsx?{query}").content))
    sheet = book.worksheets[0]
    head = [cell.value for cell in sheet[4]]
    row = dict(zip(head, [cell.value for cell in sheet[5]], strict=True))
    assert (row["2026年5月"], row["2026年4月"], row["年計"]) == (may, "欠測など4日", "欠測など4日")
    assert len(sheet._charts) == 1 and "注記" in book.sheetnames
    answer = clerk.get(f"{REPORTS}/file.csv?{query}")
    assert answer.content.startswith("\ufeff".encode()) and "monthly_fy2026_provisional.csv" in str(answer.headers)
    lines = {line["期間"]: line for line in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))}
    assert (lines["2026-05"]["延べ人数"], lines["2026-04"]["延べ人数"]) == (str(may), "")
    assert (lines["2026-04"]["数えた分の合計"], lines["2026-04"]["欠測日数"]) == (str(april), "4")
    old = clerk.get(f"{REPORTS}/file.csv?{query}&encoding=cp932")
    assert "Shift_JIS" in old.headers["content-type"] and "2026-05" in old.content.decode("cp932")
    english = clerk.get(f"{REPORTS}?{query}&lang=en")
    assert "fiscal 2026 (April 2026 to March 2027)" in main(english)


def test_the_year_before_in_three_ways_and_only_confirmed_days_where_that_is_wanted(clerk: httpx.Client) -> None:
    """May 2026 has five Sundays, May 2025 four; 364 days before they are the same."""
    page = main(clerk.get(f"{REPORTS}?{asked(kind='daily', month='2026-05')}"))
    now, before = sums(date(2026, 5, 1), LAST), sums(date(2025, 5, 1), date(2025, 5, 31))
    assert f"{now / before * 100:.1f} %" in page and "100.0 %" in page and "憲法記念日" in page
    confirmed = main(clerk.get(f"{REPORTS}?{asked(kind='daily', month='2026-05', version='confirmed')}"))
    assert "未確定 31日" in confirmed and f"{now:,}" not in confirmed
    for wrong in ("kind=hourly", "month=2026-13", "month=2030-01", "year=1066", "compare=moon", "years=99"):
        refused = clerk.get(f"{REPORTS}?{wrong}")
        assert refused.status_code == 400 and "選" in refused.text


def test_the_office_writes_the_prefectures_columns_and_a_past_month_keeps_its_own(clerk: httpx.Client) -> None:
    columns = [
        ("number", "番号", "1"),
        ("name", "施設", "1"),
        ("visitors", "入込（千人）", "1000"),
        ("change", "前年比", "1"),
    ]
    form = {
        f"{name}-{n}": value
        for n, row in enumerate(columns, 1)
        for name, value in zip(("field", "title", "unit"), row, strict=True)
    }
    form |= {"order-1": "20", "order-2": "10", "order-3": "30", "order-4": "40"}
    form |= {"do": "columns", "since": "2026-05", "reason": "県の様式の変更"}
    refused = clerk.post(f"{REPORTS}/layout", data={**form, "title-3": "施設"})
    assert refused.status_code == 400 and "同じ見出しが2つ" in main(refused) and "列 3" in main(refused)
    assert clerk.post(f"{REPORTS}/layout", data={**form, "reason": " "}).status_code == 400
    assert clerk.post(f"{REPORTS}/layout", data=form).headers["location"] == f"{REPORTS}/layout?done=columns"
    rows = list(
        csv.reader(io.StringIO(clerk.get(f"{REPORTS}/file.csv?{asked(kind='prefecture', month='2026-05')}").text))
    )
    now, before = sums(date(2026, 5, 1), LAST), sums(date(2025, 5, 1), date(2025, 5, 31))
    assert rows[0][0].endswith("施設") and rows[0][1:] == ["番号", "入込（千人）", "前年比"]
    assert rows[1][2:] == [f"{now / 1000:.1f}", f"{now / before * 100:.1f}"]
    april = clerk.get(f"{REPORTS}/file.csv?{asked(kind='prefecture', month='2026-04')}").text
    assert "地点番号" in april and "入込（千人）" not in april
    assert "県の様式の変更" in main(clerk.get(f"{REPORTS}/layout"))
    done = clerk.post(f"{REPORTS}/layout", data={"do": "settings", "year_kind": "calendar", "most_missing": "4"})
    assert done.status_code == 303
    page = main(clerk.get(f"{REPORTS}?{asked(kind='monthly', year=2026)}"))
    assert "2026年（1月〜12月の暦年）" in page and "欠測など" not in page and "*" in page


def test_a_spot_meets_the_common_standard_by_its_counts_and_what_people_say(clerk: httpx.Client) -> None:
    address = f"{REPORTS}/standard/{TAKI}"
    counted = sums(FIRST, date(2025, 12, 31))
    page = main(clerk.get(address))
    assert f"2025年に数えた分 {counted:,}人" in page and "分からない" in page and "数のない日 90日" in page
    said = {"do": "standard", "non_daily": "yes", "measurable": "yes", "number": "O-12", "category": "自然"}
    assert "出典か、決めた人" in main(clerk.post(address, data=said))
    assert clerk.post(address, data={**said, "source": "県の一覧 令和8年度"}).status_code == 303
    survey = {"do": "survey", "first": "2026-05-03", "last": "2026-05-05", "asked": "１１２", "source": "観光協会"}
    wrong = clerk.post(address, data={**survey, "day_trip": "70", "overnight": "20"})
    assert wrong.status_code == 400 and "合わせて100 %になりません" in main(wrong) and 'value="70"' in wrong.text
    assert clerk.post(address, data={**survey, "day_trip": "75", "overnight": "25"}).status_code == 303
    page = main(clerk.get(address))
    assert "112人に聞いた" in page and "75.0 %" in page and "県の一覧 令和8年度" in page
    table = main(clerk.get(f"{REPORTS}/standard"))
    assert "O-12 自然" in table and "まだ決まらない" in table
    prefecture = main(clerk.get(f"{REPORTS}?{asked(kind='prefecture', month='2026-05')}"))
    assert "O-12" in prefecture and "2026-05-03〜2026-05-05の調査" in prefecture
    assert clerk.post(address, data={"do": "withdraw", "survey": "1"}).status_code == 303
    assert "75.0 %" not in main(clerk.get(address))
    assert clerk.post(address, data={"do": "withdraw", "survey": "1"}).status_code == 404


def test_addresses_are_the_offices_own_and_nobody_else_sees_them(counted: TownHall, clerk: httpx.Client) -> None:
    address, email = f"{REPORTS}/mail", "office@chamber.example.jp"
    wrong = clerk.post(address, data={"do": "address", "name": "商工会", "email": "office@chamber, x@y.jp"})
    assert wrong.status_code == 400 and "読み取れません" in main(wrong) and "商工会" in wrong.text
    add = {"do": "address", "name": "商工会", "email": email}
    assert clerk.post(address, data=add).status_code == 303
    assert "もうあります" in main(clerk.post(address, data=add | {"email": email.upper()}))
    mail = {"do": "make", "name": "月報", "kind": "daily", "version": "published", "day": "5", "hour": "9", "at-1": "1"}
    assert clerk.post(address, data=mail).status_code == 303
    assert email in clerk.get(address).text
    for role in (Role.WATER, Role.DISASTER, Role.VIEWER):
        with counted.visitor(role) as reader:
            page = reader.get(address).text
            assert "月報" in page and "example" not in page and "商工会" not in page
            assert reader.post(address, data=add).status_code == 403
    with counted.visitor(Role.TOURISM, town="other") as other:
        assert email not in other.get(address).text
        assert other.post(address, data={"do": "address_ended", "address": "1"}).status_code == 404
    assert clerk.post(address, data={"do": "address_ended", "address": "1"}).status_code == 303
    assert email not in clerk.get(address).text


def test_a_letter_is_set_up_written_once_and_can_be_taken_from_the_page(counted: TownHall, clerk: httpx.Client) -> None:
    address = f"{REPORTS}/mail"
    assert "own-" not in main(clerk.get(address)) or "@example.jp" in clerk.get(address).text
    with connect(counted.database.owner, name="test") as conn:
        ((user_id,),) = conn.execute("select user_id from app_user where login = 'own-tourism'").fetchall()
    form = {
        "do": "make",
        "name": "課内への月報",
        "kind": "monthly",
        "version": "all",
        "compared": "1",
        "day": "5",
        "hour": "9",
    }
    refused = clerk.post(address, data=form)
    assert refused.status_code == 400 and "1人以上" in main(refused) and "課内への月報" in refused.text
    assert clerk.post(address, data={**form, f"to-{user_id}": "1", f"spot-{TAKI}": "1"}).status_code == 303
    page = main(clerk.get(address))
    assert "毎月5日 9時から" in page and "まだありません" in page
    for hour, written in ((8, 0), (9, 1), (10, 0)):
        with connect(counted.database.worker, name="test") as conn:
            at = datetime(2026, 6, 5, hour, tzinfo=TOKYO)
            assert Letters(FixedClock(at)).look(conn) == written
    page = clerk.get(address)
    assert "課内への月報" in main(page) and "2026-05" in main(page)
    book = openpyxl.load_workbook(io.BytesIO(clerk.get(f"{address}/1.xlsx").content))
    assert sums(date(2026, 5, 1), LAST) in [cell.value for cell in book.worksheets[0][5]]
    with counted.visitor(Role.TOURISM, town="other") as other:
        assert other.get(f"{address}/1.xlsx").status_code == 404
        assert other.post(address, data={"do": "off", "mail": "1"}).status_code == 404
    # it rests, and goes on with the month after; a trial goes out at once
    assert clerk.post(address, data={"do": "off", "mail": "1"}).status_code == 303
    assert "休んでいます" in main(clerk.get(address))
    assert clerk.post(address, data={"do": "trial", "mail": "1"}).status_code == 303
    assert "10分以内に試して" in main(clerk.post(address, data={"do": "trial", "mail": "1"}))
    at = datetime(2026, 7, 5, 9, tzinfo=TOKYO)
    with connect(counted.database.worker, name="test") as conn:
        assert [Letters(FixedClock(at)).look(conn) for _ in range(2)] == [1, 0]
        ((subject, month),) = conn.execute("select subject, month from report_letter where report_letter_id = 2")
    assert "【試し】" in subject and month == date(2026, 6, 1) and "【試し】" in main(clerk.get(address))
    assert clerk.post(address, data={"do": "on", "mail": "1"}).status_code == 303
    assert clerk.post(address, data={"do": "end", "mail": "1"}).status_code == 303
    with connect(counted.database.worker, name="test") as conn:
        assert Letters(FixedClock(datetime(2026, 7, 5, 9, tzinfo=TOKYO))).look(conn) == 0

"""Counts by paste, by hour, of events and of past months, over a real server and database: each arrives once, what is
doubtful is asked about, and nothing that somebody else entered is replaced unseen.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from uuid import uuid4

import httpx
import openpyxl
import pytest

from analytics.service import NAME, handle
from api.roles import Role
from store import connect
from store.correct import Operation
from store.feed import Consumer
from tests.api.serving import TownHall
from tests.dashboards.test_daily_entry import FORM, SPOT, YESTERDAY, examine, main, query, save, stored

PASTE, HOURS = "/tourism/paste", f"/tourism/hours/{SPOT}"
GATHERINGS, MONTHS = f"/tourism/gatherings/{SPOT}", f"/tourism/months/{SPOT}"
HEADER = "日付\t美守郷土資料館\t鈴鳴りの滝\n"


@pytest.fixture
def clerk(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.TOURISM) as client:
        yield client


@pytest.fixture
def other(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DIGITAL) as client:
        yield client


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, f"no {name}"
    return found[1]


def press(client: httpx.Client, checked: httpx.Response, text: str, **more: object) -> httpx.Response:
    """The second press: stores what the page has shown."""
    fields = {"do": "store", "text": text, "digest": hidden(checked, "digest"), **more}
    return client.post(PASTE, data=fields)


def follow(client: httpx.Client, answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"])


def totals(hall: TownHall) -> list[tuple[object, ...]]:
    return query(hall, "select day, value from manual_entry order by manual_entry_id")


# --- a day, sent over a bad network


def test_what_is_sent_twice_is_entered_once_and_what_is_new_in_an_old_page_is_not_lost(
    hall: TownHall, clerk: httpx.Client, other: httpx.Client
) -> None:
    page = clerk.get(f"{FORM}?day={YESTERDAY}")
    sent = {"key": hidden(page, "key"), "seen": hidden(page, "seen")}
    assert "保存しました" in main(save(clerk, YESTERDAY, "120", **sent))
    save(other, YESTERDAY, "130")
    # the answer got lost and the browser sends again: the other's number stays
    assert "もう届いていました" in main(save(clerk, YESTERDAY, "120", **sent))
    assert [row[1] for row in stored(hall)] == [130.0]
    # gone back to the same page with another number: an entry of its own, which asks about what it has not seen
    asked = save(clerk, YESTERDAY, "125", **sent)
    assert "digital of the own town" in main(asked) and "130 人にしています" in main(asked)
    assert [row[1] for row in stored(hall)] == [130.0] and 'value="125"' in asked.text
    kept = {"key": hidden(asked, "key"), "seen": hidden(asked, "seen")}
    assert "訂正しました" in main(save(clerk, YESTERDAY, "125", **kept))
    assert [row[1] for row in totals(hall)] == [120.0, 130.0, 125.0]


def test_a_doubt_does_not_hide_that_somebody_else_has_entered_the_day(
    hall: TownHall, clerk: httpx.Client, other: httpx.Client
) -> None:
    for back in range(2, 9):
        save(clerk, (date(2026, 6, 1) - timedelta(days=back)).isoformat(), "100")
    seen = hidden(clerk.get(f"{FORM}?day={YESTERDAY}"), "seen")
    save(other, YESTERDAY, "110")
    text = main(save(clerk, YESTERDAY, "1100", seen=seen))
    assert "10倍以上" in text and "110 人にしています" in text


# --- pasted


def test_a_pasted_block_is_shown_first_and_stored_with_one_press(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, "2026-05-30", "1100")
    text = HEADER + "5/29(金)\t１，２００\t30人\n5/30\t1,101\t休館\n5/31\t980\t-5\n6/2\t9\t\n2026/6/2\t9\t\n"
    checked = clerk.post(PASTE, data={"text": text})
    said = main(checked)
    assert "C4 鈴鳴りの滝" in said and "「-5」は人数として読み取れません" in said and "まだ来ていない日" in said
    assert "去年" in said
    assert "B3 美守郷土資料館 2026/5/30（土） 1,100 1,101" in said and "何も保存していません" not in said
    assert len(totals(hall)) == 1, "checking stores nothing"
    said = main(press(clerk, checked, text, note="5月分"))
    assert "4件を保存しました（新しい 3件、訂正 1件）" in said and "入らなかったものが 3件" in said
    assert sorted(totals(hall)[1:]) == [
        (date(2026, 5, 29), 30.0), (date(2026, 5, 29), 1200.0), (date(2026, 5, 30), 1101.0), (date(2026, 5, 31), 980.0),
    ]  # fmt: skip
    assert query(hall, "select distinct note from manual_entry where note is not null") == [("5月分",)]
    # pasted again it changes nothing
    assert "保存するものはありません" in main(clerk.post(PASTE, data={"text": text}))


def test_a_number_ten_times_the_usual_is_stored_only_where_it_is_ticked(hall: TownHall, clerk: httpx.Client) -> None:
    text = HEADER + "".join(f"5/{day}\t{100 + day}\t\n" for day in range(1, 20)) + "5/20\t1200\t\n5/21\t5\t\n"
    checked = clerk.post(PASTE, data={"text": text})
    signs = re.findall(r'name="sure" value="([^"]+)"', checked.text)
    assert signs == [f"{SPOT} 2026-05-20 1200", f"{SPOT} 2026-05-21 5"] and "10倍以上" in main(checked)
    said = main(press(clerk, checked, text, sure=signs[:1]))
    assert "20件を保存しました" in said and "次の 1件は保存していません" in said
    assert (date(2026, 5, 20), 1200.0) in totals(hall) and (date(2026, 5, 21), 5.0) not in totals(hall)


def test_a_press_stores_nothing_that_has_changed_since_it_was_shown(
    hall: TownHall, clerk: httpx.Client, other: httpx.Client
) -> None:
    text = HEADER + "5/30\t10\t20\n"
    checked = clerk.post(PASTE, data={"text": text})
    save(other, "2026-05-30", "15")
    again = press(clerk, checked, text)
    assert "見せた内容から変わりました" in main(again) and len(totals(hall)) == 1
    assert "2件を保存しました（新しい 1件、訂正 1件）" in main(press(clerk, again, text))


def test_an_examined_day_is_not_replaced_by_a_paste(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, YESTERDAY, "120")
    examine(hall, Operation.CONFIRM)
    checked = clerk.post(PASTE, data={"text": HEADER + "5/31\t130\t\n"})
    assert "確定した値（120 人）" in main(checked) and "件を保存する" not in main(checked)


def test_an_excel_file_is_read_like_a_paste_and_what_is_none_is_refused_in_words(
    hall: TownHall, clerk: httpx.Client
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["令和8年5月", None])
    sheet.append(["日", "鈴鳴りの滝"])
    sheet.append([1, 1234])
    sheet.append([date(2026, 5, 2), 56.0])
    out = io.BytesIO()
    book.save(out)
    checked = clerk.post(PASTE, files={"file": ("5月.xlsx", out.getvalue())}, data={"by": "day"})
    said = main(checked)
    assert "2026/5/1（金） – 1,234" in said and "2026/5/2（土） – 56" in said
    text = re.search(r'<textarea id="pasted" name="text"[^>]*>\n(.*?)</textarea>', checked.text, re.DOTALL)
    assert text is not None
    assert "2件を保存しました" in main(press(clerk, checked, text[1]))
    broken = clerk.post(PASTE, files={"file": ("a.xls", b"\xd0\xcf\x11\xe0" + bytes(600))}, data={"by": "day"})
    assert broken.status_code == 400 and "何も保存していません" in broken.text and len(totals(hall)) == 2
    assert "人数の表が見つかりません" in clerk.post(PASTE, data={"text": "こんにちは"}).text


# --- months


def test_past_months_are_a_series_of_their_own_and_a_comparison_across_methods_says_so(
    hall: TownHall, clerk: httpx.Client
) -> None:
    text = "年度\t4月\t5月\n令和6年度\t2,000\t3,000\n令和7年度\t2,400\t0\n令和8年度\t\t9"
    fields = {"by": "month", "spot": SPOT, "note": "入館券の枚数"}
    checked = clerk.post(PASTE, data={"text": text, **fields})
    assert "2025-05" in main(checked)
    assert "件を保存しました" in main(
        press(clerk, checked, text, **fields, sure=[f"{SPOT} 2025-05-01 0", f"{SPOT} 2026-05-01 9"])
    )
    assert query(hall, "select count(*), min(source) from month_entry") == [(5, "入館券の枚数")]
    days = HEADER + "".join(f"4/{day}\t100\t\n" for day in range(1, 31))
    press(clerk, clerk.post(PASTE, data={"text": days}), days)
    with connect(hall.database.worker, name="test") as conn:
        Consumer(hall.database.worker, NAME).drain(conn, handle)
    rows = dict(re.findall(r"(\d+)月 (.*?)(?= \d+月 |$)", main(clerk.get(MONTHS)).split("令和8年度（2026） ")[1]))
    assert "月の記録 2,400 前年の 120 % 手入力（日ごと） 3,000 前年の 125 % 方法が違います" in rows["4"]
    assert "月の記録 0 前年の 0 %" in rows["5"] and "月の記録 9" in rows["5"]
    # one month by hand: what stands there is replaced or taken back where it has been seen
    for typed, question, history in (
        ({"month": "R6.4", "value": "2,100人"}, "2024-04 は 2,000 人と記録", "2,000 人を 2,100 人に訂正"),
        ({"month": "2024年5月", "value": ""}, "2024-05 は 3,000 人と記録", "3,000 人を取り消し"),
    ):
        asked = follow(clerk, clerk.post(MONTHS, data=typed))
        assert question in main(asked)
        said = main(follow(clerk, clerk.post(MONTHS, data={**typed, "seen": hidden(asked, "seen")})))
        assert "訂正しました" in said and history in said
    for wrong, word in (
        ({"month": "2026-06", "value": "1"}, "終わった月として"),
        ({"month": "昨年", "value": "1"}, "「昨年」は"),
        ({"month": "2026-04", "value": "x"}, "「x」は人数として"),
    ):
        assert word in main(follow(clerk, clerk.post(MONTHS, data=wrong)))
    assert query(hall, "select count(*) from month_entry") == [(7,)]
    with hall.visitor(Role.VIEWER) as reader:
        assert "2,400" in main(reader.get(MONTHS)) and reader.post(MONTHS, data={"month": "2026-04"}).status_code == 403


def test_a_month_that_is_sent_again_later_is_entered_once_and_a_digit_too_many_is_asked_about(
    hall: TownHall, clerk: httpx.Client, other: httpx.Client
) -> None:
    for year in (2022, 2023, 2024):
        follow(clerk, clerk.post(MONTHS, data={"month": f"{year}-05", "value": "900"}))
    typed = {"month": "2025-05", "value": "9000", "source": "券", "key": str(uuid4())}
    asked = follow(clerk, clerk.post(MONTHS, data=typed))
    assert "10倍以上" in main(asked) and hidden(asked, "key") == typed["key"]
    typed["sure"] = hidden(asked, "sure")
    assert "保存しました" in main(follow(clerk, clerk.post(MONTHS, data=typed)))
    # the other puts it right; then the browser that had no answer sends once more
    assert "訂正しました" in main(
        follow(other, other.post(MONTHS, data={"month": "2025-05", "value": "910", "seen": "9000"}))
    )
    assert "もう届いていました" in main(follow(clerk, clerk.post(MONTHS, data=typed)))
    # what was typed of this month without a network, where nobody saw what stands there
    assert "2025-05 は 910 人と記録" in main(
        follow(clerk, clerk.post(MONTHS, data={"month": "2025-05", "value": "905", "key": str(uuid4())}))
    )
    assert query(hall, "select value, replaced from month_entry order by month_entry_id offset 3") == [
        (9000, None), (910, 9000),
    ]  # fmt: skip


# --- hours


def test_hours_are_stored_with_their_history_and_their_sum_is_offered_for_the_day(
    hall: TownHall, clerk: httpx.Client, other: httpx.Client
) -> None:
    page = clerk.get(f"{HOURS}?day={YESTERDAY}")
    sent = {
        "day": YESTERDAY,
        "key": hidden(page, "key"),
        "h9": "１２",
        "s9": "",
        "h10": "30",
        "s10": "",
        "h11": "",
        "s11": "",
    }
    assert "合計 42 人（2時間分）" in main(follow(clerk, clerk.post(HOURS, data=sent)))
    assert stored(hall) == [], "the day itself is entered by a person"
    assert "もう届いていました" in main(follow(clerk, clerk.post(HOURS, data=sent)))
    # the other saw nothing at 9 and 11; 11 is new, and 9 is not touched
    theirs = {"day": YESTERDAY, "h9": "", "s9": "", "h11": "8", "s11": ""}
    assert "合計 50 人（3時間分）" in main(follow(other, other.post(HOURS, data=theirs)))
    # who wants another number where one stands meanwhile is asked, and nothing of the page is stored
    asked = follow(other, other.post(HOURS, data={"day": YESTERDAY, "h9": "13", "s9": "", "h12": "5", "s12": ""}))
    assert "tourism of the own town が入力しました。いまの記録は 12" in main(asked) and 'name="h12"' in asked.text
    assert query(hall, "select count(*) from part_entry") == [(3,)]
    again = {"day": YESTERDAY, "h9": "13", "s9": hidden(asked, "s9"), "h12": "5", "s12": hidden(asked, "s12")}
    text = main(follow(other, other.post(HOURS, data=again)))
    assert "12 人を 13 人に訂正 digital of the own town" in text and "合計 56 人" in text
    # emptied by hand: taken back, not 0
    follow(clerk, clerk.post(HOURS, data={"day": YESTERDAY, "h12": "", "s12": "5"}))
    text = main(page := clerk.get(f"{HOURS}?day={YESTERDAY}"))
    assert "5 人を取り消し" in text and "合計 51 人（3時間分）" in text
    assert f"/tourism/entry/{SPOT}?day={YESTERDAY}&amp;value=51" in page.text


def test_an_hour_ten_times_the_usual_is_asked_back_once(hall: TownHall, clerk: httpx.Client) -> None:
    for back in range(2, 6):
        day = (date(2026, 6, 1) - timedelta(days=back)).isoformat()
        assert clerk.post(HOURS, data={"day": day, "h9": "20", "s9": ""}).status_code == 303
    typed = {"day": YESTERDAY, "h9": "200", "s9": "", "h10": "x", "s10": ""}
    asked = follow(clerk, clerk.post(HOURS, data=typed))
    assert "10倍以上" in main(asked) and "「x」は人数として" in main(asked)
    typed |= {"h10": "", "sure": hidden(asked, "sure")}
    assert "合計 200 人" in main(follow(clerk, clerk.post(HOURS, data=typed)))
    # an hour that has not begun is not stored, and that is said
    early = follow(clerk, clerk.post(HOURS, data={"day": "2026-06-01", "h15": "9", "s15": ""}))
    assert "まだ始まっていない時間です。この 9 は保存しません" in main(early)
    assert query(hall, "select count(*) from part_entry where value = 9") == [(0,)]


# --- events


def test_an_event_is_entered_once_corrected_in_its_place_and_compared_with_the_last_of_its_name(
    hall: TownHall, clerk: httpx.Client, other: httpx.Client
) -> None:
    festival = {
        "name": "滝まつり",
        "from": "2025-05-30T10:00",
        "to": "2025-05-30T15:00",
        "value": "1,200",
        "key": str(uuid4()),
    }
    assert "保存しました" in main(follow(clerk, clerk.post(GATHERINGS, data=festival)))
    assert "もう届いていました" in main(follow(clerk, clerk.post(GATHERINGS, data=festival)))
    there = follow(other, other.post(GATHERINGS, data={**festival, "value": "1300", "key": str(uuid4())}))
    assert "tourism of the own town が 1,200 人と入力しています" in main(there)
    corrected = {"gathering": hidden(there, "gathering"), "value": "1300"}
    assert "1,200 人を 1,300 人に訂正" in main(follow(other, other.post(GATHERINGS, data=corrected)))
    # whoever still has the older page corrects nothing unseen
    late = {**festival, **corrected, "value": "1,250", "key": ""}
    assert "1,300 人と入力しています" in main(follow(clerk, clerk.post(GATHERINGS, data=late)))
    # a year later: a digit too many
    this_year = {"name": "滝まつり", "from": "2026-05-31T10:00", "to": "2026-05-31T15:00", "value": "14000"}
    asked = follow(clerk, clerk.post(GATHERINGS, data=this_year))
    assert "前回（2025-05-30）の 1,300 人の10倍以上" in main(asked)
    assert "保存しました" in main(
        follow(clerk, clerk.post(GATHERINGS, data={**this_year, "sure": hidden(asked, "sure")}))
    )
    for wrong, word in (
        ({"name": ""}, "名前を入れて"), ({"to": "2026-05-31T09:00"}, "より前です"), ({"value": "x"}, "読み取れません"),
        ({"from": "2026-06-03T10:00", "to": "2026-06-03T11:00"}, "まだ始まって"), ({"from": "x"}, "「いつから」が"),
    ):  # fmt: skip
        assert word in main(follow(clerk, clerk.post(GATHERINGS, data={**this_year, "name": "別の祭り", **wrong})))
    ((newest,),) = query(hall, "select max(part_entry_id) from part_entry")
    follow(clerk, clerk.post(GATHERINGS, data={"gathering": str(newest), "value": ""}))
    assert query(hall, "select value, replaced from part_entry order by part_entry_id") == [
        (1200, None), (1300, 1200), (14000, None), (None, 14000),
    ]  # fmt: skip
    assert stored(hall) == []

"""The daily form and what becomes of its numbers: page, calendar, file, history - over a real server and database."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx
import psycopg
import pytest

from analytics.service import NAME, handle
from api.database import enter_municipality
from api.roles import Role
from devices.model import Quality, Reason
from store import connect
from store.batch import ObservationRow
from store.correct import Correction, Operation, correct
from store.feed import Consumer
from store.writer import write_history
from tests.api.serving import TownHall
from tests.conftest import START

SPOT = "spot-shiryokan"
FORM = f"/tourism/entry/{SPOT}"
TODAY = "2026-06-01"  # START is 9:00 of that day in the town, a Monday
YESTERDAY = "2026-05-31"


@pytest.fixture
def clerk(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.TOURISM) as client:
        yield client


def save(client: httpx.Client, day: str, value: str, *, spot: str = SPOT, **more: str) -> httpx.Response:
    """Posts the form and follows it to the page it leads to."""
    answer = client.post(f"/tourism/entry/{spot}", data={"day": day, "value": value, **more})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"])


def stored(hall: TownHall, spot: str = SPOT) -> list[tuple[datetime, float | None, str, str | None]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(
            "select phenomenon_time, value, quality::text, reason from observation where datastream_id = %s order by 1",
            (hall.database.datastream(spot, "passages_day"),),
        ).fetchall()


def query(hall: TownHall, statement: str) -> list[tuple[object, ...]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(statement.encode()).fetchall()


def main(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    found = re.search(r"<main.*</main>", page.text, re.DOTALL)
    assert found is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def calendar_of(client: httpx.Client, month: str) -> dict[str, str]:
    """The words of each row of the calendar, by its day."""
    page = client.get(f"/tourism?month={month}").text
    table = page[page.index('class="matrix calendar"') :]
    rows = [
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip()
        for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", table, re.DOTALL)
    ]
    return {row.split("（")[0]: row for row in rows}


def test_a_number_is_stored_as_manual_at_the_end_of_its_local_day_and_told_to_the_feed(
    hall: TownHall, clerk: httpx.Client
) -> None:
    assert "保存しました" in main(save(clerk, YESTERDAY, "１，２３４人", note="団体 2 組"))
    assert stored(hall) == [(datetime(2026, 5, 31, 15, tzinfo=UTC), 1234.0, "manual", None)]
    datastream = hall.database.datastream(SPOT, "passages_day")
    assert query(hall, "select kind, datastream_ids from feed order by feed_id desc limit 1") == [
        ("observations", [datastream])
    ]
    entry = query(
        hall,
        "select day, value, replaced, note, u.login from manual_entry m join app_user u on u.user_id = m.entered_by",
    )
    assert entry == [(date(2026, 5, 31), 1234.0, None, "団体 2 組", "own-tourism")]


def test_a_correction_keeps_the_earlier_value_and_who_entered_both(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, YESTERDAY, "120")
    with hall.visitor(Role.DIGITAL) as other:
        text = main(save(other, YESTERDAY, "210"))
    assert "訂正しました" in text
    assert "120 人を 210 人に訂正 digital of the own town" in text and "120 人を入力 tourism of the own town" in text
    assert [row[1] for row in stored(hall)] == [210.0]
    assert query(hall, "select value, quality::text from observation_revision") == [(120.0, "manual")]
    before = query(hall, "select count(*) from feed")
    assert "同じ値がすでに" in main(save(clerk, YESTERDAY, "210"))
    assert query(hall, "select count(*) from feed") == before and len(query(hall, "select 1 from manual_entry")) == 2


def test_an_entry_that_is_taken_back_is_missing_and_not_zero(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, YESTERDAY, "320")
    answer = clerk.post(f"{FORM}/withdraw", data={"day": YESTERDAY})
    assert answer.status_code == 303
    assert [row[1:] for row in stored(hall)] == [(None, "missing", "withdrawn")]
    page = main(clerk.get("/tourism"))
    assert "取り消し" in page and "320" not in page
    save(clerk, YESTERDAY, "32")
    assert [row[1:] for row in stored(hall)] == [(32.0, "manual", None)]


def examine(hall: TownHall, operation: Operation, value: float | None = None, *, day: str = YESTERDAY) -> None:
    """What `mimamori correct` does with the value of a day: confirms it, or puts another in its place."""
    ds = hall.database.datastream(SPOT, "passages_day")
    ends = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(hours=15)
    ((user,),) = query(hall, "select user_id from app_user where login = 'own-digital'")
    with connect(hall.database.worker, name="test") as conn:
        correct(
            conn,
            hall.database.municipality_id,
            Correction(
                operation,
                (ds,),
                ends,
                ends,
                "台帳と照合",
                int(str(user)),
                source="a.csv" if operation is Operation.REPLACE else None,
                values=((ds, ends, value),) if operation is Operation.REPLACE else (),
            ),
            stated=START + timedelta(minutes=5),
            paces={ds: timedelta(days=1)},
        )


def named(page: httpx.Response) -> str:
    """The examined value as the form of the page names it."""
    found = re.search(r'name="over" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def test_a_confirmed_value_is_not_replaced_in_passing(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, YESTERDAY, "120")
    examine(hall, Operation.CONFIRM)
    confirmed = stored(hall)
    assert [row[1:] for row in confirmed] == [(120.0, "good", "confirmed")]
    page = clerk.get(f"{FORM}?day={YESTERDAY}")
    text = main(page)
    assert "この日の 120 人は、確かめて確定した値です。" in text
    assert "09:05 digital of the own town 台帳と照合" in text and "値を確定" in text
    english = main(clerk.get(f"{FORM}?day={YESTERDAY}&lang=en"))
    assert "The value of this day, 120, has been examined and confirmed." in english and "tick the box" in english
    clerk.get(f"{FORM}?lang=ja")
    # a number alone, with a reason alone, with the tick alone, with the name of another value: nothing changes
    for more in ({}, {"note": "転記ミス"}, {"over": named(page)}, {"over": "confirmed 121", "note": "転記ミス"}):
        asked = save(clerk, YESTERDAY, "210", **more)
        assert "まだ何も変わっていません" in main(asked) and 'value="210"' in asked.text
        assert stored(hall) == confirmed
    assert 'value="転記ミス"' in asked.text, "what was typed is kept"
    assert "同じ値がすでに" in main(save(clerk, YESTERDAY, "120"))
    assert stored(hall) == confirmed and query(hall, "select count(*) from manual_entry") == [(1,)]


def test_a_confirmed_value_is_corrected_on_purpose_and_both_stay_on_record(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, YESTERDAY, "120")
    examine(hall, Operation.CONFIRM)
    over = named(clerk.get(f"{FORM}?day={YESTERDAY}"))
    text = main(save(clerk, YESTERDAY, "210", over=over, note="転記ミス"))
    assert "訂正しました" in text
    assert "120 人を 210 人に訂正 tourism of the own town 転記ミス" in text and "値を確定" in text
    assert [row[1:] for row in stored(hall)] == [(210.0, "manual", "corrected")]
    assert query(hall, "select value, quality::text, reason from observation_revision order by 3") == [
        (120.0, "good", "confirmed"),
        (120.0, "manual", None),
    ]
    # Now that one is the examined value: the name of the former is no longer enough, for this page or an older one.
    assert "確かめて訂正した値です" in text
    assert "まだ何も変わっていません" in main(save(clerk, YESTERDAY, "220", over=over, note="もう一度"))
    assert [row[1] for row in stored(hall)] == [210.0]
    # Nothing that comes later stands above it: not a file either.
    ds = hall.database.datastream(SPOT, "passages_day")
    with connect(hall.database.worker, name="test") as conn:
        late = ObservationRow(ds, stored(hall)[0][0], 5.0, Quality.MANUAL, None)
        write_history(conn, hall.database.municipality_id, [late], stated=START + timedelta(hours=16))
    assert [row[1] for row in stored(hall)] == [210.0]


def test_taking_back_an_examined_value_needs_the_same(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, YESTERDAY, "120")
    examine(hall, Operation.REPLACE, 118.0)
    page = clerk.get(f"{FORM}?day={YESTERDAY}")
    assert "118 人は、確かめて訂正した値です" in main(page) and "ファイルの値に訂正" in main(page)
    for more in ({}, {"over": named(page)}, {"note": "別の地点"}):
        answer = clerk.post(f"{FORM}/withdraw", data={"day": YESTERDAY, **more})
        assert "まだ何も変わっていません" in main(clerk.get(answer.headers["location"]))
        assert [row[1] for row in stored(hall)] == [118.0]
    clerk.post(f"{FORM}/withdraw", data={"day": YESTERDAY, "over": named(page), "note": "別の地点"})
    assert [row[1:] for row in stored(hall)] == [(None, "missing", "corrected")]
    page = clerk.get(f"{FORM}?day={YESTERDAY}")
    assert "欠測は、確かめて訂正した値です" in main(page)
    assert "118 人を取り消し tourism of the own town 別の地点" in main(page)
    assert "保存しました" not in main(save(clerk, YESTERDAY, "32"))
    assert "訂正しました" in main(save(clerk, YESTERDAY, "32", over=named(page), note="数え直し"))


def test_who_examined_a_value_is_said_only_where_it_is_known(hall: TownHall, clerk: httpx.Client) -> None:
    examine(hall, Operation.REPLACE, 77.0)  # nothing stood there before
    text = main(clerk.get(f"{FORM}?day={YESTERDAY}"))
    assert "この日の 77 人" in text and "digital of the own town 台帳と照合" in text
    day = "2026-05-30"
    save(clerk, day, "40")
    ds = hall.database.datastream(SPOT, "passages_day")
    with connect(hall.database.worker, name="test") as conn:
        imported = ObservationRow(ds, datetime(2026, 5, 30, 15, tzinfo=UTC), 41.0, Quality.GOOD, Reason.CONFIRMED)
        write_history(conn, hall.database.municipality_id, [imported], stated=START + timedelta(hours=1))
    text = main(clerk.get(f"{FORM}?day={day}"))
    assert "この日の 41 人は、確かめて確定した値です。" in text and "だれがいつ確かめたかの記録はありません" in text


def test_a_doubt_about_the_digits_is_asked_beside_the_examined_value(hall: TownHall, clerk: httpx.Client) -> None:
    for back in range(2, 9):
        save(clerk, (date(2026, 6, 1) - timedelta(days=back)).isoformat(), "100")
    save(clerk, YESTERDAY, "120")
    examine(hall, Operation.CONFIRM)
    over = named(clerk.get(f"{FORM}?day={YESTERDAY}"))
    text = main(asked := save(clerk, YESTERDAY, "1200", over=over, note="転記ミス"))
    assert "10倍以上" in text and "まだ何も変わっていません" not in text and 'value="転記ミス"' in asked.text
    assert "まだ何も変わっていません" in main(save(clerk, YESTERDAY, "1200", sure="1200"))
    assert "訂正しました" in main(save(clerk, YESTERDAY, "1200", sure="1200", over=over, note="転記ミス"))


@pytest.mark.parametrize("typed", ["", "abc", "-3", "12.5", "12345678"])
def test_what_is_no_number_is_refused_in_words_and_kept_in_the_field(
    hall: TownHall, clerk: httpx.Client, typed: str
) -> None:
    page = save(clerk, YESTERDAY, typed)
    assert stored(hall) == []
    if typed:
        assert f"「{typed}」は人数として読み取れません" in main(page)
        assert f'value="{typed}"' in page.text


def test_a_number_beyond_the_range_of_the_spot_is_refused(hall: TownHall, clerk: httpx.Client) -> None:
    assert "範囲（0〜50,000 人）の外" in main(save(clerk, YESTERDAY, "50001"))
    assert stored(hall) == []


def test_ten_times_the_usual_asks_back_and_only_the_number_asked_about_passes(
    hall: TownHall, clerk: httpx.Client
) -> None:
    for back in range(2, 9):
        save(clerk, (date(2026, 6, 1) - timedelta(days=back)).isoformat(), "100")
    for wrong, word in (("1000", "10倍以上"), ("10", "10分の1以下")):
        page = save(clerk, YESTERDAY, wrong)
        assert word in main(page) and f'name="sure" value="{wrong}"' in page.text
        assert len(stored(hall)) == 7
    # another number than the one asked about is asked about itself
    assert "10倍以上" in main(save(clerk, YESTERDAY, "2000", sure="1000"))
    assert len(stored(hall)) == 7
    assert "保存しました" in main(save(clerk, YESTERDAY, "1000", sure="1000"))
    assert stored(hall)[-1][1] == 1000.0


def test_the_form_shows_the_day_before_and_the_same_weekday_and_starts_where_nobody_else_counts(
    clerk: httpx.Client,
) -> None:
    save(clerk, "2026-05-30", "41")
    save(clerk, "2026-05-24", "77")
    start = clerk.get("/tourism/entry")
    assert (start.status_code, start.headers["location"]) == (303, FORM)
    text = main(clerk.get(FORM))  # in the morning the day on offer is yesterday
    assert "美守郷土資料館 5/31（日）" in text
    assert "前の日 5/30（土） 41 手入力" in text and "先週の同じ曜日 5/24（日） 77 手入力" in text
    page = clerk.get(f"{FORM}?lang=en")
    assert 'inputmode="numeric"' in page.text and "Same weekday last week Sun 5/24 77 by hand" in main(page)


@pytest.mark.parametrize("day", ["2026-06-02", "2024-01-01", "yesterday", "2026-02-30"])
def test_a_day_that_has_not_begun_or_is_none_is_refused(hall: TownHall, clerk: httpx.Client, day: str) -> None:
    answer = clerk.post(FORM, data={"day": day, "value": "5"})
    assert answer.status_code == 400 and stored(hall) == []


def test_only_tourism_and_digital_enter_and_only_at_their_own_spots(hall: TownHall, clerk: httpx.Client) -> None:
    for role in (Role.DISASTER, Role.WATER, Role.VIEWER):
        with hall.visitor(role) as client:
            assert client.post(FORM, data={"day": YESTERDAY, "value": "5"}).status_code == 403
            assert "/tourism/entry" not in client.get("/tourism").text
    with hall.visitor(Role.TOURISM, town="other") as client:
        assert client.post(FORM, data={"day": YESTERDAY, "value": "5"}).status_code == 404
    assert clerk.post("/tourism/entry/river-okusawa", data={"day": YESTERDAY, "value": "5"}).status_code == 404
    with hall.visitor(Role.TOURISM, csrf=False) as client:
        assert client.post(FORM, data={"day": YESTERDAY, "value": "5"}).status_code == 403
    assert stored(hall) == [] and 'href="/tourism/entry"' in clerk.get("/tourism").text


def test_the_calendar_shows_both_methods_with_their_mark_and_what_is_missing_in_words(
    hall: TownHall, clerk: httpx.Client
) -> None:
    spot = hall.database.datastream("spot-taki", "passages_in")
    hall.observe("spot-taki/passages_in", (START - timedelta(days=40), 1.0))
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into rollup_day (municipality_id, datastream_id, day, n, expected, total, worst_quality)
            values (%(m)s, %(d)s, '2026-05-03', 144, 144, 815, 'good'),
                   (%(m)s, %(d)s, '2026-05-11', 100, 144, 60, 'good')
            """,
            {"m": hall.database.municipality_id, "d": spot},
        )
    save(clerk, "2026-05-03", "790", spot="spot-taki")
    text = calendar_of(clerk, "2026-05")
    assert len(text) == 31
    assert "5/3（日） GW・憲法記念日" in text["5/3"]
    assert "カウンター 815" in text["5/3"] and "手入力 790" in text["5/3"]
    assert "カウンター 60" in text["5/11"] and "100" in text["5/11"]
    assert "カウンター 欠測" in text["5/12"] and "未入力" in text["5/12"]
    # before its first observation the counter was not there to miss anything
    april = calendar_of(clerk, "2026-04")
    assert [day for day, row in april.items() if "欠測" in row] == [f"4/{day}" for day in range(30, 21, -1)]
    # nor is anybody expected to enter a number there: only at the spot without a counter
    assert april["4/1"].split()[-6:] == ["–", "–", "–", "–", "–", "未入力"]


def test_the_file_opens_in_excel_and_says_why_a_field_is_empty(hall: TownHall, clerk: httpx.Client) -> None:
    hall.observe("spot-taki/passages_in", (START - timedelta(days=3), 1.0))
    save(clerk, "2026-05-31", "47")
    answer = clerk.get("/tourism/days.csv?from=2026-05-30&to=2026-05-31")
    assert answer.status_code == 200 and answer.content.startswith(b"\xef\xbb\xbf")
    assert "visits_999999_20260530-20260531.csv" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["日付", "地点コード", "地点名", "日の種類", "祝日名", "方法", "延べ通過数", "受信率", "状態"]
    assert rows[1:] == [
        ["2026-05-30", "spot-taki", "鈴鳴りの滝", "土曜", "", "カウンター", "", "", "欠測"],
        ["2026-05-31", "spot-taki", "鈴鳴りの滝", "日曜・祝日", "", "カウンター", "", "", "欠測"],
        ["2026-05-31", SPOT, "美守郷土資料館", "日曜・祝日", "", "手入力", "47", "", "全日"],
    ]
    english = clerk.get("/tourism/days.csv?month=2026-05&lang=en").content.decode("utf-8-sig")
    assert english.startswith("date,spot_code,spot,day_type,holiday_ja,method,passages,completeness,state")
    for wrong in ("from=2026-05-30", "from=x&to=y", "from=2026-05-30&to=2026-05-01", "from=2020-01-01&to=2026-05-01"):
        assert clerk.get(f"/tourism/days.csv?{wrong}").status_code == 400, wrong


def test_the_database_itself_refuses_what_the_form_would_never_send(hall: TownHall) -> None:
    def attempt(datastream: int, day: str, total: float | None, login: str, town: int) -> str:
        (found,) = query(hall, f"select user_id from app_user where login = '{login}'")
        with connect(hall.database.api, name="test") as conn:
            enter_municipality(conn, town)
            with pytest.raises(psycopg.DatabaseError) as refusal:
                conn.execute(
                    "select enter_daily_total(%s, %s, %s, %s, %s, null)", (datastream, day, total, found[0], START)
                )
        return str(refusal.value)

    own = hall.database.municipality_id
    (other,) = query(hall, "select municipality_id from municipality where code = '888888'")
    series, counter = (hall.database.datastream("spot-taki", name) for name in ("passages_day", "passages_in"))
    assert "no daily total" in attempt(counter, YESTERDAY, 5, "own-tourism", own)
    assert "no daily total" in attempt(series, YESTERDAY, 5, "other-tourism", int(str(other[0])))
    assert "may not enter" in attempt(series, YESTERDAY, 5, "own-viewer", own)
    assert "may not enter" in attempt(series, YESTERDAY, 5, "other-tourism", own)
    assert "outside the range" in attempt(series, YESTERDAY, 50001, "own-tourism", own)
    assert "outside the range" in attempt(series, YESTERDAY, 1.5, "own-tourism", own)
    assert "has not begun" in attempt(series, "2026-06-02", 5, "own-tourism", own)
    with connect(hall.database.api, name="test") as conn:
        enter_municipality(conn, own)
        for forbidden in (
            "insert into manual_entry (municipality_id, datastream_id, phenomenon_time, day, entered_at, entered_by) "
            f"values ({own}, {series}, now(), now(), now(), 1)",
            "update manual_entry set value = 1",
            "delete from manual_entry",
            f"insert into observation values ({series}, now(), 1, 'manual')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(forbidden.encode())
    assert query(hall, "select count(*) from manual_entry") == [(0,)]


def test_a_daily_total_reaches_the_rollup_of_its_own_day(hall: TownHall, clerk: httpx.Client) -> None:
    save(clerk, YESTERDAY, "320")
    with connect(hall.database.worker, name="test") as conn:
        Consumer(hall.database.worker, NAME).drain(conn, handle)
    assert query(hall, "select day, n, expected, total, worst_quality::text from rollup_day") == [
        (date(2026, 5, 31), 1, 1.0, 320.0, "manual")
    ]

"""行事: the calendar with files in and out, the page of the day for the tent, and the sheet of paper afterwards."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta

import httpx
import pytest

from analytics.visitors.day_types import day_type
from api.roles import Role
from store import connect, latest
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.conftest import HTML
from tests.dashboards.reading import main

EVENTS = "/tourism/events"
FAIR = {
    "kind": "event",
    "name": "港まつり",
    "first_day": "2026-05-23",
    "last_day": "2026-05-24",
    "spot.spot-asaichi": "1",
    "control.spot-todai": "1",
    "note": "花火は日曜",
}


@pytest.fixture
def desk(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody of the tourism desk, with a browser that wants pages."""
    with hall.visitor(Role.TOURISM) as client:
        client.headers.update(HTML)
        yield client


def read(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return main(page)


def take(client: httpx.Client, data: bytes, kind: str = "event") -> httpx.Response:
    return client.post(f"{EVENTS}/file", data={"kind": kind}, files={"file": ("events", data)})


def listed(client: httpx.Client) -> list[list[str]]:
    text = client.get(f"{EVENTS}/list.csv").content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))[1:]


def test_what_is_written_down_can_be_changed_and_what_it_said_before_stays(desk: httpx.Client) -> None:
    made = desk.post(EVENTS, data=FAIR)
    assert made.headers["location"] == f"{EVENTS}/1?done=added"
    assert "港まつり" in read(desk.get(EVENTS)) and "港の朝市" in read(desk.get(EVENTS))
    wrong = desk.post(EVENTS, data=FAIR | {"last_day": "2026-05-01", "name": "逆さま"})
    assert wrong.status_code == 400 and "最後の日が最初の日より前" in main(wrong) and "逆さま" in wrong.text
    both = desk.post(EVENTS, data=FAIR | {"control.spot-asaichi": "1"})
    assert both.status_code == 400 and "両方には選べません" in main(both)
    changed = desk.post(f"{EVENTS}/1", data=FAIR | {"name": "港大まつり", "seen": "1"})
    assert changed.headers["location"].endswith("done=changed")
    late = desk.post(f"{EVENTS}/1", data=FAIR | {"name": "だれかの名前", "seen": "1"})
    assert late.status_code == 400 and "ほかの人が先に" in main(late)
    page = read(desk.get(f"{EVENTS}/1"))
    assert page.index("港大まつり") < page.rindex("港まつり"), "the newest first"
    assert "tourism of the own town" in page
    desk.post(f"{EVENTS}/1", data={"do": "withdraw", "seen": "2"})
    assert "港大まつり" not in read(desk.get(EVENTS)) and "取り下げ" in read(desk.get(f"{EVENTS}/1"))
    assert desk.get(f"{EVENTS}/2").status_code == 404


def test_a_table_is_taken_whole_or_every_line_says_what_is_wrong(desk: httpx.Client) -> None:
    table = (
        "名称,種類,開始日,終了日,地点,備考\n"
        "港まつり,行事,令和8年5月23日,２０２６/５/２４,港の朝市、汐見温泉,花火\n"
        "町道工事,工事,2026-06-01,,,\n"
    )
    broken = table + "名無し,お祝い,2026-06-03,,,\n,行事,2026-13-01,,,\n滝,通行止め,2026-06-05,,どこか,\n"
    refused = take(desk, broken.encode("cp932"))
    said = main(refused)
    assert refused.status_code == 400 and listed(desk) == []
    assert all(each in said for each in ("4番目（種類）", "5番目（開始日）", "6番目（地点）"))
    assert take(desk, table.encode("cp932")).headers["location"].endswith("done=file&n=2")
    rows = listed(desk)
    assert rows[0] == ["港まつり", "行事", "2026-05-23", "2026-05-24", "港の朝市、汐見温泉", "花火"]
    assert take(desk, table.encode()).headers["location"].endswith("n=0"), "the same again changes nothing"
    assert (
        take(desk, table.replace("2026-06-01,,", "2026-06-01,2026-06-09,").encode()).headers["location"].endswith("n=1")
    )
    assert len(listed(desk)) == 2
    own = "\n".join(
        ",".join(f'"{cell}"' for cell in row)
        for row in [["名称", "種類", "開始日", "終了日", "地点", "備考"], *listed(desk)]
    )
    assert take(desk, own.encode()).headers["location"].endswith("n=0"), "what the page gives it takes"


def test_a_calendar_goes_round_with_its_days_and_says_what_it_cannot_take(desk: httpx.Client) -> None:
    event = "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:{name}\r\n{when}\r\nEND:VEVENT\r\n"
    head, foot = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n", "END:VCALENDAR\r\n"
    days = event.format(
        uid="a", name="夏休み", when="DTSTART;VALUE=DATE:20260718\r\nDTEND;VALUE=DATE:20260901\r\nLOCATION:鈴鳴りの滝"
    )
    evening = event.format(uid="b", name="前夜祭", when="DTSTART:20260717T090000Z\r\nDTEND:20260717T150000Z")
    weekly = event.format(uid="c", name="毎週", when="DTSTART;VALUE=DATE:20260701\r\nRRULE:FREQ=WEEKLY")
    refused = take(desk, (head + days + weekly + foot).encode())
    assert refused.status_code == 400 and "2番目（毎週）：繰り返しの予定" in main(refused)
    assert take(desk, (head + days + evening + foot).encode(), "school_holiday").headers["location"].endswith("n=2")
    assert listed(desk) == [
        ["前夜祭", "学校休業日", "2026-07-17", "2026-07-17", "", ""],
        ["夏休み", "学校休業日", "2026-07-18", "2026-08-31", "鈴鳴りの滝", ""],
    ], "18:00 to midnight is one day"
    ours = desk.get(f"{EVENTS}/calendar.ics")
    assert ours.headers["content-type"].startswith("text/calendar")
    assert take(desk, ours.content).headers["location"].endswith("n=0"), "our own file is the same events"
    moved = (head + days.replace("20260901", "20260825") + foot).encode()
    assert take(desk, moved).headers["location"].endswith("n=1") and len(listed(desk)) == 2
    assert take(desk, b"BEGIN:VCALENDAR\r\nnothing").status_code == 400


def past(hall: TownHall, days: int = 330) -> None:
    """A market and a lighthouse that rise and fall together, day by day, up to the day before START; on 23 and 24 May
    the market has twice as many.
    """
    town = hall.database
    today = START.date()
    with connect(town.owner, name="test") as conn:
        for n in range(1, days):
            day = today - timedelta(days=n)
            weather = 1 + 0.3 * ((n * 7919) % 13 - 6) / 6
            busy = 1.0 if day_type(day).value == "weekday" else 2.0
            for code, usual, own in (("spot-asaichi", 400, n * 31 % 17), ("spot-todai", 200, n * 17 % 19)):
                fair = 2.0 if code == "spot-asaichi" and day in (date(2026, 5, 23), date(2026, 5, 24)) else 1.0
                total = round(usual * weather * busy * fair * (1 + (own - 9) / 100))
                conn.execute(
                    "insert into rollup_day (municipality_id, datastream_id, day, n, expected, total, minimum, "
                    "maximum, mean, worst_quality) values (%s, %s, %s, 144, 144, %s, 0, 9, 1, 'good')",
                    (town.municipality_id, town.datastream(code, "passages_in"), day, total),
                )


def test_the_effect_is_told_in_a_sentence_a_table_and_a_file(hall: TownHall, desk: httpx.Client) -> None:
    past(hall)
    desk.post(EVENTS, data=FAIR)
    page = read(desk.get(f"{EVENTS}/1"))
    found = re.search(r"なかった場合の見込みより ([\d,]+) 多い（(\+\d+) %、90 % で (\+\d+) %～(\+\d+) %）", page)
    assert found is not None, page
    share, low, high = (int(each) for each in found.groups()[1:])
    assert 85 <= share <= 115 and low < share < high
    assert "5/23（土）" in page and "何もなかった過去の" in page and "Duflo" in page
    rows = list(csv.reader(io.StringIO(desk.get(f"{EVENTS}/1/effect.csv").content.decode("utf-8-sig"))))
    assert rows[-1][0] == "2026-05-24" and int(rows[-1][1]) > 1.5 * int(rows[-1][2])
    desk.headers["Accept-Language"] = "en"
    desk.cookies.set("mimamori_lang", "en")
    assert "more than expected without it" in read(desk.get(f"{EVENTS}/1"))
    desk.cookies.set("mimamori_lang", "ja")
    everywhere = {key: value for key, value in FAIR.items() if not key.startswith("spot.")}
    desk.post(EVENTS, data=everywhere)
    page = read(desk.get(f"{EVENTS}/2"))
    assert "多い（" in page and "対象 港の朝市 比べた地点 美守岬灯台" in page, "the spots that have numbers"
    desk.post(f"{EVENTS}/2", data={"do": "withdraw"})
    quiet = FAIR | {"name": "何もない日", "first_day": "2026-05-16", "last_day": "2026-05-17"}
    desk.post(EVENTS, data=quiet)
    assert "効果は分かりません" in read(desk.get(f"{EVENTS}/3"))
    alone = {key: value for key, value in quiet.items() if not key.startswith("control")}
    desk.post(EVENTS, data=alone | {"name": "相手なし"})
    assert "比べる地点が選ばれていない" in read(desk.get(f"{EVENTS}/4"))
    assert desk.get(f"{EVENTS}/4/effect.csv").status_code == 409


def passages(hall: TownHall, *pairs: tuple[int, int]) -> None:
    """Counts of the market's gate, every ten minutes up to START."""
    town = hall.database
    with connect(town.owner, name="test") as conn:
        for place, way in enumerate(("passages_in", "passages_out")):
            for n, pair in enumerate(reversed(pairs)):
                conn.execute(
                    "insert into observation (datastream_id, phenomenon_time, value, quality) "
                    "values (%s, %s, %s, 'good')",
                    (town.datastream("spot-asaichi", way), START - timedelta(minutes=10 * n), pair[place]),
                )
        latest.recompute(conn)


PLAN = {
    "do": "plan",
    "starts": "2026-06-01T08:00",  # START is 9:00
    "ends": "2026-06-01T17:00",
    "gate.spot-asaichi": "1",
    "level.1": "200",
    "level.2": "1,000",
    "group": "",
    "error": "5",
}


def test_the_tent_sees_how_many_are_there_and_sets_it_right(hall: TownHall, desk: httpx.Client) -> None:
    desk.post(EVENTS, data=FAIR | {"first_day": "2026-06-01", "last_day": "2026-06-01"})
    address = f"{EVENTS}/1/day"
    assert "まだ入口が選ばれていません" in read(desk.get(address))
    for wrong, why in (
        ({"gate.spot-asaichi": ""}, "入口を1つ以上"),
        ({"ends": "2026-06-01T07:00"}, "3日以内"),
        ({"level.2": "100"}, "大きい数に"),
        ({"level.1": "たくさん"}, "数として読み取れません"),
        ({"error": "0"}, "誤差"),
    ):
        refused = desk.post(address, data=PLAN | wrong)
        assert refused.status_code == 400 and why in main(refused), wrong
    assert desk.post(address, data=PLAN).headers["location"] == f"{address}?done=planned"
    assert "分かりません" in read(desk.get(address)), "no counts are not nobody"
    passages(hall, (100, 0), (100, 10), (60, 20), (40, 10), (20, 10), (10, 20))
    page = read(desk.get(address))
    assert "約 260 人" in page and "1段目（200人）に達しています" in page and "まで 約 740 人" in page
    assert "10回に9回は" in page and "+260" in page
    desk.post(address, data={"do": "count", "present": "１８０", "note": "放送席から"})
    page = read(desk.get(address))
    assert "約 180 人" in page and "定めた人数に達していません" in page and "+80" in page and "放送席から" in page
    refused = desk.post(address, data={"do": "count", "present": "百"})
    assert refused.status_code == 400 and "約 180 人" in main(refused)
    desk.post(address, data={"do": "take_back", "count": "1"})
    assert "約 260 人" in read(desk.get(address))
    rows = list(csv.reader(io.StringIO(desk.get(f"{EVENTS}/1/day.csv").content.decode("utf-8-sig"))))
    assert rows[0][2:4] == ["港の朝市 入", "港の朝市 出"] and rows[-1][2:5] == ["10", "20", "260"]


def test_the_sheet_has_three_numbers_with_their_sources_and_no_sum(hall: TownHall, desk: httpx.Client) -> None:
    desk.post(EVENTS, data=FAIR | {"first_day": "2026-06-01", "last_day": "2026-06-01"})
    bare = read(desk.get(f"{EVENTS}/1/report"))
    assert "カウンターでは数えていません" in bare and "記録がありません" in bare
    passages(hall, (100, 0), (100, 10), (60, 20), (40, 10), (20, 10), (10, 20))
    desk.post(f"{EVENTS}/1/day", data=PLAN)
    said = {"do": "state", "people": "1,500", "said_by": "港まつり実行委員会", "basis": "目視"}
    assert desk.post(f"{EVENTS}/1/day", data=said).headers["location"] == f"{EVENTS}/1/report?done=said"
    sheet = read(desk.get(f"{EVENTS}/1/report"))
    assert "カウンターの延べ（入り） 330" in sheet and "主催者発表 1,500 港まつり実行委員会・目視" in sheet
    assert "1,830" not in sheet and "915" not in sheet
    assert "約 270 人" in sheet, "the greatest estimate"
    # what somebody counted by hand stands beside it, and so does what the counter's calibration makes of its number
    counted = {"name": "屋台", "from": "2026-06-01T06:00", "to": "2026-06-01T08:00", "value": "250"}
    assert desk.post("/tourism/gatherings/spot-asaichi", data=counted).status_code == 303
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into count_factor (municipality_id, station_id, measure, from_day, factor, low, high, mape, sessions,
                                      measured_until, signed_by, entered_at, user_id)
            select s.municipality_id, station_id, measure, %(at)s, 1.1, 1.04, 1.2, 9, '{1,2,3}', %(now)s, '山田',
                   %(now)s,
                   (select min(user_id) from app_user where municipality_id = s.municipality_id)
            from station s, unnest(array['in', 'both']) as measure where code = 'spot-asaichi'
            """,
            {"at": START - timedelta(days=30), "now": START},
        )
    sheet = read(desk.get(f"{EVENTS}/1/report"))
    assert "手で数えた延べ 250 屋台・港の朝市" in sheet and "カウンターの延べ（入り） 330" in sheet
    assert "手数えによる係数 1.10 をかけると 363（95 % で 343〜396）" in sheet
    assert "580" not in sheet and "1,750" not in sheet, "nothing is added up"
    desk.post(f"{EVENTS}/1/day", data=said | {"people": ""})
    assert "記録がありません" in read(desk.get(f"{EVENTS}/1/report")), "taken back"
    with hall.visitor(Role.VIEWER) as viewer:
        viewer.headers.update(HTML)
        assert "入口と段を決める" not in read(viewer.get(f"{EVENTS}/1/day"))
        assert viewer.post(f"{EVENTS}/1/day", data=said).status_code == 403


def test_a_step_of_capacity_stands_among_the_alerts_as_an_estimate(hall: TownHall, desk: httpx.Client) -> None:
    town = hall.database
    series = town.datastream("spot-asaichi", "passages_in")
    with connect(town.owner, name="test") as conn:
        conn.execute(
            """
            with found as (
                insert into finding (municipality_id, station_id, datastream_id, kind, started_at, value, usual, score,
                                     rule_version)
                select municipality_id, station_id, datastream_id, 'crowd_1', %(at)s, 230, 200, 1.15, 'crowd:1'
                from datastream where datastream_id = %(series)s
                returning *
            ), raised as (
                insert into alert (municipality_id, station_id, rule, datastream_id, finding_id, raised_at,
                                   phenomenon_time, value)
                select municipality_id, station_id, kind, datastream_id, finding_id, %(at)s, %(at)s, value from found
                returning *
            )
            insert into alert_history (municipality_id, alert_id, at, event, phenomenon_time, value, rule_version)
            select municipality_id, alert_id, %(at)s, 'raised', %(at)s, value, 'crowd:1' from raised
            """,
            {"at": START, "series": series},
        )
    page = read(desk.get("/alerts"))
    assert "会場の滞在推定が1段目の人数に到達" in page and "約 230 人" in page and "段の人数 200 人" in page
    assert "人（延べ）" not in page

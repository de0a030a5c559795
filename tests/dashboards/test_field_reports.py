"""Reports at the desk: triage with names and times, the record, alerts, photos for staff, readings of a staff gauge."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx

from analytics.maintenance import Maintenance
from api.roles import Role
from devices.clock import FixedClock
from store import connect
from store.field_photos import KEPT, STEP
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.reading import main
from tests.photos import picture

REPORTS = "/disaster/reports"
PUBLIC = "/public/999999"
HTML = {"Accept": "text/html"}


def report(client: httpx.Client, text: str, *photos: bytes, **said: str) -> int:
    files = [("photos", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]
    answer = client.post("/disaster/field", data={"text": text, **said}, files=files or None)
    assert answer.status_code == 303, answer.text
    found = re.search(r"sent=(\d+)", answer.headers["location"])
    assert found is not None
    return int(found[1])


def act(client: httpx.Client, number: int, do: str, **said: str) -> str:
    answer = client.post(f"{REPORTS}/{number}", data={"do": do, **said})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def rows(hall: TownHall, query: str) -> list[tuple[Any, ...]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(query.encode()).fetchall()


def test_a_new_report_waits_on_the_disaster_page_until_somebody_has_looked(staff: httpx.Client) -> None:
    number = report(staff, "土のうが足りない", place="浜町")
    desk = main(staff.get("/disaster"))
    assert "未確認 1件" in desk and "土のうが足りない" in desk
    assert "未確認" in main(staff.get(REPORTS))
    assert act(staff, number, "seen", note="第3分団に連絡").endswith("done=seen")
    desk = main(staff.get("/disaster"))
    assert "未確認の報告はありません" in desk and "土のうが足りない" not in desk
    page = main(staff.get(f"{REPORTS}/{number}"))
    assert "確認済み" in page and "disaster of the own town" in page and "第3分団に連絡" in page


def test_the_newest_word_counts_and_all_of_them_stay(hall: TownHall, staff: httpx.Client) -> None:
    number = report(staff, "倒木")
    for do in ("seen", "acted", "withdrawn", "seen"):
        act(staff, number, do)
    assert [row[0] for row in rows(hall, "select what from field_report_event order by 1 desc, at")] == [
        "withdrawn",
        "seen",
        "seen",
        "acted",
    ]
    assert "倒木" in main(staff.get(f"{REPORTS}?state=seen"))
    for other in ("new", "acted", "withdrawn"):
        assert "倒木" not in main(staff.get(f"{REPORTS}?state={other}"))


def test_a_report_enters_the_record_once_in_its_own_words(hall: TownHall, staff: httpx.Client) -> None:
    number = report(
        staff,
        "橋脚の半分まで水",
        picture(),
        place="橋の上",
        station="river-okusawa",
        reading="２．３５",
        time="0845",
    )
    act(staff, number, "log")
    assert act(staff, number, "log").endswith("problem=changed")
    ((text, who, place, source, entered_at, at),) = rows(
        hall, "select text, who, place, source, entered_at, at from headquarters_log"
    )
    assert text.startswith("橋脚の半分まで水") and "2.35 m" in text and "写真1枚" in text and f"報告 {number}" in text
    assert (who, source, at) == ("disaster of the own town", "field", START - timedelta(minutes=15))
    assert place.startswith("橋の上・") and entered_at >= START
    page = main(staff.get(f"{REPORTS}/{number}"))
    assert "本部記録 1" in page and "本部記録に入れる" not in page and "確認済み" in page


def test_a_drills_report_enters_the_drills_record(hall: TownHall, staff: httpx.Client) -> None:
    act(staff, report(staff, "想定", drill="1"), "log")
    assert rows(hall, "select drill from headquarters_log") == [(True,)]


def test_a_report_is_tied_to_an_open_alert_and_the_alert_shows_it(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = hall.raise_alert("river-okusawa/water_level")
    number, other = report(staff, "越水している"), report(staff, "別のこと")
    drill = report(staff, "想定", drill="1")
    assert act(staff, number, "attach", alert=str(alert_id)).endswith("done=attach")
    act(staff, number, "attach", alert=str(alert_id))
    assert act(staff, drill, "attach", alert=str(alert_id)).endswith("problem=unknown")
    assert act(staff, number, "attach", alert="999999").endswith("problem=unknown")
    alerts = main(staff.get("/alerts"))
    assert "現地からの報告 1件" in alerts
    tied = main(staff.get(f"{REPORTS}?alert={alert_id}"))
    assert "越水している" in tied and "別のこと" not in tied
    act(staff, number, "detach", alert=str(alert_id))
    assert "現地からの報告 1件" not in main(staff.get("/alerts"))
    assert "越水している" not in main(staff.get(f"{REPORTS}?alert={alert_id}"))
    assert rows(hall, "select what from field_report_event order by field_report_event_id") == [
        ("attached",),
        ("detached",),
    ]
    assert main(staff.get(f"{REPORTS}/{other}"))


def test_only_the_disaster_section_says_what_became_of_it(hall: TownHall, staff: httpx.Client) -> None:
    number = report(staff, "停電")
    for role in (Role.WATER, Role.DIGITAL, Role.VIEWER):
        with hall.visitor(role) as client:
            assert client.post(f"{REPORTS}/{number}", data={"do": "seen"}).status_code == 403
            page = client.get(f"{REPORTS}/{number}", headers=HTML)
            assert "停電" in page.text and 'name="do"' not in page.text
    assert rows(hall, "select count(*) from field_report_event") == [(0,)]


def test_a_reading_of_a_staff_gauge_stands_on_the_gauges_page_apart_and_is_no_observation(
    hall: TownHall, staff: httpx.Client
) -> None:
    hall.observe("river-okusawa/water_level", *((START - timedelta(minutes=10 * n), 1.0) for n in range(6)))
    before = rows(hall, "select count(*) from observation")
    number = report(staff, "", station="river-okusawa", reading="9.87", time="0830")
    report(staff, "", station="river-okusawa", reading="1.23", time="0840")
    report(staff, "", station="river-okusawa", reading="9.99", drill="1")
    gone = report(staff, "", station="river-okusawa", reading="9.11")
    act(staff, gone, "withdrawn")
    whole = staff.get("/disaster/stations/river-okusawa").text
    assert whole.count('class="reported"') == 2, "one on the curve, whose scale does not reach 9.87, and the key's"
    page = main(staff.get("/disaster/stations/river-okusawa"))
    told = page[page.index("量水標の読み（報告）") :]
    assert "9.87 m" in told and f"報告 {number}" in told and "disaster of the own town" in told
    assert "9.99" not in page and "9.11" not in page and "判定には使いません" in told
    assert rows(hall, "select count(*) from observation") == before
    assert rows(hall, "select count(*) from alert") == [(0,)]
    with hall.visitor(Role.VIEWER) as reader:
        answer = reader.get("/api/v1/stations")
        assert "9.87" not in answer.text


def test_a_photo_is_for_staff_until_a_named_person_releases_it(
    hall: TownHall, staff: httpx.Client, outside: httpx.Client
) -> None:
    number = report(staff, "崖崩れ", picture(), picture(800, 600))
    image = staff.get("/disaster/photos/1")
    assert image.headers["content-type"] == "image/jpeg" and image.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in image.headers["content-security-policy"]
    assert image.headers["cache-control"].startswith("private")
    assert len(staff.get("/disaster/photos/1/small").content) < len(image.content)
    assert outside.get("/disaster/photos/1").status_code == 401 or "sign-in" in outside.get("/disaster/photos/1").text
    assert outside.get(f"{PUBLIC}/photos/1.jpg").status_code == 404
    assert "掲載している写真はありません" in outside.get(f"{PUBLIC}/photos").text
    assert act(staff, number, "release", photo="1", caption=" ").endswith("problem=empty")
    act(staff, number, "release", photo="1", caption="国道の通行止め")
    page = outside.get(f"{PUBLIC}/photos")
    assert 'href="photos"' in outside.get(f"{PUBLIC}/notices").text
    assert "国道の通行止め" in page.text and "崖崩れ" not in page.text and "set-cookie" not in page.headers
    assert "disaster of the own town" not in page.text and "避難の情報は町が別に発令します" in page.text
    assert outside.get(f"{PUBLIC}/photos/1.jpg").content == image.content
    assert outside.get(f"{PUBLIC}/photos/2.jpg").status_code == 404, "one by one"
    assert "公開中（disaster of the own town" in main(staff.get(f"{REPORTS}/{number}"))
    act(staff, number, "take_back", photo="1")
    assert outside.get(f"{PUBLIC}/photos/1.jpg").status_code == 404
    assert rows(hall, "select released from field_photo_release order by 1") == [(False,), (True,)]


def test_a_drills_photo_and_another_reports_photo_cannot_be_released(staff: httpx.Client) -> None:
    drill = report(staff, "想定", picture(), drill="1")
    other = report(staff, "別")
    assert act(staff, drill, "release", photo="1", caption="x").endswith("problem=unknown")
    assert act(staff, other, "release", photo="1", caption="x").endswith("problem=unknown")


def test_a_photo_taken_away_is_gone_at_once_and_says_who_did_it(
    hall: TownHall, staff: httpx.Client, outside: httpx.Client
) -> None:
    number = report(staff, "顔が写った", picture())
    act(staff, number, "release", photo="1", caption="橋の上")
    assert "橋の上" in outside.get(f"{PUBLIC}/photos").text
    act(staff, number, "forget", photo="1")
    assert staff.get("/disaster/photos/1").status_code == 404
    assert outside.get(f"{PUBLIC}/photos/1.jpg").status_code == 404
    assert "橋の上" not in outside.get(f"{PUBLIC}/photos").text
    assert "disaster of the own town が" in main(staff.get(f"{REPORTS}/{number}"))
    assert rows(hall, "select image is null, thumbnail is null, forgotten_by is not null from field_photo") == [
        (True, True, True)
    ]


def test_after_thirty_days_the_pictures_are_gone_and_the_report_stays(hall: TownHall, staff: httpx.Client) -> None:
    number = report(staff, "古い写真", picture(), picture(320, 200))
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update field_photo set received_at = %s where field_photo_id = 1", (START - timedelta(hours=1),))
        conn.execute("update field_photo set received_at = %s where field_photo_id = 2", (START,))
    house = Maintenance(FixedClock(START + KEPT))
    for _ in range(3):
        with connect(hall.database.worker, name="test") as conn:
            house.tick(conn)
    assert rows(hall, "select image is null, thumbnail is null from field_photo order by field_photo_id") == [
        (True, True),
        (False, False),
    ]
    assert rows(hall, "select pg_column_size(image) from field_photo where field_photo_id = 1") == [(None,)]
    page = main(staff.get(f"{REPORTS}/{number}"))
    assert "保存期間が過ぎて" in page and "古い写真" in page
    assert staff.get("/disaster/photos/1").status_code == 404 and staff.get("/disaster/photos/2").status_code == 200


def test_many_old_photos_go_a_step_at_a_time(hall: TownHall, staff: httpx.Client) -> None:
    report(staff, "一", picture())
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into field_photo (municipality_id, field_report_id, image, thumbnail, width, height, received_at)
            select municipality_id, field_report_id, 'x', 'x', 1, 1, %s from field_photo, generate_series(1, %s)
            """,
            (START - KEPT, STEP + 5),
        )
    house = Maintenance(FixedClock(START + timedelta(days=1)))
    left = []
    for _ in range(4):
        with connect(hall.database.worker, name="test") as conn:
            house.tick(conn)
        left += rows(hall, "select count(*) from field_photo where image is not null")
    assert [n for (n,) in left] == [STEP + 6, 6, 1, 1]


def test_the_course_of_an_event_has_the_reports_once_and_at_the_time_of_seeing(staff: httpx.Client) -> None:
    report(staff, "護岸が崩れた", picture(), place="浜町", station="river-okusawa", reading="3.10", time="0815")
    act(staff, report(staff, "記録に入った話"), "log")
    act(staff, report(staff, "まちがい"), "withdrawn")
    report(staff, "想定", drill="1")
    lines = staff.get("/disaster/review.csv").content.decode("utf-8-sig").splitlines()
    (told,) = [line for line in lines if "護岸が崩れた" in line]
    assert "08:15" in told and "現地報告" in told and "3.10 m" in told and "写真1枚" in told and "報告 1" in told
    assert len([line for line in lines if "記録に入った話" in line]) == 1
    assert not [line for line in lines if "まちがい" in line or "想定" in line]
    assert "想定" in staff.get("/disaster/review.csv?drill=1").content.decode()

"""誤報の訂正 on its page: who will be told before the button, who was told after it, and what stays for a person."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from alerts.answers import write_link
from api.roles import Role
from store import connect
from tests.alerts.people import channels, person
from tests.api.serving import OTHER_TOWN, TownHall, populate, serving
from tests.conftest import Registered
from tests.dashboards.reading import main
from tests.dashboards.test_delivery import write

HTML = {"Accept": "text/html"}
GAUGE = "river-okusawa/water_level"
WHY = "流木が当たっていた"


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    channels(registered, "mail", "line")
    with serving(registered) as running:
        yield running


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        yield client


def read(client: httpx.Client, alert_id: int) -> str:
    return main(client.get(f"/alerts/{alert_id}/retract", headers=HTML))


def told(hall: TownHall) -> int:
    """An alert that two were told of, a third perhaps, and a fourth not yet."""
    alert_id = hall.raise_alert(GAUGE)
    sent = "2026-06-01 00:00:05+00"
    for name, channel, address, fields in (
        ("田中", "line", "U0123456789", {"sent_at": sent}),
        ("鈴木", "mail", "suzuki@example.jp", {"sent_at": sent}),
        ("佐藤", "mail", "sato@example.jp", {"unsure": 1, "attempts": 1}),
        ("高橋", "mail", "takahashi@example.jp", {}),
    ):
        write(hall, alert_id, person(hall.database, name), channel, address, **fields)
    return alert_id


def test_the_page_says_who_will_be_told_and_then_who_was(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = told(hall)
    assert f'href="/alerts/{alert_id}/retract"' in staff.get("/alerts", headers=HTML).text
    before = read(staff, alert_id)
    assert "訂正を受け取る相手（3件）" in before and "訂正する（3件に知らせる）" in before
    assert "佐藤 メール sat…@example.jp 届いたか不明" in before and "高橋" not in before
    assert "送信待ちの通知が 1件あります" in before
    answer = staff.post(f"/alerts/{alert_id}/retract", data={"note": WHY})
    after = main(staff.get(answer.headers["location"], headers=HTML))
    assert "3件に訂正を送ります" in after and "own-disaster" not in after
    assert "訂正を送った相手（3件）" in after and WHY in after and "送信待ちだった通知 1件は送りませんでした" in after
    delivery = main(staff.get(f"/alerts/{alert_id}/delivery", headers=HTML))
    assert "取り消したため送っていません" in delivery and "届いたか不明" in delivery
    assert delivery.count("訂正・取消") == 3


def test_it_stands_apart_from_what_was_cleared(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = told(hall)
    staff.post(f"/alerts/{alert_id}/retract", data={"note": WHY})
    page = main(staff.get("/alerts", headers=HTML))
    cleared, retracted = page.index("解除済み（新しい順）"), page.index("誤報として訂正したアラート")
    assert page.index(WHY) > retracted > cleared and "まだありません。" in page[cleared:retracted]
    held = page.index("誤った値が続いているため、知らせていない地点")
    assert "奥沢水位観測所" in page[held:cleared], "before all that is over"
    staff.post(f"/alerts/{alert_id}/count-again")
    assert "知らせていない地点" not in main(staff.get("/alerts", headers=HTML))
    found = staff.get(f"/api/v1/alerts/{alert_id}").json()
    assert (found["state"], found["retracted_by"]) == ("retracted", "disaster of the own town")
    assert found["history"][-1]["event"] == "retracted"
    assert "の知らせは誤りとして訂正" in main(staff.get("/disaster", headers=HTML))
    station = main(staff.get("/disaster/stations/river-okusawa", headers=HTML))
    assert "訂正・取消" in station


def test_the_second_officer_learns_who_was_first(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = told(hall)
    staff.post(f"/alerts/{alert_id}/retract", data={"note": WHY})
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update outbox set sent_at = now() where not withdrawn")
    answer = staff.post(f"/alerts/{alert_id}/retract", data={"note": "もう一度"})
    assert "disaster of the own townさんが" in main(staff.get(answer.headers["location"], headers=HTML))
    assert staff.post(f"/api/v1/alerts/{alert_id}/retract", json={"note": "もう一度"}).status_code == 409
    with connect(hall.database.owner, name="test") as conn:
        rows = conn.execute(
            "select count(*) from outbox join alert_history using (alert_history_id) "
            "where event = 'retracted' and channel <> 'log'"
        ).fetchone()
    assert rows == (3,)


def test_without_a_reason_the_page_asks_for_one(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = told(hall)
    answer = staff.post(f"/alerts/{alert_id}/retract", data={"note": "  "})
    assert "理由を2000字以内で書いてください" in main(staff.get(answer.headers["location"], headers=HTML))
    assert "訂正を受け取る相手（3件）" in read(staff, alert_id)


def test_what_the_public_was_told_is_taken_back_in_the_same_act(hall: TownHall, staff: httpx.Client) -> None:
    notice_id, _ = hall.draft_notice(GAUGE, approved=True)
    with connect(hall.database.owner, name="test") as conn:
        ((alert_id,),) = conn.execute("select alert_id from public_notice").fetchall()
    page = staff.get(f"/alerts/{alert_id}/retract", headers=HTML)
    assert "公開中のお知らせは「観測値に誤りがあったため取り消します」として、同時に取り消されます" in main(page)
    assert f'href="/disaster/notices/{notice_id}#change"' in page.text
    public = f"/public/{hall_code(hall)}/notices"
    assert "観測値に誤りがあったため" not in staff.get(public).text
    for _ in range(2):
        staff.post(f"/alerts/{alert_id}/retract", data={"note": WHY})
    assert "住民へのお知らせを取り消しました" in read(staff, alert_id)
    assert "観測値に誤りがあったため取り消します" in staff.get(public).text
    with connect(hall.database.owner, name="test") as conn:
        assert conn.execute("select count(*) from public_notice where kind = 'cancel'").fetchone() == (1,)


def test_a_draft_of_a_false_alarm_cannot_be_approved(hall: TownHall, staff: httpx.Client) -> None:
    notice_id, text_id = hall.draft_notice(GAUGE, approved=False)
    with connect(hall.database.owner, name="test") as conn:
        ((alert_id,),) = conn.execute("select alert_id from public_notice").fetchall()
    staff.post(f"/alerts/{alert_id}/retract", data={"note": WHY})
    assert (
        f'href="/disaster/notices/{notice_id}#approve"' in staff.get(f"/alerts/{alert_id}/retract", headers=HTML).text
    )
    answer = staff.post(f"/disaster/notices/{notice_id}/approve", data={"text": str(text_id), "hours": "3"})
    assert answer.status_code == 409


def hall_code(hall: TownHall) -> str:
    with connect(hall.database.owner, name="test") as conn:
        ((code,),) = conn.execute("select code from municipality where code <> %s", (OTHER_TOWN,)).fetchall()
    return str(code)


def test_the_desk_lets_the_gauge_count_again(hall: TownHall, staff: httpx.Client) -> None:
    alert_id = told(hall)
    staff.post(f"/alerts/{alert_id}/retract", data={"note": WHY})
    assert "この観測所の値を再び判定に使う" in read(staff, alert_id)
    answer = staff.post(f"/alerts/{alert_id}/count-again")
    after = main(staff.get(answer.headers["location"], headers=HTML))
    assert "再び判定に使います" in after and "この観測所の値を再び判定に使う" not in after
    assert "problem=conflict" in staff.post(f"/alerts/{alert_id}/count-again").headers["location"]


def test_another_desk_reads_and_does_nothing(hall: TownHall) -> None:
    alert_id = told(hall)
    with hall.visitor(Role.WATER) as client:
        assert "担当の課が行います" in read(client, alert_id) and "訂正する（" not in read(client, alert_id)
        assert client.post(f"/alerts/{alert_id}/retract", data={"note": WHY}).status_code == 403
    with hall.visitor(Role.VIEWER) as client:
        assert client.get(f"/alerts/{alert_id}/retract").status_code == 403


def test_whoever_follows_the_link_of_a_false_message_reads_that_it_was_false(
    hall: TownHall, staff: httpx.Client
) -> None:
    alert_id = told(hall)
    with connect(hall.database.worker, name="test") as conn:
        ((outbox_id,),) = conn.execute("select outbox_id from outbox where recipient = 'U0123456789'").fetchall()
        token = write_link(conn, hall.database.municipality_id, outbox_id)
    staff.post(f"/alerts/{alert_id}/retract", data={"note": WHY})
    with hall.visitor(None) as anybody:
        page = main(anybody.get(f"/answer/{token}", headers=HTML))
    assert "このお知らせは誤りでした" in page and WHY not in page


def test_who_goes_there_is_chosen_from_the_towns_people_and_stands_in_the_list(
    hall: TownHall, staff: httpx.Client
) -> None:
    alert_id = told(hall)
    lamp = person(hall.database, "回転灯", kind="equipment")
    with connect(hall.database.owner, name="test") as conn:
        ((tanaka,),) = conn.execute("select person_id from person where name = '田中'").fetchall()
    assert "回転灯" not in staff.get("/alerts", headers=HTML).text
    answer = staff.post(f"/alerts/{alert_id}/assign", data={"person": tanaka, "note": "車で10分"})
    assert answer.headers["location"] == "/alerts?done=assign"
    page = main(staff.get(answer.headers["location"], headers=HTML))
    assert "対応者：田中" in page and "車で10分" in page
    assert staff.get(f"/api/v1/alerts/{alert_id}").json()["assigned_to"] == "田中"
    refused = staff.post(f"/alerts/{alert_id}/assign", data={"person": lamp}, headers=HTML)
    assert refused.status_code == 400 and "その人は連絡先にいません" in main(refused)
    staff.post(f"/api/v1/alerts/{alert_id}/assign", json={"person_id": None})
    found = staff.get(f"/api/v1/alerts/{alert_id}").json()
    assert found["assigned_to"] is None
    assert [e["assigned_to"] for e in found["history"] if e["event"] == "assigned"] == ["田中", None]

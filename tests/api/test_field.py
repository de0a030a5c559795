"""Reports by a personal link and by staff: taken once, with their photos, and never at the price of what was typed."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.datastructures import UploadFile

from api.pages import field_form
from api.pages.field_form import MOST_BODY
from api.roles import Role
from devices.photos import Photo, reduced
from store import connect
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered, run_async
from tests.photos import SECRET, bomb, opened, picture

FIELD, LINKS = "/disaster/field", "/disaster/links"
HTML = {"Accept": "text/html"}


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered) as running:
        yield running


@pytest.fixture
def anyone(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody with a telephone and no session."""
    with httpx.Client(base_url=hall.url, headers=HTML, timeout=20, trust_env=False) as client:
        yield client


def link(hall: TownHall, name: str = "浜町 山田", role: Role = Role.DISASTER, **said: str) -> str:
    """The path of a new personal link."""
    with hall.visitor(role) as client:
        page = client.post(LINKS, data={"do": "make", "name": name, "days": "30", **said}, headers=HTML)
    assert page.status_code == 200, page.text
    found = re.search(r'<code id="link">https?://[^/]+(/field/[\w-]+)</code>', page.text)
    assert found is not None, page.text
    return found[1]


def rows(hall: TownHall, query: str) -> list[tuple[Any, ...]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(query.encode()).fetchall()


def send(client: httpx.Client, path: str, *photos: bytes, **said: str) -> httpx.Response:
    files = [("photos", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]
    return client.post(path, data=said, files=files or None)


def test_a_leader_reports_without_an_account(hall: TownHall, anyone: httpx.Client) -> None:
    path = link(hall)
    form = anyone.get(path)
    assert form.status_code == 200 and "浜町 山田" in form.text and "csrf_token" not in form.text
    assert "geolocation=(self)" in form.headers["permissions-policy"] and "noindex" in form.text
    said = {
        "text": "堤防の上まで水",
        "place": "浜町3丁目",
        "latitude": "32.45",
        "longitude": "135.05",
        "accuracy": "12",
    }
    answer = send(anyone, path, picture(), **said)
    assert answer.status_code == 303 and answer.headers["location"] == f"{path}?sent=1"
    assert "受け取りました（番号 1）" in anyone.get(answer.headers["location"]).text
    found = rows(
        hall, "select text, place, latitude, accuracy, user_id, drill, seen_at = received_at from field_report"
    )
    assert found == [("堤防の上まで水", "浜町3丁目", 32.45, 12.0, None, False, True)]
    ((image, width),) = rows(hall, "select image, width from field_photo")
    assert SECRET not in bytes(image) and opened(bytes(image)).width == width == 640
    with hall.visitor(Role.VIEWER) as reader:
        page = reader.get("/disaster/reports", headers=HTML).text
    assert "堤防の上まで水" in page and "浜町 山田" in page


def test_the_link_is_shown_once_and_the_database_cannot_tell_it(hall: TownHall) -> None:
    path = link(hall)
    token = path.rsplit("/", 1)[1]
    dump = rows(hall, "select l::text from field_link l")
    assert len(token) >= 32 and token not in str(dump)
    with hall.visitor(Role.DISASTER) as client:
        assert token not in client.get(LINKS, headers=HTML).text


def test_a_link_that_is_over_or_revoked_or_of_somebody_who_left_looks_as_if_it_had_never_been(
    hall: TownHall, anyone: httpx.Client
) -> None:
    never = anyone.get("/field/" + "x" * 32)
    assert never.status_code == 404 and "このリンクは使えません" in never.text
    revoked, over, left = (link(hall, name) for name in ("一", "二", "三"))
    with hall.visitor(Role.DIGITAL) as client:
        assert client.post(LINKS, data={"do": "revoke", "link": "1"}).headers["location"] == f"{LINKS}?done=revoked"
        assert "取り消し" in client.get(LINKS, headers=HTML).text
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "update field_link set made_at = now() - interval '9 d', expires_at = now() - interval '1 s' "
            "where field_link_id = 2"
        )
        conn.execute("update person set ended_at = now() where name = '三'")
    with hall.visitor(Role.DISASTER) as client:
        page = client.get(LINKS, headers=HTML).text
    assert "に期限切れ" in page and "連絡先から外れたため使えません" in page and 'value="revoke"' not in page
    for path in (revoked, over, left):
        for answer in (anyone.get(path), send(anyone, path, text="x"), anyone.get(f"{path}/shelters")):
            assert answer.status_code == 404 and "このリンクは使えません" in answer.text
    assert rows(hall, "select count(*) from field_report") == [(0,)]


def test_who_tries_many_links_is_slowed_down(hall: TownHall, anyone: httpx.Client) -> None:
    answers = [anyone.get(f"/field/{n}") for n in range(35)]
    assert answers[0].status_code == 404 and answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_only_disaster_and_digital_make_links(hall: TownHall) -> None:
    assert link(hall, role=Role.DIGITAL)
    for role in (Role.WATER, Role.TOURISM, Role.VIEWER):
        with hall.visitor(role) as client:
            assert client.post(LINKS, data={"name": "x", "days": "30"}).status_code == 403


@pytest.mark.parametrize("said", [{"name": "", "days": "30"}, {"name": "x", "days": "0"}, {"name": "x", "days": "401"}])
def test_a_link_needs_somebody_and_an_end(hall: TownHall, said: Mapping[str, str]) -> None:
    with hall.visitor(Role.DISASTER) as client:
        assert client.post(LINKS, data=said).status_code == 400
    assert rows(hall, "select count(*) from field_link") == [(0,)]


def test_the_same_report_sent_again_is_one_report(hall: TownHall, anyone: httpx.Client) -> None:
    path, key = link(hall), str(uuid4())
    anyone.headers["Accept"] = "application/json"
    first = send(anyone, path, picture(), text="越水", key=key)
    again = send(anyone, path, picture(), text="越水", key=key)
    assert first.json() == {"report": 1, "again": False, "unread": []}
    assert again.json() == {"report": 1, "again": True, "unread": []}
    # The key is its author's: somebody else's same key hides nothing.
    assert send(anyone, link(hall, "別の人"), text="別の話", key=key).json()["again"] is False
    assert rows(hall, "select count(*), (select count(*) from field_photo) from field_report") == [(2, 1)]


def test_a_report_that_waited_for_the_network_was_seen_when_it_was_first_sent(
    hall: TownHall, anyone: httpx.Client
) -> None:
    path = link(hall)
    send(anyone, path, text="一", waited="1800")
    send(anyone, path, text="二", waited="1800", time="0845")
    send(anyone, path, text="三", waited="-5")
    # pressed two days and two hours before 9 o'clock, START: at 7
    send(anyone, path, text="四", waited="180000", since="180000", time="0845")
    found = rows(hall, "select text, received_at - seen_at, seen_at from field_report order by 1")
    assert {row[0]: row[1] for row in found if row[0] in "一三"} == {
        "一": timedelta(minutes=30),
        "三": timedelta(0),
    }
    assert [row[2] for row in found if row[0] == "二"] == [START - timedelta(minutes=15)]
    assert [row[2] for row in found if row[0] == "四"] == [START - timedelta(days=3, minutes=15)]


@pytest.mark.parametrize(
    ("said", "field", "why"),
    [
        ({"text": "  "}, "text", "必要な欄が空です"),
        ({"text": "x", "time": "あとで"}, "time", "時刻として読み取れません"),
        ({"text": "x", "time": "2999-01-01 03:00"}, "time", "これからの時刻"),
        ({"text": "x", "time": "2026-05-01 03:00"}, "time", "7日より前"),
        ({"text": "x", "reading": "1.2"}, "station", "どの観測所の量水標か"),
        ({"text": "x", "reading": "ふかい", "station": "river-okusawa"}, "reading", "数として"),
        ({"text": "x", "reading": "nan", "station": "river-okusawa"}, "reading", "数として"),
        ({"text": "x", "reading": "1000", "station": "river-okusawa"}, "reading", "数として"),
        ({"text": "x", "station": "nowhere"}, "station", "見つかりません"),
        ({"text": "x", "station": "tonari-1"}, "station", "見つかりません"),
        ({"text": "x", "latitude": "91", "longitude": "0"}, "place", "数として"),
        ({"text": "x", "latitude": "32"}, "place", "数として"),
        ({"text": "あ" * 1001}, "text", "長すぎます"),
    ],
)
def test_what_cannot_be_taken_stays_in_the_form_and_says_why(
    hall: TownHall, anyone: httpx.Client, said: dict[str, str], field: str, why: str
) -> None:
    path = link(hall)
    said = {"place": "奥沢の橋", **said}
    page = send(anyone, path, **said)
    assert page.status_code == 400 and why in page.text and 'value="奥沢の橋"' in page.text
    anyone.headers["Accept"] = "application/json"
    answer = send(anyone, path, **said)
    assert answer.status_code == 400 and why in answer.json()["detail"] and answer.json()["field"] == field
    assert rows(hall, "select count(*) from field_report") == [(0,)]


def test_a_photo_that_cannot_be_read_is_left_out_and_the_report_is_taken(hall: TownHall, anyone: httpx.Client) -> None:
    path = link(hall)
    answer = send(anyone, path, picture(), b"<svg/>", text="崖崩れ")
    assert answer.status_code == 303 and "unread=kind" in answer.headers["location"]
    assert "JPEG、PNG、WebP が使えます" in anyone.get(answer.headers["location"]).text
    anyone.headers["Accept"] = "application/json"
    told = send(anyone, path, bomb(60_000, 50_000), text="二つ目").json()
    assert told["unread"] == [{"name": "0.jpg", "code": "pixels", "why": "写真の画素数が多すぎます。"}]
    refused = send(anyone, path, b"<svg/>")
    assert refused.status_code == 400 and refused.json()["code"] == "photo_kind"
    assert rows(hall, "select count(*), (select count(*) from field_photo) from field_report") == [(2, 1)]


def test_photos_are_few_and_a_report_has_a_size(hall: TownHall, anyone: httpx.Client) -> None:
    path = link(hall)
    assert send(anyone, path, *[picture(n + 10) for n in range(5)], text="x").status_code == 400
    assert send(anyone, path, *[picture(n + 10) for n in range(4)], text="x").status_code == 303
    large = send(anyone, path, bytes(16_000_000), text="大きい")
    assert large.status_code == 303 and "unread=large" in large.headers["location"]
    assert send(anyone, path, bytes(MOST_BODY), text="x").status_code == 413
    # Everywhere else the limit stays what it was.
    assert send(anyone, "/sign-in", bytes(1_200_000), login="x").status_code == 413
    assert rows(hall, "select count(*) from field_photo") == [(4,)]


def test_a_link_brings_only_so_many_reports_an_hour(hall: TownHall, anyone: httpx.Client) -> None:
    path = link(hall)
    anyone.headers["Accept"] = "application/json"
    answers = [send(anyone, path, text=f"{n}").status_code for n in range(31)]
    assert answers == [200] * 30 + [429]
    assert send(anyone, link(hall, "別の人"), text="x").status_code == 200


def test_staff_report_with_their_account_and_a_drill_is_apart(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        assert "【訓練】" in client.get(f"{FIELD}?drill=1", headers=HTML).text
        answer = send(client, FIELD, text="想定：橋が落ちた", drill="1")
        assert answer.json()["report"] == 1
        send(client, FIELD, text="本物")
    with hall.visitor(Role.VIEWER) as reader:
        assert reader.get(FIELD, headers=HTML).status_code == 403
        actual = reader.get("/disaster/reports", headers=HTML).text
        drill = reader.get("/disaster/reports?drill=1", headers=HTML).text
        desk = reader.get("/disaster", headers=HTML).text
    assert "本物" in actual and "想定" not in actual and "想定" in drill and "本物" not in drill
    assert "想定" not in desk and "未確認 1件" in desk


def test_without_the_token_of_the_session_nothing_is_taken(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER, csrf=False) as client:
        assert send(client, FIELD, picture(), text="x").status_code == 403
        form = client.get(FIELD, headers=HTML).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', form)
        assert token is not None
        assert send(client, FIELD, picture(), text="x", csrf_token=token[1]).status_code == 200


def test_another_site_cannot_send_by_somebodys_link(hall: TownHall, anyone: httpx.Client) -> None:
    path = link(hall)
    answer = anyone.post(path, data={"text": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403 and rows(hall, "select count(*) from field_report") == [(0,)]


def test_a_link_for_reports_alone_says_nothing_of_shelters(hall: TownHall, anyone: httpx.Client) -> None:
    path = link(hall)
    assert anyone.get(f"{path}/shelters").status_code == 404
    assert "避難所" not in re.sub(r"<header.*</header>", "", anyone.get(path).text, flags=re.DOTALL)
    with_shelters = link(hall, "二", shelters="1")
    assert anyone.get(f"{with_shelters}/shelters").status_code == 200


def test_photos_of_many_reports_are_read_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits holds no thread: the pages need them."""
    running, most = 0, 0

    def counted(data: bytes) -> Photo:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return reduced(data)
        finally:
            running -= 1

    async def bring() -> list[int]:
        files = [UploadFile(io.BytesIO(picture(200 + n, 100)), size=1, filename="a.jpg") for n in range(12)]
        found = await asyncio.gather(*(field_form.read_photos([file]) for file in files))
        return [photo.width for photos, _ in found for photo in photos]

    monkeypatch.setattr(field_form, "reduced", counted)
    assert run_async(bring()) == [200 + n for n in range(12)]
    assert most == 1

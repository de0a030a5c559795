"""事前承認 on its pages: one writes, another signs, and everybody reads what it would have said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from api.auth import COOKIE
from api.roles import Role
from store import connect
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered

HTML = {"Accept": "text/html"}
OF = "river-okusawa:3"
NAMED = {
    "post": "町長",
    "authority": "美守 太郎",
    "document": "危第12号",
    "dated": "2026-04-01",
    "holds_to": "2026-10-31",
}


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "select municipality_id, 'own-second', '佐藤', 'disaster', '-' from app_user where login = 'own-disaster'"
        )
    with serving(registered) as running:
        yield running


@pytest.fixture
def first(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        client.headers.update(HTML)
        yield client


@pytest.fixture
def second(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        token, csrf_token = hall.session("own-second")
        client.cookies.set(COOKIE, token)
        client.headers.update({**HTML, "X-CSRF-Token": csrf_token})
        yield client


def main(page: httpx.Response) -> str:
    found = re.search(r"<main.*</main>", page.text, re.DOTALL)
    assert found is not None, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def offered(client: httpx.Client) -> dict[str, str]:
    """The form as it comes, with who decided it filled in."""
    form = client.get("/disaster/standing/new", params={"of": OF}).text
    fields = dict(re.findall(r'<input id="(\w+_headline)"[^>]* value="([^"]*)"', form))
    fields |= dict(re.findall(r'<textarea id="(\w+_body)"[^>]*>\n([^<]*)</textarea>', form))
    assert len(fields) == 12, form
    return {"of": OF, "hours": "12", "at_end": "tells", **fields, **NAMED}


def test_one_writes_it_and_another_signs_what_the_past_year_shows(
    hall: TownHall, first: httpx.Client, second: httpx.Client
) -> None:
    start = START - timedelta(days=40)
    flood = [1.0, 1.0, 3.9, 4.0, *[0.2] * 8]
    hall.observe("river-okusawa/water_level", *((start + n * timedelta(minutes=10), v) for n, v in enumerate(flood)))
    made = first.post("/disaster/standing", data=offered(first)).headers["location"]
    own = main(first.get(made))
    assert "署名を待っています" in own and "入力した人は署名できません" in own and "署名して有効にする" not in own
    assert "この承認があれば、1 回公開していました" in own and "3.90 m です" in own, "the words of the last case"
    address = made.split("?")[0]
    assert first.post(f"{address}/sign").status_code == 409
    assert "署名待ち" in main(second.get("/disaster/standing"))
    signed = second.post(f"{address}/sign")
    page = main(second.get(signed.headers["location"]))
    assert "署名しました" in page and "佐藤" in page and "［時刻］" in page
    assert "1 回公開" in main(second.get(f"{address}?rehearse=1"))
    assert "事前承認" in main(first.get("/disaster/notices"))
    revoked = first.post(f"{address}/revoke")
    assert "取り下げました" in main(first.get(revoked.headers["location"]))


def test_what_may_not_be_said_comes_back_at_its_field_with_what_was_typed(first: httpx.Client) -> None:
    typed = offered(first) | {"ja_body": "洪水警報です。［時刻］に ［値］ m", "holds_to": "2028-01-01", "post": ""}
    answer = first.post("/disaster/standing", data=typed)
    assert answer.status_code == 409
    page = main(answer)
    assert "「警報」は使えません" in page and "1 年以内の日" in page and "保存していません" in page
    assert "洪水警報です。［時刻］に ［値］ m" in answer.text and 'aria-describedby="problem-ja_body"' in answer.text
    assert "事前承認はありません" in main(first.get("/disaster/standing"))


def test_the_others_read_and_change_nothing(hall: TownHall, first: httpx.Client) -> None:
    made = first.post("/disaster/standing", data=offered(first)).headers["location"].split("?")[0]
    with hall.visitor(Role.VIEWER) as client:
        page = main(client.get(made, headers=HTML))
        assert "美守 太郎" in page and "取り下げる" not in page
        assert client.post(f"{made}/revoke").status_code == 403
        assert "新しく入力する" not in main(client.get("/disaster/standing", headers=HTML))

"""The links of the spots' staff over a real server and database: one spot, numbers by hand alone, an end, a name."""

from __future__ import annotations

import re

import httpx
import psycopg
import pytest

from analytics.visitors.manual import enter
from api.database import enter_municipality
from api.roles import Role
from devices.clock import real_now
from store import connect
from store.correct import Operation
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.test_counts_entry import hidden
from tests.dashboards.test_daily_entry import SPOT, TODAY, YESTERDAY, examine, main, query, save, stored

LINKS = "/tourism/links"
HOLDER = "資料館 受付"


def link(hall: TownHall, name: str = HOLDER) -> str:
    """The path of a new link of the museum."""
    with hall.visitor(Role.TOURISM) as clerk:
        page = clerk.post(LINKS, data={"do": "make", "spot": SPOT, "name": name, "days": "30"})
        found = re.search(r'<code id="link">https?://[^/]+(/count/[\w-]{20,})</code>', page.text)
        assert found is not None, page.text
        assert found[1].rsplit("/", 1)[1] not in clerk.get(LINKS).text + str(
            query(hall, "select l::text from count_link l")
        )
    return found[1]


def send(client: httpx.Client, path: str, day: str, value: str, **more: str) -> httpx.Response:
    answer = client.post(path, data={"day": day, "value": value, **more})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"])


def test_the_staff_of_a_spot_enter_its_days_once_under_the_name_of_their_link(
    hall: TownHall, outside: httpx.Client
) -> None:
    path = link(hall)
    page = outside.get(f"{path}?day={YESTERDAY}")
    assert HOLDER in page.text and "csrf_token" not in page.text and "noindex" in page.text
    sent = {"key": hidden(page, "key"), "seen": hidden(page, "seen")}
    assert "保存しました" in main(send(outside, path, YESTERDAY, "１２０人", **sent))
    assert "もう届いていました" in main(send(outside, path, YESTERDAY, "120", **sent))
    assert "人数として読み取れません" in main(send(outside, path, YESTERDAY, "12,3"))
    assert "の外です" in main(send(outside, path, YESTERDAY, "60000"))
    assert [row[1:3] for row in stored(hall)] == [(120.0, "manual")]
    with hall.visitor(Role.TOURISM) as clerk:
        assert f"120 人を入力 {HOLDER}" in main(clerk.get(f"/tourism/entry/{SPOT}?day={YESTERDAY}"))
        assert "1件" in main(clerk.get(LINKS))
        # what the office has put right meanwhile is not replaced unseen, and its people are not named
        save(clerk, YESTERDAY, "130")
    asked = main(send(outside, path, YESTERDAY, "125", seen="120"))
    assert "別の人がこの日を 130 人にしています" in asked and "tourism of" not in asked
    assert [row[1] for row in stored(hall)] == [130.0]


def test_a_link_changes_no_examined_day_and_no_old_one_and_takes_nothing_back(
    hall: TownHall, outside: httpx.Client
) -> None:
    path = link(hall)
    send(outside, path, YESTERDAY, "120")
    examine(hall, Operation.CONFIRM)
    assert "役場で確かめて確定しています" in main(send(outside, path, YESTERDAY, "125"))
    assert [row[1] for row in stored(hall)] == [120.0]
    assert outside.get(f"{path}?day=2026-04-30").status_code == 400
    assert outside.post(path, data={"day": "2026-04-30", "value": "5"}).status_code == 400
    assert outside.post(f"{path}/withdraw", data={"day": YESTERDAY}).status_code == 404
    datastream, falls = (hall.database.datastream(spot, "passages_day") for spot in (SPOT, "spot-taki"))
    with connect(hall.database.api, name="test") as conn:
        enter_municipality(conn, hall.database.municipality_id)
        for series, total, over in ((falls, 5, None), (datastream, None, None), (datastream, 5, "confirmed 120")):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not do this"), conn.transaction():
                enter(conn, series, START.date(), total, None, START, None, over=over, link=1)


def test_a_link_that_is_over_or_revoked_is_of_no_use_and_another_town_ends_none(
    hall: TownHall, outside: httpx.Client
) -> None:
    revoked, over = link(hall), link(hall)
    with hall.visitor(Role.TOURISM, town="other") as stranger:
        assert stranger.post(LINKS, data={"do": "revoke", "link": "1"}).status_code == 400
        assert HOLDER not in stranger.get(LINKS).text
        assert stranger.post(LINKS, data={"do": "make", "spot": SPOT, "name": "x", "days": "30"}).status_code == 400
    assert outside.get(revoked).status_code == 200
    with hall.visitor(Role.DIGITAL) as clerk:
        assert clerk.post(LINKS, data={"do": "revoke", "link": "1"}).status_code == 303
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "update count_link set made_at = %(now)s - interval '9 d', expires_at = %(now)s where count_link_id = 2",
            {"now": real_now()},
        )
    for path in (revoked, over, "/count/" + "x" * 32):
        for answer in (outside.get(path), outside.post(path, data={"day": TODAY, "value": "5"})):
            assert answer.status_code == 404 and "このリンクは使えません" in answer.text
    assert stored(hall) == []
    with hall.visitor(Role.TOURISM) as clerk:
        page = main(clerk.get(LINKS))
    assert "に digital of the own town が取り消し" in page and "に期限切れ" in page


def test_the_copies_that_open_without_a_network_hold_no_number_and_no_token(
    hall: TownHall, outside: httpx.Client
) -> None:
    path = link(hall)
    send(outside, path, YESTERDAY, "4321")
    with hall.visitor(Role.TOURISM) as clerk:
        clerk.post("/tourism/months/spot-taki", data={"month": "2025-04", "value": "4321"})
        forms = ("entry", "hours", "gatherings", "months")
        copies = (outside.get(f"{path}?copy=1").text, *(clerk.get(f"/tourism/{form}?copy=1").text for form in forms))
    for copy in copies:
        assert "data-copy" in copy and "csrf_token" not in copy and "4321" not in copy and 'name="key" value=""' in copy
    assert "鈴鳴りの滝" not in copies[0] and "data-login" not in copies[0]
    assert all("鈴鳴りの滝" in copy and "data-login" in copy for copy in copies[1:])
    with hall.visitor(Role.VIEWER) as reader:  # who may read months only gets no form to enter them
        assert reader.get("/tourism/months?copy=1").status_code == 303

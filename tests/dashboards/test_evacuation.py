"""避難情報 and 配備体制: written by a named person, lifted, corrected, kept; and what a public notice may ask."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from alerts.public.evacuation import NOT_ENTERED
from alerts.public.evacuation import current_evacuation as current_for_public
from api.roles import Role
from store import connect
from store.evacuation import EvacuationKind, Order, amend, current_evacuation, current_stage, issue
from tests.api.serving import TownHall, populate
from tests.conftest import START, Registered
from tests.dashboards.reading import main
from tests.store.rights import as_api

HERE = "/disaster/evacuation"
HOUR = timedelta(hours=1)


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        yield client


def issued(client: httpx.Client, kind: str = "order", districts: str = "浜町", **more: str) -> httpx.Response:
    typed = {"do": "issue", "kind": kind, "districts": districts, "decided_by": "町長 山田太郎", **more}
    return client.post(HERE, data=typed)


def in_force(page: httpx.Response) -> str:
    found = re.search(r'<section class="card" aria-labelledby="in-force">.*?</section>', page.text, re.DOTALL)
    assert found is not None, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def test_an_order_stands_on_its_page_and_on_the_desk_until_it_is_lifted(staff: httpx.Client) -> None:
    assert issued(staff, "elderly", "奥沢地区").status_code == 303
    assert issued(staff, "order", "浜町、汐見").status_code == 303
    page = in_force(staff.get(HERE))
    assert page.index("警戒レベル４ 避難指示") < page.index("警戒レベル３ 高齢者等避難")
    assert "町長 山田太郎" in page and "disaster of the own town" in page
    assert "浜町、汐見" in main(staff.get("/disaster"))
    lift = {"do": "lift", "order": "2", "seen": "1", "decided_by": "町長 山田太郎"}
    assert staff.post(HERE, data=lift).headers["location"].endswith("done=lifted")
    assert "浜町、汐見" not in in_force(staff.get(HERE)) and "浜町、汐見" in main(staff.get(HERE))
    assert "浜町、汐見" not in main(staff.get("/disaster"))
    again = staff.post(HERE, data=lift)
    assert again.status_code == 400 and "ほかの人が先に" in main(again)


def test_no_order_written_down_is_said_as_that(staff: httpx.Client) -> None:
    assert "記録された避難情報はありません" in main(staff.get(HERE))
    assert "配備体制は記録されていません" in main(staff.get(HERE))


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ({"decided_by": " "}, "必要な欄が空です"),
        ({"districts": ""}, "必要な欄が空です"),
        ({"kind": "evacuate"}, "必要な欄が空です"),
        ({"issued_at": "朝"}, "時刻として読み取れません"),
        ({"issued_at": "2999-01-01 00:00"}, "これからの時刻"),
        ({"issued_at": "0800", "lifted_at": "0700"}, "解除の時刻が発令より前"),
    ],
)
def test_an_order_that_cannot_be_meant_stays_in_its_fields(
    staff: httpx.Client, typed: dict[str, str], why: str
) -> None:
    answer = issued(staff, **{"note": "河川の増水", **typed})
    assert answer.status_code == 400 and why in main(answer)
    assert 'value="河川の増水"' in answer.text
    assert "記録された避難情報はありません" in main(staff.get(HERE))


def test_a_correction_and_a_withdrawal_are_kept(staff: httpx.Client) -> None:
    issued(staff, issued_at="0800")
    typed = {"kind": "order", "districts": "浜町、本町", "issued_at": "0750", "decided_by": "町長 山田太郎"}
    answer = staff.post(f"{HERE}/orders/1", data={**typed, "seen": "1"})
    assert answer.headers["location"].endswith("done=corrected")
    assert "浜町、本町" in in_force(staff.get(HERE))
    answer = staff.post(f"{HERE}/orders/1", data={**typed, "seen": "1", "districts": "汐見"})
    assert "problem=changed" in answer.headers["location"]
    assert 'value="汐見"' in staff.get(answer.headers["location"]).text
    staff.post(f"{HERE}/orders/1", data={**typed, "seen": "2", "withdrawn": "1"})
    assert "浜町" not in in_force(staff.get(HERE))
    history = main(staff.get(f"{HERE}/orders/1"))
    assert history.index("3版") < history.index("2版") < history.index("1版")


def test_a_stage_is_in_force_until_the_next_one(staff: httpx.Client) -> None:
    for name, since in (("第1配備", "0600"), ("第2配備", "0730")):
        staff.post(HERE, data={"do": "declare", "stage": name, "since": since, "decided_by": "総務課長"})
    assert "第2配備" in main(staff.get("/disaster")) and "第1配備" not in main(staff.get("/disaster"))
    typed = {"stage": "第3配備", "since": "0730", "decided_by": "総務課長", "seen": "1"}
    assert staff.post(f"{HERE}/stages/2", data=typed).status_code == 303
    assert "第3配備" in main(staff.get("/disaster"))
    staff.post(HERE, data={"do": "declare", "stage": "", "nobody": "1", "since": "0830", "decided_by": "総務課長"})
    assert "配備なし（平常）" in main(staff.get("/disaster"))


def test_a_drill_is_kept_apart(staff: httpx.Client) -> None:
    issued(staff, "emergency", "訓練の地区", drill="1")
    assert "訓練の地区" not in main(staff.get(HERE)) + main(staff.get("/disaster"))
    assert "訓練の地区" in in_force(staff.get(f"{HERE}?drill=1")) and "【訓練】" in staff.get(f"{HERE}?drill=1").text
    # a drill's order is not lifted from the real page
    lift = {"do": "lift", "order": "1", "seen": "1", "decided_by": "町長"}
    assert staff.post(HERE, data=lift).status_code == 404


def test_the_file_has_orders_and_stages_in_the_order_of_time(staff: httpx.Client) -> None:
    issued(staff, issued_at="0800")
    staff.post(HERE, data={"do": "declare", "stage": "第1配備", "since": "0700", "decided_by": "総務課長"})
    answer = staff.get(f"{HERE}.csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row[0] for row in rows] == ["種別・体制", "第1配備", "警戒レベル４ 避難指示"]
    assert rows[2][1] == "2026-06-01T08:00+09:00" and rows[2][2] == ""


def test_only_the_disaster_section_writes(hall: TownHall, staff: httpx.Client) -> None:
    issued(staff)
    with hall.visitor(Role.DIGITAL) as reader:
        assert "浜町" in in_force(reader.get(HERE)) and 'name="decided_by"' not in reader.get(HERE).text
        assert issued(reader).status_code == 403


def test_what_is_in_force_can_be_asked_by_whoever_tells_the_public(registered: Registered) -> None:
    populate(registered)
    town = registered.municipality_id
    with connect(registered.owner, name="test") as conn:
        ((user,),) = conn.execute("select user_id from app_user where login = 'own-disaster'").fetchall()
        ((other,),) = conn.execute("select municipality_id from municipality where name = '隣町'").fetchall()
    first = Order(EvacuationKind.ELDERLY, "奥沢地区", START - 3 * HOUR, None, "町長")
    with as_api(registered) as conn:
        gone = issue(conn, town, first, drill=False, now=START, user_id=user)
        issue(
            conn,
            town,
            Order(EvacuationKind.ORDER, "浜町", START - HOUR, None, "町長"),
            drill=False,
            now=START,
            user_id=user,
        )
        issue(
            conn,
            town,
            Order(EvacuationKind.EMERGENCY, "訓練", START, None, "町長"),
            drill=True,
            now=START,
            user_id=user,
        )
        lifted = Order(first.kind, first.districts, first.issued_at, START - 2 * HOUR, first.decided_by)
        amend(conn, town, gone, seen=1, order=lifted, now=START, user_id=user)
        assert [o.districts for o in current_evacuation(conn, town, START)] == ["浜町"]
        # what was in force then, as it is known now
        assert [o.districts for o in current_evacuation(conn, town, START - 2.5 * HOUR)] == ["奥沢地区"]
        assert [o.kind.level for o in current_evacuation(conn, town, START, drill=True)] == [5]
        assert current_stage(conn, town, START) is None
    with as_api(registered, other) as conn:
        assert current_evacuation(conn, town, START) == ()


def test_an_empty_field_sends_nobody_home(staff: httpx.Client) -> None:
    staff.post(HERE, data={"do": "declare", "stage": "第1配備", "since": "0700", "decided_by": "総務課長"})
    answer = staff.post(HERE, data={"do": "declare", "stage": "", "decided_by": "総務課長"})
    assert answer.status_code == 400 and "必要な欄が空です" in main(answer)
    assert "第1配備" in main(staff.get("/disaster"))


def test_notices_to_the_public_say_what_is_in_force_and_not_that_there_is_none_where_nobody_writes_it_down(
    registered: Registered,
) -> None:
    populate(registered)
    town, zone = registered.municipality_id, ZoneInfo("Asia/Tokyo")

    def said(now: datetime, *, mode: str = "actual") -> str:
        return current_for_public(conn, town, now, zone, mode=mode).ja

    with connect(registered.owner, name="test") as conn:
        user = conn.execute("select user_id from app_user where login = 'own-disaster'").fetchone()
        assert user is not None
        assert said(START) == NOT_ENTERED.ja
        order = Order(EvacuationKind.ORDER, "浜町", START, None, "町長")
        number = issue(conn, town, order, drill=False, now=START, user_id=user[0])
        assert said(START + HOUR) == "9時00分 避難指示（浜町）"
        assert said(START + HOUR, mode="exercise") == NOT_ENTERED.ja  # a drill has its own
        lifted = replace(order, lifted_at=START + HOUR)
        amend(conn, town, number, seen=1, order=lifted, now=START + HOUR, user_id=user[0])
        assert said(START + 2 * HOUR) == "発令なし"

"""タイムライン: the town writes its own list, ticks it during an event, and begins anew with the next one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from api.roles import Role
from store import connect
from store.checklists import event_since
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.reading import main
from tests.store.rights import as_api

HERE = "/disaster/checklist"
GAUGE = "river-okusawa/water_level"


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.DISASTER) as client:
        client.post(
            f"{HERE}/edit", data={"task-3": "避難所の鍵を開ける\n 広報車を出す \n\n", "call-3": "北区 区長 00-0000"}
        )
        yield client


def items(hall: TownHall) -> dict[str, int]:
    with connect(hall.database.owner, name="test") as conn:
        return dict(
            conn.execute("select text, checklist_item_id from checklist_item where ended_at is null").fetchall()
        )


def tick(client: httpx.Client, item: int, done: str = "1", **more: str) -> httpx.Response:
    return client.post(f"{HERE}/items/{item}", data={"done": done, **more})


def test_the_towns_list_is_written_one_item_a_line_and_nothing_is_brought_along(
    hall: TownHall, staff: httpx.Client
) -> None:
    page = main(staff.get(HERE))
    assert page.index("避難所の鍵を開ける") < page.index("広報車を出す") < page.index("北区 区長 00-0000")
    assert len(items(hall)) == 3


def test_items_are_ticked_while_an_alert_is_open_with_time_and_person(hall: TownHall, staff: httpx.Client) -> None:
    key = items(hall)["広報車を出す"]
    refused = tick(staff, key)
    assert refused.status_code == 409 and "いまは印を付けられません" in main(refused)
    hall.raise_alert(GAUGE)
    assert tick(staff, key).status_code == 303
    page = main(staff.get(HERE))
    assert "残り 2件（全 3件）" in page and "disaster of the own town" in page
    assert "残り 2件" in main(staff.get("/disaster"))
    tick(staff, key)  # somebody else, at the same time: the first one stands
    tick(staff, key, "")
    assert "残り 3件" in main(staff.get(HERE))
    with connect(hall.database.owner, name="test") as conn:
        assert conn.execute("select done from checklist_tick order by 1").fetchall() == [(False,), (True,)]


def test_the_next_event_begins_with_an_empty_list(hall: TownHall, staff: httpx.Client) -> None:
    hall.raise_alert(GAUGE)
    tick(staff, items(hall)["広報車を出す"])
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update checklist_tick set entered_at = %s", (START - timedelta(hours=5),))
        conn.execute(
            "update alert set raised_at = %s, cleared_at = %s",
            (START - timedelta(hours=6), START - timedelta(hours=4)),
        )
    assert "いまは印を付けられません" in main(staff.get(HERE))
    hall.raise_alert(GAUGE)
    with connect(hall.database.owner, name="test") as conn:  # what raise_alert has ended anew, ended long ago
        conn.execute("update alert set cleared_at = %s where cleared_at is not null", (START - timedelta(hours=4),))
    assert "残り 3件" in main(staff.get(HERE))


def test_a_changed_line_is_a_new_item_and_the_others_keep_their_ticks(hall: TownHall, staff: httpx.Client) -> None:
    hall.raise_alert(GAUGE)
    before = items(hall)
    tick(staff, before["避難所の鍵を開ける"])
    staff.post(f"{HERE}/edit", data={"task-3": "広報車を2台出す\n避難所の鍵を開ける", "call-3": "北区 区長 00-0000"})
    page = main(staff.get(HERE))
    assert page.index("広報車を2台出す") < page.index("避難所の鍵を開ける") and "残り 2件" in page
    after = items(hall)
    assert after["避難所の鍵を開ける"] == before["避難所の鍵を開ける"] and "広報車を出す" not in after
    assert "書きかえました" in main(tick(staff, before["広報車を出す"]))


@pytest.mark.parametrize(("text", "why"), [("あ" * 201, "長すぎます"), ("\n".join(map(str, range(61))), "多すぎます")])
def test_a_list_that_is_too_much_is_refused_and_stays_in_its_field(
    hall: TownHall, staff: httpx.Client, text: str, why: str
) -> None:
    answer = staff.post(f"{HERE}/edit", data={"task-3": "一", "task-4": text})
    assert answer.status_code == 400 and why in main(answer) and text[:60] in answer.text
    assert "一" not in items(hall)


def test_a_drill_has_ticks_of_its_own(hall: TownHall, staff: httpx.Client) -> None:
    key = items(hall)["広報車を出す"]
    hall.raise_alert(GAUGE)
    assert tick(staff, key, drill="1").status_code == 409
    declared = {"do": "declare", "stage": "訓練配備", "decided_by": "町長", "drill": "1"}
    assert staff.post("/disaster/evacuation", data=declared).status_code == 303
    assert tick(staff, key, drill="1").status_code == 303
    assert "残り 2件" in main(staff.get(f"{HERE}?drill=1")) and "残り 3件" in main(staff.get(HERE))


def test_an_event_goes_on_over_alerts_and_stages_that_follow_without_a_gap(hall: TownHall, staff: httpx.Client) -> None:
    hour = timedelta(hours=1)
    registered = hall.database
    series = registered.datastream("river-okusawa", "water_level")

    def alert(raised: timedelta, cleared: timedelta | None) -> None:
        with connect(registered.owner, name="test") as conn:
            conn.execute(
                """
                insert into alert (municipality_id, station_id, rule, datastream_id, level, raised_at, phenomenon_time,
                                   cleared_at)
                select municipality_id, station_id, 'level', datastream_id, 2, %s, %s, %s
                from datastream where datastream_id = %s
                """,
                (START + raised, START + raised, None if cleared is None else START + cleared, series),
            )

    def since() -> timedelta | None:
        with as_api(registered) as conn:
            found = event_since(conn, registered.municipality_id, START, drill=False)
        return None if found is None else found - START

    alert(-30 * hour, -20 * hour)
    assert since() is None
    staff.post(
        "/disaster/evacuation", data={"do": "declare", "stage": "第1配備", "since": "0300", "decided_by": "町長"}
    )
    assert since() == -6 * hour
    alert(-9 * hour, -5 * hour)
    alert(-12 * hour, -9 * hour)
    assert since() == -12 * hour
    staff.post(
        "/disaster/evacuation",
        data={"do": "declare", "stage": "", "nobody": "1", "since": "0500", "decided_by": "町長"},
    )
    assert since() is None
    alert(-3 * hour, None)
    assert since() == -3 * hour


def test_only_the_disaster_section_writes_and_ticks(hall: TownHall, staff: httpx.Client) -> None:
    hall.raise_alert(GAUGE)
    with hall.visitor(Role.WATER) as reader:
        assert "広報車を出す" in main(reader.get(HERE)) and "済にする" not in main(reader.get(HERE))
        assert tick(reader, items(hall)["広報車を出す"]).status_code == 403
        assert reader.get(f"{HERE}/edit").status_code == 403

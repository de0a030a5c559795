"""避難所: nothing is open or closed until somebody says so, and outside only what is marked public can be read."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.roles import Role
from store import connect
from store.shelters import USUALLY_PUBLIC
from tests.api.serving import TownHall
from tests.api.test_field import link
from tests.conftest import START
from tests.dashboards.reading import main

SHELTERS, SAY = "/disaster/shelters", "/disaster/field/shelters"
PUBLIC = "/public/999999"
HTML = {"Accept": "text/html"}
USUAL = {f"public.{name}": "1" for name in USUALLY_PUBLIC}


def add(client: httpx.Client, name: str, **said: str) -> httpx.Response:
    return client.post(SHELTERS, data={"name": name, **(said or USUAL)})


def say(client: httpx.Client, state: str, address: str = SAY, shelter: int = 1, **said: str) -> httpx.Response:
    return client.post(address, data={"shelter": str(shelter), "state": state, **said})


def read(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return main(page)


def open_data(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{PUBLIC}/shelters.json").json()["shelters"]
    return found


def rows(hall: TownHall, query: str) -> list[tuple[Any, ...]]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(query.encode()).fetchall()


def test_a_shelter_of_which_nobody_has_said_anything_is_unknown_everywhere(
    staff: httpx.Client, outside: httpx.Client
) -> None:
    assert (
        add(staff, "浜町公民館", kana="はままちこうみんかん", **USUAL).headers["location"] == f"{SHELTERS}?done=added"
    )
    assert "不明" in read(staff.get(SHELTERS)) and "まだだれも知らせていません" in read(staff.get(SHELTERS))
    page = read(outside.get(f"{PUBLIC}/shelters"))
    row = page[page.index("浜町公民館") : page.index("「不明」は")]
    assert "不明" in row and "閉鎖" not in row
    (told,) = open_data(outside)
    assert (told["state"], told["said_at"], told["crowding"]) == ("unknown", None, None)
    assert "不明 1" in read(staff.get("/disaster"))


def test_what_somebody_says_stands_with_its_time_and_the_newest_counts(
    hall: TownHall, staff: httpx.Client, outside: httpx.Client
) -> None:
    add(staff, "浜町公民館")
    assert say(staff, "open", crowding="some", people="４２").status_code == 303
    say(staff, "preparing", time="0730")  # came later, and is of before
    page = read(staff.get(SHELTERS))
    assert "開設" in page and "やや混雑" in page and "42人" in page and "disaster of the own town" in page
    public = read(outside.get(f"{PUBLIC}/shelters"))
    assert "開設" in public and "やや混雑" in public and "6月1日 9時00分 の状況" in public
    assert "42" not in public and "disaster of the own town" not in public, "staff's alone unless it is marked public"
    (told,) = open_data(outside)
    assert (told["state"], told["crowding"], told["people"]) == ("open", "some", None)
    assert told["said_at"].startswith("2026-06-01T00:00")
    history = read(staff.get(f"{SHELTERS}/1"))
    assert history.index("開設準備中") > history.index("やや混雑")
    assert rows(hall, "select count(*) from shelter_word") == [(2,)]


def test_each_field_is_public_or_staff_only_by_itself(staff: httpx.Client, outside: httpx.Client) -> None:
    entry = {"kana": "ひみつ", "address": "浜町1-2-3", "latitude": "32.45", "longitude": "135.05", "capacity": "120"}
    fields = ("address", "place", "capacity", "access", "state", "crowding", "people", "note")
    add(staff, "ぜんぶ非公開", **entry, access="スロープ")
    assert 'href="shelters"' not in outside.get(f"{PUBLIC}/notices").text, "there is nothing to read yet"
    for n, field in enumerate(fields):
        add(staff, f"{n}番館", **entry, access="スロープ", **{f"public.{field}": "1"})
    for shelter in range(1, len(fields) + 2):
        say(staff, "open", shelter=shelter, crowding="crowded", people="77", note="毛布が足りない")
    told = open_data(outside)
    assert [each["name"] for each in told] == [f"{n}番館" for n in range(len(fields))]
    assert 'href="shelters"' in outside.get(f"{PUBLIC}/notices").text
    values = {
        "address": "浜町1-2-3",
        "latitude": 32.45,
        "longitude": 135.05,
        "capacity": 120,
        "access": "スロープ",
        "state": "open",
        "crowding": "crowded",
        "people": 77,
        "note": "毛布が足りない",
    }
    for field, each in zip(fields, told, strict=True):
        shown = {"latitude", "longitude"} if field == "place" else {field}
        assert {name: each[name] for name in values if each[name] is not None} == {n: values[n] for n in shown}
    page = outside.get(f"{PUBLIC}/shelters").text
    assert "ぜんぶ非公開" not in page and page.count("浜町1-2-3") == 1 and page.count("毛布が足りない") == 1
    assert page.count("77人") == 1 and page.count("スロープ") == 1


def test_a_drills_word_is_apart_and_never_public(staff: httpx.Client, outside: httpx.Client) -> None:
    add(staff, "浜町公民館")
    assert "drill=1" in say(staff, "full", drill="1").headers["location"]
    assert "満員" in read(staff.get(f"{SHELTERS}?drill=1")) and "【訓練】" in read(staff.get(f"{SHELTERS}?drill=1"))
    assert "満員" not in read(staff.get(SHELTERS)).split("いまの状況")[1].split("「不明」")[0]
    (told,) = open_data(outside)
    assert told["state"] == "unknown"
    assert "訓練" not in outside.get(f"{PUBLIC}/shelters").text


def test_full_is_one_thing_however_it_is_said(hall: TownHall, staff: httpx.Client) -> None:
    add(staff, "浜町公民館")
    say(staff, "full")
    say(staff, "open", crowding="full")
    assert rows(hall, "select distinct state, crowding from shelter_word") == [("full", "full")]
    assert say(staff, "closed", crowding="free").status_code == 400
    assert say(staff, "open", people="-1").status_code == 400
    assert say(staff, "open", time="2999-01-01 00:00").status_code == 400
    assert say(staff, "").status_code == 400
    assert rows(hall, "select count(*) from shelter_word") == [(2,)]


def test_a_leader_says_how_a_shelter_is_by_a_link_made_for_it(
    hall: TownHall, staff: httpx.Client, outside: httpx.Client
) -> None:
    add(staff, "浜町公民館")
    path = link(hall, "区長 田中", shelters="1")
    form = outside.get(f"{path}/shelters")
    assert "浜町公民館" in form.text and "不明" in form.text
    assert say(outside, "open", f"{path}/shelters", crowding="free").headers["location"] == f"{path}/shelters?sent=1"
    assert "区長 田中" in read(staff.get(SHELTERS))
    assert open_data(outside)[0]["crowding"] == "free"
    assert say(outside, "open", f"{link(hall, '報告だけ')}/shelters").status_code == 404


def test_who_may_do_what(hall: TownHall, staff: httpx.Client) -> None:
    add(staff, "浜町公民館")
    with hall.visitor(Role.WATER) as client:
        assert say(client, "open").status_code == 303, "every desk may say how it is"
        assert add(client, "x").status_code == 403
    with hall.visitor(Role.VIEWER) as client:
        assert say(client, "open").status_code == 403
        assert "浜町公民館" in client.get(SHELTERS, headers=HTML).text


def test_an_entry_can_be_changed_and_taken_off_the_list(
    hall: TownHall, staff: httpx.Client, outside: httpx.Client
) -> None:
    add(staff, "浜町公民館")
    say(staff, "open")
    kept = staff.post(f"{SHELTERS}/1", data={"name": "浜町コミュニティ館", "do": "keep", "public.state": "1"})
    assert kept.headers["location"].startswith(f"{SHELTERS}?done=kept")
    assert [each["name"] for each in open_data(outside)] == ["浜町コミュニティ館"]
    add(staff, "西町会館")
    refused = staff.post(f"{SHELTERS}/1", data={"name": "西町会館", "do": "keep", "capacity": "9"})
    assert "problem=twice" in refused.headers["location"]
    page = staff.get(refused.headers["location"]).text
    assert "同じ名前のものがあります" in page and 'value="9"' in page
    staff.post(f"{SHELTERS}/1", data={"do": "end"})
    assert "浜町コミュニティ館" not in read(staff.get(SHELTERS))
    assert staff.get(f"{SHELTERS}/1").status_code == 404
    assert rows(hall, "select count(*) from shelter_word") == [(1,)], "what was said of it stays"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"name": " "}, "必要な欄が空です"),
        ({"name": "あ" * 101}, "長すぎます"),
        ({"latitude": "32"}, "数として"),
        ({"latitude": "100", "longitude": "1"}, "数として"),
        ({"capacity": "たくさん"}, "数として"),
    ],
)
def test_what_cannot_be_an_entry_stays_in_the_form(staff: httpx.Client, said: dict[str, str], why: str) -> None:
    answer = staff.post(SHELTERS, data={"name": "浜町公民館", "address": "浜町1", **said})
    assert answer.status_code == 400 and why in answer.text and 'value="浜町1"' in answer.text


def take(client: httpx.Client, text: str, encoding: str = "utf-8-sig") -> httpx.Response:
    return client.post(f"{SHELTERS}/file", files={"file": ("list.csv", text.encode(encoding))})


def test_a_list_comes_from_a_spreadsheet_and_goes_back_to_one(hall: TownHall, staff: httpx.Client) -> None:
    text = '名称,かな,収容人数,備考\n浜町公民館,はままち,120,x\n西町会館,にしまち,"1,050",\n'
    assert take(staff, text, "cp932").headers["location"] == f"{SHELTERS}?done=file"
    assert rows(hall, "select name, kana, capacity, public from shelter order by 1") == [
        ("浜町公民館", "はままち", 120, list(USUALLY_PUBLIC)),
        ("西町会館", "にしまち", 1050, list(USUALLY_PUBLIC)),
    ]
    staff.post(f"{SHELTERS}/1", data={"name": "浜町公民館", "kana": "はま", "address": "浜町1", "public.state": "1"})
    say(staff, "open", note="=1+1")
    out = staff.get(f"{SHELTERS}/list.csv").content.decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(out)))
    assert lines[0][:4] == ["名称", "かな", "住所", "緯度"] and len(lines) == 3
    assert next(line for line in lines if line[0] == "浜町公民館")[7:11] == ["開設", "", "", "'=1+1"]
    take(staff, out.replace("浜町1", "浜町2"))
    assert rows(hall, "select address, public from shelter where name = '浜町公民館'") == [("浜町2", ["state"])]
    assert rows(hall, "select count(*) from shelter") == [(2,)]
    take(staff, "名称,収容人数\n浜町公民館,5\n")
    assert rows(hall, "select address, capacity from shelter where name = '浜町公民館'") == [("浜町2", 5)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "表がありません"),
        ("かな\nはま\n", "1行目の「名称」"),
        ("名称,収容人数\n一,10\n二,たくさん\n", "3行目の「収容人数」"),
        ("名称\n一\n一\n", "3行目の「名称」：同じ名前"),
        ("名称,緯度\n一,33\n", "2行目の「緯度」"),
        ('名称\n"一\n', "CSV として"),
    ],
)
def test_a_list_with_a_fault_changes_nothing_and_names_the_line(
    hall: TownHall, staff: httpx.Client, text: str, why: str
) -> None:
    answer = take(staff, text)
    assert answer.status_code == 400 and why in answer.text and "何も変えていません" in answer.text
    assert rows(hall, "select count(*) from shelter") == [(0,)]


def test_the_public_page_ends_with_the_sentence_about_evacuation_and_may_be_kept_for_half_a_minute(
    staff: httpx.Client, outside: httpx.Client
) -> None:
    add(staff, "浜町公民館")
    for path, words in (
        ("shelters", "避難の情報は町が別に発令します"),
        ("shelters?lang=en", "Evacuation information is"),
    ):
        answer = outside.get(f"{PUBLIC}/{path}")
        assert words in answer.text and answer.headers["cache-control"] == "public, max-age=30"
        assert "set-cookie" not in answer.headers and "<script" not in answer.text
    assert "避難の情報は町が別に発令します" in outside.get(f"{PUBLIC}/shelters.json").json()["evacuation"]
    assert outside.get("/public/000000/shelters").status_code == 404


def test_another_town_has_its_own_list(hall: TownHall, staff: httpx.Client, outside: httpx.Client) -> None:
    add(staff, "浜町公民館")
    assert outside.get("/public/888888/shelters.json").json()["shelters"] == []
    with hall.visitor(Role.DISASTER, town="other") as client:
        assert client.get(f"{SHELTERS}/1").status_code == 404
        assert "problem=unknown" in say(client, "open").headers["location"]
    assert rows(hall, "select count(*) from shelter_word") == [(0,)]


def test_an_old_word_shows_its_day(hall: TownHall, staff: httpx.Client, outside: httpx.Client) -> None:
    add(staff, "浜町公民館")
    say(staff, "closed")
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update shelter_word set at = %s", (START - timedelta(days=40),))
    assert "4月22日 9時00分 の状況（40日前）" in read(outside.get(f"{PUBLIC}/shelters"))

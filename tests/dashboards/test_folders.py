"""監視フォルダ: states that stay apart, a form that writes the one language of maps, and who may see it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.access import Role
from api.pages.folder_form import fields_of, guessed, yaml_of
from api.pages.readings import State, stations_now
from devices.model import StationKind
from ingest.folders.guess import Series, guess
from ingest.history_map import read_map
from ingest.history_rows import Table, grid_table
from store import connect, folders
from tests.api.serving import TownHall
from tests.conftest import START, Registered
from tests.dashboards.test_quarantine import deliver, text_of
from tests.ingest.formats import elsewhere
from tests.ingest.office import HEAD, ROWS, Office
from tests.ingest.town import query

ADDRESS = "/digital/folders"
MAPS = [
    "time: {column: 日時, zone: Asia/Tokyo}\n"
    "columns: {奥沢: {station: river-okusawa, property: water_level, scale: 0.01}}",
    "sheet: 表\nheader: [2, 3]\nfirst_line: 5\nquality: manual\n"
    'missing: {"***": failure, "-": no_record, "": out_of_service}\n'
    'time: {column: [日付, 時刻], zone: "+09:00", format: "%Y-%m-%d %H:%M:%S", shift: 90min}\n'
    "columns: {a: {station: s, property: flow, scale: 3.6, offset: -1}, b: {station: s, property: pressure}}",
    "header: 0\nquality: confirmed\ntime: {column: A, zone: Asia/Tokyo}\nlong: {station: B, property: C, value: D}\n"
    'stations: {"0123": river-okusawa}\nproperties: {水位: {property: water_level, scale: 0.01}}',
    "format: kagoshima\nseries: {水位/12: {station: river-okusawa, property: water_level, name: 屋仁橋}, "
    "水位/13: {station: s, property: water_level, scale: 0.01, offset: -3}}",
    "format: mimamori",
]
KNOWN = (
    Series("river-okusawa", "water_level", "m", ("奥沢水位観測所", "Okusawa gauge")),
    Series("block-hamamachi", "flow", "m3/h", ("浜町配水ブロック", "Hamamachi block")),
    Series("block-hamamachi", "pressure", "kPa", ("浜町配水ブロック", "Hamamachi block")),
)


@pytest.fixture
def folder(registered: Registered) -> int:
    with connect(registered.worker, name="test") as conn:
        folders.alive(conn, registered.municipality_id, START)
        return folders.add_folder(conn, registered.municipality_id, "河川課", START).folder_id


def change(registered: Registered, statement: str, *values: Any) -> None:
    with connect(registered.owner, name="test") as conn:
        conn.execute(statement.encode(), values)


@pytest.mark.parametrize("text", MAPS)
def test_what_the_form_shows_of_a_map_it_writes_again(text: str) -> None:
    layout = read_map(text)
    written, problems = yaml_of(fields_of(layout))
    assert problems == [] and read_map(written) == layout


def test_what_cannot_be_meant_is_said_in_both_languages() -> None:
    _, problems = yaml_of({"header": "二", "column.0": "奥沢", "series.0": "a/flow", "scale.0": "百分の一"})
    assert len(problems) == 3
    assert all(problem.ja and problem.en for problem in problems)
    assert "二" in problems[0].ja and "日時の列" in problems[1].ja and "百分の一" in problems[2].en


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [["水位月報"], ["日時", "奥沢水位(cm)", "備考"], ["2026/6/1 8:00", "52", "晴"]],
            ((2,), 3, ("日時",), [("奥沢水位(cm)", "water_level", 0.01)], None),
        ),
        (
            [["日付", "時刻", "浜町 流量[L/s]", "浜町 圧力（MPa）"], ["R8.6.1", "8:00", "1.5", "0.3"]],
            (
                (1,), 2, ("日付", "時刻"),
                [("浜町 流量[L/s]", "flow", 3.6), ("浜町 圧力（MPa）", "pressure", 1000.0)], None,
            ),
        ),
        ([["2026/6/1 8:00", "52"], ["2026/6/1 9:00", "53"]], ((), 1, ("A",), [], None)),
        (
            [["観測所名", "日時", "観測項目", "値"], ["奥沢", "2026/6/1 8:00", "水位", "52"]],
            ((1,), 2, ("日時",), [], ("観測所名", "観測項目", "値")),
        ),
        ([["a", "b"], ["c", "d"]], ((1,), 2, (), [], None)),
    ],
)  # fmt: skip
def test_a_first_idea_of_a_sample(rows: list[list[str]], expected: Any) -> None:
    table: Table = grid_table("sample", rows)
    idea = guess(table, KNOWN)
    meanings = [(m.column, m.observed_property, m.scale) for m in idea.columns]
    assert (idea.header, idea.first_line, idea.time, meanings, idea.long) == expected
    assert guessed(idea, "Asia/Tokyo")["zone"] == "Asia/Tokyo"


def test_missing_stale_and_unknown_are_different_states(registered: Registered, hall: TownHall, folder: int) -> None:
    def state() -> str:
        with hall.visitor(Role.DIGITAL) as client:
            text = text_of(client.get(ADDRESS).text)
        return next(
            word
            for word in ("対応表が未設定", "最初のファイル待ち", "取込停止", "開けません", "不明", "正常")
            if f"河川課 {word}" in text
        )

    assert state() == "対応表が未設定"
    with hall.visitor(Role.DIGITAL) as client:
        assert (
            client.post(f"{ADDRESS}/{folder}/map", data={"text": MAPS[0]})
            .headers["location"]
            .endswith("done=saved#state")
        )
        assert state() == "最初のファイル待ち"
        client.post(f"{ADDRESS}/{folder}/contract", data={"every": "2", "unit": "h", "stays": "yes"})
    assert query(registered.owner, "select every, stays from folder") == [(timedelta(hours=2), True)]
    assert state() == "最初のファイル待ち"
    change(registered, "update folder set every_since = every_since - interval '3 hours'")
    assert state() == "取込停止"
    change(registered, "update folder set obstacle = 'gone', obstacle_since = looked_at")
    assert state() == "開けません"
    # nobody looks: whether something has come is not known
    change(registered, "update folder_watch set seen_at = seen_at - interval '10 minutes'")
    assert state() == "不明"


def test_a_year_in_a_known_form_needs_only_to_be_told_which_series_is_which(
    registered: Registered, hall: TownHall, tmp_path: Path
) -> None:
    bad = elsewhere.kagoshima(["2024/2/1 0:10,高い,1", "2024/2/1 0:20,57,1"])
    year = elsewhere.zipped({"202401.csv": elsewhere.kagoshima(["2024/1/1 0:10,52,1"]), "202402.csv": bad})
    office = Office(registered, tmp_path / "folders")
    office.drop("suii2024.zip", year)
    office.look()
    ((folder,),) = query(registered.owner, "select folder_id from folder")
    address = f"{ADDRESS}/{folder}"
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get(address).text
        assert '<option value="kagoshima" selected>' in page and "水位/139" in page and "古仁屋橋" in page
        shown = dict(re.findall(r'name="((?:column|called)\.\d+)" value="([^"]*)"', page))
        fields = {"kind": "kagoshima", **shown, "series.0": "river-okusawa/water_level", "scale.0": ""}
        assert "not_saved" not in client.post(address, data=fields | {"action": "preview"}).headers["location"]
        preview = text_of(client.get(address).text)
        assert "奥沢水位観測所 水位 0.52 m" in preview and "202402.csv：屋仁橋：「高い」は数値ではありません" in preview
        client.post(address, data=fields | {"action": "save"})
    office.restart()
    office.look()
    assert office.files() == {"done/suii2024.zip": ("read", 2, 0, 0, 1)}
    assert office.levels() == [("01-01 00:10", 0.52, "good", None), ("02-01 00:20", 0.57, "good", None)]
    assert [line for line, *_ in office.problems()] == [4]
    with hall.visitor(Role.DIGITAL) as client:
        fields["kind"] = "usgs"
        client.post(address, data=fields | {"action": "preview"})
        assert "見本は usgs の形式ではありません" in text_of(client.get(address).text)


def test_files_are_counted_apart_from_unknown_senders(registered: Registered, hall: TownHall, tmp_path: Path) -> None:
    office = Office(registered, tmp_path / "folders")
    office.map()
    office.drop("a.csv", HEAD + ROWS[0] + "昨日,1,2\n")
    office.look()
    with hall.visitor(Role.DIGITAL) as client:
        (files,) = [row for row in client.get("/api/v1/reception").json() if row["device"] is None]
        assert files["files"] is True
        assert {name: files["day"][name] for name in ("delivered", "accepted", "stored", "rejected", "open")} == {
            "delivered": 1, "accepted": 1, "stored": 2, "rejected": 1, "open": 0,
        }  # fmt: skip
        deliver(registered, ("application/x/device/beef/event/up", b"{"))
        rows = [row for row in client.get("/api/v1/reception").json() if row["device"] is None]
        assert [(row["files"], row["day"]["delivered"], row["day"]["quarantined"]) for row in rows] == [
            (False, 1, 1), (True, 1, 0),
        ]  # fmt: skip
        page = text_of(client.get("/digital/reception").text)
    assert "監視フォルダ（ファイル） 1" in page and "送信元不明 1" in page


def test_a_folder_that_is_gone_for_good_can_be_forgotten(registered: Registered, hall: TownHall, folder: int) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        assert "still_there" in client.post(f"{ADDRESS}/{folder}/end").headers["location"]
        change(registered, "update folder set obstacle = 'gone', obstacle_since = looked_at")
        assert client.post(f"{ADDRESS}/{folder}/end").headers["location"] == ADDRESS
        assert "河川課" not in client.get(ADDRESS).text
    with connect(registered.worker, name="test") as conn:
        assert [each.ended for each in folders.folders(conn, registered.municipality_id).values()] == [True]


def test_a_station_that_only_a_file_tells_of_is_silent_when_its_contract_is_over(
    registered: Registered, hall: TownHall, folder: int
) -> None:
    code, hour = "river-okusawa", timedelta(hours=1)
    change(registered, "update attachment set attached_to = attached_from + interval '1 second'")
    hall.observe(f"{code}/water_level", (START - 5 * hour, 0.5))

    def state(now: datetime) -> State:
        with connect(registered.owner, name="test") as conn:
            conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(registered.municipality_id),))
            found = stations_now(conn, StationKind.RIVER_GAUGE, now)
        return next(each for each in found if each.code == code).readings["water_level"].state

    assert state(START + 30 * hour) is State.LATE  # nobody has said how long it may be away
    change(registered, "update folder set every = '25 h', every_since = %s", START)
    change(
        registered,
        "insert into folder_series values (%s, %s, %s, %s, %s)",
        folder,
        registered.datastream(code, "water_level"),
        registered.municipality_id,
        START - 5 * hour,
        START,
    )
    assert state(START + 25 * hour) is State.STANDBY
    assert state(START + 26 * hour) is State.SILENT


def test_a_map_is_kept_in_versions_and_a_wrong_one_is_refused_with_its_line(
    registered: Registered, hall: TownHall, folder: int
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        for text in (MAPS[0], MAPS[2]):
            client.post(f"{ADDRESS}/{folder}/map", data={"text": text})
        refused = client.post(f"{ADDRESS}/{folder}/map", data={"text": "time: 1\ncolumns: {}"})
        assert "refused=map%3A1" in refused.headers["location"]
        page = client.get(refused.headers["location"]).text
        assert "map:1: time must consist of keys" in page
        for every in ("0", "-1", "1.5", "9999"):
            answer = client.post(f"{ADDRESS}/{folder}/contract", data={"every": every, "unit": "d"})
            assert "no_number" in answer.headers["location"], every
    assert query(registered.owner, "select version, map from folder_map order by 1") == [(1, MAPS[0]), (2, MAPS[2])]
    assert query(registered.owner, "select map_version, every from folder") == [(2, None)]


def test_a_draft_is_ones_own_and_goes_with_the_saving(registered: Registered, hall: TownHall, folder: int) -> None:
    form = {"header": "1", "time": "日時", "zone": "Asia/Tokyo", "kind": "wide", "column.0": "奥沢"}
    series = {"series.0": "river-okusawa/water_level", "scale.0": "0.01", "offset.0": "0"}
    with hall.visitor(Role.DIGITAL) as client:
        client.post(
            f"{ADDRESS}/{folder}/sample", files={"file": ("見本.csv", "日時,奥沢\n2026/6/1 8:00,52\n".encode())}
        )
        answer = client.post(f"{ADDRESS}/{folder}", data=form | {"action": "save"})
        assert "not_saved" in answer.headers["location"]
        assert "一つ以上選んでください" in client.get(answer.headers["location"]).text
        page = client.get(f"{ADDRESS}/{folder}").text
        assert "保存していない下書きです" in page
        answer = client.post(f"{ADDRESS}/{folder}", data=form | series | {"action": "save"})
        assert "done=saved" in answer.headers["location"]
        assert "0.52" in text_of(client.get(f"{ADDRESS}/{folder}").text)
    assert query(registered.owner, "select count(*) from folder_draft") == [(0,)]
    ((text,),) = query(registered.owner, "select map from folder_map")
    assert read_map(text).columns["奥沢"][0] == "river-okusawa"


def test_a_sample_that_cannot_be_read_says_why_and_markup_stays_text(
    registered: Registered, hall: TownHall, folder: int
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        answer = client.post(f"{ADDRESS}/{folder}/sample", files={"file": ("a.xls", b"\xd0\xcf\x11\xe0" + b"\0" * 99)})
        assert "古い形式（.xls）" in client.get(answer.headers["location"]).text
        bad = "日時,<script>alert(1)</script>\n2026/6/1 8:00,<b>1</b>\n".encode()
        client.post(f"{ADDRESS}/{folder}/sample", files={"file": ("<i>.csv", bad)})
        html = client.get(f"{ADDRESS}/{folder}").text
    assert "<script>alert" not in html and "<b>1" not in html and "<i>.csv" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_only_the_digital_section_of_the_own_town(registered: Registered, hall: TownHall, folder: int) -> None:
    with hall.visitor(Role.DISASTER) as client:
        assert client.get(ADDRESS).status_code == 403
    with hall.visitor(Role.DIGITAL, town="other") as client:
        assert "河川課" not in client.get(ADDRESS).text
        assert client.get(f"{ADDRESS}/{folder}").status_code == 404
        for what, data in (("", {"action": "save"}), ("/map", {"text": MAPS[0]}), ("/contract", {}), ("/again", {})):
            assert client.post(f"{ADDRESS}/{folder}{what}", data=data).status_code == 404, what
    assert query(registered.owner, "select count(*) from folder_map") == [(0,)]

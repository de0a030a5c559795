"""漏水調査 as the waterworks use it: from a finding or by hand to the repair, and what the town learns from it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import httpx
import numpy as np
import psycopg
import pytest

from analytics.findings import Finding, announce, open_or_update
from analytics.leaks.detection.report import Report
from analytics.leaks.loggers import places
from analytics.leaks.loggers.stored import Watch, open_suspect, put_area, put_faults, put_judged
from api.database import enter_municipality
from api.roles import PIPE_KEEPERS, Role
from store import connect
from tests.analytics.pipe_networks import geojson
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.reading import main
from tests.photos import SECRET, picture

LEAKS = "/water/leaks"


@pytest.fixture
def water(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody of the waterworks, whose town has a network."""
    with hall.visitor(Role.WATER) as client:
        client.headers.update({"Accept": "text/html"})
        client.post("/water/pipes", files={"file": ("town.geojson", geojson())})
        client.post("/water/pipes/1", data={"do": "take"})
        yield client


def read(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return main(page)


def step(client: httpx.Client, do: str, seen: int, **said: str) -> httpx.Response:
    return client.post(f"{LEAKS}/1", data={"do": do, "seen": str(seen), **said})


def test_of_what_came_at_once_the_board_has_the_time(hall: TownHall, water: httpx.Client) -> None:
    series = hall.database.datastream("block-hamamachi", "flow")
    burst = Finding(
        hall.database.municipality_id, hall.database.directory.datastreams[series].station_id, series, "burst",
        START - timedelta(minutes=25), 42.0, 25.0, 2.1, "burst:1",
        {"witness": "pressure", "fall": 31.0, "month_m3": 12240},
    )  # fmt: skip
    with connect(hall.database.worker, name="test") as conn:
        announce(conn, open_or_update(conn, burst))
    assert "08:35 から。" in read(water.get(LEAKS))


def test_a_finding_becomes_a_case_a_walk_a_find_and_a_figure(hall: TownHall, water: httpx.Client) -> None:
    series = hall.database.datastream("block-hamamachi", "flow")
    station_id = hall.database.directory.datastreams[series].station_id
    detail = {"limit": 2.5, "usual_nights": 14, "nights": 2, "month_m3": 2160}
    night = Finding(
        hall.database.municipality_id, station_id, series, "night_flow", START - timedelta(days=4), 5.0, 2.0, 2.0,
        "night_flow:1", detail,
    )  # fmt: skip
    with connect(hall.database.worker, name="test") as conn:
        announce(conn, open_or_update(conn, night))
    page = water.get(LEAKS).text
    assert "2026-05-28 から。" in page
    waiting = re.search(r'name="finding" value="(\d+)"', page)
    assert waiting is not None and LEAKS in water.get("/water").text
    opened = {"finding": waiting[1], "name": "浜町の夜間", "pipe": "枝2", "metres": "200"}
    answer = water.post(LEAKS, data={**opened, "pipe": "枝9"})
    assert answer.status_code == 400 and "いまの管路データにない" in main(answer) and "枝9" in answer.text
    assert water.post(LEAKS, data=opened).headers["location"] == f"{LEAKS}/1?done=opened"
    assert "この候補の案件はもうあります" in main(water.post(LEAKS, data=opened))
    board = read(water.get(LEAKS))
    assert "いまはありません" in board and "浜町の夜間" in board and "約 3.0 m³/h" in board

    page = read(water.get(f"{LEAKS}/1"))
    assert "0.3 km（管路 2本）" in page and "まず 枝2 から" in page and "+160 m" in page
    assert "1 m³ の金額はまだ登録されていません" in page and "5.0 m³/h。直近14夜の中央値は 2.0" in page
    assert water.post(f"{LEAKS}/results", data={"yen": "0"}).status_code == 400
    water.post(f"{LEAKS}/results", data={"yen": "２００"})
    assert "円）" in read(water.get(f"{LEAKS}/1"))

    assert step(water, "planned", 0, day="2026-07-01").status_code == 303
    with hall.visitor(Role.DIGITAL) as other:
        other.headers.update({"Accept": "text/html"})
        late = step(other, "nothing", 0, km="2")
    assert late.status_code == 400 and "ほかの人が先に記録しました" in main(late)
    assert step(water, "nothing", 1, km="2").status_code == 303
    assert step(water, "undone", 2, text="別の案件だった").status_code == 303
    assert step(water, "repaired", 3).status_code == 400, "nothing was found yet"
    unsaid = step(water, "found", 3, pipe="本管2")
    assert unsaid.status_code == 400 and 'value="本管2"' in unsaid.text, "a cause is said, not taken from a list's top"
    assert step(water, "found", 3, what="joint", pipe="本管2", km="1.5", size="4").status_code == 303
    assert "見つかった・修理待ち" in read(water.get(LEAKS))
    assert step(water, "repaired", 4, text="継手交換").status_code == 303
    page = read(water.get(f"{LEAKS}/1"))
    assert "修理までの損失" in page and "取り消し済み" in page and "継手の抜け" in page
    assert "water of the own town" in page
    with connect(hall.database.worker, name="test") as conn:
        announce(conn, open_or_update(conn, replace(night, detail={"growing": True, "month_m3": 2160})))
    for address in (f"{LEAKS}/1", "/water"):
        assert "2026-05-28 ごろから少しずつ増えています" in read(water.get(address))
    figures = read(water.get(f"{LEAKS}/results"))
    assert "100 %（漏水 1件・漏水なし 0件）" in figures and "1.5 km" in figures and "160 m（1件）" in figures
    (year,) = csv.DictReader(io.StringIO(water.get(f"{LEAKS}/results.csv").text.removeprefix("\ufeff")))
    lost = float(year["損失（推定、m³）"])
    assert (year["年度"], year["漏水"], year["漏水なし"]) == ("2026", "1", "0") and 380 < lost < 390, "four days of 4"
    assert float(year["損失（推定、円）"]) == pytest.approx(lost * 200, abs=100) and "円）" in figures
    rows = list(csv.DictReader(io.StringIO(water.get(f"{LEAKS}/cases.csv").text.removeprefix("\ufeff"))))
    assert [(row["番号"], row["状態"], row["管路番号"]) for row in rows] == [("1", "修理済み", "本管2")]


def test_a_case_by_hand_says_what_is_not_known_and_one_that_was_none_stays(hall: TownHall, water: httpx.Client) -> None:
    assert water.post(LEAKS, data={"name": "  "}).status_code == 400
    assert water.post(LEAKS, data={"name": "役場前", "size": "-1"}).status_code == 400
    assert water.post(LEAKS, data={"name": "役場前", "reason": "道路がぬれている"}).status_code == 303
    page = read(water.get(f"{LEAKS}/1"))
    assert "不明" in page and "道路がぬれている" in page and "回る順番" not in page
    assert step(water, "nothing", 0, km="0.4").status_code == 303
    assert step(water, "ended", 1, what="not_found").status_code == 303
    assert "探したが見つからなかった" in read(water.get(LEAKS))
    assert "0 %（漏水 0件・漏水なし 1件）" in read(water.get(f"{LEAKS}/results"))
    with hall.visitor(Role.WATER, town="other") as other:
        assert other.get(f"{LEAKS}/1").status_code == 404
    with hall.visitor(Role.DISASTER) as client:
        assert client.get(LEAKS).status_code == 403
    with connect(hall.config.dsn, name="test") as conn:
        enter_municipality(conn, hall.database.municipality_id)
        for table in ("leak_case", "leak_case_step"):
            for act in (f"delete from {table}", f"update {table} set municipality_id = municipality_id"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(act)  # type: ignore[arg-type]


def test_a_step_test_is_typed_moves_the_area_and_can_be_taken_back(hall: TownHall, water: httpx.Client) -> None:
    """A street of four pipes and a way round it: the ring is opened at 弁3, then 弁R and 弁1 are closed."""
    lines = {
        **{f"街{n}": (((300.0 * n, 0.0), (300.0 * n + 300, 0.0)), {"ブロック": "中央"}) for n in range(4)},
        "裏1": (((0.0, 0.0), (600.0, 400.0)), {"ブロック": "中央"}),
        "裏2": (((600.0, 400.0), (1200.0, 0.0)), {"ブロック": "中央"}),
        "幹線": (((-500.0, 0.0), (0.0, 0.0)), {"ブロック": "西"}),
    }
    points = {f"弁{n}": ((300.0 * n + 150, 0.0), "仕切弁") for n in (1, 2, 3)} | {"弁R": ((900.0, 200.0), "仕切弁")}
    water.post("/water/pipes", files={"file": ("town.geojson", geojson(lines, points))})
    water.post("/water/pipes/2", data={"do": "take"})
    water.post(LEAKS, data={"name": "中央", "block": "中央"})
    form = f"{LEAKS}/1/step-test"
    assert "管路のブロックが選ばれていません" in read(water.get(form))
    assert water.post(form, data={"before": "4"}).status_code == 400
    water.post("/water/blocks/block-hamamachi/pipes", data={"pipes": "中央"})
    water.post(LEAKS, data={"name": "街0", "pipe": "街0", "metres": "0"})
    page = water.get(form)
    assert "2 「弁1」を閉めたあと 0.60 km を止める、管路 街1" in read(page) and "先に閉める弁（1個、輪を開く）" in main(
        page
    )
    assert "Valves to be closed first (1, they open rings)" in read(water.get(f"{form}?lang=en"))
    water.get(f"{form}?lang=ja")
    typed = dict(re.findall(r'name="(\w+_valve_\d)" value="([^"]+)"', page.text)) | {
        "day": "2026-05-31", "rings": "shut", "before": "4.5", "after_1": "４.２", "after_2": "0.75",
        "text": "濁りなし",
    }  # fmt: skip
    refusals = {
        "必要な欄が空": ({"rings": ""}, {"before": " "}, {"after_1": "", "after_2": ""}),
        "読み取れないか": ({"after_2": "少し"}, {"before": "-1"}, {"after_1": "99999"}),
        "日付か時刻として": ({"day": "夜"},),
        "これからの日時": ({"day": "2030-01-01"},),
        "長すぎます": ({"text": "あ" * 301},),
        "開いたままの弁を下から": ({"rings": "open"},),
        "両方が選ばれています": ({"open_1": "1"},),
        "計画が変わりました": ({"after_valve_2": "弁9"},),
    }
    for words, several in refusals.items():
        for said in several:
            refused = water.post(form, data=typed | said)
            assert refused.status_code == 400 and words in main(refused), said
            assert 'value="４.２"' in refused.text or "after_1" in said, "what was typed stays"
    assert "弁9: 0.75" in main(water.post(form, data=typed | {"after_valve_2": "弁9"}))
    assert water.post(form, data=typed).headers["location"] == f"{LEAKS}/1?done=stepped#evidence"
    assert "もう残っています" in main(water.post(form, data=typed))
    page = water.get(f"{LEAKS}/1")
    told = (
        "弁 2個を順に閉め、流入量は 4.5 から 0.8 m³/h になった。 「弁1」で止めた区間（0.60 km）に漏水がある見込み 99 %"
    )
    assert (
        told in read(page)
        and "量は約 3.1 m³/h（8割の確からしさで 2.6〜3.6）" in main(page)
        and "pipe-section" in page.text
    )
    assert "0.9 km（管路 3本） まず 街2 から" in main(page) and "2.6 km（管路 6本）" in main(page), "both together"
    english = main(water.get(f"{LEAKS}/1?lang=en"))
    assert "99 % that it leaks in what valve 弁1 shut off (0.60 km)" in english and "Closed first: 弁3" in english
    copy = water.get(f"{LEAKS}/1?copy=1&lang=ja")
    assert told in main(copy) and "step-test" not in copy.text

    # The second case is searched where the test says that it does not leak.
    assert water.post(f"{LEAKS}/2/step-test", data=typed | {"after_1": ""}).status_code == 303
    assert "ほかの根拠と合いません" in read(water.get(f"{LEAKS}/2"))
    silent = (
        {"rings": "open", "open_1": "1", "after_2": ""},
        {"after_1": "6"},
        {"before": "2.6", "after_1": "2.1", "after_2": "1.5"},
    )
    for said in silent:
        assert water.post(f"{LEAKS}/2/step-test", data=typed | said).status_code == 303
    second = read(water.get(f"{LEAKS}/2"))
    assert all(words in second for words in ("輪が開いていない", "途中で流入量が増えた", "使用の分だけで説明でき"))

    back = f"{LEAKS}/1/step-tests/1"
    assert water.post(f"{LEAKS}/2/step-tests/1", data={"text": "別の案件"}).status_code == 400
    assert [water.post(back, data={"text": text}).status_code for text in (" ", "別の夜", "もう一度")] == [
        400,
        303,
        400,
    ]
    said = read(water.get(f"{LEAKS}/1"))
    assert "取り消し済み" in said and "別の夜" in said and "2.6 km（管路 6本）" in said and "99 %" not in said
    with hall.visitor(Role.WATER, town="other") as other:
        assert other.get(form).status_code == other.post(form, data=typed).status_code == 404
        assert other.post(back, data={"text": "よその町"}).status_code == 404
    with connect(hall.config.dsn, name="test") as conn:
        enter_municipality(conn, hall.database.municipality_id)
        for act in ("delete from leak_step_test", "update leak_step_test set before_m3h = 1"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(act)  # type: ignore[arg-type]
    water.post(f"{LEAKS}/1", data={"do": "ended", "seen": "0", "what": "explained"})
    assert "この案件は終わっている" in read(water.get(form)) and water.post(form, data=typed).status_code == 400


def test_a_photo_belongs_to_its_step_and_to_the_waterworks(hall: TownHall, water: httpx.Client) -> None:
    water.post(LEAKS, data={"name": "役場前"})
    note = {"do": "note", "seen": "0", "text": "掘った"}
    files = [("photos", ("a.jpg", picture())), ("photos", ("b.jpg", picture())), ("photos", ("c.heic", b"none"))]
    answer = water.post(f"{LEAKS}/1", data=note, files=files)
    assert answer.headers["location"] == f"{LEAKS}/1?done=step_note&unread=kind"
    assert "読めない写真は入っていません" in read(water.get(answer.headers["location"]))
    address = f"{LEAKS}/1/photos/1"
    assert water.get(f"{LEAKS}/1").text.count(f'src="{address}/small"') == 1, "twice the same picture is one"
    sent = water.get(address)
    assert sent.headers["content-type"] == "image/jpeg" and SECRET not in sent.content
    assert "no-store" in sent.headers["cache-control"] or "private" in sent.headers["cache-control"]
    for role in Role:
        with hall.visitor(role) as client:
            assert client.get(address).status_code == (200 if role in PIPE_KEEPERS else 403), role
            # Not by the way of the photos that every desk sees, and that the disaster desk may release.
            assert client.get("/disaster/photos/1").status_code == 404
    with hall.visitor(Role.WATER, town="other") as other:
        assert other.get(address).status_code == 404
    with connect(hall.config.dsn, name="test") as conn:
        enter_municipality(conn, hall.database.municipality_id)
        for act in ("delete from leak_photo", "update leak_photo set number = 1"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(act)  # type: ignore[arg-type]
    many = [("photos", (f"{n}.jpg", b"x")) for n in range(5)]
    assert "写真が多すぎます" in main(water.post(f"{LEAKS}/1", data={**note, "seen": "1"}, files=many))
    assert water.post(address).headers["location"] == f"{LEAKS}/1?done=photo_gone"
    assert water.get(address).status_code == 404 and water.post(address).status_code == 404
    assert "に消しました" in read(water.get(f"{LEAKS}/1"))


def test_a_step_from_the_street_comes_later_and_once_and_not_over_what_others_entered(
    hall: TownHall, water: httpx.Client
) -> None:
    water.post(LEAKS, data={"name": "枝2 のあたり", "pipe": "枝2", "metres": "200"})
    water.post(f"{LEAKS}/1", data={"do": "note", "seen": "0", "text": "音がする"}, files={"photos": ("a", picture())})
    copy = water.get(f"{LEAKS}/1?copy=1").text
    assert all(each in copy for each in ("まず 枝2 から", "<svg", "+160 m", "音がする", "写真 1枚", "data-author"))
    assert set(re.findall(r'data-step="(\w+)"', copy)) == {"found", "nothing", "note"}
    assert not any(each in copy for each in ("csrf", 'name="key"', "/photos/", "sign-out", "/water/blocks"))
    live = water.get(f"{LEAKS}/1").text
    assert "data-copy" not in live and len(set(re.findall(r'name="key" value="(.{36})"', live))) == 5

    def send(client: httpx.Client, do: str, seen: int, **said: str) -> httpx.Response:
        form = {"do": do, "seen": str(seen), "key": str(uuid4()), "waited": "7200", "since": "7200", **said}
        photos = {"photos": ("b.jpg", picture(64, 48))}
        return client.post(f"{LEAKS}/1", data=form, files=photos, headers={"Accept": "application/json"})

    key = str(uuid4())
    found = {"what": "joint", "pipe": "枝2", "km": "1.5", "key": key}
    assert send(water, "found", 1, **{**found, "pipe": "枝9"}).json()["field"] == "pipe"
    assert send(water, "found", 1, **found).json() == {"report": 2, "again": False, "unread": []}
    assert send(water, "found", 1, **found).json() == {"report": 2, "again": True, "unread": []}
    # The second of one's own, written under the same sky; nobody has undone what they have not seen.
    assert send(water, "note", 1, text="掘る").json() == {"report": 3, "again": False, "unread": []}
    assert send(water, "undone", 1, text="まちがい").json()["code"] == "changed"
    with hall.visitor(Role.DIGITAL) as other:
        late = send(other, "note", 1, text="別の人")
        assert late.status_code == 400 and late.json()["code"] == "changed"
        assert "ほかの人が先に記録しました" in late.json()["detail"]
        assert send(other, "note", 3, text="別の人").json()["report"] == 4
    with connect(hall.database.owner, name="test") as conn:
        rows = conn.execute(
            "select number, entered_at - at, (select count(*) from leak_photo p where p.number = s.number) "
            "from leak_case_step s order by number"
        ).fetchall()
    two = timedelta(hours=2)
    assert rows == [(1, timedelta(0), 1), (2, two, 1), (3, two, 1), (4, two, 1)]


def test_a_suspect_of_the_loggers_brings_its_area_into_the_case(hall: TownHall, water: httpx.Client) -> None:
    assert "圧力や流量の局の位置は、まだ登録されていません" in read(water.get("/water/loggers"))
    wrong = water.post("/water/loggers", data={"at-block-hamamachi": "本管9", "at-tank-takadai": "枝2"})
    assert wrong.status_code == 400 and "管路・弁・ポンプ・メーターはありません" in wrong.text and "本管9" in wrong.text
    town, series = hall.database.municipality_id, hall.database.datastream("block-hamamachi", "flow")
    station_id = hall.database.directory.datastreams[series].station_id
    with connect(hall.database.worker, name="test", autocommit=True) as conn:
        assert not [each.element for each in places.stations(conn, town) if each.element], "all or nothing"
        assert water.post("/water/loggers", data={"at-block-hamamachi": "枝2"}).status_code == 303
        assert [each.element for each in places.stations(conn, town) if each.element] == ["枝2"]
        report = Report(
            21 * 86400.0, 2, np.array([2, 3]), np.array([0.6, 0.25]), 0.52, 4.2, (10 * 86400.0, 12 * 86400.0), 12.0,
            0.8, 0, ("pressures",),
        )  # fmt: skip
        with conn.transaction():
            changes = open_suspect(
                conn, town, 1, report, start=START - timedelta(days=21), day=START.date(), stations=[station_id],
                series=series, by_model=False,
            )  # fmt: skip
            announce(conn, changes)
    assert "水の向き：" in read(water.get("/water/loggers"))
    assert "約 4.2 m³/h" in read(water.get("/water")) and "管路 0.5 km（この方法の見立てで 85 % がこの中）" in read(
        water.get("/water")
    )
    with hall.visitor(Role.TOURISM) as other:
        other.headers["Accept"] = "text/html"
        assert other.get("/water/loggers").status_code == 403 and "本管2" not in other.get("/water").text
    board = read(water.get(LEAKS))
    assert "まず 本管2 から" in board
    opened = {"finding": str(changes[0][1]), "name": "本管2 のあたり"}
    assert water.post(LEAKS, data=opened).headers["location"] == f"{LEAKS}/1?done=opened"
    page = read(water.get(f"{LEAKS}/1"))
    assert "まず 本管2 から" in page and "管路 2本" in page and "本管2: 60 %" in page and "急に変わり" in page


def test_a_noise_that_stays_brings_its_pipes_and_no_size_and_who_hears_nothing_is_named(
    hall: TownHall, water: httpx.Client
) -> None:
    town, today = hall.database.municipality_id, START.date()
    flow = hall.database.datastream("block-hamamachi", "flow")
    with connect(hall.database.owner, name="test") as conn:
        series = {}
        for code in ("loud", "mute"):
            station, series[code] = conn.execute(
                """
                with placed as (
                    insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
                    values (%(town)s, %(code)s, 'leak_logger', %(code)s, %(code)s, 35, 135) returning station_id
                )
                insert into datastream (municipality_id, station_id, observed_property, unit, step, statistic)
                select %(town)s, station_id, 'leak_sound', 'dB', '1 day', 'instant' from placed
                returning station_id, datastream_id
                """,
                {"town": town, "code": code},
            ).fetchone()
            if code == "loud":
                loud = station
        for n in range(14):
            conn.execute(
                "insert into night_sound values (%s, %s, %s, %s, 1)",
                (town, series["loud"], today - timedelta(days=14 - n), 38.0 if n < 10 else 52.0),
            )
    unplaced = Finding(
        town, loud, series["loud"], "leak_sound", START - timedelta(days=4), 52.0, 38.0, 4.7, "leak_sound:1",
        {"limit": 41.0, "usual_nights": 10, "nights": 4, "newest": str(today), "stations": [loud], "used": 1,
         "silent": 0, "pressures": False, "km": None, "holds": None},
    )  # fmt: skip
    with connect(hall.database.worker, name="test") as conn:
        put_judged(conn, town, Watch(today - timedelta(days=1), START, 1, 30, 4, False, None))
        put_faults(conn, town, {hall.database.directory.datastreams[flow].station_id: today})
    assert water.post("/water/loggers", data={"at-block-hamamachi": "枝2", "at-loud": "枝2"}).status_code == 303
    page = read(water.get("/water/loggers"))
    assert "30日分を、圧力ロガー 4台で調べました" in page and f"{today} まで使いません" in page
    assert "ふだんより大きい音が" in page and "4夜続いています" in page and "この場所の音は分かりません" in page
    with connect(hall.database.worker, name="test") as conn:
        announce(conn, open_or_update(conn, unplaced))
    assert "管路のどこかは分かりません" in read(water.get("/water")) and "不明（音の大きさから" in read(
        water.get("/water")
    )
    detail = {**unplaced.detail, "used": 3, "silent": 1, "pressures": True, "km": 0.3, "holds": 0.84}
    with connect(hall.database.worker, name="test") as conn:
        changes = open_or_update(conn, replace(unplaced, detail=detail))
        put_area(conn, town, changes[0][1], 1, today, 2, np.array([2, 3]), np.array([0.6, 0.24]))
        announce(conn, changes)
    board = read(water.get(LEAKS))
    assert (
        "3台で比べました（うち大きい音 1台）" in board
        and "ほかの 1台は値が届かず" in board
        and "まず 本管2 から" in board
    )
    opened = {"finding": str(changes[0][1]), "name": "音のあたり"}
    assert water.post(LEAKS, data=opened).headers["location"] == f"{LEAKS}/1?done=opened"
    page = read(water.get(f"{LEAKS}/1"))
    assert "管路 2本" in page and "夜に続く音が 52 dB" in page and "52 m³/h" not in page

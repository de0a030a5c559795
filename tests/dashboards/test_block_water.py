"""配水ブロックの水量: a table of totals becomes 有収率, nothing is taken of a wrong one, nobody else sees it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from analytics.findings import announce
from analytics.leaks.blocks import rises_stored
from analytics.leaks.blocks.inlets import Inlet
from analytics.leaks.blocks.rises import tell
from analytics.leaks.meters import intake
from analytics.maintenance import let_go
from api.roles import Role
from store import Connection, connect
from store.retention import Retention
from tests.analytics.pipe_networks import geojson
from tests.api.serving import TownHall
from tests.conftest import START, Registered
from tests.dashboards.reading import main

BLOCKS = "/water/blocks"
HERE = f"{BLOCKS}/block-hamamachi"
HTML = {"Accept": "text/html"}
HEAD = "ブロック,前回検針日,今回検針日,有収水量,有効無収水量\n"
TODAY = START.date()  # the first of June, in the town too


@pytest.fixture
def water(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody of the waterworks."""
    with hall.visitor(Role.WATER) as client:
        client.headers.update(HTML)
        yield client


def send(client: httpx.Client, rows: str, head: str = HEAD) -> httpx.Response:
    return client.post(BLOCKS, files={"file": ("検針.csv", (head + rows).encode("cp932"))})


def read(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return main(page)


def measured(registered: Registered) -> None:
    """10 m3/h since the first of April, and nights of 5 m3/h; on half of the days half of the readings are missing."""
    flow = registered.datastream("block-hamamachi", "flow")
    with connect(registered.owner, name="test") as conn:
        for n in range((TODAY - date(2026, 4, 1)).days):
            day = date(2026, 4, 1) + timedelta(days=n)
            conn.execute(
                "insert into rollup_day (municipality_id, datastream_id, day, n, expected, mean, worst_quality) "
                "values (%s, %s, %s, %s, 144, 10, 'good')",
                (registered.municipality_id, flow, day, 60 if n % 30 == 29 else 140),
            )
            conn.execute(
                "insert into night_flow (municipality_id, datastream_id, day, minimum, minimum_from, completeness) "
                "values (%s, %s, %s, 5, %s, 1)",
                (registered.municipality_id, flow, day, START - timedelta(days=(TODAY - day).days, hours=7)),
            )


def meter(conn: Connection, town: int, code: str) -> tuple[int, int]:
    """One more inlet; the series of its flow, and its station."""
    return conn.execute(
        """
        with made as (insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
                      values (%s, %s, 'block_inlet', '浜町南', 'Hamamachi South', 35, 135)
                      returning station_id, municipality_id)
        insert into datastream (municipality_id, station_id, observed_property, unit, step, statistic)
        select municipality_id, station_id, 'flow', 'm3/h', '10 minutes', 'instant' from made
        returning datastream_id, station_id
        """,
        (town, code),
    ).fetchone()


def test_a_table_of_totals_becomes_a_balance(hall: TownHall, water: httpx.Client, registered: Registered) -> None:
    measured(registered)
    assert "未検針" in read(water.get(HERE))
    rows = "block-hamamachi,2026-03-02,2026-05-01,12000,300\n"
    assert send(water, rows).headers["location"] == f"{BLOCKS}?done=taken&n=1&corrected=0&gone=0"
    page = read(water.get(HERE))
    # of 30 days in April 29 came in: 6,960 m3, against 200 m3 a day that were billed
    assert "6,960 29日分" in page and "83.3 %" in page and "85.4 %" in page and "1,160" in page
    table = list(csv.reader(io.StringIO(water.get(f"{BLOCKS}.csv?year=2026").text.removeprefix("\ufeff"))))
    april, may, year = table[1:]
    assert april[2:] == [
        "2026-04-01", "2026-04-30", "6960.0", "29", "6000.0", "30", "29", "1160.0", "0.8333", "0.8542",
        "0", "",
    ]  # fmt: skip
    assert may[2:4] == ["2026-05-01", "2026-05-31"] and may[6:] == ["", "0", "0", "", "", "", "0", ""]
    assert year[2:4] == ["2026-04-01", "2026-05-31"] and year[-4] == "0.8333"
    assert send(water, rows).headers["location"] == f"{BLOCKS}?done=same"
    send(water, "block-hamamachi,2026-03-02,2026-05-01,9000,\n")
    assert "62.5 %" in read(water.get(HERE))
    with connect(registered.owner, name="test") as conn:
        kept = conn.execute("select billed_m3, replaced_at is null from metered_water order by 1").fetchall()
    assert kept == [(9000.0, True), (12000.0, False)], "what was put right is kept"
    assert "gone=1" in send(water, "block-hamamachi,2026-03-02,2026-05-01,,\n").headers["location"]
    assert "62.5 %" not in read(water.get(HERE))


def test_of_a_wrong_table_nothing_is_taken(water: httpx.Client) -> None:
    good = "block-hamamachi,2026-03-02,2026-05-01,12000,\n"
    answer = send(water, good + "山の手,2026-03-02,2026-05-01,12000,\n")
    assert answer.status_code == 400 and "A3：「山の手」という配水ブロックはありません" in main(answer)
    answer = send(water, "", head="ブロック,氏名\n")
    assert answer.status_code == 400 and "「氏名」という列は取り込めません" in main(answer)
    assert water.post(BLOCKS).status_code == 400
    assert send(water, good).status_code == 303, "it is new: nothing of it had been taken"


def test_a_block_of_several_meters_has_one_balance_and_one_night_at_each_of_its_inlets(
    water: httpx.Client, registered: Registered
) -> None:
    measured(registered)
    town, first = registered.municipality_id, registered.datastream("block-hamamachi", "flow")
    with connect(registered.owner, name="test") as conn:
        (second, _), (out, _) = (meter(conn, town, code) for code in ("block-minami", "block-yama"))
        for series, share in ((second, 0.4), (out, 0.2)):
            conn.execute(
                "insert into rollup_day select municipality_id, %s, day, n, expected, null, null, mean * %s, "
                "null, worst_quality from rollup_day where datastream_id = %s and day <> '2026-04-10'",
                (series, share, first),
            )
            conn.execute(
                "insert into night_flow select municipality_id, %s, day, minimum * %s, minimum_from, 1 from night_flow "
                "where datastream_id = %s and day < '2026-05-31'",
                (series, share, first),
            )
        conn.execute(
            "insert into inflow_watch (datastream_id, municipality_id, day, worked_at, lets_in) "
            "values (%s, %s, %s, now(), %s)",
            (first, town, TODAY, [second]),
        )
    send(water, "block-minami,2026-03-02,2026-05-01,12000,300\n")
    water.post(f"{BLOCKS}/block-minami", data={"connections": "1000", "litres": "2"})
    for code in ("block-hamamachi", "block-minami"):
        page = read(water.get(f"{BLOCKS}/{code}"))
        # Of 28 days 14 m3/h, with nights of 7 of which 2 are used; the newest night is not known of both.
        assert "9,408 28日分" in page and "7.0 m³/h" in page and "5.0 m³/h" in page and "2.0 m³/h" in page
    table = list(csv.reader(io.StringIO(water.get(f"{BLOCKS}.csv?year=2026").text.removeprefix("\ufeff"))))
    assert {line[0] for line in table[1:]} == {"block-hamamachi", "block-yama"}, "a block is there once"
    # A neighbour is fed through it: that is no use of this block. What left it at night nobody has looked for.
    with connect(registered.owner, name="test") as conn:
        conn.execute("update inflow_watch set lets_out = %s", ([out],))
    page = read(water.get(HERE))
    assert "8,064 28日分" in page and "この流入だけのものです" in page


def test_what_is_used_at_night_is_the_towns_to_say(water: httpx.Client, registered: Registered) -> None:
    measured(registered)
    page = read(water.get(BLOCKS))
    assert "5.0 m³/h" in page and "給水戸数を入れてください" in page
    said = {"connections": "１，０００", "litres": "2", "known": "0.5", "note": "製氷所"}
    assert water.post(HERE, data=said).headers["location"] == f"{HERE}?done=use"
    page = read(water.get(HERE))
    assert (
        "2.5 m³/h" in page and "m³/h/km" in page and "はっきりした変化なし" in page and "water of the own town" in page
    )
    assert 'value="製氷所"' in water.get(HERE).text
    # The inlet fills a tank of which nothing is known: then nothing is known of the nights either.
    water.post(HERE, data={**said, "fills": "tank-takadai"})
    assert "測定できた夜が足りません（0夜）" in read(water.get(HERE))
    tank = registered.datastream("tank-takadai", "tank_level")
    with connect(registered.owner, name="test") as conn:
        for n in range(1, 15):
            begins = START - timedelta(days=n, hours=7)
            conn.cursor().executemany(
                "insert into observation (datastream_id, phenomenon_time, value, quality) values (%s, %s, %s, 'good')",
                [(tank, begins + timedelta(minutes=10 * m), 2 + m / 6 / 90) for m in range(7)],  # 1 m3/h into 90 m2
            )
    assert "1.5 m³/h" in read(water.get(HERE))
    for typed in ({"connections": "多い"}, {"known": "-1"}, {"fills": "block-hamamachi"}):
        assert water.post(HERE, data=typed).status_code == 400
    assert water.get(f"{BLOCKS}/river-okusawa").status_code == 404


def test_where_most_connections_have_a_smart_meter_use_and_balance_are_measured(
    water: httpx.Client, registered: Registered
) -> None:
    measured(registered)
    water.post(HERE, data={"connections": "16", "litres": "2", "known": "0.5"})
    assert "仮定：給水戸数 × 2 L/時" in read(water.get(HERE))

    def bring(meters: range, each: int, block: str = "BLOCK-Hamamachi") -> None:
        hours = [START - timedelta(hours=n) for n in range(20 * 24, 0, -1)]
        lines = [f"{n},{at:%Y-%m-%dT%H:%M}Z,{each},{block}" for n in meters for at in hours]
        data = "\n".join(["メーター番号,日時,使用量(L),ブロック", *lines]).encode()
        found = intake.understood(data, zone=ZoneInfo("Asia/Tokyo"), now=START)
        with connect(registered.owner, name="test") as conn:
            town = registered.municipality_id, "999999"
            intake.take_in(conn, town, "k" * 32, found, "検針.csv", now=START, user_id=None)

    bring(range(9), 50)
    page = read(water.get(HERE))
    assert "仮定" in page and "スマートメーターは接続の" not in page, "of nine meters no sum is made"
    bring(range(9, 12), 50)
    page = read(water.get(HERE))
    # 12 of 16 connections draw 50 L/h each: all of them 0.8 m3/h, beside the known customers
    assert "1.3 m³/h" in page and "接続の 75 % を読みました" in page and "仮定" not in page
    # Who of the known customers has a meter is in the sum already, and only the town can say who has.
    asked = "二重に数えていて"
    assert asked in page
    said = {"connections": "16", "litres": "2", "known": "0.5"}
    assert water.post(HERE, data=said | {"known_metered": "0.6"}).status_code == 400
    for metered, used in (("0.4", "0.9 m³/h"), ("0", "1.3 m³/h")):
        water.post(HERE, data=said | {"known_metered": metered})
        page = read(water.get(HERE))
        assert used in page and asked not in page
    assert "接続の 75 % を読みました" in read(water.get(BLOCKS))
    table = list(csv.reader(io.StringIO(water.get(f"{BLOCKS}.csv?year=2026").text.removeprefix("\ufeff"))))
    _, may, year = table[1:]
    days = int(may[-2])
    assert days == 19 and may[7] == "19" and float(may[6]) == pytest.approx(days * 24 * 0.8, abs=0.1)
    assert may[-1] == "0.7500" and year[-2:] == may[-2:]
    assert f"うち{days}日はスマートメーター（接続の 75 %）" in read(water.get(HERE))
    water.post(HERE, data={"connections": "25", "litres": "2"})
    page = read(water.get(HERE))
    assert "仮定" in page and "スマートメーターは接続の 48 %" in page and "未検針" in page
    # A meter that is in another block from now on is not in this one's sums of these hours any more.
    water.post(HERE, data={"connections": "16"})
    bring(range(3), 50, "山手")
    assert "仮定" in read(water.get(HERE))
    with connect(registered.worker, name="test") as conn:
        let_go(conn, Retention(), START + timedelta(days=400))
    with connect(registered.owner, name="test") as conn:
        assert conn.execute("select count(*) from smart_block_day").fetchone() == (0,)


def test_pipes_are_chosen_once_and_then_the_block_has_a_length_a_case_and_a_plan(
    hall: TownHall, water: httpx.Client, registered: Registered
) -> None:
    measured(registered)
    water.post(HERE, data={"connections": "1000", "litres": "2"})
    assert "まだありません" in read(water.get(HERE)) and "選ばれていない" in read(water.get(f"{HERE}/plan"))
    shut = {"弁A": ((300.0, 100.0), "仕切弁"), "弁B": ((200.0, 0.0), "仕切弁"), "栓A": ((400.0, 200.0), "消火栓")}
    water.post("/water/pipes", files={"file": ("town.geojson", geojson(points=shut))})
    water.post("/water/pipes/1", data={"do": "take"})
    assert water.post(f"{HERE}/pipes", data={"pipes": "西"}).status_code == 400
    assert water.post(f"{HERE}/pipes", data={"pipes": "中央"}).status_code == 303
    page = read(water.get(HERE))
    assert "中央：0.9 km" in page and "3.33 m³/h/km" in page, "3 m3/h on 900 m, not on what the town's file says"
    assert "pipe-excess-3" in water.get(BLOCKS).text
    town = water.get("/water")
    assert 'map-excess-3" data-layer="block" data-inlet="block-hamamachi"' in town.text and "3.33 m³/h/km" in main(town)
    with hall.visitor(Role.DISASTER) as other:
        theirs = other.get("/water", headers=HTML)
    assert "map-block" in theirs.text and "map-excess" not in theirs.text and "m³/h/km" not in theirs.text
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into station (municipality_id, code, name, name_en, kind, latitude, longitude)
            select municipality_id, 'block-other', '東', 'East', kind, latitude, longitude
            from station where code = 'block-hamamachi'
            """
        )
    taken = water.post(f"{BLOCKS}/block-other/pipes", data={"pipes": "中央"})
    assert taken.status_code == 409 and "ほかの流入地点のもの" in taken.text and "ロガーの位置" in taken.text
    plan = read(water.get(f"{HERE}/plan"))
    assert "先に閉める弁（1個） 輪" in plan.replace("管路が", "") and "弁B" in plan, "a ring is opened at its far end"
    assert "1 弁A 管路 本管2 0.20 km 0.70 km 約 778戸" in plan, "half of each of the two pipes"
    assert "管路の端" in plan and "栓A" not in plan, "the hydrant is in another block"

    said = dict(re.findall(r'name="(block|name|size|reason|started)" value="([^"]*)"', water.get(HERE).text))
    assert said["block"] == "中央" and said["size"] == "3.0"
    assert water.post("/water/leaks", data=said).headers["location"].startswith("/water/leaks/1")
    case = read(water.get("/water/leaks/1"))
    assert "0.9 km" in case and "配水ブロックのいま" in case and "3.33 m³/h/km" in case
    water.post("/water/leaks/1", data={"do": "found", "seen": "0", "what": "joint"})
    water.post("/water/leaks/1", data={"do": "repaired", "seen": "1"})
    assert "夜が足りません（修理前 7夜・修理後 0夜" in read(water.get("/water/leaks/1"))
    assert "修理の効果" in read(water.get(HERE))
    assert water.post(f"{HERE}/pipes", data={"pipes": ""}).status_code == 303
    assert water.post(f"{BLOCKS}/block-other/pipes", data={"pipes": "中央"}).status_code == 303


def test_the_waterworks_and_the_digital_section_see_it_and_nobody_else(hall: TownHall) -> None:
    for role in Role:
        with hall.visitor(role) as client:
            allowed = role in (Role.WATER, Role.DIGITAL)
            assert client.get(BLOCKS).status_code == (200 if allowed else 403), role
            assert (BLOCKS in client.get("/water", headers=HTML).text) is allowed


def test_cold_nights_are_named_and_left_out_where_the_air_is_measured(
    hall: TownHall, water: httpx.Client, registered: Registered
) -> None:
    measured(registered)
    assert "凍結防止の出し放しは区別できません" in read(water.get(BLOCKS))
    midnight = START.astimezone(ZoneInfo("Asia/Tokyo")).replace(hour=0, minute=0)
    with connect(registered.owner, name="test") as conn:
        series = conn.execute(
            """
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step)
            select municipality_id, station_id, 'air_temperature', 'Cel', 'instant', '10 min' from station
            where code = 'rain-yakuba' returning datastream_id
            """
        ).fetchone()
        assert series is not None
        for ago in range(1, 15):
            # of the fourth night too little is there; in the fifth the cold is doubted, in the sixth it is by day
            for hour in [*range(-6, 9), 14][10 if ago == 4 else 0 :]:
                cold = (ago, hour) in {(3, 6), (3, -2), (4, 6), (5, 6), (6, 14)}
                conn.execute(
                    "insert into rollup_hour (municipality_id, datastream_id, hour, n, expected, minimum, "
                    "worst_quality) values (%s, %s, %s, 6, 6, %s, %s)",
                    (
                        registered.municipality_id,
                        series[0],
                        midnight + timedelta(hours=hour - 24 * ago),
                        -4.0 if cold else 1.5,
                        "doubtful" if cold and ago == 5 else "good",
                    ),
                )
    days = "最近2週間で 1夜（5/29（金））"
    assert days in read(water.get(BLOCKS)) and days in read(water.get(HERE))


def test_a_rise_of_the_days_inflow_is_told_in_words_and_becomes_a_case(
    water: httpx.Client, registered: Registered
) -> None:
    assert "まだ調べていません" in read(water.get(HERE))
    flow, began = registered.datastream("block-hamamachi", "flow"), TODAY - timedelta(days=4)
    told = rises_stored.Told(TODAY, began, (began - timedelta(days=1), began), False, 6.2, (4.9, 7.5), 0.91)
    over = replace(told, start=date(2026, 3, 5), began=(date(2026, 3, 5), date(2026, 3, 5)), size=3.4, growing=True)
    with connect(registered.worker, name="test") as conn:
        (station,) = conn.execute("select station_id from datastream where datastream_id = %s", (flow,)).fetchone()
        zone = ZoneInfo("Asia/Tokyo")
        inlet = Inlet(flow, registered.municipality_id, station, zone, START, None)
        for each in (told, over):
            rises_stored.add(conn, inlet, each)
        over.ended_on, over.why = date(2026, 4, 2), "gone"
        rises_stored.put(conn, over)
        rises_stored.put_watch(conn, inlet, rises_stored.Watch(TODAY - timedelta(days=1), START, None))
        announce(conn, tell(conn, inlet, START))
    page = read(water.get(HERE))
    assert "約 6.2 m³/h（4.9〜7.5 m³/h）" in page and "続いています" in page and "2026-04-02 になくなりました" in page
    page = read(water.get("/water"))
    assert f"{began} ごろに増え、約 6.2 m³/h 多いままです" in page and "91 %" in page
    assert f"{began} ごろ（この方法の見立てで8割が {began - timedelta(days=1)}〜{began}）" in page
    (finding,) = re.findall(r'name="finding" value="(\d+)"', water.get("/water/leaks").text)
    opened = water.post("/water/leaks", data={"finding": finding, "name": "浜町"})
    assert opened.status_code == 303, opened.text
    case = read(water.get(opened.headers["location"]))
    assert "6.2" in case and str(began) in case

    # With a second inlet it is one block: both pages say so, and what is found is at the first.
    with connect(registered.owner, name="test") as conn:
        series, number = meter(conn, registered.municipality_id, "block-minami")
        alone = replace(inlet, series=series, station_id=number)
        rises_stored.put_watch(conn, alone, rises_stored.Watch(TODAY - timedelta(days=1), START, "together"))
        inlet = replace(inlet, lets_in=(series,), with_it=(number,))
        rises_stored.put_watch(conn, inlet, rises_stored.Watch(TODAY - timedelta(days=1), START, None))
        announce(conn, tell(conn, inlet, START))
    assert "2か所の流量計の合計" in read(water.get("/water"))
    here, other = read(water.get(HERE)), read(water.get(f"{BLOCKS}/block-minami"))
    assert "合わせて1つのブロックとする流量計" in here and "合わせて1つのブロックとする流量計" in other
    assert "この流入だけでは調べません" in other and "この流入だけでは調べません" not in here

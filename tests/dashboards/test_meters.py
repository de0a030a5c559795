"""スマートメーター: kept without a number, shown to the waterworks alone, every view noted, gone after 13 months."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from typer.testing import CliRunner, Result

from analytics.leaks.meters import stored
from analytics.maintenance import let_go
from api.roles import Role
from mimamori.cli import app
from store import connect
from store.retention import Retention
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered
from tests.dashboards.reading import main

METERS = "/water/meters"
KEY = "a key of thirty-two characters, or more"
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered, meter_key=KEY) as running:
        yield running


@pytest.fixture
def water(hall: TownHall) -> Iterator[httpx.Client]:
    with hall.visitor(Role.WATER) as client:
        client.headers["Accept"] = "text/html"
        yield client


def table(numbers: list[str], block: str, *, flow: int, days: int = 5, until: datetime = START) -> str:
    """Lines of meters that flow all day, but for their nights where `flow` is 0."""
    times = [until - timedelta(hours=n) for n in range(days * 24, 0, -1)]
    return "".join(
        f"{number},{time.astimezone(TOKYO):%Y-%m-%d %H:%M},{flow + 20 * (time.hour < 12)},{block},花浜町1\n"
        for number in numbers
        for time in times
    )


HEAD = "メーター番号,日時,使用量(L),ブロック,住所\n"


def send(client: httpx.Client, text: str, name: str = "検針.csv") -> httpx.Response:
    return client.post(METERS, files={"file": (name, text.encode("cp932"))})


def test_a_leak_in_a_house_is_seen_by_the_waterworks_alone_and_nobody_sees_unseen(
    hall: TownHall, water: httpx.Client
) -> None:
    ten = [f"77{n:06}" for n in range(10)]
    text = HEAD + table(ten[:9], "大浜", flow=0) + table(ten[9:], "大浜", flow=7) + table(["99000001"], "山手", flow=9)
    assert send(water, text + "77000000,2026-05-31 10:30,1,大浜,花浜町1\n").headers["location"] == f"{METERS}?done=file"
    page = main(water.get(METERS))
    assert "少なくとも 7 L/時（続けば月 5 m³）" in page and page.count("水の止まる時間がない") == 2
    assert (
        "11個のメーター、1320時間分" in page
        and "読まなかった列：住所" in page
        and "ちょうどの時刻ではありません" in page
    )
    assert "表示しないブロック： 山手" in page and "少なくとも 9 L/時" not in page
    asked = main(water.post(METERS, data={"numbers": "99000001 0077000001\n12"}))
    assert "少なくとも 9 L/時" in asked and "気になることはありません" in asked and "値のない番号 1件： 12" in asked
    answers = [water.get(f"{METERS}/{n}") for n in range(1, 12)]
    assert [each.status_code for each in answers].count(404) == 1, "the days of the one of a small block"
    days = [main(each) for each in answers if each.status_code == 200]
    assert all("欠測" in each for each in days), "the days before the file"
    with connect(hall.database.owner, name="test") as conn:
        for name in ("smart_meter", "smart_meter_day", "smart_meter_file", "smart_meter_view"):
            rows = conn.execute(f"select t::text from {name} t".encode()).fetchall()
            assert rows and not any(word in row[0] for row in rows for word in ("7700000", "99000001", "花浜"))
    with hall.visitor(Role.DIGITAL) as client:
        client.headers["Accept"] = "text/html"
        seen = main(client.get(f"{METERS}/views"))
        assert client.get(METERS).status_code == client.get(f"{METERS}/1").status_code == 403
    for what in (
        "一覧（11個）",
        "番号で調べた（2個）",
        "1個のメーターの日ごとの値： メーター",
        "ファイルの取り込み（11個）",
        "water of the own town",
    ):
        assert what in seen
    assert "L/時" not in seen


def test_the_same_file_twice_changes_nothing_and_what_cannot_be_kept_is_refused_whole(
    hall: TownHall, water: httpx.Client
) -> None:
    text = HEAD + table(["5", "6"], "", flow=3, days=2)
    for _ in range(2):
        assert send(water, text).status_code == 303
    send(water, HEAD + "5,2026-05-31 10:00,99,大浜,\n")
    with connect(hall.database.owner, name="test") as conn:
        town = hall.database.municipality_id
        first, second = stored.series(conn, town, START.date() - timedelta(days=2), START.date())
        assert (first.block, second.block) == ("大浜", None), "a file that says no block takes none away"
        by_sum = sorted(float(each.litres[:48].sum()) for each in (first, second))
        assert by_sum == [2 * 12 * (3 + 23), 2 * 12 * (3 + 23) - 23 + 99], "one hour was put right, the others stay"
        conn.execute("update smart_meter_key set fingerprint = sha256('another')")
    refused = send(water, text)
    assert refused.status_code == 409 and "元の鍵にもどしてください" in main(refused)
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("delete from smart_meter_key")
    for text, why in (
        ("メーター番号,日時,指針\n5,2026-05-31 10:00,1\n7,2026-05-31 10:00,1\n", "1個のメーターは、いままでと値の種類"),
        ("メーター番号,日時\n", "「指針(m3)」か「使用量(L)」の列がありません"),
        ("メーター番号,日時,使用量(L)\n5,きのう,1\n", "2行目：「日時」を日時として読めません"),
    ):
        assert why in main(send(water, text))
    with connect(hall.database.owner, name="test") as conn:
        assert conn.execute("select count(*) from smart_meter").fetchone() == (2,), "nothing of what was refused"


def test_readings_go_after_thirteen_months_and_that_somebody_looked_stays(hall: TownHall, water: httpx.Client) -> None:
    older = table(["2"], "大浜", flow=1, days=1, until=START - timedelta(days=9))
    send(water, HEAD + table(["1", "2"], "大浜", flow=1, days=2) + older)
    with connect(hall.database.worker, name="test") as conn:
        assert not let_go(conn, Retention(), START + timedelta(days=390))
        assert conn.execute("select count(*), min(day) from smart_meter_day").fetchone() == (4, date(2026, 5, 30))
        assert not let_go(conn, Retention(), START + timedelta(days=400))
        assert conn.execute("select count(meter_id) from smart_meter").fetchone() == (0,)
    page = main(water.get(METERS))
    assert "表示できるメーターはありません" in page
    assert "ファイルの取り込み（2個）" in main(water.get(f"{METERS}/views"))


def test_without_a_key_nothing_is_taken(registered: Registered) -> None:
    populate(registered)
    with serving(registered) as bare, bare.visitor(Role.WATER) as client:
        client.headers["Accept"] = "text/html"
        assert "MIMAMORI_METER_KEY_FILE" in main(client.get(METERS))
        assert "鍵がないため取り込めません" in main(send(client, HEAD + table(["1"], "大浜", flow=1)))
        assert client.post(METERS, data={"numbers": "1"}).status_code == 400


def test_a_command_takes_in_files_and_says_at_which_it_stopped(
    hall: TownHall, water: httpx.Client, tmp_path: Path
) -> None:
    good, bad = tmp_path / "1.csv", tmp_path / "2.csv"
    hours = ",".join(f"使用量(L){n}時" for n in range(24))
    lines = [f"メーター番号,日付,ブロック,{hours}", f"8,{START:%Y-%m-%d},大浜,{'3,' * 9}x", ""]
    good.write_bytes("\r\n".join(lines).encode("cp932"))
    bad.write_text(f"メーター番号,日付,{hours}\n8,2019-01-01,1\n")

    def run(*files: Path, key: str = KEY) -> Result:
        given = ["import-meters", *map(str, files), "--municipality", "999999", "--json"]
        return CliRunner().invoke(
            app, given, env={"MIMAMORI_OWNER_DSN": hall.database.owner, "MIMAMORI_METER_KEY": key}
        )

    (said,) = json.loads(run(good).stdout)["files"]
    assert (said["meters"], said["hours"], said["refused"]) == (1, 9, 1) and "使用量(L)9時" in said["problems"][0]
    stopped = str(run(good, bad).exception)
    assert "2.csv" in stopped and "Taken in before it: 1.csv" in stopped and "line 2" in stopped.lower()
    assert "32 characters" in str(run(good, key="short").exception)
    assert "not the one that" in str(run(good, key=KEY[::-1]).exception)
    page = main(water.get(METERS))
    assert page.count("1個のメーター、9時間分") == 2 and "使用量(L)9時" in page

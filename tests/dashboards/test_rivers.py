"""Past floods, catchments, travel times and effective rain as the pages tell them: observed, in the past tense."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta

import httpx
import numpy as np
import pytest

from analytics.rivers.link_job import next_link
from api.roles import Role
from devices.clock import ClockSetting, real_now
from store import connect
from store.town_clock import write_clock
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered
from tests.dashboards.reading import main
from tests.dashboards.test_rain import NOW, recomputed, store

UPPER, LOWER = "river-okusawa", "river-takehara"
LINKS = "/disaster/catchments/links"


def levels(late: int) -> list[tuple[int, float | None, str]]:
    """Twenty days of 10 minutes with six floods, `late` minutes after those at the gauge above."""
    minutes = np.arange(-20 * 1440 + 8, 0, 10)
    found = np.full(len(minutes), 0.5)
    for n in range(6):
        since = minutes - late - (-19 * 1440 + n * 4000)
        found += (0.8 + 0.3 * n) * np.where(
            since < 0, 0, np.minimum(since / 200, 1) * np.exp(-np.maximum(since - 200, 0) / 300)
        )
    return [(int(m), round(float(v), 3), "good") for m, v in zip(minutes, found, strict=True)]


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    """A town whose water takes 40 minutes from the one gauge to the other, with rain in its hills."""
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(True, real_now(), NOW, 1.0))
    for station, late in ((UPPER, 0), (LOWER, 40)):
        store(registered, f"{station}/water_level", levels(late))
        recomputed(registered, f"{station}/water_level")
    store(registered, "rain-okusawa/precipitation", [(m, 0.5, "good") for m in range(-32 * 1440 + 8, 0, 10)])
    recomputed(registered, "rain-okusawa/precipitation")
    with connect(registered.worker, name="test") as conn:
        while next_link(conn, NOW):
            pass
    with serving(registered) as running:
        yield running


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200 and answer.text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_the_pages_tell_what_was_observed_and_their_files_the_same(hall: TownHall) -> None:
    with hall.visitor(Role.VIEWER) as client:
        client.headers["Accept"] = "text/html"
        floods = client.get(f"/disaster/stations/{LOWER}/floods")
        words = main(floods)
        assert "いちばん低い基準水位 1.60 m 以上になった出水です。" in words and "に4回。" in words
        assert "いまがピークだという意味ではありません" in words
        assert floods.text.count('class="flood-line flood-line-now"') == 2, "the present course, and its key"
        rows = table(client.get(f"/disaster/stations/{LOWER}/floods.csv"))
        assert len(rows) == 4 and all(row["level_reached"] in "1234" and row["above_complete"] == "1" for row in rows)
        assert all(float(row["rise_per_hour"]) > 0.2 and row["rain-okusawa_24h_mm"] == "72" for row in rows)
        chosen = floods.text.split('name="flood" value="')[1].split('"')[0]
        course = table(client.get(f"/disaster/stations/{LOWER}/floods/courses.csv", params={"flood": chosen}))
        assert {row["course"] for row in course} == {"A"}
        assert max(course, key=lambda row: float(row["value"]))["hours_from_peak"] == "0.00"
        assert main(client.get(f"/disaster/stations/{LOWER}/floods?flood=nonsense&flood=1")).count("警戒レベル") >= 4

        station = main(client.get(f"/disaster/stations/{LOWER}"))
        assert "過去の6回の増水では、どれも上流で水位が上がった約40分後に" in station
        assert "記録が0回" not in station and "予" not in station.replace("予定", "")
        page = main(client.get("/disaster/catchments"))
        assert page.index("奥沢水位観測所") < page.index("竹原水位観測所") < page.index("美守橋水位観測所")
        assert page.index("美守橋水位観測所") < page.index("汐見橋水位観測所") < page.index("役場雨量観測所")
        assert "約40分" in page and "これから届く時刻を示すものではありません" in page
        told = table(client.get("/disaster/catchments.csv"))
        rain = {row["quantity"]: row for row in told if row["station"] == "rain-okusawa"}
        assert rain["rain_1h"]["value"] == "3" and rain["rain_24h"]["complete"] == "1"
        short = 0.5 / (1 - 2 ** (-1 / 9))
        assert float(rain["effective_rain_1.5h"]["value"]) == pytest.approx(short, rel=0.001)
        assert rain["effective_rain_72h"]["complete"] == "1"
        never = [row for row in told if row["station"] == "rain-yakuba"]
        assert {(row["value"], row["state"]) for row in never} == {("", "never")}

        gauge = main(client.get("/disaster/stations/rain-okusawa"))
        assert "実効雨量（半減期1.5時間） 6.7 mm" in gauge
        hours = table(client.get("/disaster/stations/rain-okusawa/effective.csv?range=24h"))
        assert len(hours) == 24 and {row["complete_72h"] for row in hours} == {"1"}
        for nothing in ("rain-okusawa/floods", "nowhere/floods", "nowhere/floods.csv", f"{LOWER}/effective.csv"):
            assert client.get(f"/disaster/stations/{nothing}").status_code == 404
        empty = main(client.get("/disaster/stations/river-mimamoribashi/floods"))
        assert "未受信" in empty and "回。" not in empty


def test_the_desk_decides_on_a_pair_and_every_page_follows(hall: TownHall) -> None:
    said = {"upper": UPPER, "lower": LOWER, "do": "refused", "travel": "", "reason": "途中の堰で別れる"}
    with hall.visitor(Role.DISASTER) as client:
        client.headers["Accept"] = "text/html"
        before = main(client.get(LINKS))
        assert "記録から" in before and "増水6回のうち6回で" in before
        assert client.post(LINKS, data=said).headers["location"].startswith(f"{LINKS}?done=saved")
        assert "回の増水では" not in main(client.get(f"/disaster/stations/{LOWER}"))
        assert client.post(LINKS, data={**said, "do": "set", "travel": "５５", "reason": "県の調査"}).status_code == 303
        station = main(client.get(f"/disaster/stations/{LOWER}"))
        assert "防災担当が設定した時間は約55分です。" in station and "過去の6回の増水では" in station
        assert "県の調査" in main(client.get(LINKS))
        assert client.post(LINKS, data={**said, "lower": "river-shiomibashi", "do": "set"}).status_code == 303
        other = main(client.get("/disaster/stations/river-shiomibashi"))
        assert "奥沢水位観測所" in other and "km 上流" not in other, "of another river: no distance"
        for wrong, words in (
            ({"lower": UPPER}, "別の水位観測所を選んでください"),
            ({"lower": "nowhere"}, "別の水位観測所を選んでください"),
            ({"upper": LOWER, "lower": UPPER, "do": "set"}, "下流から上流へ戻る組は作れません"),
            ({"do": "set", "travel": "すぐ"}, "1～2880分"),
            ({"do": "set", "travel": "-1"}, "1～2880分"),
            ({"do": "refused", "travel": "10"}, "1～2880分"),
            ({"do": "set", "reason": " "}, "理由を500字以内で"),
        ):
            refused = client.post(LINKS, data={**said, **wrong})
            assert refused.status_code == 422 and words in main(refused), wrong
    with connect(hall.database.owner, name="test") as conn:
        kept = conn.execute("select verdict, travel, reason from station_link_word order by 1, 2").fetchall()
    assert kept == [
        ("refused", None, "途中の堰で別れる"),
        ("set", timedelta(minutes=55), "県の調査"),
        ("set", None, "途中の堰で別れる"),
    ]
    with hall.visitor(Role.WATER) as client:
        assert client.post(LINKS, data=said).status_code == 403
        client.headers["Accept"] = "text/html"
        assert "組は防災担当が決められます。" in main(client.get(LINKS))

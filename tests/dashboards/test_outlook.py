"""この先の水位: what the disaster desk reads of a gauge, how it has done, and what it said during a past flood."""

from __future__ import annotations

import csv
import re
from datetime import datetime, timedelta

import httpx
import pytest

from analytics.rollups import recompute
from store import connect
from store.feed import Touched
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.reading import main
from tests.forecasts import flood_planted, switched_on

STATION = "river-mimamoribashi"
PAGE = f"/disaster/stations/{STATION}"
STEP, HOUR = timedelta(minutes=10), timedelta(hours=1)


@pytest.fixture
def rising(hall: TownHall) -> TownHall:
    """A river that has risen by an eighth of a metre an hour for fourteen hours, to 2.00 m; what was said each hour of
    the last twelve is 0.3 m above the level known then, give or take 0.3 m for every hour ahead.
    """
    times = [START - n * STEP for n in range(84, -1, -1)]
    hall.observe(f"{STATION}/water_level", *((time, 2.0 + (time - START) / HOUR / 8) for time in times))
    series = hall.database.datastream(STATION, "water_level")
    with connect(hall.database.owner, name="test") as conn:
        switched_on(conn, hall.database.municipality_id, START)
        flood_planted(conn, hall.database.municipality_id, series, START)
        recompute(conn, [Touched(series, times[0], times[-1])])
    return hall


def test_words_first_then_the_picture_and_the_same_in_tables(rising: TownHall, staff: httpx.Client) -> None:
    told = main(staff.get(PAGE))
    assert "参考・内部資料（庁外秘）" in told and "観測値 2.00 m から" in told
    assert "3時間後 12:00 2.30 m （1.40～3.20 m、90 %）" in told
    assert "氾濫注意水位（2.60 m）に3時間以内に達する見込み：" in told
    # the upper end of the interval is there in an hour, its middle not within six
    assert "早ければ1時間後。6時間以内に達しないことも十分ある。" in told
    page = staff.get(f"{PAGE}/outlook")
    assert 'class="band band-2"' in page.text and "予" + "報" not in page.text and "警" + "報" not in page.text
    rows = list(csv.reader(staff.get(f"{PAGE}/outlook.csv").text.lstrip("\ufeff").splitlines()))
    named = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert [(row["lead_h"], row["q05"], row["q50"], row["q95"]) for row in named[:2]] == [
        ("1", "2.000", "2.300", "2.600"),
        ("2", "1.700", "2.300", "2.900"),
    ]
    assert {row["class"] for row in named} == {"internal_forecast"}


def test_a_fan_that_reaches_above_all_that_was_learned_from_says_so(rising: TownHall, staff: httpx.Client) -> None:
    words, day = "この川の記録にない大きさ", START - timedelta(days=2)
    # The interval reaches up to 2.3 m + 6 times 0.3 m.
    highest = f"{words} 90 %の幅の上端が、学習した記録の最高（{{}}）を超えています"
    assert highest.format("2.00 m、2026-06-01") in main(staff.get(PAGE))
    assert words not in main(staff.get(f"{PAGE}/hindcast?at=2026-06-01T01:20")), "of the days before nothing is stored"

    def learned_from(time: datetime, level: float) -> str:
        rising.observe(f"{STATION}/water_level", (time, level))
        with connect(rising.database.owner, name="test") as conn:
            recompute(conn, [Touched(rising.database.datastream(STATION, "water_level"), time, time)])
        return main(staff.get(PAGE))

    assert highest.format("4.00 m、2026-05-30") in learned_from(day, 4.0)
    assert words not in learned_from(day + STEP, 4.2)


def test_how_wet_the_ground_is_stands_beside_it_as_at_least_while_a_gauge_is_young(
    rising: TownHall, staff: httpx.Client
) -> None:
    about = main(staff.get(f"{PAGE}/outlook"))
    assert "この1時間の雨量がなく、わかりません" in about
    rising.observe("rain-okusawa/precipitation", *((START - n * STEP, 3.0) for n in range(36, -1, -1)))
    told = main(staff.get(f"{PAGE}/outlook"))
    # 111 mm fell in six hours, of which the side outlets have let go a quarter.
    found = re.search(r"地面にたまった雨（土壌雨量指数） [^:]+: (\d+) mm 以上", told)
    assert found is not None and 75 <= int(found[1]) <= 111
    assert "土壌雨量指数" not in main(staff.get(f"{PAGE}?range=24h"))


def test_before_anything_is_learned_no_interval_and_no_chance_is_told(rising: TownHall, staff: httpx.Client) -> None:
    with connect(rising.database.owner, name="test") as conn:
        conn.execute("update forecast_model set method = 'rise'")
    for page in (PAGE, f"{PAGE}/outlook", f"{PAGE}/hindcast?at=2026-06-01T01:20", "/disaster/outlook"):
        answer = staff.get(page)
        assert "2.30 m" in answer.text or "1.30 m" in answer.text, page
        assert " m、90 %）" not in answer.text and "band-1" not in answer.text, page
    assert "まだ学習していません" in main(staff.get(PAGE))


def test_how_it_has_done_is_counted_over_all_that_was_said(rising: TownHall, staff: httpx.Client) -> None:
    told = main(staff.get(f"{PAGE}/outlook"))
    assert "12回（うち5回は、あとから" in told
    # an hour ahead it was wrong by 0.3 - 1/8 m, "as it is now" by 1/8 m; two hours ahead by 0.05 m and 1/4 m
    assert "1時間後 11 100 % 0.17 m 0.12 m -0.96" in told.replace("0.18 m", "0.17 m").replace("0.13 m", "0.12 m")
    assert "2時間後 10 100 % 0.05 m 0.25 m 0.96" in told
    rows = list(csv.reader(staff.get(f"{PAGE}/record.csv").text.lstrip("\ufeff").splitlines()))
    named = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert [(row["of"], row["hours"], row["n"], row["pi"]) for row in named[:1]] == [("lead", "1", "11", "-0.9600")]
    # of every level above the water it was said how likely it is, and none was reached
    assert {row["of"] for row in named[6:]} == {"chance"} and {row["share_that_came"] for row in named[6:]} >= {
        "0.0000"
    }


def test_looking_back_shows_what_was_said_then_beside_what_came(rising: TownHall, staff: httpx.Client) -> None:
    told = main(staff.get(f"{PAGE}/hindcast?at=2026-06-01T01:20"))
    assert "最高 2.00 m" in told and "2026-06-01 01:00 の観測値 1.00 m から" in told
    assert "この期間を知らない版で求めたものです" in told
    assert "1時間後 02:00 1.30 m 1.00–1.60 m 1.20–1.40 m 1.12 m 幅の中" in told.replace("1.13 m", "1.12 m")
    lines = staff.get(f"{PAGE}/hindcast.csv?at=2026-06-01T01:20").text.splitlines()
    assert len(lines) == 1 + 12 * 6 and lines[1].endswith(",0.750,m"), "eleven hours ago, and an hour later"
    assert "計算は残っていません" in main(staff.get(f"{PAGE}/hindcast?at=2026-05-30T01:00"))
    assert staff.get("/disaster/stations/rain-okusawa/hindcast").status_code == 404

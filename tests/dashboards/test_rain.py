"""The disaster desk's models: rain over time, thinned curves, steps between levels, and what the page reads of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from api.database import enter_municipality
from api.pages.changes import steps
from api.pages.chart import thinned
from api.pages.disaster import disaster
from api.pages.hyetograph import hyetograph
from api.pages.readings import Point, StationNow
from api.pages.station import csv_file, station_page
from devices.model import Quality
from store import connect, latest
from tests.conftest import Registered

ZONE = ZoneInfo("Asia/Tokyo")
NOW = datetime(2026, 6, 1, 0, 32, tzinfo=UTC)
STEP = timedelta(minutes=10)
HOUR = timedelta(hours=1)
GAUGE = StationNow(1, "river-a", "甲", "A", 32.4, 135.0, {})


def points(*values: float | None, start: datetime = NOW - timedelta(hours=12)) -> list[Point]:
    return [
        Point(start + n * STEP, value, Quality.MISSING if value is None else Quality.GOOD)
        for n, value in enumerate(values)
    ]


def test_a_thinned_curve_keeps_every_peak_and_every_gap() -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    series = points(*[1.0] * 8, 4.9, 0.2, *[1.0] * 8, start=start)
    series += points(*[2.0] * 6, start=start + timedelta(hours=9))
    kept = thinned(series, STEP, HOUR)
    values = [point.value for point in kept]
    assert max(v for v in values if v is not None) == 4.9 and min(v for v in values if v is not None) == 0.2
    assert values.count(None) == 1 and len(kept) < len(series) / 2
    assert [point.time for point in kept] == sorted(point.time for point in kept)


@dataclass(frozen=True)
class Level:
    level: int
    value: float


LEVELS = (Level(1, 1.0), Level(2, 2.0), Level(3, 3.0))


def test_steps_are_told_with_the_observation_that_made_them_and_only_of_the_span() -> None:
    series = points(0.5, 1.5, None, 3.2, 3.3, 0.9)
    since = series[0].time
    told = [(c.at, c.what, c.before, c.level) for c in steps(GAUGE, series, LEVELS, since)]
    assert told == [
        (series[1].time, "rose", 0, 1),
        (series[3].time, "rose", 1, 3),
        (series[5].time, "fell", 3, 0),
    ]
    assert [c.what for c in steps(GAUGE, series, LEVELS, series[3].time)] == ["fell"]
    assert list(steps(GAUGE, series, (), since)) == []


def test_an_interval_without_observations_is_no_bar_of_no_height() -> None:
    start = NOW.replace(minute=0) - 3 * HOUR
    series = points(0.0, *[0.5] * 6, *[None] * 6, *[0.0] * 6, start=start)
    picture = hyetograph(series, start, start + 3 * HOUR, STEP, HOUR, start, ZONE)
    assert [(i.amount, i.n, i.complete) for i in picture.intervals] == [
        (3.0, 6, True),
        (None, 0, False),
        (0.0, 6, True),
    ]
    assert [bar.measured for bar in picture.bars] == [True, False]
    assert picture.bars[1].height > picture.bars[0].height > 0
    # an amount at a full hour fell before it: the very first one belongs to the hour before the picture
    assert picture.intervals[0].start == start


def store(registered: Registered, datastream: str, values: list[tuple[int, float | None, str]]) -> None:
    with connect(registered.owner, name="test") as conn, conn.cursor() as cursor:
        cursor.executemany(
            "insert into observation (datastream_id, phenomenon_time, value, quality) values (%s, %s, %s, %s)",
            [
                (registered.datastream(*datastream.split("/")), NOW + timedelta(minutes=m), value, quality)
                for m, value, quality in values
            ],
        )
        latest.recompute(conn)


def test_the_disaster_page_reads_rain_that_is_missing_late_and_never(registered: Registered) -> None:
    rain = [(m, 0.5, "good") for m in range(-62, 0, 10)]
    rain[2] = (rain[2][0], 99.0, "bad")
    store(registered, "rain-okusawa/precipitation", rain)
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        model = disaster(conn, NOW, ZONE)
        later = disaster(conn, NOW + timedelta(hours=2), ZONE)
    hills, town, _ = model.rain
    assert hills.sums is not None and hills.sums.hour is not None and hills.current
    assert (hills.sums.hour.amount, hills.sums.hour.complete) == (2.5, False)
    assert (town.sums, town.current, town.badge) == (None, False, "unknown")
    assert town in model.unjudged and hills not in model.unjudged
    # silent: its sums are history
    assert not later.rain[0].current and later.rain[0] in later.unjudged


def test_a_gauges_page_has_the_rain_of_its_catchment_and_the_gauges_upstream(registered: Registered) -> None:
    for code in ("rain-okusawa", "rain-yakuba", "rain-shiomi"):
        store(registered, f"{code}/precipitation", [(m, 0.5, "good") for m in range(-62, 0, 10)])
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        pages = {
            code: station_page(conn, code, "24h", NOW, ZONE)
            for code in ("river-mimamoribashi", "river-okusawa", "river-shiomibashi", "rain-yakuba")
        }
    rain = {code: [r.gauge.station.code for r in page.rainfall] for code, page in pages.items() if page}
    # the town hall's gauge stands nearer to the bridge, but in no river's catchment
    assert rain == {
        "river-mimamoribashi": ["rain-okusawa"],
        "river-okusawa": ["rain-okusawa"],
        "river-shiomibashi": ["rain-shiomi"],
        "rain-yakuba": ["rain-yakuba"],
    }
    downtown, west, nowhere = (pages[code] for code in ("river-mimamoribashi", "river-shiomibashi", "rain-yakuba"))
    assert downtown is not None and downtown.river is not None
    assert (downtown.river.name, downtown.river.name_en) == ("美守川", "Mimamori River")
    assert [each.gauge.station.code for each in downtown.river.upstream] == ["river-takehara", "river-okusawa"]
    assert [round(each.km, 1) for each in downtown.river.upstream] == [2.8, 6.0]
    assert west is not None and west.river is not None and west.river.upstream == ()
    assert nowhere is not None and nowhere.river is None


@pytest.mark.parametrize(("range_", "thin"), [("24h", False), ("3d", False), ("7d", True)])
def test_a_long_range_is_told_hour_by_hour_with_its_peak(registered: Registered, range_: str, thin: bool) -> None:
    levels: list[tuple[int, float | None, str]] = [(m, 1.0, "good") for m in range(-7 * 1440 + 8, 0, 10)]
    levels[-40] = (levels[-40][0], 3.77, "good")
    store(registered, "river-mimamoribashi/water_level", levels)
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        page = station_page(conn, "river-mimamoribashi", range_, NOW, ZONE)
        body = csv_file(conn, "river-mimamoribashi", range_, NOW, ZONE)
        nobody = station_page(conn, "block-hamamachi", range_, NOW, ZONE)
    assert page is not None and page.chart is not None and body is not None and nobody is None
    assert bool(page.hours) is thin and bool(page.points) is not thin
    drawn = [point.value for run in page.chart.runs for point in run]
    assert max(v for v in drawn if v is not None) == 3.77
    if thin:
        assert max(h.high for h in page.hours if h.high is not None) == 3.77
        assert 167 <= len(page.hours) <= 169 and len(drawn) < 340
        assert all(h.n == h.expected for h in page.hours)
    # the file has every observation, whatever the picture shows
    days = {"24h": 1, "3d": 3, "7d": 7}[range_]
    assert len(body.decode("utf-8-sig").splitlines()) == 1 + 144 * days
    assert page.levels is not None and page.levels.gauge_zero_tp == 2.10 and len(page.other_levels) == 1
    assert page.provenance is not None and page.provenance.received is None

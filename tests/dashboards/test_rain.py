"""The disaster desk's models: rain over time, long ranges in slices, steps between levels, and what the page reads of
them.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.rollups import recompute
from api.access import Role
from api.database import enter_municipality
from api.pages.changes import steps
from api.pages.disaster import disaster
from api.pages.hyetograph import hyetograph
from api.pages.readings import Point, StationNow
from api.pages.station import DAILY_RAIN, RANGES, station_page, table_of
from devices.model import Quality, StationKind
from store import connect, latest
from store.feed import Touched
from tests.api.serving import START, TownHall
from tests.conftest import Registered
from tests.dashboards.conftest import HTML
from tests.dashboards.test_quarantine import text_of

ZONE = ZoneInfo("Asia/Tokyo")
NOW = datetime(2026, 6, 1, 0, 32, tzinfo=UTC)
STEP = timedelta(minutes=10)
HOUR = timedelta(hours=1)
GAUGE = StationNow(1, "river-a", "甲", "A", 32.4, 135.0, {}, StationKind.RIVER_GAUGE)


def points(*values: float | None, start: datetime = NOW - timedelta(hours=12)) -> list[Point]:
    return [
        Point(start + n * STEP, value, Quality.MISSING if value is None else Quality.GOOD)
        for n, value in enumerate(values)
    ]


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


def recomputed(registered: Registered, datastream: str) -> None:
    """The hours and days that follow from what is stored."""
    datastream_id = registered.datastream(*datastream.split("/"))
    with connect(registered.owner, name="test") as conn:
        recompute(conn, [Touched(datastream_id, NOW - timedelta(days=400), NOW)])


LEVEL, RAIN = "river-mimamoribashi/water_level", "rain-yakuba/precipitation"


@pytest.mark.parametrize(
    ("range_", "slice_"),
    [("24h", None), ("3d", None), ("7d", HOUR), ("30d", 3 * HOUR), ("1y", timedelta(days=1))],
)
def test_a_long_range_is_told_in_slices_with_every_peak_and_the_table_says_what_the_picture_says(
    registered: Registered, range_: str, slice_: timedelta | None
) -> None:
    days = RANGES[range_].days
    levels: list[tuple[int, float | None, str]] = [
        (m, 1.0 + m % 7 / 100, "good") for m in range(-days * 1440 + 8, 0, 10)
    ]
    levels[-40] = (levels[-40][0], 3.77, "good")
    levels[-60] = (levels[-60][0], 9.99, "bad")
    levels[-80] = (levels[-80][0], 1.03, "doubtful")
    store(registered, LEVEL, levels)
    recomputed(registered, LEVEL)
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        page = station_page(conn, "river-mimamoribashi", range_, NOW, ZONE)
        nobody = station_page(conn, "block-hamamachi", range_, NOW, ZONE)
    assert page is not None and page.chart is not None and nobody is None
    drawn = [(point.time, point.value) for run in page.chart.runs for point in run if point.value is not None]
    assert max(value for _, value in drawn) == 3.77
    if slice_ is None:
        assert page.longer is None and len(page.points) == 144 * days
        assert set(page.chart.marks.values()) == {Quality.DOUBTFUL} and len(page.chart.doubted) == 1
    else:
        assert page.longer is not None and page.longer.slice == slice_ and page.points == ()
        table = page.longer.stretches
        assert [each.start for each in table] == sorted((each.start for each in table), reverse=True)
        assert abs(len(table) - RANGES[range_] / slice_) <= 1 and len(drawn) <= 2 * len(table) + 1
        assert all(each.end - each.start == slice_ for each in table)
        for each in table:
            inside = [value for time, value in drawn if each.start <= time < each.end]
            assert (min(inside), max(inside)) == (each.low, each.high)
        assert [each.running for each in table] == [True] + [False] * (len(table) - 1)
        assert sum(each.expected - each.n for each in table) == 1, "the bad one"
        times = [NOW + timedelta(minutes=m) for m, _, _ in levels]
        for each in table:
            inside = {q for _, _, q in levels[bisect_left(times, each.start) : bisect_left(times, each.end)]}
            worst = next(q for q in ("bad", "doubtful", "good") if q in inside)
            assert each.worst == worst
            marked = {q for time, q in page.chart.marks.items() if each.start <= time < each.end}
            assert marked == ({worst} if each.doubted else set()), "the picture has a ring where the table has the word"
        assert 1 <= sum(each.doubted for each in table) <= len(page.chart.doubted)
    assert page.levels is not None and page.levels.gauge_zero_tp == 2.10 and len(page.other_levels) == 2
    assert page.provenance is not None and page.provenance.received is None


def test_a_stretch_says_how_much_of_it_is_missing(registered: Registered) -> None:
    """The hours of the last week: whole, one of six missing, three, all six, and what was before the first one."""
    at = (NOW - timedelta(days=6)).replace(minute=0)
    gone = {0: 0, 1: 1, 2: 2, 3: 3, 4: 6}
    minutes = [
        round((at + hour * HOUR + n * STEP - NOW) / timedelta(minutes=1))
        for hour in range(100)
        for n in range(6)
        if n >= gone.get(hour, 0)
    ]
    store(registered, LEVEL, [(m, 1.0, "good") for m in minutes])
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        page = station_page(conn, "river-mimamoribashi", "7d", NOW, ZONE)
    assert page is not None and page.longer is not None and page.chart is not None
    table = page.longer.stretches[::-1]
    assert [(each.n, each.expected, each.reliability.value, each.low) for each in table[:6]] == [
        (6, 6, "reliable", 1.0),
        (5, 6, "doubtful", 1.0),
        (4, 6, "doubtful", 1.0),
        (3, 6, "missing", 1.0),
        (0, 6, "missing", None),
        (6, 6, "reliable", 1.0),
    ]
    assert table[0].start == at, "before its first observation nothing is missing"
    assert len(table) == 145 and table[-1].reliability.value == "missing", "nothing has come since"
    assert len(page.chart.runs) == 2, "the hour without anything is a gap in the line"


@pytest.mark.parametrize("range_", sorted(DAILY_RAIN))
def test_rain_over_a_long_range_is_told_by_the_local_day(registered: Registered, range_: str) -> None:
    store(registered, RAIN, [(m, 0.5, "good") for m in range(-10 * 1440 + 8, 0, 10)])
    recomputed(registered, RAIN)
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        page = station_page(conn, "rain-yakuba", range_, NOW, ZONE)
        assert page is not None and page.now is not None
        table = table_of(conn, page.now, range_, NOW, ZONE)
    (rain,) = page.rainfall
    days = rain.picture.intervals
    assert {each.start.astimezone(ZONE).hour for each in days} == {0}
    assert [(each.amount, each.n) for each in days[1:-1]] == [(72.0, 144)] * 9
    assert sum(each.amount or 0 for each in days) == 0.5 * 1440
    assert days[-1].running and days[-1].n == days[-1].expected and not days[0].complete
    assert [(each.start, each.low) for each in table] == [(each.start, each.amount) for each in days[::-1]]


def test_how_warm_it_is_stands_at_a_rain_gauge_that_says_so_and_at_a_thermometer(hall: TownHall) -> None:
    town = hall.database.municipality_id
    at = [START - n * STEP for n in range(600)]
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "insert into station (municipality_id, code, kind, name, name_en, latitude, longitude) "
            "values (%s, 'air', 'thermometer', '役場の気温', 'Air', 32.4, 135.0)",
            (town,),
        )
        conn.execute(
            """
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step)
            select municipality_id, station_id, 'air_temperature', 'Cel', 'instant', '10 min' from station
            where municipality_id = %s and code in ('air', 'rain-yakuba')
            """,
            (town,),
        )
        conn.execute(
            """
            insert into observation (datastream_id, phenomenon_time, value, quality)
            select datastream_id, t, -3.25, 'good' from datastream, unnest(%s::timestamptz[]) t
            where observed_property = 'air_temperature'
            """,
            (at,),
        )
        latest.recompute(conn)
    with hall.visitor(Role.DISASTER) as client:
        client.headers.update(HTML)

        def words(path: str) -> str:
            return text_of(client.get(path).text)

        desk, gauge = words("/disaster?lang=ja"), words("/disaster/stations/rain-yakuba?lang=ja")
        alone = words("/disaster/stations/air?lang=ja")
        week = words("/disaster/stations/air?range=7d&lang=ja")
        file = client.get("/disaster/stations/rain-yakuba/observations.csv?property=air_temperature&range=6h").text
        table = client.get("/disaster/stations/air/table.csv?range=7d").text
        unknown = client.get("/disaster/stations/air/observations.csv?property=water_level")
    assert "役場の気温 気温計 -3.2 °C" in desk
    assert "気温 -3.2 °C" in gauge and "気温を CSV で" in gauge and "雨量観測所 現在 まだ一度も" in gauge
    assert "役場の気温 気温観測所" in alone and "-3.2 °C" in alone and "雨量" not in alone.split("現在", 1)[1]
    assert "表を CSV で" in week and "最低 最高" in week
    assert file.count("air_temperature") == 36 and "-3.25,Cel,good" in file
    assert table.splitlines()[0].endswith("start,end,minimum,maximum,unit,n,expected,reliability,quality")
    assert unknown.status_code == 404

"""Curves: of any length in a given number of points, with every peak and every gap, and totals that add up."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest

from analytics.rollups import recompute
from api.access import Role
from api.curves import Curve, Step, curve, quality_of
from api.database import enter_municipality
from api.readings import Latest, latest_of
from devices.model import Quality
from store import connect
from store.connection import Connection
from store.feed import Touched
from store.writer import ObservationRow, write_history
from tests.api.serving import TownHall, assert_problem, minutes
from tests.conftest import START, Registered

ZONE = ZoneInfo("Asia/Tokyo")
STEP = timedelta(minutes=10)
LEVEL, RAIN = "river-okusawa/water_level", "rain-okusawa/precipitation"
HISTORY = f"/api/v1/datastreams/{LEVEL}/observations"

Values = Sequence[tuple[datetime, float | None, Quality]]


@pytest.fixture
def tenant(registered: Registered) -> Iterator[Connection]:
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        conn.commit()
        yield conn


def tell(registered: Registered, name: str, values: Values) -> None:
    """Stores them with the rollups that follow."""
    datastream_id = registered.datastream(*name.split("/"))
    rows = [ObservationRow(datastream_id, at, value, quality, None) for at, value, quality in values]
    with connect(registered.owner, name="test") as conn:
        write_history(conn, registered.municipality_id, rows, stated=rows[-1].phenomenon_time)
        recompute(conn, [Touched(datastream_id, rows[0].phenomenon_time, rows[-1].phenomenon_time)])


def read(
    registered: Registered,
    conn: Connection,
    name: str,
    start: datetime,
    end: datetime,
    points: int | None = None,
    step: Step | None = None,
) -> Curve:
    enter_municipality(conn, registered.municipality_id)
    series: Latest = latest_of(conn, [registered.datastream(*name.split("/"))])[0]
    found = curve(conn, series, start, end, ZONE, points=points, step=step)
    conn.commit()
    assert len(found.times) == len(found.values)
    assert all(a <= b for a, b in pairwise(found.times)), "in the order of time"
    return found


def noise(n: int, seed: int = 1) -> list[tuple[datetime, float | None, Quality]]:
    chance = random.Random(seed)
    return [(START + i * STEP, round(chance.gauss(1, 0.2), 3), Quality.GOOD) for i in range(n)]


def known(found: Curve) -> list[tuple[float, float]]:
    return [(at, v) for at, v in zip(found.times.tolist(), found.values.tolist(), strict=True) if not math.isnan(v)]


@pytest.mark.parametrize("points", [20, 100, 1000])
def test_a_thinned_curve_has_every_peak_and_no_invented_point(
    registered: Registered, tenant: Connection, points: int
) -> None:
    values = noise(14 * 144)
    values[777] = (values[777][0], 9.75, Quality.GOOD)
    values[888] = (values[888][0], -3.25, Quality.DOUBTFUL)
    values[999] = (values[999][0], 50.0, Quality.BAD)
    tell(registered, LEVEL, values)
    found = read(registered, tenant, LEVEL, START, values[-1][0], points)
    assert found.step is Step.RAW and found.read == len(values)
    assert len(found.times) <= points and len(found.times) > points / 5
    told = {(at.timestamp(), value) for at, value, quality in values if quality is not Quality.BAD}
    assert set(known(found)) <= told
    # Whatever slice one looks at, its extremes are there.
    assert found.slice is not None
    every = found.slice.total_seconds()
    origin = datetime(2026, 6, 1, tzinfo=ZONE).timestamp()
    for each in (min, max):
        of_slice: dict[float, list[float]] = {}
        for at, value in told:
            assert value is not None
            of_slice.setdefault((at - origin) // every, []).append(value)
        shown: dict[float, list[float]] = {}
        for at, value in known(found):
            shown.setdefault((at - origin) // every, []).append(value)
        assert {k: each(v) for k, v in shown.items()} == {k: each(v) for k, v in of_slice.items()}
    assert known(found)[-1] == (values[-1][0].timestamp(), values[-1][1]), "and the newest one"


def test_a_gap_breaks_the_line_thinned_or_not(registered: Registered, tenant: Connection) -> None:
    values = noise(6 * 144)
    gap = slice(300, 500)
    kept = values[: gap.start] + values[gap.stop :]
    alone = (kept[50][0], None, Quality.MISSING)
    kept[50] = alone
    tell(registered, LEVEL, kept)
    for points in (None, 100):
        found = read(registered, tenant, LEVEL, START, values[-1][0], points)
        breaks = found.times[np.isnan(found.values)]
        inside = [at for at in breaks if values[gap.start - 1][0].timestamp() < at < values[gap.stop][0].timestamp()]
        assert len(inside) == 1
        assert (alone[0].timestamp() in breaks) == (points is None), "what could not be measured breaks it unthinned"
        for (a, _), (b, _) in pairwise(known(found)):
            if b - a > 8 * 3600:
                assert any(a < at < b for at in breaks)


def test_long_ranges_are_read_from_hours_and_days_with_the_same_extremes(
    registered: Registered, tenant: Connection
) -> None:
    values = noise(20 * 144)
    values[1500] = (values[1500][0], 7.5, Quality.GOOD)
    tell(registered, LEVEL, values)
    end = values[-1][0]
    whole = {step: read(registered, tenant, LEVEL, START - timedelta(days=1), end, None, step) for step in Step}
    assert [whole[step].read for step in Step] == [2880, 480, 21]
    for found in whole.values():
        assert (np.nanmin(found.values), np.nanmax(found.values)) == (
            min(v for _, v, _ in values if v is not None),
            7.5,
        )
    assert read(registered, tenant, LEVEL, end - timedelta(days=300), end, 500).step is Step.HOUR
    decades = read(registered, tenant, LEVEL, end - timedelta(days=4000), end, 500)
    assert decades.step is Step.DAY and np.nanmax(decades.values) == 7.5
    hours = read(registered, tenant, LEVEL, START, end, 60, Step.HOUR)
    assert hours.slice is not None and len(hours.times) <= 60 and np.nanmax(hours.values) == 7.5


def test_totals_are_added_up_and_never_thinned_away(registered: Registered, tenant: Connection) -> None:
    chance = random.Random(3)
    values: list[tuple[datetime, float | None, Quality]] = [
        (START + (i + 1) * STEP, chance.choice([0.0, 0.5, 1.0]), Quality.GOOD) for i in range(10 * 144)
    ]
    for i in range(400, 700):
        values[i] = (values[i][0], None, Quality.MISSING)
    tell(registered, RAIN, values)
    end, fallen = values[-1][0], sum(value for _, value, _ in values if value is not None)
    for step in Step:
        for points in (None, 100, 20):
            found = read(registered, tenant, RAIN, START - timedelta(days=1), end, points, step)
            assert np.nansum(found.values) == pytest.approx(fallen), (step, points)
            assert points is None or len(found.times) <= points
    found = read(registered, tenant, RAIN, START, end, 100)
    assert found.slice == timedelta(hours=3)
    ends = {datetime.fromtimestamp(at, UTC).astimezone(ZONE).hour % 3 for at in found.times}
    assert ends == {0}, "slices end at hours that a person can name"
    first = values[0][0] - STEP
    by_hand = sum(v or 0 for at, v, _ in values if first < at <= first + timedelta(hours=3))
    assert found.values[0] == pytest.approx(by_hand)
    assert np.isnan(found.values).any(), "of which nothing was measured, there is no number"


def qualities(found: Curve, *, drawn: bool = True) -> dict[float, set[Quality | None]]:
    """What the points say, by time; `drawn`: those with a value."""
    said: dict[float, set[Quality | None]] = {}
    for at, value, worst in zip(found.times.tolist(), found.values.tolist(), found.worst.tolist(), strict=True):
        if math.isnan(value) is not drawn:
            said.setdefault(at, set()).add(quality_of(worst))
    return said


def test_a_point_says_the_worst_of_what_it_stands_for(registered: Registered, tenant: Connection) -> None:
    values = [(START + i * STEP, 1.0 + (i % 36) / 100, Quality.GOOD) for i in range(14 * 144)]
    spoilt = {
        100: (5.0, Quality.DOUBTFUL),  # the highest of its slice
        500: (1.5, Quality.DOUBTFUL),  # so is this one, of an hour with a missing one in it
        501: (None, Quality.MISSING),
        921: (1.21, Quality.DOUBTFUL),  # between lowest and highest
        1300: (99.0, Quality.BAD),  # has no place on the curve
        1700: (None, Quality.MISSING),
    }
    for i, (value, quality) in spoilt.items():
        values[i] = (values[i][0], value, quality)  # type: ignore[call-overload]
    tell(registered, LEVEL, values)
    end = values[-1][0]
    every = read(registered, tenant, LEVEL, START, end)
    doubted = {at for at, said in qualities(every).items() if said != {Quality.GOOD}}
    assert doubted == {values[i][0].timestamp() for i in (100, 500, 921)}
    unusable = qualities(every, drawn=False)
    assert unusable[values[1300][0].timestamp()] == {Quality.BAD} and len(unusable) == 3

    for step in (Step.RAW, Step.HOUR):
        found = read(registered, tenant, LEVEL, START, end, 200, step)
        assert found.slice == timedelta(hours=6)
        slices = found.slices
        assert slices is not None
        said = {
            datetime.fromtimestamp(begins, UTC): quality_of(worst)
            for begins, worst in zip(slices.starts.tolist(), slices.worst.tolist(), strict=True)
        }
        of = {i: next(said[start] for start in said if start <= values[i][0] < start + found.slice) for i in spoilt}
        # How many are missing stands in n; it does not hide what is doubted, where both are known.
        mixed = Quality.DOUBTFUL if step is Step.RAW else Quality.MISSING
        assert of == {
            100: Quality.DOUBTFUL,
            500: mixed,
            501: mixed,
            921: Quality.DOUBTFUL,
            1300: Quality.BAD,
            1700: Quality.MISSING,
        }
        assert sum(quality not in (Quality.GOOD, None) for quality in said.values()) == 5
        # Each slice that has one says it on the curve, and nobody else does.
        shown: dict[datetime, set[Quality | None]] = {}
        for at, told in qualities(found).items():
            start = max(start for start in said if start.timestamp() <= at)
            shown.setdefault(start, set()).update(told)
        assert {start: told - {Quality.GOOD} for start, told in shown.items()} == {
            start: {quality} - {Quality.GOOD} for start, quality in said.items() if start in shown
        }
        if step is Step.RAW:
            assert qualities(found)[values[100][0].timestamp()] == {Quality.DOUBTFUL}, "the one that is doubted says it"
    hours = read(registered, tenant, LEVEL, START, end, None, Step.HOUR)
    assert sum(said != {Quality.GOOD} for said in qualities(hours).values()) == 5
    days = read(registered, tenant, LEVEL, START, end, None, Step.DAY)
    assert Quality.BAD in set().union(*qualities(days).values())


def test_a_total_says_it_too(registered: Registered, tenant: Connection) -> None:
    values: list[tuple[datetime, float | None, Quality]] = [
        (START + (i + 1) * STEP, 0.5, Quality.DOUBTFUL if i == 300 else Quality.GOOD) for i in range(5 * 144)
    ]
    tell(registered, RAIN, values)
    for step in Step:
        for points in (None, 100):
            found = read(registered, tenant, RAIN, START - timedelta(days=1), values[-1][0], points, step)
            (doubted,) = (at for at, said in qualities(found).items() if said == {Quality.DOUBTFUL})
            length = found.slice or {Step.RAW: STEP, Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1)}[step]
            assert doubted - length.total_seconds() < values[300][0].timestamp() <= doubted, (step, points)


def test_a_series_without_observations_is_an_empty_curve(registered: Registered, tenant: Connection) -> None:
    for step in Step:
        for name in (LEVEL, RAIN):
            assert len(read(registered, tenant, name, START, START + timedelta(days=1), 100, step).times) == 0


def test_a_series_of_nothing_but_missing_ones_is_a_curve_without_a_line(
    registered: Registered, tenant: Connection
) -> None:
    for name in (LEVEL, RAIN):
        tell(registered, name, [(at, None, Quality.MISSING) for at, _, _ in noise(300)])
        for points in (None, 100, 20):
            found = read(registered, tenant, name, START, START + 300 * STEP, points)
            assert found.read == 300 and known(found) == []


def test_the_api_gives_a_curve_where_points_are_asked_for(town_hall: TownHall) -> None:
    times = minutes(*range(0, 600, 10))
    town_hall.observe(LEVEL, *[(at, None if n == 30 else n / 10) for n, at in enumerate(times)])
    span = "from=2026-06-01T00:00:00Z&to=2026-06-01T10:00:00Z"
    with town_hall.visitor(Role.VIEWER) as client:
        whole = client.get(f"{HISTORY}?{span}&step=auto").json()
        thin = client.get(f"{HISTORY}?{span}&step=raw&points=20").json()
        hours = client.get(f"{HISTORY}?{span}&step=hour&points=20").json()
        long = client.get(f"{HISTORY}?from=1990-01-01T00:00:00Z&step=auto").json()
        for wrong in ("points=19", "points=5001", "points=many"):
            assert_problem(client.get(f"{HISTORY}?{span}&{wrong}"), 422, "invalid")
        assert_problem(client.get(f"{HISTORY}?from=1990-01-01T00:00:00Z&step=hour&points=500"), 400, "bad_request")
    assert (whole["step"], whole["slice_seconds"], whole["unit"]) == ("raw", None, "m")
    assert (whole["from"], whole["to"]) == ("2026-06-01T00:00:00Z", "2026-06-01T10:00:00Z")
    assert whole["points"][:2] == [
        {"time": "2026-06-01T00:00:00Z", "value": 0.0, "quality": "good"},
        {"time": "2026-06-01T00:10:00Z", "value": 0.1, "quality": "good"},
    ]
    assert [each for each in whole["points"] if each["value"] is None] == [
        {"time": "2026-06-01T05:00:00Z", "value": None, "quality": "missing"}
    ]
    assert len(whole["points"]) == 60
    assert thin["slice_seconds"] and len(thin["points"]) <= 20
    assert max(each["value"] for each in thin["points"] if each["value"] is not None) == 5.9
    assert (hours["step"], hours["points"]) == ("hour", []), "the rollups are not worked out yet"
    assert long["step"] == "day"


def test_a_year_of_hours_is_read_from_its_index_alone(registered: Registered) -> None:
    """In the table they lie as they came, hour by hour of all series: each on a page of its own in a large town."""
    with psycopg.connect(registered.owner, autocommit=True) as conn:
        conn.execute(
            """
            insert into rollup_hour (municipality_id, datastream_id, hour, n, expected, minimum, maximum, mean,
                                     worst_quality)
            select municipality_id, datastream_id, %s - n * interval '1 hour', 6, 6, 1, 2, 1.5, 'good'
            from generate_series(0, 8759) as n, datastream
            """,
            (START,),
        )
        conn.execute("checkpoint")  # without it the commit may not be known to all yet
        conn.execute("vacuum analyze rollup_hour")
    series = registered.datastream("river-mimamoribashi", "water_level")
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        (plan,) = conn.execute(
            """
            explain (analyze, format json)
            select date_part('epoch', hour), minimum, maximum, total, n, worst_quality from rollup_hour
            where datastream_id = %s and hour >= %s and hour <= %s order by hour
            """,
            (series, START - timedelta(days=366), START),
        ).fetchone() or ([],)
    found = json.dumps(plan)
    assert '"Index Only Scan"' in found and '"Heap Fetches": 0' in found, found

"""How long the water takes between gauges: found from stored rises, unknown where those are too few, and measured on
recorded rivers.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from analytics.maintenance import Maintenance
from analytics.rivers.link_job import EVERY, next_link
from analytics.rivers.link_records import KnownLink, LinkError, LinkState, Verdict, known_links, say
from analytics.rivers.links import FEWEST, Lag, Link, lag, least_rise, link, margin
from analytics.rivers.turning import despiked, rises
from analytics.rollups import recompute
from api.database import enter_municipality
from devices.clock import FixedClock
from store import Connection, connect
from store.columns import Floats
from store.feed import Touched
from tests.conftest import START, Registered

STEP, HOUR = timedelta(minutes=10), timedelta(hours=1)
RECORDS = Path(os.environ.get("MIMAMORI_TEST_RIVERS", "/nowhere"))
UPPER, LOWER, WEST = "river-okusawa", "river-takehara", "river-shiomibashi"


def record(n_floods: int, late: timedelta, *, seed: int = 1, days: int = 40) -> Floats:
    """Days of 10 minutes with floods of different heights and speeds, `late`, and a gauge's tremble of a few mm."""
    chance = np.random.default_rng(seed)
    at = np.arange(days * 144) * 10.0 - late / timedelta(minutes=1)
    level = np.full(len(at), 0.4)
    for n in range(n_floods):
        begin, rise, height = 1440.0 * (2 + n * 3) + 137 * n, 90.0 + 60 * (n % 4), 0.6 + 0.35 * (n % 5)
        since = at - begin
        level += height * np.where(
            since < 0, 0.0, np.minimum(since / rise, 1.0) * np.exp(-np.maximum(since - rise, 0) / 400)
        )
    return level + np.random.default_rng(seed + 99 + int(late.total_seconds())).normal(
        0, 0.003, len(at)
    ) * chance.uniform(0.9, 1)


def lags_of(
    up: Floats, down: Floats, step: timedelta, longest: timedelta, looked_at: list[int] | None = None
) -> list[Lag]:
    """Of each rise of the record, as the job finds it in what is stored."""
    found = []
    for rise in rises(despiked(down), least_rise(down)):
        low = np.flatnonzero(down[rise.begin : rise.peak] <= down[rise.begin] + 0.1 * rise.height)
        begin = rise.begin + int(low[-1])
        before, after = (round(each / step) + 1 for each in margin((rise.peak - begin) * step, step, longest))
        if begin < before or rise.peak + after > len(down) or (rise.peak - begin) * step > timedelta(days=10):
            continue
        part = slice(begin - before, rise.peak + after)
        said = lag(up[part], down[part], step, before, before + rise.peak - begin, longest)
        found += [] if said is None else [said]
        if looked_at is not None:
            looked_at.append(begin)
    return found


def learned(up: Floats, down: Floats, step: timedelta, longest: timedelta) -> Link:
    """What the record says."""
    looked_at: list[int] = []
    return link(lags_of(up, down, step, longest, looked_at), len(looked_at))


def test_a_lag_is_found_whatever_the_height_of_a_flood_and_a_jump_of_the_gauge_changes_nothing() -> None:
    up, down = record(12, timedelta(0)), 1.4 * record(12, timedelta(minutes=40)) - 0.9
    down[[400, 2222]] += 6.0  # a leaf before the sensor
    up[3000:3050] = np.nan
    found = learned(up, down, STEP, timedelta(hours=6))
    assert found.events >= 9 and found.p50 is not None and found.p10 is not None and found.p90 is not None
    assert abs(found.p50 - timedelta(minutes=40)) <= timedelta(minutes=3)
    assert found.p90 - found.p10 <= timedelta(minutes=15) and (found.alike or 0) > 0.95


def test_gauges_that_have_nothing_to_do_with_each_other_are_not_linked() -> None:
    other = np.roll(record(12, timedelta(0), seed=5), 144 + 60)
    found = learned(other, record(12, timedelta(0)), STEP, timedelta(hours=6))
    assert found.p50 is None


def test_too_few_rises_say_nothing() -> None:
    assert link([Lag(HOUR, 0.99)] * (FEWEST - 1), FEWEST - 1) == Link(4, 4, None, None, None, 0.99)
    assert link([], 3) == Link(3, 0, None, None, None, None)


def recorded(name: str) -> pytest.MarkDecorator:
    there = (RECORDS / name).is_dir()
    return pytest.mark.skipif(not there, reason=f"MIMAMORI_TEST_RIVERS names no folder with recorded rivers, {name}")


def columns_of(name: str, *heads: str) -> list[Floats]:
    with (RECORDS / name / "series.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [np.array([float(row[each] or "nan") for row in rows]) for each in heads]


@recorded("han")
@pytest.mark.parametrize(("upper", "lower"), [("wl_1018620", "wl_1018630"), ("wl_1018620", "wl_1018625")])
def test_on_a_recorded_river_both_halves_of_the_record_say_the_same(upper: str, lower: str) -> None:
    """Han, hourly: five and a half years, each half by itself; the same within the gauges' interval, and downstream."""
    up, down = columns_of("han", upper, lower)
    half = len(up) // 2
    halves = [learned(up[part], down[part], HOUR, 12 * HOUR) for part in (slice(half), slice(half, None))]
    lags = [each.p50 / HOUR for each in halves if each.p50 is not None]
    assert len(lags) == 2 and all(0.0 < each < 2.0 for each in lags) and abs(lags[0] - lags[1]) < 1.0


@recorded("gloria_2020_01")
@pytest.mark.parametrize(
    ("upper", "lower", "hours"),
    [
        ("Y026401001_H", "Y027401001_H", (0.5, 1.2)),
        ("Y251002001_H", "Y251003001_H", (0.1, 0.6)),
        ("Y257404001_H", "Y258001002_H", (1.8, 2.8)),
    ],
)
def test_in_a_recorded_storm_every_rise_says_about_the_same_and_they_are_too_few_to_be_told(
    upper: str, lower: str, hours: tuple[float, float]
) -> None:
    """Agly and Orb in the storm Gloria, every 10 minutes: one or two rises a gauge."""
    up, down = (column / 1000 for column in columns_of("gloria_2020_01", upper, lower))
    found = lags_of(up, down, STEP, 24 * HOUR)
    assert found and all(hours[0] < each.after / HOUR < hours[1] for each in found)
    assert learned(up, down, STEP, 24 * HOUR).p50 is None


# --- stored ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tell(registered: Registered) -> Callable[[str, Floats], None]:
    """Stores a record of 10 minutes that ends at START, with its hours and days."""

    def store(station: str, values: Floats) -> None:
        series = registered.datastream(station, "water_level")
        first = START - len(values) * STEP
        with connect(registered.owner, name="test") as conn:
            conn.execute(
                """
                insert into observation (datastream_id, phenomenon_time, value, quality)
                select %s, %s + (n - 1) * interval '10 min', v, 'good'
                from unnest(%s::float8[]) with ordinality as u (v, n)
                on conflict do nothing
                """,
                (series, first, values.tolist()),
            )
            recompute(conn, [Touched(series, first, START)])

    return store


def learn(registered: Registered, now: datetime) -> int:
    """Everything that is due; how many pairs that were."""
    with connect(registered.worker, name="test") as conn:
        done = 0
        while next_link(conn, now):
            done += 1
        return done


def links(registered: Registered) -> dict[tuple[str, str], KnownLink]:
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        codes: dict[int, str] = dict(conn.execute("select station_id, code from station").fetchall())
        return {(codes[each.upstream_id], codes[each.downstream_id]): each for each in known_links(conn)}


def said(
    registered: Registered, upper: str, lower: str, verdict: Verdict, travel: timedelta | None, reason: str
) -> None:
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        above, below = _id(conn, upper), _id(conn, lower)
        user = conn.execute("select user_id from app_user limit 1").fetchone()
        assert user is not None
        say(
            conn,
            registered.municipality_id,
            above,
            below,
            verdict,
            travel=travel,
            reason=reason,
            now=START,
            user_id=user[0],
        )


def _id(conn: Connection, code: str) -> int:
    row = conn.execute("select station_id from station where code = %s", (code,)).fetchone()
    assert row is not None
    return int(row[0])


def test_the_job_learns_each_pair_once_a_week_and_again_when_much_was_imported(
    registered: Registered, tell: Callable[[str, Floats], None]
) -> None:
    assert learn(registered, START) == 0, "nothing is stored"
    tell(UPPER, record(12, timedelta(0)))
    tell(LOWER, record(12, timedelta(minutes=40)))
    tell(WEST, record(2, timedelta(0), seed=4, days=9))
    assert learn(registered, START) == 5, "one on the river, and to and from the gauge of the other river"
    assert learn(registered, START + timedelta(days=6)) == 0
    found = links(registered)[UPPER, LOWER]
    assert found.state is LinkState.LEARNED and found.shown and not found.proposed and found.km == pytest.approx(3.2)
    assert found.p50 is not None and abs(found.p50 - timedelta(minutes=40)) <= timedelta(minutes=3)
    assert found.since is not None and found.until is not None and found.since < found.until < START
    other = links(registered)[UPPER, WEST]
    assert (other.km, other.state, other.shown) == (None, LinkState.UNKNOWN, False), "too few rises are not a short way"
    tell("river-mimamoribashi", record(12, timedelta(minutes=70)))
    assert learn(registered, START + timedelta(days=1)) == 4, "only those of the new record"
    assert learn(registered, START + EVERY) == 5 and learn(registered, START + EVERY + timedelta(days=1)) == 4
    with connect(registered.owner, name="test") as conn:
        versions = conn.execute("select count(*), count(distinct learnt_at) from station_link").fetchone()
    assert versions == (18, 4), "what was learned before stays"


def test_the_house_learns_them_by_itself(registered: Registered, tell: Callable[[str, Floats], None]) -> None:
    tell(UPPER, record(12, timedelta(0)))
    tell(LOWER, record(12, timedelta(minutes=40)))
    keeper = Maintenance(FixedClock(START))
    with connect(registered.worker, name="test") as conn:
        for _ in range(1000):  # steps of the other work that comes before
            keeper.tick(conn)
            conn.commit()
            if conn.execute("select from station_link").fetchone():
                break
    assert links(registered)[UPPER, LOWER].learnt_at == START


def test_a_word_of_people_stands_above_what_was_learned(
    registered: Registered, tell: Callable[[str, Floats], None]
) -> None:
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "insert into app_user (municipality_id, login, display_name, role, password_hash) "
            "values (%s, 'a', '防災', 'disaster', 'x')",
            (registered.municipality_id,),
        )
    tell(UPPER, record(12, timedelta(0)))
    tell(LOWER, record(12, timedelta(minutes=40)))
    learn(registered, START)
    said(registered, UPPER, LOWER, Verdict.REFUSED, None, "途中の堰で別の水系へ流れる")
    assert not links(registered)[UPPER, LOWER].shown
    said(registered, UPPER, LOWER, Verdict.SET, timedelta(minutes=55), "県の調査")
    told = links(registered)[UPPER, LOWER]
    assert told.shown and told.word is not None and told.word.travel == timedelta(minutes=55) and told.word.by == "防災"
    said(registered, UPPER, LOWER, Verdict.OPEN, None, "取り消す")
    assert links(registered)[UPPER, LOWER].state is LinkState.LEARNED
    said(registered, WEST, "river-mimamoribashi", Verdict.SET, None, "放水路")
    assert links(registered)[WEST, "river-mimamoribashi"].shown
    for pair, travel, reason, field in (
        ((UPPER, UPPER), None, "x", "pair"),
        (("river-mimamoribashi", WEST), None, "輪になる", "pair"),
        ((WEST, LOWER), timedelta(days=9), "x", "travel"),
        ((WEST, LOWER), None, "  ", "reason"),
    ):
        with pytest.raises(LinkError) as refused:
            said(registered, *pair, Verdict.SET, travel, reason)
        assert refused.value.field == field

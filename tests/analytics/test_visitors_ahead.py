"""What is expected of the spots: learned from their own series, said once a day, and never of what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.visitors.ahead import Event, Expected, changed, expected, look_ahead, said_ahead
from analytics.visitors.checks import estimates, gate, periods
from analytics.visitors.day_types import calendar
from analytics.visitors.expected import forecaster
from analytics.visitors.expected.counts import Counts, Floats
from analytics.visitors.expected.effects import with_effect
from analytics.visitors.expected.situation import Situation, Weather
from analytics.visitors.issued import Issued, of_days
from analytics.visitors.past_weather import weather_of
from analytics.visitors.spots.series import days, hours
from devices.model import Quality
from store import connect
from store.jma_spells import Spell
from tests.analytics.series import Analyst
from tests.analytics.test_spots import spot_of
from tests.conftest import START
from tests.store.test_jma import issue

TOKYO = ZoneInfo("Asia/Tokyo")
DAY, HOUR, TEN = timedelta(days=1), timedelta(hours=1), timedelta(minutes=10)
TODAY = date(2026, 6, 8)  # a Monday


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), TOKYO).astimezone(UTC)


def counted(day: date, busy: float) -> list[tuple[datetime, float]]:
    """From 8 to 18 o'clock, every ten minutes."""
    return [(midnight(day) + n * TEN, busy * (48 < n <= 108)) for n in range(1, 145)]


def told(analyst: Analyst, code: str, per_day: int) -> list[Expected]:
    spot = spot_of(analyst, code)
    with connect(analyst.town.worker, name="test") as conn:
        return list(expected(conn, [spot], per_day, midnight(TODAY), midnight(TODAY + 7 * DAY)).get(spot, ()))


def test_days_and_hours_of_a_week_are_expected_and_nothing_of_what_is_too_new(analyst: Analyst) -> None:
    taki = analyst.town.datastream("spot-taki", "passages_in")
    museum = analyst.town.datastream("spot-shiryokan", "passages_day")
    for back in range(42, 0, -1):
        day = TODAY - back * DAY
        busy = 2.0 if day.weekday() >= 5 else 1.0
        # of the last Sunday nothing at all: a day that is not there is no day of 0
        if 1 < back <= 35:
            analyst.send(taki, counted(day, busy))
        if back <= 20:
            analyst.send(museum, [(midnight(day + DAY), 30.0)])
    analyst.work()
    now = midnight(TODAY) + timedelta(minutes=30)
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        assert look_ahead(conn, analyst.town.municipality_id, now) == 1
        assert look_ahead(conn, analyst.town.municipality_id, now) == 1, "and once more is the same"
    week = told(analyst, "spot-taki", 1)
    assert [each.start for each in week] == [midnight(TODAY + n * DAY) for n in range(7)]
    assert [each.lead for each in week] == list(range(1, 8)) and {each.issued for each in week} == {now}
    assert [round(each.value / 60) for each in week] == [1, 1, 1, 1, 1, 2, 2]
    assert all(each.low <= each.value <= each.high for each in week)
    by_hour = told(analyst, "spot-taki", 24)
    assert len(by_hour) == 48 and {each.lead for each in by_hour} == {1, 2}
    assert [round(each.value) for each in by_hour[:24]] == [6 * (8 <= hour < 18) for hour in range(24)]
    assert told(analyst, "spot-shiryokan", 1) == [], "twenty days are too few"


def test_without_anything_counted_nothing_is_said(analyst: Analyst) -> None:
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        assert look_ahead(conn, analyst.town.municipality_id, midnight(TODAY)) == 0
    assert analyst.rows("select * from visitor_expected") == []


def test_a_day_of_an_event_is_expected_as_its_earlier_ones_and_hours_by_hand_are_hours(analyst: Analyst) -> None:
    taki = analyst.town.datastream("spot-taki", "passages_in")
    festival, other = TODAY - 14 * DAY, TODAY - 9 * DAY
    for back in range(42, 0, -1):
        day = TODAY - back * DAY
        analyst.send(taki, counted(day, 4.0 if day == festival else 2.0))
    ((user, museum),) = analyst.rows(
        """
        with who as (
            insert into app_user (municipality_id, login, display_name, password_hash, role)
            select municipality_id, 'kanko', '観光係', 'x', 'tourism' from municipality limit 1 returning user_id
        )
        select user_id, (select station_id from station where code = 'spot-shiryokan') from who
        """
    )
    entered: list[tuple[datetime, int | None]] = [
        (midnight(TODAY - back * DAY) + hour * HOUR, 10 * (hour - 8))
        for back in range(35, 0, -1)
        for hour in (9, 10, 11)
    ]
    entered += [(midnight(TODAY - DAY) + 11 * HOUR, None), (midnight(TODAY - DAY) + 10 * HOUR, 0)]
    for at, value in entered:
        analyst.execute(
            """
            insert into part_entry (municipality_id, station_id, kind, name, from_time, to_time, value, entered_at,
                                    entered_by, note)
            select municipality_id, station_id, 'hour', '', %s, %s, %s, %s, %s, '' from station where station_id = %s
            """,
            *(at, at + HOUR, value, at, user, museum),
        )
    for name, kind, day, spots in (
        ("第1回 滝まつり", "event", festival, ["spot-taki"]),
        ("第2回 滝まつり", "event", TODAY + DAY, ["spot-taki"]),
        ("通行止め", "closure", TODAY + 2 * DAY, []),
        ("運動会", "event", other, ["spot-shiryokan"]),
    ):
        analyst.execute(
            """
            insert into local_event
                (municipality_id, kind, name, first_day, last_day, spots, note, entered_at, entered_by)
            select municipality_id, %s, %s, %s, %s, %s, '', now(), %s from municipality limit 1
            """,
            *(kind, name, day, day, spots, user),
        )
    analyst.work()
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        by_hand = hours(conn, spot_of(analyst, "spot-shiryokan"), TODAY - 2 * DAY, TODAY)
        look_ahead(conn, analyst.town.municipality_id, midnight(TODAY) + timedelta(minutes=30))
    kept = {
        (each.start.day, each.start.hour): (each.visitors, each.state) for each in by_hand if each.state != "absent"
    }
    yesterday = (TODAY - DAY).day
    assert kept == {
        **{(yesterday - 1, 8 + n): (10.0 * n, "ok") for n in (1, 2, 3)},
        (yesterday, 9): (10.0, "ok"),
        (yesterday, 10): (0.0, "ok"),
    }, "what was taken back is no hour, 0 is one, and a day without any has none"
    assert len(by_hand) == 48
    week = told(analyst, "spot-taki", 1)
    plain, again, closed = week[0], week[1], week[2]
    assert plain.event is None and round(plain.value / 60) == 2, "the festival two weeks ago is no usual Monday"
    assert again.event == Event("第2回 滝まつり", "same", 1, again.event.factor if again.event else 0)
    assert again.event is not None and again.event.factor == pytest.approx(2.0, rel=0.05)
    assert again.value == pytest.approx(240, rel=0.1) and again.low < 200 and again.high > 290
    assert closed.event is not None and (closed.event.basis, closed.event.past) == ("none", 0)
    assert closed.value == pytest.approx(plain.value, rel=0.1)
    assert closed.low < 0.4 * closed.value and closed.high > 2.9 * closed.value
    by_hour = told(analyst, "spot-taki", 24)
    assert by_hour[24 + 12].event == again.event and by_hour[24 + 12].value == pytest.approx(24, rel=0.15)
    assert [(each.start - midnight(TODAY)) // HOUR for each in told(analyst, "spot-shiryokan", 24)] == [
        *(9, 10, 11, 33, 34, 35)
    ], "of the hours that nobody counts nothing is said"


def test_zeros_that_people_answer_for_are_learned_from(analyst: Analyst) -> None:
    """Closed on three Wednesdays, for the first time: entered by hand at one spot; of the other's counter two were
    taken for faults, and overruled, and one stands on a day that was checked.
    """
    taki = analyst.town.datastream("spot-taki", "passages_in")
    museum = analyst.town.datastream("spot-shiryokan", "passages_day")
    closed = [TODAY - back * DAY for back in (19, 12, 5)]
    for back in range(42, 0, -1):
        day = TODAY - back * DAY
        analyst.send(taki, counted(day, 0.0 if day in closed else 5.0))
        analyst.send(museum, [(midnight(day + DAY), 0.0 if day in closed else 300.0)])
    analyst.work()
    ((user,),) = analyst.rows(
        """
        insert into app_user (municipality_id, login, display_name, password_hash, role)
        select municipality_id, 'kanko', '観光係', 'x', 'tourism' from municipality limit 1 returning user_id
        """
    )
    spot, now, town = spot_of(analyst, "spot-taki"), midnight(TODAY) + timedelta(minutes=30), analyst.town
    with connect(town.owner, name="test") as conn:
        *found, (last,) = conn.execute("select count_period_id from count_period order by starts_at").fetchall()
        assert len(found) == 2, "the rule takes them for faults"
        conn.execute("delete from count_period where count_period_id = %s", (last,))  # as where no rule has looked
        for (period,) in found:
            said = periods.overrule(conn, town.municipality_id, period, periods.Saying(user, now, "休業日"))
            estimates.put(conn, said.station_id, closed[0], closed[2])
        gate.check(conn, gate.Person(town.municipality_id, user, now), spot, days(conn, spot, closed[2], closed[2]))
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        look_ahead(conn, analyst.town.municipality_id, now)
    for code in ("spot-shiryokan", "spot-taki"):
        tuesday, wednesday = told(analyst, code, 1)[1:3]
        assert tuesday.value > 150 and wednesday.value < 15, code
        assert tuesday.high < 1000, "of six weeks little is known, and an interval has an end all the same"


def test_weather_that_is_not_foreseen_is_known_of_the_days_that_are_over_alone() -> None:
    chance, days, lead = np.random.default_rng(2), 60, 2
    known = calendar(date(2026, 3, 2), days)
    counts = Counts(known.first, 1, chance.poisson(50, (days, 1)).astype(float))
    rain, changed = chance.gamma(0.3, 10, (days, 1)), days - lead + 1

    def learned(millimetres: Floats) -> np.ndarray:
        return Situation.of(counts, known, Weather(millimetres, foreseen=False), lead).table(np.arange(days))

    later, before = rain.copy(), rain.copy()
    later[changed - 1 :], before[changed - 2] = 99, 99
    assert np.array_equal(learned(rain)[:days], learned(later)[:days], equal_nan=True)
    assert not np.array_equal(learned(rain)[-1], learned(before)[-1], equal_nan=True)


def test_who_comes_by_how_warm_it_is_is_expected_by_how_warm_it_has_been() -> None:
    chance, days = np.random.default_rng(5), 300
    degrees = np.zeros(days)
    for day in range(1, days):  # a warm day follows a warm one
        degrees[day] = 0.7 * degrees[day - 1] + chance.normal(0, 3.6)
    came = Counts(date(2025, 4, 7), 1, chance.poisson(4 * np.exp(0.2 * degrees)).astype(float)[:, None])

    def expected_after(last: float) -> float:
        known = calendar(came.first, days + 1)
        weather = np.column_stack([np.full(days, np.nan), degrees])
        weather[-1, 1] = last
        said, _ = said_ahead(came, known, (1,), weather)
        return float(said[1].value[0, 0])

    assert expected_after(10.0) > 1.5 * expected_after(-10.0), "of one and the same past of counts"


def test_what_days_of_the_agency_have_changed_is_learned_spot_by_spot_and_expected_of_the_next() -> None:
    chance, days, factors = np.random.default_rng(6), 301, np.array([0.3, 0.7, 1.0, 1.6])
    known = calendar(date(2025, 4, 7), days + 7)
    stood = np.zeros(days, dtype=bool)
    stood[[60, 101, 140, 183, 220, 261]] = True
    usual = 400.0 + 100 * (np.arange(days) % 7 >= 5)
    came = chance.poisson(usual[:, None] * np.where(stood[:, None], factors, 1.0)).astype(float)
    heavy = Spell("レベル３大雨警報", "気象台", START, None, 3)
    standing = tuple(heavy if each else None for each in stood)
    agency = Issued(known.first, (*standing, heavy, *[None] * 6))
    said, without = said_ahead(Counts(known.first, 1, np.where(stood[:, None], np.nan, came)), known, (1,))
    for at, factor in enumerate(factors):
        past = agency.past(came[:, at], without[:, at])
        effect = agency.effect(days, past)
        assert effect is not None and (effect.basis, effect.past) == ("same", 6)
        assert effect.factor == pytest.approx(factor, rel=0.15)
        plain = float(said[1].value[0, at])
        value, low, high = with_effect(plain, float(said[1].lo[0, at]), float(said[1].hi[0, at]), effect)
        assert value == pytest.approx(factor * 400, rel=0.2) and low < factor * 400 < high
        assert high - low > said[1].hi[0, at] * factor - said[1].lo[0, at] * factor, "it is less sure than a plain day"
        assert agency.effect(days + 1, past) is None


def test_a_day_counts_when_something_stands_by_day_and_today_and_tomorrow_as_far_as_is_known() -> None:
    first = TODAY - 3 * DAY

    def at(day: int, hour: float) -> datetime:
        return midnight(first + day * DAY) + hour * HOUR

    found = [
        Spell("暴風警報", "台", at(0, 15), at(1, 5), 3),  # a night
        Spell("大雨警報", "台", at(1, 14), at(2, 7), 3),
        Spell("大雨特別警報", "台", at(2, 6.5), at(2, 9), 5),
        Spell("大雪警報", "台", at(3, 4), None, 3),  # today, and nobody says for how long
    ]
    names = [None if each is None else each.name for each in of_days(found, TOKYO, first, 6, at(3, 5)).standing]
    assert names == [None, "大雨警報", "大雨特別警報", "大雪警報", None, None]
    longer = [replace(found[3], end=at(4, 12))]
    assert of_days(longer, TOKYO, first, 6, at(3, 5)).days.tolist() == [False] * 3 + [True, True, False]


def test_a_day_for_which_something_of_the_agency_stands_is_expected_as_earlier_ones_and_anew_when_it_changes(
    analyst: Analyst,
) -> None:
    town, taki = analyst.town.municipality_id, analyst.town.datastream("spot-taki", "passages_in")
    stormy = (TODAY - 20 * DAY, TODAY - 11 * DAY)
    for back in range(42, 0, -1):
        day = TODAY - back * DAY
        analyst.send(taki, counted(day, 1.0 if day in stormy else 4.0))
    analyst.work()

    def telegram(at: datetime, level: int | None, status: str = "通常") -> None:
        with connect(analyst.town.worker, name="test") as conn:
            issue(conn, town, level, at, status=status)

    for day in stormy:
        telegram(midnight(day) + 5 * HOUR, 3)
        telegram(midnight(day) + 20 * HOUR, None)
    telegram(midnight(TODAY) - HOUR, 4, "訓練")
    early = midnight(TODAY) + timedelta(minutes=30)
    telegram(early - timedelta(minutes=20), 3)
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        look_ahead(conn, town, early)
        assert not changed(conn, town, TOKYO, early)
        today, tomorrow, *_ = told(analyst, "spot-taki", 1)
        by_hour = told(analyst, "spot-taki", 24)
        telegram(midnight(TODAY) + 5 * HOUR, None)
        later = midnight(TODAY) + 6 * HOUR
        assert not changed(conn, town, TOKYO, early) and changed(conn, town, TOKYO, later)
        assert not changed(conn, town, TOKYO, midnight(TODAY) + 15 * HOUR), "little can change any more"
        look_ahead(conn, town, later)
    assert today.standing is not None and today.standing.since == early - timedelta(minutes=20)
    assert (today.standing.name, today.standing.basis, today.standing.past) == ("レベル３大雨警報", "same", 2)
    assert today.value == pytest.approx(60, rel=0.3) and tomorrow.value == pytest.approx(240, rel=0.15)
    assert tomorrow.standing is None and today.standing.factor == pytest.approx(0.25, rel=0.3)
    assert by_hour[12].standing == today.standing and by_hour[12].value == pytest.approx(6, rel=0.4)
    calm = told(analyst, "spot-taki", 1)[0]
    hours_of_day = [each.issued for each in told(analyst, "spot-taki", 24)]
    assert hours_of_day == [early] * 6 + [later] * 42, "an hour that has begun keeps what was said of it"
    assert calm.standing is None and calm.value == pytest.approx(240, rel=0.15)


def test_the_warmest_hour_of_whole_days_is_known_and_of_others_nothing(analyst: Analyst) -> None:
    analyst.execute(
        """
        insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step)
        select municipality_id, station_id, 'air_temperature', 'Cel', 'instant', '1 hour' from station
        where code in ('rain-yakuba', 'rain-okusawa', 'rain-shiomi')
        """
    )
    ids = [each for (each,) in analyst.rows("select datastream_id from datastream where unit = 'Cel' order by 1")]
    first = TODAY - 4 * DAY
    for n, series in enumerate(ids):
        for day in range(4):
            begins = midnight(first + day * DAY)
            values: list[tuple[datetime, float | tuple[float, Quality] | None]] = [
                (begins + hour * HOUR, float(10 * n + day + (hour == 13))) for hour in range(24)
            ]
            if day == 1:  # half a day is none
                values = values[:12]
            if day == 2:  # a doubtful peak is none
                values[13] = (values[13][0], (45.0, Quality.DOUBTFUL))
            if day == 3 and n:  # one thermometer alone
                values = []
            analyst.send(series, values)
    analyst.work()
    with connect(analyst.town.worker, name="test") as conn:
        rain, warmest = weather_of(conn, analyst.town.municipality_id, TOKYO, first, TODAY).T
    assert np.isnan(rain).all() and np.array_equal(warmest, [11.0, np.nan, 12.0, 4.0], equal_nan=True)


def test_a_column_comes_to_the_model_in_few_values_in_its_order_and_what_is_not_known_stays_so() -> None:
    chance = np.random.default_rng(3)
    many, few = chance.lognormal(size=3000), chance.integers(0, 7, 3000)
    gaps = np.where(many > 2.0, np.nan, many)
    same, unknown = np.full(3000, 5.0), np.full(3000, np.nan)
    table = np.column_stack([many, few, gaps, same, unknown]).astype(np.float32)
    coarse = forecaster._coarse(table)
    assert [len(np.unique(column[~np.isnan(column)])) for column in coarse.T] == [255, 7, 255, 1, 1]
    assert (np.diff(coarse[np.argsort(many), 0]) >= 0).all(), "no two change places"
    assert np.median(np.abs(np.log(coarse[:, 0] / many))) < 0.01
    assert (coarse[:, 1] == few).all()
    assert (np.isnan(coarse[:, 2]) == np.isnan(gaps)).all()
    assert not coarse[:, 3:].any(), "what is the same everywhere says nothing"

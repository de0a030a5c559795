"""What is expected of the spots: learned from their own series, said once a day, and never of what is not known."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from analytics.visitors.ahead import Expected, expected, look_ahead
from store import connect
from tests.analytics.series import Analyst
from tests.analytics.test_spots import spot_of

TOKYO = ZoneInfo("Asia/Tokyo")
DAY = timedelta(days=1)
TODAY = date(2026, 6, 8)  # a Monday


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), TOKYO).astimezone(UTC)


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
        if back <= 35:
            tens = [midnight(day) + n * timedelta(minutes=10) for n in range(1, 145)]
            # 8 to 18 o'clock, and of the last Sunday nothing at all: a day that is not there is no day of 0
            if back != 1:
                analyst.send(taki, [(at, busy * (48 < n <= 108)) for n, at in enumerate(tens, 1)])
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
    hours = told(analyst, "spot-taki", 24)
    assert len(hours) == 48 and {each.lead for each in hours} == {1, 2}
    assert [round(each.value) for each in hours[:24]] == [6 * (8 <= hour < 18) for hour in range(24)]
    assert told(analyst, "spot-shiryokan", 1) == [], "twenty days are too few"


def test_without_anything_counted_nothing_is_said(analyst: Analyst) -> None:
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        assert look_ahead(conn, analyst.town.municipality_id, midnight(TODAY)) == 0
    assert analyst.rows("select * from visitor_expected") == []

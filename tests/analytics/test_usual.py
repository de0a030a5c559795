"""Today so far against the usual: which days count, up to which time, and when there is no comparison."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.visitors.day_types import DayType
from analytics.visitors.usual import Part, SoFar, WhyNot, compare, counts_of, local_day, so_far
from store import connect
from tests.analytics.series import Analyst, Value

TOKYO = ZoneInfo("Asia/Tokyo")
TEN = timedelta(minutes=10)
MONDAY = date(2026, 6, 1)


def midnight(day: date, zone: ZoneInfo = TOKYO) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def counted(day: date, each: float, *, until: int = 144, without: range = range(0)) -> list[tuple[datetime, Value]]:
    """`each` passages in every ten minutes of a local day, but for the slots left out."""
    return [(midnight(day) + n * TEN, each) for n in range(1, until + 1) if n not in without]


def part(today: int | None, completeness: float, earlier: list[int]) -> SoFar:
    return SoFar(
        Part(MONDAY, today, completeness),
        None,
        tuple(Part(MONDAY - timedelta(days=7 * n), visits, 1.0) for n, visits in enumerate(earlier, start=1)),
    )


def test_the_usual_is_the_median_so_one_festival_does_not_move_it() -> None:
    found = compare(part(108, 1.0, [100, 98, 5000, 102, 99, 101, 97, 100]))
    assert (found.kind, found.n, found.usual, found.share) == (DayType.WEEKDAY, 8, 100, 1.08)


@pytest.mark.parametrize(
    ("today", "completeness", "earlier", "why"),
    [
        (50, 1.0, [40, 60], WhyNot.FEW_DAYS),
        (50, 0.84, [40, 60, 50], WhyNot.GAPS),
        (None, 0.0, [40, 60, 50], WhyNot.NOTHING_YET),
    ],
)
def test_without_a_base_there_is_no_comparison(
    today: int | None, completeness: float, earlier: list[int], why: WhyNot
) -> None:
    found = compare(part(today, completeness, earlier))
    assert (found.usual, found.share, found.why_not, found.n) == (None, None, why, len(earlier))


def test_a_usual_of_nobody_has_no_share_and_nobody_today_is_a_share_of_zero() -> None:
    assert compare(part(3, 1.0, [0, 0, 0])).share is None and compare(part(3, 1.0, [0, 0, 0])).usual == 0
    assert compare(part(0, 1.0, [10, 10, 10])).share == 0.0


def test_only_days_of_the_kind_that_were_counted_are_compared_up_to_the_same_time(analyst: Analyst) -> None:
    spot = analyst.town.datastream("spot-taki", "passages_in")
    weekdays = [MONDAY - timedelta(days=n) for n in range(1, 18) if (MONDAY - timedelta(days=n)).weekday() < 5]
    for n, day in enumerate(weekdays):
        analyst.send(spot, counted(day, 10.0 + n))
    analyst.send(spot, counted(date(2026, 5, 31), 900.0))  # a Sunday
    # too little of the whole day; and all there, but for the hours that are compared
    analyst.execute(
        "delete from observation where datastream_id = %s and phenomenon_time > %s and phenomenon_time <= %s",
        spot,
        midnight(weekdays[1]),
        midnight(weekdays[1]) + 20 * TEN,
    )
    analyst.execute(
        "delete from observation where datastream_id = %s and phenomenon_time > %s and phenomenon_time <= %s",
        spot,
        midnight(weekdays[2]) + 100 * TEN,
        midnight(weekdays[2]) + 130 * TEN,
    )
    analyst.send(spot, counted(MONDAY, 30.0, until=54))
    analyst.execute("truncate rollup_day")
    analyst.work()
    with connect(analyst.town.worker, name="test") as conn:
        now = midnight(MONDAY) + timedelta(hours=9, minutes=7)
        found = so_far(conn, {spot: now}, TOKYO)[spot]
    assert found.until == midnight(MONDAY) + timedelta(hours=9)
    assert (found.today.visits, found.today.completeness) == (54 * 30, 1.0)
    # day 1 lacks 20 of its first 54 counts, day 2 30 of its 144: neither is a day to compare with
    assert counts_of(found) == [54 * (10 + n) for n in range(11) if n not in (1, 2)][:8]
    assert compare(found).n == 8


def test_a_counter_that_fell_silent_is_compared_up_to_its_last_count(analyst: Analyst) -> None:
    spot = analyst.town.datastream("spot-taki", "passages_in")
    for n in (3, 4, 5):
        analyst.send(spot, counted(MONDAY - timedelta(days=n), 2.0))
    analyst.send(spot, counted(MONDAY, 3.0, until=60))
    analyst.work()
    with connect(analyst.town.worker, name="test") as conn:
        late = so_far(conn, {spot: midnight(MONDAY) + timedelta(hours=20)}, TOKYO)[spot]
        before = so_far(conn, {spot: midnight(MONDAY) + timedelta(hours=5)}, TOKYO)[spot]
        nothing = so_far(conn, {spot: midnight(MONDAY + timedelta(days=1)) + TEN}, TOKYO)[spot]
    assert (compare(late).usual, compare(late).share) == (120, 1.5)
    assert (compare(before).usual, compare(before).share) == (60, 1.5)
    assert compare(nothing).why_not is WhyNot.NOTHING_YET and nothing.until is None


def test_the_last_count_of_a_day_belongs_to_it_and_days_of_other_lengths_keep_the_wall_clock(analyst: Analyst) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = date(2026, 3, 29)  # 23 hours
    assert local_day(midnight(spring, berlin), berlin) == spring - timedelta(days=1)
    spot = analyst.town.datastream("spot-taki", "passages_in")
    for day in (spring - timedelta(days=7 * n) for n in range(5)):
        start, end = midnight(day, berlin), midnight(day + timedelta(days=1), berlin)
        analyst.send(spot, [(start + n * TEN, 1.0) for n in range(1, (end - start) // TEN + 1)])
    analyst.execute("update municipality set timezone = 'Europe/Berlin'")
    analyst.work()
    with connect(analyst.town.worker, name="test") as conn:
        whole = so_far(conn, {spot: midnight(spring + timedelta(days=1), berlin)}, berlin)[spot]
        ten = so_far(conn, {spot: datetime(2026, 3, 29, 10, tzinfo=berlin)}, berlin)[spot]
    assert (whole.today.visits, whole.today.completeness, counts_of(whole)) == (138, 1.0, [144] * 4)
    assert (ten.today.visits, counts_of(ten)) == (54, [60] * 4)

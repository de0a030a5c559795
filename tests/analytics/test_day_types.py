"""Kinds of day, on real dates of the Japanese calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from analytics.visitors.day_types import DayType, day_type, holiday_name, same_kind_before


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ("2026-06-01", DayType.WEEKDAY),
        ("2026-06-06", DayType.SATURDAY),
        ("2026-06-07", DayType.HOLIDAY),
        ("2026-07-20", DayType.HOLIDAY),  # 海の日, a Monday
        ("2026-11-23", DayType.HOLIDAY),  # 勤労感謝の日
        ("2024-08-12", DayType.HOLIDAY),  # 山の日 振替休日, a Monday before Bon
        ("2024-02-12", DayType.HOLIDAY),  # 建国記念の日 振替休日
        ("2026-09-22", DayType.HOLIDAY),  # 国民の休日 between two holidays
        ("2025-09-22", DayType.WEEKDAY),  # the same date without a neighbour
        ("2026-03-20", DayType.HOLIDAY),  # 春分の日, a Friday
        ("2023-11-04", DayType.SATURDAY),
        ("2023-02-11", DayType.HOLIDAY),  # a holiday on a Saturday
        ("2026-04-28", DayType.WEEKDAY),
        ("2026-04-29", DayType.GOLDEN_WEEK),
        ("2026-05-01", DayType.GOLDEN_WEEK),  # a Friday between the holidays
        ("2026-05-05", DayType.GOLDEN_WEEK),
        ("2026-05-06", DayType.GOLDEN_WEEK),  # 振替休日 of 5/3
        ("2027-05-06", DayType.WEEKDAY),
        ("2023-05-06", DayType.SATURDAY),
        ("2026-08-12", DayType.WEEKDAY),
        ("2026-08-13", DayType.OBON),
        ("2026-08-16", DayType.OBON),
        ("2026-08-17", DayType.WEEKDAY),
        ("2026-12-28", DayType.WEEKDAY),
        ("2026-12-29", DayType.NEW_YEAR),
        ("2027-01-01", DayType.NEW_YEAR),
        ("2027-01-03", DayType.NEW_YEAR),
        ("2027-01-04", DayType.WEEKDAY),
    ],
)
def test_a_day_has_the_kind_of_its_visitors(day: str, kind: DayType) -> None:
    assert day_type(date.fromisoformat(day)) is kind


def test_the_substitute_holiday_follows_the_sunday_it_stands_for() -> None:
    assert holiday_name(date(2026, 5, 6)) == "憲法記念日 振替休日" and holiday_name(date(2026, 5, 7)) is None


def test_earlier_days_of_a_kind_are_of_that_kind_and_none_is_left_out() -> None:
    year = timedelta(days=370)
    for day in (date(2026, 6, 1), date(2026, 5, 4), date(2026, 1, 2), date(2026, 8, 14)):
        found = list(same_kind_before(day, year))
        expected = [
            day - timedelta(days=n) for n in range(1, 371) if day_type(day - timedelta(days=n)) is day_type(day)
        ]
        assert found == expected and found
    assert list(same_kind_before(date(2026, 5, 4), timedelta(days=4))) == [date(2026, 5, day) for day in (3, 2, 1)] + [
        date(2026, 4, 30)
    ]

"""The one judge of zeros, on counts of a spot that is open from 8 to 18 o'clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from analytics.visitors.day_types import calendar, holiday_name
from analytics.visitors.expected.counts import Counts, Floats
from analytics.visitors.zeros import HISTORY_DAYS, Run, judge

FIRST = date(2026, 1, 5)  # a Monday
BY_DAY = np.array([0.0] * 8 + [10.0] * 10 + [0.0] * 6)
TUESDAY = 141


def series(n: int = 150, *, seed: int = 1, closed: int | None = None, first: date = FIRST) -> Floats:
    """(n, 24) Poisson counts of a spot that rests on one weekday."""
    counts = np.random.default_rng(seed).poisson(np.tile(BY_DAY, (n, 1))).astype(float)
    if closed is not None:
        counts[[day for day in range(n) if (first + timedelta(days=day)).weekday() == closed]] = 0
    return counts


def runs(*counters: Floats, first: date = FIRST) -> list[Run]:
    """Of the first counter, beside the others."""
    values = np.stack([each.ravel() for each in counters], axis=1)
    return judge(Counts(first, 24, values), calendar(first, len(values) // 24)).runs()


def test_a_day_of_rest_is_no_fault_and_six_hours_of_false_zeros_are_found_in_three() -> None:
    counts = series(closed=2)
    assert runs(counts) == []
    counts[TUESDAY, 9:15] = 0
    (run,) = runs(counts)
    assert (run.start, run.end, run.visited) == (TUESDAY * 24 + 9, TUESDAY * 24 + 15, TUESDAY * 24 + 15)
    assert run.found <= TUESDAY * 24 + 11 and run.hours == 6 and run.usual == pytest.approx(60, abs=12)
    assert run.against >= 1


def test_a_spot_that_is_often_empty_at_an_hour_is_judged_by_its_other_hours() -> None:
    counts = series()
    counts[::9, 10:13] = 0  # half a morning nobody comes, every now and then
    assert runs(counts) == []
    counts[140, 8:18] = 0
    assert [run.start // 24 for run in runs(counts)] == [140]


def test_one_that_rests_on_holidays_too_and_after_a_holiday_on_its_day_of_rest_is_no_fault() -> None:
    counts = series(closed=6)
    counts[[day for day in range(150) if holiday_name(FIRST + timedelta(days=day))]] = 0
    assert runs(counts) == [], "Sundays and holidays"
    first = date(2025, 12, 1)
    mondays = series(closed=0, first=first)
    tuesday = (date(2026, 2, 24) - first).days
    mondays[tuesday - 1], mondays[tuesday] = BY_DAY, 0
    assert holiday_name(date(2026, 2, 23)) and runs(mondays, first=first) == [], (
        "open on a Monday, so not on the Tuesday"
    )
    mondays[tuesday, 9] = 8
    assert [run.start for run in runs(mondays, first=first)] == [tuesday * 24 + 10], "but then it was open after all"


def test_the_turn_of_the_year_is_no_fault_of_a_spot_that_has_not_opened() -> None:
    first = date(2026, 9, 1)
    counts = series(first=first)
    begins = (date(2026, 12, 29) - first).days
    counts[begins : begins + 6] = 0
    assert runs(counts, first=first) == []
    counts[begins, 8:11] = 9
    assert [run.start for run in runs(counts, first=first)] == [begins * 24 + 11]


def test_where_all_have_fewer_zeros_say_less() -> None:
    counts, others = series(), [series(seed=seed) for seed in (2, 3, 4)]
    counts[TUESDAY, 9:15] = 0
    assert len(runs(counts, *others)) == 1
    for each in others:
        each[TUESDAY, 8:18] = np.floor(0.1 * each[TUESDAY, 8:18])
    assert runs(counts, *others) == [], "a typhoon"


def test_nothing_that_is_missing_and_nothing_later_speaks_against_a_counter() -> None:
    counts = series(seed=4)
    counts[TUESDAY, 9:12] = np.nan
    assert runs(counts) == []
    counts[TUESDAY, 12:16] = 0
    known = Counts(FIRST, 24, counts.reshape(-1, 1))
    (run,) = judge(known, calendar(FIRST, known.days)).runs()
    for row in (run.found, run.found + 1):
        cut = known.until(row)
        assert len(judge(cut, calendar(FIRST, cut.days)).runs()) == (row > run.found)
    since = TUESDAY - HISTORY_DAYS
    late = replace(known, first=FIRST + timedelta(days=since), values=known.values[24 * since :])
    (again,) = judge(late, calendar(late.first, late.days)).runs()
    assert again == replace(
        run, **{each: getattr(run, each) - 24 * since for each in ("start", "end", "visited", "found")}
    ), "with the days that a counter is judged with as with all of them"


def test_a_zero_that_somebody_answers_for_is_a_count_and_teaches_the_next_one() -> None:
    counts = series()
    for week in (0, 1):
        counts[TUESDAY - 7 * week, 8:18] = 0
    counts[TUESDAY - 6, 9:15] = 0
    known = Counts(FIRST, 24, counts.reshape(-1, 1))
    days = calendar(FIRST, known.days)
    assert [run.start // 24 for run in judge(known, days).runs()] == [TUESDAY - 7, TUESDAY - 6, TUESDAY]
    vouched = np.zeros(known.values.shape, dtype=np.bool_)
    vouched[24 * (TUESDAY - 7) : 24 * (TUESDAY - 6)] = True
    zeros = judge(replace(known, vouched=vouched), days)
    assert [run.start // 24 for run in zeros.runs()] == [TUESDAY - 6], "a Tuesday may be one of rest now"
    at = 24 * (TUESDAY - 7) + 12
    assert zeros.believed()[at, 0] == 0 and np.isnan(judge(known, days).believed()[at, 0])

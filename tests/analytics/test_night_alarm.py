"""When a block's nights say that somebody should search: two in a row, against a usual that cannot be talked up."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.leaks.night_alarm import FEWEST_NIGHTS, Night, assess, usual_night

FIRST = date(2026, 5, 1)
QUIET = [4.0, 4.1, 3.9, 4.0, 4.1, 4.0, 3.9, 4.0, 4.1, 4.0, 3.9, 4.0, 4.0, 4.1]


def nights(*minima: float | None) -> list[Night]:
    return [Night(FIRST + timedelta(days=n), minimum) for n, minimum in enumerate(minima)]


def test_two_nights_above_the_limit_are_an_alarm_from_the_first_on() -> None:
    found = assess(nights(*QUIET, 6.0, 6.4))
    assert found.alarm is not None
    assert found.alarm.since == FIRST + timedelta(days=14) and found.alarm.newest == FIRST + timedelta(days=15)
    assert found.alarm.usual.median == 4.0 and found.alarm.usual.limit == 4.5 and found.alarm.usual.nights == 14
    assert found.alarm.excess == pytest.approx(2.4) and found.alarm.month == pytest.approx(2.4 * 720)
    assert assess(nights(*QUIET, 6.0)).alarm is None, "one night proves nothing"
    assert assess(nights(*QUIET, 4.5, 4.5)).alarm is None, "at the limit is tolerated"


def test_scattered_nights_tolerate_more() -> None:
    rough = [4.0, 3.2, 4.8, 3.6, 4.4, 4.0, 3.2, 4.8, 3.6, 4.4, 3.6, 4.4, 3.2, 4.8]
    usual = usual_night(rough)
    assert usual is not None and usual.limit == pytest.approx(4.0 + 4 * 0.4)
    assert assess(nights(*rough, 5.5, 5.5)).alarm is None
    assert assess(nights(*rough, 5.7, 5.7)).alarm is not None


def test_it_lasts_however_long_and_ends_with_the_first_night_back() -> None:
    leaking = assess(nights(*QUIET, *[6.0] * 40))
    assert leaking.alarm is not None and leaking.alarm.nights == 40, "a leak does not become usual by lasting"
    repaired = assess(nights(*QUIET, *[6.0] * 40, 4.2))
    assert repaired.alarm is None and repaired.ended == FIRST + timedelta(days=14 + 40)
    assert repaired.usual is not None and repaired.usual.median == 4.0
    again = assess(nights(*QUIET, *[6.0] * 40, 4.2, 5.9, 5.9))
    assert again.alarm is not None and again.alarm.since == FIRST + timedelta(days=14 + 41)


def test_a_missing_night_is_not_low() -> None:
    found = assess(nights(*QUIET, 6.0, None, 6.1))
    assert found.alarm is not None and found.alarm.nights == 2, "it does not break what stands on both sides of it"
    assert assess(nights(*QUIET, 6.0, 6.1, None)).alarm is not None, "and it ends nothing"
    assert assess(nights(*QUIET, 6.0, None)).alarm is None, "nor does it confirm"


def test_too_few_nights_say_nothing() -> None:
    assert assess(nights(*QUIET[: FEWEST_NIGHTS - 1], 60.0, 60.0)).alarm is None
    assert assess(nights(*QUIET[: FEWEST_NIGHTS - 1])).usual is None
    assert assess(nights(*QUIET[:FEWEST_NIGHTS], 60.0, 60.0)).alarm is not None
    assert assess([]).usual is None


def test_one_high_night_counts_as_usual_once_the_next_is_back() -> None:
    assert assess(nights(*QUIET, 6.0, 4.0)).alarm is None
    assert assess(nights(*QUIET, 6.0, 4.0, 6.0)).alarm is None


minima = st.lists(st.one_of(st.none(), st.floats(0, 50)), max_size=60)


@given(minima)
def test_missing_nights_change_nothing(found: list[float | None]) -> None:
    with_gaps = assess(nights(*found))
    # the same valid nights on the same days, the missing ones left out altogether
    assert assess([night for night in nights(*found) if night.minimum is not None]) == with_gaps


@given(minima, st.floats(0.1, 30))
def test_more_flow_on_the_newest_night_never_ends_an_alarm(found: list[float | None], more: float) -> None:
    if not found or found[-1] is None or assess(nights(*found)).alarm is None:
        return
    assert assess(nights(*found[:-1], found[-1] + more)).alarm is not None


@given(minima)
def test_an_alarm_is_always_two_nights_above_the_limit_by_more_than_half_a_cubic_metre(
    found: list[float | None],
) -> None:
    alarm = assess(nights(*found)).alarm
    if alarm is not None:
        assert alarm.nights >= 2 and alarm.excess > 0.5 and alarm.minimum > alarm.usual.limit

"""The engine of the rules that staff write: what is so, what is over, and what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.columns import FOREVER, SECOND, Columns, micros
from alerts.rules.condition import (
    Body,
    BodyError,
    Change,
    Compare,
    Either,
    Every,
    Minus,
    Number,
    Plus,
    Reading,
    Reference,
    Series,
    Span,
    Times,
    Total,
    Usual,
    decoded,
    encoded,
    lookback,
)
from alerts.rules.engine import Asked, Judged, excursions, figures, judge, standings

START = datetime(2026, 6, 1, tzinfo=UTC)
STEP = timedelta(minutes=10)
LEVEL, RAIN = Series("water_level"), Series("precipitation")
RISE = Change(LEVEL, 3600)
HIGH = Compare(Reading(LEVEL), "above", Number(1.5), margin=0.1)
Points = Mapping[int, float | tuple[float, bool]]


def columns(*series: Points | Sequence[float], summed: Sequence[bool] | None = None) -> Columns:
    """Series of ten minutes: {number of the step: value, or (value, doubtful)}."""
    given_ = [each if isinstance(each, Mapping) else dict(enumerate(each)) for each in series]
    rows = [
        (n, micros(START + at * STEP), *(value if isinstance(value, tuple) else (value, False)))
        for n, points in enumerate(given_)
        for at, value in sorted(points.items())
    ]
    stream, times, values, doubtful = zip(*rows, strict=True)
    return Columns.of(
        stream, times, values, doubtful, [STEP.total_seconds() * SECOND] * len(series), summed=summed or False
    )


def moments(body: Body, *series: Points | Sequence[float], zone: str = "UTC", **asked: int) -> dict[int, str]:
    """number of the step -> "so", "over" or "-" of a rule over a level and a rain series."""
    stored = columns(*series, summed=[False, True][: len(series)])
    where = {LEVEL: 0, RAIN: 1} if len(series) > 1 else {LEVEL: 0}
    found = judge(stored, [Asked(0, body, where, asked.pop("since", -FOREVER), zone=zone, **asked)])
    return said(found)


def said(found: Judged) -> dict[int, str]:
    step = int(STEP.total_seconds()) * SECOND
    return {
        (time - micros(START)) // step: "so" if so else "over" if over else "-"
        for time, so, over in zip(found.time.tolist(), found.so, found.over, strict=True)
    }


def test_a_level_is_so_from_its_value_on_and_over_below_its_margin() -> None:
    assert moments(Body(HIGH), [1.49, 1.5, 1.45, 1.4, 1.39]) == {0: "-", 1: "so", 2: "-", 3: "-", 4: "over"}


def test_what_stands_in_the_margin_at_first_is_neither() -> None:
    found = judge(columns([1.45]), [Asked(0, Body(HIGH), {LEVEL: 0}, -FOREVER)])
    assert standings(found)[0].open is None


def test_a_rise_is_measured_over_its_window_and_not_across_a_gap() -> None:
    rise = Body(Compare(Change(LEVEL, 1800), "above", Number(0.3)))
    assert moments(rise, [1.0, 1.1, 1.2, 1.3, 1.35])[3] == "so"
    assert moments(rise, {0: 1.0, 1: 1.0, 12: 2.0, 13: 2.0, 14: 2.0, 15: 2.0}) == {
        0: "-",
        1: "-",
        12: "-",
        13: "-",
        14: "-",
        15: "over",
    }, "nobody knows when it rose"


def test_a_rise_between_two_readings_is_read_off_the_line() -> None:
    rise = Body(Compare(Change(LEVEL, 900), "above", Number(0.15)))
    assert moments(rise, [1.0, 1.1, 1.2])[2] == "so"


def test_a_fall_is_a_rise_downwards() -> None:
    fall = Body(Compare(Change(LEVEL, 600, falling=True), "above", Number(0.2)))
    assert moments(fall, [1.0, 0.9, 0.7]) == {0: "-", 1: "over", 2: "so"}


def test_a_sum_with_a_gap_can_be_reached_and_cannot_be_missed() -> None:
    hour = Body(Compare(Total(RAIN, 3600), "above", Number(20.0)))
    rain = dict.fromkeys(range(6), 2.0)
    assert moments(hour, {0: 1.0}, rain)[5] == "over", "12 mm are less than 20"
    del rain[3]
    assert moments(hour, {0: 1.0}, rain)[5] == "-", "10 mm and what nobody knows"
    assert moments(hour, {0: 1.0}, rain | {5: 12.0})[5] == "so", "20 mm are 20 mm, whatever is missing"


def test_a_value_grows_old() -> None:
    both = Body(Every((HIGH, Compare(Total(RAIN, 600), "above", Number(1.0)))))
    found = moments(both, {0: 2.0}, {0: 5.0, 1: 5.0, 2: 5.0, 3: 5.0})
    assert found == {0: "so", 1: "so", 2: "so", 3: "-"}, "two and a half steps, then the level is unknown"


def test_either_needs_one_and_is_over_when_none_is() -> None:
    one = Body(Either((HIGH, Compare(Total(RAIN, 600), "above", Number(5.0)))))
    found = moments(one, [1.0, 1.0, 1.6, 1.0], [0.0, 6.0, 0.0, 0.0])
    assert found == {0: "over", 1: "so", 2: "so", 3: "over"}


def test_a_doubtful_value_alone_neither_begins_nor_ends_anything() -> None:
    assert moments(Body(HIGH), {0: 1.0, 1: (9.0, True), 2: 1.0}) == {0: "over", 1: "-", 2: "over"}
    assert moments(Body(HIGH), {0: 1.0, 1: (1.7, True), 2: (1.8, True)})[2] == "so", "the next one agrees"
    assert moments(Body(HIGH), {0: 2.0, 1: (0.1, True), 2: 2.0}) == {0: "so", 1: "-", 2: "so"}


def test_it_has_to_last_and_to_be_over_for_long_enough() -> None:
    body = Body(HIGH, lasting=1200, hold=1200)
    found = moments(body, [1.6, 1.6, 1.6, 1.0, 1.6, 1.0, 1.0, 1.0])
    assert found == {0: "-", 1: "-", 2: "so", 3: "-", 4: "-", 5: "-", 6: "-", 7: "over"}


def test_a_gap_is_no_duration() -> None:
    found = moments(Body(HIGH, lasting=1200), {0: 1.6, 1: 1.6, 6: 1.6, 7: 1.6, 8: 1.6})
    assert [n for n, what in found.items() if what == "so"] == [8]


def test_its_own_clearing_condition_stands_for_itself() -> None:
    body = Body(HIGH, clear=Compare(Reading(LEVEL), "below", Number(0.8)))
    assert moments(body, [1.6, 1.0, 0.79]) == {0: "so", 1: "-", 2: "over"}


def test_season_and_hours_are_local_and_may_go_over_their_turn() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    night = Body(HIGH, hours=Span("22:00", "06:00"))
    found = moments(night, [1.6] * 144, zone="Asia/Tokyo")
    for n, what in found.items():
        hour = (START + n * STEP).astimezone(tokyo).hour
        assert what == ("so" if hour >= 22 or hour < 6 else "over")
    assert moments(Body(HIGH, season=Span("06-02", "06-10")), [1.6])[0] == "over"
    assert moments(Body(HIGH, season=Span("11-01", "06-01")), [1.6])[0] == "so"


def test_a_neighbour_can_be_compared_and_the_reference_level_is_that_of_its_day() -> None:
    other = Series("water_level", "up")
    above = Body(Compare(Minus(Reading(LEVEL), Reading(other)), "above", Number(0.5)))
    margin = Body(Compare(Minus(Reference(5), Reading(LEVEL)), "below", Number(1.0)))
    stored = columns([1.0, 1.6], [1.0, 1.1], {-100: 4.0})
    stored = Columns.of(
        np.repeat([0, 1, 2], [2, 2, 1]),
        stored.times,
        stored.low,
        np.zeros(5, bool),
        [STEP.total_seconds() * SECOND] * 2 + [FOREVER],
    )
    where = {LEVEL: 0, other: 1, 5: 2}
    found = judge(stored, [Asked(0, above, where, -FOREVER), Asked(1, margin, where, -FOREVER)])
    assert [(c, bool(so), bool(over)) for c, so, over in zip(found.cause, found.so, found.over, strict=True)] == [
        (0, False, True),
        (0, True, False),
        (1, False, True),
        (1, False, True),
    ]
    compared = figures(stored, Asked(0, above, where, 0), START + STEP)
    assert [(left, right) for _, left, right in compared[0]] == [(0.5, 0.5)]


def test_more_than_usual_is_more_than_the_median_of_the_weeks_before() -> None:
    week = 7 * 144
    counts = {n * week: value for n, value in enumerate([10.0, 12.0, 50.0, 11.0, 24.0])}
    body = Body(Compare(Reading(LEVEL), "above", Times(Usual(Reading(LEVEL)), 2.0)))
    assert moments(body, counts)[4 * week] == "so", "24 is twice 11.5 and more"
    assert moments(body, {n: v for n, v in counts.items() if n >= 3 * week})[4 * week] == "-", "one week is no usual"


def test_the_version_in_force_judges() -> None:
    stored = columns([1.6, 1.6, 1.6, 1.6])
    change, end = micros(START + STEP), micros(START + 3 * STEP)
    higher = Body(Compare(Reading(LEVEL), "above", Number(3.0)))
    found = judge(
        stored,
        [
            Asked(0, Body(HIGH), {LEVEL: 0}, -FOREVER, valid_to=change),
            Asked(0, higher, {LEVEL: 0}, -FOREVER, valid_from=change, valid_to=end),
            Asked(0, higher, {LEVEL: 0}, -FOREVER, valid_from=end, on=False),
        ],
    )
    assert said(found) == {0: "so", 1: "over", 2: "over", 3: "over"}


def test_every_time_it_was_so_is_one_excursion() -> None:
    found = excursions(judge(columns([1.6, 1.45, 1.6, 1.0, 1.0, 1.7]), [Asked(0, Body(HIGH), {LEVEL: 0}, -FOREVER)]))
    assert [(each.start - START, each.last - START, each.end and each.end - START) for each in found[0]] == [
        (0 * STEP, 2 * STEP, 3 * STEP),
        (5 * STEP, 5 * STEP, None),
    ]


def test_what_was_so_before_a_person_cleared_it_does_not_count() -> None:
    found = judge(columns([1.6, 1.45]), [Asked(7, Body(HIGH), {LEVEL: 0}, -FOREVER)])
    assert standings(found)[7].open
    assert standings(found, not_before={7: micros(START)})[7].open is None


values = st.lists(st.sampled_from([0.9, 1.38, 1.41, 1.5, 1.7, 2.4]), min_size=1, max_size=40)
lost = st.sets(st.integers(0, 39))
BODIES = (
    Body(HIGH, hold=1800),
    Body(Every((HIGH, Compare(Change(LEVEL, 1800), "above", Number(0.2)))), lasting=600),
    Body(Either((HIGH, Compare(Total(LEVEL, 3600), "above", Number(9.0)))), hold=600),
)


@given(values, lost, st.sampled_from(BODIES), st.integers(0, 39))
def test_what_comes_later_changes_nothing_that_was(given_: list[float], gone: set[int], body: Body, cut: int) -> None:
    points = {n: value for n, value in enumerate(given_) if n not in gone} or {0: given_[0]}
    whole = moments(body, points)
    before = {n: value for n, value in points.items() if n <= cut}
    if before:
        assert moments(body, before) == {n: what for n, what in whole.items() if n <= cut}


@given(values, lost, st.sampled_from(BODIES))
def test_judged_alone_or_among_others_is_the_same(given_: list[float], gone: set[int], body: Body) -> None:
    points = {n: value for n, value in enumerate(given_) if n not in gone} or {0: given_[0]}
    stored = columns(points, [3.0] * 40, points)
    asked = [Asked(n, each, {LEVEL: n % 3}, -FOREVER) for n, each in enumerate([body] * 3 + list(BODIES))]
    found = judge(stored, asked)
    for cause in (0, 2):
        rows = found.cause == cause
        alone = Judged(*(getattr(found, name)[rows] for name in Judged.__slots__))
        assert said(alone) == moments(body, points)


@given(values, lost)
def test_the_hold_is_what_it_says(given_: list[float], gone: set[int]) -> None:
    """The same by hand, one moment after the other."""
    points = {n: value for n, value in enumerate(given_) if n not in gone} or {0: given_[0]}
    expected, below, last = {}, None, None
    for n, value in sorted(points.items()):
        if value >= 1.4 or (last is not None and n - last > 2):
            below = None
        if value < 1.4 and below is None:
            below = n
        last = n
        expected[n] = "so" if value >= 1.5 else "over" if below is not None and n - below >= 3 else "-"
    assert moments(BODIES[0], points) == expected


def test_a_body_is_stored_and_read_and_knows_how_far_it_looks_back() -> None:
    body = Body(Every((HIGH, Compare(Total(RAIN, 3600), "above", Number(20)))), lasting=600, hold=1800)
    assert decoded(encoded(body)) == body
    assert lookback(body) == 3600 + 600 + 1800


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "this is no rule"),
        ('{"when": {"is": "every", "of": []}}', "every or either of nothing"),
        ('{"when": {"is": "exec", "of": "rm"}}', "this is no rule"),
        (
            encoded(Body(Compare(Reading(Series("mood")), "above", Number(1)))),
            'nothing that is measured is called "mood"',
        ),
        (encoded(Body(Compare(Number(1), "above", Number(1)))), "needs a series"),
        (encoded(Body(Compare(Total(RAIN, 0), "above", Number(1)))), "a window has 1 to"),
        (encoded(Body(HIGH, hold=-1)), "hold: 0 to"),
        # in three hours it would stand at its level 4: that is no alert's to say
        (encoded(Body(Compare(Plus(Reading(LEVEL), Times(RISE, 3.0)), "above", Reference(4)))), "into no message"),
        (encoded(Body(Compare(Minus(Reference(4), Reading(LEVEL)), "below", Times(RISE, 3.0)))), "into no message"),
        (encoded(Body(HIGH, hours=Span("8:00", "17:00"))), "hours: two of the form"),
    ],
)
def test_what_no_rule_can_say_is_refused_in_words(text: str, wrong: str) -> None:
    with pytest.raises(BodyError, match=wrong):
        decoded(text)

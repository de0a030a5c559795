"""The level rule: exactly one history, whatever the batches, the restarts and the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.level import LevelRule, Observed, Stand, after, judge_level
from alerts.rules.transition import Event, Transition
from devices.model import Quality, Reason, ThresholdLevel

START = datetime(2026, 6, 1, tzinfo=UTC)
LEVELS = (
    ThresholdLevel(2, "低", "low", 0.50),
    ThresholdLevel(3, "中", "middle", 0.70),
    ThresholdLevel(4, "高", "high", 0.90),
)


def rule(*, margin: float = 0.10, hold: int = 0, version: str = "threshold_set:1", since: int = -1000) -> LevelRule:
    return LevelRule(version, at(since), LEVELS, margin, timedelta(minutes=hold))


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def readings(*values: float | None, every: int = 10, start: int = 0) -> list[Observed]:
    return [
        Observed(at(start + every * n), value, Quality.MISSING if value is None else Quality.GOOD)
        for n, value in enumerate(values)
    ]


def judge(
    observations: Sequence[Observed], *, by: LevelRule | None = None, level: int | None = None
) -> list[Transition]:
    return judge_level([by or rule()], observations, [], None if level is None else Stand(level, level))


def told(transitions: Sequence[Transition]) -> list[tuple[str, int | None]]:
    return [(each.event.value, each.level) for each in transitions]


def test_a_rise_and_fall_is_one_alert_that_escalates_and_clears() -> None:
    history = judge(readings(0.3, 0.5, 0.6, 0.75, 0.95, 0.85, 0.65, 0.45, 0.39))
    assert [(each.event.value, each.level, each.time) for each in history] == [
        ("raised", 2, at(10)),
        ("escalated", 3, at(30)),
        ("escalated", 4, at(40)),
        ("lowered", 3, at(60)),
        ("lowered", 2, at(70)),
        ("cleared", None, at(80)),
    ]


def test_the_threshold_itself_is_reached_and_the_margin_itself_is_not_left() -> None:
    assert told(judge(readings(0.4999))) == []
    assert told(judge(readings(0.50))) == [("raised", 2)]
    assert told(judge(readings(0.40), level=2)) == []
    assert told(judge(readings(0.3999), level=2)) == [("cleared", None)]


def test_a_jump_over_several_levels_is_one_step_in_each_direction() -> None:
    assert told(judge(readings(0.1, 1.2, 0.1))) == [("raised", 4), ("cleared", None)]


def test_a_level_that_swings_inside_the_margin_is_one_alert() -> None:
    assert told(judge(readings(0.5, 0.45, 0.52, 0.41, 0.50, 0.42))) == [("raised", 2)]


def test_clearing_waits_until_every_reading_of_the_hold_is_below() -> None:
    river = readings(0.6, 0.3, 0.3, 0.45, 0.3, 0.3, 0.3, 0.3)
    history = judge(river, by=rule(hold=30))
    assert [(each.event, each.time) for each in history] == [(Event.RAISED, at(0)), (Event.CLEARED, at(70))]


def test_a_gap_is_no_evidence_for_clearing() -> None:
    before_gap, after = readings(0.6), readings(0.3, 0.3, 0.3, 0.3, start=300)
    history = judge(before_gap + after, by=rule(hold=30))
    assert [(each.event, each.time) for each in history][1:] == [(Event.CLEARED, at(330))]


@pytest.mark.parametrize("quality", [Quality.MISSING, Quality.BAD])
def test_missing_and_bad_readings_neither_raise_nor_clear(quality: Quality) -> None:
    high = Observed(at(0), None if quality is Quality.MISSING else 9.9, quality)
    low = Observed(at(10), None if quality is Quality.MISSING else -9.9, quality)
    assert judge([high]) == []
    assert judge([low], level=4) == []


def test_a_doubtful_clock_is_judged_like_a_good_one() -> None:
    assert told(judge([Observed(at(0), 0.95, Quality.DOUBTFUL, Reason.CLOCK)])) == [("raised", 4)]


def test_a_spike_stands_until_the_next_reading_and_a_flash_flood_is_confirmed_by_it() -> None:
    spike = Observed(at(10), 3.0, Quality.DOUBTFUL, Reason.RATE)
    back = Observed(at(20), 0.2, Quality.DOUBTFUL, Reason.RATE)
    for after_it in (back, *readings(0.2, start=20)):
        history = judge([*readings(0.2), spike, after_it, *readings(0.2, start=30)], by=rule(hold=60))
        assert [(e.event, e.level, e.confirmed, e.unconfirmed, e.time) for e in history] == [
            (Event.RAISED, 4, None, True, at(10)),
            (Event.CLEARED, None, None, True, at(20)),
        ]
    less = [*readings(0.2), spike, Observed(at(20), 0.75, Quality.DOUBTFUL, Reason.RATE)]
    assert [(e.event, e.level, e.confirmed, e.unconfirmed) for e in judge(less)] == [
        (Event.RAISED, 4, None, True),
        (Event.LOWERED, 3, 3, True),
    ]
    flood = judge([*readings(0.2), spike, *readings(0.95, start=20)])
    assert [(e.event, e.level, e.confirmed, e.unconfirmed) for e in flood] == [
        (Event.RAISED, 4, None, True),
        (Event.CONFIRMED, 4, 4, False),
    ]


def test_a_spike_above_what_is_confirmed_falls_back_to_it_and_not_below() -> None:
    spike = Observed(at(10), 3.0, Quality.DOUBTFUL, Reason.RATE)
    history = judge([*readings(0.55), spike, *readings(0.2, start=20)], by=rule(hold=60))
    assert [(e.event, e.level, e.confirmed, e.unconfirmed) for e in history] == [
        (Event.RAISED, 2, 2, False),
        (Event.ESCALATED, 4, 2, True),
        (Event.LOWERED, 2, 2, True),
    ]


def test_a_missing_reading_takes_nothing_back() -> None:
    spike = Observed(at(10), 3.0, Quality.DOUBTFUL, Reason.RATE)
    assert told(judge([*readings(0.2), spike, Observed(at(20), None, Quality.MISSING)])) == [("raised", 4)]


def test_what_is_measured_during_work_raises_and_brings_nothing_down() -> None:
    at_work = [Observed(at(10 * n), 0.1, Quality.DOUBTFUL, Reason.MAINTENANCE) for n in range(1, 9)]
    assert told(judge([*readings(0.6), *at_work], by=rule(hold=10))) == [("raised", 2)]
    afterwards = [*readings(0.6), *at_work, *readings(0.1, start=100)]
    assert told(judge(afterwards, by=rule(hold=10))) == [("raised", 2), ("cleared", None)]
    lifted = [Observed(at(10 * n), 0.6, Quality.DOUBTFUL, Reason.MAINTENANCE) for n in (1, 2)]
    assert [(e.event, e.confirmed) for e in judge([*readings(0.1), *lifted])] == [
        (Event.RAISED, None),
        (Event.CONFIRMED, 2),
    ]


def test_a_lone_doubtful_dip_clears_nothing() -> None:
    dip = Observed(at(10), -3.0, Quality.DOUBTFUL, Reason.RATE)
    assert told(judge([*readings(0.6), dip, *readings(0.6, start=20)])) == [("raised", 2)]
    assert told(judge([*readings(0.6, 0.2), Observed(at(20), 0.2, Quality.DOUBTFUL, Reason.STUCK)])) == [
        ("raised", 2),
        ("cleared", None),
    ]


def test_each_reading_is_judged_by_the_rule_in_force_at_its_time() -> None:
    higher = tuple(ThresholdLevel(each.level, each.name, each.name_en, each.value + 1) for each in LEVELS)
    rules = [rule(), LevelRule("threshold_set:2", at(15), higher, 0.1, timedelta(0))]
    history = judge_level(rules, readings(0.6, 0.6, 0.6, 1.6), [], None)
    assert [(each.event.value, each.time, each.rule_version) for each in history] == [
        ("raised", at(0), "threshold_set:1"),
        ("cleared", at(20), "threshold_set:2"),
        ("raised", at(30), "threshold_set:2"),
    ]


def test_a_rule_is_in_force_from_its_very_moment() -> None:
    assert told(judge(readings(0.9), by=rule(since=0))) == [("raised", 4)]


def test_nothing_is_judged_before_the_first_rule() -> None:
    assert judge(readings(0.9, 0.9), by=rule(since=5)) == judge(readings(0.9, start=10))


def test_a_level_that_a_new_rule_no_longer_knows_falls_to_one_it_knows() -> None:
    rules = [rule(), LevelRule("threshold_set:2", at(5), LEVELS[:2], 0.1, timedelta(0))]
    assert told(judge_level(rules, readings(0.95, 0.95), [], None)) == [("raised", 4), ("lowered", 3)]


# --- properties ------------------------------------------------------------------------------------------

_values = st.one_of(st.none(), st.floats(0.0, 1.2).map(lambda value: round(value, 2)))
_qualities = st.sampled_from(
    [(Quality.GOOD, None)] * 6
    + [(Quality.DOUBTFUL, Reason.CLOCK), (Quality.DOUBTFUL, Reason.RATE), (Quality.DOUBTFUL, Reason.STUCK)]
    + [(Quality.BAD, Reason.RANGE)]
)


@st.composite
def streams(draw: st.DrawFn) -> list[Observed]:
    minute, found = 0, []
    for _ in range(draw(st.integers(1, 40))):
        minute += draw(st.sampled_from([1, 10, 10, 10, 45, 200]))
        value, (quality, reason) = draw(_values), draw(_qualities)
        found.append(Observed(at(minute), value, Quality.MISSING if value is None else quality, reason))
    return found


def evaluate(rules: Sequence[LevelRule], stream: Sequence[Observed], cuts: Sequence[int]) -> list[Transition]:
    """As the evaluator does it: batch by batch, each time from what is stored, remembering nothing but the alert.

    The window is the least that the contract promises: the longest hold, and the last usable reading before it.
    """
    hold = max(each.hold for each in rules)
    history: list[Transition] = []
    stand: Stand | None = None
    edges = sorted({0, *cuts, len(stream)})
    for low, high in pairwise(edges):
        new = stream[low:high]
        usable = [each for each in stream[:low] if each.quality not in (Quality.BAD, Quality.MISSING)]
        since = new[0].time - hold
        before = [each for each in usable if each.time < since][-1:] + [each for each in usable if each.time >= since]
        transitions = judge_level(rules, new, before, stand)
        if transitions:
            stand = after(transitions[-1])
        history += transitions
    return history


@given(streams(), st.sampled_from([0, 10, 30, 60]), st.lists(st.integers(0, 40), max_size=10))
def test_any_splitting_into_batches_gives_the_same_history(stream: list[Observed], hold: int, cuts: list[int]) -> None:
    rules = [rule(hold=hold), rule(hold=30 - hold // 2, version="threshold_set:2", since=150)]
    whole = judge_level(rules, stream, [], None)
    assert evaluate(rules, stream, [each for each in cuts if each < len(stream)]) == whole
    assert evaluate(rules, stream, range(len(stream))) == whole


@given(streams(), st.sampled_from([0, 30]))
def test_a_history_is_a_walk_that_makes_sense(stream: list[Observed], hold: int) -> None:
    level: int | None = None
    confirmed: int | None = None
    for each in judge_level([rule(hold=hold)], stream, [], None):
        assert each.value is not None
        assert each.confirmed is None or (each.level is not None and each.confirmed <= each.level)
        match each.event:
            case Event.RAISED:
                assert level is None and each.level is not None
            case Event.ESCALATED:
                assert level is not None and each.level is not None and each.level > level
            case Event.LOWERED:
                assert level is not None and each.level is not None and each.level < level
                assert each.unconfirmed is (confirmed != level)
            case Event.CONFIRMED:
                assert level == each.level == each.confirmed != confirmed
            case _:
                assert level is not None and each.level is None and each.unconfirmed is (confirmed is None)
                assert each.value < LEVELS[0].value - (0 if each.unconfirmed else 0.10)
        if each.event in (Event.RAISED, Event.ESCALATED):
            assert each.unconfirmed is (each.level != each.confirmed)
        level, confirmed = each.level, each.confirmed


@given(streams(), st.sampled_from([0, 30]))
def test_what_one_doubtful_reading_says_lasts_until_the_next_usable_one(stream: list[Observed], hold: int) -> None:
    usable = [each for each in stream if each.quality not in (Quality.BAD, Quality.MISSING) and each.value is not None]
    steps = {each.time: each for each in judge_level([rule(hold=hold)], stream, [], None)}
    stand: Stand | None = None
    for each in usable:
        if each.time in steps:
            stand = after(steps[each.time])
        if stand is not None and stand.level != stand.confirmed:
            assert each.quality is Quality.DOUBTFUL and each.value is not None
            assert rule().reached(each.value) == stand.level, "it is the newest reading that says so"


@given(streams())
def test_an_open_alert_is_never_below_what_two_readings_in_a_row_have_reached(stream: list[Observed]) -> None:
    """The rule is not shy: whatever the qualities, two agreeing usable readings always count."""
    usable = [each for each in stream if each.quality not in (Quality.BAD, Quality.MISSING) and each.value is not None]
    levels: dict[datetime, int | None] = {each.time: each.level for each in judge_level([rule()], stream, [], None)}
    current: int | None = None
    for before, now in zip([None, *usable], usable, strict=False):
        current = levels.get(now.time, current)
        if before is not None and before.value is not None and now.value is not None:
            sure = rule().reached(min(before.value, now.value))
            assert sure is None or (current is not None and current >= sure)

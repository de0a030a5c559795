"""The level rule: exactly one history, whatever the batches, the restarts and the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.level import LevelRule, Observed, judge_level
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
    return judge_level([by or rule()], observations, [], level)


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


def test_a_spike_moves_nothing_and_a_flash_flood_is_confirmed_by_its_next_reading() -> None:
    spike = Observed(at(10), 3.0, Quality.DOUBTFUL, Reason.RATE)
    assert (
        judge([*readings(0.2), spike, Observed(at(20), 0.2, Quality.DOUBTFUL, Reason.RATE), *readings(0.2, start=30)])
        == []
    )
    flood = [*readings(0.2), spike, Observed(at(20), 0.75, Quality.DOUBTFUL, Reason.RATE)]
    assert [(each.event, each.level, each.time) for each in judge(flood)] == [(Event.RAISED, 3, at(20))]
    assert told(judge([*readings(0.2), spike, *readings(0.95, start=20)])) == [("raised", 4)]


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
    level: int | None = None
    edges = sorted({0, *cuts, len(stream)})
    for low, high in pairwise(edges):
        new = stream[low:high]
        usable = [each for each in stream[:low] if each.quality not in (Quality.BAD, Quality.MISSING)]
        since = new[0].time - hold
        before = [each for each in usable if each.time < since][-1:] + [each for each in usable if each.time >= since]
        transitions = judge_level(rules, new, before, level)
        if transitions:
            level = transitions[-1].level
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
    for each in judge_level([rule(hold=hold)], stream, [], None):
        assert each.value is not None
        match each.event:
            case Event.RAISED:
                assert level is None and each.level is not None
            case Event.ESCALATED:
                assert level is not None and each.level is not None and each.level > level
            case Event.LOWERED:
                assert level is not None and each.level is not None and each.level < level
            case _:
                assert level is not None and each.level is None and each.value < LEVELS[0].value - 0.10
        level = each.level


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

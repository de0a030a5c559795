"""Holding back as a rule: whatever comes and whoever looks when, people are told in time, and of no spike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.level import LevelRule, Observed, Stand, after, judge_level, newest_of
from alerts.rules.telling import Told, level_steps
from alerts.rules.transition import Event
from alerts.rules.withholding import GRACE, Beside, Release, Withheld, judged, waiting
from devices.model import Quality, Reason, ThresholdLevel
from tests.conftest import START

MINUTE = timedelta(minutes=1)
STEP = 5 * MINUTE
WAIT = waiting(STEP, STEP)
LEVELS = tuple(ThresholdLevel(n, "基準", "level", float(n)) for n in (1, 2, 3, 4, 5))
RULE = LevelRule("threshold_set:1", START - timedelta(days=1), LEVELS, 0.1, 15 * MINUTE)
HOLD = Stand(2, None)


@pytest.mark.parametrize(
    ("stand", "beside", "minutes", "expected"),
    [
        (Stand(2, 2), Beside(WAIT), 0, (None, None)),
        (HOLD, Beside(WAIT), 0, (Withheld.UNCONFIRMED, None)),
        (Stand(2, 1), Beside(WAIT), 5, (Withheld.UNCONFIRMED, None)),
        (HOLD, Beside(WAIT), 6, (None, Release.WAITED)),
        (Stand(5, 1), Beside(WAIT), 0, (None, Release.HIGHEST)),
        (HOLD, Beside(WAIT, witness=Release.RAIN), 0, (None, Release.RAIN)),
        (HOLD, Beside(WAIT, witness=Release.SILENT), 0, (None, Release.SILENT)),
        (Stand(4, 4), Beside(at_work=True), 600, (Withheld.WORK, None)),
        (Stand(4, 4), Beside(at_work=True, witness=Release.NEIGHBOUR), 600, (Withheld.WORK, None)),
        (Stand(5, 4), Beside(at_work=True), 600, (Withheld.WORK, None)),
        (Stand(5, 4), Beside(at_work=True, witness=Release.SILENT), 600, (Withheld.WORK, None)),
        (Stand(5, 5), Beside(at_work=True), 0, (None, Release.HIGHEST_AT_WORK)),
        (Stand(5, 4), Beside(at_work=True, witness=Release.RAIN), 0, (None, Release.HIGHEST_AT_WORK)),
        (Stand(2, 2), Beside(WAIT, worked_until=START), 5, (Withheld.UNCONFIRMED, None)),
        (Stand(2, 2), Beside(WAIT, worked_until=START + 4 * MINUTE), 6, (Withheld.UNCONFIRMED, None)),
        (Stand(2, 2), Beside(WAIT, worked_until=START), 6, (None, Release.WAITED)),
        (Stand(5, None), Beside(WAIT, worked_until=START), 0, (Withheld.UNCONFIRMED, None)),
        (None, Beside(), 0, (None, None)),
        (None, Beside(at_work=True), 0, (Withheld.WORK, None)),
    ],
)
def test_what_waits_and_what_lets_it_go(
    stand: Stand | None, beside: Beside, minutes: int, expected: tuple[Withheld | None, Release | None]
) -> None:
    assert judged(stand, 5, START, START + minutes * MINUTE, beside) == expected


def test_where_no_waiting_is_allowed_there_is_no_grace_either() -> None:
    assert waiting(STEP, timedelta(0)) == timedelta(0)
    assert waiting(MINUTE, STEP) == MINUTE + GRACE


@dataclass
class River:
    """The evaluator's turns without a database: readings arrive, the clock looks, and somebody is told."""

    seen: list[Observed] = field(default_factory=list)
    stand: Stand | None = None
    told: int | None = None
    withheld_at: datetime | None = None
    messages: list[tuple[datetime, int | None, bool]] = field(default_factory=list)
    waits: list[tuple[datetime, datetime]] = field(default_factory=list)

    def arrive(self, now: datetime, batch: list[Observed]) -> None:
        transitions = judge_level([RULE], batch, self.seen, self.stand)
        self.seen += batch
        steps, reason = level_steps(
            transitions, self._alert(), newest_of([RULE], self.seen), now, timedelta(hours=6), lambda: Beside(WAIT)
        )
        if transitions:
            self.stand = after(transitions[-1])
        self._take(now, steps, reason, anew=bool(transitions))

    def look(self, now: datetime) -> None:
        if self.withheld_at is not None:
            newest = newest_of([RULE], self.seen)
            steps, reason = level_steps((), self._alert(), newest, now, timedelta(hours=6), lambda: Beside(WAIT))
            self._take(now, steps, reason, anew=False)

    def _alert(self) -> Told | None:
        return None if self.stand is None else Told(self.stand, self.told, self.withheld_at)

    def _take(self, now: datetime, steps: list, reason: Withheld | None, *, anew: bool) -> None:  # type: ignore[type-arg]
        for step, tell in steps:
            if step.event is Event.CLEARED:
                self.told = None
            if tell:
                self.messages.append((now, step.level, step.unconfirmed))
                self.told = step.level
        if reason is None:
            if self.withheld_at is not None:
                self.waits.append((self.withheld_at, now))
            self.withheld_at = None
        elif anew or self.withheld_at is None:
            self.withheld_at = now


def river(values: list[tuple[float, bool]]) -> list[Observed]:
    return [
        Observed(START + n * STEP, value, *((Quality.DOUBTFUL, Reason.RATE) if doubt else (Quality.GOOD, None)))
        for n, (value, doubt) in enumerate(values)
    ]


readings = st.lists(
    st.tuples(st.sampled_from([0.5, 0.95, 1.2, 2.2, 3.2, 4.2]), st.sampled_from([False, False, True])),
    min_size=1,
    max_size=25,
)


def run(series: list[Observed], *, looks: list[int]) -> River:
    """Each reading arrives some seconds after it was made; the clock looks every so many seconds between."""
    found = River()
    for n, each in enumerate(series):
        found.arrive(each.time + timedelta(seconds=7), [each])
        for second in range(10, 300, looks[n % len(looks)]):
            found.look(each.time + timedelta(seconds=second))
    for second in range(300, 900, 5):
        found.look(series[-1].time + timedelta(seconds=second))
    return found


@given(st.sampled_from([0.5, 1.2, 2.2]), st.integers(1, 4), st.integers(1, 20), st.booleans())
def test_a_single_spike_of_a_metre_pages_nobody_when_its_next_reading_comes_in_time(
    calm: float, before: int, look: int, back_is_doubtful: bool
) -> None:
    series = river([(calm, False)] * before + [(calm + 1, True), (calm, back_is_doubtful)] + [(calm, False)] * 3)
    told = [(level, unconfirmed) for _, level, unconfirmed in run(series, looks=[look]).messages]
    level = RULE.reached(calm)
    assert told == ([] if level is None else [(level, False)]), "of the spike nobody hears"


@given(readings, st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_whoever_looks_whenever_what_stands_is_told_within_one_interval(
    values: list[tuple[float, bool]], looks: list[int]
) -> None:
    series = river(values)
    found = run(series, looks=looks)
    assert all(until - since <= WAIT + timedelta(seconds=20) for since, until in found.waits)
    assert found.withheld_at is None, "in the end nothing waits"
    newest = newest_of([RULE], series)
    assert newest is not None
    if found.stand is not None and newest.claims is not None:
        assert found.told is not None and found.told >= min(found.stand.level, newest.claims)
    for n, (time, level, unconfirmed) in enumerate(found.messages):
        if unconfirmed and level is not None and (n == 0 or level > (found.messages[n - 1][1] or 0)):
            made = max(each.time for each in series if each.time <= time)
            assert time - made >= WAIT, "nothing unconfirmed is told before its time"


@given(readings, st.lists(st.integers(1, 6), max_size=10))
def test_the_states_do_not_depend_on_how_it_is_cut_into_batches(
    values: list[tuple[float, bool]], cuts: list[int]
) -> None:
    series = river(values)
    one, many = River(), River()
    late = series[-1].time + MINUTE
    one.arrive(late, series)
    rest = series
    while rest:
        size = cuts.pop() if cuts else len(rest)
        many.arrive(late, rest[:size])
        rest = rest[size:]
    assert one.stand == many.stand
    assert len(one.messages) <= 1, "a batch is told once"


def test_a_flash_flood_of_doubtful_readings_is_told_by_its_second_reading() -> None:
    found = run(river([(0.5, False), (1.2, True), (2.2, True), (3.2, True), (3.3, False)]), looks=[5])
    assert [(level, unconfirmed) for _, level, unconfirmed in found.messages] == [(1, False), (2, False), (3, False)]
    assert found.messages[0][0] - (START + STEP) < STEP + MINUTE


def test_a_device_that_dies_at_the_top_is_told_after_one_interval_as_unconfirmed() -> None:
    found = run(river([(0.5, False), (3.2, True)]), looks=[5])
    ((time, level, unconfirmed),) = found.messages
    assert (level, unconfirmed) == (3, True)
    assert WAIT <= time - (START + STEP + timedelta(seconds=7)) <= WAIT + timedelta(seconds=10)

"""Level crossing with hysteresis and hold: when does a river's level become, stay and stop being an alert?

    judge_level(rules, observations, before, stand) -> transitions

A level is *reached* at or above its threshold and *kept* until below threshold - clear_margin. Going up needs one
observation; a jump over several levels is one transition to the highest. Going down needs `hold`: at every moment
of the last `hold`, the level as it was last read must have been below. So a gap proves nothing: after an outage
the hold starts with the first reading below. An alert falls by as many levels as that evidence allows in one step.

What is judged: every observation except bad and missing ones, in time order, each by the threshold set in force at
its own time. A doubtful observation (rate, stuck, ...) alone confirms nothing: it counts as far as the usable
observation before it agrees. What it says beyond that stands at once, but as unconfirmed (`Stand`), and only until the
next usable observation: a real flash flood is confirmed by that one, a spike is taken back by it, without any hold. Who
is told of it meanwhile: `alerts.rules.withholding`. Doubtful for its clock alone is judged like a good one: the value
is sound, and the time is the network's. What is measured while somebody works at the device brings no level down.

When it works badly: readings further apart than the flood is long; a gauge that fails while rising (no observation,
no step up: `silence` is its own rule); thresholds closer together than clear_margin, where the lower step is only
seen on the way up.

The fold over observations looks only at the observations of the last `hold` and the one before them, so any
splitting of a stream into batches gives the same transitions (tested as a property). Cost: O(n x observations in
`hold`).

After: hysteresis and hold as in Delft-FEWS threshold crossings; 2-of-2 confirmation for gated values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerts.rules.transition import Event, Transition
from devices.model import Quality, Reason, ThresholdLevel

REVISED = "revised"  # the reason of a step that no new reading made, but what was said later of an old one


@dataclass(frozen=True, slots=True)
class Observed:
    """A stored observation as the rule sees it; `value` in metres above gauge zero, None where missing."""

    time: datetime
    value: float | None
    quality: Quality = Quality.GOOD
    reason: str | None = None


class Stand(NamedTuple):
    """Where an open alert stands: the `level` of it, and how much of that is `confirmed`; the rest, or with None all of
    it, is what one doubtful observation says.
    """

    level: int
    confirmed: int | None


@dataclass(frozen=True, slots=True)
class Newest:
    """What the newest usable observation says. `stands`: the level on which it does, of a doubtful one with the one
    before it; `claims`: the level that it says alone. `confirming`: the lower of the observations that `stands` follows
    from; None where there is no such pair. `highest`: the highest level that there is. `version`: the rule in force.
    """

    time: datetime
    value: float
    stands: int | None
    claims: int | None
    confirming: tuple[datetime, float] | None
    highest: int | None
    version: str


@dataclass(frozen=True, slots=True)
class LevelRule:
    """One threshold set: in force from `valid_from` until the next one's. Metres above gauge zero. `source`: whose
    levels they are, as was stated last; None: nobody has said.
    """

    version: str
    valid_from: datetime
    levels: tuple[ThresholdLevel, ...]
    clear_margin: float
    hold: timedelta
    source: str | None = None

    def reached(self, value: float) -> int | None:
        """The highest level whose threshold `value` is at or above."""
        return max((each.level for each in self.levels if value >= each.value), default=None)

    def kept(self, value: float) -> int | None:
        """The highest level that an open alert may keep at `value`."""
        return max((each.level for each in self.levels if value >= self.clearing(each)), default=None)

    def clearing(self, level: ThresholdLevel) -> float:
        """Below this an alert leaves the level. Rounded to the micrometre: 0.7 - 0.1 shall be 0.6."""
        return round(level.value - self.clear_margin, 6)

    def named(self, level: int) -> ThresholdLevel | None:
        return next((each for each in self.levels if each.level == level), None)


def rule_at(rules: Sequence[LevelRule], time: datetime) -> LevelRule | None:
    """The rule in force at a time; `rules` in the order of `valid_from`."""
    in_force = None
    for rule in rules:
        if rule.valid_from > time:
            break
        in_force = rule
    return in_force


def judge_level(
    rules: Sequence[LevelRule],
    observations: Iterable[Observed],
    before: Iterable[Observed],
    stand: Stand | None,
) -> list[Transition]:
    """The transitions that new observations make.

    `rules`: every threshold set of the station, by `valid_from`. `observations`: those newer than the newest one
    judged so far, in time order. `before`: older ones in time order, at least those of the longest hold before the
    first new one and the last usable one before that. `stand`: of the open alert, None without one.

    >>> from datetime import UTC
    >>> at = lambda minute: datetime(2026, 6, 1, 3, tzinfo=UTC) + timedelta(minutes=minute)
    >>> levels = (ThresholdLevel(2, "氾濫注意水位", "Caution", 1.5), ThresholdLevel(4, "氾濫危険水位", "Danger", 2.3))
    >>> rule = LevelRule("threshold_set:1", at(0), levels, clear_margin=0.1, hold=timedelta(0))
    >>> river = [Observed(at(10 * n), value) for n, value in enumerate([1.2, 1.6, 2.31, 1.45, 1.39])]
    >>> [(str(each.event), each.level, each.value) for each in judge_level([rule], river, [], None)]
    [('raised', 2, 1.6), ('escalated', 4, 2.31), ('lowered', 2, 1.45), ('cleared', None, 1.39)]
    """
    seen = [(each.time, each.value, each) for each in before if usable(each) and each.value is not None]
    transitions = []
    for each in observations:
        if each.value is None or not usable(each):
            continue
        seen.append((each.time, each.value, each))
        rule = rule_at(rules, each.time)
        if rule is None:
            continue
        was, stand = stand, _after(rule, seen, stand)
        if was == stand:
            continue
        event, unconfirmed = _step(was, stand)
        level, confirmed = stand or (None, None)
        transitions.append(Transition(event, level, each.time, each.value, rule.version, confirmed, unconfirmed))
    return transitions


def judged_again(
    rules: Sequence[LevelRule],
    observations: Sequence[Observed],
    before: Sequence[Observed],
    stand: Stand | None,
    moved: datetime,
) -> Transition | None:
    """What a revision does to an open alert at `stand` that the observation of `moved` moved last. `observations`:
    those from the one on that raised it; with those `before` it as for `judge_level`. None where it changes nothing, or
    would only raise.
    """
    assert stand is not None, "an alert of this rule has a level"
    steps = judge_level(rules, observations, before, None)
    now = after(steps[-1]) if steps else None
    seen = [*before, *observations]
    last = seen[-1] if seen else Observed(moved, None)
    rule = rule_at(rules, last.time)
    version = rules[0].version if rule is None else rule.version
    if now is None:
        return Transition(Event.CLEARED, None, last.time, last.value, version, reason=REVISED)
    if now.level < stand.level:
        return Transition(Event.LOWERED, now.level, last.time, last.value, version, now.confirmed, reason=REVISED)
    if now.level == stand.level and now.confirmed is not None and now.confirmed > (stand.confirmed or 0):
        return Transition(
            Event.CONFIRMED, now.level, last.time, last.value, version, now.confirmed, now.level != now.confirmed
        )
    return None


def after(transition: Transition) -> Stand | None:
    """Where an alert stands after a step of this rule."""
    return None if transition.level is None else Stand(transition.level, transition.confirmed)


def reached(rules: Sequence[LevelRule], readings: Sequence[Observed]) -> list[tuple[datetime, datetime, float, int]]:
    """Where these observations, in time order, stand on a level: (first, last, highest value, highest level) of each
    run of them. Doubtful ones say nothing.
    """
    found: list[tuple[datetime, datetime, float, int]] = []
    running = False
    for each in readings:
        if each.value is None or not usable(each) or _needs_confirmation(each):
            continue
        rule = rule_at(rules, each.time)
        level = None if rule is None else rule.reached(each.value)
        if level is None:
            running = False
        elif running:
            start, _, value, highest = found[-1]
            found[-1] = (start, each.time, max(value, each.value), max(highest, level))
        else:
            found.append((each.time, each.time, each.value, level))
            running = True
    return found


def newest_of(rules: Sequence[LevelRule], seen: Sequence[Observed]) -> Newest | None:
    """What the last of these usable observations says; None where no rule is in force then."""
    last = seen[-1]
    rule = rule_at(rules, last.time)
    if rule is None or last.value is None:
        return None
    needed = 1 + _needs_confirmation(last)
    pair = [(each.time, each.value) for each in seen[-needed:] if each.value is not None]
    confirming = min(pair, key=lambda each: each[1]) if len(pair) == needed else None
    return Newest(
        last.time,
        last.value,
        None if confirming is None else rule.reached(confirming[1]),
        rule.reached(last.value),
        confirming,
        max((each.level for each in rule.levels), default=None),
        rule.version,
    )


def usable(observation: Observed) -> bool:
    """Whether the rule may look at it at all."""
    return observation.value is not None and observation.quality not in (Quality.BAD, Quality.MISSING)


def _needs_confirmation(observation: Observed) -> bool:
    return observation.quality is Quality.DOUBTFUL and observation.reason != Reason.CLOCK


def _after(rule: LevelRule, seen: Sequence[tuple[datetime, float, Observed]], stand: Stand | None) -> Stand | None:
    """Where an alert stands after the last of `seen`."""
    _, value, observation = seen[-1]
    sure = _confirmed(rule, seen, None if stand is None else stand.confirmed)
    said = rule.reached(value) if _needs_confirmation(observation) else None
    level = max((each for each in (sure, said) if each is not None), default=None)
    return None if level is None else Stand(level, sure)


def _step(was: Stand | None, now: Stand | None) -> tuple[Event, bool]:
    """What that was, and whether one doubtful observation alone said what has come, or what is gone."""
    if was is None:
        assert now is not None, "a step changes something"
        return Event.RAISED, now.level != now.confirmed
    if now is None:
        return Event.CLEARED, was.confirmed is None
    if now.level < was.level:
        return Event.LOWERED, was.level != was.confirmed
    return (Event.ESCALATED if now.level > was.level else Event.CONFIRMED), now.level != now.confirmed


def _confirmed(rule: LevelRule, seen: Sequence[tuple[datetime, float, Observed]], level: int | None) -> int | None:
    """What of an alert of which `level` was confirmed is so after the last of `seen`."""
    time, value, observation = seen[-1]
    confirming = [value]
    if _needs_confirmation(observation):
        if len(seen) < 2:
            return level
        confirming.append(seen[-2][1])

    reached = rule.reached(min(confirming))
    if reached is not None and (level is None or reached > level):
        return reached
    if level is None or observation.reason == Reason.MAINTENANCE:
        return level

    evidence = _last_read_during(seen, time - rule.hold)
    if evidence is None:
        return level
    kept = rule.kept(max(evidence + confirming))
    return None if kept is None else min(kept, level)


def _last_read_during(seen: Sequence[tuple[datetime, float, Observed]], start: datetime) -> list[float] | None:
    """The level as last read at every moment from `start` on; None where nothing was read by then."""
    values = []
    for time, value, _ in reversed(seen):
        values.append(value)
        if time <= start:
            return values
    return None

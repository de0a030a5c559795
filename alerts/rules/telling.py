"""Who is told of what is known late: a pure function of how a rule stands, the open alert and the age of the reading.

    written_steps(standing, alert, now, tell_within, version) -> [(transition, whether to tell)]
    level_steps(...)                                            the same for the level rule

The state of an alert follows from the observations alone, in whatever order they came. Whether anybody is written to
also depends on what stands at the newest known observation:

- it is so there: it is told, once, however many steps led to it, up to `tell_within` of its age;
- newer observations say otherwise already (it was overtaken), or it is older than that: it stands on the pages, and
  nobody is written to. Should it be so again while the alert is still open, that is told then (`Event.TOLD`);
- the end of an alert is told to those who were told of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.rules.engine import Standing
from alerts.rules.transition import Event, Transition

# From this age on a message begins with it.
OLD = timedelta(minutes=15)
TELL_WITHIN = timedelta(hours=6)

Step = tuple[Transition, bool]


@dataclass(frozen=True, slots=True)
class Told:
    """An open alert, and the level that people were told of it last: 0 where the rule has no levels and it was told,
    None where nobody was.
    """

    level: int | None
    told: int | None


def written_steps(
    standing: Standing,
    alert: Told | None,
    now: datetime,
    tell_within: timedelta,
    version: str,
    ended: datetime | None = None,
) -> list[Step]:
    """What a rule without levels does to its alert (None: none is open). `ended`: when what raised it was over."""
    tell = standing.so_now and now - standing.time <= tell_within
    time = standing.time if standing.so_now or standing.decided is None else standing.decided
    if alert is None:
        return [(Transition(Event.RAISED, None, time, None, version), tell)] if standing.open else []
    if standing.open is False:
        return [(Transition(Event.CLEARED, None, ended or time, None, version), alert.told is not None)]
    if tell and alert.told is None:
        return [(Transition(Event.TOLD, None, time, None, version), True)]
    return []


def level_steps(
    transitions: Sequence[Transition],
    alert: Told | None,
    newest: tuple[datetime, float, int | None, str] | None,
    now: datetime,
    tell_within: timedelta,
) -> list[Step]:
    """Which of the transitions of a batch are told. `newest`: the newest known observation (time, value, the level on
    which it stands, the rule in force); None where more is still to be judged: then nothing is told yet.
    """
    told = None if alert is None else alert.told
    level = None if alert is None else alert.level
    steps: list[Step] = [(each, False) for each in transitions]
    last_up = cleared = lowered = None
    for n, each in enumerate(transitions):
        if each.event in (Event.RAISED, Event.ESCALATED):
            last_up, lowered = n, None
        elif each.event is Event.LOWERED:
            lowered = n
        if each.event is Event.CLEARED:
            cleared, told, last_up, lowered = (n if told is not None else cleared), None, None, None
        level = None if each.event is Event.CLEARED else each.level
    if newest is None:
        if cleared is not None:
            steps[cleared] = (steps[cleared][0], True)
        return steps
    time, value, stands, version = newest
    fresh = stands is not None and now - time <= tell_within
    if level is not None and fresh and (told is None or level > told):
        if last_up is not None:
            steps[last_up] = (steps[last_up][0], True)
        else:
            steps.append((Transition(Event.TOLD, level, time, value, version), True))
    elif cleared is not None:
        steps[cleared] = (steps[cleared][0], True)
    elif lowered is not None and told is not None and level is not None and level < told:
        steps[lowered] = (steps[lowered][0], True)
    return steps

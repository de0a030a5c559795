"""Who is told of what is known late: a pure function of how a rule stands, the open alert and the age of the reading.

    written_steps(standing, alert, now, tell_within, version) -> [(transition, whether to tell)]
    level_steps(...)                                            the same for the level rule, and why it waits

The state of an alert follows from the observations alone, in whatever order they came. Whether anybody is written to
also depends on what stands at the newest known observation:

- it is so there: it is told, once, however many steps led to it, up to `tell_within` of its age;
- newer observations say otherwise already (it was overtaken), or it is older than that: it stands on the pages, and
  nobody is written to. Should it be so again while the alert is still open, that is told then (`Event.TOLD`);
- it is withheld (`alerts.rules.withholding`): it is told when it no longer is, if it is still so then. What of a level
  is confirmed does not wait for the rest;
- the end of an alert is told to those who were told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.rules.engine import Standing
from alerts.rules.level import Newest, Stand, after
from alerts.rules.transition import Event, Transition
from alerts.rules.withholding import Beside, Release, Withheld, judged

# From this age on a message begins with it.
OLD = timedelta(minutes=15)
TELL_WITHIN = timedelta(hours=6)

Step = tuple[Transition, bool]


@dataclass(frozen=True, slots=True)
class Told:
    """An open alert, and the level that people were told of it last: 0 where the rule has no levels and it was told,
    None where nobody was. `withheld_at`: since when it waits. `released`: a person has said that it is so.
    """

    stand: Stand | None
    told: int | None
    withheld_at: datetime | None = None
    released: bool = False


def written_steps(
    standing: Standing,
    alert: Told | None,
    now: datetime,
    tell_within: timedelta,
    version: str,
    ended: datetime | None = None,
    withheld: Withheld | None = None,
    worked_until: datetime | None = None,
) -> list[Step]:
    """What a rule without levels does to its alert (None: none is open). `ended`: when what raised it was over.
    `worked_until`: what was withheld for a work is not too old because of that.
    """
    known = max(standing.time, worked_until or standing.time)
    tell = standing.so_now and now - known <= tell_within and withheld is None
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
    newest: Newest | None,
    now: datetime,
    tell_within: timedelta,
    beside: Callable[[], Beside] = Beside,
) -> tuple[list[Step], Withheld | None]:
    """Which of the transitions of a batch are told, and why people are not told of the rest yet. `newest`: the newest
    known observation; None where more is still to be judged: then nothing is told yet. `beside` is asked only where it
    matters.
    """
    told = None if alert is None else alert.told
    stand = None if alert is None else alert.stand
    steps: list[Step] = [(each, False) for each in transitions]
    last_up = sure_up = cleared = lowered = None
    for n, each in enumerate(transitions):
        if each.event in (Event.RAISED, Event.ESCALATED, Event.CONFIRMED):
            last_up, sure_up, lowered = n, (sure_up if each.unconfirmed else n), None
        elif each.event is Event.LOWERED:
            # What was taken back is nothing to be told of any more.
            last_up, lowered = (sure_up if each.unconfirmed else last_up), n
        if each.event is Event.CLEARED:
            cleared, told, last_up, sure_up, lowered = (n if told is not None else cleared), None, None, None, None
        stand = after(each)
    if newest is None:
        if cleared is not None:
            steps[cleared] = (steps[cleared][0], True)
        return steps, None
    reason = release = None
    since, level, stands = newest.time, None if stand is None else stand.level, newest.claims
    if stand is not None and (told is None or stand.level > told):
        around = beside()
        since = max(since, around.worked_until or since)
        waited = None if transitions or alert is None else alert.withheld_at
        if transitions or alert is None or not alert.released:
            reason, release = judged(stand, newest.highest, waited or now, now, around)
        if reason is Withheld.WORK:
            level = None
        elif reason is Withheld.UNCONFIRMED:
            level, stands = stand.confirmed, newest.stands
            reason = None if newest.claims is None else reason
        elif stand.level == stand.confirmed and waited is None:
            stands = newest.stands
        if around.worked_until is not None and reason is Withheld.UNCONFIRMED:
            level = None
    fresh = stands is not None and now - since <= tell_within
    if stand is not None and level is not None and fresh and (told is None or level > told):
        _tell(steps, stand, level, last_up if level == stand.level else sure_up, newest, release)
    elif cleared is not None:
        steps[cleared] = (steps[cleared][0], True)
    elif lowered is not None and told is not None and stand is not None and stand.level < told:
        steps[lowered] = (steps[lowered][0], True)
    return steps, reason


def _tell(
    steps: list[Step], stand: Stand, level: int, step: int | None, newest: Newest, release: Release | None
) -> None:
    """Marks the step that is told, or adds one where none of these led to this level."""
    unconfirmed = level != stand.confirmed
    if step is not None and (level == stand.level or steps[step][0].level == level):
        told = steps[step][0]
        steps[step] = (replace(told, unconfirmed=unconfirmed, reason=release), True)
        return
    time, value = newest.time, newest.value
    if level != stand.level and newest.confirming is not None:
        time, value = newest.confirming
    told = Transition(Event.TOLD, level, time, value, newest.version, stand.confirmed, unconfirmed, release)
    steps.append((told, True))

"""Who is not written to yet: a pure function of where an alert stands, what else is known there, and the town clock.

    judged(stand, highest, known_at, now, beside) -> (why nobody is written to yet, why somebody is all the same)

What one doubtful reading says stands on the pages at once, and waits before it reaches people (`Withheld.UNCONFIRMED`)
for the next reading, a neighbour or a person: one reporting interval of the series, at most what the station allows,
with a little for the way that a message takes. Not at all

- at the highest level of the station;
- when a gauge beside it rises, or rain falls in its catchment as the station demands;
- when the device has fallen silent: then there will be no next reading.

It is told then as 「未確認の値」. Where the next reading takes it back before that, nobody is written to.

What the series says while somebody works at its device waits until the work is over (`Withheld.WORK`): then for the
first reading after it, as above, and is told where it still stands. Told at once during work is only the highest level,
and only where two readings agree on it or one has such a witness: the message begins with 「作業中の機器の値」.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from alerts.rules.level import Stand

CONFIRM_WITHIN = timedelta(minutes=5)
GRACE = timedelta(seconds=30)  # of town time: what is measured on the minute arrives some seconds after it


class Withheld(StrEnum):
    """Why nobody is written to yet."""

    UNCONFIRMED = "unconfirmed"
    WORK = "work"


class Release(StrEnum):
    """Why people are written to although one doubtful reading alone says it, or somebody works at the device."""

    HIGHEST = "highest"
    NEIGHBOUR = "neighbour"
    RAIN = "rain"
    SILENT = "silent"
    WAITED = "waited"
    HIGHEST_AT_WORK = "highest_at_work"


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beside the reading. `wait`: for the next one. `at_work`: somebody works at its device now;
    `worked_until`: the end of the work during which the newest reading was made, None where it was made in none that
    is over. `witness`: what speaks for it, or says that nothing more will come.
    """

    wait: timedelta = timedelta(0)
    at_work: bool = False
    worked_until: datetime | None = None
    witness: Release | None = None


def waiting(step: timedelta, at_most: timedelta) -> timedelta:
    """How long the next reading of a series is waited for that says something every `step`; nothing of `at_most`: not
    at all.

    >>> waiting(timedelta(minutes=10), timedelta(minutes=5)) == timedelta(minutes=5, seconds=30)
    True
    """
    return min(step, at_most) + GRACE if at_most else at_most


def judged(
    stand: Stand | None, highest: int | None, known_at: datetime, now: datetime, beside: Beside
) -> tuple[Withheld | None, Release | None]:
    """Whether an alert of which people have not been told waits. `stand`: None for a rule without levels. `known_at`:
    since when this is known, town time.
    """
    at_highest = stand is not None and highest is not None and stand.level >= highest
    sure = stand is None or stand.level == stand.confirmed
    if beside.at_work:
        witnessed = beside.witness in (Release.NEIGHBOUR, Release.RAIN)
        if at_highest and (sure or witnessed):
            return None, Release.HIGHEST_AT_WORK
        return Withheld.WORK, None
    if beside.worked_until is not None:
        known_at = max(known_at, beside.worked_until)
    elif sure:
        return None, None
    if at_highest and beside.worked_until is None:
        return None, Release.HIGHEST
    if beside.witness is not None:
        return None, beside.witness
    if now >= known_at + beside.wait:
        return None, Release.WAITED
    return Withheld.UNCONFIRMED, None

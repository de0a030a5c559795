"""Days for which a 警報 or 特別警報 of the weather agency stood, as who looks ahead at spots needs them: which days,
and what such days had at a spot before.

    issued(conn, town, zone, first, days, now) -> Issued     of the local days from `first` on
    Issued.days (days,)                                      days for which one stood
    Issued.past(...), Issued.effect(...)                     what earlier such days had, what one will have

A day counts where one stood at some time from 6 to 15 o'clock. A day that is over: by all telegrams of the town. Today:
by those that have come, and what stands is taken to stand until the day is over. Tomorrow: where a telegram says that
it holds so long. Of several the gravest is told. Like days of an event these are left out of what is learned, for they
are few; and what such a day changes is the mean of the earlier ones (`expected.effects`), those of the same name before
all others. Of a 注意報 nothing is said apart: there are too many of them, and the intervals have learned them.

Drills and tests of the agency, and what it took back, are none. Words are the agency's, never ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.visitors.expected.counts import Bools, Floats
from analytics.visitors.expected.effects import Effect, Past, known, ratio
from analytics.visitors.usual import day_start, local_day
from store import Connection
from store.jma_spells import Spell, spells

OPEN, SHUT = time(6), time(15)  # local: what stands before or after changes little of a day
_KIND = "issued"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """`standing` (days,): what stood for each day from `first` on, None: nothing that is known."""

    first: date
    standing: tuple[Spell | None, ...]

    @property
    def days(self) -> Bools:
        """(days,)"""
        return np.array([each is not None for each in self.standing], dtype=np.bool_)

    def past(self, came: Floats, without: Floats) -> list[Past]:
        """What such days had at a spot beside what was expected without, both (days,); nan is left out."""
        return [
            Past(each.name, _KIND, ratio([float(had)], [float(else_)]))
            for each, had, else_ in zip(self.standing, came, without, strict=False)
            if each is not None and not np.isnan(had + else_)
        ]

    def effect(self, row: int, past: Sequence[Past]) -> Effect | None:
        """What to reckon with on a day at a spot with that past; None: nothing stands."""
        each = self.standing[row]
        return None if each is None else known(each.name, _KIND, past)


def issued(conn: Connection, municipality_id: int, zone: ZoneInfo, first: date, days: int, now: datetime) -> Issued:
    """By what came until `now` (town time)."""
    since = day_start(first, zone)
    return of_days(spells(conn, municipality_id, since, now), zone, first, days, now)


def of_days(found: Iterable[Spell], zone: ZoneInfo, first: date, days: int, now: datetime) -> Issued:
    """The same of spells that are known."""
    standing: list[Spell | None] = [None] * days
    today_ends = day_start(local_day(now, zone) + _DAY, zone)
    for each in sorted(found, key=lambda spell: (spell.gravity, -spell.since.timestamp())):
        end = today_ends if each.end is None else each.end
        row = max(0, (local_day(each.since, zone) - first).days)
        while row < days and _at(first + row * _DAY, OPEN, zone) < end:
            if each.since < _at(first + row * _DAY, SHUT, zone):
                standing[row] = each  # the gravest comes last
            row += 1
    return Issued(first, tuple(standing))


def _at(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, zone)

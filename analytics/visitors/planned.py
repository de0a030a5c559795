"""The town's calendar of events, as who looks ahead at spots needs it: which days of a spot an event moves, what
earlier events did there, and which days are school holidays.

    planned(conn, town, spots, first, days) -> Planned     of the local days from `first` on
    Planned.moved (days, spots)                            days on which an event is expected to move a spot
    Planned.past(...), Planned.effect(...)                 what earlier events did, what one will do

An event, a campaign, a closed road or works of at most 14 days moves the spots that it names, or all. What lasts
longer soon is in what the last weeks were like, and is left to them. Days of events are left out of what is learned: a
festival is no usual Sunday, neither this year nor for the four weeks after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from analytics.visitors.expected.counts import Bools, Floats
from analytics.visitors.expected.effects import Effect, Past, known, ratio
from store import Connection
from store.events import Entry, EventKind, events

LONGEST = timedelta(days=14)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """`codes` of the spots, in the order of the columns; `moving` the entries that move spots, `school` (days,) the
    school holidays that are written down.
    """

    first: date
    codes: tuple[str, ...]
    moving: tuple[Entry, ...]
    moved: Bools
    school: Bools

    def past(self, spot: int, came: Floats, without: Floats) -> list[tuple[Entry, Past]]:
        """What the events had at a spot, as far as they were counted. `came`, `without` (days,) of that spot."""
        found = []
        for each in self.moving:
            rows = [row for row in self._rows(each, len(came)) if not np.isnan(came[row] + without[row])]
            if rows and self._concerns(each, spot):
                made = ratio(came[rows].tolist(), without[rows].tolist())
                found.append((each, Past(each.name, each.kind.value, made)))
        return found

    def effect(self, spot: int, row: int, past: Sequence[tuple[Entry, Past]]) -> Effect | None:
        """What to reckon with on a day; of several events there the one of which most is known. None: no event."""
        day = self.first + row * _DAY
        told = [
            known(each.name, each.kind.value, [before for other, before in past if other.last_day < each.first_day])
            for each in self.moving
            if each.first_day <= day <= each.last_day and self._concerns(each, spot)
        ]
        return max(told, key=lambda each: (each.basis == "same", each.basis == "alike", each.past), default=None)

    def _concerns(self, entry: Entry, spot: int) -> bool:
        return concerns(entry, self.codes[spot])

    def _rows(self, entry: Entry, days: int) -> range:
        return range(max(0, (entry.first_day - self.first).days), min(days, (entry.last_day - self.first).days + 1))


def concerns(entry: Entry, code: str) -> bool:
    """Whether an entry is about a spot: it names it, or none and so the whole town; a control spot it never is."""
    return code in entry.spots or (not entry.spots and code not in entry.controls)


def planned(conn: Connection, municipality_id: int, codes: Sequence[str], first: date, days: int) -> Planned:
    """What the calendar has of these days, as it is now."""
    entries = [each.entry for each in events(conn, municipality_id, first, first + (days - 1) * _DAY)]
    school = np.zeros(days, dtype=np.bool_)
    moved = np.zeros((days, len(codes)), dtype=np.bool_)
    moving = []
    for each in entries:
        rows = slice(max(0, (each.first_day - first).days), (each.last_day - first).days + 1)
        if each.kind is EventKind.SCHOOL_HOLIDAY:
            school[rows] = True
        elif each.last_day - each.first_day < LONGEST:
            moving.append(each)
            moved[rows] |= np.array([concerns(each, code) for code in codes], dtype=np.bool_)
    return Planned(first, tuple(codes), tuple(moving), moved, school)

"""What leaves the town hall: the confirmed days of the spots that the office has made public, and no small numbers.

    published(conn, municipality_id, first, last, relation=...) -> list[PublishedSpot]

A day is here when it is confirmed and its number is still the one that was confirmed (`gate`); every other day has no
line at all. A number below the spot's `smallest` (0 too) is not given, only that it is below. Of a spot that is made of
others a day is withheld as well when one of its parts has a small number: the difference would give it away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from analytics.visitors.checks.judged import Choice, choices
from analytics.visitors.checks.places import Place, places
from analytics.visitors.spots.plan import Plan, plans
from analytics.visitors.spots.series import SpotDay, days_of
from analytics.visitors.usual import Observations
from store import Connection

State = Literal["counted", "estimated", "missing", "small", "withheld"]


@dataclass(frozen=True, slots=True)
class PublishedDay:
    """`visitors` None where `state` says why: missing (nothing true was counted), small (below `below`), withheld.
    [low, high] of an estimate only.
    """

    day: date
    state: State
    visitors: int | None
    low: int | None
    high: int | None
    below: int | None
    method: str


@dataclass(frozen=True, slots=True)
class PublishedSpot:
    """A public spot with its confirmed days, oldest first."""

    place: Place
    days: tuple[PublishedDay, ...]


def published(
    conn: Connection, municipality_id: int, first: date, last: date, *, relation: Observations = "observation"
) -> list[PublishedSpot]:
    """Of the local days first..last."""
    every = places(conn, municipality_id)
    chosen = choices(conn, [each.spot_id for each in every])
    public = [each for each in every if chosen[each.spot_id].public]
    if not public or first > last:
        return []
    publishing = read_for_publication(conn, [each.spot_id for each in public], first, last, relation=relation)
    return [
        PublishedSpot(
            place,
            tuple(
                publishing.day(place.spot_id, on)
                for on, day in publishing.series[place.spot_id].items()
                if day.version == "confirmed"
            ),
        )
        for place in public
    ]


@dataclass(frozen=True, slots=True)
class Publishing:
    """What it takes to say what may be told of some spots: their plans, days and choices, and those of their parts."""

    known: Mapping[int, Plan]
    series: Mapping[int, Mapping[date, SpotDay]]
    choices: Mapping[int, Choice]

    def day(self, spot_id: int, on: date) -> PublishedDay:
        """What may be told of a confirmed day."""
        return publish(self.known, self.series, self.choices, spot_id, on)


def read_for_publication(
    conn: Connection, spot_ids: Sequence[int], first: date, last: date, *, relation: Observations = "observation"
) -> Publishing:
    """Of the local days first..last of these spots, public or not."""
    known = plans(conn, spot_ids)
    series = days_of(conn, known, first, last, relation=relation)
    by_day = {spot_id: {each.day: each for each in days} for spot_id, days in series.items()}
    return Publishing(known, by_day, choices(conn, list(known)))


def publish(
    known: Mapping[int, Plan],
    by_day: Mapping[int, Mapping[date, SpotDay]],
    chosen: Mapping[int, Choice],
    spot_id: int,
    on: date,
) -> PublishedDay:
    """What may be told of a confirmed day; `known`, `by_day` and `chosen` of the spot and of all that it is made of (no
    choice: the default).
    """
    day, choice = by_day[spot_id][on], chosen.get(spot_id, Choice())
    method = str(day.method)
    if day.visitors is None:
        return PublishedDay(day.day, "missing", None, None, None, None, method)
    if day.visitors < choice.smallest:
        return PublishedDay(day.day, "small", None, None, None, choice.smallest, method)
    if _part_is_small(known, by_day, chosen, spot_id, on):
        return PublishedDay(day.day, "withheld", None, None, None, None, method)
    if day.state == "estimated" and day.low is not None and day.high is not None:
        low, high = max(0, round(day.low)), round(day.high)
        return PublishedDay(day.day, "estimated", day.visitors, low, high, None, method)
    return PublishedDay(day.day, "counted", day.visitors, None, None, None, method)


def _part_is_small(
    known: Mapping[int, Plan],
    by_day: Mapping[int, Mapping[date, SpotDay]],
    chosen: Mapping[int, Choice],
    spot_id: int,
    day: date,
) -> bool:
    for part in known[spot_id].parts_on(day):
        there = by_day[part.spot_id].get(day)
        smallest = chosen.get(part.spot_id, Choice()).smallest
        if there is not None and there.visitors is not None and there.visitors < smallest:
            return True
        if _part_is_small(known, by_day, chosen, part.spot_id, day):
            return True
    return False


def days_between(spots: Sequence[PublishedSpot]) -> list[date]:
    """The days of which anything is public, newest first."""
    return sorted({each.day for spot in spots for each in spot.days}, reverse=True)

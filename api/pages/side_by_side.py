"""地点の比較: two to four spots over the same days, by day, by weekday or by hour.

Into totals and profiles go only days of which every spot has a number of the whole day
(`analytics.visitors.side_by_side`); which were left out, and for whose sake, is said. `index`: each spot in per cent of
its own mean, so that a large and a small one compare. A day or hour without a number is None, and a gap in the picture.
All counts are 延べ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from analytics.visitors.side_by_side import KINDS, Mean, by_hour, by_weekday, common_days, index
from analytics.visitors.spots.series import SpotDay, SpotHour, State
from api.pages.heat import is_partial
from api.pages.side_picture import LETTERS, MOST, SidePicture, side_picture

FEWEST = 2
LONGEST = 400  # days
By = Literal["day", "weekday", "hour"]
BYS: tuple[By, ...] = ("day", "weekday", "hour")

__all__ = ["BYS", "FEWEST", "LONGEST", "MOST", "By", "Comparison", "Line", "OfSpot", "Out", "compare"]


@dataclass(frozen=True, slots=True)
class OfSpot:
    """A spot that is compared, with what was said of its days and of the hours in which it was counted by the hour."""

    code: str
    name: str
    name_en: str
    days: Sequence[SpotDay]
    hours: Sequence[SpotHour]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: a day, or a kind of weekday or an hour (`key`). One value and one number of days a spot.
    `states` of a day's line: why there is no value; `partial` where the value is of a part of the day.
    """

    day: date | None
    key: int
    values: tuple[float | None, ...]
    n: tuple[int, ...]
    states: tuple[State | Literal["partial"], ...]


@dataclass(frozen=True, slots=True)
class Out:
    """A day that is in no profile, and the letters of the spots that have no number of it."""

    day: date
    letters: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`days`: those that all spots have. `sums` and `means` of each spot over them. `without`: the letters of spots
    that nobody counts by the hour, where hours are asked for.
    """

    by: By
    as_index: bool
    letters: tuple[str, ...]
    spots: tuple[OfSpot, ...]
    days: tuple[date, ...]
    out: tuple[Out, ...]
    sums: tuple[int, ...]
    means: tuple[float | None, ...]
    lines: tuple[Line, ...]
    picture: SidePicture
    without: tuple[str, ...]


def compare(spots: Sequence[OfSpot], by: By, *, as_index: bool, labels: Mapping[By, Sequence[str]]) -> Comparison:
    """`labels`: how the picture calls weekdays (KINDS) and hours; days are called by their date."""
    letters = tuple(LETTERS[: len(spots)])
    counts = [
        {each.day: None if each.visitors is None or is_partial(each) else float(each.visitors) for each in of_spot.days}
        for of_spot in spots
    ]
    days = common_days(counts)
    every = sorted({day for of_spot in counts for day in of_spot})
    out = tuple(
        Out(day, "".join(letter for letter, of_spot in zip(letters, counts, strict=True) if of_spot.get(day) is None))
        for day in every
        if day not in set(days)
    )
    if by == "day":
        lines = _days(spots, every)
    elif by == "weekday":
        lines = _profile([by_weekday(of_spot, days) for of_spot in counts], KINDS)
    else:
        lines = _profile([by_hour(_hourly(each.hours), days) for each in spots], range(24))
    columns: list[Sequence[float | None]] = [[line.values[n] for line in lines] for n in range(len(spots))]
    if as_index:
        columns = [index(column) for column in columns]
        lines = [
            Line(line.day, line.key, tuple(column[n] for column in columns), line.n, line.states)
            for n, line in enumerate(lines)
        ]
    told = [f"{line.day.month}/{line.day.day}" for line in lines if line.day is not None] or list(labels[by])
    sums = tuple(round(sum(of_spot[day] or 0.0 for day in days)) for of_spot in counts)
    return Comparison(
        by,
        as_index,
        letters,
        tuple(spots),
        days,
        out,
        sums,
        tuple(total / len(days) if days else None for total in sums),
        tuple(lines),
        side_picture(told, columns),
        tuple(letter for letter, each in zip(letters, spots, strict=True) if by == "hour" and not each.hours),
    )


def _days(spots: Sequence[OfSpot], every: Iterable[date]) -> list[Line]:
    told = [{each.day: each for each in spot.days} for spot in spots]
    lines = []
    for day in every:
        said = [of_spot[day] for of_spot in told]
        values = tuple(None if each.visitors is None else float(each.visitors) for each in said)
        n = tuple(int(value is not None) for value in values)
        lines.append(Line(day, 0, values, n, tuple("partial" if is_partial(each) else each.state for each in said)))
    return lines


def _profile(means: Sequence[Sequence[Mean]], keys: Iterable[int]) -> list[Line]:
    return [
        Line(None, key, tuple(each[n].value for each in means), tuple(each[n].n for each in means), ())
        for n, key in enumerate(keys)
    ]


def _hourly(hours: Iterable[SpotHour]) -> dict[tuple[date, int], float | None]:
    return {(each.start.date(), each.start.hour): each.visitors for each in hours}

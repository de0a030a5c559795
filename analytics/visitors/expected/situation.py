"""What is known of a row at the time of its forecast, `lead` days before it.

    Situation.of(counts, calendar, weather, lead)

    usual        (n, C) log(count + 1) as the same hour of the last four weeks had it, holidays left out: the starting
                 point
    table(at)    (m, k) for some of the n * C: how those weeks differ, what the last days were like against their own
                 usual, at this counter and at all together, the same day a year ago, the calendar, the weather

Everything is relative to `usual`, so that a model learned at one counter holds for one a hundred times as busy, and for
a new one. Weather that is foreseen is that of the row itself (its forecast, or in a recorded set the measurement).
Where there is no forecast it is that of the days which are over: few visitors in a week of rain are no trend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.visitors.expected.calendar import Calendar
from analytics.visitors.expected.counts import (
    WEEK,
    Counts,
    Floats,
    Ints,
    earlier,
    known_mean,
    known_median,
    lately,
)

_WEEKS = (1, 2, 3, 4)
_YEAR = 364  # the same weekday
_NOT_MORE = 3.0  # of what the last days differ from their usual, in log: a counter that was covered is no trend


@dataclass(frozen=True, slots=True)
class Weather:
    """`values` (n, k), k may be 0, nan where not known; `foreseen`: a row's own is known when it is forecast."""

    values: Floats
    foreseen: bool = True


@dataclass(frozen=True, slots=True)
class Situation:
    """See the module. `size` (n, C): visitors in an hour of the last four weeks, on average."""

    usual: Floats
    size: Floats
    _of_each: tuple[Floats, ...]  # (n, C)
    _of_all: tuple[Floats, ...]  # (n,)

    @staticmethod
    def of(counts: Counts, calendar: Calendar, weather: Weather, lead: int) -> Situation:
        """`lead` 1..7 days. nan is what is not known."""
        rows, lead_rows = counts.per_day * WEEK, counts.per_day * lead
        log = np.log1p(counts.values)
        holiday = np.repeat(calendar.holiday, counts.per_day)
        weeks = np.stack([earlier(log, rows * back) for back in _WEEKS])
        ordinary = np.stack([earlier(np.where(holiday[:, None], np.nan, log), rows * back) for back in _WEEKS])
        alike = _same_kind(log, counts.per_day, calendar, lead)
        usual = known_median(ordinary)
        for other in (known_median(weeks), known_mean(alike, 0)):
            usual = np.where(np.isnan(usual), other, usual)
        beside = np.clip(log - usual, -_NOT_MORE, _NOT_MORE)
        known = earlier(beside, lead_rows)
        size = earlier(lately(counts.values, 4 * rows), lead_rows)
        of_day = counts.per_day
        figures: dict[str, Floats] = {
            **{f"week_{back}": each - usual for back, each in zip(_WEEKS, weeks, strict=True)},
            "weeks": known_mean(ordinary, 0) - usual,
            "alike_last": alike[0] - usual,
            "alike": known_mean(alike, 0) - usual,
            "same_hour": known,
            **{f"days_{n}": earlier(lately(beside, n * of_day), lead_rows) for n in (1, 3, 7, 28)},
            "year": earlier(beside, _YEAR * of_day),
            "size": usual - np.log1p(size),
            "scale": np.log1p(size),
        }
        for name in ("same_hour", "days_1", "days_7", "year"):
            figures[f"all_{name}"] = np.broadcast_to(known_mean(figures[name], 1)[:, None], log.shape)
        of_all = {"hour": np.tile(np.arange(of_day), counts.days).astype(np.float64)}
        of_all |= dict(zip(calendar.names, np.repeat(calendar.table(), of_day, axis=0).T, strict=True))
        if weather.foreseen:
            of_all |= _weather(weather.values, of_day)
        else:
            of_all |= {
                f"weather_{n}_{at}": earlier(lately(weather.values, n * of_day), lead_rows)[:, at]
                for n in (1, 7, 28)
                for at in range(weather.values.shape[1])
            }
        return Situation(usual, size, tuple(figures.values()), tuple(of_all.values()))

    def table(self, at: Ints) -> NDArray[np.float32]:
        """(m, k) of the positions `at` (m,) in the flattened (n, C)."""
        found = np.empty((len(at), len(self._of_each) + len(self._of_all)), dtype=np.float32)
        row, counter = np.divmod(at, self.usual.shape[1])
        for column, figure in enumerate(self._of_each):
            found[:, column] = figure[row, counter]
        for column, figure in enumerate(self._of_all, start=len(self._of_each)):
            found[:, column] = figure[row]
        return found


def _same_kind(log: Floats, per_day: int, calendar: Calendar, lead: int) -> Floats:
    """(4, n, C) the same hour of the last four days of the same kind that are known then, newest first."""
    days = log.reshape(-1, per_day, log.shape[1])
    kind = calendar.kind
    found = np.full((4, *days.shape), np.nan)
    for each in np.unique(kind):
        of_kind = np.flatnonzero(kind == each)
        # How many of them lie at least `lead` days before each: the newest is the one before that.
        newest = np.searchsorted(of_kind, of_kind - lead, side="right") - 1
        for back in range(4):
            at = newest - back
            found[back, of_kind[at >= 0]] = days[of_kind[at[at >= 0]]]
    return found.reshape(4, *log.shape)


def _weather(weather: Floats, per_day: int) -> dict[str, Floats]:
    """Each of them as it is, against the same hour of four weeks, and over its day."""
    found: dict[str, Floats] = {}
    for at in range(weather.shape[1]):
        said = weather[:, at]
        before = known_mean(np.stack([earlier(said, WEEK * per_day * back) for back in _WEEKS]), 0)
        found |= {
            f"weather_{at}": said,
            f"weather_{at}_unlike": said - before,
            f"weather_{at}_day": np.repeat(known_mean(said.reshape(-1, per_day), 1), per_day),
        }
    return found

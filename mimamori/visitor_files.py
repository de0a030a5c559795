"""Recorded counts of visitors, as `mimamori evaluate visitors` reads them, and forecasts as it writes them.

    read(folder) -> VisitorSet          dataset.json and series.csv
    write(file, rows)                   time,column,value,lo,hi,state

`dataset.json` has `columns`, `step` ("1h" or "1d"), `test_start` and, as far as there are any, `weather` (columns too)
and `holidays`: a country, or a country and its part, as "JP", "US" or "AU-VIC". `series.csv` has a column `time`
(local, ISO 8601, in any order) and one for each name; empty means missing. Hours and days may be left out of it:
nothing is known of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import holidays
import numpy as np

from analytics.visitors.day_types import holiday_name
from analytics.visitors.expected.calendar import Calendar
from analytics.visitors.expected.counts import Counts, Floats, Ints
from mimamori import recorded
from mimamori.errors import InputError
from mimamori.recorded import described, names_in, table, time_of

HEADER = ("time", "column", "value", "lo", "hi", "state")
_STEPS = {"1h": 3600, "1d": 86400}
_DAY = 86400
_MOST_DAYS = 40_000
_AROUND = timedelta(days=40)  # of holidays known beyond the first and last day


@dataclass(frozen=True, slots=True)
class VisitorSet:
    """`counts` of whole days; `weather` (n, k) of the same rows; the test: rows `first` to before `end`."""

    name: str
    columns: tuple[str, ...]
    counts: Counts
    calendar: Calendar
    weather: Floats
    first: int
    end: int

    def before(self) -> tuple[Counts, Calendar, Floats]:
        """What may be learned from: nothing of the test, and of its first day only what is before it."""
        past = self.counts.until(self.first)
        weather = self.weather[: len(past.values)].copy()
        weather[self.first :] = np.nan
        return past, self.calendar.until(past.days), weather


def read(folder: Path) -> VisitorSet:
    """InputError names the file, and the key or line that is wrong."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    file = folder / "dataset.json"
    said = described(file)
    columns, weather = names_in(file, said, "columns"), names_in(file, said, "weather")
    if not columns:
        raise InputError(f"{file}: 'columns' must name at least one column of series.csv")
    step = _STEPS.get(str(said.get("step")).strip())
    if step is None:
        raise InputError(f"{file}: 'step' is {said.get('step')!r}; it must be '1h' or '1d'")
    series = folder / "series.csv"
    times, values = table(series, [*columns, *weather], ascending=False)
    start = times[0] - times[0] % _DAY
    days = int((times[-1] - start) // _DAY) + 1
    if days > _MOST_DAYS:
        raise InputError(f"{series}: {days} days from its first to its last time; is one of them wrong?")
    rows = np.floor((times - start) / step).astype(np.int64)
    n = days * (_DAY // step)

    def grid(names: list[str]) -> Floats:
        return np.column_stack([_meant(rows, values[name], n) for name in names]) if names else np.empty((n, 0))

    counts = grid(columns)
    if (counts < 0).any():
        row, column = np.argwhere(counts < 0)[0]
        where = datetime.fromtimestamp(start + row * step, UTC)
        raise InputError(f"{series}: {columns[column]} is negative at {where:%Y-%m-%dT%H:%M}; a count is 0 or more")
    begins = time_of(f"{file}, test_start", str(said.get("test_start", "")))[0].replace(tzinfo=UTC).timestamp()
    first = int(np.ceil((begins - start) / step - 1e-9))
    if not 0 <= first <= rows[-1]:
        raise InputError(f"{file}: test_start {said['test_start']} is not within the times of series.csv")
    day = datetime.fromtimestamp(start, UTC).date()
    free = _holidays(file, said.get("holidays"), day - _AROUND, day + timedelta(days=days) + _AROUND)
    return VisitorSet(
        str(said.get("name", folder.name)),
        tuple(columns),
        Counts(day, _DAY // step, counts),
        Calendar.of(day, days, free),
        grid(weather),
        first,
        int(rows[-1]) + 1,
    )


def write(file: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """InputError: it cannot be written."""
    recorded.write(file, HEADER, rows)


def _meant(rows: Ints, values: Floats, n: int) -> Floats:
    """One figure a row: the mean where a local time comes twice."""
    known = ~np.isnan(values)
    number = np.bincount(rows[known], minlength=n)
    total = np.bincount(rows[known], weights=values[known], minlength=n)
    found: Floats = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return found


def _holidays(file: Path, said: object, first: date, last: date) -> set[date]:
    if said is None or said == "":
        return set()
    if said == "JP":  # one source of the Japanese ones, here and in the town
        days = (first + timedelta(days=at) for at in range((last - first).days + 1))
        return {day for day in days if holiday_name(day) is not None}
    country, _, part = str(said).partition("-")
    try:
        return set(holidays.country_holidays(country, subdiv=part or None, years=range(first.year, last.year + 1)))
    except NotImplementedError as error:
        raise InputError(f"{file}: 'holidays' is {said!r}; it must be a country such as 'JP' or 'AU-VIC'") from error

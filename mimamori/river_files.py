"""Recorded rivers, as `mimamori evaluate river` reads them, and forecasts as it writes them.

    read(folder) -> RiverSet            dataset.json and series.csv
    write(file, rows)                   issue_time,lead_h,target_time,value,lo,hi,persistence

`dataset.json` has `target`, `test_start`, `step` (such as "1h", "10min") and, as far as there are any, `neighbours`,
`rain`, `leads_h` and `unit`. `series.csv` has a column `time` (ISO 8601, the dataset's own zone, ascending) and one for
each name; empty means missing. Steps may be left out of it: nothing is known of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analytics.rivers.forecast.record import Floats, Record, on_grid
from mimamori import recorded
from mimamori.errors import InputError
from mimamori.recorded import described, names_in, step_of, table, time_of

HEADER = ("issue_time", "lead_h", "target_time", "value", "lo", "hi", "persistence")
_MOST_ROWS = 5_000_000


@dataclass(frozen=True, slots=True)
class RiverSet:
    """`record` of all of it; `first` the row at which the test begins: learning ends before it. `leads` in hours."""

    name: str
    unit: str
    record: Record
    first: int
    leads: tuple[float, ...]


def read(folder: Path) -> RiverSet:
    """InputError names the file, and the key or line that is wrong."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    file = folder / "dataset.json"
    said = described(file)
    target, neighbours, rain = said.get("target"), names_in(file, said, "neighbours"), names_in(file, said, "rain")
    if not isinstance(target, str):
        raise InputError(f"{file}: 'target' must be the name of a column of series.csv")
    step = step_of(file, said.get("step"))
    begins = time_of(f"{file}, test_start", str(said.get("test_start", "")))[0].timestamp()
    leads = said.get("leads_h", [1, 3, 6])
    if not isinstance(leads, list) or not all(isinstance(each, int | float) and 0 < each <= 48 for each in leads):
        raise InputError(f"{file}: 'leads_h' must be a list of hours above 0 and up to 48")
    if any(each * 3600 % step for each in leads):
        raise InputError(f"{file}: every one of 'leads_h' must be a whole number of steps")
    times, columns = table(folder / "series.csv", [target, *neighbours, *rain])
    n = round((times[-1] - times[0]) / step) + 1
    if n > _MOST_ROWS:
        raise InputError(f"{folder / 'series.csv'}: {n} steps from its first to its last time; is 'step' right?")
    off = np.flatnonzero(np.abs((times - times[0]) / step - np.round((times - times[0]) / step)) > 1e-6)
    if len(off):
        raise InputError(
            f"{folder / 'series.csv'}: row {off[0] + 1} is at no whole step of {said['step']} from the first"
        )

    def grid(names: list[str]) -> Floats:
        found = [on_grid(times, columns[name], times[0], step, n) for name in names]
        return np.column_stack(found) if found else np.empty((n, 0))

    record = Record(float(times[0]), step, grid([target])[:, 0], grid(neighbours), grid(rain))
    first = int(np.ceil((begins - times[0]) / step - 1e-9))
    if not 0 <= first < n:
        raise InputError(f"{file}: test_start {said['test_start']} is not within the times of series.csv")
    return RiverSet(
        str(said.get("name", folder.name)),
        str(said.get("unit", "")),
        record,
        first,
        tuple(sorted({float(each) for each in leads})),
    )


def write(file: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """InputError: it cannot be written."""
    recorded.write(file, HEADER, rows)

"""What rain gauges measured, as columns for whoever adds it up: read once, and laid into cells of ten minutes.

    read(conn, datastreams, start, end) -> {datastream_id: Amounts}      one query for all of them
    cells(amounts, step, end, n)        -> Cells                         the last n cells, up to `end`

What was not measured is not 0: a cell says whether anything of it is missing. An amount belongs to the interval of one
`step` that ends at its time; of a gauge that counts by the hour it is spread evenly over the cells of that hour.

Cost: one read of the range; cells in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from psycopg import sql

from store.columns import Floats, columns
from store.connection import Connection

CELL = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Columns of one length, ascending in time: seconds since 1970, mm in the interval that ends there (nan: not
    measured, or not to be believed), and whether that is an estimate.
    """

    times: Floats
    values: Floats
    estimated: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cells:
    """Of each cell, oldest first, mm that were measured in it, and whether anything of it was not measured."""

    amounts: Floats
    missing: npt.NDArray[np.bool_]


def read(conn: Connection, datastreams: Sequence[int], start: datetime, end: datetime) -> dict[int, Amounts]:
    """The observations with start < time <= end of each of them, in a transaction of the tenant; none of those that
    have none.
    """
    ids, times, values, estimated = columns(
        conn,
        sql.SQL(_AMOUNTS).format(ids=sql.Literal(list(datastreams)), start=sql.Literal(start), end=sql.Literal(end)),
        ("datastream", "time", "amount", "estimated"),
    )
    found = {}
    begins = np.flatnonzero(np.diff(ids, prepend=-1))
    for first, last in pairwise([*begins, len(times)]):
        part = slice(first, last)
        found[int(ids[first])] = Amounts(times[part], values[part], estimated[part] > 0)
    return found


def cells(amounts: Amounts, step: timedelta, end: float, n: int) -> Cells:
    """The last `n` cells before `end`, seconds since 1970. `step` of the gauge: a part of a cell, or whole cells.

    >>> hour = Amounts(np.array([7200.0]), np.array([6.0]), np.array([False]))
    >>> found = cells(hour, timedelta(hours=1), 7200.0, 8)
    >>> found.amounts.tolist(), found.missing.tolist()[:3]
    ([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [True, True, False])
    """
    size = CELL.total_seconds()
    spread = max(1, round(step / CELL))  # cells that one amount is of
    parts = max(1, round(CELL / step))  # amounts that a cell has
    # The cell in which the middle of the interval lies, or of its last cell: times are not always whole multiples.
    last = n - 1 - np.floor((end - amounts.times + min(step.total_seconds(), size) / 2) / size).astype(np.int64)
    known = ~np.isnan(amounts.values)
    sums, counts = np.zeros(n), np.zeros(n)
    for back in range(spread):
        at = last - back
        inside = known & (at >= 0) & (at < n)
        np.add.at(sums, at[inside], amounts.values[inside] / spread)
        np.add.at(counts, at[inside], 1.0)
    return Cells(sums, counts < parts)


# The order is that of the index, by the column itself.
_AMOUNTS = """
    select datastream_id::float8, date_part('epoch', phenomenon_time),
           coalesce(case when quality not in ('bad', 'missing') then value end, 'NaN')::float8,
           (quality = 'estimated')::int::float8
    from tenant_observation
    where datastream_id = any({ids}) and phenomenon_time > {start} and phenomenon_time <= {end}
    order by datastream_id, phenomenon_time
"""

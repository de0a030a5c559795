"""What the meters of a block used together, hour by hour: what a balance may know of its customers.

    blocks_of(conn, town, keyed) -> {block, ...}            of these meters, without those that are in none
    add_up(conn, town, blocks, days)                        anew, after hours of these days were kept
    hours(conn, first, last) -> {block: Hours}              of the days from first to last, of UTC
    of_all(several) -> Hours                                of the same hours, as of one block

A sum is kept of `LEAST` meters or more: of fewer it is not known, as on the page of the meters. Sums are made when a
file is taken in, and go when its readings go (`stored.forget_old`). Who is in a block is what was known then: a meter
that a later file puts into another block stays in the sums of the days before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt

from analytics.leaks.meters.signs import DAY, Floats, flows
from analytics.leaks.meters.stored import Series, series
from analytics.leaks.meters.town import LEAST
from store.connection import Connection

_TOGETHER = 28  # days read at once
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """Hours without holes from `start` on: `litres` (h,) of the `meters` (h,) known of it, NaN where too few are."""

    start: datetime
    litres: Floats
    meters: npt.NDArray[np.int64]


def blocks_of(conn: Connection, municipality_id: int, keyed: Sequence[bytes]) -> set[str]:
    """Of the meters that are known by these keyed numbers."""
    rows = conn.execute(
        """
        select distinct block from smart_meter
        where municipality_id = %s and keyed = any(%s) and block is not null
        """,
        (municipality_id, list(keyed)),
    )
    return {block for (block,) in rows}


def together(meters: Sequence[Series]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """(h,) litres of all, NaN where fewer than `LEAST` are known, and of how many.

    >>> ten = [Series(n, "A", "usage", np.array([2.0, np.nan if n else 5.0])) for n in range(10)]
    >>> [each.tolist() for each in together(ten)]
    [[20.0, nan], [10, 1]]
    """
    each = np.array([flows(one.litres, one.counts) for one in meters])
    known = np.isfinite(each).sum(axis=0)
    return np.where(known >= LEAST, np.nansum(each, axis=0), np.nan), known


def add_up(conn: Connection, municipality_id: int, blocks: Collection[str], days: Iterable[date]) -> None:
    """What stood there of these days before is forgotten. Two that add up for one town do it one after the other."""
    conn.execute("select pg_advisory_xact_lock(hashtext('smart meters'), %s)", (municipality_id,))
    # The last hour that a dial shows ends on the next day.
    left = sorted({day - n * _DAY for day in days for n in (0, 1)})
    while left and blocks:
        now = [day for day in left if day < left[0] + _TOGETHER * _DAY]
        left = left[len(now) :]
        conn.execute(
            "delete from smart_block_day where municipality_id = %s and block = any(%s) and day = any(%s)",
            (municipality_id, list(blocks), now),
        )
        for block in sorted(blocks):
            _add(conn, municipality_id, block, now)


def hours(conn: Connection, first: date, last: date) -> dict[str, Hours]:
    """Of the blocks of the own town that have sums within these days."""
    start, n = datetime.combine(first, time(), UTC), ((last - first).days + 1) * DAY
    found: dict[str, Hours] = {}
    for block, day, litres, meters in conn.execute(
        "select block, day, litres, meters from smart_block_day where day between %s and %s", (first, last)
    ):
        one = found.setdefault(block, Hours(start, np.full(n, np.nan), np.zeros(n, np.int64)))
        at = (day - first).days * DAY
        one.litres[at : at + DAY] = np.array(litres, np.float64)  # None is NaN
        one.meters[at : at + DAY] = meters
    return found


def of_all(several: Sequence[Hours]) -> Hours:
    """Where a block has more than one name. What is not known of one does not make the others unknown."""
    litres = np.array([each.litres for each in several])
    known = np.isfinite(litres)
    return Hours(
        several[0].start,
        np.where(known.any(axis=0), np.nansum(litres, axis=0), np.nan),
        (np.array([each.meters for each in several]) * known).sum(axis=0),
    )


def _add(conn: Connection, municipality_id: int, block: str, days: Sequence[date]) -> None:
    ids = conn.execute(
        "select meter_id from smart_meter where municipality_id = %s and block = %s", (municipality_id, block)
    ).fetchall()
    if len(ids) < LEAST:
        return
    first = days[0]
    litres, meters = together(series(conn, municipality_id, first, days[-1] + _DAY, [meter_id for (meter_id,) in ids]))
    rows = []
    for day in days:
        at = slice((day - first).days * DAY, (day - first).days * DAY + DAY)
        if np.isfinite(litres[at]).any():
            known = [None if np.isnan(each) else float(each) for each in litres[at]]
            rows.append((municipality_id, block, day, known, meters[at].tolist()))
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into smart_block_day (municipality_id, block, day, litres, meters) values (%s, %s, %s, %s, %s)",
            rows,
        )

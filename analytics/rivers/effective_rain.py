"""実効雨量: the rain that has fallen, each amount counted less the longer ago it fell, by half every half-life.

    effective(cells, half_life)       -> Effective         the whole course
    effective_now(conn, steps, now)   -> {datastream_id: EffectiveNow | None}
    effective_by_hour(conn, datastream_id, step, start, end) -> HourlyEffective

    R(t) = r(t) + R(t - cell) * 2 ** (-cell / half_life)

Two half-lives are shown, as offices that watch slopes use them: 1.5 h is rain that is still on its way through the
surface, 72 h rain that is in the ground. It is a sum of what was observed and says nothing about what comes.

What was not measured is not 0. A figure is complete where nothing is missing from the time of which more than
`LEAST` still counts (10 hours of the one, 20 days of the other); else it is at least that much (以上).

When it works badly: snow; a gauge that began less than 20 days ago has its long figure as 「以上」 until then.

Cost: one pass; what is read of 10 minutes is 4,300 rows a gauge.

Source: Senoo and Funasaki (1973), Shin-Sabo 84, 40-43; both half-lives as in 国土交通省河川局砂防部,
土砂災害警戒避難基準雨量の設定手法（案）.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from analytics.rivers.amounts import CELL, Amounts, Cells, cells, read
from store.columns import Floats
from store.connection import Connection

HALF_LIVES = (timedelta(hours=1.5), timedelta(hours=72))
LEAST = 0.01  # of what fell: less than that is no gap
_READ = 1.5  # memories: of what fell before, less than a thousandth is left
_HOUR = timedelta(hours=1)
_STALE = timedelta(days=1)
_LARGEST = 500.0  # half-lives in one block: 2 ** 500 is a number


@dataclass(frozen=True, slots=True)
class Effective:
    """mm at the end of each cell, and whether nothing is missing from it."""

    amounts: Floats
    complete: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Part:
    """One figure: mm, and whether nothing is missing from it (else it is at least so much)."""

    amount: float
    complete: bool
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class EffectiveNow:
    """The figures of both `HALF_LIVES` at the gauge's newest observation."""

    time: datetime
    short: Part
    long: Part


@dataclass(frozen=True, slots=True)
class HourlyEffective:
    """A row for each whole hour: its end (seconds since 1970), and both figures there; oldest first."""

    times: Floats
    short: Effective
    long: Effective


def memory(half_life: timedelta) -> timedelta:
    """How long ago rain may have fallen of which LEAST still counts, in whole cells."""
    return ceil(-log2(LEAST) * (half_life / CELL)) * CELL


def effective(fallen: Cells, half_life: timedelta) -> Effective:
    """The course over cells of which the first is the first of all.

    >>> once = Cells(np.array([8.0, 0.0, 0.0]), np.array([False, False, False]))
    >>> effective(once, timedelta(minutes=10)).amounts.tolist()
    [8.0, 4.0, 2.0]
    """
    n, halves = len(fallen.amounts), CELL / half_life
    found, before = np.empty(n), 0.0
    block = max(1, int(_LARGEST / halves))
    for first in range(0, n, block):
        part = fallen.amounts[first : first + block]
        ages = np.arange(1, len(part) + 1) * halves
        found[first : first + block] = (before + np.cumsum(part * 2.0**ages)) * 2.0**-ages
        before = found[first + len(part) - 1]
    length = memory(half_life) // CELL
    gaps = np.concatenate(([0], np.cumsum(fallen.missing)))
    whole = np.zeros(n, dtype=np.bool_)
    whole[length - 1 :] = gaps[length:] == gaps[: max(0, n + 1 - length)]
    return Effective(found, whole)


def effective_now(conn: Connection, steps: Mapping[int, timedelta], now: datetime) -> dict[int, EffectiveNow | None]:
    """Of each of these rain series (with its step); None where nothing came for a day. One query, in a
    transaction of the tenant.
    """
    amounts = read(conn, list(steps), now - _STALE - _READ * memory(HALF_LIVES[1]), now)
    return {each: _newest(amounts.get(each), step, now - _STALE) for each, step in steps.items()}


def effective_by_hour(
    conn: Connection, datastream_id: int, step: timedelta, start: datetime, end: datetime
) -> HourlyEffective:
    """At every whole hour with start < hour <= end; one query, in a transaction of the tenant."""
    longest = memory(HALF_LIVES[1])
    last = end.timestamp() // 3600 * 3600
    hours = max(0, int(last // 3600 - start.timestamp() // 3600))
    n = (_READ * longest + hours * _HOUR) // CELL
    found = read(conn, [datastream_id], datetime.fromtimestamp(last, UTC) - n * CELL, end)
    amounts = found.get(datastream_id, Amounts(np.empty(0), np.empty(0), np.empty(0, dtype=np.bool_)))
    fallen = cells(amounts, step, last, n)
    per_hour = _HOUR // CELL
    at = n - 1 - per_hour * np.arange(hours)[::-1]
    short, long = (effective(fallen, half_life) for half_life in HALF_LIVES)
    return HourlyEffective(
        last - 3600.0 * np.arange(hours, dtype=np.float64)[::-1],
        Effective(short.amounts[at], short.complete[at]),
        Effective(long.amounts[at], long.complete[at]),
    )


def _newest(amounts: Amounts | None, step: timedelta, oldest: datetime) -> EffectiveNow | None:
    if amounts is None or amounts.times[-1] <= oldest.timestamp():
        return None
    end = float(amounts.times[-1])
    parts = []
    for half_life in HALF_LIVES:
        n = _READ * memory(half_life) // CELL
        told = effective(cells(amounts, step, end, n), half_life)
        guessed = bool(amounts.estimated[amounts.times > end - n * CELL.total_seconds()].any())
        parts.append(Part(float(told.amounts[-1]), bool(told.complete[-1]), guessed))
    return EffectiveNow(datetime.fromtimestamp(end, UTC), *parts)

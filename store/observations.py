"""Reading series: current values by datastream and time, as numpy wants them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from devices.model import Quality
from store.connection import Connection


@dataclass(frozen=True, slots=True)
class Series:
    """Observations of one datastream in time order; all four have the same length.

    `values` is float64 in the datastream's unit, nan exactly where the quality is missing.
    """

    times: list[datetime] = field(default_factory=list)
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    qualities: list[Quality] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.times)

    def until(self, end: datetime) -> Series:
        """What there is up to and with a time."""
        n = bisect_right(self.times, end)
        return Series(self.times[:n], self.values[:n], self.qualities[:n], self.reasons[:n])


def series(conn: Connection, datastream_ids: Sequence[int], start: datetime, end: datetime) -> dict[int, Series]:
    """The observations of each datastream with start <= time <= end; an empty series where there are none."""
    cursor = conn.execute(
        """
        select datastream_id, phenomenon_time, value, quality::text, reason from observation
        where datastream_id = any(%s) and phenomenon_time >= %s and phenomenon_time <= %s
        order by datastream_id, phenomenon_time
        """,
        (list(datastream_ids), start, end),
    )
    return _grouped(datastream_ids, cursor)


def before(conn: Connection, datastream_ids: Sequence[int], times: Sequence[datetime], n: int) -> dict[int, Series]:
    """For each datastream its last `n` observations strictly before the time given for it, oldest first."""
    cursor = conn.execute(
        """
        select asked.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason
        from unnest(%s::integer[], %s::timestamptz[]) as asked (datastream_id, before)
        cross join lateral (
            select phenomenon_time, value, quality, reason from observation
            where datastream_id = asked.datastream_id and phenomenon_time < asked.before
            order by phenomenon_time desc limit %s
        ) o
        order by 1, 2
        """,
        (list(datastream_ids), list(times), n),
    )
    return _grouped(datastream_ids, cursor)


def after(conn: Connection, datastream_ids: Sequence[int], times: Sequence[datetime], n: int) -> dict[int, Series]:
    """For each datastream its first `n` observations strictly after the time given for it, oldest first."""
    cursor = conn.execute(
        """
        select asked.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason
        from unnest(%s::integer[], %s::timestamptz[]) as asked (datastream_id, after)
        cross join lateral (
            select phenomenon_time, value, quality, reason from observation
            where datastream_id = asked.datastream_id and phenomenon_time > asked.after
            order by phenomenon_time limit %s
        ) o
        order by 1, 2
        """,
        (list(datastream_ids), list(times), n),
    )
    return _grouped(datastream_ids, cursor)


def _grouped(
    datastream_ids: Sequence[int], rows: Iterable[tuple[int, datetime, float | None, str, str | None]]
) -> dict[int, Series]:
    columns: dict[int, tuple[list[datetime], list[float], list[Quality], list[str | None]]] = {
        datastream_id: ([], [], [], []) for datastream_id in datastream_ids
    }
    for datastream_id, time, value, quality, reason in rows:
        times, values, qualities, reasons = columns[datastream_id]
        times.append(time)
        values.append(np.nan if value is None else value)
        qualities.append(Quality(quality))
        reasons.append(reason)
    return {
        datastream_id: Series(times, np.asarray(values, dtype=np.float64), qualities, reasons)
        for datastream_id, (times, values, qualities, reasons) in columns.items()
    }

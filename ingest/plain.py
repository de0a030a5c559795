"""Which values of a batch are good beyond doubt: a look at one stored observation instead of all that the rules need.

A value that is possible, that can be reached from the one before it and that differs from it gets no flag from
`quality`'s estimators, whatever lies further back; nor does one that stands still, where the series has moved within
`stuck_after`. So `plainly_good` names the datastreams whose new values `quality.gate.judge` would all call good. Where
it is not sure it leaves the datastream out, and the gate looks closely: before a gap in the values, after an
impossible clock, where late values come between stored ones.

Cost: one statement a batch, one row a datastream; a second one for what stands still or comes late. In a town at rest
this is all that the gate asks the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from devices.model import ASIDE
from quality.gate import free_of
from store import latest
from store.arrays import transposed
from store.connection import Connection
from store.registry import DatastreamInfo, Directory


@dataclass(frozen=True, slots=True)
class Before:
    """The stored observation before the newest new value. `moved_from`: the last other value within `stuck_after` of
    that newest one, where the first new value is the same as this.
    """

    time: datetime
    value: float | None
    reason: str | None
    moved_from: float | None


def plainly_good(conn: Connection, directory: Directory, fresh: Mapping[int, Mapping[datetime, float]]) -> list[int]:
    """Those of the datastreams whose new values (time -> value) are all good. Runs in the caller's transaction."""
    values = {i: sorted(new.items()) for i, new in fresh.items()}
    before = _before(conn, values)
    return [i for i, new in values.items() if surely_good(directory.datastreams[i], before.get(i), new)]


def surely_good(info: DatastreamInfo, before: Before | None, new: list[tuple[datetime, float]]) -> bool:
    """Whether new values, in time order, are good beyond doubt. `before` None: nothing is stored before them."""
    points = new
    if before is not None:
        if before.value is None or before.reason in ASIDE or before.time >= new[0][0]:
            return False
        points = [(before.time, before.value), *new]
    return (
        all(_possible(info, value) for _, value in points)
        and (info.max_rate is None or _reachable(points, info.max_rate))
        and ((free := free_of(info.observed_property, info.max_rate)) is None or _calm(points, free))
        and (info.stuck_after is None or _moving(info, before, new))
    )


def _possible(info: DatastreamInfo, value: float) -> bool:
    return (info.range_low is None or value >= info.range_low) and (info.range_high is None or value <= info.range_high)


def _reachable(points: list[tuple[datetime, float]], per_hour: float) -> bool:
    # In the same arithmetic as `quality.rate`, so that both agree to the last digit.
    hours = [(time.timestamp() / 3600.0, value) for time, value in points]
    return not any(abs(b - a) > per_hour * (t - s) for (s, a), (t, b) in pairwise(hours))


def _calm(points: list[tuple[datetime, float]], free: float) -> bool:
    # What moves no farther needs no look at how far it has been moving.
    return all(abs(b - a) <= free for (_, a), (_, b) in pairwise(points))


def _moving(info: DatastreamInfo, before: Before | None, new: list[tuple[datetime, float]]) -> bool:
    assert info.stuck_after is not None
    if new[-1][0] - new[0][0] >= info.stuck_after:
        return False
    if before is None or before.value != new[0][1]:
        return True
    return before.moved_from is not None and _possible(info, before.moved_from)


def _before(conn: Connection, values: Mapping[int, list[tuple[datetime, float]]]) -> dict[int, Before]:
    """What comes in the order of time and moves is told by the newest observation; the rest is looked up."""
    found: dict[int, Before] = {}
    asked: list[tuple[int, datetime, float]] = []
    newest = latest.standing(conn, list(values))
    for datastream_id, new in values.items():
        standing = newest.get(datastream_id)
        if standing is None:
            continue
        time, value, reason = standing
        if time < new[0][0] and value != new[0][1]:
            found[datastream_id] = Before(time, value, reason, None)
        else:
            asked.append((datastream_id, new[-1][0], new[0][1]))
    return found | _looked_up(conn, asked) if asked else found


def _looked_up(conn: Connection, asked: list[tuple[int, datetime, float]]) -> dict[int, Before]:
    """`asked`: a datastream, the time of its newest new value, and the oldest one's value."""
    cursor = conn.execute(
        """
        select asked.datastream_id, last.phenomenon_time, last.value, last.reason, moved.value
        from unnest(%s::integer[], %s::timestamptz[], %s::double precision[]) as asked (datastream_id, newest, value)
        join datastream d using (datastream_id)
        cross join lateral (
            select phenomenon_time, value, reason from observation
            where datastream_id = asked.datastream_id and phenomenon_time < asked.newest
            order by phenomenon_time desc limit 1
        ) last
        left join lateral (
            select value from observation
            where datastream_id = asked.datastream_id and phenomenon_time < last.phenomenon_time
              and phenomenon_time > asked.newest - d.stuck_after
              and value <> last.value and reason is distinct from 'clock'
            order by phenomenon_time desc limit 1
        ) moved on last.value = asked.value
        """,
        transposed(asked, 3),
    )
    return {row[0]: Before(*row[1:]) for row in cursor.fetchall()}

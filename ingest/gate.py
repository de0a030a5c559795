"""A batch of decoded rows against what the store knows: the verdicts that need a value's neighbours.

Each datastream of the batch is judged once, over its new values and as many stored ones before them as its rules
need. A late value is judged by what lies before it; what was stored after it keeps its verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from devices.model import Quality, Reason
from ingest.counters import with_increments
from quality.gate import Rules, Verdict, judge
from store import observations
from store.connection import Connection
from store.observations import Series
from store.registry import DatastreamInfo, Directory
from store.writer import ObservationRow, UplinkRow


def through_gate(conn: Connection, directory: Directory, rows: Sequence[UplinkRow]) -> list[UplinkRow]:
    """The same messages with every value judged; missing values and impossible clocks keep what they have.

    What a counter counted between two messages is worked out first, and judged like every other value.
    """
    rows = with_increments(conn, directory, rows)
    settled = iter(judged(conn, directory, [o for row in rows for o in row.observations]))
    return [
        replace(row, observations=tuple(next(settled) for _ in row.observations)) if row.observations else row
        for row in rows
    ]


def judged(conn: Connection, directory: Directory, rows: Sequence[ObservationRow]) -> list[ObservationRow]:
    """The same values, judged; the body of `through_gate`, also for values that came without a message."""
    fresh: dict[int, dict[datetime, float]] = {}
    for observation in rows:
        if observation.value is not None and observation.reason is None:
            fresh.setdefault(observation.datastream_id, {})[observation.phenomenon_time] = observation.value
    # Where the clock was impossible, or the counter leaves a doubt, the value itself can still be.
    doubted = [o for o in rows if o.value is not None and o.reason is not None]
    if not fresh and not doubted:
        return list(rows)

    rules = {i: _rules(directory.datastreams[i]) for i in {*fresh, *(o.datastream_id for o in doubted)}}
    with_context = [i for i in fresh if rules[i].context() > 0]
    past: dict[int, Series] = {}
    if with_context:
        depth = max(rules[i].context() + len(fresh[i]) for i in with_context)
        past = observations.before(conn, with_context, [max(fresh[i]) for i in with_context], depth)

    verdicts: dict[tuple[int, datetime], Verdict] = {}  # of what is not simply good
    for datastream_id, new in fresh.items():
        verdicts |= _judged(datastream_id, rules[datastream_id], past.get(datastream_id), new)
    if not verdicts and not doubted:
        return list(rows)
    return [_settled(o, verdicts, rules) for o in rows]


def _judged(
    datastream_id: int, rules: Rules, past: Series | None, new: dict[datetime, float]
) -> dict[tuple[int, datetime], Verdict]:
    points: dict[datetime, float] = {}
    if past is not None:
        for time, value, reason in zip(past.times, past.values, past.reasons, strict=True):
            # A stand-in time says nothing about how fast a value moved.
            points[time] = np.nan if reason == Reason.CLOCK else float(value)
    points |= new
    times = sorted(points)
    verdicts = judge(
        rules,
        np.array([time.timestamp() for time in times]),
        np.array([points[time] for time in times]),
    )
    return {
        (datastream_id, time): verdict
        for time, verdict in zip(times, verdicts, strict=True)
        if verdict.reason is not None and time in new
    }


def _settled(
    observation: ObservationRow, verdicts: dict[tuple[int, datetime], Verdict], rules: dict[int, Rules]
) -> ObservationRow:
    if observation.value is None:
        return observation
    if observation.reason is not None:
        alone = judge(
            replace(rules[observation.datastream_id], max_rate=None, stuck_after=None),
            np.zeros(1),
            np.array([observation.value]),
        )[0]
        if alone.quality is not Quality.BAD:
            return observation
        return replace(observation, quality=alone.quality, reason=alone.reason)
    verdict = verdicts.get((observation.datastream_id, observation.phenomenon_time))
    if verdict is None:
        return observation
    return replace(observation, quality=verdict.quality, reason=verdict.reason)


def _rules(info: DatastreamInfo) -> Rules:
    return Rules(
        step=info.step,
        low=info.range_low,
        high=info.range_high,
        max_rate=info.max_rate,
        stuck_after=info.stuck_after,
    )

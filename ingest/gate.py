"""A batch of decoded rows against what the store knows: the verdicts that need a value's neighbours.

Each datastream of the batch is judged once, over its new values and as many stored ones before them as its rules
need. A late value is judged by what lies before it; what was stored after it is judged again (`ingest.again`).

What a person wrote down is not doubted for how it moves, only for what cannot be; what a person has confirmed or
corrected is not judged.

Most values follow the one before them without any doubt, and that one is enough to see it (`ingest.plain`). Only the
others are judged with all the observations that their rules look back on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from msgspec import structs

from devices.model import ASIDE, EXAMINED, Quality
from ingest.counters import with_increments
from ingest.plain import plainly_good
from ingest.trial import apart
from quality.gate import Rules, Verdict, free_of, judge
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
    decoded = [o for row in rows for o in row.observations]
    settled = judged(conn, directory, decoded)
    if settled == decoded:
        return list(rows)
    remaining = iter(settled)
    return [
        structs.replace(row, observations=tuple(next(remaining) for _ in row.observations)) if row.observations else row
        for row in rows
    ]


def judged(conn: Connection, directory: Directory, rows: Sequence[ObservationRow]) -> list[ObservationRow]:
    """The same values, judged; the body of `through_gate`, also for values that came without a message. What lies in a
    trial of its station is of the trial's series then (`ingest.trial`).
    """
    return judged_there(conn, *apart(conn, directory, rows))


def judged_there(conn: Connection, directory: Directory, rows: Sequence[ObservationRow]) -> list[ObservationRow]:
    """The same of values whose series is decided: those of a drill."""
    fresh: dict[int, dict[datetime, float]] = {}
    to_judge = 0
    doubted = []
    for observation in rows:
        if observation.value is None:
            continue
        if observation.reason is None:
            fresh.setdefault(observation.datastream_id, {})[observation.phenomenon_time] = observation.value
            to_judge += 1
        else:
            doubted.append(observation)
    # Of two values for one time only one is a neighbour; the other is judged by itself, like what has a doubt already:
    # where the clock was impossible, or the counter leaves one, the value itself can still be.
    beside = (
        [
            o
            for o in rows
            if o.value is not None and o.reason is None and fresh[o.datastream_id][o.phenomenon_time] != o.value
        ]
        if to_judge > sum(map(len, fresh.values()))
        else []
    )
    alone = {id(o) for o in (*doubted, *beside)}
    if not to_judge and not doubted:
        return list(rows)

    for datastream_id in plainly_good(conn, directory, fresh):
        del fresh[datastream_id]
    if not fresh and not alone:
        return list(rows)
    rules = {i: rules_of(directory.datastreams[i]) for i in {*fresh, *(o.datastream_id for o in (*doubted, *beside))}}
    with_context = [i for i in fresh if rules[i].context() > 0]
    past: dict[int, Series] = {}
    if with_context:
        depth = max(rules[i].context() + len(fresh[i]) for i in with_context)
        past = observations.before(conn, with_context, [max(fresh[i]) for i in with_context], depth)

    verdicts: dict[tuple[int, datetime], Verdict] = {}  # of what is not simply good
    for datastream_id, new in fresh.items():
        verdicts |= _judged(datastream_id, rules[datastream_id], past.get(datastream_id), new)
    if not verdicts and not alone:
        return list(rows)
    return [_settled(o, verdicts, rules, alone=id(o) in alone) for o in rows]


def _judged(
    datastream_id: int, rules: Rules, past: Series | None, new: dict[datetime, float]
) -> dict[tuple[int, datetime], Verdict]:
    points: dict[datetime, float] = {}
    if past is not None:
        for time, value, reason in zip(past.times, past.values, past.reasons, strict=True):
            # A stand-in time says nothing about how fast a value moved, and neither does somebody at work.
            points[time] = np.nan if reason in ASIDE else float(value)
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
    observation: ObservationRow,
    verdicts: dict[tuple[int, datetime], Verdict],
    rules: dict[int, Rules],
    *,
    alone: bool,
) -> ObservationRow:
    if observation.value is None or observation.reason in EXAMINED:
        return observation
    if observation.datastream_id not in rules:
        return observation  # plainly good, and so is everything of its datastream
    if alone or observation.reason is not None or observation.quality is Quality.MANUAL:
        possible = judge(
            replace(rules[observation.datastream_id], max_rate=None, stuck_after=None, free=None),
            np.zeros(1),
            np.array([observation.value]),
        )[0]
        if possible.quality is not Quality.BAD:
            return observation
        return structs.replace(observation, quality=possible.quality, reason=possible.reason)
    verdict = verdicts.get((observation.datastream_id, observation.phenomenon_time))
    if verdict is None:
        return observation
    return structs.replace(observation, quality=verdict.quality, reason=verdict.reason)


def rules_of(info: DatastreamInfo) -> Rules:
    """How the values of a datastream are judged."""
    return Rules(
        step=info.step,
        low=info.range_low,
        high=info.range_high,
        max_rate=info.max_rate,
        stuck_after=info.stuck_after,
        free=free_of(info.observed_property, info.max_rate),
    )

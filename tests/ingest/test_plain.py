"""What is waved through on the sight of one stored value is what a close look would call good as well."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.model import Quality, Reason
from ingest.gate import judged, rules_of
from ingest.plain import Before, plainly_good, surely_good
from quality.gate import judge
from store import connect
from store.batch import ObservationRow
from store.registry import DatastreamInfo
from store.writer import write_batch
from tests.conftest import START, Registered, accepted

STEP = timedelta(minutes=10)
RIVER = DatastreamInfo(1, 1, "river", "water_level", "m", "instant", STEP, -0.5, 5.0, 2.0, timedelta(hours=1))
# Where few values meet often: a standstill, a jump and an impossible value are all likely.
LEVELS = st.sampled_from([1.0, 1.0, 1.0, 1.01, 1.3, 1.5, 4.9, 5.1, -0.6])


def at(step: int) -> datetime:
    return START + step * STEP


def neighbour(history: list[tuple[int, float | None]], new: list[tuple[int, float]]) -> Before | None:
    """What the statement finds, said in Python."""
    earlier = [(at(n), value) for n, value in history if n < new[-1][0]]
    if not earlier:
        return None
    time, value = earlier[-1]
    oldest = at(new[-1][0]) - timedelta(hours=1)
    moved = [v for t, v in earlier[:-1] if t > oldest and v is not None and v != value]
    return Before(time, value, None, moved[-1] if moved and value == new[0][1] else None)


@given(
    values=st.lists(st.tuples(LEVELS | st.none(), st.booleans()), min_size=1, max_size=24),
    info=st.sampled_from([RIVER, replace(RIVER, max_rate=None), replace(RIVER, stuck_after=None, range_low=None)]),
)
def test_nothing_passes_that_a_close_look_would_flag(
    values: list[tuple[float | None, bool]], info: DatastreamInfo
) -> None:
    history = [(n, value) for n, (value, fresh) in enumerate(values) if not fresh or value is None]
    new = [(n, value) for n, (value, fresh) in enumerate(values) if fresh and value is not None]
    if not new or not surely_good(info, neighbour(history, new), [(at(n), value) for n, value in new]):
        return
    rules = rules_of(info)
    points = dict(history) | dict(new)
    verdicts = judge(
        rules,
        np.array([at(n).timestamp() for n in sorted(points)]),
        np.array([np.nan if points[n] is None else points[n] for n in sorted(points)], dtype=float),
    )
    said = dict(zip(sorted(points), verdicts, strict=True))
    assert [said[n].quality for n, _ in new] == [Quality.GOOD] * len(new)


@pytest.mark.parametrize(
    ("before", "value", "plain"),
    [
        (None, 1.0, True),
        (Before(at(0), 1.0, None, None), 1.1, True),
        (Before(at(0), 1.0, None, None), 1.5, False),  # 3 m an hour
        (Before(at(0), 1.0, None, None), 1.0, False),  # stands still: since when?
        (Before(at(0), 1.0, None, 1.1), 1.0, True),  # not for long
        (Before(at(0), 1.0, None, 9.0), 1.0, False),  # what it moved from was no level
        (Before(at(0), None, "sensor", None), 1.1, False),
        (Before(at(0), 1.0, Reason.CLOCK, None), 1.1, False),
        (Before(at(0), 5.2, "range", None), 4.9, False),
        (Before(at(2), 1.0, None, None), 1.1, False),  # a late value
        (None, 5.1, False),
    ],
)
def test_one_value_after_another(before: Before | None, value: float, plain: bool) -> None:
    assert surely_good(RIVER, before, [(at(1), value)]) is plain


def test_the_database_is_asked_for_the_same(registered: Registered) -> None:
    """A river that moves, stands still for a day and jumps: value by value through the store, then all verdicts."""
    river = registered.datastream("river-okusawa", "water_level")
    device = registered.directory.devices["a84041ffff310001"]
    values = [1.0, 1.01, 1.02] + [1.02] * 150 + [1.03, 3.9, 1.04, 9.0, 1.05]
    waved_through = []
    with connect(registered.worker, name="test") as conn:
        for n, value in enumerate(values):
            row = ObservationRow(river, at(n), value, Quality.GOOD, None)
            waved_through += [bool(plainly_good(conn, registered.directory, {river: {at(n): value}}))]
            settled = judged(conn, registered.directory, [row])
            write_batch(conn, registered.municipality_id, [accepted(device, at(n), tuple(settled))])
        stored = conn.execute(
            "select quality::text, reason from observation where datastream_id = %s order by phenomenon_time", (river,)
        ).fetchall()
    info = registered.directory.datastreams[river]
    rules = rules_of(info)
    times = np.array([at(n).timestamp() for n in range(len(values))])
    close = [(v.quality.value, v.reason) for v in judge(rules, times, np.array(values))]
    assert stored == close
    assert ("doubtful", "stuck") in close and ("doubtful", "rate") in close and ("bad", "range") in close
    # Only the end of the standstill and what follows the jumps takes a close look.
    assert waved_through[:140] == [True] * 140
    assert [n for n, plain in enumerate(waved_through) if plain and close[n] != ("good", None)] == []

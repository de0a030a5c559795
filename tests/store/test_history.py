"""Values that no device sent: who stands above whom, and that the level rule takes them as judged."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from devices.model import Quality, Reason
from store import connect, feed
from store.writer import HistoryResult, ObservationRow, write_batch, write_history
from tests.conftest import START, Registered
from tests.store.test_writer import level, observation, uplink, values

MINUTE = timedelta(minutes=1)


def state(registered: Registered, *rows: ObservationRow, stated: datetime = START + 60 * MINUTE) -> HistoryResult:
    with connect(registered.worker, name="test") as conn:
        return write_history(conn, registered.municipality_id, rows, stated=stated)


def stored(registered: Registered) -> list[float | None]:
    with connect(registered.owner, name="test") as conn:
        return values(conn, level(registered))


def revisions(registered: Registered) -> list[float | None]:
    with connect(registered.owner, name="test") as conn:
        return [row[0] for row in conn.execute("select value from observation_revision order by revision_id")]


def test_values_are_stored_once_and_announced_once(registered: Registered) -> None:
    ds = level(registered)
    rows = [observation(ds, i, i / 10) for i in range(3)]
    first = state(registered, *rows)
    assert (first.stored, first.unchanged, first.revised, first.outranked) == (3, 0, 0, 0)
    second = state(registered, *rows)
    assert (second.stored, second.unchanged, second.feed_id) == (0, 3, None)
    with connect(registered.worker, name="test") as conn:
        (row,) = feed.read_after(conn, 0)
    assert (row.feed_id, row.touched) == (first.feed_id, (feed.Touched(ds, START, START + 2 * MINUTE),))


def test_the_later_of_two_statements_stands_also_within_a_batch(registered: Registered) -> None:
    ds = level(registered)
    result = state(registered, observation(ds, 0, 1.0), observation(ds, 0, 1.1))
    assert (result.stored, result.outranked) == (1, 1)
    assert state(registered, observation(ds, 0, 1.2)).revised == 1
    missing = ObservationRow(ds, START, None, Quality.MISSING, Reason.FAILURE)
    assert state(registered, missing).revised == 1
    assert (stored(registered), revisions(registered)) == ([None], [1.0, 1.1, 1.2])


@pytest.mark.parametrize("device_first", [True, False])
def test_a_device_stands_above_a_file_and_below_a_person_whoever_comes_first(
    registered: Registered, device_first: bool
) -> None:
    ds = level(registered)
    statements = [observation(ds, 0, 2.0), observation(ds, 1, 3.0, Quality.MANUAL)]

    def device() -> None:
        with connect(registered.worker, name="test") as conn:
            sent = uplink(1, observation(ds, 0, 1.0), observation(ds, 1, 1.0))
            write_batch(conn, registered.municipality_id, [sent])

    if device_first:
        device()
        result = state(registered, *statements)
        assert (result.stored, result.revised, result.outranked) == (0, 1, 1)
    else:
        assert state(registered, *statements).stored == 2
        device()
    assert stored(registered) == [1.0, 3.0]
    assert sorted(value or 0 for value in revisions(registered)) == [1.0, 2.0]


def test_history_counts_as_judged_and_never_takes_that_back(registered: Registered) -> None:
    ds = level(registered)
    for minute in (30, 10):
        state(registered, observation(ds, minute, 1.0))
    with connect(registered.owner, name="test") as conn:
        judged = conn.execute("select datastream_id, rule, judged_to from alert_judged").fetchall()
    assert judged == [(ds, "level", START + 30 * MINUTE)]


def test_the_future_is_no_history(registered: Registered) -> None:
    ds = level(registered)
    with pytest.raises(ValueError, match="later than the town's present"):
        state(registered, observation(ds, 61, 1.0))
    assert stored(registered) == []


def test_nothing_to_say_says_nothing(registered: Registered) -> None:
    assert state(registered) == HistoryResult(0, 0, 0, 0, None)

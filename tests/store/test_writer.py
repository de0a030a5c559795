"""What a batch promises: every message one outcome, no value twice, nothing reverted by a repetition."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from datetime import timedelta
from hashlib import sha256

import pytest
from msgspec.structs import replace

from devices.model import Outcome, Quality, Reason
from store import connect, feed
from store.connection import Connection
from store.observations import before, series
from store.writer import BatchResult, ObservationRow, UplinkRow, write_batch
from tests.conftest import START, Registered

MINUTE = timedelta(minutes=1)


def observation(
    datastream_id: int, minute: int, value: float | None, quality: Quality = Quality.GOOD
) -> ObservationRow:
    return ObservationRow(datastream_id, START + minute * MINUTE, value, quality, None)


def uplink(counter: int, *observations: ObservationRow, minute: int | None = None, payload: bytes = b"") -> UplinkRow:
    at = START + (counter if minute is None else minute) * MINUTE
    return UplinkRow(
        device_id=None,
        device_key="0011223344556677",
        session="01020304",
        counter=counter,
        payload_hash=sha256(payload or bytes([counter])).digest(),
        network="chirpstack_v4",
        topic="application/a/device/0011223344556677/event/up",
        raw=b"{}",
        network_time=at,
        received_time=at,
        outcome=Outcome.ACCEPTED,
        reason=None,
        detail=None,
        observations=observations,
    )


def write(registered: Registered, *rows: UplinkRow) -> BatchResult:
    with connect(registered.worker, name="test") as conn:
        return write_batch(conn, registered.municipality_id, rows)


def level(registered: Registered) -> int:
    return next(
        d.datastream_id for d in registered.directory.datastreams.values() if d.observed_property == "water_level"
    )


def values(conn: Connection, datastream_id: int) -> list[float | None]:
    return [
        row[0]
        for row in conn.execute(
            "select value from observation where datastream_id = %s order by phenomenon_time", (datastream_id,)
        )
    ]


def test_a_batch_stores_every_message_and_value_and_announces_it_once(registered: Registered) -> None:
    ds = level(registered)
    result = write(registered, *(uplink(i, observation(ds, i, i / 10)) for i in range(5)))
    assert result.outcomes == Counter({Outcome.ACCEPTED: 5})
    assert (result.stored, result.unchanged, result.revised) == (5, 0, 0)
    with connect(registered.worker, name="test") as conn:
        (row,) = feed.read_after(conn, 0)
        assert row.feed_id == result.feed_id
        assert row.touched == (feed.Touched(ds, START, START + 4 * MINUTE),)
        assert values(conn, ds) == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_a_known_message_is_a_duplicate_and_changes_nothing(registered: Registered) -> None:
    ds = level(registered)
    write(registered, uplink(1, observation(ds, 1, 1.0)))
    # the redelivery claims another value: it must not even be looked at
    again = write(registered, uplink(1, observation(ds, 1, 9.0)), uplink(1, observation(ds, 2, 9.0)))
    assert again.outcomes[Outcome.DUPLICATE] == 2
    assert again.feed_id is None
    with connect(registered.worker, name="test") as conn:
        assert values(conn, ds) == [1.0]
        assert conn.execute("select counter, repeats from uplink").fetchall() == [(1, 2)]


def test_a_message_twice_in_one_batch_is_stored_once(registered: Registered) -> None:
    ds = level(registered)
    result = write(registered, uplink(1, observation(ds, 1, 1.0)), uplink(1, observation(ds, 1, 1.0)))
    assert result.outcomes == Counter({Outcome.ACCEPTED: 1, Outcome.DUPLICATE: 1})
    with connect(registered.worker, name="test") as conn:
        assert conn.execute("select repeats from uplink").fetchall() == [(1,)]


def test_a_counter_that_begins_anew_after_more_than_a_day_is_a_new_message(registered: Registered) -> None:
    ds = level(registered)
    later = 2 * 24 * 60
    write(registered, uplink(7, observation(ds, 7, 1.0)))
    result = write(registered, uplink(7, observation(ds, later, 1.0), minute=later))
    assert result.outcomes == Counter({Outcome.ACCEPTED: 1})
    redelivered = write(registered, uplink(7, observation(ds, later, 1.0), minute=later))
    assert redelivered.outcomes == Counter({Outcome.DUPLICATE: 1})
    with connect(registered.worker, name="test") as conn:
        assert conn.execute("select epoch from uplink order by epoch").fetchall() == [(0,), (1,)]
        assert len(values(conn, ds)) == 2


def test_messages_without_sender_or_counter_are_known_again(registered: Registered) -> None:
    broken = replace(
        uplink(0), device_key=None, counter=None, outcome=Outcome.QUARANTINED, reason="envelope", detail="cut off"
    )
    assert write(registered, broken).outcomes == Counter({Outcome.QUARANTINED: 1})
    assert write(registered, broken).outcomes == Counter({Outcome.DUPLICATE: 1})


def test_history_that_repeats_a_value_leaves_it_alone(registered: Registered) -> None:
    ds = level(registered)
    write(registered, uplink(1, observation(ds, 1, 1.0)))
    result = write(registered, uplink(2, observation(ds, 1, 1.0), observation(ds, 2, 2.0)))
    assert (result.stored, result.unchanged, result.revised) == (1, 1, 0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_current_value_does_not_depend_on_the_order_of_arrival(
    registered: Registered, order: tuple[int, ...]
) -> None:
    ds = level(registered)
    messages = [uplink(counter, observation(ds, 0, float(counter))) for counter in range(3)]
    for index in order:
        write(registered, messages[index])
    with connect(registered.worker, name="test") as conn:
        assert values(conn, ds) == [2.0]
        revisions = conn.execute("select value from observation_revision order by value").fetchall()
        assert revisions == [(0.0,), (1.0,)]


def test_two_values_for_one_time_in_one_batch_keep_the_later_and_the_revision(registered: Registered) -> None:
    ds = level(registered)
    result = write(registered, uplink(2, observation(ds, 0, 2.0)), uplink(1, observation(ds, 0, 1.0)))
    assert (result.stored, result.revised) == (1, 1)
    with connect(registered.worker, name="test") as conn:
        assert values(conn, ds) == [2.0]


def test_what_a_person_wrote_is_not_overwritten_by_a_device(registered: Registered) -> None:
    ds = level(registered)
    write(registered, uplink(1, observation(ds, 0, 5.0, Quality.MANUAL)))
    write(registered, uplink(2, observation(ds, 0, 6.0)))
    with connect(registered.worker, name="test") as conn:
        assert values(conn, ds) == [5.0]
        assert conn.execute("select value from observation_revision").fetchall() == [(6.0,)]


def test_a_missing_value_is_stored_as_missing_and_not_as_zero(registered: Registered) -> None:
    ds = level(registered)
    missing = ObservationRow(ds, START, None, Quality.MISSING, Reason.SENSOR)
    write(registered, uplink(1, missing, observation(ds, 1, 0.0)))
    with connect(registered.worker, name="test") as conn:
        found = series(conn, [ds], START, START + MINUTE)[ds]
    assert found.qualities == [Quality.MISSING, Quality.GOOD]
    assert found.reasons == ["sensor", None]
    assert str(found.values[0]) == "nan" and found.values[1] == 0.0


def test_nothing_is_stored_of_a_batch_that_fails(registered: Registered) -> None:
    ds = level(registered)
    poison = replace(uplink(2, observation(ds, 2, 2.0)), device_key="a\0b")
    with pytest.raises(Exception, match=r"NUL|0x00"):
        write(registered, uplink(1, observation(ds, 1, 1.0)), poison)
    with connect(registered.worker, name="test") as conn:
        assert conn.execute("select count(*) from uplink").fetchone() == (0,)
        assert values(conn, ds) == []


def test_two_writers_with_the_same_messages_store_each_once(registered: Registered) -> None:
    ds = level(registered)
    messages = [uplink(i, observation(ds, i, float(i)), minute=i, payload=b"%d" % i) for i in range(200)]
    results: list[BatchResult] = []

    def worker(rows: list[UplinkRow]) -> None:
        for start in range(0, len(rows), 20):
            results.append(write(registered, *rows[start : start + 20]))

    threads = [threading.Thread(target=worker, args=(rows,)) for rows in (messages, messages[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total: Counter[Outcome] = sum((result.outcomes for result in results), Counter())
    assert total == Counter({Outcome.ACCEPTED: 200, Outcome.DUPLICATE: 200})
    with connect(registered.worker, name="test") as conn:
        assert values(conn, ds) == [float(i) for i in range(200)]


def test_the_observations_before_a_time_come_oldest_first(registered: Registered) -> None:
    ds = level(registered)
    write(registered, uplink(1, *(observation(ds, i, float(i)) for i in range(6))))
    with connect(registered.worker, name="test") as conn:
        found = before(conn, [ds], [START + 4 * MINUTE], 3)[ds]
    assert list(found.values) == [1.0, 2.0, 3.0]

"""Values of compressed chunks can be changed like any other, and a correction of a long stretch goes in steps."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from devices.model import Quality
from store import chunks, connect
from store import correct as correcting
from store.batch import ObservationRow
from store.chunks import BATCH_ROWS, STEP_ROWS, steps
from store.correct import Correction, Operation, Report, correct
from store.feed import read_after
from store.registry import load_directory
from store.writer import write_batch, write_history
from tests.conftest import START, Registered, accepted

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NOW = START + 200 * DAY
# A year of 100 series at 10 minutes: MIMAMORI_TEST_FULL=1 (some minutes).
FULL = bool(os.environ.get("MIMAMORI_TEST_FULL"))


@pytest.fixture
def hundred(registered: Registered) -> tuple[int, ...]:
    """A hundred series of levels beside those of the town."""
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
            select %s, 'extra-' || n, 'river_gauge', '追加', 'extra', 35, 135 from generate_series(1, 100) n
            """,
            (registered.municipality_id,),
        )
        found = conn.execute(
            """
            insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step)
            select municipality_id, station_id, 'water_level', 'm', 'instant', interval '10 minutes'
            from station where code like 'extra-%' order by station_id returning datastream_id
            """
        ).fetchall()
    return tuple(row[0] for row in found)


def fill(town: Registered, ids: Sequence[int], days: int, minutes: int = 10) -> None:
    """Levels from START on, straight into the table, and the chunks compressed where the engine can."""
    with connect(town.owner, name="test") as conn:
        conn.execute(
            """
            insert into observation (datastream_id, phenomenon_time, value, quality)
            select id, %s + n * %s * interval '1 minute', 1 + (n %% 100) / 64.0, 'good'
            from unnest(%s::integer[]) id, generate_series(0, %s) n
            """,
            (START, minutes, list(ids), days * 1440 // minutes - 1),
        )
        conn.execute("select latest_recompute(null)")
    compress(town)


def compress(town: Registered) -> int:
    n = 0
    with connect(town.worker, name="test") as conn:
        while chunks.compress(conn, NOW) is not None:
            conn.commit()
            n += 1
    return n


def compressed(town: Registered) -> bool:
    """Whether every value before NOW - 40 days lies compressed; on plain PostgreSQL never."""
    if town.engine != "timescaledb":
        return False
    query = "select bool_and(is_compressed) from timescaledb_information.chunks where hypertable_name = 'observation'"
    return bool(rows(town, query)[0][0])


def rows(town: Registered, query: str, *values: object) -> list[Any]:
    with connect(town.owner, name="test") as conn:
        return conn.execute(query.encode(), values or None).fetchall()


def values_at(town: Registered, time: datetime, ids: Sequence[int]) -> list[float]:
    query = (
        "select value from observation where phenomenon_time = %s and datastream_id = any(%s) order by datastream_id"
    )
    return [row[0] for row in rows(town, query, time, list(ids))]


def row(datastream_id: int, time: datetime, value: float | None) -> ObservationRow:
    return ObservationRow(datastream_id, time, value, Quality.MISSING if value is None else Quality.GOOD, None)


def send(town: Registered, observations: Sequence[ObservationRow]) -> Any:
    device = next(iter(town.directory.devices.values()))
    with connect(town.worker, name="test") as conn:
        return write_batch(
            conn, town.municipality_id, [accepted(device, NOW, (each,), sent=NOW) for each in observations]
        )


def test_a_late_batch_of_one_value_in_each_of_a_hundred_compressed_series(
    registered: Registered, hundred: tuple[int, ...]
) -> None:
    """With a row more a batch this is beyond the limit of what the server takes apart in one transaction."""
    extra = registered.datastream("river-mimamoribashi", "water_level")
    ids = (*hundred, extra)
    fill(registered, ids, days=14)
    assert compressed(registered) is (registered.engine == "timescaledb")
    time = START + 5 * DAY
    before = values_at(registered, time, ids)
    done = send(registered, [row(each, time, 7.25) for each in ids])
    assert (done.stored, done.revised) == (0, 101)
    assert values_at(registered, time, ids) == [7.25] * 101
    revisions = rows(registered, "select value from observation_revision order by datastream_id")
    assert [each[0] for each in revisions] == before
    assert rows(registered, "select count(*) from observation") == [(101 * 14 * 144,)]
    late = send(registered, [row(each, time + MINUTE, 3.5) for each in ids])
    assert (late.stored, late.revised) == (101, 0)
    assert compress(registered) == (1 if registered.engine == "timescaledb" else 0)
    assert values_at(registered, time, ids) == [7.25] * 101


def test_what_repeats_a_compressed_value_leaves_its_batch_alone(registered: Registered) -> None:
    ds = registered.datastream("river-mimamoribashi", "water_level")
    fill(registered, [ds], days=30)
    with connect(registered.worker, name="test") as conn:
        said = [row(ds, START + n * 10 * MINUTE, 1 + (n % 100) / 64) for n in range(500)]
        done = write_history(conn, registered.municipality_id, said, stated=NOW)
    assert (done.stored, done.unchanged, done.revised) == (0, 500, 0)
    if registered.engine == "timescaledb":
        assert rows(registered, "select sum(pg_relation_size(c)) from show_chunks('observation') c") == [(0,)]


def test_two_writers_of_one_compressed_batch_wait_for_each_other(registered: Registered) -> None:
    ds = registered.datastream("river-mimamoribashi", "water_level")
    fill(registered, [ds], days=30)
    time = START + DAY
    failed: list[BaseException] = []

    def second() -> None:
        try:
            send(registered, [row(ds, time + 10 * MINUTE, 6.0), row(ds, time, 6.0)])
        except BaseException as error:
            failed.append(error)

    device = next(iter(registered.directory.devices.values()))
    with connect(registered.worker, name="first writer") as conn:
        write_batch(
            conn,
            registered.municipality_id,
            [accepted(device, NOW, (row(ds, time, 5.0),), sent=NOW + DAY)],
        )
        other = threading.Thread(target=second)
        other.start()
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        while not rows(registered, waiting)[0][0]:
            assert other.is_alive() and not failed, failed
    other.join()
    assert not failed
    assert values_at(registered, time, [ds]) == [5.0], "the later message stands, whoever was first"
    assert values_at(registered, time + 10 * MINUTE, [ds]) == [6.0]
    assert rows(registered, "select count(*) from observation") == [(30 * 144,)]


def test_steps_touch_few_batches_and_keep_every_row() -> None:
    keys = [(n % 100, START + n // 100 * timedelta(hours=1)) for n in range(60_000)]
    parts = list(steps(keys, lambda key: key, lambda _: timedelta(hours=1)))
    assert [key for part in parts for key in part] == sorted(keys)
    window = BATCH_ROWS * timedelta(hours=1)
    for part in parts:
        assert len({(ds, (time - START) // window) for ds, time in part}) * BATCH_ROWS <= 2 * STEP_ROWS
    sparse = [(1, START + n * 60 * DAY) for n in range(200)]
    assert max(len(part) for part in steps(sparse, lambda key: key, lambda _: timedelta(hours=1))) == 50


# --- corrections -------------------------------------------------------------------------------------------


@pytest.fixture
def officer(registered: Registered) -> int:
    with connect(registered.owner, name="test") as conn:
        found = conn.execute(
            """
            insert into app_user (municipality_id, login, display_name, role, password_hash)
            values (%s, 'sato', '佐藤', 'digital', 'x') returning user_id
            """,
            (registered.municipality_id,),
        ).fetchone()
        assert found is not None
        return int(found[0])


def put_right(town: Registered, asked: Correction, **options: Any) -> Report:
    with connect(town.worker, name="test") as conn:
        directory = load_directory(conn, town.municipality_id)
        paces = {i: d.step for i, d in directory.datastreams.items()}
        conn.commit()
        return correct(conn, town.municipality_id, asked, stated=NOW, paces=paces, **options)


def shift(ids: Sequence[int], officer: int, days: int, amount: float = 0.5) -> Correction:
    return Correction(
        Operation.SHIFT, tuple(ids), START, START + days * DAY, "零点高の測り直し", officer, amount=amount
    )


def test_a_long_stretch_of_a_hundred_compressed_series_is_corrected(
    registered: Registered, hundred: tuple[int, ...], officer: int
) -> None:
    days = 365 if FULL else 8
    fill(registered, hundred, days=days)
    n = 100 * days * 144
    total = rows(registered, "select sum(value) from observation")[0][0]
    heard: list[tuple[int, int]] = []
    done = put_right(registered, shift(hundred, officer, 400), progress=lambda *each: heard.append(each))
    assert (done.stored, done.revised, done.unchanged, done.resumed) == (0, n, 0, False)
    assert heard[-1] == (n, n) and len(heard) >= 100
    assert rows(registered, "select count(*), sum(value) from observation") == [(n, total + n * 0.5)]
    assert rows(registered, "select count(*), sum(value) from observation_revision") == [(n, total)]
    assert rows(registered, "select distinct quality::text, reason from observation") == [("good", "corrected")]
    with connect(registered.worker, name="test") as conn:
        told = [each for feed in read_after(conn, 0, 10_000) for each in feed.touched]
    assert {each.datastream_id for each in told} == set(hundred)
    last = START + days * DAY - 10 * MINUTE
    assert {(each.start, each.end) for each in told} >= {(START, min(each.end for each in told))}
    assert max(each.end for each in told) == last
    assert rows(
        registered,
        "select count(*) from datastream_latest l join observation o using (datastream_id, phenomenon_time) "
        "where l.value = o.value and l.measured_value = o.value",
    ) == [(100,)]
    again = put_right(registered, shift(hundred, officer, 400))
    assert again.finished_before and rows(registered, "select sum(value) from observation") == [(total + n * 0.5,)]


def test_a_correction_that_was_ended_goes_on_where_it_ended(
    registered: Registered, officer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correcting, "STEP", 100)
    ids = [
        registered.datastream("river-mimamoribashi", "water_level"),
        registered.datastream("river-okusawa", "water_level"),
    ]
    fill(registered, ids, days=3)
    total = rows(registered, "select sum(value) from observation")[0][0]

    class Killed(BaseException):
        pass

    def kill(done: int, _: int) -> None:
        if done >= 500:
            raise Killed

    asked = shift(ids, officer, 3)
    with pytest.raises(Killed):
        put_right(registered, asked, progress=kill)
    assert rows(registered, "select finished, revised from correction") == [(False, 532)]
    # Somebody types the series in another order: it is the same.
    done = put_right(registered, shift(ids[::-1], officer, 3))
    assert done.resumed and done.revised == 2 * 432
    assert rows(registered, "select sum(value) from observation") == [(total + 432,)]
    more = put_right(registered, asked, again=True)
    assert not more.resumed
    assert rows(registered, "select sum(value) from observation") == [(total + 864,)]
    assert rows(registered, "select again, finished, reason from correction order by 1") == [
        (0, True, "零点高の測り直し"),
        (1, True, "零点高の測り直し"),
    ]


def test_each_operation_does_what_it_says(registered: Registered, officer: int) -> None:
    ds = registered.datastream("river-mimamoribashi", "water_level")
    told = [(1.0, "good", None), (9.0, "bad", "range"), (2.0, "doubtful", "rate"), (None, "missing", "sensor")]

    def after(operation: Operation, **options: Any) -> list[Any]:
        with connect(registered.owner, name="test") as conn:
            conn.execute("truncate observation, observation_revision")
            for n, (value, quality, reason) in enumerate(told):
                conn.execute(
                    "insert into observation values (%s, %s, %s, %s, %s)",
                    (ds, START + n * MINUTE, value, quality, reason),
                )
        put_right(registered, Correction(operation, (ds,), START, START + DAY, "点検", officer, **options))
        return rows(registered, "select value, quality::text, reason from observation order by phenomenon_time")

    kept = [told[1], told[3]]
    shifted = after(Operation.SHIFT, amount=-0.25)
    assert shifted == [(0.75, "good", "corrected"), kept[0], (1.75, "good", "corrected"), kept[1]]
    assert after(Operation.SCALE, amount=2.0)[0] == (2.0, "good", "corrected")
    assert after(Operation.MISSING) == [(None, "missing", "corrected")] * 3 + [kept[1]]
    confirmed = after(Operation.CONFIRM)
    assert confirmed == [(v, "good", "confirmed") for v in (1.0, 9.0, 2.0)] + [kept[1]]
    values = ((ds, START + MINUTE, 1.5), (ds, START, None), (ds, START + 7 * MINUTE, 3.0))
    assert after(Operation.REPLACE, source="a.csv", values=values) == [
        (None, "missing", "corrected"),
        (1.5, "manual", "corrected"),
        told[2],
        told[3],
        (3.0, "manual", "corrected"),
    ]
    assert rows(registered, "select value, revised_at from observation_revision order by value") == [
        (1.0, NOW),
        (9.0, NOW),
    ]


@pytest.mark.parametrize("value", [2.0, None])
def test_nothing_that_comes_later_stands_above_a_correction(
    registered: Registered, officer: int, value: float | None
) -> None:
    ds = registered.datastream("river-mimamoribashi", "water_level")
    send(registered, [row(ds, START, 1.0)])
    asked = Correction(
        Operation.REPLACE, (ds,), START, START, "点検", officer, source="a", values=((ds, START, value),)
    )
    put_right(registered, asked)
    done = send(registered, [row(ds, START, 8.0)])
    assert (done.stored, done.revised) == (0, 1)
    assert rows(registered, "select value, reason from observation") == [(value, "corrected")]
    with connect(registered.worker, name="test") as conn:
        write_history(conn, registered.municipality_id, [row(ds, START, 4.0)], stated=NOW)
    assert rows(registered, "select value, reason from observation") == [(value, "corrected")]


def test_a_corrected_old_flood_is_not_waiting_to_be_judged(registered: Registered, officer: int) -> None:
    ds = registered.datastream("river-mimamoribashi", "water_level")
    asked = Correction(Operation.REPLACE, (ds,), START, START, "点検", officer, source="a", values=((ds, START, 9.0),))
    put_right(registered, asked)
    assert rows(registered, "select judged_to from alert_judged where rule = 'level'") == [(START,)]


def test_a_day_entered_by_hand_can_be_corrected_when_it_is_compressed(registered: Registered, officer: int) -> None:
    spot = next(i for i, d in registered.directory.datastreams.items() if d.observed_property == "passages_day")

    def enter(total: float | None) -> str:
        with connect(registered.api, name="test") as conn:
            conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(registered.municipality_id),))
            found = conn.execute(
                "select enter_daily_total(%s, '2026-06-03', %s, %s, %s, null)", (spot, total, officer, NOW)
            ).fetchone()
            assert found is not None
            return str(found[0])

    assert enter(12) == "stored"
    compress(registered)
    assert (enter(12), enter(15), enter(None)) == ("unchanged", "corrected", "corrected")
    assert rows(registered, "select value, quality::text, reason from observation") == [(None, "missing", "withdrawn")]
    assert rows(registered, "select value from observation_revision order by 1") == [(12.0,), (15.0,)]


def test_the_chunks_are_cut_as_the_measurement_says(registered: Registered) -> None:
    if registered.engine != "timescaledb":
        pytest.skip("plain PostgreSQL has partitions by month")
    assert rows(
        registered,
        "select time_interval from timescaledb_information.dimensions where hypertable_name = 'observation'",
    ) == [(chunks.CHUNK,)]
    found = rows(
        registered,
        "select segmentby, orderby, compress_interval_length::interval "
        "from timescaledb_information.hypertable_columnstore_settings where hypertable = 'observation'::regclass",
    )
    assert [(each[0], each[1].split()[0], each[2]) for each in found] == [
        ("datastream_id", "phenomenon_time", chunks.MERGED)
    ]

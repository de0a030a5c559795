"""`datastream_latest` is what a query over the observations would say, after any history and with several writers."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.accounts import create_user
from api.database import enter_municipality
from devices.model import Quality, Reason
from store import connect, latest
from store.connection import Connection
from store.writer import ObservationRow, write_batch, write_history
from tests.conftest import START, Registered
from tests.store.test_writer import MINUTE, uplink

Row = tuple[Any, ...]

QUALITIES = st.sampled_from([Quality.GOOD, Quality.MANUAL, Quality.DOUBTFUL, Quality.BAD, Quality.MISSING])
# series, minute, quality, value, derived
VALUES = st.tuples(st.integers(0, 1), st.integers(0, 5), QUALITIES, st.integers(0, 3), st.booleans())
# by a device (when it was sent) or by a person, and what they say
STEPS = st.tuples(st.none() | st.integers(0, 30), st.lists(VALUES, min_size=1, max_size=6))


def said(datastreams: list[int], value: tuple[int, int, Quality, int, bool]) -> ObservationRow:
    series, minute, quality, number, derived = value
    missing = quality is Quality.MISSING
    reason = Reason.SENSOR if missing else None
    at = START + minute * MINUTE
    return ObservationRow(datastreams[series], at, None if missing else float(number), quality, reason, derived)


def kept(conn: Connection) -> list[Row]:
    return conn.execute("select * from datastream_latest order by datastream_id").fetchall()


def worked_out(conn: Connection) -> list[Row]:
    """The same from the observations alone, the plainest way."""
    found: dict[int, Row] = {}
    for series, town, at, value, quality, reason, uplink_id in conn.execute(
        """
        select datastream_id, municipality_id, phenomenon_time, value, quality, reason, uplink_id
        from observation join datastream using (datastream_id) order by phenomenon_time
        """
    ):
        earlier = found.get(series)
        measured = earlier[7:10] if earlier else (None, None, None)
        if value is not None:
            measured = (at, value, quality)
        found[series] = (series, town, at, value, quality, reason, uplink_id, *measured, earlier[10] if earlier else at)
    return [found[series] for series in sorted(found)]


def two(registered: Registered) -> list[int]:
    return sorted(registered.directory.datastreams)[:2]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(STEPS, min_size=1, max_size=8))
def test_after_any_history_it_is_what_the_observations_say(registered: Registered, history: list[Any]) -> None:
    datastreams = two(registered)
    with connect(registered.owner, name="test") as conn:
        for table in (b"observation", b"datastream_latest", b"uplink"):
            conn.execute(b"delete from " + table)
        conn.commit()
        for counter, (sent, values) in enumerate(history):
            rows = [said(datastreams, value) for value in values]
            if sent is None:
                write_history(conn, registered.municipality_id, rows, stated=START + timedelta(hours=1))
            else:
                write_batch(conn, registered.municipality_id, [uplink(counter, *rows, minute=sent)])
            conn.commit()
            assert kept(conn) == worked_out(conn)
        before = kept(conn)
        latest.recompute(conn)
        assert kept(conn) == before, "and worked out anew it is the same"


def test_two_writers_leave_what_the_observations_say(registered: Registered) -> None:
    """Both write the same few moments of both series, many of them to be missing: each has to look behind the other."""
    numbers, failures = count(), list[BaseException]()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            with connect(registered.worker, name="test") as conn:
                for _ in range(150):
                    values = [
                        (
                            chance.randrange(2),
                            chance.randrange(4),
                            chance.choice([Quality.GOOD, Quality.MISSING]),
                            chance.randrange(100),
                            False,
                        )
                        for _ in range(3)
                    ]
                    number = next(numbers)
                    row = uplink(number, *(said(datastreams, value) for value in values), payload=str(number).encode())
                    write_batch(conn, registered.municipality_id, [row])
                    conn.commit()
        except BaseException as failure:
            failures.append(failure)

    datastreams = two(registered)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures and not any(thread.is_alive() for thread in threads)
    with connect(registered.owner, name="test") as conn:
        revised = conn.execute("select count(*) from observation_revision").fetchone()
        assert revised is not None and revised[0] > 100, "they did correct each other"
        assert kept(conn) == worked_out(conn) and len(kept(conn)) == 2


def test_a_writer_waits_for_one_that_looks_behind_the_newest_value(registered: Registered) -> None:
    """A late value that comes in while the newest one turns out to be none is not overlooked by either of them."""
    (series, _) = two(registered)

    def write(conn: Connection, counter: int, minute: int, quality: Quality) -> None:
        row = said([series], (0, minute, quality, 7, False))
        write_batch(conn, registered.municipality_id, [uplink(counter, row, minute=counter)])

    def turns_out_to_be_missing() -> None:
        write(first, 3, 10, Quality.MISSING)
        first.commit()

    with connect(registered.worker, name="test") as first, connect(registered.worker, name="test") as second:
        write(first, 1, 10, Quality.GOOD)
        first.commit()
        write(second, 2, 7, Quality.GOOD)  # late: it leaves the row alone, and still holds it
        thread = threading.Thread(target=turns_out_to_be_missing)
        thread.start()
        thread.join(0.5)
        second.commit()
        thread.join(60)
        assert kept(second) == worked_out(second)
        assert kept(second)[0][7] == START + 7 * MINUTE


def test_what_was_taken_out_is_no_longer_the_newest(registered: Registered) -> None:
    series, other = two(registered)
    with connect(registered.worker, name="test") as conn:
        rows = [said([series, other], (n, minute, Quality.GOOD, minute, False)) for n in (0, 1) for minute in range(4)]
        write_batch(conn, registered.municipality_id, [uplink(1, *rows)])
        before = kept(conn)
        conn.execute("delete from observation where phenomenon_time in (%s, %s)", (START, START + 3 * MINUTE))
        conn.execute("delete from observation where datastream_id = %s", (other,))
        latest.recompute(conn, [series])
        assert kept(conn) == [*worked_out(conn), before[1]], "only what was asked for"
        latest.recompute(conn)
        assert kept(conn) == worked_out(conn)
        assert len(kept(conn)) == 1


def test_a_daily_total_that_is_entered_corrected_and_withdrawn_is_the_newest(registered: Registered) -> None:
    series = registered.datastream("spot-taki", "passages_day")
    with connect(registered.owner, name="test") as conn:
        code = conn.execute("select code from municipality").fetchone()
        assert code is not None
        create_user(
            conn,
            municipality_code=code[0],
            login="clerk",
            display_name="Clerk",
            role="tourism",
            password="korekara-desu",
        )
        person = conn.execute("select user_id from app_user").fetchone()
        assert person is not None
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        for total, measured in ((5.0, 5.0), (6.0, 6.0), (None, None)):
            conn.execute(
                "select enter_daily_total(%s, '2026-05-30', %s, %s, %s, null)", (series, total, person[0], START)
            )
            row = conn.execute(
                "select value, measured_value, quality::text from datastream_latest where datastream_id = %s", (series,)
            ).fetchone()
            assert row == (total, measured, "missing" if total is None else "manual")
        conn.commit()
    with connect(registered.owner, name="test") as conn:
        assert kept(conn) == worked_out(conn)


def test_a_late_value_leaves_the_row_as_it_is(registered: Registered) -> None:
    (series, _) = two(registered)

    def version(conn: Connection) -> Row | None:
        return conn.execute("select xmin::text, ctid::text from datastream_latest").fetchone()

    with connect(registered.worker, name="test") as conn:
        newest = said([series], (0, 3, Quality.GOOD, 1, False))
        write_batch(
            conn, registered.municipality_id, [uplink(1, newest, said([series], (0, 0, Quality.GOOD, 1, False)))]
        )
        conn.commit()
        before = version(conn)
        write_batch(conn, registered.municipality_id, [uplink(2, said([series], (0, 2, Quality.GOOD, 2, False)))])
        conn.commit()
        assert version(conn) == before

"""Ten rounds, five on each broker, of which each is another kind of fault; `make chaos` plays two hundred.

Also that the judge sees: what it is for is of no use if it finds everything well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from ingest.embedded import available
from store import connect
from store.town_clock import load_clock
from tests.chaos import judge
from tests.chaos.faults import FAULTS, by_name
from tests.chaos.fleet import Transmission
from tests.chaos.rounds import Kind, Series, fault_of, series
from tests.conftest import Registered

GAUGE = "a84041ffff310001"  # of river-okusawa
RATE = 250.0
ROUNDS: dict[Kind, tuple[str, ...]] = {
    "mosquitto": (
        "kill -9 ingest at after_commit",
        "kill -9 database, ingest at in_commit",
        "kill -9 alerts at alert_written",
        "SIGSTOP ingest",
        "network to database falls silent",
    ),
    "nats": (
        "kill -9 ingest at mid_ack",
        "kill -9 of all but the broker",
        "kill -9 broker with a backlog",
        "full disk under the database",
        "clock jumps a day ahead and back",
    ),
}

WORKERS: dict[Kind, int] = {"mosquitto": 2, "nats": 1}

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module", params=ROUNDS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Series]:
    """A town under load on each broker."""
    if request.param not in available():
        pytest.skip(f"{request.param} is not installed here")
    data = tmp_path_factory.mktemp("chaos") / request.param
    with series(
        data, request.param, workers=WORKERS[request.param], rate=RATE, seed=7, rounds=len(ROUNDS[request.param])
    ) as playing:
        yield playing


@pytest.mark.parametrize("number", range(5))
def test_a_town_comes_through(running: Series, number: int) -> None:
    name = ROUNDS[running.kind][number]
    played = running.play(number, by_name(name))
    if played.skipped:
        pytest.skip(played.skipped)
    assert played.failures == [], played
    assert played.figures is not None and played.figures.sent > RATE


def test_every_fault_has_its_turn() -> None:
    assert {fault_of(seed).name for seed in range(1000, 1000 + len(FAULTS))} == {fault.name for fault in FAULTS}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


# --- the judge -------------------------------------------------------------------------------------------


@pytest.fixture
def told(registered: Registered) -> Registered:
    """A town that stored 0 to 8 of a device but not 3, and 5 twice, and that lists 3 and 7 as 欠番."""
    with connect(registered.owner, name="test") as conn:
        for counter, epoch in [(0, 0), (1, 0), (2, 0), (4, 0), (5, 0), (5, 1), (6, 0), (7, 0), (8, 0)]:
            conn.execute(
                "insert into uplink (municipality_id, device_key, session, counter, payload_hash, epoch, topic, raw, "
                "received_time, outcome) values (%s, %s, 'a', %s, %s, %s, 't', '', now(), 'event')",
                (registered.municipality_id, GAUGE, counter, bytes([counter]), epoch),
            )
        conn.execute(
            """
            with run as (
                insert into frame_run (municipality_id, device_id, session, first_counter, last_counter, received,
                                       first_sent, last_sent)
                select municipality_id, device_id, 'a', 0, 8, 7, now(), now() from device where key = %s
                returning frame_run_id, municipality_id, device_id
            )
            insert into frame_gap (frame_run_id, municipality_id, device_id, from_counter, to_counter, noticed_at)
            select frame_run_id, municipality_id, device_id, n, n, now() from run, unnest(array[3, 7]) as n
            """,
            (GAUGE,),
        )
    return registered


def test_the_judge_finds_what_is_missing_doubled_and_invented(told: Registered) -> None:
    sent: set[Transmission] = {(GAUGE, "a", n) for n in range(10)} - {(GAUGE, "a", 8)}
    begun = judge.Mark(0, {})
    with connect(told.owner, name="test") as conn:
        found = judge.judge(conn, begun, sent, sent, set(), {}, random.Random(0))
    assert (found.sent, found.stored) == (9, 8)
    assert found.lost == 2
    assert found.unnamed == 1  # 9: nothing came after it
    assert found.doubled == 1
    assert found.strange == 1  # 8: nobody sent it
    assert "1 listed as 欠番 that are not missing: a84041ffff310001 7" in found.complaints


def test_the_judge_finds_a_forgotten_alert_and_a_wrong_hour(told: Registered) -> None:
    stream = told.datastream("river-okusawa", "water_level")
    with connect(told.owner, name="test") as conn:
        conn.execute(
            "insert into observation (datastream_id, phenomenon_time, value, quality) values (%s, now(), 9, 'good')",
            (stream,),
        )
        found = judge.judge(conn, judge.Mark(0, {}), {(GAUGE, "", 0)}, set(), set(), {GAUGE: True}, random.Random(0))
    assert any("open alerts, the river is high" in each for each in found.complaints)
    assert any("rollup_hour" in each for each in found.complaints)
    assert any("rollup_day" in each for each in found.complaints)


def test_the_judge_lets_what_one_reading_says_wait_and_finds_what_waits_too_long_or_for_nothing(
    told: Registered,
) -> None:
    def complaints(confirmed: int | None, why: str | None, since: timedelta) -> list[str]:
        with connect(told.owner, name="test") as conn:
            conn.execute("delete from alert_history")
            conn.execute("delete from alert")
            now = load_clock(conn).now()
            row = conn.execute(
                """
                insert into alert (municipality_id, station_id, rule, datastream_id, level, peak_level, raised_at,
                                   phenomenon_time, confirmed_level, withheld, withheld_at)
                select municipality_id, station_id, 'level', datastream_id, 3, 3, %(now)s, %(now)s, %(confirmed)s,
                       %(why)s, %(since)s
                from datastream where datastream_id = %(series)s returning alert_id, municipality_id
                """,
                {
                    "now": now,
                    "confirmed": confirmed,
                    "why": why,
                    "since": None if why is None else now - since,
                    "series": told.datastream("river-okusawa", "water_level"),
                },
            ).fetchone()
            assert row is not None
            conn.execute(
                "insert into alert_history (municipality_id, alert_id, at, event, level, phenomenon_time) "
                "values (%s, %s, %s, 'raised', 3, %s)",
                (row[1], row[0], now, now),
            )
            found = judge.judge(conn, judge.Mark(0, {}), set(), set(), set(), {}, random.Random(0))
        return [each for each in found.complaints if each.startswith("alert ")]

    assert complaints(None, "unconfirmed", timedelta(minutes=1)) == []
    assert len(complaints(None, "unconfirmed", timedelta(minutes=7))) == 1
    assert len(complaints(None, None, timedelta(0))) == 1, "nobody was told, and nobody says why"
    assert len(complaints(3, "unconfirmed", timedelta(minutes=1))) == 1, "nothing of it is unconfirmed"
    assert len(complaints(2, "unconfirmed", timedelta(minutes=1))) == 1, "what is confirmed does not wait"
    assert len(complaints(3, "work", timedelta(minutes=1))) == 1, "nobody works here"

"""A counter's readings and the rain between them: pure, then through the gate and the store in any order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.codecs import rain_gauge
from devices.model import Quality, Reason
from ingest.decode import decode
from ingest.gate import through_gate
from ingest.increments import LONGEST_GAP, Count, Increment, between, slot_of
from ingest.subscriber import Delivery
from store import connect
from store.writer import write_batch
from tests.conftest import Registered
from tests.ingest.town import chirpstack, query

STEP = timedelta(minutes=10)
AT = datetime(2026, 5, 31, 12, tzinfo=UTC)
RAIN_GAUGE = "a84041ffff340001"  # rain-okusawa, 0.5 mm a tip
GOOD, ESTIMATED = Quality.GOOD, Quality.ESTIMATED


def reading(slot: int, count: int, *, restarts: int | None = 0, latest: int | None = None, device: int = 1) -> Count:
    return Count(AT + slot * STEP, device, count, restarts, latest, rain_gauge.MODULUS, 0.5)


def told(before: Count | None, after: Count) -> list[tuple[int, float, Quality, Reason | None]]:
    return [((i.time - AT) // STEP, i.value, i.quality, i.reason) for i in between(before, after, STEP)]


def test_the_rain_between_two_readings_is_their_difference() -> None:
    assert told(reading(0, 10), reading(1, 13, latest=3)) == [(1, 1.5, GOOD, None)]
    assert told(reading(0, 10), reading(1, 10)) == [(1, 0.0, GOOD, None)]


def test_lost_messages_lose_no_rain_and_the_last_interval_stays_a_measurement() -> None:
    assert told(reading(0, 10), reading(4, 22, latest=3)) == [
        (1, 1.5, ESTIMATED, Reason.GAP),
        (2, 1.5, ESTIMATED, Reason.GAP),
        (3, 1.5, ESTIMATED, Reason.GAP),
        (4, 1.5, GOOD, None),
    ]
    assert told(reading(0, 10), reading(2, 14)) == [(n, 1.0, ESTIMATED, Reason.GAP) for n in (1, 2)]


def test_a_counter_that_stood_still_over_a_gap_measured_no_rain() -> None:
    assert told(reading(0, 10), reading(3, 10)) == [(n, 0.0, GOOD, None) for n in (1, 2, 3)]
    assert told(reading(0, 10), reading(3, 14, latest=4)) == [
        (1, 0, GOOD, None),
        (2, 0, GOOD, None),
        (3, 2, GOOD, None),
    ]


def test_a_wrap_is_no_restart_and_a_restart_no_wrap() -> None:
    assert told(reading(0, 65530), reading(1, 3)) == [(1, 4.0, GOOD, None)]
    # at least 3 tips fell; what fell before the restart nobody knows
    assert told(reading(0, 65530), reading(1, 3, restarts=1)) == [(1, 1.5, ESTIMATED, Reason.RESTART)]
    # a count above the old one is still a restart when the device says so
    assert told(reading(0, 2), reading(1, 7, restarts=1)) == [(1, 3.5, ESTIMATED, Reason.RESTART)]
    # it began anew in the first of the two intervals, so the second was measured whole
    assert told(reading(0, 900), reading(2, 7, restarts=1, latest=3)) == [
        (1, 2.0, ESTIMATED, Reason.RESTART),
        (2, 1.5, GOOD, None),
    ]


@pytest.mark.parametrize(("before", "after", "rain"), [(65530, 3, 4.0), (900, 3, 1.5), (40000, 3, 1.5)])
def test_a_device_that_does_not_tell_its_restarts_is_judged_by_how_far_it_fell(
    before: int, after: int, rain: float
) -> None:
    (increment,) = between(reading(0, before, restarts=None), reading(1, after, restarts=None), STEP)
    assert increment.value == rain


@pytest.mark.parametrize(
    "before",
    [None, reading(0, 10, device=2), reading(1 - (LONGEST_GAP // STEP) - 1, 10)],
    ids=["first", "other", "old"],
)
def test_without_a_reading_to_compare_with_only_the_last_interval_is_known(before: Count | None) -> None:
    assert told(before, reading(1, 500, latest=3)) == [(1, 1.5, GOOD, None)]
    assert told(before, reading(1, 500)) == []


def test_a_time_beside_the_round_one_closes_the_round_interval() -> None:
    for seconds in (-240, 0, 38, 290):
        assert slot_of(AT + timedelta(seconds=seconds), STEP) == AT
    assert slot_of(AT + timedelta(seconds=301), STEP) == AT + STEP


COUNTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 40), st.booleans()), min_size=1, max_size=12)


@given(COUNTS, st.integers(0, 65534), st.booleans())
def test_all_that_was_counted_is_told_once_in_every_interval_and_never_below_zero(
    steps: list[tuple[int, int, bool]], first: int, tells: bool
) -> None:
    readings = [reading(0, first)]
    fell = 0
    for gap, tips, restart in steps:
        last = readings[-1]
        count = tips if restart else (last.count + tips) % rain_gauge.MODULUS
        slot = (last.slot - AT) // STEP + gap
        latest = min(tips, 254) if tells and gap == 1 else None
        readings.append(reading(slot, count, restarts=(last.restarts or 0) + restart, latest=latest))
        fell += tips
    increments: list[Increment] = [i for pair in pairwise(readings) for i in between(*pair, STEP)]
    assert [(i.time - AT) // STEP for i in increments] == list(range(1, (readings[-1].slot - AT) // STEP + 1))
    assert all(i.value >= 0 for i in increments)
    assert sum(i.value for i in increments) == pytest.approx(0.5 * fell)


# --- through the gate and the store -----------------------------------------------------------------------


def delivery(
    slot: int, count: int | None, *, restarts: int = 0, tips: int | None = None, late: float = 0.0
) -> Delivery:
    time = AT + slot * STEP
    payload = rain_gauge.encode(time=time, restarts=restarts, count=count, tips=tips)
    topic, raw = chirpstack(RAIN_GAUGE, payload, counter=slot, time=time + timedelta(seconds=7))
    return Delivery(topic, raw, time + timedelta(seconds=9, minutes=late), 0, 0)


def store_batches(registered: Registered, batches: list[list[Delivery]]) -> None:
    directory = registered.directory
    for batch in batches:
        with connect(registered.worker, name="test") as conn:
            rows = [decode(each, directory) for each in batch]
            write_batch(conn, registered.municipality_id, through_gate(conn, directory, rows))


def stored(registered: Registered) -> list[tuple[int, float | None, str, str | None]]:
    rows = query(
        registered.owner,
        "select phenomenon_time, value, quality::text, reason from observation where datastream_id = %s order by 1",
        registered.datastream("rain-okusawa", "precipitation"),
    )
    return [((time - AT) // STEP, value, quality, reason) for time, value, quality, reason in rows]  # type: ignore[operator]


MORNING = [
    delivery(0, 65530, tips=0),
    delivery(1, 65534, tips=4),
    delivery(2, 3, tips=4),
    delivery(3, None),
    delivery(5, 12, tips=5),
    delivery(6, 14, tips=2),
    delivery(8, 1, restarts=1, tips=1),
    delivery(9, 1, restarts=1, tips=0),
]
RAIN = [
    (0, 0.0, "good", None),
    (1, 2.0, "good", None),
    (2, 2.0, "good", None),
    (3, 1.0, "estimated", "gap"),
    (4, 1.0, "estimated", "gap"),
    (5, 2.5, "good", None),
    (6, 1.0, "good", None),
    (7, 0.0, "estimated", "restart"),
    (8, 0.5, "estimated", "restart"),
    (9, 0.0, "good", None),
]


def test_a_morning_of_rain_with_a_wrap_a_loss_and_a_restart(registered: Registered) -> None:
    store_batches(registered, [[each] for each in MORNING])
    assert stored(registered) == RAIN


@pytest.mark.parametrize("seed", range(6))
def test_late_doubled_and_overtaken_messages_end_in_the_same_rain(registered: Registered, seed: int) -> None:
    chance = random.Random(seed)
    messages = [*MORNING, *chance.sample(MORNING, 3)]
    chance.shuffle(messages)
    cuts = sorted(chance.sample(range(1, len(messages)), 3))
    store_batches(registered, [messages[a:b] for a, b in pairwise([0, *cuts, len(messages)])])
    assert stored(registered) == RAIN


def test_an_unread_counter_is_missing_until_the_next_reading_tells_of_it(registered: Registered) -> None:
    store_batches(registered, [MORNING[:4]])
    assert stored(registered)[-1] == (3, None, "missing", "sensor")
    store_batches(registered, [[MORNING[4]], [MORNING[3]]])
    assert stored(registered) == RAIN[:6]


def test_rain_that_cannot_have_fallen_is_bad_also_when_it_was_spread(registered: Registered) -> None:
    store_batches(registered, [[delivery(0, 0, tips=0)], [delivery(1, 200, tips=200)], [delivery(3, 900)]])
    assert stored(registered)[1:] == [
        (1, 100.0, "bad", "range"),
        (2, 175.0, "bad", "range"),
        (3, 175.0, "bad", "range"),
    ]


def test_what_a_person_wrote_down_stands_above_what_is_worked_out(registered: Registered) -> None:
    store_batches(registered, [[MORNING[0]], [MORNING[2]]])
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "update observation set value = 9.5, quality = 'manual', reason = null where phenomenon_time = %s",
            (AT + STEP,),
        )
    store_batches(registered, [[MORNING[1]]])
    assert stored(registered)[1] == (1, 9.5, "manual", None)

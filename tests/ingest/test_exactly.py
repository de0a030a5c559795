"""Exactly the messages that were sent: the tables do not tell in which order, batches or workers they came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.codecs import flow_pressure, people_counter, radar_level, rain_gauge
from devices.envelopes import open_uplink
from devices.model import EnvelopeError, Quality, Reason
from ingest.message import Message
from tests.conftest import START, Registered
from tests.ingest.arrivals import Batch, Statement, arrive, counted, forget, stated, tables
from tests.ingest.town import COUNTER, GAUGE, LOGGER, SENSOR_HEIGHT, chirpstack

RAIN_GAUGE = "a84041ffff340001"
MINUTE = timedelta(minutes=1)
NIGHT = START - timedelta(hours=7)  # 02:00 in the town: times of the night flow


def message(device: str, payload: bytes, *, counter: int, heard: datetime | None) -> Message:
    topic, raw = chirpstack(device, payload, counter=counter, time=heard)
    return Message(topic, raw, START)


def level(slot: int, metres: float, *, counter: int, battery: float | None = None) -> Message:
    """A gauge without a clock: it measured when it was heard."""
    payload = radar_level.encode(distance=round((SENSOR_HEIGHT - metres) * 1000), battery=battery)
    return message(GAUGE, payload, counter=counter, heard=NIGHT + slot * 10 * MINUTE)


def history(slot: int, flows: Sequence[float | None], *, counter: int, heard: int | None) -> Message:
    """A logger's samples up to that slot, which other messages of its may say again, the same or another way."""
    payload = flow_pressure.encode(
        time=NIGHT + slot * 5 * MINUTE,
        step=5 * MINUTE,
        samples=[(flow, None if flow is None else 300 + flow) for flow in flows],
    )
    return message(LOGGER, payload, counter=counter, heard=None if heard is None else NIGHT + heard * MINUTE)


def tips(slot: int, count: int | None, *, counter: int, restarts: int = 0, late: int = 0) -> Message:
    payload = rain_gauge.encode(
        time=NIGHT + slot * 10 * MINUTE + timedelta(seconds=late), restarts=restarts, count=count
    )
    return message(RAIN_GAUGE, payload, counter=counter, heard=NIGHT + slot * 10 * MINUTE)


def passages(slot: int, inwards: int, *, counter: int, heard: int | None) -> Message:
    payload = people_counter.encode(time=NIGHT + slot * 10 * MINUTE, passages_in=inwards, passages_out=0, battery=3.3)
    return message(COUNTER, payload, counter=counter, heard=None if heard is None else NIGHT + heard * MINUTE)


def own_json(slot: int, distance: int, *, counter: int) -> Message:
    """No network, and so no time of the network's."""
    body = {
        "device": GAUGE,
        "counter": counter,
        "time": (NIGHT + slot * 10 * MINUTE).isoformat(),
        "readings": {"distance": distance},
    }
    return Message(f"mimamori/v1/{GAUGE}/up", json.dumps(body).encode(), START)


def unreadable(n: int) -> Message:
    return Message(f"application/a/device/{GAUGE}/event/up", b"{" * n, START)


def derived(registered: Registered) -> list[int]:
    return [registered.datastream("rain-okusawa", "precipitation")]


def in_any_order(registered: Registered, messages: Sequence[Message]) -> None:
    """Every order of arrival, one message a transaction, ends in the same tables."""
    arrive(registered, [[each] for each in messages])
    expected = tables(registered, derived=derived(registered))
    assert counted(registered) == (len(messages), len(messages))
    for order in permutations(messages):
        forget(registered)
        arrive(registered, [[each] for each in order])
        assert tables(registered, derived=derived(registered)) == expected


def test_every_order_of_values_for_the_same_times(registered: Registered) -> None:
    in_any_order(
        registered,
        [
            history(3, [5.0, 6.0], counter=1, heard=16),
            history(3, [5.0, 7.0], counter=2, heard=17),
            history(3, [6.0], counter=3, heard=18),
            history(4, [6.0, 6.5], counter=4, heard=None),
        ],
    )


def test_every_order_of_levels_that_jump_between_neighbours(registered: Registered) -> None:
    in_any_order(
        registered,
        [
            level(0, 1.0, counter=1, battery=3.5),
            level(1, 4.0, counter=2, battery=3.4),
            level(2, 1.1, counter=3),
            level(2, 1.2, counter=4, battery=3.3),
        ],
    )


def test_every_order_of_a_counter_with_a_gap_and_a_restart(registered: Registered) -> None:
    in_any_order(
        registered,
        [
            tips(0, 10, counter=1),
            tips(1, None, counter=2),
            tips(3, 16, counter=3),
            tips(4, 2, counter=5, restarts=1),
        ],
    )


def test_a_value_that_is_said_again_later_stands_again(registered: Registered) -> None:
    """1, then 2, then 1 for the same time: whoever heard the two ones first still has to know of the second."""
    first, other, again = (
        history(0, [flow], counter=n, heard=n) for n, flow in enumerate([1.0, 2.0, 1.0])
    )  # fmt: skip
    flow = registered.datastream("block-hamamachi", "flow")
    for order in permutations([first, other, again]):
        forget(registered)
        arrive(registered, [[each] for each in order])
        values = [row[2] for row in tables(registered, derived=[])["observation"] if row[0] == flow]
        assert values == [1.0]


@pytest.mark.parametrize("heard", [1, None])
def test_a_value_that_is_said_again_is_judged_by_what_came_before_it_since(
    registered: Registered, heard: int | None
) -> None:
    """The second message brings the value before a jump that had stood alone; the value after it says nothing new."""
    in_any_order(
        registered,
        [history(0, [100.0], counter=0, heard=None), history(1, [5.0, 100.0, 100.0], counter=0, heard=heard)],
    )


def test_a_redelivery_reverts_no_correction(registered: Registered) -> None:
    wrong, right = level(0, 1.0, counter=1), level(0, 2.0, counter=2)
    level_id = registered.datastream("river-okusawa", "water_level")
    corrected = stated(level_id, NIGHT, 1.5, Quality.GOOD, Reason.CORRECTED)
    arrive(registered, [[wrong], [right], corrected, [wrong, right], [right], [wrong]])
    found = tables(registered, derived=[])
    assert [row[2:5] for row in found["observation"] if row[0] == level_id] == [(1.5, "good", "corrected")]
    assert {row[2] for row in found["revisions"]} == {1.0, 2.0}
    assert [row[-1] for row in found["uplink"]] == [2, 2]
    assert counted(registered) == (6, 6)


def test_the_source_stands_before_the_time(registered: Registered) -> None:
    level_id = registered.datastream("river-okusawa", "water_level")
    said: list[Batch] = [
        [level(0, 1.0, counter=1)],
        stated(level_id, NIGHT, 1.1, Quality.GOOD),
        stated(level_id, NIGHT, 1.2, Quality.MANUAL),
        stated(level_id, NIGHT, 1.3, Quality.GOOD, Reason.CONFIRMED),
    ]
    for order in permutations(said):
        forget(registered)
        arrive(registered, order)
        found = tables(registered, derived=[])
        assert [row[2:5] for row in found["observation"]] == [(1.3, "good", "confirmed")]
        assert {row[2] for row in found["revisions"]} == {1.0, 1.1, 1.2}


def test_every_order_of_an_unread_counter_beside_a_reading_that_tells_nothing(registered: Registered) -> None:
    in_any_order(registered, [tips(0, None, counter=1), tips(0, 3, counter=2), tips(4, 5, counter=3)])


def test_an_impossible_value_beside_a_good_one_for_the_same_time_stays_impossible(registered: Registered) -> None:
    messages = [level(0, -3.0, counter=1), own_json(0, 5200, counter=2)]
    for batches in ([[messages[0]], [messages[1]]], [messages], [messages[::-1]]):
        forget(registered)
        arrive(registered, batches)
        assert [row[2:5] for row in tables(registered, derived=[])["observation"]] == [(-3.0, "bad", "range")]


LEVELS = st.builds(
    level,
    st.integers(0, 5),
    st.sampled_from([1.0, 1.001, 4.0, -3.0]),
    counter=st.integers(0, 9),
    battery=st.sampled_from([None, 3.0, 3.5]),
)
HISTORIES = st.builds(
    history,
    st.integers(0, 5),
    st.lists(st.sampled_from([5.0, 6.0, 100.0, None]), min_size=1, max_size=3),
    counter=st.integers(0, 9),
    heard=st.none() | st.integers(0, 3),
)
TIPS = st.builds(
    tips,
    st.integers(0, 5),
    st.none() | st.integers(0, 6),
    counter=st.integers(0, 9),
    restarts=st.integers(0, 1),
    late=st.integers(0, 2),
)
PASSAGES = st.builds(
    passages, st.integers(0, 3), st.integers(0, 3), counter=st.integers(0, 9), heard=st.none() | st.integers(0, 3)
)
OWN = st.builds(own_json, st.integers(0, 5), st.sampled_from([5200, 2200, 5199]), counter=st.integers(0, 9))


def transmissions(messages: list[Message]) -> list[Message]:
    """What can have been sent: the network heard a transmission at one time. (Where a copy of it says another one, the
    copy that came first counts; that is the only thing here which depends on the order.)
    """
    heard: dict[object, bytes] = {}
    kept = []
    for each in messages:
        try:
            uplink = open_uplink(each.topic, each.raw)
            key: object = (uplink.device_key, uplink.counter, uplink.payload or each.raw)
        except EnvelopeError:
            key = each.raw
        if heard.setdefault(key, each.raw) == each.raw:
            kept.append(each)
    return kept


MESSAGES = st.lists(
    LEVELS | HISTORIES | TIPS | PASSAGES | OWN | st.builds(unreadable, st.integers(1, 2)), max_size=12
).map(transmissions)
SAID = st.lists(
    st.tuples(
        st.sampled_from([("river-okusawa", "water_level"), ("block-hamamachi", "flow")]),
        st.integers(0, 5),
        st.sampled_from([1.0, 2.0, 3.0]),
        st.sampled_from([(Quality.GOOD, None), (Quality.MANUAL, None), (Quality.GOOD, Reason.CONFIRMED)]),
    ),
    max_size=3,
)


def split(data: st.DataObject, messages: Sequence[Message], statements: Sequence[Statement]) -> list[Batch]:
    """The messages in batches of any size, the statements in their order somewhere between."""
    batches: list[Batch] = []
    rest = list(messages)
    while rest:
        size = data.draw(st.integers(1, len(rest)), "batch")
        batches.append(rest[:size])
        del rest[:size]
    at = sorted(data.draw(st.lists(st.integers(0, len(batches)), min_size=len(statements), max_size=len(statements))))
    for offset, (place, statement) in enumerate(zip(at, statements, strict=True)):
        batches.insert(place + offset, statement)
    return batches


@pytest.mark.parametrize("workers", [1, 2])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_tables_do_not_tell_how_the_messages_came(
    registered: Registered, workers: int, data: st.DataObject
) -> None:
    messages = data.draw(MESSAGES, "messages")
    again = data.draw(st.lists(st.sampled_from(messages), max_size=4), "again") if messages else []
    statements = [
        stated(registered.datastream(*series), NIGHT + slot * 10 * MINUTE, value, *kind)
        for series, slot, value, kind in data.draw(SAID, "said")
    ]
    delivered = [*messages, *again]
    forget(registered)
    arrive(registered, [*([each] for each in delivered), *statements])
    expected = tables(registered, derived=derived(registered))

    order = data.draw(st.permutations(delivered), "order")
    cut = data.draw(st.integers(0, len(order)), "cut") if workers == 2 else len(order)
    shares = [split(data, order[:cut], statements), *([split(data, order[cut:], [])] if workers == 2 else [])]
    forget(registered)
    arrive(registered, *shares)
    assert tables(registered, derived=derived(registered)) == expected
    assert counted(registered) == (len(delivered), len(delivered))

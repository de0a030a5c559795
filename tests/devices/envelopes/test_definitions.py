"""Whose messages come on a topic, and by which definition one is opened: by the one of its time."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.envelopes import TOPIC_FILTERS, open_uplink
from devices.envelopes.definitions import (
    Definition,
    Definitions,
    MqttSource,
    check_filter,
    holding,
    matches,
    overlap,
)
from devices.envelopes.message_map import MessageMap
from devices.model import EnvelopeError
from tests.devices.envelopes.vectors import NOON, PAYLOAD

DAY = timedelta(days=1)
FIRST = MessageMap(device="$.id", counter="$.n", payload="$.bin")
SECOND = MessageMap(device="$.device", counter="$.n", payload="$.bin")


@pytest.mark.parametrize(
    ("topic_filter", "topic", "yes"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "ab", False),
        ("+/b/#", "x/b/c", True),
    ],
)
def test_a_filter_takes_its_topics(topic_filter: str, topic: str, yes: bool) -> None:
    assert matches(topic_filter, topic) is yes


@pytest.mark.parametrize(
    ("one", "other", "yes"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("+/b", "a/+", True),
        ("a/#", "b/#", False),
        (TOPIC_FILTERS[0], "+/x/#", True),
        (TOPIC_FILTERS[0], "application/+/device/+/rx", False),
    ],
)
def test_filters_that_share_a_topic_overlap(one: str, other: str, yes: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is yes


LEVEL = st.sampled_from(["a", "b", ""])


@given(
    st.lists(LEVEL | st.just("+"), min_size=1, max_size=3),
    st.lists(LEVEL | st.just("+"), min_size=1, max_size=3),
    st.booleans(),
    st.booleans(),
    st.lists(LEVEL, min_size=1, max_size=4).map("/".join),
)
def test_a_topic_of_both_is_a_topic_of_an_overlap(
    one: list[str], other: list[str], all_of_one: bool, all_of_other: bool, topic: str
) -> None:
    first, second = "/".join(one + ["#"] * all_of_one), "/".join(other + ["#"] * all_of_other)
    if matches(first, topic) and matches(second, topic):
        assert overlap(first, second)


@pytest.mark.parametrize(
    "topic_filter", ["", "#", "+", "+/#", "a/#/b", "a#", "a/b+", "$SYS/#", "intake/x/y", "a\nb", "x" * 201]
)
def test_a_filter_that_will_not_do_is_refused(topic_filter: str) -> None:
    assert check_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", ["town/aws/#", "eltres/+/data", "+/gauge", "水位/#"])
def test_a_filter_that_will_do_is_taken(topic_filter: str) -> None:
    assert check_filter(topic_filter) is None


def test_the_last_to_have_begun_holds_and_a_mended_one_takes_its_place() -> None:
    base = Definition("mapped", NOON, 0)
    wrong, mended = Definition("mapped", NOON, 1, FIRST), Definition("mapped", NOON, 3, SECOND)
    later = Definition("mapped", NOON + DAY, 2, FIRST)
    everything = (base, wrong, later, mended)
    assert holding(everything, NOON) is mended
    assert holding(everything, NOON + DAY / 2) is mended
    assert holding(everything, NOON + 2 * DAY) is later
    # What came before anybody had said anything is read by the first that was said, as it was mended.
    assert holding(everything, NOON - DAY) is mended
    assert holding((), NOON) is None


def source(source_id: int, topic_filter: str, *definitions: Definition, ended: bool = False) -> MqttSource:
    return MqttSource(source_id, topic_filter, definitions, NOON + DAY if ended else None)


def test_a_topic_is_its_sources_also_after_that_has_ended() -> None:
    old = source(1, "town/#", Definition("helium", NOON), ended=True)
    new = source(2, "town/gauges/+", Definition("actility", NOON + 2 * DAY))
    definitions = Definitions((old, new))
    for after, kind in ((0, "helium"), (1, "helium"), (1.5, "helium"), (2, "actility"), (9, "actility")):
        found = definitions.of_topic("town/gauges/1", NOON + after * DAY)
        assert found is not None and found.kind == kind, after
    assert definitions.of_topic("village/1", NOON) is None
    assert (definitions.filters, definitions.left) == (("town/gauges/+",), ("town/#",))


def body(key: str) -> bytes:
    return json.dumps({key: "gauge-1", "n": 7, "bin": PAYLOAD.hex()}).encode()


def test_a_message_is_opened_by_the_map_of_its_time_over_both_ways() -> None:
    maps = (Definition("mapped", NOON, 1, FIRST), Definition("mapped", NOON + DAY, 2, SECOND))
    definitions = Definitions((source(1, "eltres/#", *maps),), {"eltres": maps})
    for topic in ("eltres/1", "intake/eltres/mapped"):
        assert open_uplink(topic, body("id"), definitions, NOON).device_key == "gauge-1"
        assert open_uplink(topic, body("device"), definitions, NOON + DAY).device_key == "gauge-1"
        with pytest.raises(EnvelopeError, match="device"):
            open_uplink(topic, body("device"), definitions, NOON)


def test_a_source_whose_map_nobody_has_drawn_says_so() -> None:
    definitions = Definitions((source(1, "eltres/#", Definition("mapped", NOON)),))
    for topic in ("eltres/1", "intake/eltres/mapped"):
        with pytest.raises(EnvelopeError, match="/digital/sources"):
            open_uplink(topic, body("id"), definitions, NOON)


def test_a_map_is_only_for_kinds_that_have_one() -> None:
    definitions = Definitions(posted={"town": (Definition("helium", NOON, 1, FIRST),)})
    with pytest.raises(EnvelopeError, match="helium"):
        open_uplink("intake/town/helium", body("id"), definitions, NOON)


@pytest.mark.parametrize("prefix", ["", "bridge/", "a/b/"])
def test_a_networks_own_topics_are_found_behind_a_bridges(prefix: str) -> None:
    definitions = Definitions((source(1, f"{prefix}#", Definition("mimamori_v1", NOON)),))
    raw = json.dumps({"device": "pump", "counter": 1, "readings": {"flow": 1}}).encode()
    assert open_uplink(f"{prefix}mimamori/v1/pump/up", raw, definitions, NOON).device_key == "pump"
    if prefix:
        with pytest.raises(EnvelopeError, match="no level 'mimamori'"):
            open_uplink(f"{prefix}other/v1/pump/up", raw, definitions, NOON)
        with pytest.raises(EnvelopeError):
            open_uplink(f"{prefix}xmimamori/v1/pump/up", raw, definitions, NOON)


def test_soracom_beam_says_the_sim_at_the_end_of_the_topic() -> None:
    definitions = Definitions((source(1, "lte/#", Definition("soracom", NOON)),))
    raw = json.dumps({"counter": 1, "readings": {"flow": 1}}).encode()
    assert open_uplink("lte/gauges/440109876543210", raw, definitions, NOON).device_key == "440109876543210"
    with pytest.raises(EnvelopeError, match="no IMSI"):
        open_uplink("lte/gauges/one", raw, definitions, NOON)

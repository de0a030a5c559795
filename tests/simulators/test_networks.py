"""What simulated networks write is what the envelopes open, with the gateways that heard it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from devices.codecs import decode
from devices.envelopes import open_uplink
from simulators.frames import CHIRPSTACK_V4, MIMAMORI_V1, SIGFOX, THE_THINGS_STACK_V3, Frame, Reception
from simulators.networks import NETWORKS

HEARD = datetime(2026, 6, 20, 8, 0, 12, 345000, tzinfo=UTC)
HEARD_BY = (Reception("6d696d6100000001", -101, 4.25), Reception("6d696d6100000000", -117, -9.5))
KEYS = {CHIRPSTACK_V4: "02aa000001000000", THE_THINGS_STACK_V3: "02ab000001000000", SIGFOX: "5a000040"}


def frame(network: str, counter: int = 7, event: str = "up") -> Frame:
    session = "" if network == SIGFOX else "01abcdef"
    return Frame(
        KEYS[network], "橋", "radar_level", session, HEARD, event, counter if event == "up" else None,
        b"\x01\x0b\xb8\xb4\x00", network, HEARD_BY, 9,
    )  # fmt: skip


@pytest.mark.parametrize("network", KEYS)
@pytest.mark.parametrize("counter", [0, 7, 4000])
def test_an_uplink_is_opened_as_what_was_sent(network: str, counter: int) -> None:
    sent = frame(network, counter)
    opened = open_uplink(sent.topic, sent.body())
    assert (opened.network, opened.device_key, opened.session) == (network, sent.device, sent.session)
    assert (opened.counter, opened.payload, opened.event) == (counter, sent.payload, None)
    assert opened.network_time is not None
    assert abs(opened.network_time - HEARD) < timedelta(seconds=1)
    assert next((r.field, r.value) for r in decode("radar_level", opened)) == ("distance", 3000.0)
    assert sent.body() == sent.body(), "a repetition has the same bytes"


@pytest.mark.parametrize("network", [CHIRPSTACK_V4, THE_THINGS_STACK_V3])
def test_a_join_is_an_event(network: str) -> None:
    sent = frame(network, event="join")
    opened = open_uplink(sent.topic, sent.body())
    assert (opened.event, opened.device_key) == ("join", sent.device)


def test_every_gateway_that_heard_it_is_named_with_what_it_heard() -> None:
    chirpstack = json.loads(frame(CHIRPSTACK_V4).body())
    assert [(r["gatewayId"], r["rssi"], r["snr"]) for r in chirpstack["rxInfo"]] == [
        (each.gateway, each.rssi, each.snr) for each in HEARD_BY
    ]
    assert chirpstack["txInfo"]["modulation"]["lora"]["spreadingFactor"] == 9 and chirpstack["dr"] == 3
    stack = json.loads(frame(THE_THINGS_STACK_V3).body())["uplink_message"]
    assert [(r["gateway_ids"]["eui"].lower(), r["rssi"], r["snr"]) for r in stack["rx_metadata"]] == [
        (each.gateway, each.rssi, each.snr) for each in HEARD_BY
    ]
    assert stack["settings"]["data_rate"]["lora"]["spreading_factor"] == 9
    assert stack["consumed_airtime"] == "0.185344s"  # 45.25 symbols of SF9
    sigfox = json.loads(frame(SIGFOX).body())
    assert [each["bsId"] for each in sigfox["duplicates"]] == [each.gateway for each in HEARD_BY]


def test_sigfox_counts_to_4095_and_is_posted() -> None:
    assert json.loads(frame(SIGFOX, 4097).body())["seqNumber"] == 1
    assert {name for name, network in NETWORKS.items() if network.POSTED} == {SIGFOX}


def test_a_sender_of_values_brings_each_with_its_own_time() -> None:
    times = [HEARD - timedelta(minutes=5), HEARD]
    one = Frame("sim-1-2-0", "槽", "flow_pressure", "01abcdef", HEARD, counter=3, network=MIMAMORI_V1,
                samples=((times[1], {"flow": 12.5, "pressure": None}),))  # fmt: skip
    opened = open_uplink(one.topic, one.body())
    assert [(r.field, r.value, r.time) for r in opened.readings or ()] == [
        ("flow", 12.5, times[1]), ("pressure", None, times[1])
    ]  # fmt: skip
    two = Frame("sim-1-2-0", "槽", "flow_pressure", "", HEARD, counter=3, network=MIMAMORI_V1,
                samples=tuple((time, {"flow": 1.0}) for time in times))  # fmt: skip
    opened = open_uplink(two.topic, two.body())
    assert [r.time for r in opened.readings or ()] == times and opened.session == ""
    assert not two.lost and frame(SIGFOX).lost is False
    assert Frame("a", "", "radar_level", "", HEARD).lost, "no gateway has heard it"

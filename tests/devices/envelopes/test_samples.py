"""The samples of the networks' own documentation, where somebody has put them beside the checkout: most may not be
copied.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devices.envelopes import open_uplink, posted_topic
from devices.model import DeviceStatus, EnvelopeError

V4 = "application/17c82e96/device/{}/event/{}"
V3 = "v3/app1@tenant1/devices/dev1/{}"
# File -> topic (or the kind that posts it, with what its address says), and what is read of it.
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "chirpstack_v4_up": (
        V4.format("0101010101010101", "up"),
        {"counter": 0, "session": "00189440", "payload": b"\xaa", "port": 1, "event": None},
    ),
    "chirpstack_v4_status": (
        V4.format("0101010101010101", "status"),
        {"event": "status", "status": DeviceStatus(88.3, False, 10)},
    ),
    "chirpstack_v4_join": (V4.format("0101010101010101", "join"), {"event": "join", "session": "00189440"}),
    "chirpstack_v4_ack": (V4.format("0101010101010101", "ack"), {"event": "ack"}),
    "chirpstack_v4_txack": (V4.format("0101010101010101", "txack"), {"event": "txack"}),
    "chirpstack_v4_log": (V4.format("0101010101010101", "log"), {"event": "log"}),
    "chirpstack_v4_location": (V4.format("0101010101010101", "location"), {"event": "location"}),
    "chirpstack_v4_integration": (V4.format("0016c001f000175a", "integration"), {"event": "integration"}),
    "chirpstack_v3_json_marshaler": (
        V4.format("0202020202020202", "up"),
        {"network": "chirpstack_v3", "network_time": datetime(2019, 11, 8, 13, 59, 25, 48445, UTC)},
    ),
    "chirpstack_v3_legacy_json_v3": (V4.format("0202020202020202", "up"), {"device_key": "0202020202020202"}),
    "tts_v3_uplink_message": (V3.format("up"), {"counter": 1, "payload": bytes.fromhex("8241de")}),
    "tts_v3_join_message": (V3.format("join"), {"event": "join", "session": "01497ecc"}),
    "tts_v3_downlink_event_message": (V3.format("down/ack"), {"event": "down/ack"}),
    "tts_v3_downlink_failed_event_message": (V3.format("down/failed"), {"device_key": "dev1"}),
    "helium_console_uplink": (
        "helium",
        {"counter": 19, "payload": b"Hello, world!", "network_time": datetime(2020, 4, 14, 12, 49, 6, 123400, UTC)},
    ),
    "actility_thingpark_uplink": (
        "actility",
        {"counter": 53, "payload": bytes.fromhex("02300040a0"), "device_key": "402c765000000074"},
    ),
    "aws_iot_core_lorawan_uplink": ("aws_iot_lorawan", {"counter": None, "port": 2}),
    "aws_iot_core_lorawan_rule_output": ("aws_iot_lorawan", {"port": 2}),
}
# No message of a device: a command to the stack, a template with its gaps, ids that were blanked out.
REFUSED = {
    "tts_v3_downlink_message": V3.format("down/push"),
    "sigfox_callback_template": "sigfox",
    "sigfox_soracom_air": "sigfox",
    "soracom_beam_udp_tcp_http": "soracom",
    "soracom_funnel": "soracom",
    "soracom_lte_m_button": "soracom",
}


@pytest.fixture
def uplinks(shared_data: Path) -> Path:
    folder = shared_data / "uplinks"
    if not folder.is_dir():
        pytest.skip(f"no sample messages beside the checkout ({folder.name} is missing)")
    return folder


def raw(uplinks: Path, name: str) -> bytes:
    return (uplinks / f"{name}.json").read_bytes()


def topic(way: str) -> str:
    return way if "/" in way else posted_topic("a-source", way, {}, {})


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_read(uplinks: Path, name: str) -> None:
    way, gives = SAMPLES[name]
    uplink = open_uplink(topic(way), raw(uplinks, name))
    assert {each: getattr(uplink, each) for each in gives} == gives


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_message_is_refused(uplinks: Path, name: str) -> None:
    with pytest.raises(EnvelopeError):
        open_uplink(topic(REFUSED[name]), raw(uplinks, name))


def test_every_sample_is_in_the_table(uplinks: Path) -> None:
    assert {path.stem for path in uplinks.glob("*.json")} == {*SAMPLES, *REFUSED}

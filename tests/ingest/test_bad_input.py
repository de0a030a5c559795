"""What senders get wrong: every message keeps exactly one outcome, and nobody else pays for it.

What cannot be read at all stands in `test_decode.BAD`, and goes through a real broker in `test_worker`.
"""

from __future__ import annotations

import base64
import json
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.codecs import radar_level
from devices.envelopes import MQTT_KINDS, POSTED_KINDS, posted_topic
from devices.envelopes.definitions import Definition, Definitions, MqttSource
from devices.envelopes.message_map import MessageMap, TimeForm
from ingest import Broker, settle
from ingest.decode import decode
from ingest.message import Message
from mimamori.bench.fuzz import FuzzBench, rows, settle_all
from store import connect
from store.connection import Connection
from store.registry import Directory, load_directory
from tests.brokers.running import publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.arrivals import arrive, counted, forget
from tests.ingest.town import GAUGE, chirpstack, config_for, count, level, query, worker

MINUTE = timedelta(minutes=1)


def changed(message: tuple[str, bytes], **values: Any) -> Message:
    """The message with these keys of its body put otherwise."""
    topic, raw = message
    return Message(topic, json.dumps(json.loads(raw) | values).encode(), START)


def test_a_device_is_the_same_however_its_eui_is_written(registered: Registered) -> None:
    message = level(1.0, counter=1, time=START)
    in_base64 = base64.b64encode(bytes.fromhex(GAUGE)).decode()
    arrive(
        registered,
        [[changed(message, deviceInfo={"devEui": eui})] for eui in (GAUGE, GAUGE.upper(), GAUGE.title(), in_base64)],
    )
    assert query(registered.owner, "select device_key, outcome, repeats from uplink") == [(GAUGE, "accepted", 3)]
    assert counted(registered) == (4, 4)


@pytest.mark.parametrize(
    ("said", "counts_at", "quality"),
    [
        ((START - MINUTE).isoformat(), START - MINUTE, "good"),
        ("2026-06-01T08:59:00+09:00", START - MINUTE, "good"),
        (None, START, "doubtful"),
        ("1970-01-01T00:00:00Z", START, "doubtful"),
        ("2036-02-07T06:28:16Z", START, "doubtful"),
        ("0001-01-01T00:00:00Z", START, "doubtful"),
        ("9999-12-31T23:59:59Z", START, "doubtful"),
    ],
)
def test_an_impossible_time_costs_the_time_and_not_the_value(
    registered: Registered, said: str | None, counts_at: datetime, quality: str
) -> None:
    arrive(registered, [[changed(level(1.0, counter=1, time=START), time=said)]])
    assert query(registered.owner, "select phenomenon_time, quality::text from observation") == [(counts_at, quality)]


def test_a_message_without_its_time_counts_when_it_was_received(registered: Registered) -> None:
    topic, raw = chirpstack(GAUGE, radar_level.encode(distance=5200), counter=1, time=None)
    arrive(registered, [[Message(topic, raw, START)]])
    assert query(registered.owner, "select phenomenon_time, reason from observation") == [(START, "clock")]


def test_a_device_that_begins_its_counter_anew_loses_nothing(registered: Registered) -> None:
    """A battery was changed on the third day: the counter is 0 again, and says what it said before."""
    days = [level(1.0, counter=n % 3, time=START - timedelta(days=9 - 2 * n)) for n in range(4)]
    arrive(registered, [[Message(*each, START - timedelta(days=9 - 2 * n))] for n, each in enumerate(days)])
    assert count(registered, "observation") == 4
    assert query(registered.owner, "select counter, epoch, repeats from uplink order by network_time") == [
        (0, 0, 0),
        (1, 0, 0),
        (2, 0, 0),
        (0, 1, 0),
    ]


def test_ten_thousand_unknown_devices_keep_nobody_waiting(
    registered: Registered, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = [level(1.0, counter=1, time=START, device=f"{n:016x}") for n in range(10_000)]
    known = [level(1.0 + n / 1000, counter=n, time=START - timedelta(seconds=10 * n)) for n in range(100)]
    reads = 0

    def reading(conn: Connection, municipality_id: int, before: Directory | None = None) -> Directory:
        nonlocal reads
        reads += 1
        return load_directory(conn, municipality_id, before)

    monkeypatch.setattr(settle, "load_directory", reading)
    with worker(config_for(registered, broker)):
        before, begun = psutil.Process().memory_info().rss, reads
        started, since = psutil.Process().cpu_times().user, time.monotonic()
        with publisher(broker) as send:
            for n, (topic, raw) in enumerate(unknown):
                send(topic, raw)
                if n % 100 == 0:
                    send(*known[n // 100])
        wait_for(lambda: count(registered, "uplink") == 10_100, "every message")
        grown = psutil.Process().memory_info().rss - before
        spent = psutil.Process().cpu_times().user - started
        looked, seconds = reads - begun, time.monotonic() - since
    assert query(registered.owner, "select outcome, reason, count(*) from uplink group by 1, 2 order by 1") == [
        ("accepted", None, 100),
        ("quarantined", "unknown_device", 10_000),
    ]
    assert count(registered, "observation") == 100
    # However many ask for it: once in so many seconds, not once a message and not once a batch.
    assert looked <= 2 + seconds / settle.UNKNOWN_DEVICE_SECONDS
    assert grown < 100 * 1024 * 1024
    # Processor time, as the machine may be busy; the publisher's, who is in this process, is in it.
    assert spent < 60


# --- any message at all -----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([GAUGE, "2026-06-01T00:00:00Z", "2026-06-01T00:00:00", "AQ==", "NaN", 2**63, 1e400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PAYLOAD = radar_level.encode(distance=5200)
TTN = {
    "end_device_ids": {"device_id": "d", "dev_eui": GAUGE.upper(), "dev_addr": "00189440"},
    "received_at": START.isoformat(),
    "uplink_message": {"f_cnt": 1, "f_port": 1, "frm_payload": base64.b64encode(PAYLOAD).decode()},
}
OWN = {"device": GAUGE, "counter": 1, "time": START.isoformat(), "readings": {"distance": 5200}}
LORA = json.loads(level(1.0, counter=1, time=START)[1])
SIGFOX = {"device": "1a2b3c", "time": 1780272000, "data": PAYLOAD.hex(), "seqNumber": 1}
V3 = {
    "devEUI": base64.b64encode(bytes.fromhex(GAUGE)).decode(),
    "devAddr": "00189440",
    "publishedAt": START.isoformat(),
    "fCnt": 1,
    "fPort": 1,
    "data": base64.b64encode(PAYLOAD).decode(),
    "objectJSON": "{}",
    "rxInfo": [{"gatewayID": "AAAAAAAAAAE=", "time": None, "rssi": -101, "loRaSNR": 2.5}],
    "txInfo": {"loRaModulationInfo": {"bandwidth": 125, "spreadingFactor": 10}},
}
HELIUM = {
    "dev_eui": GAUGE.upper(),
    "devaddr": "00189440",
    "fcnt": 1,
    "port": 1,
    "payload": base64.b64encode(PAYLOAD).decode(),
    "reported_at": 1780272000000,
    "hotspots": [{"id": "11a", "rssi": -101, "snr": 2.5, "spreading": "SF10BW125"}],
    "decoded": {"payload": {"a": 1}},
}
ACTILITY = {
    "DevEUI_uplink": {
        "DevEUI": GAUGE.upper(),
        "DevAddr": "00189440",
        "Time": START.isoformat(),
        "FCntUp": "1",
        "FPort": 1,
        "payload_hex": PAYLOAD.hex(),
        "LrrRSSI": -101.0,
        "Lrrs": {"Lrr": [{"Lrrid": "A", "LrrRSSI": -101}]},
        "SpFact": 10,
        "BatteryLevel": 200,
    }
}
AWS = {
    "PayloadData": base64.b64encode(PAYLOAD).decode(),
    "WirelessMetadata": {
        "LoRaWAN": {
            "DevEui": GAUGE,
            "DevAddr": "00189440",
            "FCnt": 1,
            "FPort": 1,
            "Timestamp": START.isoformat(),
            "DataRate": 2,
            "Gateways": [{"GatewayEui": "01", "Rssi": -101, "Snr": 2.5}],
        }
    },
    "transformed_message": {"payload": {"a": 1}},
}
UNKNOWN = {"who": {"id": GAUGE}, "n": 1, "t": "2026/06/01 09:00", "rows": [{"v": 5200, "at": START.isoformat()}]}
MAP = MessageMap(
    device="$.who.id",
    counter="$.n",
    network_time="$.t",
    network_time_form=TimeForm.JAPAN,
    measured_time="$.at",
    samples="$.rows[*]",
    fields=(("distance", "$.v"),),
)
# Of one source the map that an operator has drawn, of another one none; and topics of somebody's choice.
MAPS = Definitions(
    tuple(
        MqttSource(n, f"own/{kind}/#", (Definition(kind, START, 0, MAP if kind == "mapped" else None),))
        for n, kind in enumerate(MQTT_KINDS)
    ),
    {"s": (Definition("mapped", START, 1, MAP),)},
)
POSTED = {
    "chirpstack_v4": LORA,
    "chirpstack_v3": V3,
    "the_things_stack_v3": TTN,
    "helium": HELIUM,
    "actility": ACTILITY,
    "aws_iot_lorawan": AWS,
    "sigfox": SIGFOX,
    "soracom": OWN,
    "mimamori_v1": OWN,
    "mapped": UNKNOWN,
}
ENDS = {
    "chirpstack_v4": f"application/a/device/{GAUGE}/event/up",
    "chirpstack_v3": f"application/a/device/{GAUGE}/rx",
    "the_things_stack_v3": "v3/app/devices/d/up",
    "mimamori_v1": f"mimamori/v1/{GAUGE}/up",
}
BODIES = (
    {
        f"application/a/device/{GAUGE}/event/up": LORA,
        f"application/a/device/{GAUGE}/event/join": LORA,
        "v3/app@tenant/devices/d/up": TTN,
        f"mimamori/v1/{GAUGE}/up": OWN,
    }
    | {
        posted_topic("s", kind, {"event": "up"}, {"x-soracom-imsi": "440109876543210"}): body
        for kind, body in ((kind, POSTED[kind]) for kind in POSTED_KINDS)
    }
    | {f"application/a/device/{GAUGE}/event/{event}": V3 for event in ("status", "error")}
    | {f"own/{kind}/{ENDS.get(kind, '440109876543210')}": POSTED[kind] for kind in MQTT_KINDS}
)


@st.composite
def envelopes(draw: st.DrawFn) -> Message:
    """A message of a network with one thing in it that is anything; or cut, or damaged, or on another's topic."""
    topic, body = draw(st.sampled_from(sorted(BODIES.items(), key=lambda item: item[0])))
    body = json.loads(json.dumps(body))
    place = body
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or draw(st.booleans()):
            break
        place = place[key]
    if isinstance(place[key], list) and draw(st.booleans()):
        place[key] = [draw(JSON), *place[key]]
    else:
        place[key] = draw(JSON)
    raw = json.dumps(body).encode(errors="surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=4)) + raw[draw(st.integers(at, len(raw))) :]
    if draw(st.integers(0, 9)) == 0:
        topic = draw(st.text(max_size=20) | st.sampled_from(sorted(BODIES)))
    return Message(topic, raw, START)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=envelopes())
def test_any_envelope_is_a_row_with_an_outcome(registered: Registered, message: Message) -> None:
    row = decode(message, replace(registered.directory, definitions=MAPS))
    assert (row.topic, row.raw) == (message.topic, message.raw)
    assert (row.reason is not None) == (row.outcome.value == "quarantined")
    # What the log would have a trace of: a fault of ours, not of the sender's.
    assert row.reason != "internal"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(envelopes(), max_size=12), batch=st.integers(1, 12))
def test_any_envelopes_together_have_one_outcome_each(
    registered: Registered, messages: list[Message], batch: int
) -> None:
    forget(registered)
    arrive(registered, [messages[n : n + batch] for n in range(0, len(messages), batch)])
    assert counted(registered) == (len(messages), len(messages))


@pytest.mark.parametrize("seed", [1, 20260601])
def test_a_thousand_messages_of_noise_leave_both_counts_closed(registered: Registered, seed: int) -> None:
    with (
        connect(registered.worker, name="fuzz") as conn,
        closing(settle.KnownDevices(registered.municipality_id)) as devices,
    ):
        figures = settle_all(conn, devices, FuzzBench(1000, seed), lambda done, total: None)
    assert figures["all_closed"], rows(figures)
    assert counted(registered) == (1000, 1000)
    # Noise that is all refused, or none of it, would prove nothing.
    assert all(figures["outcomes"][name] > 10 for name in ("accepted", "event", "duplicate", "quarantined"))
    assert {"envelope", "unknown_device", "codec"} <= figures["reasons"].keys()
    assert "internal" not in figures["reasons"]

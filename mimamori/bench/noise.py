"""Messages for `mimamori bench fuzz`: good ones of every network, damaged ones, and what never was one.

`Noise(seed, begin)` goes on for ever and says the same for the same seed. Message n is received n x STEP after `begin`,
or, being late or repeated, somewhere near.
"""

from __future__ import annotations

import base64
import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from devices.codecs import flow_pressure, people_counter, radar_level, rain_gauge
from devices.envelopes import POSTED_KINDS, posted_topic
from ingest.message import Message

STEP = timedelta(milliseconds=40)
RECENT = 300  # what is repeated is one of so many before it

_STRANGE_TIMES = (
    None, "",
    "1970-01-01T00:00:00Z", "2036-02-07T06:28:16Z", "2026-06-01T09:00:00", "2026-02-30T00:00:00Z", "now",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1780272000, 1780272000.5, True,
    "２０２６-06-01T00:00:00Z",
)  # fmt: skip
_STRANGE_VALUES: tuple[Any, ...] = (
    None, True, False, "5", "", "NaN", 0, -0.0, 1e308, -1e308, 1e-308, 2**31, 2**53, 2**64, -1, [], {}, [[1]],
    "\x00", "水位",
)  # fmt: skip
_STRANGE_BYTES = (
    b"\x00", b"\xff", b"\xed\xa0\x80", b"NaN", b"Infinity", b"1e999", b"{", b"]", b'"', b"\\u0000", b"\\ud800",
    b"[" * 2000,
)  # fmt: skip
_STRANGE_TOPICS = (
    "mimamori/v1//up", "mimamori/v1/a/b/up", "application/a/device/ffffffffffffffff/event/up/../../x",
    "application/'; drop table uplink; --/device/x/event/up", "v3/app@t/devices/x/down/push", "$SYS/broker",
    "a\x00b", "",
    "intake/x/sigfox?time=\ud800", "intake//chirpstack_v4?event=up", "mimamori/v1/" + "a" * 5000 + "/up",
)  # fmt: skip


class Noise:
    """An endless stream of messages."""

    def __init__(self, seed: int, begin: datetime) -> None:
        self._chance = random.Random(seed)
        self._begin = begin
        self._n = 0
        self._recent: deque[Message] = deque(maxlen=RECENT)

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        self._n += 1
        received = self._begin + self._n * STEP
        choose = self._chance.random()
        if choose < 0.10 and self._recent:
            again = self._chance.choice(self._recent)
            return Message(again.topic, again.raw, received)
        topic, raw = self._unknown(received) if choose < 0.15 else self._good(received)
        if choose > 0.97:
            topic, raw = self._nothing(raw)
        elif choose > 0.70:
            raw = self._damaged(raw)
        message = Message(topic, raw, received)
        self._recent.append(message)
        return message

    # --- what devices say --------------------------------------------------------------------------------

    def _good(self, received: datetime) -> tuple[str, bytes]:
        measured = received.replace(microsecond=0) - timedelta(seconds=self._chance.randrange(600))
        device, payload, values = self._chance.choice(self._DEVICES)(self, measured)
        return self._wrapped(device, payload, values, measured, received)

    def _unknown(self, received: datetime) -> tuple[str, bytes]:
        device = f"{self._chance.randrange(10_000):016x}"
        return self._wrapped(device, radar_level.encode(distance=5000), {"distance": 5000}, received, received)

    def _radar(self, measured: datetime) -> tuple[str, bytes, dict[str, float]]:
        distance = self._chance.randrange(1000, 6500)
        device = f"a84041ffff31000{self._chance.randrange(1, 5)}"
        return device, radar_level.encode(distance=distance), {"distance": distance}

    def _logger(self, measured: datetime) -> tuple[str, bytes, dict[str, float]]:
        flows = [self._chance.choice((None, 4.0, 4.5, 80.0)) for _ in range(self._chance.randrange(1, 5))]
        at = measured.replace(minute=measured.minute // 5 * 5, second=0)
        payload = flow_pressure.encode(time=at, step=timedelta(minutes=5), samples=[(flow, 300.0) for flow in flows])
        return "a84041ffff320001", payload, {"flow": 4.0, "pressure": 300.0}

    def _counter(self, measured: datetime) -> tuple[str, bytes, dict[str, float]]:
        people = self._chance.randrange(50)
        payload = people_counter.encode(time=measured, passages_in=people, passages_out=0, battery=3.3)
        return f"a84041ffff33000{self._chance.randrange(1, 6)}", payload, {"passages_in": people}

    def _rain(self, measured: datetime) -> tuple[str, bytes, dict[str, float]]:
        seconds = int((measured - self._begin).total_seconds())
        count = max(0, seconds // 600 + self._chance.randrange(2))
        payload = rain_gauge.encode(time=measured, restarts=self._chance.random() < 0.01, count=count)
        return f"a84041ffff34000{self._chance.randrange(1, 4)}", payload, {"count": count}

    _DEVICES: tuple[Callable[[Noise, datetime], tuple[str, bytes, dict[str, float]]], ...] = (
        _radar, _radar, _logger, _counter, _rain,
    )  # fmt: skip

    # --- what networks make of it ------------------------------------------------------------------------

    def _wrapped(
        self, device: str, payload: bytes, values: dict[str, float], measured: datetime, received: datetime
    ) -> tuple[str, bytes]:
        counter = self._n if self._chance.random() < 0.9 else self._chance.randrange(100)
        text = base64.b64encode(payload).decode()
        kind = self._chance.randrange(4 + len(POSTED_KINDS))
        eui = self._chance.choice((device, device.upper(), base64.b64encode(bytes.fromhex(device)).decode()))
        body: dict[str, Any] = {
            "deviceInfo": {"devEui": eui}, "devAddr": "00189440", "time": received.isoformat(), "fCnt": counter,
            "fPort": 1, "data": text,
        }  # fmt: skip
        if kind < 3:
            event = "up" if self._chance.random() < 0.95 else "join"
            return f"application/8a1f/device/{device}/event/{event}", json.dumps(body).encode()
        if kind == 3:
            own = {"device": device, "counter": counter, "time": measured.isoformat(), "readings": values}
            return f"mimamori/v1/{device}/up", json.dumps(own).encode()
        posted = POSTED_KINDS[kind - 4]
        seconds = int(received.timestamp())
        said: dict[str, Any] = {
            "chirpstack_v4": body,
            "the_things_stack_v3": {
                "end_device_ids": {"device_id": "d", "dev_eui": device.upper(), "dev_addr": "00189440"},
                "received_at": received.isoformat(),
                "uplink_message": {"f_cnt": counter, "f_port": 1, "frm_payload": text},
            },
            "chirpstack_v3": {
                "devEUI": eui, "devAddr": "ABiUQA==", "publishedAt": received.isoformat(), "fCnt": counter, "fPort": 1,
                "data": text, "rxInfo": [{"gatewayID": "bWltYW1vcmk=", "time": None, "rssi": -101, "loRaSNR": 2.5}],
            },
            "helium": {
                "dev_eui": device.upper(), "devaddr": "00189440", "fcnt": counter, "port": 1, "payload": text,
                "reported_at": seconds * 1000, "hotspots": [{"id": "11a", "rssi": -101, "snr": 2.5}],
            },
            "actility": {
                "DevEUI_uplink": {
                    "DevEUI": device.upper(), "DevAddr": "00189440", "Time": received.isoformat(), "FCntUp": counter,
                    "FPort": 1, "payload_hex": payload.hex(), "LrrRSSI": -101.0, "SpFact": 10,
                },
            },
            "aws_iot_lorawan": {
                "PayloadData": text,
                "WirelessMetadata": {
                    "LoRaWAN": {
                        "DevEui": device, "FPort": 1, "FCnt": counter, "Timestamp": received.isoformat(),
                        "Gateways": [{"GatewayEui": "01", "Rssi": -101, "Snr": 2.5}],
                    },
                },
            },
            "mapped": {"device": device, "counter": counter, "payload": text},
            "sigfox": {"device": device[:6], "time": seconds, "data": payload.hex(), "seqNumber": counter},
            "soracom": {"counter": counter, "time": measured.isoformat(), "readings": values},
            "mimamori_v1": {"device": device, "counter": counter, "time": measured.isoformat(), "readings": values},
        }[posted]  # fmt: skip
        headers = {"x-soracom-imsi": "440109876543210", "x-soracom-timestamp": str(seconds * 1000)}
        return posted_topic("fuzz", posted, {"event": "up"}, headers), json.dumps(said).encode()

    # --- what goes wrong on the way ----------------------------------------------------------------------

    def _damaged(self, raw: bytes) -> bytes:
        choose = self._chance.randrange(6)
        if choose == 0:
            return raw[: self._chance.randrange(len(raw))]
        at = self._chance.randrange(len(raw))
        if choose == 1:
            return raw[:at] + bytes([self._chance.randrange(256)]) + raw[at + 1 :]
        if choose == 2:
            return raw[:at] + self._chance.choice(_STRANGE_BYTES) + raw[at:]
        body = json.loads(raw)
        place, key = self._somewhere(body)
        if choose == 3:
            del place[key]
        else:
            strange = _STRANGE_TIMES if isinstance(key, str) and "time" in key.lower() else _STRANGE_VALUES
            place[key] = self._chance.choice(strange)
        return json.dumps(body).encode()

    def _somewhere(self, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
        place = body
        while True:
            key = self._chance.choice(list(place))
            if not isinstance(place[key], dict) or not place[key] or self._chance.random() < 0.3:
                return place, key
            place = place[key]

    def _nothing(self, raw: bytes) -> tuple[str, bytes]:
        if self._chance.random() < 0.5:
            return self._chance.choice(_STRANGE_TOPICS), raw
        return "mimamori/v1/noise/up", self._chance.randbytes(self._chance.randrange(200))

"""A LoRaWAN frame as ChirpStack v4 would publish it: the topic and the JSON that `devices.envelopes` opens."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from simulators.chance import uniform

_NAMESPACE = UUID("6d696d61-6d6f-7269-8000-746f776e0000")
TENANT = str(uuid5(_NAMESPACE, "tenant"))
APPLICATION = str(uuid5(_NAMESPACE, "application"))
GATEWAY = "6d696d616d6f7269"


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing a device says, as the network heard it: an uplink (`event` up) or a join.

    `counter` is None for a join. `session` is the DevAddr.
    """

    device: str
    name: str
    model: str
    session: str
    heard: datetime
    event: str = "up"
    counter: int | None = None
    payload: bytes = b""

    @property
    def topic(self) -> str:
        return f"application/{APPLICATION}/device/{self.device}/event/{self.event}"

    def body(self) -> bytes:
        """The JSON. A repeated delivery of a frame has the same bytes."""
        heard = self.heard.astimezone(UTC)
        message: dict[str, Any] = {
            "deduplicationId": str(uuid5(_NAMESPACE, f"{self.device} {self.session} {self.event} {self.counter}")),
            "time": _rfc3339(heard),
            "deviceInfo": {
                "tenantId": TENANT,
                "tenantName": "mimamori",
                "applicationId": APPLICATION,
                "applicationName": "town",
                "deviceProfileId": str(uuid5(_NAMESPACE, self.model)),
                "deviceProfileName": self.model,
                "deviceName": self.name,
                "devEui": self.device,
            },
            "devAddr": self.session,
        }
        if self.event != "up":
            return json.dumps(message, ensure_ascii=False).encode()
        message |= {"adr": True, "dr": 2 if len(self.payload) <= 11 else 3}
        if self.counter:  # protobuf's JSON leaves out zeros
            message["fCnt"] = self.counter
        message |= {
            "fPort": 10,
            "data": base64.b64encode(self.payload).decode(),
            "rxInfo": [self._reception(heard)],
            "txInfo": {
                "frequency": 923_200_000,
                "modulation": {
                    "lora": {
                        "bandwidth": 125_000,
                        "spreadingFactor": 12 - int(message["dr"]),
                        "codeRate": "CR_4_5",
                    }
                },
            },
        }
        return json.dumps(message, ensure_ascii=False).encode()

    def _reception(self, heard: datetime) -> dict[str, Any]:
        luck = uniform(self.device, self.session, self.counter)
        return {
            "gatewayId": GATEWAY,
            "uplinkId": int(luck * 2**32),
            "gwTime": _rfc3339(heard - timedelta(milliseconds=80)),
            "nsTime": _rfc3339(heard),
            "rssi": -118 + int(40 * luck),
            "snr": round(-8 + 16 * luck, 1),
        }


def _rfc3339(time: datetime) -> str:
    """With nine digits of a second, as ChirpStack writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000+00:00"

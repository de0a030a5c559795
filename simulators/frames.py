"""What a device says, as a network heard it, and what the network makes of it: a topic and a body.

`Frame` knows nothing of JSON; each network writes its own (`simulators.networks`), the shapes that `devices.envelopes`
opens. A frame that no gateway heard has no receptions and is never published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from simulators.networks import NETWORKS

CHIRPSTACK_V4, THE_THINGS_STACK_V3 = "chirpstack_v4", "the_things_stack_v3"
SIGFOX, MIMAMORI_V1 = "sigfox", "mimamori_v1"
LORAWAN = (CHIRPSTACK_V4, THE_THINGS_STACK_V3)


@dataclass(frozen=True, slots=True)
class Reception:
    """One gateway (Sigfox: base station) that heard a frame: rssi in dBm, snr in dB."""

    gateway: str
    rssi: int
    snr: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing a device says, as the network heard it: an uplink (`event` up) or a join.

    `counter` is None for a join. `session` is the DevAddr (own JSON: the session; Sigfox: empty). `receptions`: who
    heard it, the best first; of a network with gateways an empty one means nobody. `spreading_factor` of LoRa.
    `repeats`: how many further transmissions of it (NbTrans) were heard. `held_until`: the way out of the network is
    broken, it is delivered then. `samples` instead of a payload: the values that a sender of our own JSON brings, by
    the time at which each was measured.
    """

    device: str
    name: str
    model: str
    session: str
    heard: datetime
    event: str = "up"
    counter: int | None = None
    payload: bytes = b""
    network: str = CHIRPSTACK_V4
    receptions: tuple[Reception, ...] = ()
    spreading_factor: int = 10
    repeats: int = 0
    held_until: datetime | None = None
    samples: tuple[tuple[datetime, Mapping[str, float | None]], ...] = ()

    @property
    def topic(self) -> str:
        """The MQTT topic; of a network that has only HTTP (`posted`) what ingest makes of the address."""
        return NETWORKS[self.network].topic(self)

    @property
    def posted(self) -> bool:
        """Whether the network brings it by HTTP and not by MQTT."""
        return NETWORKS[self.network].POSTED

    @property
    def lost(self) -> bool:
        """Whether it is an uplink that no gateway heard."""
        return self.event == "up" and not self.receptions and self.network != MIMAMORI_V1

    def body(self) -> bytes:
        """The JSON. A repeated delivery of a frame has the same bytes."""
        return NETWORKS[self.network].body(self)

"""What a simulator run must be told; `mimamori` fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from simulators.errors import SimulatorError
from simulators.faults import NO_FAULTS, USUAL, FaultRates
from simulators.frames import CHIRPSTACK_V4


class Scenario(StrEnum):
    """What happens to the town; `SENTENCES` says it to people. What comes again does so every third day."""

    NORMAL = "normal"
    LEAK = "leak"
    BURST = "burst"
    VALVE = "valve"
    FESTIVAL = "festival"
    FLOOD = "flood"
    GATEWAY = "gateway"
    CARRIER = "carrier"
    WEAR = "wear"

    @property
    def storms(self) -> bool:
        """Whether there are floods in it."""
        return self in (Scenario.FLOOD, Scenario.GATEWAY)


WORN = 30.0  # times as many faults as usual

SENTENCES: Mapping[Scenario, str] = MappingProxyType(
    {
        Scenario.NORMAL: "showers; no gauge comes near its second level; a pipe bursts every fourth day",
        Scenario.LEAK: "half an hour after the origin a leak of 3 to 5 m3/h opens, and stays",
        Scenario.BURST: "half an hour after the origin, and again, a pipe bursts (18 to 24 m3/h) for six hours",
        Scenario.VALVE: "half an hour after the origin, and again, the valve at a block's inlet is half shut for 8 h",
        Scenario.FESTIVAL: "half an hour after the origin, and every week again, crowds at every other visitor spot",
        Scenario.FLOOD: "half an hour after the origin, and again, a storm; its flood bares a main, leaves cover a "
        "counter, people seek shelter at a visitor spot",
        Scenario.GATEWAY: "the flood, and 2 h 30 min after the origin, and again, a gateway is out of order for 6 h",
        Scenario.CARRIER: "half an hour after the origin, and again, the mobile network is out of order for 6 h: "
        "senders with a SIM card (of --mixed) are silent, and tell all of it afterwards",
        Scenario.WEAR: "no flood, but what devices suffer in years: every kind of fault thirty times as often as usual",
    }
)


@dataclass(frozen=True, slots=True)
class Impairments:
    """How often, of all uplinks, something goes wrong on the way (0 to 1 each).

    `loss`: nobody heard it, though the radio would have (frames collide). `duplicate`: delivered twice. `disorder`:
    overtaken by the device's next uplinks. `late`: held back for half an hour to three hours. `unmeasured`: the device
    says that it could not measure. `repetition`: of the further transmissions of a frame (NbTrans) that were heard, how
    many the network hands on as well. `fading`: how the power at a gateway varies from frame to frame, dB (standard
    deviation): what falls below the limit is lost (`simulators.radio`).
    """

    loss: float = 0.01
    duplicate: float = 0.01
    disorder: float = 0.01
    late: float = 0.005
    unmeasured: float = 0.002
    repetition: float = 0.1
    fading: float = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.fading <= 20:
            raise SimulatorError("impairments: fading must be between 0 and 20 dB")
        for field in fields(self):
            if field.name != "fading" and not 0 <= getattr(self, field.name) <= 1:
                raise SimulatorError(f"impairments: {field.name} must be between 0 and 1")
        if self.loss + self.duplicate + self.disorder + self.late > 1:
            raise SimulatorError("impairments: loss, duplicate, disorder and late together must not exceed 1")


PERFECT = Impairments(0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Post:
    """Where what comes by HTTP is posted: the address of a source (`/intake/NAME`) and its secret."""

    url: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Post({self.url})"


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """One run of the simulated devices.

    `origin` is the town time at which the scenario begins; None takes the town's time when the run starts. Give
    the same origin again after a restart and the weather goes on as if nothing had happened.
    `since`: town time from which on everything is sent first, as fast as the broker takes it; None: from now on.
    `ledger`: the file to which every uplink is written once the broker has acknowledged it (`simulators.ledger`).
    `truth`: the file of what was made to go wrong or to happen (`simulators.truth`).
    `faults`: how often devices and gateways break (`simulators.faults`); the scenario `wear` has its own.
    `devices`: a larger town of the same kind, with so many (`simulators.crowd`); None: the town's own.
    `networks`: over which networks the further ones speak, in turn by the copy of the town; `sigfox`: where the
    messages of a network that has only HTTP are posted.
    `tls`: speak TLS to the broker, with the system's certificates.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: bool = False
    client_id: str = "mimamori-simulator"
    seed: int = 1
    scenario: Scenario = Scenario.NORMAL
    impairments: Impairments = Impairments()
    ledger: Path | None = None
    truth: Path | None = None
    faults: FaultRates = NO_FAULTS
    devices: int | None = None
    networks: tuple[str, ...] = (CHIRPSTACK_V4,)
    sigfox: Post | None = None
    origin: datetime | None = None
    since: datetime | None = None

    @property
    def breaks(self) -> FaultRates:
        """How often devices and gateways break."""
        return USUAL.times(WORN) if self.scenario is Scenario.WEAR and self.faults == NO_FAULTS else self.faults

    def __repr__(self) -> str:
        """Without the password: this ends up in logs."""
        return f"SimulatorConfig({self.host}:{self.port}, {self.scenario}, seed={self.seed})"

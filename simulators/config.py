"""What a simulator run must be told; `mimamori` fills it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from simulators.errors import SimulatorError


class Scenario(StrEnum):
    """What happens to the town."""

    NORMAL = "normal"  # showers; no gauge comes near its second level
    LEAK = "leak"  # half an hour after the origin a leak opens, and stays
    BURST = "burst"  # half an hour after the origin, and every third day again, a pipe bursts for six hours
    FESTIVAL = "festival"  # half an hour after the origin, and every week again, crowds at every other visitor spot
    # Half an hour after the origin, and every third day again, a storm; its flood bares a main, leaves cover a counter,
    # and people seek shelter at a visitor spot.
    FLOOD = "flood"


@dataclass(frozen=True, slots=True)
class Impairments:
    """How often, of all uplinks, something goes wrong on the way (0 to 1 each).

    `loss`: nobody heard it. `duplicate`: delivered twice. `disorder`: overtaken by the device's next uplinks.
    `late`: held back for half an hour to three hours. `unmeasured`: the device says that it could not measure.
    """

    loss: float = 0.01
    duplicate: float = 0.01
    disorder: float = 0.01
    late: float = 0.005
    unmeasured: float = 0.002

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise SimulatorError(f"impairments: {field.name} must be between 0 and 1")
        if self.loss + self.duplicate + self.disorder + self.late > 1:
            raise SimulatorError("impairments: loss, duplicate, disorder and late together must not exceed 1")


PERFECT = Impairments(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """One run of the simulated devices.

    `origin` is the town time at which the scenario begins; None takes the town's time when the run starts. Give
    the same origin again after a restart and the weather goes on as if nothing had happened.
    `since`: town time from which on everything is sent first, as fast as the broker takes it; None: from now on.
    `ledger`: the file to which every uplink is written once the broker has acknowledged it (`simulators.ledger`).
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
    origin: datetime | None = None
    since: datetime | None = None

    def __repr__(self) -> str:
        """Without the password: this ends up in logs."""
        return f"SimulatorConfig({self.host}:{self.port}, {self.scenario}, seed={self.seed})"

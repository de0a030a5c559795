"""What somebody sets off while the town runs: a storm, a burst, a crowd, a device that falls silent.

Pure data. The town stays a function: of (seed, scenario, origin, interventions, time). Whoever runs the simulator
says by a callable what there is; it is asked every second or so, and may answer from a file or a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from simulators.errors import SimulatorError


class Happening(StrEnum):
    """What can be set off."""

    RAIN = "rain"  # a cloudburst over every catchment
    BURST = "burst"  # a pipe of one block bursts, and is shut off at the end
    FESTIVAL = "festival"  # crowds at every visitor spot, whatever the hour
    SILENCE = "silence"  # one device says nothing


@dataclass(frozen=True, slots=True)
class Intervention:
    """One thing set off, from `start` (inclusive) to `end` (exclusive).

    `target` is the station of a burst and the device key of a silence, None for what the whole town has.
    SimulatorError where it does not fit the happening.
    """

    happening: Happening
    start: datetime
    end: datetime
    target: str | None = None

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise SimulatorError(f"{self.happening}: it ends at {self.end}, before it starts at {self.start}")
        if (self.target is not None) != (self.happening in (Happening.BURST, Happening.SILENCE)):
            raise SimulatorError(f"{self.happening}: burst and silence have a target, rain and festival have none")

    def covers(self, at: datetime) -> bool:
        return self.start <= at < self.end


def of(
    interventions: Sequence[Intervention], happening: Happening, target: str | None = None
) -> tuple[Intervention, ...]:
    """Those of one kind, at one target."""
    return tuple(each for each in interventions if each.happening is happening and each.target == target)

"""A time of measurement that cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import numpy as np

from devices.model import Quality, Reason
from quality.estimator import Flags, Floats


@dataclass(frozen=True, slots=True)
class Clock:
    """Flags a device's time that is more than `ahead` seconds later, or `behind` seconds older, than its reception.

    Here the values are themselves times: what the device says, in seconds since 1970, nan where it says nothing;
    `times` is when the messages were received, on the town clock, in any order.

    Works badly on a clock that is wrong by less: minutes fast or hours slow pass, and are stored where they say.

    Assumes that the town clock is right. A real-time clock that lost its battery shows 1970, 2000 or the GPS epoch,
    and one that was misread shows a far future; both are far outside. History that is imported or replayed on
    purpose runs on a town clock of its own time, or does not pass here.

    Cost: two comparisons a point.

    >>> received = np.array([1.78e9, 1.78e9, 1.78e9])
    >>> Clock().flags(received, np.array([1.78e9 - 600.0, 0.0, 1.78e9 + 301.0])).tolist()
    [False, True, True]

    Source: own; the bounds are those at which a LoRaWAN history (days) and clock drift (minutes) still pass.
    """

    ahead: float = 5 * 60.0
    behind: float = 365 * 86400.0

    quality: ClassVar[Quality] = Quality.DOUBTFUL
    reason: ClassVar[Reason] = Reason.CLOCK

    def context(self, step: float) -> int:
        return 0

    def allows(self, received: datetime, said: datetime) -> bool:
        """Whether a device can have measured at `said` what was received at `received`: the same for one time."""
        late = (said - received).total_seconds()
        return -self.behind <= late <= self.ahead

    def flags(self, times: Floats, values: Floats) -> Flags:
        late = values - times
        return np.asarray((late > self.ahead) | (late < -self.behind), dtype=np.bool_)

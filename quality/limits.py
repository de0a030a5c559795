"""Outside what the sensor or the place can produce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Quality, Reason
from quality.estimator import Flags, Floats


@dataclass(frozen=True, slots=True)
class Limits:
    """Flags a value below `low` or above `high` (both still possible themselves; None: no limit).

    Works badly where the limits are guessed tightly: the flood of the century lies beyond everything measured
    before, and a bad value is left out of judgements. Set them by the sensor and the channel, not by the record.

    Assumes nothing about neighbours: each point for itself.

    Cost: two comparisons a point.

    >>> Limits(low=0.0, high=8.0).flags(np.arange(4.0), np.array([0.0, 3.2, 8.1, np.nan])).tolist()
    [False, False, True, False]

    Source: WMO-No. 488, Guide to the Global Observing System, appendix VI.2: plausible value check.
    """

    low: float | None = None
    high: float | None = None

    quality: ClassVar[Quality] = Quality.BAD
    reason: ClassVar[Reason] = Reason.RANGE

    def context(self, step: float) -> int:
        return 0

    def flags(self, times: Floats, values: Floats) -> Flags:
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.asarray((values < low) | (values > high), dtype=np.bool_)

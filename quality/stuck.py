"""Has not moved for longer than the place can stand still."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Quality, Reason
from quality.estimator import Flags, Floats


@dataclass(frozen=True, slots=True)
class Stuck:
    """Flags a value that has been exactly the same for `after` seconds or longer, in `at_least` observations.

    The first values of a standstill are not flagged: only from `after` on is it known to be one.

    Works badly where standing still is honest (a dry channel, a closed valve, a gate at night: switch it off
    there), with sensors so coarse that a calm value repeats, and with ones that tremble although they are stuck.

    Assumes that an honest value moves by at least one digit within `after`, and that observations between were not
    lost in such numbers that the movement fell into the gap.

    Cost: one pass.

    >>> hours = np.arange(6) * 3600.0
    >>> Stuck(after=3 * 3600.0).flags(hours, np.array([2.0, 2.1, 2.1, 2.1, 2.1, 2.2])).tolist()
    [False, False, False, False, True, False]

    Source: WMO-No. 488, appendix VI.2: check on a minimum required variability of instantaneous values.
    """

    after: float
    at_least: int = 4

    quality: ClassVar[Quality] = Quality.DOUBTFUL
    reason: ClassVar[Reason] = Reason.STUCK

    def __post_init__(self) -> None:
        if not self.after > 0:
            raise ValueError(f"a standstill must last longer than 0 s before it is one, not {self.after}")
        if self.at_least < 2:
            raise ValueError(f"a standstill needs 2 observations or more, not {self.at_least}")

    def context(self, step: float) -> int:
        return max(math.ceil(self.after / step), self.at_least - 1)

    def flags(self, times: Floats, values: Floats) -> Flags:
        flagged = np.zeros(values.shape, dtype=np.bool_)
        known = np.flatnonzero(~np.isnan(values))
        moments, heights = times[known], values[known]
        position = np.arange(known.size)
        moved = np.ones(known.shape, dtype=np.bool_)
        moved[1:] = heights[1:] != heights[:-1]
        start = np.maximum.accumulate(np.where(moved, position, 0))
        flagged[known] = (moments - moments[start] >= self.after) & (position - start + 1 >= self.at_least)
        return flagged

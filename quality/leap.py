"""Moved much farther than it has been moving, where nobody has said how fast the place can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from devices.model import Quality, Reason
from quality.estimator import Flags, Floats
from quality.rate import out_of_reach

_BACK = 24  # movements that say what is usual at the moment


@dataclass(frozen=True, slots=True)
class Leap:
    """Flags a jump as `Rate` does, with the greatest rate learnt from the movements just before.

    In the time of one `step` (s) a value may move by `free`, however calm the place was, or by `times` the third
    largest of the last 24 movements: one spike, which is two large movements, does not excuse the next. The value that
    agrees with a flagged one is believed.

    Works badly on a flash flood: its first value is doubted until the next one says the same. Spikes smaller than
    `free` pass, and so do three and more in 24 values.

    Assumes that values come about every `step`; over a gap a value may move that much farther.

    Cost: a partition of 24 numbers a point.

    >>> calm = np.array([1.0, 1.01, 1.0, 1.02, 2.6, 1.01, 1.0])
    >>> Leap(step=600.0, free=0.5).flags(np.arange(7) * 600.0, calm).tolist()
    [False, False, False, False, True, False, False]
    >>> flood = np.array([1.0, 1.01, 1.3, 1.7, 2.1, 2.9, 3.8])
    >>> Leap(step=600.0, free=0.5).flags(np.arange(7) * 600.0, flood).any()
    np.False_

    Source: own. On recorded floods (docs/quality.md) it doubts almost nothing that was true.
    """

    step: float
    free: float
    times: float = 3.0

    quality: ClassVar[Quality] = Quality.DOUBTFUL
    reason: ClassVar[Reason] = Reason.RATE

    def __post_init__(self) -> None:
        if not (self.step > 0 and self.free > 0):
            raise ValueError(f"step and free movement must be above 0, not {self.step} s and {self.free}")

    def context(self, step: float) -> int:
        # What is usual at the one before, and behind spikes in a row the last believed one.
        return 2 * _BACK + 1

    def flags(self, times: Floats, values: Floats) -> Flags:
        flagged = np.zeros(values.shape, dtype=np.bool_)
        known = np.flatnonzero(~np.isnan(values))
        if known.size < 2:
            return flagged
        steps, heights = times[known] / self.step, values[known]
        moved = np.abs(np.diff(heights)) / np.maximum(np.diff(steps), 1.0)
        before = sliding_window_view(np.concatenate([np.zeros(_BACK), moved[:-1]]), _BACK)
        usual = np.partition(before, -3, axis=1)[:, -3]
        reach = np.concatenate([[0.0], np.maximum(self.free, self.times * usual)])
        flagged[known] = out_of_reach(steps, heights, reach, least=1.0)
        return flagged

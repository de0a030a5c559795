"""Moved faster than the place can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from devices.model import Quality, Reason
from quality.estimator import Flags, Floats


@dataclass(frozen=True, slots=True)
class Rate:
    """Flags a jump: a value that cannot be reached at `per_hour` from the one before, nor from the last believed one.

    A single spike costs one flag: the value after it is reached from the one before the spike. A true step costs
    one flag too: the second value at the new height is reached from the first. So a real flood wave that outruns
    `per_hour` is doubted for one observation, not for as long as it lasts.

    Works badly where two false values in a row agree (the second passes), after a long gap (anything can be
    reached), and on the very first value of a series (nothing to compare with).

    Assumes that the value between two observations moved evenly.

    Cost: one difference a point; only jumps are looked at one by one.

    >>> Rate(per_hour=2.0).flags(np.arange(5) * 600.0, np.array([1.0, 1.1, 4.0, 1.2, 1.3])).tolist()
    [False, False, True, False, False]
    >>> Rate(per_hour=2.0).flags(np.arange(5) * 600.0, np.array([1.0, 1.1, 4.0, 4.1, 4.2])).tolist()
    [False, False, True, False, False]

    Source: WMO-No. 488, appendix VI.2: check on a plausible rate of change; the confirmation by the following
    value is ours.
    """

    per_hour: float

    quality: ClassVar[Quality] = Quality.DOUBTFUL
    reason: ClassVar[Reason] = Reason.RATE

    def __post_init__(self) -> None:
        if not self.per_hour > 0:
            raise ValueError(f"the greatest rate of change must be above 0 an hour, not {self.per_hour}")

    def context(self, step: float) -> int:
        # The one before, and behind spikes in a row (up to so many) the last believed one.
        return 24

    def flags(self, times: Floats, values: Floats) -> Flags:
        flagged = np.zeros(values.shape, dtype=np.bool_)
        known = np.flatnonzero(~np.isnan(values))
        reach = np.full(known.shape, self.per_hour)
        flagged[known] = out_of_reach(times[known] / 3600.0, values[known], reach)
        return flagged


def out_of_reach(times: Floats, values: Floats, reach: Floats, *, least: float = 0.0) -> Flags:
    """Which values can be reached neither from the one before nor from the last believed one.

    All of shape (n,), without nan: `times` ascending, in any unit; `reach` how far a value can be from an earlier one,
    in the unit of the values by that of the times. Less time than `least` counts as that.
    """
    jumps = np.abs(np.diff(values)) > reach[1:] * np.maximum(np.diff(times), least)
    doubted = np.zeros(values.shape, dtype=np.bool_)
    believed = 0
    for i in np.flatnonzero(jumps) + 1:
        if not doubted[i - 1]:
            believed = int(i) - 1  # else the one found for i - 1 is still the last believed
        doubted[i] = abs(values[i] - values[believed]) > reach[i] * max(times[i] - times[believed], least)
    return doubted

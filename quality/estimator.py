"""The contract of everything that judges single observations.

An estimator is an immutable value: its parameters. `flags` looks at one series and says which of its points are
not to be believed. What holds for every estimator:

- causal: what comes later never changes the flag of a point;
- pure: the same input gives the same flags, and the input is left as it was;
- a point without a value (nan) is never flagged and never changes the flag of another;
- any length goes, 0 too.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from devices.model import Quality, Reason

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Estimator(Protocol):
    """Judges the points of one series."""

    @property
    def quality(self) -> Quality:
        """What a flagged point is worth."""

    @property
    def reason(self) -> Reason:
        """Why."""

    def context(self, step: float) -> int:
        """How many earlier points the verdict on a new one needs, where points come every `step` seconds."""

    def flags(self, times: Floats, values: Floats) -> Flags:
        """True where a point is not to be believed.

        `times`: shape (n,), seconds since 1970-01-01T00:00Z, strictly ascending. `values`: shape (n,), in the
        datastream's unit, nan where there is none. Returns shape (n,).
        """

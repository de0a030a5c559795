"""The level of each channel, day by day, with what the day's use of water did to it taken out.

    levels = Levels(channels, inputs)
    levels.learn(values, given)             the steps of one more day
    levels.known() -> (d, c)                all days so far, by everything learned so far

A channel is a pressure, or the flow of one of several inlets. Within a day it follows how much is used, where it is
used by the hour, and the level of a tank; over days it stays, until something begins to leak. So the regression is
learned from within the days alone (each day's own means taken out: the panel's within estimator), which a leak that
runs all day hardly touches, and a day's level is what its mean has over what its inputs explain. There is no
leak-free time to wait for, and nothing has to be learned anew after a leak or its repair.

Missing steps are left out, for each channel its own. A day with less than half its steps, or one on which a channel
hardly moved (a stuck logger), has no level: nan. Cost a day: c k^2 for the steps, and one solve of k.

Source: within (fixed effects) estimator: B. Baltagi, Econometric Analysis of Panel Data, ch. 2; regressing pressures
on flows for leaks: R. Daniel et al., A Sequential Pressure-Based Algorithm for Data-Driven Leakage Identification
(LILA), J. Water Resour. Plann. Manage. 148(6), 2022.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analytics.leaks.network.pipes import Floats

_ENOUGH = 0.5  # of a day's steps
_MOVED = 0.2  # of how it usually moves within a day


class Levels:
    """`channels` and `inputs`: how many there are."""

    def __init__(self, channels: int, inputs: int) -> None:
        self._among = np.zeros((channels, inputs, inputs))
        self._with = np.zeros((channels, inputs))
        self._given: list[Floats] = []
        self._values: list[Floats] = []
        self._moved: list[Floats] = []

    def learn(self, values: Floats, given: Floats) -> None:
        """One day: `values` (t, c) of the channels and `given` (t, k) of the inputs at its steps, nan where missing."""
        channels, inputs = self._with.shape
        mean, means = np.full(channels, np.nan), np.full((channels, inputs), np.nan)
        moved = np.full(channels, np.nan)
        usable = np.isfinite(given).all(axis=1).reshape(len(given), 1)
        there: npt.NDArray[np.bool_] = np.isfinite(values) & usable
        enough = there.sum(axis=0) >= _ENOUGH * len(values)
        usual = self._usual()
        # Channels that have the same steps are learned together.
        alike: dict[bytes, list[int]] = {}
        for at in np.flatnonzero(enough):
            alike.setdefault(there[:, at].tobytes(), []).append(int(at))
        for each in alike.values():
            same, pattern = np.array(each), there[:, each[0]]
            x, y = given[pattern], values[pattern][:, same]
            spread = y.std(axis=0)
            lively = spread > _MOVED * usual[same]
            same, y = same[lively], y[:, lively]
            moved[same] = spread[lively]
            mean[same], means[same] = y.mean(axis=0), x.mean(axis=0)
            x, y = x - x.mean(axis=0), y - y.mean(axis=0)
            self._among[same] += x.T @ x
            self._with[same] += (x.T @ y).T
        self._values.append(mean)
        self._given.append(means)
        self._moved.append(moved)

    def _usual(self) -> Floats:
        """(c,) how much each channel moves within a day, 0 where it never did."""
        moved = np.array(self._moved).reshape(len(self._moved), len(self._with))
        known = np.isfinite(moved).any(axis=0) if len(moved) else np.zeros(len(self._with), dtype=bool)
        found = np.zeros(len(self._with))
        found[known] = np.nanmedian(moved[:, known], axis=0)
        return found

    def slopes(self) -> Floats:
        """(c, k): how each channel follows each input."""
        found = np.zeros_like(self._with)
        for at, (one, other) in enumerate(zip(self._among, self._with, strict=True)):
            # Inputs that never move, such as a pump that always runs, explain nothing.
            found[at] = np.linalg.lstsq(one, other, rcond=1e-10)[0]
        return found

    def known(self) -> tuple[Floats, Floats]:
        """(d, c) the level of each day, and (c, k) the slopes it was found with."""
        slopes = self.slopes()
        return np.array(self._values) - np.einsum("dck,ck->dc", np.array(self._given), slopes), slopes

    def given(self, at: int) -> Floats:
        """(d,) the means of an input on the days so far, nan where no channel had a level."""
        means = np.array([each[:, at] for each in self._given])
        there = np.isfinite(means)
        return np.where(
            there.any(axis=1), np.where(there, means, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1), np.nan
        )

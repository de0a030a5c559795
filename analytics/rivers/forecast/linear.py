"""Members that are linear in the inputs, without an intercept: where nothing happens they expect nothing.

    Linear.fit(inputs, rows, changes, kind) -> Linear; .expect(columns) -> (m, L)

Ridge regression (Hoerl & Kennard 1970) on columns scaled by their root mean square and not centred. `short` looks a few
hours back and has few coefficients, for a gauge whose record is young; `long` looks two days back and at the
neighbours; `wet` adds products of rain, rate and wetness, which is how a wet catchment answers the same rain with more
water, and `wetter` is the same held shorter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from analytics.rivers.forecast.record import Floats

KINDS: Mapping[str, float] = MappingProxyType({"short": 1.0, "long": 10.0, "wet": 100.0, "wetter": 1000.0})
"""Each kind with its ridge: the strength of the penalty in hours of mean square 1."""

_SHORT = ("d1", "d2", "d3", "r1", "r2", "r3", "e2", "e6", "e12")
_RAIN = ("r1", "r2", "r3", "r4", "r5", "r6", "e2", "e6", "e12", "e24")
_WETNESS = ("e240", "e72", "base")


@dataclass(frozen=True, slots=True)
class Linear:
    """`weights` (q, L) of the scaled columns that `terms` makes."""

    kind: str
    names: tuple[str, ...]
    weights: Floats

    @staticmethod
    def fit(kind: str, names: tuple[str, ...], columns: Floats, changes: Floats, hour: int) -> Linear:
        """`columns` (m, p) under `names`, `changes` (m, L) from the issue time to each lead; `hour` rows make one hour:
        within it they say nearly the same.
        """
        made = terms(kind, names, columns)
        scale = np.sqrt((made**2).mean(axis=0)) + 1e-12
        made /= scale
        gram = made.T @ made
        gram[np.diag_indices_from(gram)] += KINDS[kind] * hour
        weights = np.linalg.solve(gram, made.T @ changes)
        # A column that was always zero has nothing to say, whatever it is later.
        weights[scale < 1e-9] = 0.0
        return Linear(kind, names, weights / scale[:, None])

    def expect(self, columns: Floats) -> Floats:
        return terms(self.kind, self.names, columns) @ self.weights


def terms(kind: str, names: tuple[str, ...], columns: Floats) -> Floats:
    """The columns (m, q) of a kind of member."""
    place = {name: at for at, name in enumerate(names)}
    if kind == "short":
        return columns[:, [place[name] for name in names if name in _SHORT or name.startswith("s")]]
    return columns.copy() if kind == "long" else np.column_stack([columns, *_products(place, columns)])


def _products(place: Mapping[str, int], columns: Floats) -> list[Floats]:
    def column(name: str) -> Floats:
        return columns[:, place[name]]

    found = []
    if "r1" in place:
        found += [column(wet) * column(rain) for wet in _WETNESS if wet in place for rain in _RAIN]
        found += [column(rain) ** 2 for rain in _RAIN[:8]]
        found += [column("d1") * column(rain) for rain in ("r1", "e2", "e6")]
    rate, before = column("d1"), column("d2")
    found += [rate * np.abs(rate), np.maximum(rate, 0.0), np.maximum(before, 0.0), rate * before]
    if "base" in place:
        found += [column("base") * rate, column("base") ** 2]
    found += [np.maximum(column(name), 0.0) for name in place if name.startswith("n") and name.endswith("d1")]
    return found

"""Chance that can be asked again: random numbers that depend only on what they are asked for.

A generator hands out numbers in an order, so its state would have to survive restarts. Here every number is a
hash of its question (seed, device, time, ...): the same town at the same time is the same town, whoever asks,
in whatever order, before or after a restart. `uniform` and its like answer one question, `uniforms` and its like ask
the same question about many things at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from math import exp, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_NORMAL = NormalDist()


def uniform(*question: object) -> float:
    """A number between 0 and 1, both excluded."""
    return (integer(*question) + 0.5) / 2**53


def integer(*question: object) -> int:
    """A whole number from 0 up to but not including 2**53 (above it `uniform` could round to 1)."""
    text = "\x1f".join(map(str, question)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 11


def normal(*question: object) -> float:
    """A number from the standard normal distribution."""
    return _NORMAL.inv_cdf(uniform(*question))


def poisson(mean: float, *question: object) -> int:
    """A count from the Poisson distribution with this mean, by inversion; above 500 by its normal limit."""
    u = uniform(*question)
    if mean > 500:
        return max(0, round(mean + sqrt(mean) * _NORMAL.inv_cdf(u)))
    count, probability = 0, exp(-mean)
    cumulated = probability
    while u > cumulated and probability > 0:
        count += 1
        probability *= mean / count
        cumulated += probability
    return count


# --- the same for many at once ----------------------------------------------------------------------------


def keys(names: Iterable[str]) -> Keys:
    """A number for each name, to ask `uniforms` and the others about: of shape (names,)."""
    return np.fromiter((integer(name) for name in names), dtype=np.uint64)


def uniforms(about: Keys, *question: object) -> Floats:
    """For each of `about` a number between 0 and 1, both excluded; the question is the same for all.

    Mixed by splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
    """
    x = _mixed(about ^ np.uint64(integer(*question))) >> np.uint64(11)  # arrays wrap around without a warning
    return (x.astype(np.float64) + 0.5) / 2.0**53


def normals(about: Keys, *question: object) -> Floats:
    """For each of `about` a number from the standard normal distribution (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniforms(about, *question, "radius")))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniforms(about, *question, "angle")))


def poissons(means: Floats, about: Keys, *question: object) -> Counts:
    """For each of `about` a count from the Poisson distribution with its mean, by inversion; above 60 its normal
    limit.
    """
    u = uniforms(about, *question)
    counts = np.zeros(len(means), dtype=np.int64)
    probability = np.exp(-np.minimum(means, 60.0))
    cumulated = probability.copy()
    step = 0
    while (more := u > cumulated).any() and step < 200:
        step += 1
        probability *= means / step
        cumulated += probability
        counts[more] = step
    large = means > 60.0
    if large.any():
        many = normals(about[large], *question, "many")
        counts[large] = np.maximum(0, np.rint(means[large] + np.sqrt(means[large]) * many)).astype(np.int64)
    return counts


def _mixed(x: Keys) -> Keys:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

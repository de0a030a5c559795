"""Chance that can be asked again: random numbers that depend only on what they are asked for.

A generator hands out numbers in an order, so its state would have to survive restarts. Here every number is a
hash of its question (seed, device, time, ...): the same town at the same time is the same town, whoever asks,
in whatever order, before or after a restart.
"""

from __future__ import annotations

from hashlib import blake2b
from math import exp, sqrt
from statistics import NormalDist

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

"""What the way from a device to the broker does to its uplinks.

The fate of an uplink is a pure function of (seed, device, time it was sent): a run can be repeated.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from simulators.chance import uniform
from simulators.config import Impairments


def fate(impairments: Impairments, seed: int, device: str, sent: datetime) -> tuple[timedelta, ...]:
    """How long after it was heard an uplink is delivered, once for each delivery; empty where nobody heard it."""
    drawn = uniform(seed, device, "fate", sent.timestamp())
    wait = uniform(seed, device, "wait", sent.timestamp())
    for chance, delays in (
        (impairments.loss, ()),
        (impairments.duplicate, (timedelta(0), timedelta(seconds=1 + 60 * wait))),
        (impairments.disorder, (timedelta(minutes=10 + 30 * wait),)),
        (impairments.late, (timedelta(minutes=30 + 150 * wait),)),
    ):
        if drawn < chance:
            return delays
        drawn -= chance
    return (timedelta(0),)


def unmeasured(impairments: Impairments, seed: int, device: str, at: datetime) -> bool:
    """Whether the device could not measure this time."""
    return uniform(seed, device, "unmeasured", at.timestamp()) < impairments.unmeasured

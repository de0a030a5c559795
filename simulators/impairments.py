"""What the way from a device to the broker does to its uplinks.

The fate of an uplink is a pure function of (seed, device, time it was sent): a run can be repeated.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from simulators.chance import uniform
from simulators.config import Impairments, SimulatorConfig
from simulators.frames import Frame

_AT_ONCE = (timedelta(0),)


def arrivals(config: SimulatorConfig, frame: Frame) -> tuple[datetime, ...]:
    """When an uplink arrives at the broker, once for each delivery; empty where it does not."""
    if frame.lost:
        return ()
    delays = fate(config.impairments, config.seed, frame.device, frame.heard, frame.repeats)
    if frame.held_until is None:
        return tuple(frame.heard + delay for delay in delays)
    return tuple(max(frame.heard, frame.held_until) + delay for delay in delays)


def fate(impairments: Impairments, seed: int, device: str, sent: datetime, repeats: int = 0) -> tuple[timedelta, ...]:
    """How long after it was heard an uplink is delivered, once for each delivery; empty where nobody heard it.

    `repeats`: further transmissions of it that a gateway heard, of which the network may hand on one.
    """
    drawn = uniform(seed, device, "fate", sent.timestamp())
    if drawn >= _sum(impairments) and not repeats:
        return _AT_ONCE
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
    if repeats and drawn < impairments.repetition * (1 - _sum(impairments)):
        return (timedelta(0), timedelta(seconds=2.5))
    return _AT_ONCE


def _sum(impairments: Impairments) -> float:
    return impairments.loss + impairments.duplicate + impairments.disorder + impairments.late


def unmeasured(impairments: Impairments, seed: int, device: str, at: datetime) -> bool:
    """Whether the device could not measure this time."""
    return uniform(seed, device, "unmeasured", at.timestamp()) < impairments.unmeasured

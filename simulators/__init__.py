"""A town that does not exist: rain and a river, a distribution block, visitors, and the devices that watch them.

`run` publishes what the devices of a town would say, on the town's clock, in the words of their networks
(`simulators.networks`). What they say is a pure function of (seed, scenario, origin, faults, interventions, town time);
what the way does to it is too. Only the sessions are new with each run. docs/simulators.md is the manual.

Raises SimulatorError (`simulators.errors`) and nothing else of its own.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from devices.clock import Clock
from devices.model import Town
from simulators.config import Impairments, Scenario, SimulatorConfig
from simulators.crowd import Speaking, everybody
from simulators.errors import SimulatorError
from simulators.frames import Frame
from simulators.impairments import arrivals
from simulators.interventions import Happening, Intervention
from simulators.ledger import Ledger
from simulators.publisher import Publisher
from simulators.truth import Truth

__all__ = [
    "Happening",
    "Impairments",
    "Intervention",
    "Interventions",
    "Scenario",
    "SimulatorConfig",
    "SimulatorError",
    "run",
]

_LOOK_EVERY = 0.1  # s of real time: a clock moved by hand must be noticed

_ASK_EVERY = 1.0  # s of real time: whoever sets something off is watching

# All that was ever set off in this town, in any order.
Interventions = Callable[[], Sequence[Intervention]]

log = structlog.get_logger()


def run(
    config: SimulatorConfig,
    town: Town,
    clock: Clock,
    stop: threading.Event,
    interventions: Interventions = tuple,
) -> int:
    """Publishes every uplink when it is due, in the order of delivery, until `stop`; the deliveries acknowledged.

    Where the clock runs faster than the broker, nothing is left out: the run falls behind and catches up.
    `interventions` is asked about every second for all that was ever set off in the town.
    SimulatorError when the broker refuses the sign-in or the town has a device that nobody simulates.
    """
    start = clock.now()
    origin = start if config.origin is None else config.origin
    first = start if config.since is None else min(start, config.since)
    speaking = everybody(config, town, origin=origin, first=first)
    with Ledger(config.ledger) as ledger, Truth(config.truth, speaking.happened, first) as truth:
        publisher = Publisher(config, ledger, stop)
        try:
            _publish_until(stop, config, speaking, clock, publisher, ledger, truth, interventions)
        finally:
            publisher.close()
        log.info("the devices have stopped", sent=publisher.sent)
    return publisher.sent


def _publish_until(
    stop: threading.Event,
    config: SimulatorConfig,
    speaking: Speaking,
    clock: Clock,
    publisher: Publisher,
    ledger: Ledger,
    truth: Truth,
    interventions: Interventions,
) -> None:
    known = tuple(interventions())
    speaking.intervene(known)
    asked = time.monotonic()
    for frame in speaking.joins():
        publisher.publish(frame, 0)
    uplinks = speaking.uplinks()
    upcoming = next(uplinks, None)
    underway: list[tuple[datetime, int, Frame, int]] = []  # (delivery, order, frame, copy)
    order = 0
    while not stop.is_set():
        if time.monotonic() - asked >= _ASK_EVERY:
            asked = time.monotonic()
            if (all_now := tuple(interventions())) != known:
                known = all_now
                speaking.intervene(known)
                truth.again(clock.now())
        now = clock.now()
        truth.until(now)
        while not stop.is_set() and (due := _due(upcoming, underway)) is not None and due <= now:
            if upcoming is not None and upcoming.heard == due:
                delivered = arrivals(config, upcoming)
                if not delivered:
                    ledger.write("lost", upcoming, 0, "radio" if upcoming.lost else "collision")
                for copy, arrival in enumerate(delivered):
                    heapq.heappush(underway, (arrival, order, upcoming, copy))
                    order += 1
                upcoming = next(uplinks, None)
            else:
                _, _, frame, copy = heapq.heappop(underway)
                publisher.publish(frame, copy)
        publisher.collect(0.0)
        due = _due(upcoming, underway)
        wait = _LOOK_EVERY if due is None else (due - clock.now()).total_seconds() / clock.speed
        stop.wait(min(max(wait, 0.001), _LOOK_EVERY))
    for _, _, frame, copy in sorted(underway):
        ledger.write("unsent", frame, copy)


def _due(upcoming: Frame | None, underway: list[tuple[datetime, int, Frame, int]]) -> datetime | None:
    """When the next thing happens: a device is heard, or a delivery arrives."""
    times = [frame.heard for frame in (upcoming,) if frame is not None]
    times += [delivery for delivery, *_ in underway[:1]]
    return min(times, default=None)

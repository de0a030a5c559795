"""A made-up network that leaks, felt by loggers as a linear one would be."""

from __future__ import annotations

import numpy as np

from analytics.leaks.detection.record import Record
from analytics.leaks.detection.year import REACH_M
from analytics.leaks.location.free import felt
from analytics.leaks.network.inp import parse
from analytics.leaks.network.pipes import Network, middle_distances, within

_WIDE, _HIGH, DAYS, PER_DAY = 8, 6, 58, 48
_BLOCK = 150.0  # m


def text() -> str:
    """8 x 6 crossings 150 m apart, fed at the ends of its two wide streets."""
    lines = [
        "[JUNCTIONS]",
        *(f"n{x}{y} 0 1.25" for x in range(_WIDE) for y in range(_HIGH)),
        "[RESERVOIRS]",
        "r 60",
        "s 60",
    ]
    lines += ["[PIPES]", "in r n02 20 300 120", "in2 s n35 20 300 120"]
    for x in range(_WIDE):
        for y in range(_HIGH):
            wide = 200 if y == 2 or x == 3 else 100
            if x + 1 < _WIDE:
                lines.append(f"e{x}{y} n{x}{y} n{x + 1}{y} {_BLOCK} {wide} 120")
            if y + 1 < _HIGH:
                lines.append(f"u{x}{y} n{x}{y} n{x}{y + 1} {_BLOCK} {wide} 120")
    return "\n".join([*lines, "[OPTIONS]", "Units CMH"])


NETWORK: Network = parse(text(), "streets.inp")
PIPES = NETWORK.pipes.names
NODES = tuple(f"n{x}{y}" for x in range(0, _WIDE, 2) for y in range(0, _HIGH, 2))
DISTANCES = middle_distances(NETWORK)
NEAR = within(NETWORK, REACH_M)
FELT = felt(
    NETWORK,
    np.array([NETWORK.nodes.names.index(each) for each in NODES]),
    np.array([PIPES.index("in"), PIPES.index("in2")]),
    60.0,
)
# What really is in the ground differs from the map.
_TRUE = np.random.default_rng(2).uniform(0.85, 1.15, FELT.heads.shape) * FELT.heads


def record(leaks: dict[str, np.ndarray], *, metered: bool = False) -> Record:
    """Eight weeks in which people use water by the hour and as they like; `leaks` m3/h by the day. `metered`: all
    customers of a pipe have a meter at its end."""
    dice = np.random.default_rng(7)
    hour = np.tile(np.arange(PER_DAY) / PER_DAY, DAYS)
    curve = 1 + 0.6 * np.sin(2 * np.pi * (hour - 0.3)) + 0.2 * np.sin(4 * np.pi * hour)
    share = NETWORK.pipes.length / NETWORK.pipes.length.sum()
    each_day = np.repeat(dice.normal(1, 0.02, (DAYS, 1)), PER_DAY, axis=0)
    drawn = 60 * share * curve[:, None] * each_day * dice.normal(1, 0.3, (len(hour), len(share)))
    ends, place = np.unique(NETWORK.pipes.end, return_inverse=True)
    hourly = drawn.reshape(-1, PER_DAY // 24, len(share)).mean(axis=1) * 1000
    customers = hourly @ np.eye(len(ends))[place] if metered else np.empty((len(hourly), 0))
    names = tuple(NETWORK.nodes.names[at] for at in ends) if metered else ()
    for pipe, size in leaks.items():
        drawn[:, PIPES.index(pipe)] += np.repeat(size, PER_DAY)
    pressures = 40 + drawn @ _TRUE
    flows = drawn @ FELT.flows
    empty = np.empty((len(hour), 0))
    return Record(
        1800.0, NODES, pressures.round(2), ("in", "in2"), flows.round(2), (), empty, names, customers, weekday=0
    )

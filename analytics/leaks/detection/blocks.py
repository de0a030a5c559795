"""Suspects of a recorded year by blocks, where no logger says where: the inlets alone, told every morning.

    watch_blocks(network, record, near, progress) -> [Report]

A block is what flow meters enclose (`zones`). All of it is the area; the pipe named is the one with most pipes within
a crew's reach.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from scipy import sparse

from analytics.leaks.detection.inflow import watch_inflow
from analytics.leaks.detection.inflow_days import MORNING
from analytics.leaks.detection.record import Record
from analytics.leaks.detection.report import Report, walked
from analytics.leaks.detection.zones import zones
from analytics.leaks.network.pipes import Network

_DAY = 86400.0


def watch_blocks(
    network: Network, record: Record, near: sparse.csr_array, progress: Callable[[int, int], None]
) -> list[Report]:
    """`near` (p, p) what a crew reaches from each pipe; `progress` is told the days done and of how many. In the order
    of times."""
    found = zones(network, record.meters, record.tanks)
    used = found.used(record.flows, record.levels, record.step / 3600)
    blocks, made = used.shape[1], []
    for block in range(blocks):
        pipes = np.flatnonzero(found.pipe == block)
        if not len(pipes):
            continue

        def done(day: int, days: int, block: int = block) -> None:
            progress(block * days + day, blocks * days)

        lengths = network.pipes.length[pipes]
        middle = int(pipes[int(np.argmax(near[pipes][:, pipes] @ lengths))])
        chances = lengths / lengths.sum()
        for rise in watch_inflow(used[:, block], record.per_day, record.weekday, done):
            first, last = rise.began
            began = (first * _DAY + MORNING * 3600, (last + 1) * _DAY + MORNING * 3600)
            strength = NormalDist().inv_cdf(min(rise.probability, 1 - 1e-9))
            at = rise.day * _DAY + MORNING * 3600
            km = walked(network.pipes.length, pipes)
            growth = rise.day - rise.start if rise.growing else 0
            # To the inflow a leak in one pipe is as one in any other.
            made.append(Report(at, middle, pipes, chances, km, rise.size, began, strength, 1.0, growth, ("inlets",)))
    return sorted(made, key=lambda report: report.at)

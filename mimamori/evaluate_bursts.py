"""`mimamori evaluate leaks --burst`: how soon sudden leaks of a recorded year are found by data that come all day.

    measure(data, leaks, known, near, kept, progress) -> {"by_pressures": ..., "by_inflow": ...}

Both rules go through the year with nothing from later: `analytics.leaks.detection.sudden` by the loggers, and
`analytics.leaks.burst` by each part's inflow with every logger of it as a witness. Of either:

    leaks               that begin within the year and let out `LARGE` m3/h an hour later
    found_30_min, found share of them that is found within 30 minutes, within three hours
    minutes             median of those that are found
    smaller_found       of sudden leaks between 2 and `LARGE` m3/h, within three hours; smaller: how many there were
    false               alarms that no sudden leak of its part explains; false_per_month of a part
    months              of all parts that are judged
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from scipy import sparse

from analytics.leaks.burst import Grid, Witness, through, used
from analytics.leaks.detection.record import parts
from analytics.leaks.detection.sudden import FIRST, bursts
from analytics.leaks.detection.zones import zones
from analytics.leaks.judged import Leaks
from analytics.leaks.location.felt import Effects
from analytics.leaks.network.pipes import Floats, Ints
from analytics.leaks.watch import LEAST_FALL
from mimamori.leak_files import LeakSet

Progress = Callable[[int, int], None]

LARGE, SMALL = 10.0, 2.0  # m3/h
_HOUR, _SOON, _LATE = 3600.0, 1800.0, 10800.0  # s
_MONTH = 30.4375  # days
_METRE_KPA = 9.80665


def measure(
    data: LeakSet, leaks: Leaks, known: Effects, near: sparse.csr_array, kept: Ints, progress: Progress
) -> dict[str, Any]:
    """`known`, `near` and `kept` as of `analytics.leaks.detection.year.watch`."""
    network, record = data.network, data.record
    found = bursts(network, record, near, known.heads, known.shares, kept, progress)
    by_pressures = [(part.pipes, np.array([each.at for each in reports])) for part, reports in found]
    by_inflow = _by_inflow(data, kept, progress)
    days = record.days - FIRST
    return {
        "by_pressures": judged(by_pressures, leaks, data.start, days),
        "by_inflow": judged(by_inflow, leaks, data.start, days),
    }


def judged(
    alarms: Sequence[tuple[Ints, np.typing.NDArray[np.float64]]], leaks: Leaks, start: float, days: int
) -> dict[str, Any]:
    """`alarms`: of each part its pipes and the times of its alarms, s since `start`."""
    begins = leaks.start - start
    size = np.array([_at(leaks, at, leaks.start[at] + _HOUR) for at in range(len(begins))])
    sudden = leaks.new & (size >= SMALL) & (begins >= FIRST * 86400)
    waited = np.full(len(begins), np.inf)
    false = 0
    for pipes, times in alarms:
        inside = np.flatnonzero(np.isin(leaks.pipe, pipes) & sudden)
        for time in times:
            explained = inside[(begins[inside] <= time) & (time <= begins[inside] + _LATE)]
            waited[explained] = np.minimum(waited[explained], time - begins[explained])
            false += not len(explained)
    large, smaller = sudden & (size >= LARGE), sudden & (size < LARGE)
    months = len(alarms) * days / _MONTH
    there = waited[large & np.isfinite(waited)]
    return {
        "leaks": int(large.sum()),
        "found_30_min": int((waited[large] <= _SOON).sum()),
        "found": len(there),
        "minutes": round(float(np.median(there)) / 60, 1) if len(there) else None,
        "smaller": int(smaller.sum()),
        "smaller_found": int(np.isfinite(waited[smaller]).sum()),
        "false": false,
        "months": round(months, 1),
        "false_per_month": round(false / months, 2) if months else None,
    }


def _at(leaks: Leaks, leak: int, time: float) -> float:
    """m3/h of a leak at a time."""
    return float(leaks.flow[min(int(np.searchsorted(leaks.times, time)), len(leaks.times) - 1), leak])


def _by_inflow(data: LeakSet, kept: Ints, progress: Progress) -> list[tuple[Ints, Floats]]:
    network, record = data.network, data.record
    metered = zones(network, record.meters, record.tanks)
    first = datetime.fromtimestamp(data.start, UTC)
    grid = Grid(first, timedelta(seconds=record.step), len(record.flows))
    found = []
    watched = parts(network, record, kept)
    for at, part in enumerate(watched):
        zone = int(metered.pipe[part.pipes[0]])
        witnesses = [
            Witness("pressure", record.pressures[:, each] * _METRE_KPA, LEAST_FALL["pressure"]) for each in part.sensors
        ]
        tanks = np.flatnonzero(metered.area[:, zone])
        judged_use = record.flows @ metered.sign[:, zone]
        if len(tanks):
            area = metered.area[tanks, zone]
            judged_use = used(grid, judged_use, record.levels[:, tanks] @ area / area.sum(), float(area.sum()))
        alarms = [(each.started_at - first).total_seconds() for each in through(grid, judged_use, witnesses)]
        # Before, the other rule is still learning.
        found.append((part.pipes, np.array([each for each in alarms if each >= FIRST * 86400])))
        progress(at + 1, len(watched))
    return found

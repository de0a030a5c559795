"""How long it takes to look ahead at the spots of a town, as analytics does each morning: a part of `mimamori bench
visitors`. Made-up counts of as many days as are learned from, by the hour and by the day.

    ahead_spots      counters
    ahead_seconds    real time to learn from them and to say seven days, and the hours of two; of which
    ahead_cpu        seconds of processors
    ahead_rss_mb     the most memory that the process had meanwhile, looked at every 50 ms

Times are of this machine as busy as it is: where `ahead_cpu` is far below `ahead_seconds`, something else runs.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from threading import Event, Thread
from typing import Any

import numpy as np
import psutil

from analytics.visitors.ahead import LEARNED_ON, TODAY_AND_TOMORROW, WEEK, said_ahead
from analytics.visitors.day_types import calendar
from analytics.visitors.expected.calendar import FREE
from analytics.visitors.expected.counts import Counts, Floats

_FIRST = date(2025, 5, 20)
_OPEN = (6, 22)
_LOOK_SECONDS = 0.05


def measure(spots: int, seed: int) -> dict[str, Any]:
    """The figures of the module's docstring."""
    hourly = _counts(spots, seed)
    known = calendar(_FIRST, LEARNED_ON.days + len(WEEK))
    daily = hourly.reshape(LEARNED_ON.days, 24, spots).sum(axis=1)
    weather = np.random.default_rng(seed).gamma(0.5, 10.0, (LEARNED_ON.days, 2))  # as many figures as a town has
    with _memory() as most:
        began, used = clock.monotonic(), clock.process_time()
        said_ahead(Counts(_FIRST, 1, daily), known, WEEK, weather)
        said_ahead(Counts(_FIRST, 24, hourly), known, TODAY_AND_TOMORROW, weather)
        took, used = clock.monotonic() - began, clock.process_time() - used
    return {
        "ahead_spots": spots,
        "ahead_seconds": round(took, 1),
        "ahead_cpu": round(used, 1),
        "ahead_rss_mb": round(max(most) / 1e6),
    }


@contextmanager
def _memory() -> Iterator[list[int]]:
    """Bytes that this process has, again and again."""
    seen, over, process = [psutil.Process().memory_info().rss], Event(), psutil.Process()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            seen.append(process.memory_info().rss)

    watcher = Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _counts(spots: int, seed: int) -> Floats:
    """(hours, spots): large and small ones, busier on days off, good and bad days for all and for each."""
    chance, days = np.random.default_rng(seed), LEARNED_ON.days
    hour, size = np.arange(24), np.exp(chance.normal(2.5, 1.2, spots))
    by_day = np.exp(-(((hour - 13) / 3.5) ** 2) / 2) * ((hour >= _OPEN[0]) & (hour < _OPEN[1]))
    luck = np.exp(chance.normal(0, 0.25, (days, 1)) + chance.normal(0, 0.2, (days, spots)))
    luck *= 1 + 0.6 * (calendar(_FIRST, days).kind == FREE)[:, None]
    counts: Floats = chance.poisson(luck[:, None, :] * by_day[None, :, None] * size).astype(np.float64)
    return counts.reshape(-1, spots)

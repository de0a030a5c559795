"""How fast values are judged: the gate in batch, and a year of many series through all learnt checks.

Levels of made-up gauges, in blocks of a week, so that no year is ever in memory. What the values are makes no
difference to the time: every check does the same arithmetic on every row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import Any

import numpy as np
import psutil

from analytics.judging import alone as judging
from quality.estimator import Floats
from quality.gate import Rules, judge

STEP = 600.0  # s
A_DAY = 144
YEAR = 365
PROCESSES = 2
LIMITS = {"gate_us": 20.0, "learnt_s": 60.0, "learnt_rss_mb": 1536.0}

_WEEK = 7 * A_DAY
_TOGETHER = 36  # rows, as they come from the feed now and then
_LEVEL_RULES = Rules(timedelta(seconds=STEP), -0.5, 5.0, 4.0, timedelta(hours=24))


def gate(series: int = 200) -> dict[str, Any]:
    """The gate over weeks of so many series with the rules of the demo town's levels, in one process."""
    judged, seconds = 0, 0.0
    for times, values in _blocks(series, 7, seed=1):
        columns = [np.ascontiguousarray(values[:, n]) for n in range(series)]
        began = time.perf_counter()
        for column in columns:
            judge(_LEVEL_RULES, times, column)
        seconds += time.perf_counter() - began
        judged += values.size
    each = 1e6 * seconds / judged
    return {
        "observations": judged,
        "seconds": round(seconds, 2),
        "us_an_observation": round(each, 3),
        "limit_us": LIMITS["gate_us"],
        "kept": each <= LIMITS["gate_us"],
    }


def learnt(series: int, days: int, progress: Callable[[int, int], None] = lambda _done, _of: None) -> dict[str, Any]:
    """So many days of 10-minute values of so many series through `quality.detector`, in two processes.

    Fewer days than a year are no measure of the limits: `kept` is None then.
    """
    began = time.perf_counter()
    parts = [series // PROCESSES + (n < series % PROCESSES) for n in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as workers:
        waiting = [workers.submit(_judge, part, days, seed) for seed, part in enumerate(parts)]
        done = []
        for each in waiting:
            done.append(each.result())
            progress(len(done), PROCESSES)
    seconds = time.perf_counter() - began
    memory = sum(rss for _, _, _, rss in done) + psutil.Process().memory_info().rss / 2**20
    kept = seconds <= LIMITS["learnt_s"] and memory <= LIMITS["learnt_rss_mb"]
    return {
        "series": series,
        "days": days,
        "rows": days * A_DAY,
        "processes": PROCESSES,
        "seconds": round(seconds, 1),
        "cpu_s": round(max(cpu for _, cpu, _, _ in done), 1),
        "judging_s": round(max(judging for judging, _, _, _ in done), 1),
        "us_an_observation": round(1e6 * sum(cpu for _, cpu, _, _ in done) / (series * days * A_DAY), 3),
        "told": sum(told for _, _, told, _ in done),
        "rss_mb": round(memory, 1),
        "limit_s": LIMITS["learnt_s"],
        "limit_rss_mb": LIMITS["learnt_rss_mb"],
        "kept": kept if days >= YEAR and series >= 1000 else None,
    }


def _judge(series: int, days: int, seed: int) -> tuple[float, float, int, float]:
    """The work of one process: seconds of judging alone, of processor time in all, rows told, and the most memory it
    had, MB.
    """
    checks, alone = judging(), np.empty((series, 0), dtype=np.intp)
    state = checks.begin(series)
    process = psutil.Process()
    seconds, told, most = 0.0, 0, 0
    for times, values in _blocks(series, days, seed):
        began = time.perf_counter()
        for first in range(0, len(values), _TOGETHER):
            rows = values[first : first + _TOGETHER]
            own = np.repeat(times[first : first + _TOGETHER, None], series, axis=1)
            told += int((checks.step(state, own, rows, alone).excess >= 1.0).sum())
        seconds += time.perf_counter() - began
        most = max(most, process.memory_info().rss)
    times_used = process.cpu_times()
    return seconds, times_used.user + times_used.system, told, most / 2**20


def _blocks(series: int, days: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Levels to the millimetre in blocks of a week at most: times (rows,) and values (rows, series), one in a hundred
    nan.
    """
    chance = np.random.default_rng(seed)
    phase = chance.uniform(0, 2 * np.pi, series)
    rows = days * A_DAY
    for first in range(0, rows, _WEEK):
        number = np.arange(first, min(rows, first + _WEEK))
        level = 1.0 + 0.2 * np.sin(2 * np.pi * number[:, None] / A_DAY + phase)
        values = np.round(level + 0.006 * chance.standard_normal(level.shape), 3)
        values[chance.random(level.shape) < 0.01] = np.nan
        yield np.asarray(1.775e9 + STEP * number, dtype=np.float64), values

"""`mimamori evaluate leaks`: suspects found in a recorded year of a pipe network, day by day, and how good they were.

One fixed setting (`analytics.leaks.detection`) serves every network and year; what is said of a day knows nothing from
later. The JSON object:

    reports             how many were made; mode, loggers: how, and with how many pressure loggers
    seconds             real time; read_seconds of it for reading
    and with the truth, by the published rule (`analytics.leaks.judged`)
    leaks, leaks_new    how many there were, and how many of them begin after the first minute
    tp, fp, repeats     leaks found, false reports, reports of leaks found before
    eur, share_of_perfect           earned, less false reports; of what a report at each start would earn
    tp_new, eur_new, share_of_new   the same of leaks that begin later, without the false reports
    chance_tp           found by as many reports at random
    blanket_share       earned by reporting everywhere every two months, of perfect
    median_m            from the reported pipe to the leak, along the pipes
    delay_days          from a new leak's start to its report, median; delay_5_days from its first 5 m3/h
    size_error          |said - true| / true at the report, median
    area_holds          share of reports, repeats left out, whose area holds a leak that runs and was not found before
    large               new leaks that reach 5 m3/h for a day on: leaks; named: by a report whose area holds them, up to
                        three days after they do; sized: those of them with a size within 30 %; false: reports in
                        whose area no new leak has grown, since they say it began, by a third of the size they say;
                        repeats: only such as were named before
    burst               with --burst: how soon sudden leaks are found (`mimamori.evaluate_bursts`)
    km_per_leak         all areas searched, for each leak found; nights_per_leak at 3 km a night
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from analytics.leaks.detection.blocks import watch_blocks
from analytics.leaks.detection.record import Record
from analytics.leaks.detection.report import Report
from analytics.leaks.detection.year import REACH_M, watch
from analytics.leaks.judged import REPEAT, Distances, Floats, Judged, Leaks, blanket, chance, judge, perfect
from analytics.leaks.location.felt import Effects, effects
from analytics.leaks.location.model import ModelError
from analytics.leaks.location.placing import best
from analytics.leaks.network.pipes import Ints, middle_distances
from mimamori import evaluate_bursts, leak_files
from mimamori.errors import InputError
from mimamori.leak_files import LeakSet

Progress = Callable[[int, int], None]

_KM_A_NIGHT = 3.0
_LARGE, _NIGHTS, _SIZED = 5.0, 3, 0.3  # m3/h; to name one; of its size
_GROWN = 1 / 3  # of what a report says: less was not its leak
_ROUND = 4
_LOST, _DRIFT, _STANDS = 0.05, 0.01, 60  # share of the steps; m a day; days


def measure(
    folder: Path,
    out: Path | None,
    mode: str,
    loggers: int | None,
    truth: Path | None,
    progress: Progress,
    *,
    burst: bool = False,
    faults: int | None = None,
) -> dict[str, Any]:
    """Find suspects, write them, and give the figures; `faults`: of `with_faults`. InputError: a file that cannot be
    read or written.
    """
    began = clock.monotonic()
    data = leak_files.read(folder)
    if faults is not None:
        data = replace(data, record=with_faults(data.record, faults))
    leaks = None if truth is None else leak_files.read_truth(truth, data.network)
    read = clock.monotonic() - began
    distances = middle_distances(data.network)
    known, near, kept = prepared(data, mode, loggers, distances)
    if len(kept):
        reports = watch(data.network, data.record, near, known.heads, known.shares, kept, progress)
    else:
        reports = watch_blocks(data.network, data.record, near, progress)
    if out is not None:
        leak_files.write(out, reports, data.network, data.start)
    figures: dict[str, Any] = {"reports": len(reports), "mode": mode, "loggers": len(kept)}
    if leaks is not None:
        figures |= judged(data, reports, leaks, distances)
        if burst:
            figures["burst"] = evaluate_bursts.measure(data, leaks, known, near, kept, progress)
    return figures | {"read_seconds": round(read, 2), "seconds": round(clock.monotonic() - began, 2)}


def with_faults(record: Record, seed: int) -> Record:
    """The record as it would be if every logger and inlet lost 5 % of its steps, one logger drifted by 1 cm a day, and
    another stood still for two months; which ones and when is drawn with `seed`. InputError: it has no two loggers.
    """
    if len(record.sensors) < 2:
        raise InputError("--faults: one logger drifts and another stands still, and pressures.csv has no two")
    dice = np.random.default_rng(seed)
    pressures, flows = record.pressures.copy(), record.flows.copy()
    drifts, stands = dice.choice(pressures.shape[1], 2, replace=False)
    pressures[dice.random(pressures.shape) < _LOST] = np.nan
    flows[dice.random(flows.shape) < _LOST] = np.nan
    pressures[:, drifts] += _DRIFT * np.arange(len(pressures)) / record.per_day
    first = int(dice.integers(max(1, record.days - _STANDS))) * record.per_day
    still = slice(first, first + _STANDS * record.per_day)
    pressures[still, stands] = np.nanmedian(pressures[still, stands])
    return replace(record, pressures=pressures, flows=flows)


def prepared(
    data: LeakSet, mode: str, loggers: int | None, distances: Distances
) -> tuple[Effects, sparse.csr_array, Ints]:
    """What each pipe's leak does, which pipes are near to each other, and the pressure loggers that are used."""
    network, record = data.network, data.record
    try:
        known = effects(network, record, by_model=mode == "model")
    except ModelError as error:
        raise InputError(f"the hydraulic model of the network: {error}") from error
    every = np.arange(len(record.sensors))
    kept = every if loggers is None else best(known.map_heads, network.pipes.length, loggers)
    return known, sparse.csr_array(distances <= REACH_M), kept


def judged(data: LeakSet, reports: list[Report], leaks: Leaks, distances: Distances) -> dict[str, Any]:
    """The figures that need the truth."""
    times = data.start + np.array([each.at for each in reports])
    pipes = np.array([each.pipe for each in reports], dtype=np.int64)
    done = judge(times, pipes, leaks, distances, data.rule)
    most, new = perfect(leaks, data.rule), leaks.new
    hits = [at for at, leak in enumerate(done.leak.tolist()) if leak >= 0]
    late, late_large, wrong = [], [], []
    for at in hits:
        leak = int(done.leak[at])
        flow = leaks.flow[:, leak]
        now = float(flow[min(int(np.searchsorted(leaks.times, times[at])), len(flow) - 1)])
        if now > 0:
            wrong.append(abs(reports[at].size - now) / now)
        if not new[leak]:
            continue
        late.append((times[at] - leaks.start[leak]) / 86400)
        reached = _reached(leaks, leak)
        if reached is not None:
            late_large.append(max(0.0, (times[at] - reached) / 86400))
    km = sum(each.search_km for each in reports)
    return {
        "leaks": len(leaks.pipe),
        "leaks_new": int(new.sum()),
        "tp": done.found(),
        "fp": done.false,
        "repeats": int((done.leak == REPEAT).sum()),
        "eur": round(float(done.euros.sum()), 0),
        "share_of_perfect": _share(float(done.euros.sum()), float(most.sum())),
        "tp_new": done.found(new),
        "eur_new": round(done.earned(new), 0),
        "share_of_new": _share(done.earned(new), float(most[new].sum())),
        "chance_tp": round(chance(len(reports), leaks, distances, data.rule), 2),
        "blanket_share": _share(blanket(leaks, distances, data.rule), float(most.sum())),
        "median_m": _median(done.metres[hits].tolist()),
        "delay_days": _median(late),
        "delay_5_days": _median(late_large),
        "size_error": _median(wrong),
        "area_holds": _holding(times, reports, leaks, done),
        "large": _large(data, times, reports, leaks),
        "km_per_leak": _share(km, done.found()),
        "nights_per_leak": _share(km / _KM_A_NIGHT, done.found()),
    }


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures for people, a line for each."""
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from ((f"{key} {name}", said) for name, said in rows(value))
            continue
        yield (key, "-" if value is None else str(value))


def _holding(times: Floats, reports: list[Report], leaks: Leaks, done: Judged) -> float | None:
    found, holds, asked = np.zeros(len(leaks.pipe), dtype=bool), 0, 0
    for at in np.argsort(times, kind="stable"):
        if done.leak[at] != REPEAT:
            running = (leaks.start <= times[at]) & (times[at] <= leaks.end) & ~found
            asked += 1
            holds += bool(np.isin(leaks.pipe[running], reports[at].area).any())
        if done.leak[at] >= 0:
            found[done.leak[at]] = True
    return _share(holds, asked)


def _large(data: LeakSet, times: Floats, reports: list[Report], leaks: Leaks) -> dict[str, int]:
    """A report is of the leak in its area, not named before, that has grown most since it says it began."""
    named: dict[int, int] = {}
    false = repeats = 0
    for at in np.argsort(times, kind="stable").tolist():
        said, time = reports[at], float(times[at])
        grown = _flow_at(leaks, time) - _flow_at(leaks, data.start + said.began[0] - 86400)
        running = leaks.new & (leaks.start <= time) & (time <= leaks.end) & np.isin(leaks.pipe, said.area)
        fits = np.flatnonzero(running & (grown >= _GROWN * said.size))
        fresh = [leak for leak in fits.tolist() if leak not in named]
        false += not len(fits)
        repeats += bool(len(fits)) and not fresh
        if fresh:
            named[max(fresh, key=lambda leak: float(grown[leak]))] = at
    count = in_time = sized = 0
    for leak in np.flatnonzero(leaks.new).tolist():
        reached = _reached(leaks, leak)
        if reached is None:
            continue
        count += 1
        if leak in named and times[named[leak]] <= min(reached + _NIGHTS * 86400, leaks.end[leak]):
            in_time += 1
            now = float(_flow_at(leaks, float(times[named[leak]]))[leak])
            sized += abs(reports[named[leak]].size - now) <= _SIZED * now
    return {"leaks": count, "named": in_time, "sized": sized, "false": false, "repeats": repeats}


def _flow_at(leaks: Leaks, time: float) -> Floats:
    """(k,) m3/h."""
    row = int(np.searchsorted(leaks.times, time, side="right")) - 1
    found: Floats = leaks.flow[min(max(row, 0), len(leaks.flow) - 1)]
    return found


def _reached(leaks: Leaks, leak: int) -> float | None:
    """When it first lost `_LARGE`, and no less on average on the day from then; None: never."""
    flow, per_day = leaks.flow[:, leak], max(1, int(np.searchsorted(leaks.times, leaks.times[0] + 86400)))
    for row in np.flatnonzero(flow >= _LARGE).tolist():
        if flow[row : row + per_day].mean() >= _LARGE:
            return float(leaks.times[row])
    return None


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, _ROUND) if whole else None


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 2) if values else None

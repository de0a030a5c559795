"""`mimamori evaluate river`: forecasts of a recorded river, made with nothing from later, and how good they were.

One fixed setting (`analytics.rivers.forecast`) learns from what is before `test_start` and is then asked at every step.
The JSON object:

    leads               {"1": figures, "3": ...} by hours
    overall             the same over all leads together
    figures
      n, blank          targets of the test that can be scored; those of them without a forecast, scored as persistence
      rmse, rmse_persistence, nse, pi
      rmse_high, pi_high, n_high        of targets above the 99th percentile of what was learned from
      coverage          share of targets within lo..hi, which should be 0.9
      coverage_high     of those above the 99th percentile
      crossings, pod, far, lead_time    of reaching its 99.5th percentile within the lead: how many, found, false, and
                        the median hours from the first word to the crossing; persistence has 0
    method              learned, or rise where there is too little to learn from
    seconds             real time; train_seconds of it for learning

Persistence is the level known at the issue time, at most six hours old; where none is, nothing is scored.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from analytics.rivers.forecast.fan import QUANTILES, Fan
from analytics.rivers.forecast.forecaster import LEADS, train
from analytics.rivers.forecast.inputs import ahead
from analytics.rivers.forecast.record import Floats, Ints
from analytics.rivers.forecast.scores import coverage, crossings, errors
from mimamori import river_files
from mimamori.river_files import RiverSet

_HIGH, _CROSSED = 0.99, 0.995
_LOW, _UP = 0, len(QUANTILES) - 1  # 90 %


@dataclass(frozen=True, slots=True)
class Forecast:
    """A river with what was said of it: `rows` issue times, `fan` at them, `came` (m, L) what the level was then."""

    river: RiverSet
    rows: Ints
    fan: Fan
    came: Floats
    method: str
    train_seconds: float

    def lead(self, hours: float) -> int:
        return self.fan.leads.index(hours)


def forecast(river: RiverSet) -> Forecast:
    """Learn from what is before the test, and ask at every step of it."""
    record, began = river.record, clock.monotonic()
    forecaster = train(record.before(river.first), tuple(sorted({*LEADS, *river.leads})))
    took = clock.monotonic() - began
    start = max(0, river.first - round(max(river.leads) * record.hour))
    rows = np.arange(start, len(record.level))
    fan = forecaster.forecast(record, rows)
    came = np.column_stack([ahead(record.level, round(lead * record.hour))[rows] for lead in fan.leads])
    for at, lead in enumerate(fan.leads):
        # What lies before the test was learned from.
        came[rows + round(lead * record.hour) < river.first, at] = np.nan
    return Forecast(river, rows, fan, came, forecaster.method, took)


def measure(folder: Path, out: Path) -> dict[str, Any]:
    """Forecast, write every one, and give the figures. InputError: a file that cannot be read or written."""
    began = clock.monotonic()
    done = forecast(river_files.read(folder))
    river_files.write(out, _rows(done))
    learned = done.river.record.level[: done.river.first]
    known = ~np.isnan(learned)
    high, crossed = (np.quantile(learned[known], q) if known.any() else np.nan for q in (_HIGH, _CROSSED))
    return {
        "leads": {f"{lead:g}": _figures(done, [lead], high, crossed) for lead in done.river.leads},
        "overall": _figures(done, list(done.river.leads), high, crossed),
        "method": done.method,
        "train_seconds": round(done.train_seconds, 2),
        "seconds": round(clock.monotonic() - began, 2),
    }


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures for people, a line for each lead."""
    for title, of in [*((f"{lead} h", each) for lead, each in figures["leads"].items()), ("all", figures["overall"])]:
        yield (title, str(of["n"]), *("-" if of[key] is None else f"{of[key]:g}" for key in SHOWN))


SHOWN = ("rmse", "rmse_persistence", "nse", "pi", "pi_high", "coverage", "pod", "far", "lead_time")


def _figures(done: Forecast, leads: list[float], high: float, crossed: float) -> dict[str, Any]:
    places = [done.lead(lead) for lead in leads]
    came, values = done.came[:, places].ravel(), done.fan.values[:, places].ravel()
    persistence = np.repeat(done.fan.persistence, len(places))
    low, up = (done.fan.quantiles[:, places, side].ravel() for side in (_LOW, _UP))
    scored = ~np.isnan(came) & ~np.isnan(persistence)
    every, above = errors(values, persistence, came), came > high
    best = errors(values[above], persistence[above], came[above])
    # Of several leads together, the level is expected when any of them says so.
    told = (done.fan.values[:, places] >= crossed).any(axis=1)
    level = done.river.record.level[done.rows] - crossed
    before = done.rows < done.river.first
    met = crossings(
        np.where(before, np.nan, level),
        told & ~before,
        round(max(leads) * done.river.record.hour),
        done.river.record.hour,
    )
    return {
        "n": every.n,
        "blank": int((scored & np.isnan(values)).sum()),
        "rmse": _rounded(every.rmse),
        "rmse_persistence": _rounded(every.rmse_persistence),
        "nse": _rounded(every.nse),
        "pi": _rounded(every.pi),
        "n_high": best.n,
        "rmse_high": _rounded(best.rmse),
        "pi_high": _rounded(best.pi),
        "coverage": _rounded(coverage(low, up, came)),
        "coverage_high": _rounded(coverage(low[above], up[above], came[above])),
        "crossings": met.events,
        "pod": _rounded(met.pod),
        "far": _rounded(met.far),
        "lead_time": _rounded(met.lead_time),
    }


def _rows(done: Forecast) -> Iterator[tuple[str, ...]]:
    record = done.river.record

    def stamp(row: int) -> str:
        return datetime.fromtimestamp(record.start + row * record.step, UTC).strftime("%Y-%m-%dT%H:%M")

    places = [(lead, round(lead * record.hour), done.lead(lead)) for lead in done.river.leads]
    for at, row in enumerate(done.rows.tolist()):
        issued, persistence = stamp(row), _written(done.fan.persistence[at])
        for lead, ahead_by, place in places:
            target = row + ahead_by
            # Long gaps of a recording are not filled with empty lines.
            if (
                target < done.river.first
                or target >= len(record.level)
                or (not persistence and np.isnan(record.level[target]))
            ):
                continue
            said = (done.fan.values[at, place], done.fan.quantiles[at, place, _LOW], done.fan.quantiles[at, place, _UP])
            yield (issued, f"{lead:g}", stamp(target), *map(_written, said), persistence)


def _written(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

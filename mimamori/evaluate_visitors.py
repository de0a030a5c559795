"""`mimamori evaluate visitors`: what was expected of recorded counters a day before, and how good it was.

One fixed setting (`analytics.visitors.expected`) learns from what is before `test_start` and then forecasts every row,
each from what was counted up to a day before it. The JSON object:

    columns               {name: figures}
    overall               the same over all of them
    figures
      n, blank            counts of the test that can be scored; those without a forecast, scored as weekly naive
      wape                sum of errors / sum of counts
      wape_weekly_naive   of the count a week before; the same rows
      wape_median4        of the median of the same hour of four weeks; the same rows
      wape_believed       as `wape`, without the zeros that are not believed; wape_median4_believed likewise
      mase                mean error / mean error of the weekly naive before `test_start`
      coverage            share of counts within lo..hi, which should be 0.9
      suspected           runs of zeros that are called an outage; suspected_a_year of them a counter and year
    outages               runs of zeros planted in a copy of the counters that are never empty by day
      planted, found, missed          found: called an outage within its first three rows
      hours                           until it was, median
    learned               rows before the test
    seconds               real time; train_seconds of it for learning

A row is scored where the count, the weekly naive and the median are known. Weather is that of the row itself.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from analytics.visitors.expected.counts import WEEK, Bools, Counts, Floats, earlier, known_median
from analytics.visitors.expected.forecaster import Expected, train
from analytics.visitors.expected.situation import Weather
from analytics.visitors.zeros import Zeros, judge
from mimamori import visitor_files
from mimamori.visitor_files import VisitorSet

Progress = Callable[[int, int], None]

_STEPS = 4  # that the progress counts
_PLANTED_EVERY = 30  # days
_BY_DAY = (9, 17)  # hours
_FOUND_WITHIN = 3  # rows


@dataclass(frozen=True, slots=True)
class _Told:
    """Of the rows of the test: what came (m, C), what was expected, and the two simple methods."""

    came: Floats
    expected: Expected
    value: Floats  # with the weekly naive where it is blank
    naive: Floats
    median4: Floats
    scored: Bools
    believed: Bools
    outage: Bools
    usual_error: Floats  # (C,) of the weekly naive before the test
    per_day: int


def measure(folder: Path, out: Path, progress: Progress = lambda done, of: None) -> dict[str, Any]:
    """Forecast, write every row, and give the figures. InputError: a file that cannot be read or written."""
    began = clock.monotonic()
    known = visitor_files.read(folder)
    progress(1, _STEPS)
    learned = clock.monotonic()
    past, calendar, weather = known.before()
    forecaster = train(past, calendar, Weather(weather))
    took = clock.monotonic() - learned
    progress(2, _STEPS)
    expected = forecaster.ahead(known.counts, known.calendar, Weather(known.weather), known.first)
    zeros = judge(known.counts, known.calendar)
    told = _told(known, expected, zeros)
    visitor_files.write(out, _rows(known, expected, zeros))
    progress(3, _STEPS)
    figures = {
        "columns": {name: _figures(told, np.arange(len(known.columns)) == at) for at, name in enumerate(known.columns)},
        "overall": _figures(told, np.ones(len(known.columns), dtype=np.bool_)),
        "outages": _planted(known, zeros.believed()),
        "learned": known.first,
        "train_seconds": round(took, 2),
    }
    progress(4, _STEPS)
    return figures | {"seconds": round(clock.monotonic() - began, 2)}


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures for people, a line for each counter."""
    for title, of in [*figures["columns"].items(), ("all", figures["overall"])]:
        yield (title, str(of["n"]), *("-" if of[key] is None else f"{of[key]:g}" for key in SHOWN))


SHOWN = ("wape", "wape_median4", "wape_weekly_naive", "mase", "coverage", "suspected")


def _told(known: VisitorSet, expected: Expected, zeros: Zeros) -> _Told:
    values, first, end = known.counts.values, known.first, known.end
    week = WEEK * known.counts.per_day
    naive, median4 = weekly_naive(known.counts), median_of_four(known.counts)
    came = values[first:end]
    told = Expected(*(each[: end - first] for each in (expected.value, expected.lo, expected.hi)))
    with_naive = np.where(np.isnan(told.value), naive[first:end], told.value)
    error = np.abs(values - earlier(values, week))[:first]
    number = (~np.isnan(error)).sum(axis=0)
    return _Told(
        came,
        told,
        with_naive,
        naive[first:end],
        median4[first:end],
        ~np.isnan(came) & ~np.isnan(naive[first:end]) & ~np.isnan(median4[first:end]),
        ~(zeros.doubted | zeros.outage)[first:end],
        zeros.outage[first:end],
        np.where(number > 0, np.nansum(error, axis=0) / np.maximum(number, 1), np.nan),
        known.counts.per_day,
    )


def weekly_naive(counts: Counts) -> Floats:
    """(n, C) what was counted a week before."""
    return earlier(counts.values, WEEK * counts.per_day)


def median_of_four(counts: Counts) -> Floats:
    """(n, C) the median of the same hour of the last four weeks."""
    week = WEEK * counts.per_day
    return known_median(np.stack([earlier(counts.values, week * back) for back in (1, 2, 3, 4)]))


def _figures(told: _Told, which: Bools) -> dict[str, Any]:
    came = told.came[:, which]
    scored, believed = told.scored[:, which], told.scored[:, which] & told.believed[:, which]

    def wape(said: Floats, of: Bools) -> float | None:
        total = float(came[of].sum())
        return round(float(np.abs(said[:, which] - came)[of].sum()) / total, 4) if total > 0 else None

    lo, hi = told.expected.lo[:, which], told.expected.hi[:, which]
    said = scored & ~np.isnan(lo)
    within = (came >= lo) & (came <= hi)
    error = np.abs(told.value[:, which] - came)
    by_usual = np.where(scored, error, np.nan) / np.broadcast_to(told.usual_error[which], error.shape)
    comparable = np.isfinite(by_usual)
    runs = sum(len(_runs(told.outage[:, at])) for at in np.flatnonzero(which))
    years = len(came) * int(which.sum()) / told.per_day / 365.25
    return {
        "n": int(scored.sum()),
        "blank": int((scored & np.isnan(told.expected.value[:, which])).sum()),
        "wape": wape(told.value, scored),
        "wape_weekly_naive": wape(told.naive, scored),
        "wape_median4": wape(told.median4, scored),
        "wape_believed": wape(told.value, believed),
        "wape_median4_believed": wape(told.median4, believed),
        "mase": round(float(by_usual[comparable].mean()), 4) if comparable.any() else None,
        "coverage": round(float(within[said].mean()), 4) if said.any() else None,
        "suspected": runs,
        "suspected_a_year": round(runs / years, 2),
    }


def _runs(marks: Bools) -> list[int]:
    """Where each begins."""
    return np.flatnonzero(marks & ~np.concatenate([[False], marks[:-1]])).tolist()


def _planted(known: VisitorSet, believed: Floats) -> dict[str, Any]:
    """Zeros of six hours to a day and a half, by day, once a month and counter; days instead, in daily counts."""
    chance, per_day = np.random.default_rng(7), known.counts.per_day
    values = known.counts.values.copy()
    planted: list[tuple[int, int]] = []
    for counter in range(known.counts.counters):
        for month in range(known.first // per_day + _PLANTED_EVERY // 2, known.end // per_day, _PLANTED_EVERY):
            day = month + int(chance.integers(-_PLANTED_EVERY // 3, _PLANTED_EVERY // 3))
            hour = int(chance.integers(*_BY_DAY)) if per_day > 1 else 0
            length = int(chance.integers(6, 37)) if per_day > 1 else int(chance.integers(2, 5))
            begin = day * per_day + hour
            if begin + length < known.end and _never_empty(believed[:, counter], begin, per_day):
                values[begin : begin + length, counter] = 0.0
                planted.append((begin, counter))
    outage = judge(replace(known.counts, values=values), known.calendar).outage
    told = [np.flatnonzero(outage[begin : begin + _FOUND_WITHIN, counter]) for begin, counter in planted]
    waits = [int(at[0]) + 1 for at in told if len(at)]
    return {
        "planted": len(planted),
        "found": len(waits),
        "missed": len(planted) - len(waits),
        "hours": median(waits) * 24 // per_day if waits else None,
    }


def _never_empty(believed: Floats, begin: int, per_day: int) -> bool:
    """Somebody was counted in these rows, and whenever it was counted by day within the four weeks before."""
    day = begin // per_day
    before = believed[max(0, day - 4 * WEEK) * per_day : day * per_day].reshape(-1, per_day)
    by_day = before[:, slice(*_BY_DAY)] if per_day > 1 else before
    return (
        len(before) >= 4 * WEEK
        and bool((believed[begin : begin + _FOUND_WITHIN] > 0).all())
        and not (by_day == 0).any()
    )


def _rows(known: VisitorSet, expected: Expected, zeros: Zeros) -> Iterator[tuple[str, ...]]:
    start, step = datetime.combine(known.counts.first, time()), timedelta(days=1) / known.counts.per_day
    states = zeros.states()
    pattern = "%Y-%m-%dT%H:%M" if known.counts.per_day > 1 else "%Y-%m-%d"
    for row in range(known.first, known.end):
        moment, at = (start + row * step).strftime(pattern), row - known.first
        for counter, name in enumerate(known.columns):
            figures = (each[at, counter] for each in (expected.value, expected.lo, expected.hi))
            yield (moment, name, *map(_written, figures), states[counter][row].value)


def _written(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"

"""`mimamori bench rivers`: how long learning a gauge and forecasting many takes, in one process.

Made-up rain and rivers: two equal reservoirs in a row behind hourly showers, which is enough for every part of the
forecaster to do its work. The JSON object:

    train       seconds, rows, limit, kept      one gauge with two neighbours and two rain gauges, years of hours
    forecast    seconds, gauges, limit, kept    a fan for each of so many gauges of 10-minute values, with all that came
                                                true of a week since the learning
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from analytics.rivers.forecast.forecaster import Forecaster, train
from analytics.rivers.forecast.record import Floats, Record

LIMITS = {"train_s": 10.0, "forecast_s": 2.0}
_WEEK, _MONTH = 7 * 24, 40 * 24  # hours


def made_river(hours: int, hour: int, seed: int) -> Record:
    """`hours` of a gauge with two gauges above it and two rain gauges, `hour` rows each."""
    draw = np.random.default_rng(seed)
    n = hours * hour
    storms = draw.random(n) < 1 / (60 * hour)
    rain = np.zeros(n)
    for at in np.flatnonzero(storms):
        length = int(draw.integers(2, 18)) * hour
        rain[at : at + length] += draw.gamma(1.5, 3.0) / hour * draw.random(len(rain[at : at + length]))

    def reservoirs(delay: float) -> Floats:
        kept = np.exp(-1.0 / (delay * hour))
        first = second = 0.0
        found = np.empty(n)
        for at, fallen in enumerate(rain.tolist()):
            first = first * kept + fallen
            second = second * kept + first * (1.0 - kept)
            found[at] = second
        return (0.05 + found) ** 0.6 + draw.normal(0.0, 0.003, n)

    gauges = np.column_stack([reservoirs(each) for each in (3.0, 4.0, 6.0)]).round(2)
    measured = np.column_stack([rain * draw.uniform(0.7, 1.3) for _ in range(2)]).round(1)
    return Record(0.0, 3600.0 / hour, gauges[:, 2], gauges[:, :2], measured)


def measure(gauges: int, years: float) -> dict[str, Any]:
    long = made_river(round(years * 365.25 * 24), 1, seed=1)
    began = time.perf_counter()
    train(long)
    trained = time.perf_counter() - began

    river = made_river(_MONTH + _WEEK, 6, seed=2)
    learned = train(river.before(_MONTH * 6)).dump()
    # As the job does: every gauge has a forecaster of its own, and one row to forecast from.
    every = [Forecaster.load(learned) for _ in range(gauges)]
    newest = np.array([len(river.level) - 1])
    began = time.perf_counter()
    for each in every:
        each.forecast(river, newest)
    forecast = time.perf_counter() - began
    return {
        "train": {
            "rows": len(long.level),
            "seconds": round(trained, 2),
            "limit": LIMITS["train_s"],
            "kept": trained <= LIMITS["train_s"],
        },
        "forecast": {
            "gauges": gauges,
            "seconds": round(forecast, 2),
            "limit": LIMITS["forecast_s"],
            "kept": forecast <= LIMITS["forecast_s"],
        },
    }


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures for people."""
    train_, forecast = figures["train"], figures["forecast"]
    yield (f"learning one gauge, {train_['rows']} hours", f"{train_['seconds']:g} s", f"{train_['limit']:g} s")
    yield (f"forecasting {forecast['gauges']} gauges", f"{forecast['seconds']:g} s", f"{forecast['limit']:g} s")

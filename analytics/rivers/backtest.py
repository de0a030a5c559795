"""A look back without knowing what came: how a model of a gauge would have done, and whether a new one is worse.

    rehearse(record) -> Rehearsal            a twin trained on the first two thirds, asked about the last one
    worse(new, record, old, record, until)   on the rows that both have seen

The twin has seen nothing of the time it is asked about, so its scores are what a stranger would have measured; the
model that goes to work has seen all of it, and should do no worse. A new version cannot be compared with the old one on
rows of which neither knew anything: there are none, for the new one was trained on all. So both are asked about what
both were trained on. That finds the version that a bad month or a fault has spoilt, and no subtler one.

Cost: one more training, and a forecast for each hour of the last third, at most MOST.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.rivers.forecast.fan import Fan
from analytics.rivers.forecast.forecaster import LEADS, Forecaster, train
from analytics.rivers.forecast.record import Floats, Record
from analytics.rivers.scores import Score, came, scores

FEWEST = 200  # levels in each part: of fewer nothing is said
SEEN = 2 / 3
MOST = 3000  # forecasts that are compared, the newest
WORSE = 1.1  # times the other's error


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`scores` a lead, none where there was too little; what the twin said from the levels of `times` (seconds since
    1970), None likewise.
    """

    scores: tuple[Score, ...]
    times: Floats
    fan: Fan | None


def rehearse(record: Record) -> Rehearsal:
    """Trains the twin and asks it about each hour of the last third."""
    known = np.flatnonzero(~np.isnan(record.level))
    if len(known) < 2 * FEWEST:
        return Rehearsal((), np.empty(0), None)
    cut = int(known[int(len(known) * SEEN)])
    # Of the last hours nobody knows yet what came.
    rows = _hourly(record, cut, len(record.level) - round(LEADS[-1] * 3600.0 / record.step))[-MOST:]
    if len(rows) < FEWEST // 4:
        return Rehearsal((), np.empty(0), None)
    fan = train(record.before(cut)).forecast(record, rows)
    found = scores(fan.leads, fan.values, fan.quantiles, fan.persistence, _came(record, rows, fan))
    return Rehearsal(found, np.asarray(record.start + rows * record.step, np.float64), fan)


def worse(new: Forecaster, record: Record, old: Forecaster, record_of_old: Record, until: float) -> bool:
    """Whether the new one errs more by WORSE over all leads, in the last third of what both have seen. `record_of_old`
    has the old one's inputs, over the same time.
    """
    errors = [_error(new, record, until), _error(old, record_of_old, until)]
    return not any(np.isnan(errors)) and errors[0] > WORSE * errors[1]


def _error(forecaster: Forecaster, record: Record, until: float) -> float:
    """Root mean square over the leads, nan where there is too little."""
    end = int(np.clip((until - record.start) / record.step + 1, 0, len(record.level)))
    known = np.flatnonzero(~np.isnan(record.level[:end]))
    if len(known) < FEWEST:
        return float("nan")
    rows = _hourly(record, int(known[int(len(known) * SEEN)]), end)[-MOST:]
    fan = forecaster.forecast(record, rows)
    missed = (_came(record, rows, fan) - fan.values) ** 2
    return float(np.sqrt(np.nanmean(missed))) if np.isfinite(missed).any() else float("nan")


def _hourly(record: Record, first: int, end: int) -> npt.NDArray[np.intp]:
    """One row an hour that has a level."""
    every = max(1, round(3600.0 / record.step))
    rows = np.arange(first, end, every)
    return rows[~np.isnan(record.level[rows])]


def _came(record: Record, rows: npt.NDArray[np.intp], fan: Fan) -> Floats:
    return came(record.level, rows, fan.leads, record.step)

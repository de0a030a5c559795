"""Pictures of floods of a recorded river with what was said of them: hydrograph, fan, thresholds.

    draw(folder, out) -> [Path]        flood-1-best.png, flood-1-worst.png, ...

The floods are the highest crossings of the 99th percentile; best and worst by the persistence index at three hours.
Needs matplotlib, which is no part of the product (`pip install "mimamori[plots]"`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analytics.rivers.forecast.record import Ints
from mimamori import river_files
from mimamori.errors import InputError
from mimamori.evaluate_river import Forecast, forecast

FLOODS = 2  # of the best, and of the worst
_AROUND = 36  # hours shown before and after a peak
_BEFORE_RISE = 6.0  # hours between two fans
_LEAD = 3.0


def draw(folder: Path, out: Path) -> list[Path]:
    """InputError: matplotlib is not there, or a file cannot be read or written."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise InputError('--plots needs matplotlib: pip install "mimamori[plots]"') from error
    mpl.use("Agg")
    done = forecast(river_files.read(folder))
    peaks = _peaks(done)
    order = sorted(peaks, key=lambda peak: _index(done, peak))
    chosen = [("worst", peak) for peak in order[:FLOODS]]
    chosen += [("best", peak) for peak in order[::-1][:FLOODS] if peak not in order[:FLOODS]]
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_picture(done, peak, out / f"flood-{at}-{kind}.png", kind) for at, (kind, peak) in enumerate(chosen, 1)]
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error


def _peaks(done: Forecast) -> list[int]:
    """Rows of the record: the highest value of each flood of the test, the highest floods first."""
    record, first = done.river.record, done.river.first
    threshold = np.nanquantile(record.level[:first], 0.99)
    found: list[int] = []
    for at in np.argsort(-np.nan_to_num(record.level, nan=-np.inf)):
        if record.level[at] < threshold or np.isnan(record.level[at]):
            break
        if at >= first + 6 * record.hour and all(abs(at - peak) > 48 * record.hour for peak in found):
            found.append(int(at))
    return found[:12]


def _index(done: Forecast, peak: int) -> float:
    """The persistence index round a peak."""
    near = np.abs(done.rows - peak) <= 24 * done.river.record.hour
    place = done.lead(min(done.fan.leads, key=lambda lead: abs(lead - _LEAD)))
    came = done.came[near, place]
    missed = came - done.fan.values[near, place]
    stayed = came - done.fan.persistence[near]
    kept = ~np.isnan(missed) & ~np.isnan(stayed)
    still = float((stayed[kept] ** 2).sum())
    return 1.0 - float((missed[kept] ** 2).sum()) / still if still else 0.0


def _picture(done: Forecast, peak: int, file: Path, kind: str) -> Path:
    from matplotlib import pyplot as plt

    record = done.river.record
    hours = (np.arange(len(record.level)) - peak) / record.hour
    shown = np.abs(hours) <= _AROUND
    figure, (rain, level) = plt.subplots(2, 1, sharex=True, figsize=(9, 6), height_ratios=(1, 4), layout="constrained")
    if record.rain.shape[1]:
        fallen = np.nan_to_num(record.rain[shown]).mean(axis=1)
        rain.bar(hours[shown], fallen, width=1 / record.hour, color="#3b6fb6")
        rain.invert_yaxis()
        rain.set_ylabel("rain, mean")
    else:
        rain.set_axis_off()
    level.plot(hours[shown], record.level[shown], color="black", linewidth=1.6, label="observed", zorder=5)
    learned = record.level[: done.river.first]
    for share, style in ((0.99, ":"), (0.995, "--")):
        level.axhline(
            float(np.nanquantile(learned, share)), color="#a03030", linestyle=style, linewidth=1,
            label=f"{share:.1%} of what was learned from",
        )  # fmt: skip
    every = round(_BEFORE_RISE * record.hour)
    _fans(level, done, [row for row in range(peak - 3 * every, peak + 2 * every, every) if row >= done.rows[0]], peak)
    level.set_xlabel("hours from the peak")
    level.set_ylabel(f"level, {done.river.unit or 'unit of the series'}")
    level.legend(loc="upper left", fontsize=8)
    rain.set_title(f"{done.river.name}: {kind}, PI at 3 h {_index(done, peak):.2f}; bands 50 % and 90 %", fontsize=10)
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file


def _fans(axes: Any, done: Forecast, rows: list[int], peak: int) -> None:
    fan, hour = done.fan, done.river.record.hour
    wanted: Ints = np.searchsorted(done.rows, rows)
    for at in wanted[wanted < len(done.rows)]:
        issued = (done.rows[at] - peak) / hour
        x = np.concatenate([[issued], issued + np.array(fan.leads)])
        now = fan.persistence[at]
        for low, high, shade in ((0, -1, 0.15), (2, -3, 0.3)):
            lower, upper = (np.concatenate([[now], fan.quantiles[at, :, side]]) for side in (low, high))
            axes.fill_between(x, lower, upper, color="#d07020", alpha=shade, linewidth=0)
        axes.plot(x, np.concatenate([[now], fan.values[at]]), color="#d07020", linewidth=1.4, marker=".", markersize=4)

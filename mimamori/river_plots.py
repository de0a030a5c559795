"""Pictures of floods of a recorded river with what was said of them: hydrograph, fan, thresholds.

    draw(folder, out) -> [Path]        flood-1-of-7.png, ... the best first

The floods are peaks above the 99th percentile of what was learned from; best and worst are by the persistence index at
three hours round the peak.
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
_RISEN = 0.3  # of the way from the usual level to the peak, within two days before it


def draw(folder: Path, out: Path) -> list[Path]:
    """InputError: matplotlib is not there, or a file cannot be read or written."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise InputError('--plots needs matplotlib: pip install "mimamori[plots]"') from error
    mpl.use("Agg")
    done = forecast(river_files.read(folder))
    ranked = list(enumerate(sorted(_peaks(done), key=lambda peak: -_index(done, peak)), 1))
    chosen = ranked[:FLOODS] + [each for each in ranked[-FLOODS:] if each not in ranked[:FLOODS]]
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [
            _picture(done, peak, out / f"flood-{rank}-of-{len(ranked)}.png", f"{rank} of {len(ranked)} floods")
            for rank, peak in chosen
        ]
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error


def _peaks(done: Forecast) -> list[int]:
    """Rows of the record: the highest value of each flood of the test, the highest floods first."""
    record, first = done.river.record, done.river.first
    threshold, usual = (np.nanquantile(record.level[:first], share) for share in (0.99, 0.5))
    day = 24 * record.hour
    found: list[int] = []
    for at in np.argsort(-np.nan_to_num(record.level, nan=-np.inf)):
        level = record.level[at]
        if np.isnan(level) or level < threshold:
            break
        before = record.level[max(0, at - 2 * day) : at]
        # The way down from a flood is none of its own: the water rose to it, and did not rise higher soon after.
        risen = len(before) and level - np.nanmin(before, initial=level) >= _RISEN * (level - usual)
        highest = level >= np.nanmax(record.level[max(0, at - day) : at + day + 1])
        if at >= first + day // 4 and risen and highest and all(abs(at - peak) > 2 * day for peak in found):
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


def _picture(done: Forecast, peak: int, file: Path, which: str) -> Path:
    from matplotlib import pyplot as plt

    record = done.river.record
    hours = (np.arange(len(record.level)) - peak) / record.hour
    shown = np.abs(hours) <= _AROUND
    rained = bool(record.rain.shape[1])
    figure, axes = plt.subplots(
        1 + rained, 1, sharex=True, figsize=(9, 6), height_ratios=(1, 4) if rained else (1,), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    rain, level = axes[0, 0], axes[-1, 0]
    if rained:
        fallen = np.nan_to_num(record.rain[shown]).mean(axis=1)
        rain.bar(hours[shown], fallen, width=1 / record.hour, color="#3b6fb6")
        rain.invert_yaxis()
        rain.set_ylabel("rain, mean")
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
    level.legend(loc="best", fontsize=8)
    rain.set_title(f"{done.river.name}: {which}, PI at 3 h {_index(done, peak):.2f}; bands 50 % and 90 %", fontsize=10)
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

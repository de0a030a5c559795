"""What a look at the neighbours is worth, on recorded floods and on faults that are put into recorded levels.

    python -m tests.quality.neighbours_measured DATA [han | gloria | chino | logan ...]

DATA holds `river/` and `anomaly/` as in the development data. One line of figures a part of a recording, then one a
fault. Nobody has labelled these levels (but Logan's): what rises above the 98.5 % of a gauge and the day before and
behind is called a flood, and what is told in it false. A fault is put into one gauge at a time, into a copy that knows
what the gauge itself knew: a step that lasts ten days, or a drift of thirty. It is found by what is told of the copy
and was not told of the gauge: steps in the first two days by the checks of the series alone, else as long as it lasts.

The setting was chosen on the first half of `han` and on the rivers Y1 of `gloria`, the rest only looked at.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from analytics.doubts import COMPARED, TOLD
from analytics.judging import beside
from analytics.quality_evaluation import events
from devices.model import Reason
from quality.estimator import Flags, Floats
from quality.memory import pack, unpack
from quality.neighbours import Near

DAY = 86400.0
LASTS = {Reason.STEP: 10.0, Reason.DRIFT: 30.0, Reason.NOISE: 5.0}  # days
FAULTS = [
    *((Reason.STEP, size) for size in (0.1, 0.2, 0.3, 1.0, 3.0, 6.0)),  # m
    *((Reason.DRIFT, size) for size in (0.01, 0.02, 0.05)),  # m a day
    *((Reason.NOISE, size) for size in (0.05, 0.1)),  # m, standard deviation
]

JUDGING = beside()
SHOWN = TOLD[COMPARED]


@dataclass(frozen=True)
class River:
    """Levels in m of gauges beside each other, shapes (rows,) and (rows, n); `every`, `first`: days between faults, and
    before the first; `halves`: to be shown by halves; `wrong`: what somebody has labelled.
    """

    name: str
    times: Floats
    values: Floats
    every: float | None = None
    first: float = 0.0
    halves: bool = False
    wrong: Flags | None = None

    @property
    def near(self) -> Near:
        """The eight others that stand nearest in the file, which is sorted by river."""
        n = self.values.shape[1]
        others = [sorted((m for m in range(n) if m != each), key=lambda m: abs(m - each))[:8] for each in range(n)]
        return np.array(others, dtype=np.intp)


def rivers(data: Path, names: Sequence[str]) -> Iterator[River]:
    for name in names:
        if name == "han":
            times, columns = _columns(data / "river/han/series.csv")
            levels = np.stack([column for key, column in columns.items() if key.startswith("wl_")], axis=1)
            yield River("han", times, levels, every=80, first=200, halves=True)
        elif name == "gloria":
            times, columns = _columns(data / "river/gloria_2020_01/series.csv")
            for group in ("Y0", "Y1", "Y2"):
                own = [c / 1000 for key, c in columns.items() if key.startswith(group) and (~np.isnan(c)).sum() > 2000]
                yield River(f"gloria {group}", times, np.stack(own, axis=1))
        elif name == "chino":
            times, columns = _columns(data / "river/chino/series.csv")
            own = [c if key == "zeniba" else c / 100 for key, c in columns.items() if key.startswith(("zen", "d000"))]
            yield River("chino", times, np.stack(own, axis=1))
        else:
            yield _logan(data / "anomaly/logan_river")


def _logan(folder: Path) -> River:
    each = [_columns(file) for file in sorted(folder.glob("*_stage.csv"))]
    times = np.unique(np.concatenate([own for own, _ in each]))
    levels, wrong = np.full((len(times), len(each)), np.nan), np.zeros((len(times), len(each)), dtype=np.bool_)
    for n, (own, columns) in enumerate(each):
        levels[np.searchsorted(times, own), n] = columns["value"] / 100
        wrong[np.searchsorted(times, own), n] = columns["label"] > 0
    return River("logan", times, levels, every=20, first=50, halves=True, wrong=wrong)


def _columns(file: Path) -> tuple[Floats, dict[str, Floats]]:
    """Times (s, each once, ascending) and the columns by name, nan where there is nothing."""
    with file.open(encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    times = np.array([datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp() for row in rows])
    times, first = np.unique(times, return_index=True)
    table = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in rows])[first]
    return times, dict(zip(header[1:], table.T, strict=True))


def floods(river: River) -> Flags:
    width = round(DAY / float(np.median(np.diff(river.times))))
    high = np.nan_to_num(river.values, nan=-1e9) > np.nanpercentile(river.values, 98.5, axis=0)
    near = np.stack([np.convolve(gauge, np.ones(2 * width + 1), "same") > 0 for gauge in high.T], axis=1)
    return np.asarray(near & ~np.isnan(river.values))


def judge(state: list[Any], times: Floats, values: Floats, near: Near) -> dict[Reason, Flags]:
    """What the product tells of gauges beside each other, by the reason, shapes (rows, n); the state goes on."""
    told = {reason: np.zeros(values.shape, dtype=np.bool_) for reason in SHOWN}
    found = JUDGING.step(state, np.repeat(times[:, None], values.shape[1], axis=1), values, near)
    for gauge in range(values.shape[1]):
        there = np.flatnonzero(~np.isnan(values[:, gauge]))
        for row, back, reason, _ in found.of(gauge, SHOWN):
            told[reason][there[there < row][-back:] if back else row, gauge] = True
    return told


@dataclass
class Found:
    """Of one kind of fault: how many, how many of them were found, by which reason first, hours until then; gauges
    beside it that were told for it.
    """

    n: int = 0
    found: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    hours: list[float] = field(default_factory=list)
    others: int = 0


def broken(kind: Reason, size: float, values: Floats, passed: Floats, sign: float) -> Floats:
    """The values of one gauge with a fault that begins with them, `passed` days ago."""
    lasts = passed < LASTS[kind]
    if kind is Reason.NOISE:
        off = np.where(lasts, size * np.random.default_rng(1).standard_normal(len(values)), 0.0)
    else:
        off = sign * size * (lasts if kind is Reason.STEP else passed)
    return np.round(values + off, 3)


def faulty(river: River, state: list[Any], at: int) -> tuple[dict[Reason, Flags], Floats]:
    """Every fault in every gauge, from row `at` on, side by side with the others as they are; and their times."""
    n = river.values.shape[1]
    stop = int(np.searchsorted(river.times, river.times[at] + (LASTS[Reason.DRIFT] + 2) * DAY))
    times, copies, passed = river.times[at:stop], [], (river.times[at:stop] - river.times[at]) / DAY
    for gauge in range(n):
        for number, (kind, size) in enumerate(FAULTS):
            copy = river.values[at:stop].copy()
            copy[:, gauge] = broken(kind, size, copy[:, gauge], passed, 1 if (gauge + number + at) % 2 else -1)
            copies.append(copy)
    near = np.concatenate([river.near + n * number for number in range(len(copies))])
    many = unpack(JUDGING.begin(n * len(copies)), pack(state) * len(copies))
    return judge(many, times, np.concatenate(copies, axis=1), near), times


def measure(river: River) -> None:
    """Prints the figures of one river."""
    n = river.values.shape[1]
    end = river.times[-1]
    room = LASTS[Reason.DRIFT] + 5
    days = np.arange(river.first, (end - river.times[0]) / DAY - room, river.every) if river.every else []
    onsets = [int(np.searchsorted(river.times, river.times[0] + day * DAY)) for day in days]
    state = JUDGING.begin(n)
    parts, faults = [], []
    for begin, stop in zip([0, *onsets], [*onsets, len(river.times)], strict=True):
        if begin in onsets:
            faults.append((begin, *faulty(river, state, begin)))
        parts.append(judge(state, river.times[begin:stop], river.values[begin:stop], river.near))
    whole = {reason: np.concatenate([part[reason] for part in parts]) for reason in SHOWN}
    middle = (river.times[0] + end) / 2
    spans = {"": (-np.inf, np.inf)}
    if river.halves:
        spans = {" first half": (-np.inf, middle), " second half": (middle, np.inf)}
    for title, (low, high) in spans.items():
        _say(river, title, whole, (river.times >= low) & (river.times < high))
        _say_found(river, whole, [each for each in faults if low <= river.times[each[0]] < high])


def _say(river: River, title: str, told: dict[Reason, Flags], span: Flags) -> None:
    flood = floods(river) & span[:, None]
    months = (~np.isnan(river.values[span])).sum() * float(np.median(np.diff(river.times))) / DAY / 30
    gauges = river.values.shape[1]
    print(f"{river.name}{title}: {gauges} gauges, {months:.0f} months, {flood.sum()} flood values", flush=True)
    for reason in sorted(SHOWN):
        here = told[reason] & span[:, None]
        count = sum(len(events(np.asarray(column))) for column in here.T)
        wrong = None if river.wrong is None else (here & river.wrong).sum()
        labelled = "" if wrong is None else f", labelled as wrong {wrong} of {here.sum()} values"
        print(f"  told as {reason}: {(here & flood).sum()} in floods; events a month {count / months:.3f}{labelled}")


def _say_found(river: River, whole: dict[Reason, Flags], faults: list[tuple[int, dict[Reason, Flags], Floats]]) -> None:
    n = river.values.shape[1]
    found = {fault: Found() for fault in FAULTS}
    for at, told, times in faults:
        passed = (times - times[0]) / DAY
        for copy in range(n * len(FAULTS)):
            gauge, fault = copy // len(FAULTS), FAULTS[copy % len(FAULTS)]
            lasts, of = passed < LASTS[fault[0]], found[fault]
            of.n += 1
            new = [
                {
                    reason: told[reason][lasts, n * copy + each] & ~whole[reason][at : at + len(times), each][lasts]
                    for reason in SHOWN
                }
                for each in range(n)
            ]
            firsts = {reason: int(np.argmax(flags)) for reason, flags in new[gauge].items() if flags.any()}
            if firsts:
                first = min(firsts, key=lambda reason: firsts[reason])
                of.found += 1
                of.reasons[first] += 1
                of.hours.append(float(24 * passed[lasts][firsts[first]]))
            of.others += sum(any(flags.any() for flags in new[other].values()) for other in range(n) if other != gauge)
    for (kind, size), of in found.items():
        if of.n:
            waited = f"{median(of.hours):.0f} h" if of.hours else "-"
            print(
                f"  {kind} {size:g} m{' a day' if kind is Reason.DRIFT else ''}: found {of.found} of {of.n}"
                f" = {of.found / of.n:.2f} after {waited} as {dict(of.reasons)}; others told {of.others}",
                flush=True,
            )


if __name__ == "__main__":
    for each in rivers(Path(sys.argv[1]), sys.argv[2:] or ["han", "gloria", "chino", "logan"]):
        measure(each)

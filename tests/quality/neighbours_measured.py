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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np

from analytics.quality_evaluation import events
from devices.model import Reason
from quality.detector import Checks, Detector, Known
from quality.estimator import Flags, Floats
from quality.memory import pack, unpack
from quality.neighbours import Company, Near, Neighbours

DAY = 86400.0
STEPS, DRIFTS = (0.1, 0.2, 0.3, 1.0, 3.0, 6.0), (0.01, 0.02, 0.05)  # m; m a day
STEP_DAYS, DRIFT_DAYS = 10.0, 30.0
FAULTS = [*((Reason.STEP, size) for size in STEPS), *((Reason.DRIFT, size) for size in DRIFTS)]

DETECTOR, NEIGHBOURS = Detector(), Neighbours()
CHECKS = (*DETECTOR.checks, NEIGHBOURS)
SHOWN = frozenset({Reason.SPIKE, Reason.STEP, Reason.DRIFT, Reason.NOISE, Reason.NEIGHBOURS})


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


@dataclass
class Judged:
    """`alone`: told by the checks of the series alone; `left`: of that, what is not taken back; `told`: with those that
    leave their neighbours; `leaves`: these.
    """

    alone: Flags
    left: Flags
    told: Flags
    leaves: Flags


def judge(known: Known, company: Company, times: Floats, values: Floats, near: Near) -> Judged:
    times = np.repeat(times[:, None], values.shape[1], axis=1)
    rows = [DETECTOR.step(known, *row) for row in zip(times, values, strict=True)]
    excess = np.where(np.isnan(values), 0.0, np.stack([row.excess for row in rows]))
    check = np.stack([row.check for row in rows])
    found, number = NEIGHBOURS.settled(excess, check, NEIGHBOURS.step(company, times, values, near), CHECKS)
    leaves = (found >= 1) & (number == len(CHECKS) - 1)
    told = _shown(found, number)
    return Judged(_shown(excess, check), told & ~leaves, told, leaves)


def _shown(excess: Floats, check: Checks) -> Flags:
    return (excess >= 1) & np.isin(check, [n for n, each in enumerate(CHECKS) if each.reason in SHOWN])


@dataclass
class Found:
    """Of one kind of fault: how many, found by the series alone, by what is not taken back, by the neighbours, by any;
    hours until it was; gauges beside it that were told for it.
    """

    n: int = 0
    alone: int = 0
    left: int = 0
    leaves: int = 0
    told: int = 0
    hours: list[float] = field(default_factory=list)
    others: int = 0


def faulty(river: River, known: Known, company: Company, at: int) -> tuple[Judged, Floats]:
    """Every fault in every gauge, from row `at` on, side by side with the others as they are; and their times."""
    n = river.values.shape[1]
    stop = int(np.searchsorted(river.times, river.times[at] + (DRIFT_DAYS + 2) * DAY))
    times, copies, passed = river.times[at:stop], [], (river.times[at:stop] - river.times[at]) / DAY
    for gauge in range(n):
        for number, (kind, size) in enumerate(FAULTS):
            sign = 1 if (gauge + number + at) % 2 else -1
            copy = river.values[at:stop].copy()
            copy[:, gauge] += sign * size * (passed < STEP_DAYS if kind is Reason.STEP else passed)
            copies.append(np.round(copy, 3))
    near = np.concatenate([river.near + n * number for number in range(len(copies))])
    many = (unpack(each.begin(n * len(copies)), pack(state) * len(copies)) for each, state in (
        (DETECTOR, known), (NEIGHBOURS, company)))  # fmt: skip
    return judge(*many, times, np.concatenate(copies, axis=1), near), times  # type: ignore[arg-type]


def measure(river: River) -> None:
    """Prints the figures of one river."""
    n = river.values.shape[1]
    end = river.times[-1]
    days = np.arange(river.first, (end - river.times[0]) / DAY - DRIFT_DAYS - 5, river.every) if river.every else []
    onsets = [int(np.searchsorted(river.times, river.times[0] + day * DAY)) for day in days]
    known, company = DETECTOR.begin(n), NEIGHBOURS.begin(n)
    parts, faults = [], []
    for begin, stop in zip([0, *onsets], [*onsets, len(river.times)], strict=True):
        if begin in onsets:
            faults.append((begin, *faulty(river, known, company, begin)))
        parts.append(judge(known, company, river.times[begin:stop], river.values[begin:stop], river.near))
    whole = Judged(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("alone", "left", "told", "leaves")))
    middle = (river.times[0] + end) / 2
    spans = {"": (-np.inf, np.inf)}
    if river.halves:
        spans = {" first half": (-np.inf, middle), " second half": (middle, np.inf)}
    for title, (low, high) in spans.items():
        _say(river, title, whole, (river.times >= low) & (river.times < high))
        _say_found(river, whole, [each for each in faults if low <= river.times[each[0]] < high])


def _say(river: River, title: str, judged: Judged, span: Flags) -> None:
    flood = floods(river) & span[:, None]
    months = (~np.isnan(river.values[span])).sum() * float(np.median(np.diff(river.times))) / DAY / 30
    counted = {
        name: sum(len(events(np.asarray(column & span))) for column in getattr(judged, name).T)
        for name in ("alone", "left", "leaves")
    }
    print(
        f"{river.name}{title}: {river.values.shape[1]} gauges, {months:.0f} months of series; "
        f"flood values {flood.sum()}, told {(judged.alone & flood).sum()} -> {(judged.told & flood).sum()}; "
        f"events a month {counted['alone'] / months:.3f} -> {counted['left'] / months:.3f}, "
        f"leaving neighbours {counted['leaves'] / months:.3f}",
        flush=True,
    )
    if river.wrong is not None:
        back, wrong = judged.alone & ~judged.left & span[:, None], river.wrong
        alone = judged.alone & span[:, None]
        print(
            f"  labelled as wrong {(alone & wrong).sum()} of {alone.sum()} values told, "
            f"and {(back & wrong).sum()} of {back.sum()} taken back",
            flush=True,
        )


def _say_found(river: River, whole: Judged, faults: list[tuple[int, Judged, Floats]]) -> None:
    n = river.values.shape[1]
    found = {fault: Found() for fault in FAULTS}
    for at, judged, times in faults:
        passed = (times - times[0]) / DAY
        for copy in range(n * len(FAULTS)):
            gauge, fault = copy // len(FAULTS), FAULTS[copy % len(FAULTS)]
            lasts = passed < (STEP_DAYS if fault[0] is Reason.STEP else DRIFT_DAYS)
            early = lasts & (passed < 2) if fault[0] is Reason.STEP else lasts
            new = {
                name: getattr(judged, name)[:, n * copy + gauge] & ~getattr(whole, name)[at : at + len(times), gauge]
                for name in ("alone", "left", "leaves")
            }
            of = found[fault]
            of.n += 1
            of.alone += bool(new["alone"][early].any())
            of.left += bool(new["left"][early].any())
            of.leaves += bool(new["leaves"][lasts].any())
            any_of_them = (new["left"] & early) | (new["leaves"] & lasts)
            of.told += bool(any_of_them.any())
            if any_of_them.any():
                of.hours.append(float(24 * passed[np.argmax(any_of_them)]))
            for other in set(range(n)) - {gauge}:
                of.others += bool(judged.leaves[lasts, n * copy + other].any()) and not bool(
                    whole.leaves[at : at + len(times), other].any()
                )
    for (kind, size), of in found.items():
        if of.n:
            waited = f"{median(of.hours):.0f} h" if of.hours else "-"
            print(
                f"  {kind} {size:g} m{' a day' if kind is Reason.DRIFT else ''}: {of.n}, "
                f"found alone {of.alone / of.n:.2f}, not taken back {of.left / of.n:.2f}, "
                f"leaving neighbours {of.leaves / of.n:.2f}, any {of.told / of.n:.2f} after {waited}; "
                f"others told {of.others}",
                flush=True,
            )


if __name__ == "__main__":
    for each in rivers(Path(sys.argv[1]), sys.argv[2:] or ["han", "gloria", "chino", "logan"]):
        measure(each)

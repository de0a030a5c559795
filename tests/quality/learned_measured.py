"""Whether anything learnt with scikit-learn tells wrong values better than the checks do, on data it was not chosen on.

    python -m tests.quality.learned_measured DATA

DATA holds `anomaly/` as in the development data: folders `nab_*` of the benchmark, all others recorded with labels.
Compared are the product's detector as it is, the same with a threshold chosen as for all the others, and what
`tests/quality/learned.py` has. Everything that can be chosen (how much is tolerated, the threshold) is chosen on one
part, by the F1 of events plus a hundredth of the benchmark's score, and judged on another:

    series      every other series of each set, and the other way round
    time        the first half of each series, and the other way round
    set         one of both sets, and the other way round

A line for each method and split: the figures of `mimamori evaluate anomalies` for what was judged, of both ways
together; in brackets the F1 and the benchmark's score of either way. Chances are seeded; it takes some minutes of one
core.
"""

from __future__ import annotations

import os
import sys
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analytics.quality_evaluation import events
from mimamori.anomaly_files import Series
from mimamori.evaluate_anomalies import Sum
from quality.estimator import Flags, Floats
from tests.quality import learned
from tests.quality.learned import Classifier, Excess, Rows

NATS = (4.0, 8.0, 16.0, 32.0, 64.0)
FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
PROBABILITIES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
BENCHMARK = "nab_"

# (series, first row, one behind the last)
Part = list[tuple[int, int, int]]
Verdicts = list[Flags]


@dataclass(frozen=True)
class Split:
    """Chosen on `chosen`, judged on `judged`; the pieces of both ways are judged together."""

    name: str
    chosen: Part
    judged: Part


def in_benchmark(series: Series) -> bool:
    return series.name.startswith(BENCHMARK)


def splits(rows: Rows) -> Iterator[list[Split]]:
    """Each split with its two ways."""
    whole = [(n, 0, len(series.times)) for n, series in enumerate(rows.series)]
    sets = [[each for each in whole if in_benchmark(rows.series[each[0]]) is one] for one in (False, True)]
    even, odd = ([each for of in sets for each in of[first::2]] for first in (0, 1))
    early = [(n, 0, stop // 2) for n, _, stop in whole]
    late = [(n, stop // 2, stop) for n, _, stop in whole]
    for name, one, other in (("series", even, odd), ("time", early, late), ("set", *sets)):
        yield [Split(name, one, other), Split(name, other, one)]


@dataclass(frozen=True)
class Figures:
    """Of some pieces: the recorded ones and those of the benchmark."""

    recorded: Sum
    benchmark: Sum

    @property
    def f1(self) -> float | None:
        return self.recorded.counts.f1

    @property
    def score(self) -> float | None:
        found = self.benchmark.figures()["nab"]
        return None if found is None else float(found)

    @property
    def worth(self) -> float:
        """What is chosen by."""
        return (self.f1 or 0.0) + (self.score or 0.0) / 100


def figures(rows: Rows, pieces: Sequence[tuple[Part, Flags]]) -> Figures:
    found = Figures(Sum(), Sum())
    for part, verdict in pieces:
        for n, start, stop in part:
            whole = rows.series[n]
            piece = replace(
                whole,
                stamps=whole.stamps[start:stop],
                times=whole.times[start:stop],
                values=whole.values[start:stop],
                truth=whole.truth[start:stop],
            )
            (found.benchmark if in_benchmark(whole) else found.recorded).add(piece, verdict[start:stop, n])
    return found


def best(rows: Rows, part: Part, verdicts: Verdicts) -> int:
    return int(np.argmax([figures(rows, [(part, verdict)]).worth for verdict in verdicts]))


# --- methods: what each says of the judged part of a split ---------------------------------------------------------


def chosen_of(rows: Rows, verdicts: Verdicts) -> Callable[[Split], Flags]:
    """Verdicts that are there already; one is chosen."""
    return lambda split: verdicts[best(rows, split.chosen, verdicts)]


def taught(rows: Rows, make: Callable[[], Classifier]) -> Callable[[Split], Flags]:
    """Learns from the labels of the chosen part; the threshold on halves of it that were not learnt from."""
    shown, inside = rows.features, ~np.isnan(rows.times)  # shorter series end before the longest
    odds = [probability / (1 - probability) for probability in PROBABILITIES]

    def fitted(part: Part) -> Excess:
        model, weight = make(), weights(rows, part)
        rows_of = [np.column_stack([np.arange(start, stop), np.full(stop - start, n)]) for n, start, stop in part]
        at = np.concatenate(rows_of)
        truth = np.concatenate([rows.series[n].truth[start:stop] for n, start, stop in part])
        if truth.all() or not truth.any():  # nothing to tell apart
            return Excess(np.zeros(shown.shape[:2]), np.zeros(shown.shape[:2]))
        model.fit(shown[at[:, 0], at[:, 1]], truth, sample_weight=weight)
        likely = np.full(shown.shape[:2], 1e-6)
        likely[inside] = np.clip(model.predict_proba(shown[inside])[:, 1], 1e-6, 1 - 1e-6)
        return Excess(likely / (1 - likely), np.zeros(likely.shape))

    def judge(split: Split) -> Flags:
        halves = [split.chosen[::2], split.chosen[1::2]]
        others = [learned.told(rows, fitted(half), odds) for half in reversed(halves)]
        worth = [
            figures(rows, [(half, verdicts[number]) for half, verdicts in zip(halves, others, strict=True)]).worth
            for number in range(len(odds))
        ]
        return learned.told(rows, fitted(split.chosen), [odds[int(np.argmax(worth))]])[0]

    return judge


def weights(rows: Rows, part: Part) -> Floats:
    """Rows of the part in its order: every event counts the same, all events as much as all that is none, and both sets
    as much as each other.
    """
    found, of_benchmark, truths = [], [], []
    for n, start, stop in part:
        truth = rows.series[n].truth[start:stop]
        weight = np.ones(len(truth))
        for first, last in events(truth):
            weight[first:last] = 1 / (last - first)
        found.append(weight)
        truths.append(truth)
        of_benchmark.append(np.full(len(truth), in_benchmark(rows.series[n])))
    weight, truth, benchmark = (np.concatenate(each) for each in (found, truths, of_benchmark))
    for one in (False, True):
        for wrong in (False, True):
            own = (benchmark == one) & (truth == wrong)
            if own.any():
                weight[own] /= weight[own].sum()
    return np.asarray(weight * len(weight))


def methods(rows: Rows) -> Iterator[tuple[str, Callable[[Split], Flags]]]:
    simple = learned.checks(rows)
    as_it_is = learned.told(rows, simple, FACTORS)
    yield "the checks as they are", lambda split: as_it_is[FACTORS.index(1.0)]
    yield "the checks, threshold chosen", chosen_of(rows, as_it_is)
    for name, scores, digits in (
        ("isolation forest", learned.forest(rows), 0.0),
        ("boosted forecast", learned.forecast(rows), learned.DETECTOR.spike.digits),
    ):
        found = learned.unusual(rows, scores, NATS, digits)
        yield name, chosen_of(rows, [learned.told(rows, each, [1.0])[0] for each in found])
        beside = [learned.told(rows, simple.beside(each), [1.0])[0] for each in found]
        yield f"the checks and {name}", chosen_of(rows, beside)
    yield "logistic regression on the checks", taught(rows, learned.logistic)
    yield "boosted trees on the checks", taught(rows, learned.trees)


def measure(folder: Path) -> None:
    """Prints the figures of every method."""
    rows = learned.read(folder)
    both = list(splits(rows))
    for name, judge in methods(rows):
        for ways in both:
            judged = [(split.judged, judge(split)) for split in ways]
            print(_line(name, ways[0].name, figures(rows, judged), [figures(rows, [each]) for each in judged]))
            sys.stdout.flush()


def _line(name: str, split: str, both: Figures, ways: list[Figures]) -> str:
    counts, recorded, benchmark = both.recorded.counts, both.recorded.figures(), both.benchmark.figures()
    return (
        f"{name}, by {split}: recorded F1 {_number(both.f1)} ({', '.join(_number(each.f1) for each in ways)}), "
        f"told {counts.told}, right {counts.right}, true {counts.true}, found {counts.found}, "
        f"false a month {_number(recorded['false_a_month'])}; "
        f"benchmark {_number(both.score, 1)} ({', '.join(_number(each.score, 1) for each in ways)}), "
        f"F1 {_number(benchmark['event_f1'])}, false a month {_number(benchmark['false_a_month'], 1)}"
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn is imported
    measure(Path(sys.argv[1]) / "anomaly")
    print(f"{clock.process_time():.0f} s of a core")

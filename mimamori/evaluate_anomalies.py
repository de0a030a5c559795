"""`mimamori evaluate anomalies`: verdicts on recorded series, compared with what somebody has labelled in them.

One fixed setting (`quality.detector`) judges every series alone, row by row, with nothing from later; labels are read
only to compare. The JSON object:

    series                  {name: figures}; the name is the file's path below the folder without `.csv`
    groups                  {sub-folder: figures}, where there are any
    overall                 the figures of all events together
    figures
      rows                  rows of the series
      told, right           events of the verdict; those that overlap a labelled one
      true, found           labelled events; those that the verdict overlaps
      event_precision, event_recall, event_f1     of these; null where there is nothing to divide by
      point_f1              F1 of single rows
      delay                 minutes from the beginning of a labelled event to the first row told in it, median
      clean_months          30 days each, of rows outside of labelled events
      false_a_month         events told that overlap no label, per clean month
      reasons               {reason: events told whose first row has it}
      nab                   score of the Numenta Anomaly Benchmark's rule, standard profile; null without labels
    seconds                 real time
"""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any

import numpy as np

from analytics.quality_evaluation import Counts, NabPoints, compare, delay, events, nab_points, nab_score
from mimamori import anomaly_files
from mimamori.errors import InputError
from quality.detector import Detector, Judged
from quality.estimator import Flags

_MONTH = 30 * 86400.0

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Sum:
    """Figures of several series together; also what `tests/quality/learned_measured.py` compares by."""

    rows: int = 0
    counts: Counts = field(default_factory=Counts)
    waits: list[float] = field(default_factory=list)
    clean: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    nab: list[NabPoints] = field(default_factory=list)

    def add(self, series: anomaly_files.Series, verdict: Flags, reasons: Iterable[str] = ()) -> None:
        """`reasons`: of each event of the verdict."""
        self.rows += len(verdict)
        self.counts += compare(verdict, series.truth)
        self.waits += delay(series.times, verdict, series.truth)
        if len(verdict) > 1:
            self.clean += float(np.median(np.diff(series.times))) * int((~series.truth).sum())
        self.reasons.update(reasons)
        self.nab.append(nab_points(verdict, series.truth))

    def figures(self) -> dict[str, Any]:
        counts, months = self.counts, self.clean / _MONTH
        score = nab_score(self.nab)
        return {
            "rows": self.rows,
            "told": counts.told,
            "right": counts.right,
            "true": counts.true,
            "found": counts.found,
            "event_precision": _rounded(counts.precision),
            "event_recall": _rounded(counts.recall),
            "event_f1": _rounded(counts.f1),
            "point_f1": _rounded(counts.point_f1),
            "delay": _rounded(median(self.waits) / 60 if self.waits else None, 1),
            "clean_months": round(months, 2),
            "false_a_month": _rounded((counts.told - counts.right) / months if months else None, 3),
            "reasons": dict(sorted(self.reasons.items())),
            "nab": _rounded(score, 2),
        }


def measure(folder: Path, out: Path, progress: Progress) -> dict[str, Any]:
    """Judge and write every series, and give the figures. InputError: a file that cannot be read or written."""
    began = clock.monotonic()
    if out.resolve() == folder.resolve():
        raise InputError(f"{out}: would write over what is judged; name another folder for --out")
    every = anomaly_files.read(folder, without=out)
    total, groups, single = Sum(), dict[str, Sum](), dict[str, dict[str, Any]]()
    for series, judged in _judged(every, progress):
        anomaly_files.write(out, series, judged.scores, judged.verdict)
        parent = PurePosixPath(series.name).parent.as_posix()
        alone, verdict = Sum(), judged.verdict
        reasons = judged.reasons([start for start, _ in events(verdict)])
        for each in (alone, total, groups.setdefault(parent, Sum())):
            each.add(series, verdict, reasons)
        single[series.name] = alone.figures()
    return {
        "series": single,
        "groups": {name: of.figures() for name, of in groups.items() if name != "."},
        "overall": total.figures(),
        "seconds": round(clock.monotonic() - began, 1),
    }


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures for people: every series, then the groups, then all."""
    for title, of in [*figures["series"].items(), *figures["groups"].items(), ("all", figures["overall"])]:
        counted = (str(of[key]) for key in ("told", "right", "true", "found"))
        yield (title, *counted, *("-" if of[key] is None else f"{of[key]:g}" for key in _SHOWN))
    score = figures["overall"]["nab"]
    yield ("benchmark's score", *[""] * 6, "-" if score is None else f"{score:g}")


_SHOWN = ("event_f1", "false_a_month", "delay")


def _judged(every: list[anomaly_files.Series], progress: Progress) -> Iterator[tuple[anomaly_files.Series, Judged]]:
    """All series side by side, which is what the detector is quick at; shorter ones end in rows without a value."""
    longest = max(len(series.times) for series in every)
    times, values = np.full((2, longest, len(every)), np.nan)
    for at, series in enumerate(every):
        times[: len(series.times), at], values[: len(series.times), at] = series.times, series.values
    judged = Detector().judge(times, values, progress)
    for at, series in enumerate(every):
        yield series, judged.of(at, len(series.times))


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)

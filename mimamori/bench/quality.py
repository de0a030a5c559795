"""`mimamori bench quality`: how fast values are judged, and which simulated faults are found.

The JSON object:

    speed.gate      {observations, seconds, us_an_observation, limit_us, kept}: `quality.gate`, level rules, one core
    speed.learnt    {series, days, rows, processes, seconds, cpu_s, judging_s, us_an_observation, told, rss_mb, limit_s,
                    limit_rss_mb, kept}: all learnt checks (`quality.detector`); seconds: wall, with making the values;
                    cpu_s, judging_s: of the slower process, its processor time, and of judging alone; kept is null
                    where less than a year of 1,000 series was judged
    faults          {property: {kind: figures}}, of everything that the simulator can break (`simulators.faults`):
      faults, excused            that could be told; that could not: nothing of it came, or the town's rule allows it
      not_told                   true: the town is not to tell it of this property (`analytics.doubts.TOLD`); no figures
      found, event_recall        told while it lasts
      told, right, event_precision    events told at the places with this kind of fault, and those that overlap one
      delay_values, delay_hours  from its beginning to the first value told (to the alert), median
      as, wrong                  {reason: n}, of the first event of each that was found, and of those that are not right
    clean           {property: {events, series_months, false_a_month, as}}: at places where nothing breaks
    beside          {property: the same}: of whole gauges beside one that breaks
    floods          {property: {gauges, storms, values, doubted, as}}: of whole gauges in months of storms
    limits          {recall, recall_drift, false_a_month}
    outside         what does not hold, in words
    within_limits   whether all of it holds (null: that of the speed was not measured)
    series, months, seconds      of each kind of fault and property; judged months; real time
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from typing import Any

from analytics.doubts import COMPARED
from devices.model import ObservedProperty, Station, StationKind
from mimamori.bench import quality_rivers
from mimamori.bench.quality_places import JUDGED, simulate, stations
from mimamori.bench.quality_rivers import Floods, Rivers
from mimamori.bench.quality_speed import PROCESSES, gate, learnt
from mimamori.bench.quality_told import Tally, tally, tells
from mimamori.bench.report import Row
from simulators.faults import FaultKind

RECALL, RECALL_DRIFT, FALSE_A_MONTH = 0.9, 0.6, 1.0

_TOGETHER = 30  # series of each kind of fault that one process simulates at once: some 500 MB


@dataclass(frozen=True, slots=True)
class QualityBench:
    """What the command line said: `days` of `gauges` series for the speed; `series` for each kind of fault in `months`,
    of which none: only the speed.
    """

    days: int
    series: int
    months: int
    seed: int = 1
    gauges: int = 1000
    learning: bool = True


Tallies = dict[FaultKind | None, Tally]
Piece = dict[ObservedProperty, tuple[Tallies, dict[FaultKind, bool]]]


def measure(options: QualityBench, progress: Callable[[int, int], None] = lambda _done, _of: None) -> dict[str, Any]:
    """Run the bench; the figures. `progress` hears how many pieces of work are done, of how many."""
    began = time.monotonic()
    # the speed first, and alone
    speed = {"gate": gate(), "learnt": learnt(options.gauges, options.days)}
    found = find(options, tuple(JUDGED) if options.months else (), progress)
    limits = {"recall": RECALL, "recall_drift": RECALL_DRIFT, "false_a_month": FALSE_A_MONTH}
    figures: dict[str, Any] = {"speed": speed, **found, "limits": limits}
    outside = outside_limits(figures)
    kept = [each["kept"] for each in speed.values()]
    within = False if outside else None if None in kept else True
    return figures | {
        "outside": outside,
        "within_limits": within,
        "series": options.series,
        "months": options.months,
        "seconds": round(time.monotonic() - began, 1),
    }


def find(options: QualityBench, kinds: tuple[StationKind, ...], progress: Callable[[int, int], None]) -> dict[str, Any]:
    """What is found of the faults at places of these kinds, and what is told where there are none."""
    work: list[tuple[Any, ...]] = [
        (_places, station, own[first : first + _TOGETHER], options.months, options.seed, options.learning)
        for kind in kinds
        if kind is not quality_rivers.KIND
        for number, station in enumerate(stations(kind))
        for own in [range(options.series)[number :: len(stations(kind))]]
        for first in range(0, len(own), _TOGETHER)
    ]
    towns = range(options.series if quality_rivers.KIND in kinds else 0)
    work += [
        (_rivers, towns[first : first + quality_rivers.TOGETHER], options.months, options.seed, options.learning)
        for first in range(0, len(towns), quality_rivers.TOGETHER)
    ]
    sums: dict[ObservedProperty, Tallies] = {observed: {} for kind in kinds for observed in JUDGED[kind]}
    watched: dict[tuple[ObservedProperty, FaultKind], bool] = {}
    beside = Rivers()
    progress(0, len(work))
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as workers:
        # in whatever order they end: sums and medians do not care
        for done, each in enumerate(as_completed([workers.submit(*piece) for piece in work]), 1):
            found, rivers = each.result()
            beside.add(rivers)
            for observed, (tallies, tellable) in found.items():
                for fault, counted in tallies.items():
                    sums[observed].setdefault(fault, Tally()).add(counted)
                watched.update({(observed, fault): told for fault, told in tellable.items()})
            progress(done, len(work))
    return {
        "faults": {
            observed.value: {
                fault.value: _figures(counted, told=watched[observed, fault])
                for fault, counted in sorted(
                    tallies.items(), key=lambda item: list(FaultKind).index(item[0]) if item[0] else -1
                )
                if fault is not None
            }
            for observed, tallies in sums.items()
        },
        "clean": {observed.value: _clean(tallies[None]) for observed, tallies in sums.items()},
        "beside": {COMPARED.value: _clean(beside.beside)} if towns else {},
        "floods": {COMPARED.value: _flooded(beside.floods)} if towns else {},
    }


def _places(station: Station, numbers: Sequence[int], months: int, seed: int, learning: bool) -> tuple[Piece, Rivers]:
    """The work of one process: some copies of one station, each by itself."""
    heard = simulate(station, numbers, months, seed, learning=learning)
    found = {}
    for observed in JUDGED[station.kind]:
        tallies = tally(heard, observed)
        stream = heard.streams[observed]
        found[observed] = tallies, {each: tells(each, observed, stream) for each in tallies if each is not None}
    return found, Rivers()


def _rivers(numbers: Sequence[int], months: int, seed: int, learning: bool) -> tuple[Piece, Rivers]:
    """... or some towns, whose gauges stand beside each other."""
    found = quality_rivers.found_in(numbers, months, seed, learning=learning)
    stream = next(s for s in quality_rivers.gauges()[0].datastreams if s.observed_property is COMPARED)
    told = {each: tells(each, COMPARED, stream) for each in found.tallies if each is not None}
    return {COMPARED: (found.tallies, told)}, found


def _figures(counted: Tally, *, told: bool) -> dict[str, Any]:
    if not told:
        return {"faults": counted.faults, "not_told": True}
    values = [n for n, _ in counted.waits if n is not None]
    return {
        "faults": counted.faults,
        "excused": counted.excused,
        "not_told": False,
        "found": counted.found,
        "event_recall": _share(counted.found, counted.faults),
        "told": counted.told,
        "right": counted.right,
        "event_precision": _share(counted.right, counted.told),
        "delay_values": median(values) if values else None,
        "delay_hours": round(median(hours for _, hours in counted.waits), 2) if counted.waits else None,
        "as": _counted(counted.reasons),
        "wrong": _counted(counted.wrong),
    }


def _counted(reasons: Counter[str]) -> dict[str, int]:
    return {reason: n for reason, n in reasons.most_common() if n}


def _clean(counted: Tally) -> dict[str, Any]:
    return {
        "events": counted.told,
        "series_months": counted.months,
        "false_a_month": round(counted.told / counted.months, 3),
        "as": _counted(counted.wrong),
    }


def _flooded(floods: Floods) -> dict[str, Any]:
    return {
        "gauges": floods.gauges,
        "storms": floods.storms,
        "values": floods.values,
        "doubted": floods.doubted.total(),
        "as": _counted(floods.doubted),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def outside_limits(figures: Mapping[str, Any]) -> list[str]:
    """What does not hold, in words; what was not measured, or did not happen, is not counted."""
    found = [f"speed of {name}" for name, each in figures["speed"].items() if each["kept"] is False]
    for observed, kinds in figures["faults"].items():
        for kind, each in kinds.items():
            limit = RECALL_DRIFT if kind == FaultKind.DRIFT else RECALL
            if not each["not_told"] and each["event_recall"] is not None and each["event_recall"] < limit:
                found.append(f"{observed}, {kind}: recall {each['event_recall']:g}, limit {limit:g}")
    for where, words in (("clean", ""), ("beside", " beside one that breaks")):
        for observed, each in figures[where].items():
            if each["false_a_month"] > FALSE_A_MONTH:
                found.append(f"{observed}{words}: {each['false_a_month']:g} false a month, limit {FALSE_A_MONTH:g}")
    for observed, each in figures["floods"].items():
        if each["doubted"]:
            found.append(f"{observed}: {each['doubted']} of {each['values']} values doubted in floods")
    return found


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """The figures as lines of a table."""
    gated, judged = figures["speed"]["gate"], figures["speed"]["learnt"]
    lines: list[Row] = [
        (
            "gate, µs an observation",
            "", f"{gated['us_an_observation']:g}", "", "", f"{gated['limit_us']:g}", _kept(gated),
        ),
        (
            f"learnt checks, {judged['days']} days of {judged['series']} series, s",
            "", f"{judged['seconds']:g}", "", "", f"{judged['limit_s']:g}", _kept(judged),
        ),
        ("... memory, MB", "", f"{judged['rss_mb']:g}", "", "", f"{judged['limit_rss_mb']:g}", _kept(judged)),
    ]  # fmt: skip
    for observed, kinds in figures["faults"].items():
        for kind, each in kinds.items():
            limit = RECALL_DRIFT if kind == FaultKind.DRIFT else RECALL
            if each["not_told"]:
                lines.append((f"{observed}, {kind}", str(each["faults"]), "not told", "", "", "", ""))
                continue
            recall = each["event_recall"]
            lines.append(
                (
                    f"{observed}, {kind}", str(each["faults"]), _shown(recall), _shown(each["event_precision"]),
                    f"{_shown(each['delay_values'])}, {_shown(each['delay_hours'])} h", f"{limit:g}",
                    "" if recall is None else _yes(recall >= limit),
                )
            )  # fmt: skip
        for where, words in (("clean", "nothing breaks"), ("beside", "beside one that breaks")):
            if observed in figures[where]:
                false = figures[where][observed]["false_a_month"]
                lines.append(
                    (f"{observed}, {words}: false a month", "", f"{false:g}", "", "", f"{FALSE_A_MONTH:g}",
                     _yes(false <= FALSE_A_MONTH))
                )  # fmt: skip
    for observed, each in figures["floods"].items():
        name = f"{observed}, values doubted in floods, of {each['values']}"
        lines.append((name, "", str(each["doubted"]), "", "", "0", _yes(not each["doubted"])))
    return lines


def _kept(each: Mapping[str, Any]) -> str:
    return "-" if each["kept"] is None else _yes(each["kept"])


def _yes(kept: bool) -> str:
    return "yes" if kept else "NO"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"

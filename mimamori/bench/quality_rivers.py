"""Simulated gauges beside each other for `mimamori bench quality`, and what the town tells of them.

A town has the gauges of the demo's town, copied as other places are (`quality_places`), under one weather: showers, and
a cloudburst every ten days or so that makes all of its rivers rise. One gauge breaks, which one by the number of the
town, and the others are whole. They are judged as `analytics.doubts` judges them: beside each other.

Once more they stand whole under storms, one every third day after a month without any: nothing is to be doubted there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from analytics.beside import Place, near
from analytics.doubts import COMPARED
from analytics.judging import beside
from devices.model import Station, StationKind
from mimamori.bench.quality_places import FIRST, STRETCH, Heard, Lot, lots, simulate, town
from mimamori.bench.quality_told import REASONS, Tally, Why, counted, gated, learnt
from simulators.chance import uniform
from simulators.config import Scenario, SimulatorConfig
from simulators.faults import FaultKind
from simulators.interventions import Happening, Intervention
from simulators.mass import at
from simulators.weather import CLOUDBURST, STORM_EVERY
from simulators.world import World

KIND = StationKind.RIVER_GAUGE
TOGETHER = 5  # towns under one weather
_RAIN_EVERY = 10 * 86400.0  # s
_WHOLE = Lot(None)


@dataclass(slots=True)
class Floods:
    """What is doubted at whole `gauges` in months of storms: over all of them so many `storms` and judged `values`, of
    which `doubted`, by the reason.
    """

    gauges: int = 0
    storms: int = 0
    values: int = 0
    doubted: Counter[str] = field(default_factory=Counter)

    def add(self, other: Floods) -> None:
        for name in ("gauges", "storms", "values", "doubted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Rivers:
    """What is found at gauges beside each other: by the kind of fault, None where nothing breaks in the town; at whole
    gauges `beside` one that breaks; and in `floods`.
    """

    tallies: dict[FaultKind | None, Tally] = field(default_factory=dict)
    beside: Tally = field(default_factory=Tally)
    floods: Floods = field(default_factory=Floods)

    def add(self, other: Rivers) -> None:
        for kind, tally in other.tallies.items():
            self.tallies.setdefault(kind, Tally()).add(tally)
        self.beside.add(other.beside)
        self.floods.add(other.floods)


def gauges() -> tuple[Station, ...]:
    """The stations whose copies are a town."""
    return tuple(station for station in town().stations if station.kind is KIND and station.devices)


def found_in(numbers: Sequence[int], months: int, seed: int, *, learning: bool = True) -> Rivers:
    """What is found in towns of these numbers, which all have the weather of the first."""
    showers, storms = _weathers(seed, numbers[0] // TOGETHER, months)
    found = Rivers(floods=_floods(numbers, months, seed, storms, learning=learning))
    stations = gauges()
    ways = lots(stations[0].devices[0].model)
    heard, columns = [], []
    for n, station in enumerate(stations):
        own = [number for number in numbers if number % len(stations) == n]
        others = [number for number in numbers if number not in own]
        heard.append(simulate(station, own, months, seed, learning=learning, whole=others, world=showers))
        named = [(number, lot) for number in own for lot in ways] + [(number, _WHOLE) for number in others]
        columns.append({name: column for column, name in enumerate(named)})
    towns = [
        [columns[n][number, lot if number % len(stations) == n else _WHOLE] for n in range(len(stations))]
        for number in numbers
        for lot in ways
    ]
    for each, why in zip(towns, _told(heard, towns), strict=True):
        of = [heard[n].lots[column] for n, column in enumerate(each)]
        for n, column in enumerate(each):
            tally = counted(heard[n], column, COMPARED, why[:, n])
            if of[n] == _WHOLE and of.count(_WHOLE) < len(of):
                found.beside.add(tally)
            else:
                found.tallies.setdefault(of[n].kind, Tally()).add(tally)
    return found


def _floods(numbers: Sequence[int], months: int, seed: int, storms: World, *, learning: bool) -> Floods:
    """The same gauges, whole, in months of storms."""
    stations = gauges()
    heard = [simulate(each, (), months, seed, learning=learning, whole=numbers, world=storms) for each in stations]
    n = len(stations) * len(numbers)
    found = Floods(n, n * round(months * STRETCH / STORM_EVERY.total_seconds()))
    for column, why in enumerate(_told(heard, [[each] * len(stations) for each in range(len(numbers))])):
        for gauge, each in enumerate(heard):
            judged = each.times[:, column] >= each.judged_from
            found.values += int(judged.sum())
            found.doubted += Counter(REASONS[number - 1].value for number in why[judged, gauge] if number)
    return found


def _told(heard: Sequence[Heard], towns: Sequence[Sequence[int]]) -> list[Why]:
    """Why each value is told, of each town an array of shape (rows, gauges). `towns`: of each and of each gauge the
    column in `heard`.
    """
    gates = [gated(each, COMPARED) for each in heard]
    where = [(n, column) for each in towns for n, column in enumerate(each)]
    why = np.stack([gates[n][0][:, column] for n, column in where], axis=1)
    values = np.stack([gates[n][1][:, column] for n, column in where], axis=1)
    times = np.stack([heard[n].times[:, column] for n, column in where], axis=1)
    own = near([_place(each.station) for each in heard])
    neighbours = np.concatenate([np.where(own < 0, -1, own + len(heard) * number) for number in range(len(towns))])
    learnt(beside(), times, values, neighbours, heard[0].streams[COMPARED], why)
    return list(np.split(why, len(towns), axis=1))


def _place(station: Station) -> Place:
    if station.river is None:
        return Place(station.latitude, station.longitude)
    return Place(station.latitude, station.longitude, station.river.river, station.river.km_from_mouth)


def _weathers(seed: int, number: int, months: int) -> tuple[World, World]:
    """The weather with cloudbursts, and that with storms."""
    begins, own = FIRST * STRETCH, seed + 1000 * number
    rain = []
    for n in range(int((1 + months) * STRETCH / _RAIN_EVERY)):
        start = at(begins + (n + uniform(seed, "cloudburst", number, n)) * _RAIN_EVERY)
        rain.append(Intervention(Happening.RAIN, start, start + timedelta(hours=len(CLOUDBURST))))
    return (
        World(SimulatorConfig("", 0, seed=own), town(), at(begins), rain),
        World(SimulatorConfig("", 0, seed=own, scenario=Scenario.FLOOD), town(), at(begins + STRETCH)),
    )

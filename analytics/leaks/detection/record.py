"""A year of a network, as it is watched: what was measured, and which parts of it are judged together.

    Record                               what was measured at each step
    parts(network, record, keep) -> [Part]       one for each metered zone that has something to be judged by

A part has channels (pressures of its loggers; the flow of its inlets but one, whose sum is its use; what its customers'
meters do not account for) and inputs that they follow within a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.detection.zones import Zones, zones
from analytics.leaks.network.pipes import Floats, Ints, Network

_METERED = 0.6  # of what a zone uses, by its customers' meters: then they measure its use
_WAVES = 6  # of the day
_WEEK = 7


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """`step` s; of n steps `pressures` (n, s) m at the nodes `sensors`, `flows` (n, f) m3/h in the links `meters`,
    `levels` (n, t) m of `tanks`; of h hours `customers` (h, c) L/h at the nodes `customer_nodes`; nan where missing.
    `weekday` of the first day, Monday 0."""

    step: float
    sensors: Sequence[str]
    pressures: Floats
    meters: Sequence[str]
    flows: Floats
    tanks: Sequence[str]
    levels: Floats
    customer_nodes: Sequence[str]
    customers: Floats
    weekday: int

    @property
    def per_day(self) -> int:
        return round(86400 / self.step)

    @property
    def days(self) -> int:
        """Whole ones."""
        return len(self.flows) // self.per_day


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """`pipes` (p,) that may leak here; `values` (n, c) of the channels and `given` (n, k) of the inputs, by the step;
    `sensors` (s,) the columns of the record's pressures, `links` (f,) those of its flows, that are the first s and the
    next f channels; `sign` (f,) of these links. `unaccounted`: the last channel is what customers' meters leave open,
    m3/h, by the day (d,). `use` whether the first input is the part's inflow, in which its leaks are. `inlets`
    (i,) columns of the record's flows."""

    pipes: Ints
    values: Floats
    given: Floats
    sensors: Ints
    links: Ints
    sign: Floats
    unaccounted: Floats | None
    use: bool
    inlets: Ints


def parts(network: Network, record: Record, keep: Ints) -> list[Part]:
    """Of the loggers `keep` (columns of the record's pressures)."""
    found = zones(network, record.meters, record.tanks)
    per_hour = round(3600 / record.step)
    used = found.used(record.flows, record.levels, record.step / 3600)
    place = {name: at for at, name in enumerate(network.nodes.names)}
    sensor_nodes = np.array([place[record.sensors[at]] for at in keep], dtype=np.int64)
    customer_nodes = np.array([place[each] for each in record.customer_nodes], dtype=np.int64)
    made = []
    for zone in range(used.shape[1]):
        pipes = np.flatnonzero(found.pipe == zone)
        inside = np.unique(np.concatenate([network.pipes.start[pipes], network.pipes.end[pipes]]))
        sensors = keep[np.isin(sensor_nodes, inside)]
        use, unaccounted = used[:, zone], None
        theirs = np.isin(customer_nodes, inside)
        if theirs.any():
            total = np.repeat(record.customers[:, theirs].sum(axis=1) / 1000, per_hour)[: len(use)]
            first = slice(0, 21 * record.per_day)
            if np.nanmean(total[first]) >= _METERED * np.nanmean(use[first]):
                unaccounted = _daily(use - total, record.per_day)
                use = total
        inlets = np.flatnonzero(found.sign[:, zone] > 0)
        if not len(inlets):  # what is only let out of it says nothing of what is used there
            continue
        links = inlets[:-1]
        if not len(sensors) + len(links) and unaccounted is None:
            continue
        made.append(
            Part(
                pipes,
                np.column_stack([record.pressures[:, sensors], record.flows[:, links]]),
                _inputs(record, found, zone, use),
                sensors,
                links,
                found.sign[links, zone],
                unaccounted,
                unaccounted is None,
                inlets,
            )
        )
    return made


def _inputs(record: Record, found: Zones, zone: int, use: Floats) -> Floats:
    """Use, its square, what is let out and how that goes with use, tanks, the hours of workdays and of days off."""
    columns = [use, use**2 / 100]
    for link in np.flatnonzero(found.sign[:, zone] < 0):
        columns += [record.flows[:, link], record.flows[:, link] * use / 100]
    columns += [record.levels[:, tank] for tank in np.flatnonzero(found.area[:, zone])]
    at = np.arange(len(use))
    hour = 2 * np.pi * (at % record.per_day) / record.per_day
    off = ((at // record.per_day + record.weekday) % _WEEK >= 5).astype(float)
    for wave in range(1, _WAVES + 1):
        for each in (np.cos(wave * hour), np.sin(wave * hour)):
            columns += [each, each * off]
    return np.column_stack(columns)


def _daily(values: Floats, per_day: int) -> Floats:
    """(d,) means of whole days; nan where less than half of one is there."""
    days = values[: len(values) // per_day * per_day].reshape(-1, per_day)
    there = np.isfinite(days)
    count = there.sum(axis=1)
    return np.where(count * 2 >= per_day, np.where(there, days, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)

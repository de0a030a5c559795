"""What 1 m3/h that leaks from each pipe does to what a record measures: by the map, or by a hydraulic model.

effects(network, record, by_model=, leaks=) -> Effects

How much a leak moves a logger depends on how much flows already, so both follow what the meters measured on the first
days. The map has it evenly along its pipes. The model has its own demands, multiplied in each metered zone
(`detection.zones`) and at each hour to what was used there: a file's demands are often of the year of its making, or of
the busiest day. How they are spread within a zone is left as the file has it, and all of a zone that nobody measured.

Tried and not taken: to fit the pipes' roughness to how the loggers follow use. It found more in one year and with few
loggers less, for those who use more at an odd hour do not live everywhere alike. Nor the map's flow by zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.leaks.detection.record import Record
from analytics.leaks.detection.zones import Zones, zones
from analytics.leaks.location.free import felt
from analytics.leaks.location.model import HOURS, Model
from analytics.leaks.network.pipes import Floats, Ints, Network

_LEARNED_FROM = 21  # days whose inflow says how much runs in the pipes
_UNKNOWN = 1.0  # m3/h/km that is used where no pipe has a meter
_TIMES = 10.0  # a file is not further off than that; else it is another network's, or the meter is


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """`heads` (p, s) m at the record's loggers, `shares` (p, f) m3/h in its metered links; `map_heads` as `heads`, by
    the map alone."""

    heads: Floats
    shares: Floats
    map_heads: Floats


def effects(network: Network, record: Record, *, by_model: bool, leaks: Mapping[int, float] | None = None) -> Effects:
    """`leaks`: m3/h by pipe of leaks that were found and run all the time, which the model then has too.

    location.model.ModelError: the network has no model, or none that can be calculated.
    """
    place = {name: at for at, name in enumerate(network.nodes.names)}
    pipe = {name: at for at, name in enumerate(network.pipes.names)}
    nodes = np.array([place[each] for each in record.sensors], dtype=np.int64)
    # A meter at a pump or a valve has no share that the map could say.
    metered = [at for at, each in enumerate(record.meters) if each in pipe]
    links = np.array([pipe[record.meters[at]] for at in metered], dtype=np.int64)
    map_only = felt(network, nodes, links, _metered(network, record, metered))
    shares = np.zeros((len(network.pipes), len(record.meters)))
    shares[:, metered] = map_only.flows
    heads = map_only.heads
    if by_model:
        heads = _by_model(network, zones(network, record.meters, record.tanks), record, nodes, leaks or {})
    return Effects(heads, shares, map_only.heads)


def _metered(network: Network, record: Record, metered: Sequence[int]) -> float:
    """m3/h in all of the meters on pipes."""
    several = np.abs(record.flows[: _LEARNED_FROM * record.per_day, metered])
    there = np.isfinite(several)
    if not there.any():
        return _UNKNOWN * float(np.nansum(network.pipes.length)) / 1000
    return float((np.where(there, several, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)).sum())


def _used(found: Zones, record: Record, hour: float) -> Floats:
    """(z,) m3/h that each zone used at an hour of the first days; nan where nobody knows."""
    rows = slice(0, _LEARNED_FROM * record.per_day)
    several = found.used(record.flows[rows], record.levels[rows], record.step / 3600)
    at = (np.arange(len(several)) + 0.5) % record.per_day * record.step / 3600
    several = several[np.abs((at - hour + 12) % 24 - 12) <= max(0.5, record.step / 7200)]
    there = np.isfinite(several)
    mean = np.where(there, several, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there.any(axis=0), mean, np.nan)


def _by_model(network: Network, found: Zones, record: Record, nodes: Ints, leaks: Mapping[int, float]) -> Floats:
    """(p, s), the mean over the hours, each with the demands that its meters measured."""
    with Model(network) as model:
        drawn = {hour: model.drawn(hour) for hour in HOURS}
    # What no pipe of a zone touches belongs to none.
    zone = np.full(len(network.nodes), -1)
    inside = found.pipe >= 0
    for ends in (network.pipes.start, network.pipes.end):
        zone[ends[inside]] = found.pipe[inside]
    several = []
    for hour in HOURS:
        measured = _used(found, record, hour)
        own = np.array([drawn[hour][zone == each].sum() for each in range(len(measured))])
        times = np.where((own > 0) & (measured > 0), measured / np.where(own > 0, own, 1.0), 1.0)
        times = np.append(np.where((times > 1 / _TIMES) & (times < _TIMES), times, 1.0), 1.0)
        assert network.hydraulics is not None  # a model has been opened
        demand = times[zone[network.hydraulics.demand_node]]
        with Model(network, demand=demand, leaks=leaks) as model:
            several.append(model.sensitivities(nodes, hours=(hour,))[0])
    result: Floats = np.mean(several, axis=0)
    return result

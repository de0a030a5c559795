"""What 1 m3/h that leaks from each pipe does to what a record measures: by the map, or by a hydraulic model.

effects(network, record, by_model=, leaks=) -> Effects
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analytics.leaks.detection.record import Record
from analytics.leaks.location.free import felt
from analytics.leaks.location.model import Model
from analytics.leaks.network.pipes import Floats, Network

_LEARNED_FROM = 21  # days whose inflow says how much runs in the pipes


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
    learned = record.flows[: _LEARNED_FROM * record.per_day, metered]
    inflow = np.nanmean(np.abs(learned).sum(axis=1)) if np.isfinite(learned).all(axis=1).any() else np.nan
    map_only = felt(network, nodes, links, float(inflow))
    shares = np.zeros((len(network.pipes), len(record.meters)))
    shares[:, metered] = map_only.flows
    heads = map_only.heads
    if by_model:
        with Model(network, leaks=leaks) as model:
            heads = model.sensitivities(nodes).mean(axis=0)
    return Effects(heads, shares, map_only.heads)

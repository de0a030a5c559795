"""What the network alone decides of a town's loggers, kept between looks at them.

keep(kept, network, key, found, running)       who is near to whom, what a leak in each pipe would do
nearest(network, report, found, where) -> [station ids]           where a finding of it may stand
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import structlog
from scipy import sparse

from analytics.leaks.detection.report import Report
from analytics.leaks.detection.year import REACH_M
from analytics.leaks.location.felt import Effects, effects
from analytics.leaks.location.model import ModelError
from analytics.leaks.loggers.measured import Measured
from analytics.leaks.loggers.places import Located, Placed
from analytics.leaks.network.pipes import Network, middle_distances, within

log = structlog.get_logger(__name__)

# What numerics raise of numbers that nobody thought of: LinAlgError is a ValueError, a singular matrix a RuntimeError.
NO_NUMBERS = (ValueError, ArithmeticError, LookupError, RuntimeError)


@dataclass(slots=True)
class Kept:
    """What stays the same between nights, and for which network, loggers and found leaks it was worked out."""

    key: object = None
    near: sparse.csr_array | None = None
    effects: Effects | None = None
    by_model: bool = False


def placed_names(placed: list[Placed], where: Located) -> tuple[tuple[int, object], ...]:
    """What decides where everything is."""
    return tuple((each.station_id, where.link.get(each.station_id, where.node.get(each.station_id))) for each in placed)


def keep(kept: Kept, network: Network, key: object, found: Measured, running: dict[int, float]) -> None:
    """Works it out where network, loggers or found leaks are other than before. `running`: m3/h by pipe."""
    full = (key, tuple(sorted((pipe, round(size, 1)) for pipe, size in running.items())))
    if kept.key == full:
        return
    kept.by_model = network.hydraulics is not None
    if kept.by_model:
        try:
            kept.effects = effects(network, found.record, by_model=True, leaks=running)
        except ModelError as error:
            log.warning("leak_model_failed", error=str(error))
            kept.by_model = False
    if not kept.by_model:
        kept.effects = effects(network, found.record, by_model=False)
    kept.near, kept.key = within(network, REACH_M), full


def nearest(network: Network, report: Report, found: Measured, where: Located) -> list[int]:
    """Station ids, that of the nearest logger first; the inlets last."""
    distance = middle_distances(network, [report.pipe])[0]
    own, place = network.pipes, {name: at for at, name in enumerate(network.nodes.names)}
    metres = []
    for name in found.record.sensors:
        touching = np.flatnonzero((own.start == place[name]) | (own.end == place[name]))
        metres.append(float(distance[touching].min(initial=np.inf)))
    order = [found.sensors[at] for at in np.argsort(metres, kind="stable")]
    return list(dict.fromkeys([*order, *found.flows]))

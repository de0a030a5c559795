"""Which section leaks, by what still flows into a block while valves are closed one after the other (ステップテスト).

    read(inflow, fed) -> Reading            how probably in what each step took out, how large; or that it says nothing
    chances(metres, reading) -> (p,)        of every pipe, even by the metre within a section

Beforehand a leak is as likely on every metre that is fed, none at all has the probability NONE, and any share of the
first inflow may leak. The rest of it is use, which goes by the km still fed. For each section and each share the whole
inflow is fitted to all readings by least squares, and its likelihood summed over the shares: a leak that explains no
more than use does is the less likely for the freedom it has.

A reading scatters by SCATTER m3/h and SCATTER_SHARE of itself, and what a section uses differs from its share by UNEVEN
of it. These are assumptions: nights with what was found after them are not public. Where the best section leaves more
over than that, the night scattered more than usual, and all is as much less sure (Birge's ratio).

Limits: one leak; of two in different sections it names the larger one, of two alike mostly both. A valve that does not
close, a large customer who begins to draw, a tank that fills look like anything. Cost: O(200 steps^3).

Sources: step testing as in Farley & Trow, Losses in Water Distribution Networks (IWA, 2003), ch. 6: the fall of the
inflow against what the properties shut off would use. Birge, Phys. Rev. 40 (1932) 207.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, ndtr, rel_entr

from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.network.pipes import Floats

NONE = 0.2
SCATTER, SCATTER_SHARE = 0.15, 0.03  # m3/h, of the reading: a quarter of an hour of a few flushes; the meter
UNEVEN = 0.5
_SHARES = 200
_LEAST_KM = 0.01  # taken out by all steps together
_RISE = 3.0  # standard deviations of the difference of two readings
_TELLS = 0.2  # nats that it has to tell of where: ruling out a fifth of the km tells as much

Silent = Literal["shut", "rose", "use", "scatter", "unclear"]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Of n steps: `probability` (n + 1,) that it leaks in what the step took out, the last what stayed fed; `none` that
    there is no leak; all together 1. `area`: the sections that hold the leak to HOLDS, likeliest first, and of
    the first one `size` m3/h, between `low` and `high` with HOLDS.

    `silent`: why it says nothing of where; None: it does. shut: no step took pipes out (a ring was not opened); rose:
    the inflow rose after a step; use: what the use alone explains; scatter: the falls are within what readings scatter;
    unclear: no fall stands out.
    """

    probability: Floats
    none: float
    area: tuple[int, ...]
    size: float
    low: float
    high: float
    silent: Silent | None


def read(inflow: npt.ArrayLike, fed: npt.ArrayLike) -> Reading:
    """`inflow` (n + 1,) m3/h before the first step and after each, not negative; `fed` (n + 1,) km at each, which never
    grow and begin above 0. At least one step.

    >>> found = read([6.0, 5.5, 1.6, 1.0], [3.0, 2.4, 1.6, 0.8])
    >>> found.area, found.probability.round(2).tolist(), round(found.none, 2)
    ((1,), [0.0, 0.99, 0.0, 0.0], 0.01)
    >>> round(found.size, 1), round(found.low, 1), round(found.high, 1), found.silent
    (3.1, 2.3, 3.7, None)
    >>> read([6.0, 4.7, 3.3, 1.5], [3.0, 2.4, 1.6, 0.8]).silent
    'use'
    """
    read_, km = np.asarray(inflow, float), np.asarray(fed, float)
    steps = len(read_) - 1
    if steps < 1 or len(km) != len(read_) or not km[0] > 0 or (np.diff(km) > 1e-9).any() or not (read_ >= 0).all():
        raise ValueError("one reading before and one after each step, and km that never grow")
    sections = np.maximum(np.append(-np.diff(km), km[-1]), 0.0)
    prior = (1 - NONE) * sections / km[0]
    apart = np.hypot(SCATTER, SCATTER_SHARE * read_)
    if sections[:-1].sum() < _LEAST_KM:
        return Reading(prior, NONE, (), 0.0, 0.0, float(read_[0]), "shut")
    # Section i is fed at the readings before step i + 1.
    on = (np.arange(steps + 1)[:, None] <= np.arange(steps + 1)[None, :]).astype(float)
    shares = (np.arange(_SHARES) + 0.5) / _SHARES
    share = np.append(0.0, shares)[:, None, None]
    used = read_[0] * (1 - share) / km[0] * sections * UNEVEN
    turned = np.linalg.inv(np.diag(apart**2) + (on * used**2) @ on.T)  # a row a share, from here on
    shape = (1 - share) * km[:, None] / km[0] + share * on  # of the inflow in all, by reading and section
    power = np.einsum("rjs,rjk,rks->rs", shape, turned, shape)
    whole = np.einsum("rjs,rjk,k->rs", shape, turned, read_) / power
    left = np.einsum("j,rjk,k->r", read_, turned, read_)[:, None] - whole**2 * power
    weight = np.linalg.slogdet(turned)[1][:, None] / 2 - np.log(power) / 2
    wide = 1 / np.sqrt(power)
    possible = sections > 0
    birge = max(float(left[:, possible].min()) / (steps - 1), 1.0) if steps > 1 else 1.0
    likely = weight - left / (2 * birge)
    with np.errstate(divide="ignore"):
        log = np.append(logsumexp(likely[1:], axis=0) - np.log(_SHARES) + np.log(prior), likely[0, 0] + np.log(NONE))
    found: Floats = np.exp(log - logsumexp(log))
    probability, none = found[:-1], float(found[-1])
    order = [int(each) for each in np.argsort(-probability, kind="stable") if possible[each]]
    held = np.cumsum(probability[order]) / max(1 - none, 1e-12)
    area = tuple(order[: min(int(np.searchsorted(held, HOLDS)) + 1, len(order))])
    best = area[0]
    size = _sizes(likely[1:, best], shares * whole[1:, best], shares * wide[1:, best] * np.sqrt(birge))
    silent: Silent | None = None
    if (np.diff(read_) > _RISE * np.hypot(apart[1:], apart[:-1])).any():
        silent = "rose"
    elif none >= 0.5:
        silent = "use"
    elif rel_entr(probability / probability.sum(), prior / prior.sum()).sum() < _TELLS:
        within = (-np.diff(read_) < _RISE * np.hypot(apart[1:], apart[:-1])).all()
        silent = "scatter" if within else "unclear"
    return Reading(probability, none, area, *size, silent)


def _sizes(log: Floats, middle: Floats, wide: Floats) -> tuple[float, float, float]:
    """The middle one and the interval of a mixture of normal ones."""
    share = np.exp(log - log.max())
    share /= share.sum()
    wide = np.maximum(wide, 1e-9)
    at = np.linspace(0.0, float((middle + 4 * wide).max()), 500)
    below = ndtr((at[:, None] - middle) / wide) @ share
    low, half, high = np.interp([(1 - HOLDS) / 2, 0.5, (1 + HOLDS) / 2], below, at)
    return float(half), float(low), float(high)


def chances(metres: Floats, reading: Reading) -> Floats:
    """`metres` (n + 1, p) of each pipe in each section; (p,) that it leaks there if it leaks at all, summing to 1.

    >>> found = read([6.0, 1.6], [3.0, 2.4])
    >>> chances(np.array([[450.0, 150.0, 0.0], [0.0, 150.0, 2250.0]]), found).round(2).tolist()
    [0.75, 0.25, 0.0]
    """
    lengths = metres.sum(axis=1)
    part = np.where(lengths > 0, reading.probability, 0.0)
    shared: Floats = (part / part.sum()) @ (metres / np.maximum(lengths, 1e-9)[:, None])
    return shared

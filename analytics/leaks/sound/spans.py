"""Which pipes a noise may come from that loggers hear, by how loud each of them hears it.

    losses(network) -> (p,)                       dB that a pipe takes from the noise, from end to end
    reaches(network, nodes) -> (k, n)             dB from the loggers' nodes to every node
    spans(network, reach, levels, usual, domain) -> (d,)   the probability of each pipe of `domain`

A noise that is so loud where it comes from gets weaker along the pipe, much faster in plastic than in iron, and adds to
what a logger usually hears there. How loud it is nobody knows: all that is possible is tried, and what is louder is
rarer. So a logger that hears much is near, one that hears nothing new is not, and of two that hear the same the noise
is between; on iron the area is long, on plastic short.

Loss a metre: *assumed* orders of magnitude, metal 0.1 dB, asbestos cement, concrete and lead 0.2, plastic 0.6, not
known 0.3. On site they differ by a factor of two and more, with the noise's pitch, the soil and the joints; the scatter
that is reckoned with is half of the loss and 4 dB, beside 1.5 dB of the usual and the present level. Branches, hydrants
and meters on the way take their part too: that is in the scatter. Of several noises at once the method makes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from analytics.leaks.network.attributes import material
from analytics.leaks.network.pipes import Floats, Ints, Network, ways

AUDIBLE = 40.0  # dB of loss beyond which nobody hears a leak
TOGETHER = 1.5 * AUDIBLE  # dB between two loggers that may hear the same one, which lies between them

_UNKNOWN = 0.3  # dB/m
_LOSS: Mapping[str, float] = {
    **dict.fromkeys(("DIP", "CIP", "SP", "SUS"), 0.1),
    **dict.fromkeys(("ACP", "CP", "LP"), 0.2),
    **dict.fromkeys(("VP", "HIVP", "HPPE", "PP"), 0.6),
}
_POINTS = (np.arange(5) + 0.5) / 5  # along each pipe
_NIGHTLY, _ROUGH, _SHARE = 1.5, 4.0, 0.5  # dB, dB, of the loss
_LOUDER = 15.0  # dB for which a source is e times as rare
_STEP = 1.5  # dB of the sources that are tried
_BEL = np.log(10) / 10


def losses(network: Network) -> Floats:
    """(p,) dB."""
    each = [_UNKNOWN if said is None else _LOSS.get(material(said), _UNKNOWN) for said in network.pipes.material]
    found: Floats = np.nan_to_num(network.pipes.length) * np.array(each, dtype=np.float64)
    return found


def reaches(network: Network, nodes: Ints) -> Floats:
    """(k, n) dB by the way that takes least, from each of `nodes` (k,); inf where none leads. Valves take nothing."""
    return ways(replace(network, pipes=replace(network.pipes, length=losses(network))), nodes)


def spans(network: Network, reach: Floats, levels: Floats, usual: Floats, domain: Ints) -> Floats:
    """`reach` (k, n) of the loggers, as `reaches` gives it; `levels` and `usual` (k,) dB that they hear now and else;
    `domain` (d,) index of the pipes that it may be. Sums to 1.
    """
    own, loss = network.pipes, losses(network)[domain, None] * _POINTS
    behind = losses(network)[domain, None] - loss
    # (k, d, points): the loss on the way to each logger; what is farther is not heard there, as infinitely far.
    way = np.minimum(reach[:, own.start[domain], None] + loss, reach[:, own.end[domain], None] + behind)
    way = np.minimum(way, 4 * AUDIBLE)
    loudest = float(levels.max())
    sources = np.arange(loudest - 2 * _NIGHTLY, loudest + 1.5 * AUDIBLE, _STEP)
    log = np.empty((len(sources), *way.shape[1:]))
    background = usual[:, None, None]
    for at, source in enumerate(sources):
        arrives = source - way
        together = np.logaddexp(background * _BEL, arrives * _BEL) / _BEL
        felt = np.exp(np.minimum((arrives - together) * _BEL, 0.0))  # the noise's part of what is heard
        scatter = _NIGHTLY**2 + felt**2 * (_ROUGH**2 + (_SHARE * way) ** 2)
        wrong = (levels[:, None, None] - together) ** 2 / scatter + np.log(scatter)
        log[at] = -wrong.sum(axis=0) / 2 - (source - loudest) / _LOUDER
    weight = np.exp(log - log.max()).sum(axis=0).mean(axis=-1) * np.maximum(own.length[domain], 0.1)
    probability: Floats = weight / weight.sum()
    return probability

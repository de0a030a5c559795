"""What an event does to what is expected: as many times more or fewer as its earlier ones at this spot had.

    ratio(came, without)                          of an event that is over
    known(name, kind, past) -> Effect             from what earlier events were beside what would have been without them
    with_effect(value, low, high, effect)         the same expectation on a day of the event

The earlier events are those of the same name (`alike_name`: without the year and the number of the event), else those
of the same kind. The effect is the mean of the logarithms of their ratios; its 90 % half-width is that of one more
event of this sort, by Student's t, with six events of a usual scatter put beside those seen (a festival in the rain has
half of what it had last year), so that one earlier event says something, and not too much. Without any the number stays
what it is without the event and the interval goes from a third to three times of it: nobody knows more, and nothing
that is known makes it wider.

When it works badly: an event that has another place, length or fame than its earlier ones; two at once (then that with
the more known past counts).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, log1p
from typing import Literal

import numpy as np

Basis = Literal["same", "alike", "none"]

UNKNOWN = log(3.0)
_USUAL_SCATTER: dict[Basis, float] = {"same": 0.3, "alike": 0.5}  # of log ratios, from one event to the next
_BESIDE = 6  # events of this scatter that stand beside those seen
_MOST = 3.0  # in log; a larger ratio is a fault of a counter
_COUNTING = re.compile(r"(第?\d+回?|令和|平成|年度?|\W|_)")


@dataclass(frozen=True, slots=True)
class Past:
    """An event that is over, at one spot: log ratio of what came to what would have come without it."""

    name: str
    kind: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Effect:
    """`shift` of the logarithm, with a 90 % half-width `spread`; from `past` events."""

    name: str
    basis: Basis
    past: int
    shift: float
    spread: float

    @property
    def factor(self) -> float:
        return float(np.exp(self.shift))


def alike_name(name: str) -> str:
    """What two editions of an event have in common.

    >>> alike_name("第12回 滝まつり（2026年）") == alike_name("滝まつり 2025"), alike_name("令和8年度 花見")
    (True, '花見')
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return _COUNTING.sub("", plain) or plain


def ratio(came: Sequence[float], without: Sequence[float]) -> float:
    """Of the days of an event together, with what was expected without it.

    >>> round(ratio([199.0, 99.0], [99.0, 49.0]), 2)
    0.7
    """
    return float(np.clip(np.log((sum(came) + 1) / (sum(without) + 1)), -_MOST, _MOST))


def known(name: str, kind: str, past: Iterable[Past]) -> Effect:
    """Of an event at a spot, from those before it there.

    >>> made = known("滝まつり2026", "event", [Past("滝まつり2025", "event", 0.7), Past("朝市", "event", 0.1)])
    >>> made.basis, made.past, made.shift, known("花火", "closure", []).basis
    ('same', 1, 0.7, 'none')
    """
    earlier = list(past)
    same = [each.ratio for each in earlier if alike_name(each.name) == alike_name(name)]
    alike = [each.ratio for each in earlier if each.kind == kind]
    basis: Basis = "same" if same else "alike" if alike else "none"
    if basis == "none":
        return Effect(name, basis, 0, 0.0, UNKNOWN)
    from scipy.special import stdtrit  # takes a while to load, and pages only read

    ratios = np.array(same or alike)
    n, freedom = len(ratios), len(ratios) - 1 + _BESIDE
    scatter = (((ratios - ratios.mean()) ** 2).sum() + _BESIDE * _USUAL_SCATTER[basis] ** 2) / freedom
    spread = float(stdtrit(freedom, 0.95)) * (scatter * (1 + 1 / n)) ** 0.5
    return Effect(name, basis, n, float(ratios.mean()), min(float(spread), UNKNOWN))


def with_effect(value: float, low: float, high: float, effect: Effect) -> tuple[float, float, float]:
    """What is expected on a day of it, from the same without it; nan stays nan.

    >>> [round(each) for each in with_effect(99, 49, 199, Effect("祭", "none", 0, 0.0, UNKNOWN))]
    [99, 27, 363]
    """
    made, middle = value * effect.factor, log1p(value)
    down, up = (hypot(log1p(each) - middle, effect.spread) for each in (low, high))
    return made, made * exp(-down), max(high * effect.factor, made * exp(up))

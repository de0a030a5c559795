"""How fast the noise of a leak travels in a full pipe.

    speed(material, diameter) -> Speed        m/s, with what it may be at least and at most
    MATERIALS                                 the signs it knows (DIP, VP, ...), as analytics.leaks.network.attributes

Below a few hundred hertz the noise travels in the water, and a wall that gives way slows it (Korteweg):

    c = sqrt(K / rho) / sqrt(1 + K / E * D / e)

with the bulk modulus K of water of 5 to 25 degrees, the modulus E of the wall at such frequencies, the inner diameter D
and the thickness e of the wall as the standard of the pipe has it. What E and e may be gives the range. Downwards there
is a tenth more: joints and gas in the water slow the sound, and the tables of makers differ by that much.

A range of a sixth in iron and two fifths in plastic is what there is without a measurement. Whoever can make a noise
beyond one of the two recorders (a running hydrant) measures it: the length divided by the delay.

Sources: D. J. Korteweg, Annalen der Physik 241 (1878); T. Graf et al., Acoustic Wave Propagation in Water Filled Buried
Polyethylene Pipes, COMSOL Conference 2014 (2.2 GPa in PE, the soil hardly matters at low frequencies); O. Hunaidi,
W. T. Chu, Acoustical characteristics of leak signals in plastic water distribution pipes, Applied Acoustics 58 (1999);
R. Long et al., Acoustic wave propagation in buried iron water pipes, Proc. R. Soc. A 459 (2003). Walls: nominal ones of
JIS G 5526, JIS G 3452, JIS K 6742, JIS K 6762, JWWA K 144 and JWWA G 115.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_WATER = (2.06, 2.24)  # GPa at 5 and at 25 degrees; a litre has a kilogram
_SLOWER = 0.9
_ANY = (50.0, 250.0)  # mm, of a pipe whose diameter nobody knows
_MEASURED = 0.02  # a share: how well a speed is known that somebody measured


@dataclass(frozen=True, slots=True)
class Speed:
    """m/s: at least `low`, at most `high`."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """m/s in the middle of what it may be."""
        return (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class _Wall:
    """`modulus` GPa from and to. The wall is `share` of the inner diameter, but not thinner than `least` mm: the first
    of each pair where it is thin, the second where it is thick.
    """

    modulus: tuple[float, float]
    share: tuple[float, float]
    least: tuple[float, float] = (0.0, 0.0)


_WALLS: Mapping[str, _Wall] = {
    "DIP": _Wall((160, 175), (0.0155, 0.018), (6.0, 7.5)),
    "CIP": _Wall((85, 120), (0.022, 0.033), (7.5, 10.0)),
    "SP": _Wall((200, 210), (0.02, 0.03), (3.5, 4.5)),
    "SUS": _Wall((190, 200), (0.02, 0.03), (1.0, 1.5)),
    "VP": _Wall((3.0, 4.0), (0.053, 0.08)),
    "HIVP": _Wall((2.6, 3.6), (0.055, 0.085)),
    "HPPE": _Wall((1.2, 2.4), (0.105, 0.12)),
    "PP": _Wall((0.5, 1.8), (0.13, 0.28)),
    "ACP": _Wall((20, 30), (0.09, 0.15)),
    "LP": _Wall((14, 17), (0.2, 0.3)),
    "CP": _Wall((25, 40), (0.09, 0.15)),
}
MATERIALS = tuple(_WALLS)


def speed(material: str, diameter: float | None = None) -> Speed:
    """Of a sign of MATERIALS (else KeyError) and its nominal `diameter` in mm; None where that is not known.

    >>> [round(speed(each, 100).middle, -1) for each in ("DIP", "VP", "HPPE")]
    [1280.0, 440.0, 410.0]
    """
    wall = _WALLS[material]
    thin, thick = _ANY if diameter is None else (diameter, diameter)
    # What gives way most is the wide pipe with the thin soft wall.
    yielding = [
        d / max(share * d, least) / modulus
        for d, share, least, modulus in zip((thick, thin), wall.share, wall.least, wall.modulus, strict=True)
    ]
    low, high = (1000 * math.sqrt(water / (1 + water * give)) for water, give in zip(_WATER, yielding, strict=True))
    return Speed(low * _SLOWER, high)


def measured(metres_a_second: float) -> Speed:
    """What somebody measured in this pipe.

    >>> measured(500.0)
    Speed(low=490.0, high=510.0)
    """
    return Speed(metres_a_second * (1 - _MEASURED), metres_a_second * (1 + _MEASURED))

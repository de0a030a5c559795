"""Units of measurement as UCUM writes them, and what one is in another.

    conversion("mm", "m") == (0.001, 0.0)        value in m = value in mm x 0.001 + 0.0

By ucumvert and pint, which take a second and a half to load: only where units differ in a way that is not usual, and
once a process.

A count of something ("{passage}") is a unit of its own here, although UCUM takes every {…} for 1: nobody but a person
knows how many passages a {vehicle} is. A number without a unit ("1") counts as whatever is wanted.
"""

from __future__ import annotations

import math
import threading
import warnings
from functools import lru_cache
from typing import Any

from devices.model import DevicesError

LONGEST_UNIT = 60
# What people write, and data sheets; the rest is UCUM.
_MEANT = {
    "℃": "Cel",
    "°C": "Cel",
    "°F": "[degF]",
    "℉": "[degF]",
    "psi": "[psi]",
    "mH2O": "m[H2O]",
    "mAq": "m[H2O]",
    "cmH2O": "cm[H2O]",
    "mmH2O": "mm[H2O]",
    "mmAq": "mm[H2O]",
    "inch": "[in_i]",
    "in": "[in_i]",
    "ft": "[ft_i]",
    "feet": "[ft_i]",
    "pH": "[pH]",
    "ppm": "[ppm]",
    "NTU": "{NTU}",
    "FTU": "{FTU}",
    "度": "{degree}",
    "人": "{person}",
    "台": "{vehicle}",
    "%RH": "%",
    "Volt": "V",
    "volts": "V",
    "": "1",
}
_LETTERS = str.maketrans(
    {"µ": "u", "μ": "u", "²": "2", "³": "3", "㎥": "m3", "㎡": "m2", "㎜": "mm", "㎝": "cm", "％": "%"}
)
# What nobody need ask the library about: every process that reads a town would load it for these.
_USUAL = frozenset(
    {"1", "m", "cm", "mm", "V", "mV", "%", "s", "min", "h", "Cel", "kPa", "m3", "m3/h", "L", "L/min", "dB"}
)
# What rivers come in, from files and gauges; loading the library costs more than reading a year of one of them.
FACTORS = {
    ("cm", "m"): 0.01,
    ("mm", "m"): 0.001,
    ("[ft_i]", "m"): 0.3048,
    ("[in_i]", "mm"): 25.4,
    ("L/s", "m3/h"): 3.6,
    ("m3/s", "m3/h"): 3600.0,
    ("[ft_i]3/s", "m3/h"): 101.940647731,
}
# Near enough to 1 that a factor of 3.600000000000001 is one of arithmetic and not of nature.
_DIGITS = 12

_lock = threading.Lock()


class UnitError(DevicesError):
    """A unit cannot be read, or not be converted."""


def ucum(text: str) -> str:
    """The unit as UCUM writes it, where people write it otherwise (℃, m³/h, psi); what is known to nobody comes back
    as it is.
    """
    text = text.strip().translate(_LETTERS)
    return _MEANT.get(text, text)


def conversion(unit: str, wanted: str) -> tuple[float, float]:
    """(scale, offset): value in `wanted` = value in `unit` x scale + offset.

    Raises UnitError where one of them is no unit, or where they do not measure the same.
    """
    unit, wanted = ucum(unit), ucum(wanted)
    if unit == wanted or (unit == "1" and _counts(wanted)):
        return 1.0, 0.0
    if (unit, wanted) in FACTORS:
        return FACTORS[unit, wanted], 0.0
    return converted(unit, wanted)


def check_unit(unit: str) -> None:
    """Raises UnitError where this is no unit."""
    unit = ucum(unit)
    if unit not in _USUAL and not _counts(unit):
        _quantity(unit)


def _counts(unit: str) -> bool:
    """Whether it is one annotation alone, a count of something."""
    return len(unit) > 2 and unit[0] == "{" and unit[-1] == "}" and unit.count("{") == 1 and len(unit) <= LONGEST_UNIT


@lru_cache(maxsize=256)
def converted(unit: str, wanted: str) -> tuple[float, float]:
    """The same by the library alone, of units as UCUM writes them."""
    if _counts(unit) or _counts(wanted):
        raise UnitError(f"{unit} cannot become {wanted}: say yourself how many it is, with scale and offset")
    source, target = _quantity(unit), _quantity(wanted)
    try:
        with _lock:
            points = [_in(source, target, value) for value in (0.0, 1.0, 2.0)]
    except Exception:  # pint's own, and what arithmetic throws at huge exponents
        raise UnitError(f"{unit} cannot become {wanted}: give scale and offset yourself") from None
    scale, offset = points[1] - points[0], points[0]
    if not (math.isfinite(scale) and math.isfinite(offset)) or scale == 0:
        raise UnitError(f"{unit} cannot become {wanted}: the factor between them is no number")
    if not math.isclose(points[2], points[0] + 2 * scale, rel_tol=1e-9, abs_tol=1e-12):
        raise UnitError(f"{unit} does not become {wanted} by scale and offset: a logarithm lies between them")
    return _rounded(scale), _rounded(offset)


def _in(source: Any, target: Any, value: float) -> float:
    moved = _registry().Quantity(value * source.magnitude, source.units).to(target.units)
    return float(moved.magnitude / target.magnitude)


def _quantity(unit: str) -> Any:
    """The unit as pint has it: so many of which."""
    if len(unit) > LONGEST_UNIT:
        raise UnitError(f"{unit[:20]}… is no unit: it has {len(unit)} characters")
    if unit == "1":
        return _registry().Quantity(1.0)
    try:
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _registry().from_ucum(unit)
            return _registry().Quantity(found.magnitude, found.units)
    except Exception:  # lark's errors, pint's, and a plain AttributeError where there is nothing but an annotation
        raise UnitError(
            f"{unit!r} is no unit that UCUM knows: write for example mm, m, kPa, Cel (degrees Celsius), L/min, V, %"
        ) from None


@lru_cache(maxsize=1)
def _registry() -> Any:
    # Takes a second and a half, and is wanted where somebody registers a device: not at every start of everything.
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")

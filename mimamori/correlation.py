"""`mimamori correlate`: where between two recorders the noise of a leak comes from.

clear               whether both heard a noise in common; without it there is no place
from_a_m            metres from A: [at least, likely, at most], 80 %; null: no place. from_b_m the same from B
beyond              "a" or "b": it comes from there or from behind it; null: from between
delay_ms            later at B than at A: [at least, likely, at most], 80 %
strength            the peak, in standard deviations of the correlation where no peak can be
band_hz             what was heard in common: [from, to]
stretches           [{"length_m", "speed_ms": [least, most], "share"}]: how probably it is in each
seconds, rate       of what was compared
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analytics.leaks.location.suspects import HOLDS
from analytics.leaks.network import attributes
from analytics.leaks.sound.correlator import correlate
from analytics.leaks.sound.recordings import RecordingError, read_pair
from analytics.leaks.sound.speed import MATERIALS, measured, speed
from analytics.leaks.sound.way import Stretch
from api.pages.assets import ROOM
from api.pages.correlate import refused
from api.pages.words import load_words
from mimamori.bench.report import give
from mimamori.errors import InputError


def correlate_files(
    files: Sequence[Path],
    lengths: Sequence[float],
    materials: Sequence[str],
    diameters: Sequence[float],
    known: float | None,
    asynchrony: float,
    *,
    as_json: bool,
) -> None:
    """Prints what was found. InputError where files or pipes cannot be used."""
    stretches = _stretches(lengths, materials, diameters, known)
    try:
        pair = read_pair([(file.name, file.read_bytes()) for file in files])
        found = correlate(pair, stretches, asynchrony=asynchrony)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except RecordingError as error:
        raise InputError(refused(load_words(ROOM / "locales")["en"], error)) from None
    place, heard = found.place, found.delay
    low, high = np.quantile(heard.draws, [(1 - HOLDS) / 2, (1 + HOLDS) / 2])
    figures: dict[str, Any] = {
        "clear": heard.clear,
        "from_a_m": None if place is None else [round(each, 1) for each in (place.low, place.metres, place.high)],
        "from_b_m": None
        if place is None
        else [round(place.length - each, 1) for each in (place.high, place.metres, place.low)],
        "beyond": None if place is None else place.beyond,
        "delay_ms": [round(float(each) * 1000, 2) for each in (low, heard.seconds, high)] if heard.clear else None,
        "strength": round(heard.strength, 1),
        "band_hz": [round(each) for each in heard.band] if heard.clear else None,
        "stretches": [
            {
                "length_m": each.length,
                "speed_ms": [round(each.speed.low), round(each.speed.high)],
                "share": None if place is None else round(place.shares[at], 3),
            }
            for at, each in enumerate(stretches)
        ],
        "seconds": round(pair.seconds, 1),
        "rate": pair.rate,
    }
    rows = [
        (f"{each['length_m']:g} m", "{} to {} m/s".format(*each["speed_ms"]), _percent(each["share"]))
        for each in figures["stretches"]
    ]
    give(figures, _title(figures), ("from A on", "speed of sound", "it is there"), rows, as_json=as_json)


def _stretches(
    lengths: Sequence[float], materials: Sequence[str], diameters: Sequence[float], known: float | None
) -> list[Stretch]:
    if known is not None:
        if materials or diameters:
            raise InputError("--speed is instead of --material and --diameter: give the one or the other")
        return [Stretch(each, measured(known)) for each in lengths]
    if len(materials) != len(lengths):
        raise InputError(f"{len(lengths)} lengths and {len(materials)} materials: give one for each")
    if diameters and len(diameters) != len(lengths):
        raise InputError(f"{len(lengths)} lengths and {len(diameters)} diameters: give one for each, or none")
    signs = [attributes.material(each).upper() for each in materials]
    for said, sign in zip(materials, signs, strict=True):
        if sign not in MATERIALS:
            raise InputError(f"material {said!r} is not known: one of {', '.join(MATERIALS)}, or --speed instead")
    wide: Sequence[float | None] = diameters or [None] * len(lengths)
    return [Stretch(each, speed(sign, mm)) for each, sign, mm in zip(lengths, signs, wide, strict=True)]


def _title(figures: dict[str, Any]) -> str:
    if not figures["clear"]:
        return "No noise in common: nothing can be said. Record at night, for longer, with the recorders nearer."
    low, middle, high = figures["from_a_m"]
    where = f"{middle:g} m from A ({low:g} to {high:g} m, 80 %)"
    if figures["beyond"]:
        return f"{where}: at {str(figures['beyond']).upper()} or behind it, not between the two"
    return f"Suspect: {where}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"

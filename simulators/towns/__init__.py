"""Towns that do not exist, as town files (`devices.town.load_town`)."""

from __future__ import annotations

from pathlib import Path

_TOWNS = {"mimamori": "mimamori-cho.yaml"}


def path(name: str = "mimamori") -> Path:
    """The town file of a fictional town. KeyError for a name that there is none of."""
    return Path(__file__).parent / _TOWNS[name]

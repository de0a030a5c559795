"""Towns that do not exist, as town files (`devices.town.load_town`)."""

from __future__ import annotations

from pathlib import Path

_TOWNS = {"mimamori": "mimamori-cho.yaml"}
# The pipes of the demo's town, solved (`simulators.towns.solve`).
SOLVED = Path(__file__).parent / "mimamori-cho-hydraulics.json"
# Its shelters, in the very form in which a town uploads them.
SHELTERS = Path(__file__).parent / "mimamori-cho-shelters.csv"


def path(name: str = "mimamori") -> Path:
    """The town file of a fictional town. KeyError for a name that there is none of."""
    return Path(__file__).parent / _TOWNS[name]

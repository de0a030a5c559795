"""Solves Mimamori Town's pipes: `python -m simulators.towns.solve` writes mimamori-cho-hydraulics.json.

EPANET on the basemap's network (`simulators.hydraulics`); some ten seconds. To be run again after `draw.py` has drawn
other pipes: a test solves a node again and compares.
"""

from __future__ import annotations

from devices.town import load_town
from simulators import towns
from simulators.errors import SimulatorError
from simulators.hydraulics import USUAL_LEVEL, Network, network_of, solve, written
from simulators.towns import plan

HEAD = plan.TANK_HEIGHT + USUAL_LEVEL  # m above T.P.


def network() -> Network:
    """The block's network as the basemap has it."""
    found = network_of(load_town(towns.path()).shapes, plan.BLOCK_CODE)
    if found is None:
        raise SimulatorError(f"the basemap has no network of {plan.BLOCK_CODE}: draw it by simulators.towns.draw")
    return found


if __name__ == "__main__":
    towns.SOLVED.write_text(written(solve(network(), HEAD)), encoding="utf-8")

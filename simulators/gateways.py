"""The town's gateways, those of the valleys like it, and which of them, or of the networks, a scenario breaks."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulators.config import Scenario
from simulators.faults import Fault, FaultKind
from simulators.frames import MIMAMORI_V1
from simulators.radio import Gateway
from simulators.towns import plan
from simulators.world import recurring

# In the scenario that is about it: the one on the town hall's roof, which most devices have no other beside.
BROKEN_GATEWAY = 0
GATEWAY_BREAKS, GATEWAY_LASTS = timedelta(hours=2, minutes=30), timedelta(hours=6)
GATEWAY_EVERY = timedelta(hours=72)
# The mobile network.
CARRIER_BREAKS, CARRIER_LASTS = timedelta(minutes=30), timedelta(hours=6)
CARRIER_EVERY = timedelta(hours=72)
_YEAR = timedelta(days=366)


def gateways(number: int = 0) -> tuple[Gateway, ...]:
    """The gateways of the town, or of the so-manieth one like it."""
    return tuple(
        Gateway(f"6d696d61{number:06x}{index:02x}", name, *place) for index, (name, place) in enumerate(plan.GATEWAYS)
    )


def set_off(scenario: Scenario, origin: datetime, broken: Gateway) -> tuple[Fault, ...]:
    """The faults that a scenario brings by itself, for a year."""
    if scenario is Scenario.GATEWAY:
        first = origin + GATEWAY_BREAKS
        return tuple(
            Fault(FaultKind.GATEWAY, start, start + GATEWAY_LASTS, gateway=broken.key)
            for start in recurring(first, GATEWAY_EVERY, GATEWAY_LASTS, first, first + _YEAR)
        )
    if scenario is Scenario.CARRIER:
        first = origin + CARRIER_BREAKS
        return tuple(
            Fault(FaultKind.CARRIER, start, start + CARRIER_LASTS, parameters={"network": MIMAMORI_V1})
            for start in recurring(first, CARRIER_EVERY, CARRIER_LASTS, first, first + _YEAR)
        )
    return ()

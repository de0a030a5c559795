"""What a leak does to the pressures, against the formula it follows from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.leaks.detection.record import Record
from analytics.leaks.location.felt import effects
from analytics.leaks.location.model import Model, ModelError, sensitivities
from analytics.leaks.network import inp
from analytics.leaks.network.pipes import Network

# A source, a main of 1 km and a branch, with 36 m3/h used at its end by day and a quarter of it at night.
CHAIN = """
[JUNCTIONS]
A 10
B 10 {demand} use
C 10
[RESERVOIRS]
R {head}
[PIPES]
main R A {main} {wide} 130
street A B {street} {wide} 130
branch A C {street} {wide} 130
[PATTERNS]
use 0.25 1
[TIMES]
Pattern Timestep 12:00
[OPTIONS]
Units {units}
Headloss H-W
Demand Multiplier 2
"""


def chain(units: str = "CMH") -> Network:
    if units == "CMH":
        values = {"demand": 18, "head": 60, "main": 1000, "street": 500, "wide": 150}
    else:  # the same pipes in feet, inches and gallons
        foot, inch, gallon = 0.3048, 25.4, 0.227124707
        values = {
            "demand": 18 / gallon, "head": 60 / foot, "main": 1000 / foot, "street": 500 / foot, "wide": 150 / inch
        }  # fmt: skip
    text = CHAIN.format(units=units, **values)
    return inp.parse(text if units == "CMH" else text.replace(" 10\n", f" {10 / 0.3048}\n"), "chain.inp")


def loss(length: float, flow: float) -> float:
    """Head loss after Hazen and Williams, m, of m, m3/h, 150 mm and C 130."""
    return 10.667 * length * (flow / 3600) ** 1.852 / (130**1.852 * 0.150**4.871)


@pytest.mark.parametrize("units", ["CMH", "GPM"])
def test_the_sensitivity_is_what_hazen_and_williams_say(units: str) -> None:
    network, leak = chain(units), 4.0
    assert network.hydraulics is not None and network.hydraulics.demand == pytest.approx([18.0], rel=1e-5)
    a, b, c = (network.nodes.names.index(each) for each in "ABC")
    with Model(network) as model:
        found = model.sensitivities([a, b, c], hours=[3.0, 15.0], leak=leak)
    for hour, flow in enumerate((9.0, 36.0)):
        at_a = -(loss(1000, flow + leak) - loss(1000, flow)) / leak
        at_b = at_a - (loss(500, flow + leak) - loss(500, flow)) / leak
        # In the main: nothing of it leaks where the source holds the head. In the street: half of it passes the street.
        assert found[hour, 0] == pytest.approx([at_a / 2] * 3, rel=2e-3)
        assert found[hour, 1] == pytest.approx([at_a, (at_a + at_b) / 2, at_a], rel=2e-3)
        assert found[hour, 2, :2] == pytest.approx([at_a, at_a], rel=2e-3)


def test_a_found_leak_and_more_demand_stand_in_the_model() -> None:
    network = chain()
    street = network.pipes.names.index("street")
    a = network.nodes.names.index("A")
    with Model(network, demand=0.5, leaks={street: 6.0}) as model:
        assert model.heads(15.0, [a]) == pytest.approx([60 - loss(1000, 18 + 6)], abs=0.01)
        before = model.heads(3.0)
        model.sensitivities([a])
        assert model.heads(3.0) == pytest.approx(before, abs=1e-4), "asking leaves nothing behind"


def test_demands_are_those_that_the_meters_measured_however_old_the_file_is() -> None:
    meters = np.where(np.arange(48 * 30) % 48 < 24, 9.0, 36.0)[:, None]  # m3/h, by the half hour
    rows, gap = len(meters), np.arange(len(meters)) % 7 == 0
    meters[gap] = np.nan
    empty = np.empty((rows, 0))
    names = ("B", "C")
    record = Record(1800.0, names, np.zeros((rows, 2)), ("main",), meters, (), empty, (), np.empty((0, 0)), weekday=0)
    unmeasured = replace(record, flows=np.full_like(meters, np.nan))
    old = chain()
    assert old.hydraulics is not None
    older = replace(old, hydraulics=replace(old.hydraulics, demand=3 * old.hydraulics.demand))
    found, again = (effects(each, record, by_model=True).heads for each in (old, older))
    assert again == pytest.approx(found, rel=1e-3)
    a, b = (effects(each, unmeasured, by_model=True).heads for each in (old, older))
    assert (np.abs(b[1:]) > 2 * np.abs(a[1:])).all(), "what nobody measured is as the file has it"
    with Model(old) as model:
        assert model.drawn(15.0).sum() == pytest.approx(36.0)


def test_what_epanet_cannot_calculate_is_said() -> None:
    with pytest.raises(ModelError, match="neither a reservoir nor a tank"):
        sensitivities(inp.parse("[JUNCTIONS]\nA 1\nB 1\n[PIPES]\nP A B 10 100 130", "no_source.inp"), [0])
    broken = inp.parse(CHAIN.format(units="CMH", demand=18, head=60, main=1000, street=500, wide=150), "chain.inp")
    assert broken.hydraulics is not None
    sections = {**broken.hydraulics.sections, "PATTERNS": ("use none",)}
    object.__setattr__(broken.hydraulics, "sections", sections)
    with pytest.raises(ModelError, match=r"(?i)error.*none"):
        sensitivities(broken, [0])
    assert np.isfinite(sensitivities(chain(), [0])).all(), "the next model is not harmed"

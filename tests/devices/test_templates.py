"""Templates: each makes a station that everything else can work with."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devices import duty
from devices.model import CONTACTS, ObservedProperty, StationKind
from devices.templates import PROPERTIES, TEMPLATES, Template
from devices.units import conversion


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_is_whole(template: Template) -> None:
    observed = [stream.observed_property for stream in template.datastreams]
    assert observed and set(observed) <= set(PROPERTIES[template.kind])
    assert set(template.fields) == set(observed), "each of its properties is known by some names"
    assert template.title and template.title_en and template.desk in ("disaster", "water", "tourism")
    for stream in template.datastreams:
        low, high = stream.valid_range
        assert low is not None and high is not None and low < high
        assert stream.stuck_after is None or stream.stuck_after > stream.interval
        assert template.silence_after >= stream.interval, "else it is always silent"
        assert conversion(stream.observed_property.unit, stream.observed_property.unit) == (1.0, 0.0)
        assert (low, high) == (0.0, 1.0) or stream.observed_property not in CONTACTS


def test_there_is_a_template_for_every_kind_and_every_kind_has_properties_and_a_desk() -> None:
    assert {template.kind for template in TEMPLATES.values()} == set(StationKind) == set(PROPERTIES)
    assert {kind.desk for kind in StationKind} == {"disaster", "water", "tourism"}


def test_a_crisis_gauge_is_a_river_gauge_that_sleeps() -> None:
    gauge = TEMPLATES["crisis_gauge"]
    assert gauge.kind is StationKind.RIVER_GAUGE and gauge.silence_after > timedelta(days=1)
    assert gauge.duty is not None and callable(getattr(duty, gauge.duty))
    # Its heartbeat says the same level for weeks.
    assert gauge.datastreams[0].stuck_after is None


@pytest.mark.parametrize(
    ("template", "field", "observed"),
    [
        ("river_gauge", "distance", ObservedProperty.WATER_LEVEL),
        ("river_gauge", "water.Level", ObservedProperty.WATER_LEVEL),
        ("river_gauge", "battery", None),
        ("pump_contact", "DI1", ObservedProperty.PUMP_RUNNING),
        ("line_counter", "line-1-in", ObservedProperty.PASSAGES_IN),
        ("block_inlet", "flow_rate", ObservedProperty.FLOW),
        ("weather_station", "air-temperature", ObservedProperty.AIR_TEMPERATURE),
        ("rain_gauge", "temperature", None),
    ],
)
def test_a_field_is_known_by_its_name(template: str, field: str, observed: ObservedProperty | None) -> None:
    assert TEMPLATES[template].property_of(field) is observed

"""What a field probably means, by its name, its unit and the size of what it said."""

from __future__ import annotations

import pytest

from devices.codecs import MODELS
from devices.model import ObservedProperty
from devices.proposals import UNITS, propose, units_of
from devices.templates import TEMPLATES
from devices.units import conversion

_P = ObservedProperty


def meant(fields: dict[str, str | None], *templates: str, **samples: float) -> dict[str, tuple[ObservedProperty, str]]:
    chosen = [TEMPLATES[name] for name in templates]
    return {
        field: (each.entry.observed_property, each.entry.unit)  # type: ignore[misc]
        for field, each in propose(fields, chosen, samples).items()
    }


@pytest.mark.parametrize(
    ("model", "template", "expected"),
    [
        ("radar_level", "river_gauge", {"distance": (_P.WATER_LEVEL, "mm")}),
        ("radar_level", "service_tank", {"distance": (_P.TANK_LEVEL, "mm")}),
        ("flow_pressure", "block_inlet", {"flow": (_P.FLOW, "m3/h"), "pressure": (_P.PRESSURE, "kPa")}),
        ("flow_pressure", "pressure_point", {"pressure": (_P.PRESSURE, "kPa")}),
    ],
)
def test_the_built_in_models_explain_themselves(
    model: str, template: str, expected: dict[str, tuple[ObservedProperty, str]]
) -> None:
    found = meant(dict(MODELS[model].fields), template)
    assert found == expected


def test_a_distance_counts_down_from_a_height_that_only_a_person_knows() -> None:
    proposal = propose({"distance": "mm"}, [TEMPLATES["river_gauge"]], {})["distance"]
    assert proposal.downward and proposal.entry.scale == -0.001 and not proposal.guessed
    level = propose({"water_level": "mm"}, [TEMPLATES["river_gauge"]], {})["water_level"]
    assert not level.downward and level.entry.scale is None


@pytest.mark.parametrize(
    ("field", "sample", "unit", "guessed"),
    [
        ("distance", 4970.0, "mm", True),
        ("distance", 497.0, "cm", True),
        ("distance", 4.97, "m", True),
        ("level", 1.2, "m", True),
        ("level", None, "m", True),
        ("water_level.level", -0.3, "m", True),
    ],
)
def test_where_nobody_says_the_unit_the_size_does(field: str, sample: float | None, unit: str, guessed: bool) -> None:
    samples = {} if sample is None else {field: sample}
    proposal = propose({field: None}, [TEMPLATES["river_gauge"]], samples)[field]
    assert (proposal.entry.unit, proposal.guessed) == (unit, guessed)


def test_the_number_of_a_channel_hides_no_name() -> None:
    proposal = propose({"distance_3": "m"}, [TEMPLATES["river_gauge"]], {})["distance_3"]
    assert proposal.downward and proposal.entry.scale == -1.0


def test_one_property_gets_the_field_whose_name_tells_most() -> None:
    assert meant({"distance": "mm", "water_level": "m", "level": "m"}, "river_gauge") == {
        "water_level": (_P.WATER_LEVEL, "m")
    }


def test_a_unit_that_contradicts_the_name_is_believed() -> None:
    assert meant({"level": "dB", "pressure": "kPa"}, "river_gauge", "pressure_point") == {
        "pressure": (_P.PRESSURE, "kPa")
    }
    assert meant({"level": "dB"}, "river_gauge", "leak_logger") == {"level": (_P.LEAK_SOUND, "dB")}


def test_how_warm_it_is_makes_no_thermometer_of_what_is_there_for_something_else() -> None:
    warm = {"people_count": "{person}", "temperature": "[degF]"}
    assert next(name for name, each in TEMPLATES.items() if propose(warm, [each], {})) == "area_counter"
    assert meant(warm, "thermometer") == {"temperature": (_P.AIR_TEMPERATURE, "[degF]")}
    assert meant({"rainfall": "mm", "temperature": "Cel"}, "weather_station") == {
        "rainfall": (_P.PRECIPITATION, "mm"),
        "temperature": (_P.AIR_TEMPERATURE, "Cel"),
    }


def test_what_means_nothing_here_is_left_alone() -> None:
    assert meant({"battery": "V", "status": "1", "temperature": "Cel"}, "river_gauge", "block_inlet") == {}
    assert meant({}, *TEMPLATES) == {}


def test_every_unit_to_choose_from_can_become_the_one_of_its_property() -> None:
    for observed in ObservedProperty:
        assert units_of(observed)[0] == observed.unit
        for unit in units_of(observed):
            assert conversion(unit, observed.unit)[0] > 0
    assert set(UNITS) <= set(ObservedProperty)

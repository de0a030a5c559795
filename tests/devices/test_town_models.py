"""Device models that a town brings along, and units, in its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices.model import FieldMapping, ObservedProperty
from tests.devices.test_town import SMALL, load, mistakes

RADAR = "model: radar_level"
MAPPING = """        mapping:
          water_level: {field: distance, scale: -0.001, offset: 6.2}
"""
LEVEL = ObservedProperty.WATER_LEVEL


def test_a_model_that_the_town_brought_says_itself_what_its_fields_are(tmp_path: Path) -> None:
    town = load(tmp_path, SMALL.replace(RADAR, "model: acme/gauge").replace(MAPPING, ""))
    (device,) = town.stations[0].devices
    assert (device.model, device.mapping) == ("acme/gauge", ())


def test_its_fields_may_be_mapped_all_the_same(tmp_path: Path) -> None:
    town = load(tmp_path, SMALL.replace(RADAR, "model: acme/gauge").replace("distance", "water.level"))
    (device,) = town.stations[0].devices
    assert device.mapping == (FieldMapping("water.level", LEVEL, -0.001, 6.2),)


@pytest.mark.parametrize(
    ("written", "scale", "offset"),
    [
        ("{field: distance, unit: mm}", 0.001, 0.0),
        ("{field: distance, unit: mm, offset: 1.2}", 0.001, 1.2),
        ("{field: distance, unit: mm, scale: -0.001, offset: 6.2}", -0.001, 6.2),
    ],
)
def test_a_unit_stands_instead_of_a_scale(tmp_path: Path, written: str, scale: float, offset: float) -> None:
    town = load(tmp_path, SMALL.replace("{field: distance, scale: -0.001, offset: 6.2}", written))
    (device,) = town.stations[0].devices
    assert device.mapping == (FieldMapping("distance", LEVEL, scale, offset),)


def test_a_unit_that_cannot_be_converted_is_named_with_its_line(tmp_path: Path) -> None:
    written = SMALL.replace("{field: distance, scale: -0.001, offset: 6.2}", "{field: distance, unit: mA}")
    (mistake,) = mistakes(tmp_path, written)
    assert mistake.endswith("mapping: water_level: mA cannot become m: give scale and offset yourself")


def test_a_model_without_its_maker_is_no_model(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, SMALL.replace(RADAR, "model: gauge"))
    assert "unknown model 'gauge'" in mistake and "MAKER/MODEL" in mistake

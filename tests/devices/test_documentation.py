"""docs/devices.md cannot drift: its examples are read by the code, its tables name what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devices.basemap import KINDS
from devices.codecs import MODELS
from devices.envelopes import open_uplink
from devices.model import ObservedProperty, StationKind
from devices.town import load_town

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_town_of_the_documentation_is_a_town(tmp_path: Path) -> None:
    example, duty = examples("yaml")
    file = tmp_path / "town.yaml"
    file.write_text(example, encoding="utf-8")
    (basemap,) = examples("geojson")
    (tmp_path / "town.geojson").write_text(basemap, encoding="utf-8")
    (station,) = load_town(file).stations
    assert [level.value for level in station.thresholds[0].levels] == [2.6, 3.6]
    (line,) = re.findall(r"^ +silence_after: .*\n", example, re.MULTILINE)
    file.write_text(example.replace(line, duty), encoding="utf-8")
    (device,) = load_town(file).stations[0].devices
    assert device.duty is not None and [mode.start for mode in device.duty.above] == [1.2, 2.0]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_the_basemap_is_documented(name: str) -> None:
    kind = KINDS[name]
    section = DOCUMENT.split("## The basemap")[1].split("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
    assert kind.form in row
    _, _, _, required, optional, _ = row.split("|")
    for key in (*kind.texts, *kind.numbers):
        assert f"`{key.removesuffix('?')}`" in (required + optional if key.endswith("?") else required), key
    assert ", ".join(kind.classes) in optional
    assert not kind.named or "`name`, `name_en`" in required


def test_the_messages_of_the_documentation_are_messages() -> None:
    counters = [open_uplink("mimamori/v1/pump-house/up", example.encode()).counter for example in examples("json")]
    assert counters == [1042, 1043]


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_every_model_and_field_is_documented(model) -> None:  # type: ignore[no-untyped-def]
    section = DOCUMENT.split(f"### `{model.name}`")[1].split("###")[0]
    # Where fields are numbered, once for all.
    assert all(f"`{field}`" in section or f"`{re.sub(r'[0-9]+$', 'N', field)}`" in section for field in model.fields)


@pytest.mark.parametrize("word", [*StationKind, *ObservedProperty])
def test_every_kind_and_property_is_documented(word: str) -> None:
    assert f"`{word}`" in DOCUMENT

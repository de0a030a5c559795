"""What a town file says of tanks and blocks: read as written, and each mistake named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices.model import DistributionBlock, ServiceTank, TownFileError
from devices.town import load_town

TOWN = """\
municipality: {code: 012345, name: 試町, name_en: Trial, timezone: Asia/Tokyo}
map: {bounds: [135.0, 32.0, 136.0, 33.0]}
stations:
  - code: inlet
    kind: block_inlet
    name: 流入点
    name_en: Inlet
    latitude: 32.5
    longitude: 135.5
    block: {pipe_km: 8.5, tank: hill}
    datastreams: {flow: {interval: 5min}}
    devices: []
  - code: hill
    kind: service_tank
    name: 配水池
    name_en: Tank
    latitude: 32.6
    longitude: 135.6
    tank: {area_m2: 90, full_m: 4, low_m: 1}
    datastreams: {tank_level: {interval: 10min}}
    devices: []
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "town.yaml"
    path.write_text(text, "utf-8")
    return path


def test_tanks_and_blocks_are_read_as_written(tmp_path: Path) -> None:
    inlet, hill = load_town(write(tmp_path, TOWN)).stations
    assert inlet.block == DistributionBlock(8.5, "hill") and inlet.tank is None
    assert hill.tank == ServiceTank(90, 4, 1) and hill.block is None


def test_both_may_be_left_out(tmp_path: Path) -> None:
    text = TOWN.replace("    block: {pipe_km: 8.5, tank: hill}\n", "").replace(
        "    tank: {area_m2: 90, full_m: 4, low_m: 1}\n", ""
    )
    assert all(each.block is None and each.tank is None for each in load_town(write(tmp_path, text)).stations)


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("tank: hill", "tank: hil", "10: station inlet: block: there is no service_tank 'hil'; there can be hill"),
        ("pipe_km: 8.5", "pipe_km: 0", "10: station inlet: block: pipe_km must be above 0"),
        ("full_m: 4", "full_m: 1", "19: station hill: tank: area_m2 must be above 0"),
        (
            "block: {pipe_km: 8.5, tank: hill}",
            "tank: {area_m2: 9}",
            "10: station inlet: only a service_tank has 'tank'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    with pytest.raises(TownFileError) as caught:
        load_town(write(tmp_path, TOWN.replace(old, new, 1)))
    assert mistake in str(caught.value)

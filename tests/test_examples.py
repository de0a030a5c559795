"""Every example in a docstring prints what it says it prints."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ("alerts", "analytics", "api", "devices", "ingest", "mimamori", "quality", "simulators", "store")


def modules() -> list[str]:
    found = []
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        found += [package, *(each.name for each in pkgutil.walk_packages(path, f"{package}."))]
    return [name for name in found if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_hold(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0

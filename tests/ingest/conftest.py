"""A broker, an intake with a source of each kind, and an office's folder: each for a town of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.running import broker, embedded
from tests.conftest import Registered
from tests.ingest.office import Office
from tests.ingest.posts import Intake, taking, wait_until_open

__all__ = ["broker", "embedded"]


@pytest.fixture
def intake(registered: Registered) -> Iterator[Intake]:
    with taking(registered) as running:
        wait_until_open(running)
        yield running


@pytest.fixture
def office(registered: Registered, tmp_path: Path) -> Office:
    return Office(registered, tmp_path / "folders")

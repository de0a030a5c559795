"""One running town hall a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered


@pytest.fixture
def town_hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with serving(registered) as running:
        yield running

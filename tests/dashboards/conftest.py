"""A running town hall, and who looks at its pages: the staff of the disaster desk, and somebody outside."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from api.roles import Role
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered

HTML = {"Accept": "text/html"}


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    """Both towns' accounts, and the server over them."""
    populate(registered)
    with serving(registered) as running:
        yield running


@pytest.fixture
def staff(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody of the disaster desk, signed in, with a browser that wants pages."""
    with hall.visitor(Role.DISASTER) as client:
        client.headers.update(HTML)
        yield client


@pytest.fixture
def outside(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody without an account."""
    with httpx.Client(base_url=hall.url, headers=HTML, timeout=20, trust_env=False) as client:
        yield client

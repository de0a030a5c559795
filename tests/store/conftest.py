"""A town with months of history, and databases that a restore may make."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest

from store.restore import address_of
from tests.conftest import Registered
from tests.store.backups import live


@pytest.fixture
def town_of_months(registered: Registered) -> Registered:
    live(registered)
    return registered


@pytest.fixture
def empty(registered: Registered) -> Iterator[Callable[[str], str]]:
    """Addresses of databases on the town's server that a restore may make, dropped afterwards."""
    made: list[str] = []

    def name(suffix: str) -> str:
        made.append(f"restored_{os.getpid()}_{len(made)}_{suffix}")
        return address_of(registered.owner, made[-1])

    yield name
    with psycopg.connect(address_of(registered.owner, "postgres"), autocommit=True) as conn:
        for prefix in made:
            for (found,) in conn.execute("select datname from pg_database where datname like %s", (f"{prefix}%",)):
                conn.execute(f'drop database "{found}" with (force)')

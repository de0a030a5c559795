"""The API's role at work for one municipality, as a page is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from store import Connection, connect
from tests.conftest import Registered


@contextmanager
def as_api(registered: Registered, municipality_id: int | None = None) -> Iterator[Connection]:
    """A connection with the rights of the API in one municipality; commits at the end."""
    with connect(registered.api, name="test api") as conn:
        conn.execute(
            "select set_config('mimamori.municipality_id', %s, false)",
            (str(registered.municipality_id if municipality_id is None else municipality_id),),
        )
        yield conn


def neighbour(registered: Registered) -> int:
    """Another municipality in the same database."""
    with connect(registered.owner, name="test") as conn:
        row = conn.execute(
            """
            insert into municipality (code, name, name_en, timezone, bounds)
            values ('888888', '隣町', 'Tonarimachi', 'Asia/Tokyo', '{134, 32, 135, 33}') returning municipality_id
            """
        ).fetchone()
    assert row is not None
    return int(row[0])

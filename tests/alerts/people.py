"""People, groups and turns in a test's database, as the pages write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from typing import Any

from store import Connection, connect
from tests.conftest import Registered


def channels(town: Registered, *names: str) -> None:
    """What the alerts process says when it starts."""
    with connect(town.owner, name="test") as conn:
        conn.execute("delete from delivery_channel")
        for name in names:
            conn.execute("insert into delivery_channel (name, kind) values (%s, %s)", (name, name))


def person(town: Registered, name: str, *contacts: tuple[str, str], kind: str = "person") -> int:
    """Somebody with (channel, address) in the order of preference; their id."""
    with connect(town.owner, name="test") as conn:
        person_id = _id(
            conn,
            "insert into person (municipality_id, name, kind) values (%s, %s, %s) returning person_id",
            town.municipality_id,
            name,
            kind,
        )
        for position, (channel, address) in enumerate(contacts):
            conn.execute(
                "insert into contact (municipality_id, person_id, position, channel, address) "
                "values (%s, %s, %s, %s, %s)",
                (town.municipality_id, person_id, position, channel, address),
            )
    return person_id


def group(
    town: Registered,
    name: str,
    members: Sequence[int],
    *,
    desk: str = "disaster",
    station_id: int | None = None,
    least_level: int | None = None,
    day_starts: time = time(8, 30),
) -> int:
    """A group that watches a desk; its id."""
    with connect(town.owner, name="test") as conn:
        group_id = _id(
            conn,
            "insert into call_group (municipality_id, name, day_starts) values (%s, %s, %s) returning group_id",
            town.municipality_id,
            name,
            day_starts,
        )
        for member in members:
            conn.execute("insert into group_member values (%s, %s, %s)", (group_id, member, town.municipality_id))
        conn.execute(
            "insert into group_watch (municipality_id, group_id, desk, station_id, least_level) "
            "values (%s, %s, %s, %s, %s)",
            (town.municipality_id, group_id, desk, station_id, least_level),
        )
    return group_id


def turn(town: Registered, group_id: int, day: date, part: str, person_id: int, substitute: int | None = None) -> None:
    with connect(town.owner, name="test") as conn:
        conn.execute(
            "insert into duty values (%s, %s, %s, %s, %s, %s)",
            (group_id, day, part, town.municipality_id, person_id, substitute),
        )


def _id(conn: Connection, query: str, *values: Any) -> int:
    row = conn.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])

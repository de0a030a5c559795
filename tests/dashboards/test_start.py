"""The start page says what the desks' pages say, and no page asks more often where the town is larger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from api.database import enter_municipality
from api.pages.alert_list import open_alerts
from api.pages.digital import digital
from api.pages.disaster import disaster
from api.pages.start import Start, start
from api.pages.tourism import tourism
from api.pages.water import water
from api.readings import latest_of
from api.roles import Role
from devices.model import Town
from simulators.towns.larger import larger
from store import Connection, connect, latest
from store.registry import sync_town
from tests.conftest import START, Registered

ZONE = ZoneInfo("Asia/Tokyo")
NOW = START + timedelta(hours=3)


def fill(conn: Connection) -> None:
    """Six hours of every datastream; one in five silent for two days, one in seven could not measure at last."""
    conn.execute(
        """
        insert into observation (datastream_id, phenomenon_time, value, quality)
        select datastream_id, t, case when gone then null else 1 + 3 * abs(sin(datastream_id)) end,
               (case when gone then 'missing' when datastream_id %% 11 = 0 then 'bad' else 'good' end)::quality
        from datastream
        cross join generate_series(%(now)s - interval '6 hours', %(now)s, interval '10 minutes') n
        cross join lateral (
            select case when datastream_id %% 5 = 0 then n - interval '2 days' else n end as t,
                   datastream_id %% 7 = 0 and n > %(now)s - interval '30 minutes' as gone
        ) place
        """,
        {"now": NOW},
    )
    latest.recompute(conn)


@pytest.mark.parametrize("seen", [NOW, NOW + timedelta(minutes=20), NOW + timedelta(days=4)])
def test_a_door_says_what_is_behind_it(registered: Registered, seen: Any) -> None:
    with connect(registered.owner, name="test") as conn:
        fill(conn)
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        told = start(conn, seen, ZONE, Role.WATER, open_alerts(conn, Role.WATER))
        gauge = disaster(conn, seen, ZONE).worst
        blocks = water(conn, seen, ZONE).blocks
        spots = tourism(conn, seen, ZONE)
    if told.worst is None:
        assert gauge is None and seen > NOW + timedelta(days=1)
    else:
        assert gauge is not None
        assert (told.worst.station.code, told.worst.badge, told.worst.now) == (
            gauge.station.code, gauge.badge, gauge.now,
        )  # fmt: skip
    assert told.blocks == (len(blocks), sum(block.flow is not None and block.flow.current for block in blocks))
    counters = [spot for spot in spots if spot.counter]
    assert told.spots == (len(counters), sum(not spot.outage for spot in counters))
    passages = [spot.today.inwards for spot in spots if spot.today.inwards is not None]
    assert told.passages == (pytest.approx(sum(passages)) if passages else None)
    assert seen > NOW or (told.passages and told.blocks[1] and told.worst), "there was something to say"


class Counting(psycopg.Cursor[tuple[Any, ...]]):
    """Counts what is asked."""

    asked = 0

    def execute(self, *args: Any, **options: Any) -> Any:
        Counting.asked += 1
        return super().execute(*args, **options)


QUESTIONS: Mapping[str, tuple[int, Callable[[Connection], Any]]] = {
    "latest": (1, latest_of),
    "start": (7, lambda conn: start(conn, NOW, ZONE, Role.VIEWER, ())),
    "disaster": (7, lambda conn: disaster(conn, NOW, ZONE)),
    "water": (11, lambda conn: water(conn, NOW, ZONE)),
    "tourism": (5, lambda conn: tourism(conn, NOW, ZONE)),
    "digital": (6, lambda conn: digital(conn, NOW, raw=True)),
}


def test_a_larger_town_is_asked_no_more_often(registered: Registered, town: Town) -> None:
    def asked() -> dict[str, int]:
        found = {}
        with connect(registered.api, name="test") as conn:
            enter_municipality(conn, registered.municipality_id)
            conn.cursor_factory = Counting
            for name, (_, ask) in QUESTIONS.items():
                Counting.asked = 0
                told = ask(conn)
                assert not isinstance(told, Start) or told.devices in (200, len(registered.directory.devices))
                found[name] = Counting.asked
        return found

    with connect(registered.owner, name="test") as conn:
        fill(conn)
    small = asked()
    with connect(registered.owner, name="test") as conn:
        conn.execute("delete from observation")
        sync_town(conn, larger(town, 200))
        fill(conn)
    assert asked() == small
    assert {name: most for name, (most, _) in QUESTIONS.items() if small[name] > most} == {}

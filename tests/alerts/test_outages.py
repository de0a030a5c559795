"""Outages on a real database: one alert, one message, and every station under it; modes and planned work beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from alerts import actions
from alerts.errors import StillWrong
from alerts.evaluator import Evaluator
from devices.clock import FixedClock
from devices.duty import crisis_gauge
from devices.model import Quality, Radio
from store import Connection, connect
from store.batch import ObservationRow
from store.duty import put_duty
from store.registry import RegisteredDevice
from store.writer import write_batch
from tests.conftest import START, Registered, accepted

MINUTE = timedelta(minutes=1)
BRIDGE = "river-mimamoribashi"


@dataclass
class Town:
    """The demo town's devices under a test's hand: every one speaks each ten minutes and is missed after 40."""

    registered: Registered
    clock: FixedClock
    conn: Connection  # a worker's, for all the hours
    minute: int = 0
    mute: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        with connect(self.registered.owner, name="test") as conn:
            conn.execute("update device set silence_after = '40 min'")
        self.hear(self.devices)

    @property
    def devices(self) -> list[RegisteredDevice]:
        return sorted(self.registered.directory.devices.values(), key=lambda each: each.device_id)

    def gateway(self, device: RegisteredDevice) -> str:
        return "north" if self.devices.index(device) % 2 else "south"

    def behind(self, gateway: str) -> list[RegisteredDevice]:
        return [each for each in self.devices if self.gateway(each) == gateway]

    def station(self, device: RegisteredDevice) -> str:
        return device.attachments[0].station_code

    def hear(self, devices: Iterable[RegisteredDevice], *, gateway: str | None = None) -> None:
        now = self.clock.now()
        rows = [
            replace(
                accepted(each, now, sent=now),
                network="chirpstack_v4",
                radio=Radio(gateway or self.gateway(each), -100.0, 5.0, "SF10BW125"),
            )
            for each in devices
            if each.key not in self.mute
        ]
        write_batch(self.conn, self.registered.municipality_id, rows)
        self.conn.commit()

    def live(self, minutes: int, *, silent: Iterable[RegisteredDevice] = ()) -> None:
        """Time passes; every ten minutes who is not silent speaks, and every five somebody looks."""
        quiet = {each.key for each in silent}
        for _ in range(minutes // 5):
            self.clock.advance(5 * MINUTE)
            self.minute += 5
            if self.minute % 10 == 0:
                self.hear(each for each in self.devices if each.key not in quiet)
            self.look()

    def look(self) -> None:
        self.conn.execute(
            """
            insert into ingest_worker (worker_id, municipality_id, heartbeat_at, listening_since)
            values ('w', %s, %s, %s) on conflict (worker_id) do update set heartbeat_at = excluded.heartbeat_at
            """,
            (self.registered.municipality_id, self.clock.now(), START - timedelta(days=2)),
        )
        Evaluator(self.clock).tick(self.conn)
        self.conn.commit()

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with connect(self.registered.owner, name="test") as conn:
            return conn.execute(query.encode(), values).fetchall()

    def alerts(self) -> list[tuple[object, ...]]:
        """(rule, cause or station, open) in the order in which they were raised."""
        return self.rows(
            "select a.rule, coalesce(a.cause, s.code), a.cleared_at is null "
            "from alert a left join station s using (station_id) order by alert_id"
        )


@pytest.fixture
def town(registered: Registered, clock: FixedClock) -> Iterator[Town]:
    with connect(registered.worker, name="test") as conn:
        found = Town(registered, clock, conn)
        found.live(120)
        assert found.alerts() == []
        yield found


def test_a_gateway_that_fails_is_one_alert_and_one_message(town: Town) -> None:
    north = town.behind("north")
    assert len(north) >= 5
    since = town.clock.now()
    town.live(90, silent=north)
    assert town.alerts() == [("outage", "gateway:north", True)]
    assert town.rows("select phenomenon_time from alert") == [(since,)], "the last word that came through it"
    assert town.rows("select count(*) from outage_device") == [(len(north),)]
    ((subject, body),) = town.rows("select subject, body from outbox")
    assert "ゲートウェイ north を通る観測所から届いていません" in str(subject)
    stations = {town.station(each) for each in north}
    names = {row[0] for row in town.rows("select name from station where code = any(%s)", list(stations))}
    assert all(str(name) in str(body) for name in names)


def test_it_is_over_with_the_first_word_and_who_stays_away_is_told_of_alone(town: Town) -> None:
    north = town.behind("north")
    town.live(90, silent=north)
    broken = next(each for each in north if town.station(each) == BRIDGE or each is north[-1])
    town.live(10, silent=[broken])
    assert town.alerts() == [("outage", "gateway:north", False)]
    town.live(30, silent=[broken])
    assert town.alerts() == [("outage", "gateway:north", False)], "its patience begins anew"
    town.live(20, silent=[broken])
    assert town.alerts() == [("outage", "gateway:north", False), ("silence", town.station(broken), True)]
    town.live(10)
    assert town.alerts()[1][2] is False


def test_a_silence_told_before_is_folded_under_it_and_ends_with_it(town: Town) -> None:
    north = town.behind("north")
    first = north[0]
    with connect(town.registered.owner, name="test") as conn:
        conn.execute("update device set silence_after = '12 min' where device_id = %s", (first.device_id,))
    town.live(90, silent=north)
    assert town.alerts() == [("silence", town.station(first), True), ("outage", "gateway:north", True)]
    assert town.rows("select part_of is not null from alert order by alert_id") == [(True,), (False,)]
    town.live(10)
    assert [row[2] for row in town.alerts()] == [False, False]
    told = town.rows(
        "select a.rule, h.event from outbox join alert_history h using (alert_history_id) "
        "join alert a using (alert_id) order by outbox_id"
    )
    assert told == [("silence", "raised"), ("outage", "raised"), ("outage", "cleared")], "nobody is told twice"


def test_one_open_outage_a_cause_whoever_looks(town: Town) -> None:
    town.live(90, silent=town.behind("north"))
    for _ in range(3):
        town.look()
    assert town.rows("select count(*) from alert where rule = 'outage'") == [(1,)]
    with connect(town.registered.owner, name="test") as conn, pytest.raises(Exception, match="alert_open_outage"):
        conn.execute(
            "insert into alert (municipality_id, cause, rule, raised_at, phenomenon_time) "
            "values (%s, 'gateway:north', 'outage', now(), now())",
            (town.registered.municipality_id,),
        )


def test_everything_at_once_is_the_network_and_a_person_cannot_end_it(town: Town) -> None:
    town.live(90, silent=town.devices)
    assert town.alerts() == [("outage", "network:chirpstack_v4", True)]
    ((alert_id,),) = town.rows("select alert_id from alert")
    with connect(town.registered.owner, name="test") as conn, pytest.raises(StillWrong):
        actions.clear(conn, town.registered.municipality_id, int(str(alert_id)), 1, town.clock.now(), "見た")
    town.live(10)
    assert town.alerts() == [("outage", "network:chirpstack_v4", False)]


def test_another_gateway_that_takes_over_ends_it(town: Town) -> None:
    north = town.behind("north")
    town.live(90, silent=north)
    town.clock.advance(5 * MINUTE)
    town.hear(town.devices, gateway="south")
    town.look()
    assert town.alerts() == [("outage", "gateway:north", False)]


def test_who_stopped_earlier_keeps_an_alert_of_its_own(town: Town) -> None:
    north = town.behind("north")
    town.mute = {north[0].key}
    town.live(120)
    town.live(90, silent=north)
    assert town.alerts() == [("silence", town.station(north[0]), True), ("outage", "gateway:north", True)]
    assert town.rows("select part_of from alert order by alert_id") == [(None,), (None,)]


# --- modes and planned work ------------------------------------------------------------------------------------


def bridge(town: Town) -> RegisteredDevice:
    return next(each for each in town.devices if town.station(each) == BRIDGE)


def send_level(town: Town, value: float) -> None:
    now = town.clock.now()
    datastream = town.registered.datastream(BRIDGE, "water_level")
    row = accepted(bridge(town), now, (ObservationRow(datastream, now, value, Quality.GOOD, None),), sent=now)
    with connect(town.registered.worker, name="test") as conn:
        write_batch(conn, town.registered.municipality_id, [row])


def as_crisis_gauge(town: Town) -> None:
    with connect(town.registered.owner, name="test") as conn:
        device_id = bridge(town).device_id
        conn.execute("update device set silence_after = '26 hours' where device_id = %s", (device_id,))
        put_duty(conn, town.registered.municipality_id, device_id, crisis_gauge(1.2, 1.0))


def test_a_gauge_in_standby_may_be_quiet_for_a_day_and_above_its_start_level_for_25_minutes(town: Town) -> None:
    as_crisis_gauge(town)
    gauge = [bridge(town)]
    send_level(town, 0.4)
    town.live(23 * 60, silent=gauge)
    assert town.alerts() == [], "a heartbeat a day is all it owes"
    send_level(town, 1.25)
    town.live(20, silent=gauge)
    assert town.alerts() == []
    town.live(10, silent=gauge)
    assert town.alerts() == [("silence", BRIDGE, True)]
    send_level(town, 1.1)  # still above its stop level
    town.live(30, silent=gauge)
    assert town.alerts() == [("silence", BRIDGE, False), ("silence", BRIDGE, True)]
    send_level(town, 0.9)
    town.live(10 * 60, silent=gauge)
    assert town.alerts() == [("silence", BRIDGE, False), ("silence", BRIDGE, False)]


def test_what_somebody_works_on_as_planned_is_not_missed(town: Town) -> None:
    now: datetime = town.clock.now()
    device = bridge(town)
    with connect(town.registered.owner, name="test") as conn:
        conn.execute(
            "insert into planned_work (municipality_id, device_id, starts_at, ends_at, work, entered_at) "
            "values (%s, %s, %s, %s, '電池交換', %s)",
            (town.registered.municipality_id, device.device_id, now, now + 120 * MINUTE, now),
        )
    town.live(150, silent=[device])
    assert town.alerts() == [], "and after it its patience begins anew"
    town.live(20, silent=[device])
    assert town.alerts() == [("silence", BRIDGE, True)]

"""One sentence a station: whether it observes, may be quiet, or whom to call; and its outages among its alerts."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from api.database import enter_municipality
from api.pages.alert_list import open_alerts, station_alerts
from api.pages.changes import told_by_alerts
from api.pages.device_health import health_part
from api.pages.readings import Now, State, stations_now
from api.roles import Role
from devices.duty import crisis_gauge
from devices.model import ObservedProperty, Quality, StationKind
from store import connect
from store.batch import ObservationRow
from store.duty import put_duty
from store.registry import RegisteredDevice
from store.writer import write_batch
from tests.conftest import START, Registered, accepted

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BRIDGE = "river-mimamoribashi"


@pytest.fixture
def device(registered: Registered) -> RegisteredDevice:
    return next(
        each
        for each in registered.directory.devices.values()
        if any(attachment.station_code == BRIDGE for attachment in each.attachments)
    )


def say(registered: Registered, device: RegisteredDevice, at: datetime, value: float) -> None:
    level = ObservationRow(registered.datastream(BRIDGE, "water_level"), at, value, Quality.GOOD, None)
    with connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, [accepted(device, at, (level,), sent=at)])


def do(registered: Registered, query: str, *values: object) -> None:
    with connect(registered.owner, name="test") as conn:
        conn.execute(query.encode(), values)


def now_at(registered: Registered, time: datetime) -> Now:
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        (gauge,) = [s for s in stations_now(conn, StationKind.RIVER_GAUGE, time) if s.code == BRIDGE]
    return gauge.readings[ObservedProperty.WATER_LEVEL]


def test_a_steady_gauge_observes_until_it_is_missed(registered: Registered, device: RegisteredDevice) -> None:
    assert now_at(registered, START).sentence == "never"
    say(registered, device, START, 1.0)
    assert [now_at(registered, START + n * MINUTE).sentence for n in (10, 30, 41)] == ["fresh", "late", "silent"]


def test_a_crisis_gauge_waits_below_its_start_level_and_is_missed_above(
    registered: Registered, device: RegisteredDevice
) -> None:
    with connect(registered.owner, name="test") as conn:
        put_duty(conn, registered.municipality_id, device.device_id, crisis_gauge(1.2, 1.0))
        conn.execute("update device set silence_after = '26 hours' where device_id = %s", (device.device_id,))
    say(registered, device, START, 0.4)
    resting = now_at(registered, START + 25 * HOUR)
    assert (resting.sentence, resting.state, resting.current) == ("standby_pace", State.STANDBY, True)
    assert resting.care is not None and resting.care.pace == 10 * MINUTE
    say(registered, device, START + 26 * HOUR, 1.3)
    awake = [now_at(registered, START + 26 * HOUR + n * MINUTE).sentence for n in (10, 26)]
    assert awake == ["fresh", "silent"]
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        part = health_part(conn, START + 26 * HOUR, device.device_id)
        assert health_part(conn, START, 10**6) is None
    assert part is not None and part.interval == 10 * MINUTE
    assert part.due == START + 26 * HOUR + 10 * MINUTE


def test_who_is_silent_has_somebody_to_call(registered: Registered, device: RegisteredDevice) -> None:
    do(
        registered,
        "insert into device_record (device_id, municipality_id, owner, phone, changed_at) "
        "values (%s, %s, '保守会社', '03-0000-0000', now())",
        device.device_id,
        registered.municipality_id,
    )
    say(registered, device, START, 1.0)
    care = now_at(registered, START + 2 * HOUR).care
    assert care is not None and (care.owner, care.phone) == ("保守会社", "03-0000-0000")


def test_planned_work_is_said_before_silence(registered: Registered, device: RegisteredDevice) -> None:
    say(registered, device, START, 1.0)
    do(
        registered,
        "insert into planned_work (municipality_id, device_id, starts_at, ends_at, work, entered_at) "
        "values (%s, %s, %s, %s, '点検', %s)",
        registered.municipality_id,
        device.device_id,
        START,
        START + 3 * HOUR,
        START,
    )
    assert now_at(registered, START + 2 * HOUR).sentence == "work"
    assert now_at(registered, START + 3 * HOUR).sentence == "silent"


def test_an_outage_is_told_of_each_station_once(registered: Registered, device: RegisteredDevice) -> None:
    say(registered, device, START, 1.0)
    station = device.attachments[0].station_id
    at = START + HOUR
    with connect(registered.owner, name="test") as conn:
        row = conn.execute(
            "insert into alert (municipality_id, cause, rule, raised_at, phenomenon_time) "
            "values (%s, 'gateway:g1', 'outage', %s, %s) returning alert_id",
            (registered.municipality_id, at, START),
        ).fetchone()
        assert row is not None
        conn.execute(
            "insert into alert_history (municipality_id, alert_id, at, event, phenomenon_time) "
            "values (%s, %s, %s, 'raised', %s)",
            (registered.municipality_id, row[0], at, START),
        )
        conn.execute(
            "insert into outage_device (alert_id, device_id, municipality_id, station_id, last_heard) "
            "values (%s, %s, %s, %s, %s)",
            (row[0], device.device_id, registered.municipality_id, station, START),
        )
        conn.execute(
            """
            insert into alert (municipality_id, station_id, rule, datastream_id, raised_at, phenomenon_time, part_of)
            values (%s, %s, 'silence', %s, %s, %s, %s)
            """,
            (
                registered.municipality_id,
                station,
                registered.datastream(BRIDGE, "water_level"),
                at,
                START,
                row[0],
            ),
        )
    assert now_at(registered, at).sentence == "outage"
    with connect(registered.api, name="test") as conn:
        enter_municipality(conn, registered.municipality_id)
        (alert,) = open_alerts(conn, Role.DISASTER)
        (here,) = station_alerts(conn, BRIDGE, 10)
        changes = told_by_alerts(conn, START, at)
    assert (alert.rule, alert.badge, [each.code for each in alert.silenced]) == ("outage", "silence", [BRIDGE])
    assert "g1" in alert.name and alert.to_do is not None
    assert alert.may_act(Role.DIGITAL) and not alert.may_act(Role.DISASTER)
    assert here.alert_id == alert.alert_id
    assert [(each.what, each.code) for each in changes] == [("lost", BRIDGE)]

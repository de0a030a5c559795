"""The battery of a device: the newest by its own time, written with the batch or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest
from msgspec.structs import replace

from store import connect
from store.writer import BatteryRow, ObservationRow, write_batch
from tests.conftest import START, Registered
from tests.store.test_writer import level, observation, uplink, write

MINUTE = timedelta(minutes=1)


def kept(registered: Registered) -> list[tuple[int, float, bool, datetime]]:
    with connect(registered.worker, name="test") as conn:
        return conn.execute(
            "select device_id, battery, battery_low, measured_at from device_status order by device_id"
        ).fetchall()


def devices(registered: Registered) -> list[int]:
    return sorted(device.device_id for device in registered.directory.devices.values())


def test_the_newest_reading_of_each_device_is_kept(registered: Registered) -> None:
    first, second = devices(registered)[:2]
    write(
        registered,
        replace(uplink(1), device_id=first, battery=BatteryRow(3.6, False, START)),
        replace(uplink(2), device_id=second, battery=BatteryRow(3.2, True, START)),
        replace(uplink(3), device_id=first, battery=BatteryRow(3.5, False, START + MINUTE)),
    )
    assert kept(registered) == [(first, 3.5, False, START + MINUTE), (second, 3.2, True, START)]
    write(registered, replace(uplink(4), device_id=second, battery=BatteryRow(3.6, False, START + 2 * MINUTE)))
    assert kept(registered)[1] == (second, 3.6, False, START + 2 * MINUTE)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two batches"])
def test_a_late_message_does_not_take_the_battery_back(registered: Registered, together: bool) -> None:
    device = devices(registered)[0]
    new = replace(uplink(2), device_id=device, battery=BatteryRow(3.2, True, START + MINUTE))
    late = replace(uplink(1), device_id=device, battery=BatteryRow(3.6, False, START))
    if together:
        write(registered, new, late)
    else:
        write(registered, new)
        write(registered, late)
    assert kept(registered) == [(device, 3.2, True, START + MINUTE)]


def test_a_message_without_a_battery_leaves_the_last_one(registered: Registered) -> None:
    device = devices(registered)[0]
    write(registered, replace(uplink(1), device_id=device, battery=BatteryRow(3.5, False, START)))
    write(registered, replace(uplink(2, observation(level(registered), 2, 1.0)), device_id=device))
    assert kept(registered) == [(device, 3.5, False, START)]


def test_a_batch_that_is_refused_leaves_no_battery(registered: Registered) -> None:
    nowhere: tuple[ObservationRow, ...] = (observation(level(registered), 1, 1.0),)
    row = replace(uplink(1, *nowhere), device_id=devices(registered)[0], battery=BatteryRow(3.5, False, START))
    poisonous = replace(uplink(2), device_key="\x00")
    with pytest.raises((psycopg.DataError, ValueError)), connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, [row, poisonous])
    assert kept(registered) == []


def test_another_town_sees_neither_batteries_nor_what_was_set_off(registered: Registered) -> None:
    write(registered, replace(uplink(1), device_id=devices(registered)[0], battery=BatteryRow(3.5, False, START)))
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "insert into demo_event (municipality_id, kind, starts_at, ends_at) values (%s, 'rain', %s, %s)",
            (registered.municipality_id, START, START + MINUTE),
        )
    for municipality, expected in ((registered.municipality_id, (1, 1)), (registered.municipality_id + 1, (0, 0))):
        with connect(registered.api, name="test") as conn:
            conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(municipality),))
            found = conn.execute(
                "select (select count(*) from device_status), (select count(*) from demo_event)"
            ).fetchone()
        assert found == expected


@pytest.mark.parametrize("statement", ["delete from demo_event", "update demo_event set kind = 'rain'"])
@pytest.mark.parametrize("role", ["api", "worker"])
def test_what_was_set_off_stays_set_off(registered: Registered, role: str, statement: str) -> None:
    with (
        connect(getattr(registered, role), name="test") as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(statement.encode())

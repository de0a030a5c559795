"""What networks say of a device: added up by the day, once a message, and nothing where nothing is said."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from devices.model import DeviceStatus, Outcome, Radio
from store import connect
from store.batch import BatteryRow, UplinkRow
from store.writer import write_batch
from tests.conftest import START, Registered, accepted

MINUTE = timedelta(minutes=1)
DAY = date(2026, 6, 1)


def heard(registered: Registered, minute: int, radio: Radio | None, *, battery: BatteryRow | None = None) -> UplinkRow:
    device = min(registered.directory.devices.values(), key=lambda each: each.device_id)
    return replace(accepted(device, START + minute * MINUTE, battery=battery), radio=radio)


def write(registered: Registered, *rows: UplinkRow) -> None:
    with connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, rows)


def days(registered: Registered, columns: str) -> list[tuple[object, ...]]:
    with connect(registered.worker, name="test") as conn:
        return conn.execute(f"select {columns} from radio_day order by day, gateway".encode()).fetchall()


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_a_day_is_added_up_by_the_gateway_that_heard_best(registered: Registered, together: bool) -> None:
    rows = [
        heard(registered, 2, Radio("g1", -101.0, -4.0, "SF10BW125", 1)),
        heard(registered, 1, Radio("g1", -95.0, 2.0, "SF10BW125", 3)),
        heard(registered, 3, Radio("g2", -110.0, -12.0, "SF12BW125", 2)),
        heard(registered, 4, Radio(None, None, None, None)),
        heard(registered, 5, None),
    ]
    if together:
        write(registered, *rows)
    else:
        for row in rows:
            write(registered, row)
    columns = "day, gateway, uplinks, best_rssi, best_snr, lowest_margin, margin_sum, margins, heard_at, rssi, gateways"
    assert days(registered, columns) == [
        (DAY, "", 1, None, None, None, 0.0, 0, START + 4 * MINUTE, None, 1),
        (DAY, "g1", 2, -95.0, 2.0, 11.0, 28.0, 2, START + 2 * MINUTE, -101.0, 1),
        (DAY, "g2", 1, -110.0, -12.0, 8.0, 8.0, 1, START + 3 * MINUTE, -110.0, 2),
    ]


def test_a_repetition_and_what_cannot_be_read_count_nothing(registered: Registered) -> None:
    row = heard(registered, 1, Radio("g1", -95.0, 2.0, "SF7BW125"))
    write(registered, row)
    write(registered, row)
    refused = replace(
        heard(registered, 2, Radio("g1", -90.0, 2.0, "SF7BW125")),
        outcome=Outcome.QUARANTINED,
        reason="codec",
        detail="x",
    )
    write(registered, refused)
    assert days(registered, "uplinks, best_rssi") == [(1, -95.0)]


def test_figures_that_no_column_holds_are_left_out(registered: Registered) -> None:
    odd = Radio("g\x00" + "x" * 500, float("inf"), float("nan"), "SF99BW1", 10**9)
    write(registered, heard(registered, 1, odd))
    assert days(registered, "length(gateway), rssi, snr, spreading, gateways") == [(200, None, None, None, 32_000)]


def test_the_first_battery_reading_of_a_day_stands_whatever_comes_when(registered: Registered) -> None:
    for minute, volts in ((30, 3.5), (10, 3.6), (20, 3.4), (1500, 3.3)):
        write(registered, heard(registered, minute, None, battery=BatteryRow(volts, False, START + minute * MINUTE)))
    percent = BatteryRow(80.0, False, START, "%")
    write(registered, heard(registered, 40, None, battery=percent))
    with connect(registered.worker, name="test") as conn:
        found = conn.execute("select day, unit, value from battery_day order by day, unit").fetchall()
        newest = conn.execute("select battery from device_status").fetchall()
    assert found == [(DAY, "%", 80.0), (DAY, "V", 3.6), (DAY + timedelta(days=1), "V", 3.3)]
    assert newest == [(3.3,)], "volts only"


def test_what_the_network_asked_a_device_is_kept_as_the_newest(registered: Registered) -> None:
    for minute, status in (
        (20, DeviceStatus(61.0, False, 7.0)),
        (10, DeviceStatus(62.0, False, 9.0)),
        (30, DeviceStatus(None, True, 8.0)),
    ):
        row = replace(heard(registered, minute, None), outcome=Outcome.EVENT, detail="status", status=status)
        write(registered, row)
    with connect(registered.worker, name="test") as conn:
        report = conn.execute(
            "select battery_percent, external_power, margin, reported_at from device_report"
        ).fetchall()
        days_ = conn.execute("select unit, value from battery_day").fetchall()
    assert report == [(None, True, 8.0, START + 30 * MINUTE)]
    assert days_ == [("%", 62.0)]

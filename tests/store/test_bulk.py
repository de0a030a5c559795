"""A device list in the database: all lines or none, found again by their keys, one town at a time."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from devices.device_list import DeviceList, read_list, written_pace
from devices.duty import crisis_gauge
from devices.sheets import read_sheet
from store import connect
from store.bulk import Report, register
from store.connection import Connection
from store.duty import duties
from store.registration import detach
from store.registry import load_directory
from tests.conftest import START, Registered

HEADER = "key,model,station,template,station_name,latitude,longitude,mapping,attached_from,phone,serial_number"
HEADER += ",start_level,stop_level,observing_interval,report_interval,silence_after\n"
FIRST = "new-1,radar_level,new-river,crisis_gauge,新川,32.44,135.04,water_level=distance*-0.001+5,,0994-1,A,1.2,1.0\n"

GAUGE = "x-1,radar_level,river-x,river_gauge,名,32,135,water_level=distance,,,,"
CRISIS = GAUGE.replace("river_gauge", "crisis_gauge")


def listed(text: str) -> DeviceList:
    return read_list(read_sheet((HEADER + text).encode()), ZoneInfo("Asia/Tokyo"))


def bulk(conn: Connection, municipality_id: int, text: str, *, check: bool = False) -> Report:
    report = register(conn, municipality_id, listed(text), now=START, user_id=None, check=check)
    conn.commit()
    return report


def as_api(registered: Registered, municipality_id: int) -> Connection:
    conn = connect(registered.api, name="test")
    conn.execute("select set_config('mimamori.municipality_id', %s, false)", (str(municipality_id),))
    return conn


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.stations


def test_the_same_list_twice_changes_nothing_and_an_empty_cell_leaves_what_is_there(registered: Registered) -> None:
    town = registered.municipality_id
    with as_api(registered, town) as conn:
        first = bulk(conn, town, FIRST)
        assert [str(problem) for problem in first.problems] == []
        assert (counts(first), first.done) == ((1, 0, 0, 1), True)
        device = load_directory(conn, town).devices["new-1"]
        (field,) = device.attachments[0].fields.values()
        assert (field.scale, field.offset, device.silence_after.total_seconds()) == (-0.001, 5.0, 26 * 3600)
        assert duties(conn)[device.device_id] == crisis_gauge(1.2, 1.0)
        assert counts(bulk(conn, town, FIRST)) == (0, 0, 1, 0)
        assert counts(bulk(conn, town, "new-1,,,,,,,,,,B\n")) == (0, 1, 0, 0)
        assert counts(bulk(conn, town, "new-1,,,,,,,,,-,\n")) == (0, 1, 0, 0)
        papers = conn.execute("select phone, serial_number from device_record").fetchall()
        assert papers == [(None, "B")]
        assert counts(bulk(conn, town, "new-1,,,,新川橋,,,water_level=distance*-0.001+5.1,,,\n")) == (0, 1, 0, 0)
        assert conn.execute("select name from station where code = 'new-river'").fetchone() == ("新川橋",)


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        ("x-1,,river-okusawa,,,,,,,,\n", "model", "missing_model"),
        (CRISIS + ",1.0\n", "start_level", "missing_levels"),
        (CRISIS + "1.2,\n", "stop_level", "missing_levels"),
        (GAUGE + "1.2;2,1\n", "start_level", "uneven"),
        (GAUGE + "1.2,1.3\n", "start_level", "pace"),
        (GAUGE + "120,100\n", "start_level", "refused"),
        ("x-1,rocket,river-okusawa,,,,,,,,\n", "model", "missing_model"),
        ("x-1,radar_level,,,,,,,,,\n", "station", "missing_station"),
        ("x-1,radar_level,nowhere,,,,,,,,\n", "template", "new_station"),
        ("x-1,radar_level,nowhere,river_gauge,名,,,,,,\n", "latitude", "new_station"),
        ("x-1,radar_level,river-okusawa,rain_gauge,,,,,,,\n", "template", "other_kind"),
        ("x-1,radar_level,nowhere,river_gauge,名,32,135,,,,\n", "mapping", "downward"),
        ("x-1,people_counter,nowhere,river_gauge,名,32,135,,,,\n", "mapping", "no_mapping"),
        ("x-1,radar_level,nowhere,river_gauge,名,32,135,flow=distance,,,\n", "mapping", "refused"),
        ("a84041ffff310001,,river-takehara,,,,,,,,\n", "attached_from", "moved_when"),
        ("x-1,radar_level,nowhere,river_gauge,名,32,135,water_level=distance*-0.001+5,,電話,\n", "phone", "refused"),
    ],
)
def test_what_only_the_database_knows_is_told_by_line_and_nothing_is_done(
    registered: Registered, line: str, column: str, code: str
) -> None:
    town = registered.municipality_id
    with as_api(registered, town) as conn:
        before = [conn.execute(f"select count(*) from {t}".encode()).fetchone() for t in ("device", "station")]
        report = bulk(conn, town, FIRST + line)
        assert [(p.line, p.column, p.code) for p in report.problems] == [(3, column, code)], report.problems
        assert not report.done and str(report.problems[0])
        after = [conn.execute(f"select count(*) from {t}".encode()).fetchone() for t in ("device", "station")]
        assert after == before


def test_a_gauge_with_several_steps_and_one_at_a_station_with_reference_levels(registered: Registered) -> None:
    town = registered.municipality_id
    with as_api(registered, town) as conn:
        steps = FIRST.replace("1.2,1.0", "1.2;2.0,1.0;1.8,10min;5min,12h")
        assert [str(problem) for problem in bulk(conn, town, steps).problems] == []
        assert counts(bulk(conn, town, steps)) == (0, 0, 1, 0)
        device = load_directory(conn, town).devices["new-1"]
        cycle = duties(conn)[device.device_id]
        assert [(mode.start, mode.stop, mode.interval) for mode in cycle.above] == [
            (1.2, 1.0, timedelta(minutes=10)),
            (2.0, 1.8, timedelta(minutes=5)),
        ]
        assert (cycle.calm.interval, device.silence_after) == (timedelta(hours=12), timedelta(hours=14))
        assert written_pace(cycle)["start_level"] == "1.2;2"
        assert counts(bulk(conn, town, "new-1,,,,,,,,,,,1.3;2.1\n")) == (0, 1, 0, 0)
        assert [mode.stop for mode in duties(conn)[device.device_id].above] == [1.0, 1.8], (
            "an empty cell changes nothing"
        )
        detach(conn, town, "a84041ffff310001", until=START)
        second = "new-2,radar_level,river-okusawa,crisis_gauge,,,,water_level=distance*-0.001+5,,,,,\n"
        assert [str(problem) for problem in bulk(conn, town, second).problems] == []
        other = duties(conn)[load_directory(conn, town).devices["new-2"].device_id]
        assert other.above[0].start == 1.2, "the lowest reference level of the station"
        assert other.above[0].stop is not None and other.above[0].stop < 1.2
        assert other.calm.silence_after == timedelta(hours=26)


def test_a_check_finds_the_same_and_does_nothing(registered: Registered) -> None:
    town = registered.municipality_id
    with as_api(registered, town) as conn:
        report = bulk(conn, town, FIRST, check=True)
        assert (counts(report), report.done, report.problems) == ((1, 0, 0, 1), False, ())
        assert conn.execute("select count(*) from device where key = 'new-1'").fetchone() == (0,)


def test_a_key_of_another_town_is_nobody_here(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        row = conn.execute(
            "insert into municipality (code, name, name_en, timezone, bounds) "
            "values ('999998', '隣町', 'Next', 'Asia/Tokyo', '{0,0,1,1}') returning municipality_id"
        ).fetchone()
        assert row is not None
    with as_api(registered, row[0]) as conn:
        (problem,) = bulk(conn, row[0], "a84041ffff310001,,,,,,,,,0994-1,\n").problems
        assert problem.code == "missing_model", "to this town the device is a new one"
        assert bulk(conn, row[0], FIRST).done
    with as_api(registered, registered.municipality_id) as conn:
        assert conn.execute("select count(*) from device where key = 'new-1'").fetchone() == (0,)
        assert conn.execute("select count(*) from device_record").fetchone() == (0,)

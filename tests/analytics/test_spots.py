"""The series of a spot: by the method in force, over its counters with formula and calibration; of virtual ones too."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.visitors.spots.plan import Method
from analytics.visitors.spots.series import NoSpot, SpotDay, SpotHour, comparable, days, hours
from store import connect
from tests.analytics.series import Analyst, Value

TOKYO = ZoneInfo("Asia/Tokyo")
TEN = timedelta(minutes=10)
DAY = timedelta(days=1)
FIRST = date(2026, 5, 11)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=TOKYO).astimezone(UTC)


def counted(day: date, each: float, hours: range = range(24)) -> list[tuple[datetime, Value]]:
    return [(midnight(day) + (6 * hour + n) * TEN, each) for hour in hours for n in range(1, 7)]


def spot_of(analyst: Analyst, code: str) -> int:
    ((spot_id,),) = analyst.rows("select spot_id from spot where code = %s", code)
    return int(spot_id)


def read(analyst: Analyst, spot_id: int, first: date, last: date) -> list[SpotDay]:
    with connect(analyst.town.worker, name="test") as conn:
        return days(conn, spot_id, first, last)


def read_hours(analyst: Analyst, spot_id: int, day: date) -> list[SpotHour]:
    with connect(analyst.town.worker, name="test") as conn:
        return hours(conn, spot_id, day, day)


def test_every_spot_of_the_town_has_a_series_by_the_method_it_began_with(analyst: Analyst) -> None:
    made = analyst.rows(
        "select s.code, m.method, count(x.spot_source_id) from spot s join spot_method m using (spot_id)"
        " left join spot_source x using (spot_id) group by 1, 2 order by 1"
    )
    assert ("spot-taki", "counter", 1) in made and ("spot-shiryokan", "form", 0) in made
    assert len(made) == len(analyst.rows("select from station where kind = 'visitor_spot'"))
    with pytest.raises(NoSpot):
        read(analyst, 10_000, FIRST, FIRST)


def test_missing_absent_and_zero_are_three_things(analyst: Analyst) -> None:
    taki = analyst.town.datastream("spot-taki", "passages_in")
    analyst.send(taki, counted(FIRST, 2.0))
    analyst.send(taki, counted(FIRST + DAY, 0.0))
    analyst.send(taki, [(midnight(FIRST + 2 * DAY) + n * TEN, None) for n in range(1, 145)])
    analyst.send(taki, counted(FIRST + 3 * DAY, 1.0, range(6)))
    analyst.work()
    found = read(analyst, spot_of(analyst, "spot-taki"), FIRST - DAY, FIRST + 3 * DAY)
    assert [(d.visitors, d.raw, d.state, d.completeness) for d in found] == [
        (None, None, "absent", 0.0),
        (288, 288, "ok", 1.0),
        (0, 0, "ok", 1.0),
        (None, None, "outage", 0.0),
        (36, 36, "ok", 0.25),
    ]
    assert {d.method for d in found} == {Method.COUNTER} and found[1].low is None and found[1].version == "provisional"
    by_hour = read_hours(analyst, spot_of(analyst, "spot-taki"), FIRST + 3 * DAY)
    assert [(h.visitors, h.state) for h in by_hour] == [(6.0, "ok")] * 6 + [(None, "outage")] * 18
    assert by_hour[0].start == datetime(2026, 5, 14, tzinfo=TOKYO) and by_hour[0].start.utcoffset() == timedelta(
        hours=9
    )


def test_a_sum_of_gates_with_formula_and_calibration_has_an_interval_and_no_number_without_a_gate(
    analyst: Analyst,
) -> None:
    spot = spot_of(analyst, "spot-taki")
    station = dict(analyst.rows("select code, station_id from station"))
    # The second gate counts both ways, halved; from the 2nd day on.
    analyst.execute(
        "insert into spot_source (municipality_id, spot_id, station_id, kind, measure, weight, from_day)"
        " values (%s, %s, %s, 'line', 'both', 0.5, %s)",
        *(analyst.town.municipality_id, spot, station["spot-onsen"], FIRST + DAY),
    )
    analyst.execute(
        "insert into app_user (municipality_id, login, display_name, role, password_hash)"
        " values (%s, 't', '観光', 'tourism', 'x')",
        analyst.town.municipality_id,
    )
    for code, measure, factor in (("spot-taki", "in", (1.1, 1.0, 1.2)), ("spot-onsen", "both", (1.2, 1.0, 1.5))):
        analyst.execute(
            "insert into count_factor (municipality_id, station_id, measure, from_day, factor, low, high, mape,"
            " sessions, measured_until, signed_by, entered_at, user_id)"
            " select %s, %s, %s, %s, %s, %s, %s, 9, '{1,2,3}', %s, '美守', %s, user_id from app_user limit 1",
            *(analyst.town.municipality_id, station[code], measure, FIRST + DAY, *factor),
            *(midnight(FIRST), midnight(FIRST)),
        )
    for code, way, each in (("spot-taki", "in", 1.0), ("spot-onsen", "in", 2.0), ("spot-onsen", "out", 4.0)):
        series = analyst.town.datastream(code, f"passages_{way}")
        for n in range(3):
            if (code, n) != ("spot-onsen", 2):
                analyst.send(series, counted(FIRST + n * DAY, each))
    analyst.work()
    alone, both, without = read(analyst, spot, FIRST, FIRST + 2 * DAY)
    assert (alone.visitors, alone.low) == (144, None)
    assert (both.visitors, both.raw) == (round(144 * 1.1 + 144 * 3 * 1.2), 144 * 7)
    # in quadrature: 14.4 and 86.4 below, 14.4 and 129.6 above
    assert both.low == pytest.approx(676.8 - (14.4**2 + 86.4**2) ** 0.5)
    assert both.high == pytest.approx(676.8 + (14.4**2 + 129.6**2) ** 0.5)
    assert (without.visitors, without.raw, without.state, without.completeness) == (None, 144, "outage", 0.5)
    # The device of the second gate is mounted anew: what was measured of the old one says nothing of it.
    analyst.execute(
        "update attachment a set attached_from = %s from station s where s.station_id = a.station_id and code = %s",
        *(midnight(FIRST + DAY), "spot-onsen"),
    )
    (anew,) = read(analyst, spot, FIRST + DAY, FIRST + DAY)
    assert (anew.visitors, anew.low) == (round(144 * 1.1 + 144 * 3), None)


def test_form_and_counter_are_one_series_with_the_switch_marked_and_a_difference_of_spots(analyst: Analyst) -> None:
    taki, onsen = spot_of(analyst, "spot-taki"), spot_of(analyst, "spot-onsen")
    town = analyst.town.municipality_id
    analyst.execute("delete from spot_method where spot_id = %s", taki)
    for since, method in ((None, "form"), (FIRST + DAY, "counter")):
        analyst.execute(
            "insert into spot_method (municipality_id, spot_id, from_day, method) values (%s, %s, %s, %s)",
            *(town, taki, since, method),
        )
    ((rest,),) = analyst.rows(
        "insert into spot (municipality_id, code, kind, name, name_en) values (%s, 'rest', 'virtual', '他', 'Rest')"
        " returning spot_id",
        town,
    )
    for part, sign in ((taki, 1), (onsen, -1)):
        analyst.execute(
            "insert into spot_part (municipality_id, spot_id, part_id, sign, made_at) values (%s, %s, %s, %s, %s)",
            *(town, rest, part, sign, midnight(FIRST)),
        )
    for n in range(2):
        analyst.send(analyst.town.datastream("spot-taki", "passages_in"), counted(FIRST + n * DAY, 3.0))
        analyst.send(analyst.town.datastream("spot-onsen", "passages_in"), counted(FIRST + n * DAY, 1.0))
    analyst.send(analyst.town.datastream("spot-taki", "passages_day"), [(midnight(FIRST + DAY), 400.0)])
    analyst.work()
    found = read(analyst, taki, FIRST - DAY, FIRST + DAY)
    assert [(d.visitors, d.state, d.method, d.method_before) for d in found] == [
        (None, "absent", Method.FORM, None),
        (400, "ok", Method.FORM, None),
        (432, "ok", Method.COUNTER, Method.FORM),
    ]
    assert not comparable(found[1], found[2]) and comparable(found[2], found[2])
    virtual = read(analyst, rest, FIRST - DAY, FIRST + DAY)
    assert [(d.visitors, d.state, d.method, d.method_before) for d in virtual] == [
        (None, "absent", Method.MIXED, None),
        (256, "ok", Method.MIXED, None),
        (288, "ok", Method.COUNTER, Method.MIXED),
    ]
    assert [h.visitors for h in read_hours(analyst, rest, FIRST + DAY)] == [12.0] * 24
    assert read_hours(analyst, taki, FIRST) == [], "nobody enters hours"

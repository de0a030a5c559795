"""Visits are 延べ: passages inwards, by hour and day, with gaps shown as gaps."""

from __future__ import annotations

from datetime import date, timedelta

from analytics.visitors.visits import visits_by_day, visits_by_hour
from devices.model import Quality
from store import connect
from tests.analytics.series import Analyst
from tests.conftest import START

TEN, HOUR = timedelta(minutes=10), timedelta(hours=1)


def test_visits_by_hour_and_day_through_the_api_role(analyst: Analyst) -> None:
    inwards = analyst.town.datastream("spot-asaichi", "passages_in")
    outwards = analyst.town.datastream("spot-asaichi", "passages_out")
    quiet = analyst.town.datastream("spot-taki", "passages_in")
    analyst.send(inwards, [(START + n * TEN, float(n)) for n in range(1, 7)])
    analyst.send(inwards, [(START + HOUR + TEN, 0.0), (START + 2 * HOUR + TEN, None)])
    analyst.send(outwards, [(START + TEN, 50.0)])
    analyst.work()
    ids = [inwards, outwards, quiet]
    with connect(analyst.town.api, name="test api") as conn:
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(analyst.town.municipality_id),))
        hours = visits_by_hour(conn, ids, START, START + 3 * HOUR)
        days = visits_by_day(conn, ids, date(2026, 6, 1), date(2026, 6, 1))
        assert visits_by_hour(conn, [inwards], START, START + HOUR)[inwards] == hours[inwards][:1]
    assert [(each.visits, each.completeness, each.worst_quality) for each in hours[inwards]] == [
        (21, 1.0, Quality.GOOD),
        (0, 1 / 6, Quality.GOOD),
        (None, 0.0, Quality.MISSING),
    ]
    assert hours[outwards] == [], "who leaves has been counted on the way in"
    assert hours[quiet] == days[quiet] == [], "no observation is not zero visits"
    (day,) = days[inwards]
    assert (day.day, day.visits, day.completeness) == (date(2026, 6, 1), 21, 7 / 144)

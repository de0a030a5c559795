"""The line on top of every page: what interrupts, and what a page that sounds has to know."""

from __future__ import annotations

import html
import json
import re

import pytest

from alerts.rules.condition import Body, Compare, Number, Reading, Series
from api.access import Role
from devices.clock import FixedClock
from store import connect
from tests.alerts.gauge import Gauge
from tests.alerts.test_written import write_rule
from tests.api.serving import TownHall
from tests.conftest import START

HIGH = Body(Compare(Reading(Series("water_level")), "above", Number(1.5), margin=0.1), hold=1200)


def page(hall: TownHall, language: str = "ja") -> str:
    with hall.visitor(Role.WATER) as client:
        return html.unescape(client.get(f"/alerts?lang={language}", headers={"Accept": "text/html"}).text)


def alarms(hall: TownHall) -> list[dict[str, object]]:
    found = re.search(r"data-alarms='([^']*)'", page(hall))
    assert found is not None
    known: list[dict[str, object]] = json.loads(found[1])
    return known


@pytest.mark.parametrize(("severity", "interrupts"), [(3, True), (2, False)])
def test_a_rule_that_says_act_at_once_interrupts_as_the_highest_levels_do(
    hall: TownHall, severity: int, interrupts: bool
) -> None:
    gauge = Gauge(hall.database, FixedClock(START))
    write_rule(gauge, HIGH, severity=severity, name="急な増水")
    gauge.send_series(1.2, 1.6)
    gauge.evaluate()
    shown = page(hall)
    assert ("strip-alarm" in shown) is interrupts
    if interrupts:
        assert "：急な増水（至急対応）" in shown and "急な増水（act at once）" in page(hall, "en")
    assert alarms(hall) == [{"id": 1, "rank": severity + 1, "drill": False}]


def test_what_somebody_has_acknowledged_is_heard_no_more_and_a_drill_is_one(hall: TownHall) -> None:
    assert alarms(hall) == []
    alert_id = hall.raise_alert("river-okusawa/water_level")
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update alert set level = 4, mode = 'exercise'")
    assert alarms(hall) == [{"id": alert_id, "rank": 4, "drill": True}]
    with connect(hall.database.owner, name="test") as conn:
        conn.execute("update alert set acknowledged_at = now()")
    assert alarms(hall) == []

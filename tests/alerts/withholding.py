"""Readings that come one by one at a gauge, work at it, and whom of it all somebody was told."""

from __future__ import annotations

from datetime import datetime, timedelta

from devices.model import Quality, Reason
from store import connect
from store.planned_work import plan_work
from tests.alerts.gauge import KEY, STEP, Gauge
from tests.conftest import START

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
UPSTREAM = "river-takehara"  # of the same river; its lowest reference level is not reached below
RAIN = "rain-okusawa"


def doubtful(value: float, reason: Reason = Reason.RATE) -> tuple[float, Quality, Reason]:
    return value, Quality.DOUBTFUL, reason


def arrives(gauge: Gauge, value: object, *, after: timedelta = STEP) -> None:
    """A reading of this moment, `after` the one before."""
    gauge.clock.advance(after)
    gauge.send([(gauge.clock.now(), value)])  # type: ignore[list-item]
    gauge.evaluate()


def passes(gauge: Gauge, time: timedelta) -> None:
    gauge.clock.advance(time)
    gauge.tick()


def subjects(gauge: Gauge) -> list[str]:
    return [row[0] for row in gauge.rows("select subject from outbox where channel = 'log' order by outbox_id")]


def withheld(gauge: Gauge) -> list[tuple[int, int | None, str | None]]:
    """(level, confirmed level, why nobody is told) of the open level alerts."""
    return gauge.rows(
        "select level, confirmed_level, withheld from alert where rule = 'level' and cleared_at is null order by 1"
    )


def steps(gauge: Gauge) -> list[tuple[str, int | None, bool, str | None]]:
    return gauge.rows("select event, level, unconfirmed, reason from alert_history order by alert_history_id")


def beside(gauge: Gauge, station: str, observed: str, *values: float, until: datetime) -> None:
    """Readings of another station, the last of them at `until`."""
    series = gauge.town.datastream(station, observed)
    with connect(gauge.town.owner, name="test") as conn:
        for n, value in enumerate(reversed(values)):
            conn.execute("insert into observation values (%s, %s, %s, 'good')", (series, until - n * STEP, value))


def work(gauge: Gauge, start: timedelta, end: timedelta, *, key: str = KEY) -> int:
    """Planned at the gauge's device, from and to so long after START."""
    device = gauge.town.directory.device(key)
    assert device is not None
    with connect(gauge.town.owner, name="test") as conn:
        return plan_work(
            conn,
            gauge.town.municipality_id,
            device.device_id,
            starts_at=START + start,
            ends_at=START + end,
            work="清掃",
            now=START,
            user_id=None,
        )

"""カウンターの調子: one line a counter, words first.

How much of its counts came, when it was last heard, battery, balance of in and out, time without a true count, last
calibration. The digital section's page of the device has the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg.rows import class_row
from starlette.requests import Request
from starlette.responses import Response

from alerts.device_health import Battery, device_health
from analytics.visitors.usual import day_start
from api.access import READERS, Router, SignedIn, access
from api.pages.alert_list import open_alerts
from api.pages.site import moment, page
from api.roles import Role
from store.connection import Connection

router = Router()

DAYS = 30
BALANCED = (0.8, 1.25)  # out / in over 30 days; beyond it one direction is not counted as the other
_LEAST_PASSAGES = 100  # fewer say nothing about a balance
COMPLETE, OLD_CALIBRATION = 0.95, timedelta(days=366)
_FULL = 1.0


@dataclass(frozen=True, slots=True)
class _Row:
    """A counter as the database has it; sums of the last 30 local days."""

    station_id: int
    code: str
    name: str
    name_en: str
    spot_code: str | None
    first_day: date | None
    n: int
    expected: float
    inwards: float | None
    outwards: float | None
    has_out: bool
    last_count: datetime | None
    silent: bool
    fault_hours: float
    fault_now: str | None
    calibrated_at: datetime | None
    factor: float | None
    device_id: int | None


@dataclass(frozen=True, slots=True)
class CounterHealth:
    """A counter and what a person should know of it; `problems` are keys of words, the worst first."""

    row: _Row
    completeness: float | None
    lost_days: float
    balance: float | None
    battery: Battery | None
    problems: tuple[str, ...]


@router.get("/tourism/counters")
@access(READERS, page=True)
def counters_page(request: Request, visit: SignedIn) -> Response:
    """All counters of the town."""
    at = moment(request, visit)
    with visit.transaction() as conn:
        today = at.now.astimezone(at.zone).date()
        health = device_health(conn, at.now)
        batteries = {device_id: each.battery for device_id, each in health.items()}
        first = today - timedelta(days=DAYS)
        rows = _rows(
            conn, first, today - timedelta(days=1), at.now, day_start(first, at.zone), day_start(today, at.zone)
        )
        found = [_judged(row, batteries, first, at.now) for row in rows]
        alerts = open_alerts(conn, visit.user.role)
    return page(
        request,
        visit,
        at,
        "tourism_counters",
        alerts,
        counters=sorted(found, key=lambda each: (not each.problems, each.row.station_id)),
        days=DAYS,
        sees_devices=visit.user.role is Role.DIGITAL,
    )


def _judged(row: _Row, batteries: Mapping[int, Battery | None], first: date, now: datetime) -> CounterHealth:
    """The share is of the days since its first count: before it nothing was expected."""
    expected = row.expected
    completeness = None if row.first_day is None or expected <= 0 else min(_FULL, row.n / expected)
    lost = 0.0 if completeness is None else (1 - completeness) * expected_days(row, first) + row.fault_hours / 24
    balance = None
    if row.has_out and row.inwards is not None and row.outwards is not None and row.inwards >= _LEAST_PASSAGES:
        balance = row.outwards / row.inwards
    battery = None if row.device_id is None else batteries.get(row.device_id)
    problems = [
        key
        for key, there in (
            ("never", row.last_count is None),
            ("silent", row.last_count is not None and row.silent),
            ("fault", row.fault_now is not None),
            ("battery", battery is not None and battery.low),
            ("gaps", completeness is not None and completeness < COMPLETE),
            ("balance", balance is not None and not BALANCED[0] <= balance <= BALANCED[1]),
            ("uncalibrated", row.calibrated_at is None),
            ("calibration_old", row.calibrated_at is not None and now - row.calibrated_at > OLD_CALIBRATION),
        )
        if there
    ]
    return CounterHealth(row, completeness, lost, balance, battery, tuple(problems))


def expected_days(row: _Row, first: date) -> float:
    """Of the last 30 days those since its first count."""
    return float(DAYS if row.first_day is None else min(DAYS, DAYS - (row.first_day - first).days))


def _rows(conn: Connection, first: date, last: date, now: datetime, start: datetime, end: datetime) -> list[_Row]:
    with conn.cursor(row_factory=class_row(_Row)) as cursor:
        return cursor.execute(_ROWS, {"first": first, "last": last, "now": now, "start": start, "end": end}).fetchall()


_ROWS = """
select s.station_id, s.code, s.name, s.name_en, p.code as spot_code, began.day as first_day,
       coalesce(month.n, 0)::integer as n,
       (86400 / extract(epoch from d.step) * (%(last)s::date - greatest(%(first)s::date, began.day) + 1))::float8
           as expected,
       month.total as inwards, back.total as outwards, o.datastream_id is not null as has_out,
       newest.at as last_count, coalesce(newest.at < %(now)s - greatest(3 * d.step, interval '1 hour'), true) as silent,
       coalesce(fault.hours, 0)::float8 as fault_hours,
       (select f.kind from count_period f where f.station_id = s.station_id and f.ends_at is null
        and f.standing in ('found', 'confirmed', 'by_hand') and f.starts_at <= %(now)s) as fault_now,
       factor.measured_until as calibrated_at, factor.factor, held.device_id
from datastream d
join station s using (station_id)
left join spot p on p.station_id = s.station_id
left join datastream o on o.station_id = d.station_id and o.observed_property = 'passages_out' and o.drill_run is null
left join lateral (select day from rollup_day where datastream_id = d.datastream_id and n > 0
                   order by day limit 1) began on true
left join lateral (select sum(n) as n, sum(total) as total from rollup_day
                   where datastream_id = d.datastream_id and day between %(first)s and %(last)s) month on true
left join lateral (select sum(total) as total from rollup_day
                   where datastream_id = o.datastream_id and day between %(first)s and %(last)s) back on true
left join lateral (select phenomenon_time as at from tenant_observation
                   where datastream_id = d.datastream_id and quality not in ('bad', 'missing')
                   order by phenomenon_time desc limit 1) newest on true
left join lateral (
    select sum(extract(epoch from least(coalesce(f.ends_at, %(end)s), %(end)s) - greatest(f.starts_at, %(start)s)))
           / 3600 as hours
    from count_period f
    where f.station_id = s.station_id and f.standing in ('found', 'confirmed', 'by_hand')
      and f.kind in ('blocked', 'jammed') and f.starts_at < %(end)s and coalesce(f.ends_at, 'infinity') > %(start)s
) fault on true
left join lateral (select c.measured_until, c.factor from count_factor c
                   where c.station_id = s.station_id and c.withdrawn_at is null
                   order by c.from_day desc limit 1) factor on true
left join lateral (select a.device_id from field_mapping m join attachment a using (attachment_id)
                   where m.datastream_id = d.datastream_id and a.attached_from <= %(now)s
                     and coalesce(a.attached_to, 'infinity') > %(now)s
                   order by a.attached_from desc limit 1) held on true
where d.observed_property = 'passages_in' and d.drill_run is null
order by s.station_id
"""

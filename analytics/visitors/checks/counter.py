"""Whether the counter of a spot counts now: keeps the finding `counter` and the stored periods equal to what it says.

Judged at the newest count, as `zeros` describes: zeros that are too many (blocked), one number again and again or one
that no crowd makes (jammed). Each opens a period in `count_period`, which takes its hours out of the counts, and the
finding `counter`, of which the office is told. Both end with the first count that is another one.

Before zeros are called false the other counters of the town are looked at: where these have fewer than usual in the
same hours too, fewer are expected here. And where the counter itself counts people going out while nobody goes in, it
is at fault however few usually come.

What a person has said of a time stands: a finding that they overruled is not found again in the same zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.findings import Changes, Finding, end, last, open_or_update
from analytics.visitors.checks import periods
from analytics.visitors.checks.hours import series
from analytics.visitors.checks.zeros import (
    CONSTANT_INTERVALS,
    HISTORY_DAYS,
    JAM_VERSION,
    LEAST_USUAL,
    RULE_VERSION,
    RUNAWAY_LEAST,
    Hourly,
    constant,
    pattern,
    runaway,
    walk,
    zero_run,
)
from analytics.visitors.day_types import day_type
from analytics.visitors.usual import day_start, local_day
from store import Connection

LATE = timedelta(hours=6)  # counts that reach so far back are looked at as a past
LEAST_HISTORY = 28  # days
FORTNIGHT, FEWEST_VARIED_DAYS = timedelta(days=14), 7
RUN_DAYS = 4  # zeros are followed back so far
OUT_ALONE = 10  # people who go out while nobody goes in, in hours in which people usually come:
LEAST_WITH_OUT = 5.0  # then so many of them are enough
_LEAST_BESIDE = 20.0  # passages of the other counters, usually, that can say anything
_SMALLEST_SHARE = 0.05
_WEEKS = 8
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Counter:
    """The inward series of a spot, and its newest usable count."""

    datastream_id: int
    municipality_id: int
    station_id: int
    newest: datetime
    step: timedelta
    out_id: int | None


def judge(conn: Connection, counter: Counter, zone: ZoneInfo) -> Changes:
    """What changed of its finding."""
    open_ = periods.open_found(conn, counter.station_id)
    finding = last(conn, counter.station_id, "counter")
    told = finding is not None and finding.ended_at is None
    if open_ is not None:
        back = _counts_again(conn, counter, open_)
        if back is None:
            return []  # also at night: nobody has been counted yet
        until = back - counter.step
        if open_.kind == "blocked":
            until = _last_visitors(conn, counter, open_.starts_at, until, zone)
        periods.end(conn, open_.count_period_id, until)
        return end(conn, counter.station_id, "counter", back)
    changes: Changes = end(conn, counter.station_id, "counter", counter.newest) if told else []  # somebody overruled it
    return changes + (_jammed(conn, counter, zone) or _blocked(conn, counter, zone))


def look_back(conn: Connection, counter: Counter, first: date, last: date, zone: ZoneInfo) -> None:
    """False zeros in counts that came late or were imported, of the local days first..last: periods that have ended. Of
    these nobody is told: they stand on the spot's page and beside their days in the queue.
    """
    since = first - HISTORY_DAYS * _DAY
    counts = series(conn, [counter.datastream_id], since, last, zone)[counter.datastream_id]
    began = np.flatnonzero(~np.isnan(counts).all(axis=1))
    if not len(began):
        return
    counts, since = counts[began[0] :], since + int(began[0]) * _DAY
    before = max(LEAST_HISTORY, (first - since).days)
    for run in walk(since, counts, before):
        if run.end >= counts.size or run.start < 24 * before:
            continue
        start, end = (_starts(each, each + 1, since, zone)[0] for each in (run.start, run.end))
        end = _last_visitors(conn, counter, start, end, zone)
        hours = _starts(run.start, run.end, since, zone)
        if run.usual * _beside(conn, counter, hours) < LEAST_USUAL or periods.refused(
            conn, counter.station_id, start, end
        ):
            continue
        detail = {"rule": "zeros", "hours": run.hours, "usual": run.usual, "value": 0.0}
        periods.begin(
            *(conn, counter.municipality_id, counter.station_id, "blocked", start, counter.newest),
            *(RULE_VERSION, detail),
            ends_at=end,
        )


def _last_visitors(conn: Connection, counter: Counter, start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """The end of zeros that began and ended then, without the hours at their end in which nobody comes anyway: a night
    has lost nothing.
    """
    before = local_day(start + _HOUR, zone)
    history_from = before - HISTORY_DAYS * _DAY
    usual = pattern(
        history_from, series(conn, [counter.datastream_id], history_from, before - _DAY, zone)[counter.datastream_id]
    )
    whole = end.replace(minute=0, second=0, microsecond=0)
    last = end
    while whole - _HOUR > start:
        local = (whole - _HOUR).astimezone(zone)
        if usual.of(local.date())[local.hour] > 0:
            break
        whole = last = whole - _HOUR
    return last


def _counts_again(conn: Connection, counter: Counter, open_: periods.Period) -> datetime | None:
    """The first count that is another one, or of a runaway the end of the first hour that is an ordinary one."""
    if open_.detail.get("rule") == "runaway":
        row = conn.execute(
            """
            select min(hour) + interval '1 hour' from rollup_hour
            where datastream_id = %s and hour > %s and n >= expected and total < %s
            """,
            (counter.datastream_id, open_.starts_at, open_.detail["limit"]),
        ).fetchone()
    else:
        row = conn.execute(
            """
            select min(phenomenon_time) from observation
            where datastream_id = %s and phenomenon_time > %s and value <> %s and quality not in ('bad', 'missing')
            """,
            (counter.datastream_id, open_.starts_at, open_.detail.get("value", 0.0)),
        ).fetchone()
    found: datetime | None = None if row is None else row[0]
    return found


def _blocked(conn: Connection, counter: Counter, zone: ZoneInfo) -> Changes:
    today = local_day(counter.newest, zone)
    lately = _until_now(conn, counter, counter.datastream_id, zone)
    if lately is None or np.nansum(lately[-2:]) > 0:
        return []
    somebody = np.flatnonzero(lately > 0)
    begins = int(somebody[-1]) + 1 if len(somebody) else 0
    first_day = today - (RUN_DAYS - 1) * _DAY
    before = first_day + begins // 24 * _DAY
    history_from = before - HISTORY_DAYS * _DAY
    history = series(conn, [counter.datastream_id], history_from, before - _DAY, zone)[counter.datastream_id]
    usual_of = pattern(history_from, history)
    usual = np.concatenate([usual_of.of(first_day + n * _DAY) for n in range(RUN_DAYS)])[: len(lately)]
    run = zero_run(lately, usual, usual_of.limit)
    out = _until_now(conn, counter, counter.out_id, zone) if counter.out_id is not None else None
    if out is not None and run is None and np.nansum(out[begins:][usual[begins:] > 0]) >= OUT_ALONE:
        run = zero_run(lately, usual, LEAST_WITH_OUT)
    elif run is not None and usual_of.limit > run.usual * _beside(
        conn, counter, _starts(run.start, run.end, first_day, zone)
    ):
        run = None
    if run is None:
        return []
    starts_at = _starts(run.start, run.start + 1, first_day, zone)[0]
    heard = conn.execute(
        """
        select max(phenomenon_time) from observation
        where datastream_id = %s and phenomenon_time > %s and phenomenon_time <= %s and value > 0
          and quality not in ('bad', 'missing')
        """,
        (counter.datastream_id, starts_at - _HOUR, starts_at),
    ).fetchone()
    since = heard[0] if heard is not None and heard[0] is not None else starts_at
    if periods.refused(conn, counter.station_id, since, counter.newest):
        return []
    detail = {"rule": "zeros", "hours": run.hours, "usual": run.usual, "value": 0.0}
    periods.begin(
        *(conn, counter.municipality_id, counter.station_id, "blocked"),
        *(since, counter.newest, RULE_VERSION, detail),
    )
    told = {"hours": run.hours, "day_type": day_type(today).value, "n": int((~np.isnan(history).all(axis=1)).sum())}
    return open_or_update(
        conn,
        Finding(
            *(counter.municipality_id, counter.station_id, counter.datastream_id, "counter", starts_at),
            *(0.0, run.usual, run.score, RULE_VERSION, told),
        ),
    )


def _jammed(conn: Connection, counter: Counter, zone: ZoneInfo) -> Changes:
    newest = conn.execute(
        """
        select phenomenon_time, value from observation
        where datastream_id = %s and phenomenon_time <= %s and quality not in ('bad', 'missing')
        order by phenomenon_time desc limit %s
        """,
        (counter.datastream_id, counter.newest, CONSTANT_INTERVALS),
    ).fetchall()
    values = [value for _, value in reversed(newest)]
    if constant(values, counter.step) and _varied(conn, counter, newest[-1][0]):
        since = newest[-1][0] - counter.step
        return _jam(conn, counter, since, values[-1], {"rule": "constant", "value": values[-1]})
    hour = conn.execute(
        """
        select i.hour, i.total, o.total from rollup_hour i
        left join rollup_hour o on o.datastream_id = %s and o.hour = i.hour and o.n >= o.expected
        where i.datastream_id = %s and i.hour > %s and i.total >= %s order by i.hour desc limit 1
        """,
        (counter.out_id, counter.datastream_id, counter.newest - 3 * _HOUR, RUNAWAY_LEAST),
    ).fetchone()
    if hour is None:
        return []
    start, total, out = hour
    today = local_day(counter.newest, zone)
    history = series(conn, [counter.datastream_id], today - HISTORY_DAYS * _DAY, today - _DAY, zone)
    known = history[counter.datastream_id]
    highest = float(np.nanmax(known)) if not np.isnan(known).all() else 0.0
    if highest <= 0 or not runaway(total, highest, out):
        return []
    limit = total / 2
    return _jam(conn, counter, start, total, {"rule": "runaway", "value": total, "highest": highest, "limit": limit})


def _varied(conn: Connection, counter: Counter, until: datetime) -> bool:
    """Whether the fortnight before had counts on a week of days at least, and no such constant among them."""
    rows = conn.execute(
        """
        select phenomenon_time, value from observation
        where datastream_id = %s and phenomenon_time < %s and phenomenon_time >= %s
          and quality not in ('bad', 'missing')
        order by phenomenon_time
        """,
        (counter.datastream_id, until, until - FORTNIGHT),
    ).fetchall()
    if len({time.date() for time, _ in rows}) < FEWEST_VARIED_DAYS:
        return False
    values = [value for _, value in rows]
    return not any(
        constant(values[n : n + CONSTANT_INTERVALS], counter.step) for n in range(len(values) - CONSTANT_INTERVALS)
    )


def _jam(conn: Connection, counter: Counter, since: datetime, value: float, detail: dict[str, object]) -> Changes:
    if periods.refused(conn, counter.station_id, since, counter.newest):
        return []
    periods.begin(
        *(conn, counter.municipality_id, counter.station_id, "jammed"),
        *(since, counter.newest, JAM_VERSION, detail),
    )
    return open_or_update(
        conn,
        Finding(
            *(counter.municipality_id, counter.station_id, counter.datastream_id, "counter", since),
            *(value, None, 1.0, JAM_VERSION, {"rule": detail["rule"]}),
        ),
    )


def _until_now(conn: Connection, counter: Counter, datastream_id: int | None, zone: ZoneInfo) -> Hourly | None:
    """The hours of the last `RUN_DAYS` days that are over at the newest count."""
    if datastream_id is None:
        return None
    today = local_day(counter.newest, zone)
    first = today - (RUN_DAYS - 1) * _DAY
    hours = series(conn, [datastream_id], first, today, zone)[datastream_id].ravel()
    local = counter.newest.astimezone(zone)
    over = 24 * (local.date() - first).days + local.hour
    return hours[:over] if over >= 2 else None


def _starts(start: int, end: int, first: date, zone: ZoneInfo) -> list[datetime]:
    """The hours at these positions from the local day `first` on."""
    return [day_start(first + n // 24 * _DAY, zone) + n % 24 * _HOUR for n in range(start, end)]


def _beside(conn: Connection, counter: Counter, hours: Sequence[datetime]) -> float:
    """What the other counters of the town have in these hours against the same hours of the last 8 weeks, at most 1."""
    row = conn.execute(
        """
        select sum(now.total), sum(before.usual)
        from unnest(%s::timestamptz[]) as asked (hour)
        join datastream d on d.municipality_id = %s and d.observed_property = 'passages_in' and d.drill_run is null
                          and d.station_id <> %s
        join rollup_hour now on now.datastream_id = d.datastream_id and now.hour = asked.hour and now.n >= now.expected
        cross join lateral (
            select avg(r.total) as usual from generate_series(1, %s) as week
            join rollup_hour r on r.datastream_id = d.datastream_id and r.hour = asked.hour - week * interval '7 days'
        ) before
        where before.usual is not null
        """,
        (list(hours), counter.municipality_id, counter.station_id, _WEEKS),
    ).fetchone()
    came, usual = (None, None) if row is None else row
    if usual is None or usual < _LEAST_BESIDE:
        return 1.0
    return float(min(1.0, max(_SMALLEST_SHARE, came / usual)))

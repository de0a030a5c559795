"""Whether the counter of a spot counts now: keeps the finding `counter` and the stored periods equal to what it says.

Judged at the newest count: zeros that are too many (blocked; `analytics.visitors.zeros`), one number again and again or
one that no crowd makes (jammed; `jammed`). Each opens a period in `count_period`, which takes its hours out of the
counts, and the finding `counter`, of which the office is told. Both end with the first count that is another one.

Before zeros are called false the other counters of the town are looked at, as many as `BESIDE`: where these have fewer
than usual in the same hours too, a zero says less. And where the counter itself counts people going out while nobody
goes in, it is at fault however few usually come.

What a person has said of a time stands: a finding that they overruled is not found again in the same zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.findings import Changes, Finding, end, last, open_or_update
from analytics.visitors.checks import jammed, periods
from analytics.visitors.checks.hours import Hourly, beside, series, vouched
from analytics.visitors.day_types import calendar, day_type
from analytics.visitors.expected.counts import Counts
from analytics.visitors.usual import day_start, local_day
from analytics.visitors.zeros import HISTORY_DAYS, Run, Zeros
from analytics.visitors.zeros import judge as judge_zeros
from store import Connection

RULE_VERSION = "counter:3"
LATE = timedelta(hours=6)  # counts that reach so far back are looked at as a past
FORTNIGHT, FEWEST_VARIED_DAYS = timedelta(days=14), 7
OUT_ALONE = 10  # people who go out while nobody goes in, in hours in which people usually come:
LEAST_WITH_OUT, LEAST_HOURS = 5.0, 3  # then so many of them in so many hours are enough
_USUAL_DAYS = 35
_WEEK = 7
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
    zeros = _judged(conn, counter, since, last, zone)
    for run in zeros.runs():
        if run.end >= len(zeros.values) or run.start < 24 * HISTORY_DAYS:
            continue
        start = _at(run.start, since, zone)
        end = _last_visitors(conn, counter, start, _at(run.end, since, zone), zone)
        if periods.refused(conn, counter.station_id, start, end):
            continue
        periods.begin(
            *(conn, counter.municipality_id, counter.station_id, "blocked", start, counter.newest),
            *(RULE_VERSION, _detail(run)),
            ends_at=end,
        )


def _judged(
    conn: Connection, counter: Counter, first: date, last: date, zone: ZoneInfo, until: datetime | None = None
) -> Zeros:
    """The hours of the local days first..last (those that are over at `until`) of a counter; where there seem to be
    false zeros, beside those of the others.
    """

    def judged(ids: list[int]) -> Zeros:
        counts, true = series(conn, ids, first, last, zone), vouched(conn, ids, first, last, zone)
        values = np.stack([counts[each].ravel() for each in ids], axis=1)
        said = np.stack([true[each].ravel() for each in ids], axis=1)
        if until is not None:
            local = until.astimezone(zone)
            values[24 * (local.date() - first).days + local.hour :] = np.nan
        return judge_zeros(Counts(first, 24, values, said), calendar(first, len(values) // 24))

    alone = judged([counter.datastream_id])
    return judged([counter.datastream_id, *beside(conn, counter.datastream_id)]) if alone.runs() else alone


def _last_visitors(conn: Connection, counter: Counter, start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """The end of zeros that began and ended then, without the hours at their end in which nobody comes anyway: a night
    has lost nothing.
    """
    before = local_day(start + _HOUR, zone)
    first = before - _USUAL_DAYS * _DAY
    counts = series(conn, [counter.datastream_id], first, before - _DAY, zone)[counter.datastream_id]
    known = Counts(first, 24, counts.reshape(-1, 1)).with_days(_USUAL_DAYS + _WEEK)
    usual = judge_zeros(known, calendar(first, known.days)).usual[-24 * _WEEK :, 0].reshape(_WEEK, 24)
    whole = end.replace(minute=0, second=0, microsecond=0)
    last = end
    while whole - _HOUR > start:
        local = (whole - _HOUR).astimezone(zone)
        if usual[(local.date() - before).days % _WEEK, local.hour] > 0:
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
    if np.nansum(_until_now(conn, counter, counter.datastream_id, today - _DAY, zone)[-2:]) > 0:
        return []
    first = today - HISTORY_DAYS * _DAY
    zeros = _judged(conn, counter, first, today, zone, counter.newest)
    run = next((each for each in zeros.runs() if each.end == len(zeros.values)), None) or _with_out(
        conn, counter, zeros, first, zone
    )
    if run is None:
        return []
    starts_at = _at(run.start, first, zone)
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
    periods.begin(
        *(conn, counter.municipality_id, counter.station_id, "blocked"),
        *(since, counter.newest, RULE_VERSION, _detail(run)),
    )
    known = (~np.isnan(zeros.values[: run.start, 0])).reshape(-1)
    days = len(np.unique(np.flatnonzero(known) // 24))
    told = {"hours": run.hours, "day_type": day_type(today).value, "n": days}
    return open_or_update(
        conn,
        Finding(
            *(counter.municipality_id, counter.station_id, counter.datastream_id, "counter", starts_at),
            *(0.0, run.usual, max(1.0, run.against), RULE_VERSION, told),
        ),
    )


def _with_out(conn: Connection, counter: Counter, zeros: Zeros, first: date, zone: ZoneInfo) -> Run | None:
    """The zeros at the end, where people have gone out meanwhile."""
    run = zeros.lately()
    if counter.out_id is None or run is None or run.hours < LEAST_HOURS or run.usual < LEAST_WITH_OUT:
        return None
    start = first + run.start // 24 * _DAY
    out = _until_now(conn, counter, counter.out_id, start, zone)[run.start % 24 :]
    meant = zeros.usual[run.start : run.start + len(out), 0] > 0
    return run if np.nansum(out[meant]) >= OUT_ALONE else None


def _detail(run: Run) -> dict[str, object]:
    return {"rule": "zeros", "hours": run.hours, "usual": run.usual, "value": 0.0}


def _jammed(conn: Connection, counter: Counter, zone: ZoneInfo) -> Changes:
    newest = conn.execute(
        """
        select phenomenon_time, value from observation
        where datastream_id = %s and phenomenon_time <= %s and quality not in ('bad', 'missing')
        order by phenomenon_time desc limit %s
        """,
        (counter.datastream_id, counter.newest, jammed.CONSTANT_INTERVALS),
    ).fetchall()
    values = [value for _, value in reversed(newest)]
    if jammed.constant(values, counter.step) and _varied(conn, counter, newest[-1][0]):
        since = newest[-1][0] - counter.step
        return _jam(conn, counter, since, values[-1], {"rule": "constant", "value": values[-1]})
    hour = conn.execute(
        """
        select i.hour, i.total, o.total from rollup_hour i
        left join rollup_hour o on o.datastream_id = %s and o.hour = i.hour and o.n >= o.expected
        where i.datastream_id = %s and i.hour > %s and i.total >= %s order by i.hour desc limit 1
        """,
        (counter.out_id, counter.datastream_id, counter.newest - 3 * _HOUR, jammed.RUNAWAY_LEAST),
    ).fetchone()
    if hour is None:
        return []
    start, total, out = hour
    today = local_day(counter.newest, zone)
    history = series(conn, [counter.datastream_id], today - jammed.HISTORY_DAYS * _DAY, today - _DAY, zone)
    known = history[counter.datastream_id]
    highest = float(np.nanmax(known)) if not np.isnan(known).all() else 0.0
    if highest <= 0 or not jammed.runaway(total, highest, out):
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
        jammed.constant(values[n : n + jammed.CONSTANT_INTERVALS], counter.step)
        for n in range(len(values) - jammed.CONSTANT_INTERVALS)
    )


def _jam(conn: Connection, counter: Counter, since: datetime, value: float, detail: dict[str, object]) -> Changes:
    if periods.refused(conn, counter.station_id, since, counter.newest):
        return []
    periods.begin(
        *(conn, counter.municipality_id, counter.station_id, "jammed"),
        *(since, counter.newest, jammed.RULE_VERSION, detail),
    )
    return open_or_update(
        conn,
        Finding(
            *(counter.municipality_id, counter.station_id, counter.datastream_id, "counter", since),
            *(value, None, 1.0, jammed.RULE_VERSION, {"rule": detail["rule"]}),
        ),
    )


def _until_now(conn: Connection, counter: Counter, datastream_id: int, first: date, zone: ZoneInfo) -> Hourly:
    """The hours from a local day on that are over at the newest count."""
    hours = series(conn, [datastream_id], first, local_day(counter.newest, zone), zone)[datastream_id].ravel()
    local = counter.newest.astimezone(zone)
    return hours[: 24 * (local.date() - first).days + local.hour]


def _at(row: int, first: date, zone: ZoneInfo) -> datetime:
    """When an hour begins, counted from the local day `first` on."""
    return day_start(first + row // 24 * _DAY, zone) + row % 24 * _HOUR

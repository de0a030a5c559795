"""今日これまで against the usual: the median of the last 8 days of the same kind, up to the same time of day.

    compare(today, earlier)   pure: the median, its n, and today's share of it - or why there is no comparison
    so_far(conn, asked, ...)  the counts it needs, by spot, from rollup_day and the observations

The time of day is that of the spot's newest count: a counter that fell silent at 10 is compared up to 10 o'clock.
A day counts only where at least 85 % of its counts are there, of the whole day and of the part that is compared;
fewer than 3 such days are no base (比較なし), and neither is a day of which today has gaps: what was not counted would
look like visitors who stayed away. The median, for a day of festival among eight must not move what is usual.

When it works badly: after a season has turned (eight Sundays are two months); in a kind that comes once a year (GW has
last year's days within the 400 days looked back). Cost: three statements for all spots, which read at most 12 part-days
of observations a spot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from statistics import median
from typing import Literal
from zoneinfo import ZoneInfo

from psycopg.sql import SQL, Identifier

from analytics.visitors.day_types import DayType, day_type, same_kind_before
from analytics.visitors.visits import completeness, count
from store import Connection

DAYS = 8
_SPARE = 4  # days more that are looked at: some have their gap in the part that is compared
FEWEST_DAYS = 3
COMPLETE_ENOUGH = 0.85
LOOK_BACK = timedelta(days=400)
_TICK = timedelta(microseconds=1)

Observations = Literal["observation", "tenant_observation"]


class WhyNot(StrEnum):
    """Why there is no comparison."""

    NOTHING_YET = "nothing_yet"  # nothing was counted today
    GAPS = "gaps"  # less than 85 % of today so far was counted
    FEW_DAYS = "few_days"  # fewer than 3 days of the same kind


@dataclass(frozen=True, slots=True)
class Part:
    """A local day from 0:00 up to some time of day: `visits` None where nothing usable was counted.

    `whole`: what the whole day counted, of a day that is over.
    """

    day: date
    visits: int | None
    completeness: float
    whole: int | None = None


@dataclass(frozen=True, slots=True)
class SoFar:
    """Today up to `until` (the newest count; None where there is none) and the same part of earlier days of its kind.

    `earlier` is newest first, at most 8, only days that count; their visits are never None.
    """

    today: Part
    until: datetime | None
    earlier: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`usual` is the median of `n` days of the `kind`; None where there is no comparison, for the reason `why_not`.

    `share` is today's part of the usual one (1.0: as usual); None also where the usual is 0: nothing is a share of it.
    """

    kind: DayType
    n: int
    usual: float | None
    share: float | None
    why_not: WhyNot | None


def compare(part: SoFar) -> Comparison:
    """Today so far against the days that count.

    >>> days = [Part(date(2026, 5, 25 - n), 100 + n, 1.0) for n in range(3)]
    >>> found = compare(SoFar(Part(date(2026, 6, 1), 202, 1.0), None, tuple(days)))
    >>> found.kind.value, found.n, found.usual, found.share, found.why_not
    ('weekday', 3, 101, 2.0, None)
    """
    kind, n = day_type(part.today.day), len(part.earlier)
    why_not = None
    if part.today.visits is None:
        why_not = WhyNot.NOTHING_YET
    elif part.today.completeness < COMPLETE_ENOUGH:
        why_not = WhyNot.GAPS
    elif n < FEWEST_DAYS:
        why_not = WhyNot.FEW_DAYS
    usual = usual_of(counts_of(part))
    if why_not is not None or usual is None or part.today.visits is None:
        return Comparison(kind, n, None, None, why_not)
    return Comparison(kind, n, usual, part.today.visits / usual if usual > 0 else None, None)


def counts_of(part: SoFar) -> list[int]:
    """The visits of the days that count, newest first."""
    return [each.visits for each in part.earlier if each.visits is not None]


def whole_day_of(part: SoFar) -> float | None:
    """What a whole day usually has, by the same days; None where none of them is known."""
    wholes = [each.whole for each in part.earlier if each.whole is not None]
    return median(wholes) if wholes else None


def usual_of(counts: Sequence[float]) -> float | None:
    """The median; None of fewer than 3.

    >>> usual_of([10, 400, 12]), usual_of([10, 12])
    (12, None)
    """
    return median(counts) if len(counts) >= FEWEST_DAYS else None


def so_far(
    conn: Connection, asked: Mapping[int, datetime], zone: ZoneInfo, table: Observations = "observation"
) -> dict[int, SoFar]:
    """For each datastream of passages_in the day that its moment (aware) lies in, as far as it was counted by then.

    The API reads `tenant_observation`. A moment of 0:00 sharp belongs to the day that ends there: its count does.
    """
    days = {each: local_day(moment, zone) for each, moment in asked.items()}
    today = _counted(conn, table, [(each, *_window(days[each], asked[each], zone)) for each in asked])
    steps = {each: counted[0] for each, counted in today.items()}
    complete = _complete_days(conn, days)
    found: dict[int, SoFar] = {}
    wanted: list[tuple[int, datetime, datetime]] = []
    for each, (_, _, _, newest) in today.items():
        if newest is not None:
            wanted += [(each, *_window(day, _same_time(newest, days[each], day, zone), zone)) for day in complete[each]]
    parts: dict[int, list[Part]] = {each: [] for each in asked}
    for (each, start, end), (_, n, total, _) in zip(wanted, _counted_list(conn, table, wanted), strict=True):
        share = _completeness(n, start, end, steps[each])
        if share >= COMPLETE_ENOUGH and total is not None and len(parts[each]) < DAYS:
            day = local_day(end, zone)
            parts[each].append(Part(day, count(total), share, complete[each][day]))
    for each in asked:
        step, n, total, newest = today[each]
        share = 0.0 if newest is None else _completeness(n, day_start(days[each], zone), newest, step)
        found[each] = SoFar(Part(days[each], count(total), share), newest, tuple(parts[each]))
    return found


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The local day that a count of this moment belongs to: 0:00 sharp ends the day before.

    >>> local_day(datetime(2026, 6, 1, 15, tzinfo=UTC), ZoneInfo("Asia/Tokyo")).isoformat()
    '2026-06-01'
    """
    return (moment.astimezone(UTC) - _TICK).astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, in UTC."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _window(day: date, end: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return day_start(day, zone), end.astimezone(UTC)


def _same_time(moment: datetime, its_day: date, day: date, zone: ZoneInfo) -> datetime:
    """The same time by the wall clock on another day; 24:00 stays 24:00."""
    since = moment.astimezone(zone).replace(tzinfo=None) - datetime.combine(its_day, time.min)
    return (datetime.combine(day, time.min) + since).replace(tzinfo=zone).astimezone(UTC)


def _completeness(n: int, start: datetime, end: datetime, step: timedelta) -> float:
    expected = (end - start) // step
    return completeness(n, expected) if expected else 0.0


_Counted = tuple[timedelta, int, float | None, datetime | None]  # step, n, total, newest


def _counted(
    conn: Connection, table: Observations, windows: list[tuple[int, datetime, datetime]]
) -> dict[int, _Counted]:
    return {each: found for (each, *_), found in zip(windows, _counted_list(conn, table, windows), strict=True)}


def _counted_list(
    conn: Connection, table: Observations, windows: list[tuple[int, datetime, datetime]]
) -> list[_Counted]:
    """What was counted in (start, end] of each window, in their order."""
    if not windows:
        return []
    return [
        (row[0], row[1], row[2], row[3])
        for row in conn.execute(
            SQL(
                """
                select d.step, o.n, o.total, o.newest
                from unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) with ordinality
                     as asked (datastream_id, start, finish, position)
                join datastream d using (datastream_id)
                cross join lateral (
                    select count(*) as n, sum(value) as total, max(phenomenon_time) as newest from {table}
                    where datastream_id = asked.datastream_id and phenomenon_time > asked.start
                      and phenomenon_time <= asked.finish and quality not in ('bad', 'missing')
                ) o
                order by asked.position
                """
            ).format(table=Identifier(table)),
            tuple(map(list, zip(*windows, strict=True))),
        )
    ]


def _complete_days(conn: Connection, days: Mapping[int, date]) -> dict[int, dict[date, int | None]]:
    """For each datastream the last days of the same kind that were counted for at least 85 %, newest first."""
    candidates = {day: list(same_kind_before(day, LOOK_BACK)) for day in set(days.values())}
    pairs = [(each, earlier) for each, day in days.items() for earlier in candidates[day]]
    found: dict[int, dict[date, int | None]] = {each: {} for each in days}
    if pairs:
        for each, day, total in conn.execute(
            """
            select datastream_id, day, total from unnest(%s::integer[], %s::date[]) as asked (datastream_id, day)
            join rollup_day using (datastream_id, day)
            where n >= %s * expected order by datastream_id, day desc
            """,
            (*map(list, zip(*pairs, strict=True)), COMPLETE_ENOUGH),
        ):
            if len(found[each]) < DAYS + _SPARE:
                found[each][day] = count(total)
    return found

"""How the blocks are now, for every page that says it: the nights of late, the excess, the fiscal year so far, and what
the repairs behind an inlet have brought.

    blocks_now(conn, found, at) -> [Now, ...]               the worst excess for each km first
    shades(conn, at) -> Shades                              of every block, for the map of the town
    repairs(conn, now, cases, at) -> [Repair, ...]          of the repaired cases of a block, newest first
    shade(per_km) -> 0..3 | None                            how much that is, for a picture
    today(at)  inflow(conn, found, year, at)  hourly(conn, found, year, at)    what these are made of
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from analytics.leaks.blocks import stored
from analytics.leaks.blocks.balance import Balance, fiscal_year, whole_year
from analytics.leaks.blocks.change import Change, change
from analytics.leaks.blocks.hourly import Read
from analytics.leaks.blocks.meter_file import LONGEST as LONGEST_PERIOD
from analytics.leaks.blocks.night_use import LONGEST, Excess, excess, plain
from analytics.leaks.blocks.recovery import Recovery, recovery
from analytics.leaks.blocks.stored import Block
from analytics.leaks.cases.case import REPAIRED, Case
from analytics.leaks.night_alarm import Night
from api.pages.site import Moment
from store.connection import Connection

_SHADES = (0.2, 0.5, 1.0)  # m3/h/km
_REMEMBERED = timedelta(days=60)  # nights in which a change is looked for


@dataclass(frozen=True, slots=True)
class Now:
    """A block with its nights of late, and its fiscal year so far."""

    block: Block
    excess: Excess
    change: Change | None
    year: Balance


def shade(per_km: float | None) -> int | None:
    """The class of an excess in m3/h/km, 0 (least) to 3; None: not known. The steps are this product's own: about 0.1
    is what no network is without, and no law says what is too much.

    >>> [shade(each) for each in (None, -0.1, 0.2, 0.7, 3.0)]
    [None, 0, 1, 2, 3]
    """
    return None if per_km is None else bisect(_SHADES, per_km)


@dataclass(frozen=True, slots=True)
class Shaded:
    """A block with its excess in m3/h/km, None: not known; `shade` as of `shade()`, or 'unknown'."""

    code: str
    name: str
    name_en: str
    per_km: float | None
    shade: str


@dataclass(frozen=True, slots=True)
class Repair:
    """A repaired case of a block and what it brought."""

    case: Case
    recovery: Recovery


def blocks_now(conn: Connection, found: Sequence[Block], at: Moment) -> list[Now]:
    """With the worst excess for each km first; blocks of which it is not known last."""
    yesterday = today(at) - timedelta(days=1)
    # What is known of a night that is not over is no night minimum: up to yesterday's.
    nights = stored.nights(conn, found, today(at) - _REMEMBERED, yesterday)
    readings = stored.metered(conn)
    year = fiscal_year(today(at))
    flowed, metered = inflow(conn, found, year, at), hourly(conn, found, year, at)
    each_now = []
    for block in found:
        station = block.station_id
        own: list[Night] = nights.get(station, [])
        each_now.append(
            Now(
                block,
                excess(own, block.whole.use, block.whole.pipe_km, until=yesterday),
                change(plain(own)),
                whole_year(
                    year, today(at), flowed.get(station, {}), stored.read_of(block, readings), metered.get(station, {})
                ),
            )
        )
    return sorted(each_now, key=lambda each: (each.excess.per_km is None, -(each.excess.per_km or 0), each.block.code))


def shades(conn: Connection, at: Moment) -> list[Shaded]:
    """The worst first, unknown ones last; nothing where no block's excess a km is known. Four queries."""
    found = stored.blocks(conn)
    yesterday = today(at) - timedelta(days=1)
    nights = stored.nights(conn, found, yesterday - LONGEST, yesterday)
    each_km = [
        (each, excess(nights.get(each.station_id, []), each.whole.use, each.whole.pipe_km, until=yesterday).per_km)
        for each in found
    ]
    if all(per_km is None for _, per_km in each_km):
        return []
    return [
        Shaded(each.code, each.name, each.name_en, per_km, "unknown" if per_km is None else str(shade(per_km)))
        for each, per_km in sorted(each_km, key=lambda pair: (pair[1] is None, -(pair[1] or 0.0), pair[0].code))
    ]


def repairs(conn: Connection, block: Block, cases: Iterable[Case], at: Moment) -> list[Repair]:
    """Of the repaired ones among the cases behind the block's inlet; the newest first."""
    yesterday = today(at) - timedelta(days=1)
    found = []
    for case in cases:
        mended = case.last(REPAIRED)
        if mended is None or case.station_id not in block.whole.stations:
            continue
        day = mended.at.astimezone(at.zone).date()
        near = (day - LONGEST, min(day + LONGEST, yesterday)), (yesterday - LONGEST, yesterday)
        nights = {
            each.day: each
            for first, last in near
            for each in stored.nights(conn, [block], first, last).get(block.station_id, [])
        }
        known = [nights[each] for each in sorted(nights)]
        found.append(Repair(case, recovery(known, day, use=block.whole.use, until=yesterday)))
    return sorted(found, key=lambda each: each.recovery.repaired_on, reverse=True)


def inflow(conn: Connection, found: Sequence[Block], year: int, at: Moment) -> dict[int, dict[date, float]]:
    """m3 by station and day of a fiscal year, up to yesterday."""
    return stored.inflows(conn, found, date(year, 4, 1), min(date(year + 1, 4, 1), today(at)), at.zone)


def hourly(conn: Connection, found: Sequence[Block], year: int, at: Moment) -> dict[int, dict[date, Read]]:
    """What hourly meters say, by station and day: of a fiscal year until yesterday and of periods that touch it."""
    first, last = date(year, 4, 1) - LONGEST_PERIOD, min(date(year + 1, 4, 1) + LONGEST_PERIOD, today(at))
    now = today(at)
    return {
        station_id: {day: read for day, read in each.days(at.zone).items() if day < now}
        for station_id, each in stored.hourly(conn, found, first, last).items()
    }


def today(at: Moment) -> date:
    """The town's day."""
    return at.now.astimezone(at.zone).date()

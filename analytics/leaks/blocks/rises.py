"""Leaks of blocks that have nothing but their inlet, found live: every inlet's flow, judged once a day by itself.

    follow(dsn, clock, stop)                looks at every inlet of which a day is there; ends what was settled
    judge(conn, inlet, through, now)        the days of an inlet up to one that were not judged; what changed
    tell(conn, inlet, now)                  the finding `inflow_rise` of an inlet, from what was told of it
    regroup(conn, inlet, through, now)      where other meters are its block's than before: what changed

What is followed is `detection.inflow`, from the hours of the inlet less what a tank behind it takes in. A day begins at
six; it is judged when its data have come, as missing on the morning after. What comes later still is in the next
night's, which is followed anew from the hours of about 120 days; the first one from those of 150.

Where several meters enclose a block (`together`) it is judged as one: what all of them let in less what they let out,
on the days that all of them know. One inlet stands for it. Where the meters change everything is judged anew by the new
ones: what was told ends (`inlets`) and is told again if it still flows, but for what has a case.

A public holiday counts as a Sunday. The days of 年末年始, GW and お盆, and those whose night was of frost, are not
used: a rise that begins in them is told when they are over.

One leak is told once. A rise that the nights, a burst or the loggers of the block have told of is kept with their
finding (`others`), and what a rise has told of the nights are silent about (`watch`). Where the loggers tell of it
later, which then know more of where, its own finding ends. At an inlet there is one finding of this kind, for the rise
that was told last; it says what else still flows, and the one before it comes back should that one end first.

It works badly where use jumps for good by itself, in blocks that are fed by two inlets of which nobody has said where
they are (what one takes over from the other rises in one), and where a winter has frost all along: then nothing is
known for weeks.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import structlog

from analytics.alone import follow as alone
from analytics.findings import Changes, Finding, announce, end, open_or_update
from analytics.leaks.blocks import rises_stored as stored
from analytics.leaks.blocks.frost import frost_nights
from analytics.leaks.blocks.inlets import Inlet, inlets
from analytics.leaks.blocks.night_use import ODD
from analytics.leaks.blocks.rises_stored import KIND, Told, Watch
from analytics.leaks.blocks.together import Kept, of_towns
from analytics.leaks.detection.inflow import LEARNED, LEAST, Memory, Rise, Watched, new_rise, standing
from analytics.leaks.detection.inflow_days import MORNING, enough, parted
from analytics.leaks.loggers.known import NO_NUMBERS
from analytics.leaks.loggers.measured import hours
from analytics.leaks.network.pipes import Floats, Ints
from analytics.leaks.night_alarm import HOURS_A_MONTH
from analytics.visitors.day_types import DayType, day_type
from devices.clock import Clock
from store import Connection

log = structlog.get_logger(__name__)

NAME = "block inlets"
RULE_VERSION = "inflow_rise:2"
HISTORY = 150  # days, of an inlet that was never looked at
_LATELY = 7  # days, of which one at least has to be known
_STALE = 28  # days without a look, after which one begins anew
_MOVED = 0.5  # m3/h: by less the size of what grows is left as it was said
_WINTER = frozenset({12, 1, 2, 3})
_SUNDAY = 6
_REST_SECONDS = 30.0
_DAY = timedelta(days=1)


def follow(dsn: str, clock: Clock, stop: threading.Event) -> None:
    """Looks at every town's inlets, in a thread and with a connection of its own, until `stop` is set."""

    kept = Kept()

    def take_turn(conn: Connection) -> bool:
        turn(conn, clock.now(), stop, kept)
        return False

    alone(dsn, NAME, take_turn, stop, rest=_REST_SECONDS)


def turn(conn: Connection, now: datetime, stop: threading.Event, kept: Kept) -> None:
    """`conn` in autocommit: each block by itself."""
    in_cases = stored.in_cases(conn)
    for inlet in inlets(conn, now, of_towns(conn, kept)):
        if stop.is_set():
            return
        if inlet.series in in_cases:
            with conn.transaction():
                announce(conn, settle(conn, inlet, now))
        through = due(inlet, now)
        if inlet.judged is not None and inlet.judged >= through:
            continue
        try:
            with conn.transaction():
                announce(conn, regroup(conn, inlet, through, now))
            with conn.transaction():
                announce(conn, judge(conn, inlet, through, now))
        except NO_NUMBERS:
            # One block's odd numbers must not end the process that counts everybody's hours.
            log.exception("inflow_failed", station=inlet.station_id, day=str(through))
            with conn.transaction():
                stored.put_watch(conn, inlet, Watch(through, now, "failed"))


def due(inlet: Inlet, now: datetime) -> date:
    """The last day that can be judged."""
    over = (now.astimezone(inlet.zone) - timedelta(hours=MORNING)).date() - _DAY
    return over if inlet.until >= inlet.morning(over + _DAY) else over - _DAY


def judge(conn: Connection, inlet: Inlet, through: date, now: datetime) -> Changes:
    """`through` is the last day that is judged. What changed in the findings."""
    last = stored.watch(conn, inlet.series)
    if last is None or last.learned is None or last.first is None or (through - last.day).days > _STALE:
        base, memory, seen = through - (HISTORY - 1) * _DAY, None, None
    else:
        base, seen = last.first, last.day
        memory = Memory((last.learned - base).days, 0, np.array(last.level))
    if not all(tank is not None and area for tank, area in inlet.tanks):
        stored.put_watch(conn, inlet, Watch(through, now, "tank"))
        return []
    days, weekdays = _days(conn, inlet, base, through)
    if memory is None:
        known = np.flatnonzero(np.isfinite(days).any(axis=1))
        before = int(known[0]) if len(known) else len(days)
        base, days, weekdays = base + before * _DAY, days[before:], weekdays[before:]
    watched = Watched(days, weekdays, memory)
    rises = stored.told(conn, inlet.series)
    for day in range(LEARNED if seen is None else (seen - base).days + 2, len(days) + 1):
        histories = watched.until(day)
        if histories is None:
            continue
        on = base + day * _DAY
        before_it = [_counted(each, base) for each in rises if each.why != "inlets"]
        new = new_rise(histories, watched.first, day, before_it)
        if new is not None:
            rises.append(_told(new, base))
            rises.sort(key=lambda each: each.start)
            stored.add(conn, inlet, next(each for each in rises if not each.number))
        for rise in reversed([each for each in rises if each.ended_on is None and each.told_on < on]):
            now_is = standing(histories, watched.first, day, _counted(rise, base), _beside(rise, rises))
            if now_is.gone:
                rise.ended_on, rise.why = on, "gone"
            elif rise.growing and now_is.size is not None and not _later(rise, rises):
                _resize(rise, now_is.size)
    for rise in rises:
        stored.put(conn, rise)
    kept = watched.memory
    why = None if any(enough(each) for each in days[-_LATELY:]) else "missing"
    if kept is None:
        why = "days" if len(days) < LEARNED else "unlike"
    night = Watch(through, now, why)
    if kept is not None:
        known_then = tuple(round(float(each), 3) for each in kept.level)
        night = replace(night, learned=base + kept.learned * _DAY, first=base + kept.first * _DAY, level=known_then)
    stored.put_watch(conn, inlet, night)
    return tell(conn, inlet, now)


def regroup(conn: Connection, inlet: Inlet, through: date, now: datetime) -> Changes:
    """Where the block was judged by other meters before: ends what was told of it, and of the inlets that it stands for
    now; what has a case goes on under this one. Then everything is judged anew."""
    last = stored.watch(conn, inlet.series)
    if inlet.known_by == (((), ()) if last is None else last.known_by):
        return []
    changes: Changes = []
    for series, station in ((inlet.series, inlet.station_id), *zip(inlet.lets_in, inlet.with_it, strict=True)):
        own = replace(inlet, series=series, station_id=station, lets_in=(), lets_out=(), with_it=())
        for rise in (each for each in stored.told(conn, series) if each.ended_on is None):
            case = stored.case_of(conn, own, rise)
            done = (now, "inlets") if case is None else stored.settled(case)
            if done is not None:
                rise.ended_on, rise.why = done[0].astimezone(inlet.zone).date(), done[1]
                stored.put(conn, rise)
            else:
                stored.hand_over(conn, rise, inlet.series)
        if series != inlet.series:
            changes += end(conn, station, KIND, now)
            stored.put_watch(conn, own, Watch(through, now, "together"))
    stored.put_watch(conn, inlet, Watch(through - _DAY if last is None else last.day, now, "days"))
    return changes + tell(conn, inlet, now)


def tell(conn: Connection, inlet: Inlet, now: datetime) -> Changes:
    """Opens, changes or ends the finding of an inlet; and says with each rise which finding tells of it."""
    stored.lock(conn, inlet.series)
    rises = stored.told(conn, inlet.series)
    for rise in (each for each in rises if each.ended_on is None and (each.own or each.finding is None)):
        other = stored.others(conn, inlet, rise)
        if other is not None:
            rise.finding, rise.own = other, False
            stored.put(conn, rise)
    flowing = [each for each in rises if each.ended_on is None]
    open_ = _open(conn, inlet)
    # What was told and is worked on need not be told again when another one is over.
    mine = [
        each
        for each in flowing
        if each.finding is None or (each.own and (each.finding == open_ or stored.case_of(conn, inlet, each) is None))
    ]
    if not mine:
        return [] if open_ is None else end(conn, inlet.station_id, KIND, now)
    newest = max(mine, key=lambda each: (each.told_on, each.start))
    changes: Changes = []
    if open_ is not None and open_ != newest.finding:
        changes += end(conn, inlet.station_id, KIND, now)
        open_ = None
    changes += open_or_update(conn, _finding(conn, inlet, newest, [each for each in flowing if each is not newest]))
    if open_ is None:
        newest.finding = _open(conn, inlet)
        stored.put(conn, newest)
    return changes


def settle(conn: Connection, inlet: Inlet, now: datetime) -> Changes:
    """Ends what people have repaired, or found to be none."""
    ended = False
    for rise in stored.told(conn, inlet.series):
        case = stored.case_of(conn, inlet, rise) if rise.ended_on is None else None
        done = None if case is None else stored.settled(case)
        if done is not None:
            rise.ended_on, rise.why = done[0].astimezone(inlet.zone).date(), done[1]
            stored.put(conn, rise)
            ended = True
    return tell(conn, inlet, now) if ended else []


def _days(conn: Connection, inlet: Inlet, base: date, through: date) -> tuple[Floats, Ints]:
    """(d, 12) what the block used, m3/h, on the days from `base` to `through`, and (d,) which weekday each is like."""
    count = (through - base).days + 1
    meters = inlet.meters
    tanks = [(tank, area) for tank, area in inlet.tanks if tank is not None and area]
    # `parted` begins at the first morning: from the midnight before it.
    start = inlet.morning(base) - timedelta(hours=MORNING)
    values = hours(conn, [*meters, *(tank for tank, _ in tanks)], start, count + 1)
    # An hour that one of them does not know is not known: nan times anything is.
    used = values[:, : len(meters)] @ np.array(list(meters.values()), dtype=np.float64)
    for at, (_, area) in enumerate(tanks):
        used = used - area * _filling(values[:, len(meters) + at])
    days = parted(used, 24)[:count]
    frost = frost_nights(conn, base, through + _DAY, inlet.municipality_id)
    dates = [base + at * _DAY for at in range(count)]
    for at, day in enumerate(dates):
        # The night at a day's end is that of the next morning.
        if day_type(day) in ODD or frost.get(day + _DAY):
            days[at] = np.nan
    like = [_SUNDAY if day_type(day) is DayType.HOLIDAY else day.weekday() for day in dates]
    return days, np.array(like)


def _filling(levels: Floats) -> Floats:
    """m/h from the (n,) means of the hours: from the one before to the one after, at an edge from the one before."""
    back = np.diff(levels, prepend=np.nan)
    ahead = np.diff(levels, append=np.nan)
    both = (back + ahead) / 2
    return np.where(np.isfinite(both), both, np.where(np.isfinite(back), back, ahead))


def _counted(rise: Told, base: date) -> Rise:
    first, last = ((each - base).days for each in rise.began)
    start, day = (rise.start - base).days, (rise.told_on - base).days
    return Rise(day, start, (first, last), rise.growing, rise.size, rise.probability, rise.between)


def _told(rise: Rise, base: date) -> Told:
    first, last = (base + each * _DAY for each in rise.began)
    low, high = (round(each, 2) for each in rise.between)
    return Told(
        base + rise.day * _DAY,
        base + rise.start * _DAY,
        (first, last),
        rise.growing,
        round(rise.size, 2),
        (low, high),
        round(rise.probability, 3),
    )


def _later(rise: Told, rises: Sequence[Told]) -> list[Told]:
    return [each for each in rises if each.start > rise.start and each.ended_on is None]


def _beside(rise: Told, rises: Sequence[Told]) -> list[float]:
    """m3/h of other rises that changed the level since this one began."""
    gone = [
        -each.size
        for each in rises
        if each.start < rise.start
        and each.ended_on is not None
        and each.ended_on > rise.start
        and each.why not in ("none", "inlets")
    ]
    return [each.size for each in _later(rise, rises)] + gone


def _resize(rise: Told, size: float) -> None:
    moved = round(size - rise.size, 2)
    if abs(moved) >= _MOVED:
        low, high = rise.between
        rise.size, rise.between = round(rise.size + moved, 2), (max(round(low + moved, 2), 0.0), round(high + moved, 2))


def _open(conn: Connection, inlet: Inlet) -> int | None:
    row = conn.execute(
        "select finding_id from finding where station_id = %s and kind = %s and ended_at is null",
        (inlet.station_id, KIND),
    ).fetchone()
    return None if row is None else int(row[0])


def _finding(conn: Connection, inlet: Inlet, rise: Told, beside: Sequence[Told]) -> Finding:
    first, last = rise.began
    before, since = (None, None) if inlet.tanks else stored.nights(conn, inlet, rise)
    measured = frost_nights(conn, first - 7 * _DAY, last, inlet.municipality_id)
    return Finding(
        inlet.municipality_id,
        inlet.station_id,
        inlet.series,
        KIND,
        inlet.morning(rise.start),
        round(rise.size, 1),
        None,
        round(rise.size / LEAST, 2),
        RULE_VERSION,
        {
            "start": rise.start.isoformat(),
            "first": first.isoformat(),
            "last": last.isoformat(),
            "low": round(rise.between[0], 1),
            "high": round(rise.between[1], 1),
            "growing": rise.growing,
            "probability": round(rise.probability, 2),
            "night_before": before,
            "night_since": since,
            "beside": round(sum(each.size for each in beside if rise.start - each.start < HISTORY * _DAY), 1),
            "frost_unknown": not measured and (first.month in _WINTER or last.month in _WINTER),
            "month_m3": round(rise.size * HOURS_A_MONTH),
            **({"meters": len(inlet.meters)} if len(inlet.meters) > 1 else {}),
        },
    )

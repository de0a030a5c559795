"""What a pasted block would do: of every number whether it is new, changes one, is there already, is asked back about,
or is refused and why. And the doing of it: what the plan says, and nothing that has changed since it was shown.

    plan_days(conn, at, spots, block) / plan_months(...) -> Plan
    store_days(visit, at, plan, sure=, note=) / store_months(...) -> Stored
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from statistics import median

from analytics.visitors.manual import Entered, doubt, enter, seen_name
from analytics.visitors.month_totals import held_months, put_months
from analytics.visitors.pasting.block import Block, Ignored, Line
from api.access import Visit
from api.pages.daily_counts import MANUAL
from api.pages.days import day_start
from api.pages.readings import StationNow
from api.pages.site import Moment
from store.connection import Connection

OLDEST_DAY = timedelta(days=3660)
OLDEST_MONTH = date(1960, 1, 1)
_KNOWN_FOR = timedelta(days=400)  # so far back the numbers of a spot say what is usual
_FEWEST = 3  # numbers: fewer say nothing of what is usual
_AT_ONCE = 100  # entries in a transaction: the town's other messages wait behind it


class Fate(StrEnum):
    """What becomes of a number, in the order in which a person should read them."""

    REFUSED = "refused"
    ASK = "ask"
    CHANGE = "change"
    NEW = "new"
    LEFT = "left"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Item:
    """One number of the block. `before`: what is stored; `reason`: why it is refused or asked about; `usual`: against
    which number. `sign` names it where it is asked back about.
    """

    line: Line
    fate: Fate
    before: float | None = None
    reason: str | None = None
    usual: float | None = None

    @property
    def sign(self) -> str:
        return f"{self.line.spot} {self.line.period} {self.line.total}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything in the block, and `digest`: the same as long as it would do the same."""

    items: tuple[Item, ...]
    ignored: tuple[Ignored, ...]

    def of(self, *fates: Fate) -> list[Item]:
        return [item for item in self.items if item.fate in fates]

    def counted(self) -> dict[Fate, int]:
        return {fate: sum(item.fate is fate for item in self.items) for fate in Fate}

    def wanted(self, sure: Collection[str]) -> list[Item]:
        """What is to be stored: the new, the changes, and what was asked about and is meant."""
        return [
            item
            for item in self.items
            if item.fate in (Fate.NEW, Fate.CHANGE) or (item.fate is Fate.ASK and item.sign in sure)
        ]

    @property
    def digest(self) -> str:
        said = [f"{item.sign} {item.fate} {item.before}" for item in self.items]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of it. `late`: somebody has entered another number in the moment between, or confirmed it."""

    stored: int
    corrected: int
    unchanged: int
    late: tuple[Item, ...] = ()


def plan_days(conn: Connection, at: Moment, spots: Sequence[StationNow], block: Block) -> Plan:
    today = at.now.astimezone(at.zone).date()
    series = {spot.code: spot.readings[MANUAL].datastream_id for spot in spots if MANUAL in spot.readings}
    days = [line.period for line in block.lines if line.period is not None]
    first = max(min(days, default=today), today - OLDEST_DAY)
    stored: dict[tuple[int, date], tuple[float | None, bool]] = {
        (datastream, (time - timedelta(microseconds=1)).astimezone(at.zone).date()): (value, bool(examined))
        for datastream, time, value, examined in conn.execute(
            _STORED,
            (
                list(series.values()),
                day_start(first - _KNOWN_FOR, at.zone),
                day_start(today + timedelta(days=1), at.zone),
            ),
        )
    }
    limits: dict[int, tuple[float, float]] = {
        datastream: (low, high) for datastream, low, high in conn.execute(_LIMITS, (list(series.values()),))
    }
    codes = {datastream: code for code, datastream in series.items()}
    usual = _usual(((codes[key[0]], value) for key, (value, _) in stored.items() if value is not None), block)

    def judged(line: Line) -> Item:
        assert line.spot is not None and line.period is not None and line.total is not None
        if line.spot not in series:
            return Item(line, Fate.REFUSED, reason="no_form")
        if line.period > today:
            return Item(line, Fate.REFUSED, reason="future")
        if line.period < today - OLDEST_DAY:
            return Item(line, Fate.REFUSED, reason="old")
        low, high = limits[series[line.spot]]
        if not low <= line.total <= high:
            return Item(line, Fate.REFUSED, reason="range")
        before, examined = stored.get((series[line.spot], line.period), (None, False))
        if examined and before != line.total:
            return Item(line, Fate.REFUSED, before, "examined")
        return _compared(line, before, usual.get(line.spot))

    return Plan(tuple(_judged(block.lines, judged)), block.ignored)


def plan_months(conn: Connection, at: Moment, spots: Sequence[StationNow], block: Block) -> Plan:
    this = at.now.astimezone(at.zone).date().replace(day=1)
    ids = {spot.code: spot.station_id for spot in spots}
    held = held_months(conn, list(ids.values()), OLDEST_MONTH, this)
    codes = {station: code for code, station in ids.items()}
    usual = _usual(((codes[station], total.value) for (station, _), total in held.items()), block)

    def judged(line: Line) -> Item:
        assert line.spot is not None and line.period is not None and line.total is not None
        if line.period >= this:
            return Item(line, Fate.REFUSED, reason="running" if line.period == this else "future")
        if line.period < OLDEST_MONTH:
            return Item(line, Fate.REFUSED, reason="old")
        before = held.get((ids[line.spot], line.period))
        return _compared(line, None if before is None else before.value, usual.get(line.spot))

    return Plan(tuple(_judged(block.lines, judged)), block.ignored)


def _judged(lines: Iterable[Line], judged: Callable[[Line], Item]) -> Iterable[Item]:
    for line in lines:
        if line.problem == "left":
            yield Item(line, Fate.LEFT)
        elif line.problem is not None:
            yield Item(line, Fate.REFUSED, reason=line.problem)
        else:
            yield judged(line)


def _compared(line: Line, before: float | None, usual: float | None) -> Item:
    assert line.total is not None
    if before == line.total:
        return Item(line, Fate.SAME, before)
    doubted = doubt(line.total, usual)
    if doubted is not None:
        return Item(line, Fate.ASK, before, doubted.value, usual)
    return Item(line, Fate.NEW if before is None else Fate.CHANGE, before)


def _usual(stored: Iterable[tuple[str, float]], block: Block) -> Mapping[str, float]:
    """The median of what is stored and what is pasted: one wrong digit does not move it."""
    numbers = defaultdict(list)
    for code, value in stored:
        numbers[code].append(value)
    for line in block.lines:
        if line.spot is not None and line.total is not None:
            numbers[line.spot].append(line.total)
    return {code: median(values) for code, values in numbers.items() if len(values) >= _FEWEST}


def store_days(
    visit: Visit, at: Moment, spots: Sequence[StationNow], items: Sequence[Item], note: str | None
) -> Stored:
    """Some in a transaction: none of them is lost when a later one fails, and pasted again it changes nothing."""
    series = {spot.code: spot.readings[MANUAL].datastream_id for spot in spots if MANUAL in spot.readings}
    became: list[tuple[Item, Entered]] = []
    for begin in range(0, len(items), _AT_ONCE):
        with visit.transaction() as conn:
            for item in items[begin : begin + _AT_ONCE]:
                line = item.line
                assert line.spot is not None and line.period is not None
                done = enter(
                    conn,
                    series[line.spot],
                    line.period,
                    line.total,
                    visit.user.user_id,
                    at.now,
                    note,
                    seen=seen_name(item.before),
                )
                became.append((item, done))
    counts = {outcome: sum(done is outcome for _, done in became) for outcome in Entered}
    late = tuple(item for item, done in became if done in (Entered.MEANWHILE, Entered.STANDS))
    return Stored(counts[Entered.STORED], counts[Entered.CORRECTED], counts[Entered.UNCHANGED], late)


def store_months(visit: Visit, at: Moment, spots: Sequence[StationNow], items: Sequence[Item], source: str) -> Stored:
    ids = {spot.code: spot.station_id for spot in spots}
    totals = {
        (ids[item.line.spot], item.line.period): item.line.total
        for item in items
        if item.line.spot is not None and item.line.period is not None
    }
    town, user = visit.tenant.municipality_id, visit.user.user_id
    with visit.transaction() as conn:
        put = put_months(conn, town, totals, source=source, at=at.now, user_id=user)
    return Stored(put.stored, put.corrected, put.unchanged)


_STORED = """
    select datastream_id, phenomenon_time, value, examined_value(value, reason) is not null from tenant_observation
    where datastream_id = any(%s) and phenomenon_time > %s and phenomenon_time <= %s and quality <> 'bad'
"""
_LIMITS = """
    select datastream_id, coalesce(range_low, 0), coalesce(range_high, 9999999) from datastream
    where datastream_id = any(%s)
"""

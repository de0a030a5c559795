"""A service tank: a pump with switch levels fills it, its blocks empty it.

The pump runs from `SPAN_ON` below full until full, and from one o'clock every night until full, for the cheap power.
So every night the tank forgets: its level is integrated over the day asked for and the two days before, from full,
and does not depend on where one begins to look. A pure function of (blocks, time).

Works badly for: blocks that draw more than the pump gives for a whole night (the next day would begin at a level
that this one did not end with).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from devices.model import ServiceTank
from simulators.chance import normal
from simulators.hydraulics import Table
from simulators.pipes import Block

PUMP = 42.0  # m3/h for each block, where no pump's curve has been solved
SPAN_ON = 0.8  # m below full
NIGHT_FILL = time(1)
USUAL_TANK = ServiceTank(area_m2=90.0, full_m=4.0, low_m=1.0)

STEP = timedelta(minutes=5)
_DAYS_BEFORE = 2


@dataclass(frozen=True, slots=True)
class Ledger:
    """What went in and out of a tank: `levels` (m) at the ends of steps of `STEP`, `inflow` and `outflow` (m3/h) in
    each step; one more level than steps. inflow - outflow = area x change of level, always.
    """

    levels: tuple[float, ...]
    inflow: tuple[float, ...]
    outflow: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Tank:
    """A tank and the blocks it feeds."""

    seed: int
    timezone: ZoneInfo
    code: str
    size: ServiceTank
    blocks: tuple[Block, ...]
    table: Table | None = None  # of a solved network with its pump, where there is one
    _days: dict[date, Ledger] = field(default_factory=dict, compare=False, repr=False)

    def level(self, at: datetime) -> float:
        """Metres above the floor, with the gauge's ripples."""
        day = at.astimezone(self.timezone).date()
        levels = self.ledger(day).levels
        position = (at - _midnight(day, self.timezone)) / STEP
        index = min(int(position), len(levels) - 2)
        between = levels[index] + (levels[index + 1] - levels[index]) * (position - index)
        return between + 0.002 * normal(self.seed, self.code, "ripples", at.timestamp())

    def ledger(self, day: date) -> Ledger:
        """The balance of a local day, from midnight to midnight."""
        if day not in self._days:
            if len(self._days) >= 64:
                self._days.clear()
            self._days[day] = self._balance(day)
        return self._days[day]

    def _balance(self, day: date) -> Ledger:
        at = _midnight(day - timedelta(days=_DAYS_BEFORE), self.timezone)
        first, last = _midnight(day, self.timezone), _midnight(day + timedelta(days=1), self.timezone)
        a_metre = self.size.area_m2 / (STEP / timedelta(hours=1))  # m3/h that raise the level by a metre in a step
        level, running = self.size.full_m, False
        levels: list[float] = [level]
        inflows: list[float] = []
        outflows: list[float] = []
        while at < last:
            if at == first:
                levels, inflows, outflows = [level], [], []
            if level >= self.size.full_m:
                running = False
            elif level < self.size.full_m - SPAN_ON or at.astimezone(self.timezone).hour == NIGHT_FILL.hour:
                running = True
            wanted = sum(block.drawn(at) for block in self.blocks)
            # the float valve closes at full; an empty tank gives what comes in
            room = (self.size.full_m - level) * a_metre + wanted
            pumped = PUMP if self.table is None else self.table.pumped(level)
            inflow = min(pumped * len(self.blocks), max(0.0, room)) if running else 0.0
            outflow = min(wanted, level * a_metre + inflow)
            level += (inflow - outflow) / a_metre
            levels.append(level)
            inflows.append(inflow)
            outflows.append(outflow)
            at += STEP
        return Ledger(tuple(levels), tuple(inflows), tuple(outflows))


def _midnight(day: date, timezone: ZoneInfo) -> datetime:
    # in UTC: adding a step to a local time would go by the clock on the wall, which jumps twice a year
    return datetime.combine(day, time(0), timezone).astimezone(UTC)

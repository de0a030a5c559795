"""A service tank: a pump with switch levels fills it, its blocks empty it.

The pump runs from `SPAN_ON` below full until full, and from one o'clock every night until full, for the cheap power.
So every night the tank forgets: its level is integrated over the day asked for and the two days before, from full,
and does not depend on where one begins to look. A pure function of (blocks, time).

Works badly for: blocks that draw more than the pump gives for a whole night (the next day would begin at a level
that this one did not end with).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from devices.model import ServiceTank
from simulators.chance import normal
from simulators.pipes import Block

PUMP = 42.0  # m3/h for each block
SPAN_ON = 0.8  # m below full
NIGHT_FILL = time(1)
USUAL_TANK = ServiceTank(area_m2=90.0, full_m=4.0, low_m=1.0)

_STEP = timedelta(minutes=5)
_DAYS_BEFORE = 2


@dataclass(frozen=True, slots=True)
class Tank:
    """A tank and the blocks it feeds."""

    seed: int
    timezone: ZoneInfo
    code: str
    size: ServiceTank
    blocks: tuple[Block, ...]

    def level(self, at: datetime) -> float:
        """Metres above the floor, with the gauge's ripples."""
        day = at.astimezone(self.timezone).date()
        levels = _levels(self, day)
        position = (at - _midnight(day, self.timezone)) / _STEP
        index = min(int(position), len(levels) - 2)
        between = levels[index] + (levels[index + 1] - levels[index]) * (position - index)
        return between + 0.002 * normal(self.seed, self.code, "ripples", at.timestamp())


def _midnight(day: date, timezone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), timezone)


@lru_cache(maxsize=64)
def _levels(tank: Tank, day: date) -> Sequence[float]:
    """The level every 5 minutes from a local midnight to the next, both included."""
    start = _midnight(day - timedelta(days=_DAYS_BEFORE), tank.timezone)
    first, last = _midnight(day, tank.timezone), _midnight(day + timedelta(days=1), tank.timezone)
    hours = _STEP / timedelta(hours=1)
    level, running, levels, at = tank.size.full_m, False, [], start
    while at <= last:
        if at >= first:
            levels.append(level)
        filling_hour = at.astimezone(tank.timezone).hour == NIGHT_FILL.hour
        if level >= tank.size.full_m:
            running = False
        elif level < tank.size.full_m - SPAN_ON or filling_hour:
            running = True
        inflow = PUMP * len(tank.blocks) if running else 0.0
        level += (inflow - sum(block.drawn(at) for block in tank.blocks)) * hours / tank.size.area_m2
        level = min(max(level, 0.0), tank.size.full_m + 0.02)
        at += _STEP
    return levels

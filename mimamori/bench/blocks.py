"""Simulated blocks for `mimamori bench leaks`: what comes in of a quiet one, and of one in which something opens.

A logger reads every 5 minutes and sends three readings at a time; one message in a hundred is lost, so that three
readings in a row are missing. Times are town time; a block has one seed, and the same seed is the same block.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from analytics.leaks.burst import Grid, Values
from analytics.leaks.night_alarm import Night
from analytics.leaks.night_flow import minimum_night_flow, night_of
from simulators.chance import uniform
from simulators.pipes import Block

STEP = timedelta(minutes=5)
MESSAGE = 3 * STEP
DAY = 288
START = datetime(2026, 1, 10, tzinfo=UTC)
LOST = 0.01

_ZONE = "Asia/Tokyo"
# A scenario that has not begun yet: nothing bursts but what is opened on purpose.
_NEVER = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Quiet:
    """A block of `days` days from `START` on in which nothing is opened."""

    seed: int
    days: int

    @property
    def block(self) -> Block:
        return self._block()

    @property
    def grid(self) -> Grid:
        return Grid(START, STEP, self.days * DAY)

    @cached_property
    def flow(self) -> Values:
        """m3/h, (days * 288,); nan where the message was lost."""
        return self.series(self.block, 0, self.grid.n)[0]

    @cached_property
    def pressure(self) -> Values:
        """kPa, likewise."""
        return self.series(self.block, 0, self.grid.n)[1]

    def opened(self, begins: datetime, size: float, lasts: timedelta) -> Block:
        """The block in which a pipe opens at a time, m3/h."""
        return self._block(((begins, begins + lasts),), size)

    def _block(self, opened: tuple[tuple[datetime, datetime], ...] = (), size: float = 0.0) -> Block:
        return Block(self.seed, _NEVER, ZoneInfo(_ZONE), "bench", opened=opened, opened_size=size)

    def series(self, block: Block, first: int, end: int) -> tuple[Values, Values]:
        """Flow and pressure of this block, or of it with something opened, at the indices [first, end)."""
        times = [self.grid.time(index) for index in range(first, end)]
        lost = np.array([self._lost(time) for time in times])
        flow, pressure = (np.array([read(time) for time in times]) for read in (block.flow, block.pressure))
        return np.where(lost, np.nan, flow), np.where(lost, np.nan, pressure)

    def nights(self, block: Block, first: int, end: int) -> list[Night]:
        """The nights of the local days [first, end) after `START`'s, as analytics works them out."""
        zone = ZoneInfo(_ZONE)
        day = START.astimezone(zone).date() + timedelta(days=1)
        found = []
        for number in range(first, end):
            date = day + timedelta(days=number)
            begins, ends = night_of(date, _ZONE)
            times = [begins + n * STEP for n in range((ends - begins) // STEP)]
            flow = np.array([np.nan if self._lost(time) else block.flow(time) for time in times])
            found.append(Night(date, minimum_night_flow(times, flow, begins, ends, STEP).minimum))
        return found

    def _lost(self, time: datetime) -> bool:
        return uniform(self.seed, "bench lost", sent(time).timestamp()) < LOST


def sent(time: datetime) -> datetime:
    """When the reading of a time is sent: with the last of its message, every quarter of an hour."""
    behind = (time - START) % MESSAGE
    return time if not behind else time + (MESSAGE - behind)

"""One distribution block: what flows in, at what pressure, and the burst that disturbs both.

Inflow = what people draw (by hour of day, more at weekends) + background leakage, which never sleeps, + a burst
every fourth day from the scenario's origin on, which opens within a quarter of an hour and runs until it is
repaired more than a day later, so that at least one night shows it. Pressure is the reservoir's head less the
loss in the trunk main, which grows with flow^1.852 (Hazen-Williams), less the burst's own draw-down.

Two scenarios are about the block. `leak`: half an hour after the origin a leak of 3 to 5 m3/h opens and stays, so
that every night shows it; nothing else bursts. `burst`: half an hour after the origin, and every third day again, a
burst of 18 to 24 m3/h that is repaired after six hours.

Every value is a pure function of (seed, scenario, origin, time). Works badly for: pumps,
or flow that depends on pressure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import pow
from zoneinfo import ZoneInfo

from simulators.chance import normal, uniform
from simulators.config import Scenario

BURST_EVERY = timedelta(hours=96)
BACKGROUND_LEAKAGE = 4.0  # m3/h
FIRST_EVENT = timedelta(minutes=30)  # after the origin, in the scenarios that are about this block
GREAT_BURST_EVERY, GREAT_BURST_LASTS = timedelta(hours=72), timedelta(hours=6)
OPENED_BURST = 22.0  # m3/h, of a burst that somebody sets off
OPENING = timedelta(minutes=5)

_MEAN_DEMAND = 26.0  # m3/h, a block of about 2,500 people
_DEMAND_BY_HOUR = (0.30, 0.18, 0.12, 0.12, 0.22, 0.60, 1.45, 1.85, 1.60, 1.30, 1.15, 1.10,
                   1.20, 1.05, 0.95, 0.95, 1.05, 1.30, 1.65, 1.80, 1.60, 1.35, 0.95, 0.55)  # fmt: skip
_STATIC_PRESSURE = 460.0  # kPa, with no flow
_FRICTION = 0.042  # kPa/(m3/h)^1.852


@dataclass(frozen=True, slots=True)
class Block:
    """The inlet of one block (`code` keeps two blocks of a town apart)."""

    seed: int
    origin: datetime
    timezone: ZoneInfo
    code: str
    opened: tuple[tuple[datetime, datetime], ...] = ()  # bursts that no scenario knows: from, to
    scenario: Scenario = Scenario.NORMAL

    def flow(self, at: datetime) -> float:
        """Inflow, m3/h, with the meter's noise."""
        return self.drawn(at) * (1 + 0.01 * normal(self.seed, self.code, "meter", at.timestamp()))

    def pressure(self, at: datetime) -> float:
        """Pressure at the inlet, kPa, with the gauge's noise."""
        drawdown = 2.2 * self.burst(at)
        pressure = _STATIC_PRESSURE - _FRICTION * pow(self.drawn(at), 1.852) - drawdown
        return pressure + 0.8 * normal(self.seed, self.code, "gauge", at.timestamp())

    def burst(self, at: datetime) -> float:
        """What burst pipes let out, m3/h; 0 while there is none."""
        return self._scheduled(at) + sum(
            OPENED_BURST * min(1.0, (at - start) / OPENING) for start, end in self.opened if start <= at < end
        )

    def _great_burst(self, at: datetime) -> float:
        n, since = divmod(at - self.origin - FIRST_EVENT, GREAT_BURST_EVERY)
        if n < 0 or since >= GREAT_BURST_LASTS:
            return 0.0
        size = 18.0 + 6.0 * uniform(self.seed, self.code, "great burst", n)
        return size * min(1.0, since / timedelta(minutes=5))

    def leak(self, at: datetime) -> float:
        """What the scenario's leak lets out besides, m3/h; 0 while there is none."""
        since = at - self.origin - FIRST_EVENT
        if self.scenario is not Scenario.LEAK or since < timedelta(0):
            return 0.0
        size = 3.0 + 2.0 * uniform(self.seed, self.code, "leak")
        return size * min(1.0, since / timedelta(hours=2))

    def _scheduled(self, at: datetime) -> float:
        if self.scenario is Scenario.LEAK:
            return 0.0
        if self.scenario is Scenario.BURST:
            return self._great_burst(at)
        n = (at - self.origin) // BURST_EVERY
        if n < 0:
            return 0.0
        hours = 26 + 14 * uniform(self.seed, self.code, "burst starts", n)
        start = self.origin + n * BURST_EVERY + timedelta(hours=hours)
        end = start + timedelta(hours=26 + 8 * uniform(self.seed, self.code, "burst lasts", n))
        if not start <= at < end:
            return 0.0
        size = 8.0 + 6.0 * uniform(self.seed, self.code, "burst", n)
        return size * min(1.0, (at - start) / timedelta(minutes=15))

    def drawn(self, at: datetime) -> float:
        """What truly flows in, m3/h."""
        local = at.astimezone(self.timezone)
        hour = local.hour + local.minute / 60 + local.second / 3600
        before, after = _DEMAND_BY_HOUR[int(hour)], _DEMAND_BY_HOUR[(int(hour) + 1) % 24]
        shape = before + (after - before) * (hour % 1)
        weekend = 1.08 if local.weekday() >= 5 else 1.0
        day = 1 + 0.04 * normal(self.seed, self.code, "day", local.date())
        moment = 1 + 0.05 * normal(self.seed, self.code, "moment", at.timestamp() // 300)
        return (
            _MEAN_DEMAND * shape * weekend * day * max(0.0, moment)
            + BACKGROUND_LEAKAGE
            + self.leak(at)
            + self.burst(at)
        )

"""One distribution block: what flows in, at what pressure, and the burst that disturbs both.

Inflow = what people draw (by hour of day, more at weekends) + background leakage, which never sleeps, + a burst
every fourth day from the scenario's origin on, which opens within a quarter of an hour and runs until it is
repaired more than a day later, so that at least one night shows it. Pressure is the reservoir's head less the
loss in the trunk main, which grows with flow^1.852 (Hazen-Williams), less the burst's own draw-down.

Every value is a pure function of (seed, origin, time). Works badly for: blocks with a tank of their own, pumps,
or flow that depends on pressure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import pow
from zoneinfo import ZoneInfo

from simulators.chance import normal, uniform

BURST_EVERY = timedelta(hours=96)
BACKGROUND_LEAKAGE = 4.0  # m3/h

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

    def flow(self, at: datetime) -> float:
        """Inflow, m3/h, with the meter's noise."""
        return self._flow(at) * (1 + 0.01 * normal(self.seed, self.code, "meter", at.timestamp()))

    def pressure(self, at: datetime) -> float:
        """Pressure at the inlet, kPa, with the gauge's noise."""
        drawdown = 2.2 * self.burst(at)
        pressure = _STATIC_PRESSURE - _FRICTION * pow(self._flow(at), 1.852) - drawdown
        return pressure + 0.8 * normal(self.seed, self.code, "gauge", at.timestamp())

    def burst(self, at: datetime) -> float:
        """What a burst pipe lets out, m3/h; 0 while there is none."""
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

    def _flow(self, at: datetime) -> float:
        local = at.astimezone(self.timezone)
        hour = local.hour + local.minute / 60 + local.second / 3600
        before, after = _DEMAND_BY_HOUR[int(hour)], _DEMAND_BY_HOUR[(int(hour) + 1) % 24]
        shape = before + (after - before) * (hour % 1)
        weekend = 1.08 if local.weekday() >= 5 else 1.0
        day = 1 + 0.04 * normal(self.seed, self.code, "day", local.date())
        moment = 1 + 0.05 * normal(self.seed, self.code, "moment", at.timestamp() // 300)
        return _MEAN_DEMAND * shape * weekend * day * max(0.0, moment) + BACKGROUND_LEAKAGE + self.burst(at)

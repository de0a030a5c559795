"""The town clock: the only thing in Mimamori that knows what time it is.

Nothing calls ``datetime.now()``; whoever needs the time is handed a `Clock`. A town runs either on the real
clock or on a simulated one, ``start + speed x elapsed``, so that a flood of two days can be watched in two
minutes with the very code that watches a real one. 'Future', 'late', 'silent' and 'age' are all judged on it.

The description of a clock is data (`ClockSetting`), stored in the database and read by every process of the
town; all of them therefore agree on the time as long as their machines' real clocks do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the town's time is, and how fast it runs."""

    @property
    def simulated(self) -> bool:
        """True where the time is not the real one: everything shown or sent is then marked 【模擬】."""

    @property
    def speed(self) -> float:
        """Seconds of town time in one real second (1.0 on the real clock)."""

    def now(self) -> datetime:
        """The town's present moment, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """A clock as it is stored: at real time `real_start` the town's time was `town_start`.

    `speed` is town seconds per real second, above 0.
    """

    simulated: bool
    real_start: datetime
    town_start: datetime
    speed: float

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"the town clock's speed must be above 0, not {self.speed}")
        for name in ("real_start", "town_start"):
            if getattr(self, name).tzinfo is None:
                raise ValueError(f"the town clock's {name} needs a time zone")


def real_now() -> datetime:
    """The machine's own time, in UTC: for clocks only, and for heartbeats between processes."""
    return datetime.fromtimestamp(time.time(), UTC)


class SystemClock:
    """The real time."""

    simulated = False
    speed = 1.0

    def now(self) -> datetime:
        return real_now()


class SimulatedClock:
    """A clock that started at a given moment and runs at a given speed.

    >>> at = datetime(2026, 6, 1, tzinfo=UTC)
    >>> setting = ClockSetting(simulated=True, real_start=at, town_start=at, speed=60.0)
    >>> SimulatedClock(setting, real=lambda: at + timedelta(seconds=2)).now().minute
    2
    """

    simulated = True

    def __init__(self, setting: ClockSetting, *, real: Callable[[], datetime] = real_now) -> None:
        self._setting = setting
        self._real = real
        self.speed = setting.speed

    def now(self) -> datetime:
        elapsed = self._real() - self._setting.real_start
        return self._setting.town_start + elapsed * self._setting.speed


class FixedClock:
    """A clock that is moved by hand: for tests and for replays that step from message to message."""

    simulated = True
    speed = 1.0

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


def clock_from(setting: ClockSetting) -> Clock:
    """The running clock that a stored setting describes."""
    return SimulatedClock(setting) if setting.simulated else SystemClock()

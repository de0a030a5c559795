"""How often a device speaks, where that depends on what it measures.

A 危機管理型水位計 watches the level and says nothing but one heartbeat a day while the river is low; from its start
level on it sends every 10 minutes (5 or 2 at faster rivers), and rests again below a lower stop level (the ministry's
standard of 2018 for such gauges). So a day without a word is as it should be at one level, and half an hour is a fault
at another. The mode that a device is in follows from the levels it has told, the last known one first of all:

    mode_after(cycle, values)         the mode after these values, oldest first
    missed(cycle, reports, end)       when a report was due and none came
    patience(interval)                for how long a device of this interval may say nothing

Everything here is a pure function: late values, a restart and two processes give the same mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WATER_LEVEL = "water_level"
HEARTBEAT = timedelta(hours=24)
# Who speaks so seldom waits for something to happen.
STANDBY = timedelta(hours=6)
# Networks lose messages: two in a row are no fault yet.
_INTERVALS = 2.5
# A heartbeat that is an hour late is no fault; one that was lost is known after the day.
_MARGIN = timedelta(hours=2)


def patience(interval: timedelta) -> timedelta:
    """How long a device that speaks at this interval may say nothing before someone should look: two to three
    intervals; a day and a margin for who speaks once a day.

    >>> str(patience(timedelta(minutes=10))), str(patience(HEARTBEAT))
    ('0:25:00', '1 day, 2:00:00')
    """
    return interval + _MARGIN if interval >= STANDBY else interval * _INTERVALS


@dataclass(frozen=True, slots=True)
class Mode:
    """How often a device speaks from a level on: every `interval`, and silent for longer than `silence_after` it is
    lost. It begins at `start` and ends below `stop`, both None for the mode below all others.
    """

    interval: timedelta
    silence_after: timedelta
    start: float | None = None
    stop: float | None = None

    @property
    def standby(self) -> bool:
        """Whether it hardly speaks at all: nothing to be seen of the present is then no fault."""
        return self.interval >= STANDBY


@dataclass(frozen=True, slots=True)
class DutyCycle:
    """The modes of a device: `calm` below the first start level, `above` by ascending start. `observed_property`: whose
    values decide.
    """

    calm: Mode
    above: tuple[Mode, ...]
    observed_property: str = WATER_LEVEL

    def __post_init__(self) -> None:
        problem = wrong_with(self.calm, self.above)
        if problem is not None:
            raise ValueError(problem)


def wrong_with(calm: Mode, above: Sequence[Mode]) -> str | None:
    """What these modes cannot be, in words for who wrote them; None where they can."""
    if not above:
        return "there must be at least one mode above the calm one"
    for mode in (calm, *above):
        if mode.interval <= timedelta(0):
            return "an interval must be longer than 0"
        if mode.silence_after < mode.interval:
            return "silence_after must not be shorter than its interval, or the device always counts as silent"
    before: float | None = None
    for mode in above:
        if mode.start is None or mode.stop is None:
            return "each mode above needs a start and a stop level"
        if mode.stop > mode.start:
            return f"stop {mode.stop:g} must not be above its start {mode.start:g}"
        if before is not None and mode.start <= before:
            return f"start {mode.start:g} must be above that of the mode before it ({before:g})"
        before = mode.start
    return None


def crisis_gauge(
    start: float,
    stop: float,
    interval: timedelta = timedelta(minutes=10),
    heartbeat: timedelta = HEARTBEAT,
    observed_property: str = WATER_LEVEL,
) -> DutyCycle:
    """The cycle of a 危機管理型水位計: a heartbeat a day, and every `interval` from `start` on until below `stop`.

    >>> crisis_gauge(1.2, 1.0).above[0].silence_after
    datetime.timedelta(seconds=1500)
    """
    return DutyCycle(
        Mode(heartbeat, patience(heartbeat)), (Mode(interval, patience(interval), start, stop),), observed_property
    )


def mode_after(cycle: DutyCycle, values: Iterable[float], held: Sequence[bool] | None = None) -> Mode:
    """The mode after these values, the oldest first; without any, the calm one.

    `held`: which of the modes above were on before the first value; none of them where it is not given. Between its
    stop and its start a mode stays as it was.

    >>> cycle = crisis_gauge(1.2, 1.0)
    >>> [mode_after(cycle, values).standby for values in ([], [1.1], [1.2, 1.1], [1.2, 0.9, 1.1])]
    [True, True, False, True]
    """
    return mode_of(cycle, _flags(cycle, values, held))


def _flags(cycle: DutyCycle, values: Iterable[float], held: Sequence[bool] | None) -> list[bool]:
    flags = list(held) if held is not None else [False] * len(cycle.above)
    for value in values:
        for n, mode in enumerate(cycle.above):
            assert mode.start is not None and mode.stop is not None
            if value >= mode.start:
                flags[n] = True
            elif value < mode.stop:
                flags[n] = False
    return flags


def mode_of(cycle: DutyCycle, held: Sequence[bool]) -> Mode:
    """The highest of the modes above that are on (`held`, in their order), else the calm one."""
    return next((mode for mode, on in zip(reversed(cycle.above), reversed(held), strict=True) if on), cycle.calm)


def missed(
    cycle: DutyCycle,
    reports: Sequence[tuple[datetime, float | None]],
    end: datetime,
    held: Sequence[bool] | None = None,
) -> list[datetime]:
    """When reports were due between the first report and `end`, and none came; oldest first.

    `reports`: time and value of the observations, the oldest first; a value of None leaves the mode as it was. After a
    report the next ones are due every interval of the mode that it left the device in, counted from the report itself,
    so that a heartbeat that wanders through the day is not missed once a week. One that comes within half an interval
    of when it was due has come.

    >>> from datetime import UTC
    >>> at = lambda minute: datetime(2026, 6, 1, 3, minute, tzinfo=UTC)
    >>> cycle = crisis_gauge(1.2, 1.0)
    >>> [f"{each:%H:%M}" for each in missed(cycle, [(at(0), 1.3), (at(10), 1.3), (at(40), 0.9)], at(59))]
    ['03:20', '03:30']
    """
    due: list[datetime] = []
    flags = _flags(cycle, (), held)
    for n, (time, value) in enumerate(reports):
        if value is not None:
            flags = _flags(cycle, (value,), flags)
        interval = mode_of(cycle, flags).interval
        following = reports[n + 1][0] if n + 1 < len(reports) else None
        # Of the last one nothing is missed before its half interval is over: it may still be on its way.
        last = end - interval / 2 if following is None else following - interval / 2
        expected = time + interval
        while expected <= last and expected < end:
            due.append(expected)
            expected += interval
    return due

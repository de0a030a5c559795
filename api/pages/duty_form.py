"""How often a gauge speaks, as people type it: rows of (from this level on, until below that one, so often).

    rows_of(duty)        the rows of a form for a cycle, with room for one mode more
    typed_duty(typed)    -> the cycle; RegistrationError, whose field is the name of the form's field

The fields are calm (minutes), and start, stop, interval of each mode, from the second one on with its number: start2.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from devices.duty import HEARTBEAT, WATER_LEVEL, DutyCycle, Mode, patience
from store.errors import RegistrationError

MOST_MODES = 6
_INTERVALS = tuple(timedelta(minutes=n) for n in (10, 5, 2))
_CALM = tuple(timedelta(hours=n) for n in (1, 3, 6, 12, 24))
_LONGEST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DutyRow:
    """One mode above, as it stands in the form; texts empty where nothing is said. `number`: what its fields' names end
    with.
    """

    number: str
    start: str
    stop: str
    interval: timedelta

    @property
    def intervals(self) -> tuple[timedelta, ...]:
        """What can be chosen: what such gauges do, and what this one does."""
        return tuple(sorted({*_INTERVALS, self.interval}, reverse=True))


@dataclass(frozen=True, slots=True)
class DutyForm:
    calm: timedelta
    rows: tuple[DutyRow, ...]

    @property
    def calms(self) -> tuple[timedelta, ...]:
        """What can be chosen for the time below all start levels."""
        return tuple(sorted({*_CALM, self.calm}))


def rows_of(duty: DutyCycle | None, levels: tuple[float, float] | None = None, more: int = 1) -> DutyForm:
    """The form for a cycle, or for a device that has none yet, with (start, stop) proposed where something speaks for
    it; `more` rows are left for further modes.
    """
    if duty is None:
        start, stop = ("", "") if levels is None else (f"{level:.2f}" for level in levels)
        rows = [DutyRow("", start, stop, _INTERVALS[0])]
        calm = HEARTBEAT
    else:
        rows = [
            DutyRow(_number(n), f"{mode.start:.12g}", f"{mode.stop:.12g}", mode.interval)
            for n, mode in enumerate(duty.above)
        ]
        calm = duty.calm.interval
    for _ in range(min(more, MOST_MODES - len(rows))):
        rows.append(DutyRow(_number(len(rows)), "", "", _INTERVALS[min(len(rows), len(_INTERVALS) - 1)]))
    return DutyForm(calm, tuple(rows))


def typed_form(form: DutyForm, typed: Mapping[str, str]) -> DutyForm:
    """The same form with what was typed in it; what cannot be chosen stays as it was."""
    rows = tuple(
        DutyRow(
            row.number,
            typed.get(f"start{row.number}", ""),
            typed.get(f"stop{row.number}", ""),
            _chosen(typed.get(f"interval{row.number}", "")) or row.interval,
        )
        for row in form.rows
    )
    return DutyForm(_chosen(typed.get("calm", "")) or form.calm, rows)


def typed_duty(typed: Mapping[str, str], observed_property: str = WATER_LEVEL) -> DutyCycle:
    """The cycle that was typed; rows without any level are none. The modes come in any order."""
    calm = _interval(typed, "calm")
    modes: dict[float, Mode] = {}
    for n in range(MOST_MODES):
        number = _number(n)
        if n and not any(typed.get(f"{name}{number}", "").strip() for name in ("start", "stop")):
            continue
        start, stop = _level(typed, f"start{number}"), _level(typed, f"stop{number}")
        interval = _interval(typed, f"interval{number}")
        if stop > start:
            raise RegistrationError(f"stop{number}", f"{stop:g} is above the level {start:g} from which it observes")
        if start in modes:
            raise RegistrationError(f"start{number}", f"there is another row from {start:g} on")
        if interval > calm:
            raise RegistrationError(f"interval{number}", "observing, it must not speak less often than on standby")
        modes[start] = Mode(interval, patience(interval), start, stop)
    above = tuple(mode for _, mode in sorted(modes.items()))
    return DutyCycle(Mode(calm, patience(calm)), above, observed_property)


def _number(n: int) -> str:
    return "" if n == 0 else str(n + 1)


def _level(typed: Mapping[str, str], field: str) -> float:
    text = unicodedata.normalize("NFKC", typed.get(field, "")).replace("−", "-").strip()
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        raise RegistrationError(field, f"{text[:40]!r} is no level: give it in metres, like 1.20")
    return level


def _interval(typed: Mapping[str, str], field: str) -> timedelta:
    chosen = _chosen(typed.get(field, ""))
    if chosen is None:
        raise RegistrationError(field, "choose how often it speaks")
    return chosen


def _chosen(text: str) -> timedelta | None:
    """Minutes, and seconds as a fraction, as the form's choices are."""
    try:
        chosen = timedelta(minutes=float(text))
    except (ValueError, OverflowError):
        return None
    return chosen if timedelta(0) < chosen <= _LONGEST else None

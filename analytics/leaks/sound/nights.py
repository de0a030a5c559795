"""What a sound logger heard in a night, and when that says that a noise has come which stays.

    night_level(values, step, length) -> (level, completeness)      dB of one night
    heard(nights) -> Heard                                          of one logger, after its nights

A leak sounds all night, a car or a tap does not: the level of a night is what nine tenths of its readings are above.
The lowest one alone would hang on a single bad value. A night of which less than 85 % came in is missing. A logger that
sends one figure a night has worked out its own minimum; that is taken as it is.

What is there in one night may be a tap that ran until morning. A noise has come to stay when three valid nights in a
row are above the usual one by more than max(3 dB, 4 MAD); it is over with the first valid night that is not. The usual
night is the median of 14, at least 7, and stands still meanwhile (`night_alarm`). The level that is spoken of is the
lowest of the last three valid nights.

When it works badly: a pump, a reducing valve or a transformer that is new makes a noise that stays, too; a leak that
was there when the logger came is usual; one far away on plastic is not heard at all. A quiet logger proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from analytics.leaks.network.pipes import Floats
from analytics.leaks.night_alarm import Night, Tolerance, Usual, assess
from analytics.leaks.night_flow import COMPLETE_ENOUGH

RULE_VERSION = "leak_sound:1"
LASTING = Tolerance(3.0, 4.0, 3)  # dB
_PERSISTENT = 0.1  # the share of a night's readings that may be lower


@dataclass(frozen=True, slots=True)
class Heard:
    """A logger after its nights, dB. `last`: of the `newest` valid night. `level`: the lowest of the last three valid
    ones, None: there are not three; `usual`, None where there were too few. `since` when a noise has been there, of
    `nights` in a row, None: there is none; `ended`: the night that ended the last one.
    """

    last: float | None
    newest: date | None
    level: float | None
    usual: Usual | None
    since: date | None
    nights: int
    ended: date | None


def night_level(values: Floats, step: timedelta, length: timedelta) -> tuple[float | None, float]:
    """dB of a night of `length` from its readings (n,), nan where not usable, one each `step`; None: too few. With it
    the share (0..1) of what was expected. A step longer than the night: one figure for all of it.

    >>> night_level(np.array([38.0, 39, 61, 38, np.nan, np.nan, 40, 41]), timedelta(minutes=30), timedelta(hours=4))
    (None, 0.75)
    >>> level, _ = night_level(np.array([38.0, 39, 61, 38, 40, 39]), timedelta(minutes=40), timedelta(hours=4))
    >>> level
    38.0
    """
    usable = values[np.isfinite(values)]
    if step > length:
        return (float(usable.min()), 1.0) if len(usable) else (None, 0.0)
    completeness = min(1.0, len(usable) * (step / length))
    if completeness < COMPLETE_ENOUGH:
        return None, completeness
    return float(np.quantile(usable, _PERSISTENT)), completeness


def heard(nights: Sequence[Night], settled: date | None = None) -> Heard:
    """`nights` in the order of their days; `minimum` is the level in dB, None: missing. Those up to
    `settled`, the day on which somebody mended the leak or said that there is none, are not compared with any more.

    >>> quiet = [Night(date(2026, 6, n), 38.0) for n in range(1, 11)]
    >>> found = heard([*quiet, *(Night(date(2026, 6, n), 47.0) for n in (11, 12, 13))])
    >>> found.level, found.usual.limit, found.since.day
    (47.0, 41.0, 11)
    """
    compared = [each for each in nights if settled is None or each.day > settled]
    found = assess(compared, LASTING)
    valid = [(each.day, each.minimum) for each in nights if each.minimum is not None]
    last = [each.minimum for each in compared if each.minimum is not None][-LASTING.confirming :]
    alarm = found.alarm
    return Heard(
        valid[-1][1] if valid else None,
        valid[-1][0] if valid else None,
        min(last) if len(last) == LASTING.confirming else None,
        found.usual,
        None if alarm is None else alarm.since,
        0 if alarm is None else alarm.nights,
        found.ended,
    )

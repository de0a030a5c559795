"""Night-flow alarm: when does a block's 夜間最小流量 say that somebody should search for a leak?

    assess(nights) -> Assessment                  of a block's flow
    assess(nights, tolerance) -> Assessment       of another measure of the night, in its own unit: `sound.nights`

The usual night is the median of the last 14 valid nights; tolerated is max(0.5 m3/h, 4 MAD) above it. Two valid
nights in a row above that begin an alarm at the first of them. From then on the usual night stands still, so that a
leak cannot become usual by lasting, and the alarm's nights never count as usual ones. It ends with the first valid
night that is not above the limit, repaired or not.

A night without a figure (under 85 % complete: `night_flow.minimum_night_flow`) is missing, not low: it neither begins
nor confirms nor ends anything; it stands between two nights as if it were not there. With fewer than 7 valid nights
there is no usual night and no answer.

When it works badly: a leak that grows by less than the tolerance in a fortnight (it becomes usual; drift needs a
longer memory), frost and holidays (whole weeks of unusual nights), a change for good such as a new customer at
night: that alarm stays until the night is back, and somebody clears its alert with a note.

`nights` in, no clock, no memory: a whole series is folded anew each time. Cost O(n) medians of 14.

Source: night flow analysis as in Farley & Trow, Losses in Water Distribution Networks (IWA, 2003), ch. 4; the median
and MAD as robust location and scale after Hampel (1974). 4 MAD is 2.7 standard deviations of a normal night.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

RULE_VERSION = "night_flow:1"
USUAL_NIGHTS = 14
FEWEST_NIGHTS = 7
LEAST_TOLERANCE = 0.5  # m3/h
MADS = 4.0
CONFIRMING_NIGHTS = 2
HOURS_A_MONTH = 24 * 30


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A night is above when it is more than max(`least`, `mads` MAD) above the usual one; `confirming` such nights in a
    row begin an alarm. `least` in the unit of the nights.
    """

    least: float
    mads: float
    confirming: int


FLOW = Tolerance(LEAST_TOLERANCE, MADS, CONFIRMING_NIGHTS)


@dataclass(frozen=True, slots=True)
class Night:
    """One night that is over; `minimum` in m3/h, None where it is missing. `frost`: whether it was so cold that taps
    may have been left running, None where nobody measured it. `used` m3/h that customers drew in the hour of the
    minimum by hourly meters, None where too few have one, and which share (0..1) of them was `read`, None: of none.
    """

    day: date
    minimum: float | None
    frost: bool | None = None
    used: float | None = None
    read: float | None = None


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for a block at night, m3/h, from `nights` valid nights; `limit` is the highest tolerated."""

    median: float
    limit: float
    nights: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """Nights above the limit: the first and the newest of them, how many, and the newest one's flow, m3/h."""

    since: date
    newest: date
    nights: int
    minimum: float
    usual: Usual

    @property
    def excess(self) -> float:
        """How much more than usual flows, m3/h."""
        return self.minimum - self.usual.median

    @property
    def month(self) -> float:
        """m3 a month if it lasts. Pressure is highest at night, so by day it may be less."""
        return self.excess * HOURS_A_MONTH


@dataclass(frozen=True, slots=True)
class Assessment:
    """`usual`: what the next night is compared with, None where too few are known. `alarm`: the open one.

    `ended`: the night that ended the last alarm, None where none has ended.
    """

    usual: Usual | None
    alarm: Alarm | None
    ended: date | None


def usual_night(minima: list[float], tolerance: Tolerance = FLOW) -> Usual | None:
    """The usual night from the valid ones before, newest last; None where they are fewer than 7.

    >>> usual = usual_night([4.0, 4.2, 4.1, 4.0, 3.9, 4.0, 4.3])
    >>> usual.median, round(usual.limit, 2), usual.nights
    (4.0, 4.5, 7)
    """
    if len(minima) < FEWEST_NIGHTS:
        return None
    last = np.array(minima[-USUAL_NIGHTS:])
    median = float(np.median(last))
    mad = float(np.median(np.abs(last - median)))
    return Usual(median, median + max(tolerance.least, tolerance.mads * mad), len(last))


def assess(nights: Iterable[Night], tolerance: Tolerance = FLOW) -> Assessment:
    """The state of a block (or another place) after its nights, which come in the order of their days.

    >>> quiet = [Night(date(2026, 6, n), 4.0) for n in range(1, 11)]
    >>> found = assess([*quiet, Night(date(2026, 6, 11), 6.5), Night(date(2026, 6, 12), 6.6)]).alarm
    >>> found.since.day, found.nights, round(found.excess, 2), round(found.month)
    (11, 2, 2.6, 1872)
    """
    valid: list[float] = []  # nights that may count as usual
    above: list[Night] = []  # the alarm's, or the one night that may become one
    usual: Usual | None = None
    ended: date | None = None
    for night in nights:
        if night.minimum is None:
            continue
        if not above:
            usual = usual_night(valid, tolerance)
        if usual is not None and night.minimum > usual.limit:
            above.append(night)
            continue
        if len(above) >= tolerance.confirming:
            ended = night.day
        else:
            valid.extend(each.minimum for each in above if each.minimum is not None)
        above.clear()
        valid.append(night.minimum)
    if usual is None or len(above) < tolerance.confirming:
        pending = [each.minimum for each in above if each.minimum is not None]
        return Assessment(usual_night(valid, tolerance) if not pending else usual, None, ended)
    newest = above[-1]
    assert newest.minimum is not None, "a missing night is not above anything"
    return Assessment(usual, Alarm(above[0].day, newest.day, len(above), newest.minimum, usual), ended)

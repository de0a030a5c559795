"""What the hours of one customer's meter show: water that never stops, that runs backwards, a dial that stands still.

    flows(litres, counts) -> litres of every hour
    judge(flows) -> Judged(state, signs)

Pure. Hours are an array without holes in time, L; NaN is an hour of which nothing is known: it is neither zero nor
flow. A customer's pipes may leak when no hour without flow comes any more, which a household's night has otherwise
(宅内漏水: the rule of Japanese trials of smart meters). All of it is a sign: a cooling tower, a hospital or a fish tank
flow at night too, and a house where nobody lives stands as still as a broken meter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DAY = 24
SHORTEST_RUN = 72  # hours without a stop
SHORTEST_STILL = 14 * DAY
USED_BEFORE = 28 * DAY  # of these days a meter that stands still was used on most
USED_DAYS = 20
RECENT = 30 * DAY  # backward flow is told for so long
SILENT = 48  # hours
KNOWN = 0.9  # of the hours of a stretch
# What one hour cannot be: the dial of another meter, or one that has begun again at 0.
MOST_BACK, MOST_FORWARD = 5_000.0, 200_000.0  # L
# Hours that are looked at together, by what the dial shows: with steps of 100 L a small flow skips hours.
TOGETHER = {1.0: 1, 10.0: 1, 100.0: 4}


@dataclass(frozen=True, slots=True)
class Sign:
    """`kind`: 'continuous', 'reverse' or 'stopped'. `since` is an hour of the array; `before`: it is the first that is
    known, and it may have been so earlier. `litres`: continuous, at least so much an hour; reverse, so much in all;
    stopped, nothing (None). `hours`: for how many hours that are known, reverse: in how many.
    """

    kind: str
    since: int
    litres: float | None
    hours: int
    before: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """`state`: 'judged', or why a stop could not be looked for: 'silent' (nothing for two days), 'short' (too few hours
    so far, or too many missing), 'coarse' (the dial shows whole m3). `step`: what the dial moves by, L. `last`: the
    newest hour that is known; None: there is none.
    """

    state: str
    step: float | None
    last: int | None
    signs: tuple[Sign, ...]

    @property
    def continuous(self) -> Sign | None:
        return next((each for each in self.signs if each.kind == "continuous"), None)


def flows(litres: Floats, counts: str) -> Floats:
    """Litres of every hour from what the file had: 'usage' as it is, of an 'index' the difference to the next hour
    (of the last nothing is known). A dial that jumps back or ahead is another meter's: that hour is not known.

    >>> flows(np.array([10.0, 30.0, 29.0, np.nan, 40.0, 3.0, 5.0]) * 1000, "index").tolist()
    [20000.0, -1000.0, nan, nan, nan, 2000.0, nan]
    """
    if counts == "usage":
        return litres.copy()
    found = np.full(litres.shape, np.nan)
    found[:-1] = np.diff(litres)
    found[(found < -MOST_BACK) | (found > MOST_FORWARD)] = np.nan
    return found


def step_of(hours: Floats) -> float | None:
    """What the dial moves by: the largest of 1, 10, 100 and 1,000 L that all hours are multiples of; None: it has not
    moved, or no hour is known.

    >>> step_of(np.array([20.0, np.nan, 0.0, 110.0])), step_of(np.array([0.0, np.nan])), step_of(np.array([2.5, 10]))
    (10.0, None, 1.0)
    """
    moved = np.abs(hours[np.isfinite(hours) & (hours != 0)])
    if not moved.size:
        return None
    for step in (1000.0, 100.0, 10.0):
        if bool(np.all(np.abs(moved / step - np.round(moved / step)) * step < 1e-3)):
            return step
    return 1.0


def judge(hours: Floats) -> Judged:
    """`hours`: litres of every hour up to now, NaN where nothing is known (`flows`)."""
    known = np.flatnonzero(np.isfinite(hours))
    last = int(known[-1]) if known.size else None
    step = step_of(hours)
    back = _reverse(hours, step)
    if last is None or hours.size - 1 - last > SILENT:
        return Judged("silent", step, last, back)
    seen = hours[: last + 1]
    still = _stopped(seen)
    if still:
        return Judged("judged", step, last, (*still, *back))
    state, running = _continuous(seen, step)
    return Judged(state, step, last, (*running, *back))


def _continuous(hours: Floats, step: float | None) -> tuple[str, tuple[Sign, ...]]:
    """The hours after the last stop, if they are enough. The last hour is known."""
    together = 1 if step is None else TOGETHER.get(step)
    if together is None:
        return "coarse", ()
    if hours.size < SHORTEST_RUN + together - 1:
        return "short", ()
    # NaN in one hour is NaN in every sum that has it
    sums = np.lib.stride_tricks.sliding_window_view(hours, together).sum(axis=1)
    stops = np.flatnonzero(sums <= 0)
    since = int(stops[-1]) + together if stops.size else int(np.flatnonzero(np.isfinite(hours))[0])
    run, sums = hours[since:], sums[since:]
    n = int(np.isfinite(run).sum())
    if run.size < SHORTEST_RUN:  # it stopped within the last days, or is new
        return ("judged" if stops.size else "short"), ()
    measured = sums[-SHORTEST_RUN:][np.isfinite(sums[-SHORTEST_RUN:])]
    if n < KNOWN * run.size or not measured.size:
        return "short", ()
    return "judged", (Sign("continuous", since, float(measured.min()) / together, n, before=not stops.size),)


def _reverse(hours: Floats, step: float | None) -> tuple[Sign, ...]:
    """Hours of the last month with more than one step backwards: a dial that trembles moves by one."""
    if step is None:
        return ()
    first = max(0, hours.size - RECENT)
    with np.errstate(invalid="ignore"):
        back = np.flatnonzero(hours[first:] < -step) + first
    if not back.size:
        return ()
    return (Sign("reverse", int(back[0]), float(-hours[back].sum()), int(back.size)),)


def _stopped(hours: Floats) -> tuple[Sign, ...]:
    """Two weeks of nothing at a meter that was used on most days before. The last hour is known."""
    moved = np.flatnonzero(np.isfinite(hours) & (hours != 0))
    if not moved.size:
        return ()
    since = int(moved[-1]) + 1
    run = hours[since:]
    n = int(np.isfinite(run).sum())
    if run.size < SHORTEST_STILL or n < KNOWN * run.size or since < USED_BEFORE:
        return ()
    days = np.nan_to_num(hours[since - USED_BEFORE : since]).reshape(-1, DAY).sum(axis=1)
    return (Sign("stopped", since, None, n),) if int((days > 0).sum()) >= USED_DAYS else ()

"""Burst: the inflow of a block is above usual, and its pressure or its tank's level has fallen.

    judge_burst(grid, inflow, witnesses, open, not_before) -> Verdict
    through(grid, inflow, witnesses) -> [Burst]     all of a record, as they would have been found reading by reading
    used(grid, inflow, level, area) -> (n,)         the inflow to judge where it goes into a tank behind the inlet

All series lie on one grid of equal steps (`Grid`), nan where nothing usable was measured. For each time:

    m       the last 20 minutes by their second lowest of four readings: one spike, and one hole, do not move it
    usual   median of m at the same time of day over the last 14 days, times how the last three hours compared with
            theirs (0.8 to 1.25: a busy day is busy all morning)
    excess  m - usual; tolerated is max(2 m3/h, 15 % of usual, 5 x 1.4826 MAD of the same figure on those days)

A burst begins where the inflow's excess is above what is tolerated, and at least one witness (pressure, or the level
of the tank that feeds the block) shows the opposite at the same time: a fall, against the same three hours before,
of more than is tolerated (3 x 1.4826 MAD; at least 5 kPa, 0.03 m). Demand alone also lowers pressure; that is why
the fall is measured against what the same time of day usually does. Found within 20 minutes of data of a sudden
burst that is clearly larger than the tolerance.

Where the inlet fills a tank, a pump's switching is no burst: there what is judged is what the block uses, the inflow of
the last half hour less what the tank took in meanwhile (a level is read in steps of a centimetre, which within minutes
are as much as the block uses). A burst shows that much later.

It ends when the median of a whole hour is less than a quarter of the size it was found with (at least 1 m3/h) above
usual. While it lasts the usual is that of before it began, so it cannot become usual. Missing data neither begin nor
end anything.

When it works badly: fewer than 5 earlier days (no answer), a witness that is missing (no answer), bursts smaller than
the scatter of the demand (the night-flow alarm finds them), large users without a rhythm, blocks whose pump hides the
pressure, a change of the clocks (days are 24 h apart).

Pure: no clock, no memory. Cost O(days x samples in three hours) per judged time.

Source: comparison with the same time of day as in the flow-statistics methods compared by Bakker et al.,
J. Hydroinformatics 16 (2014) 1194; median and MAD after Hampel (1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

RULE_VERSION = "burst:1"
USUAL_DAYS = 14
FEWEST_DAYS = 5
WINDOW = timedelta(minutes=20)
SPAN = timedelta(minutes=30)  # over which a tank's level says what it took in
BEFORE = timedelta(hours=3)
# In data that came late, the beginning of a burst is still looked for: always so far back, and as far back as what has
# just come reaches (an outage of the network, an analytics that was away) up to a day.
LOOK_BACK, LONGEST_LOOK_BACK = timedelta(hours=2), timedelta(days=1)
FLOW_MADS, WITNESS_MADS = 5.0, 3.0
LEAST_EXCESS, LEAST_SHARE = 2.0, 0.15  # m3/h, and of the usual inflow
BUSY = (0.8, 1.25)
OVER_SHARE, OVER_LEAST, OVER_FOR = 0.25, 1.0, timedelta(hours=1)  # of the size found; m3/h

_SIGMA = 1.4826  # MAD of a normal distribution to its standard deviation

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """The times of all series: `n` times, `step` apart, from `start`."""

    start: datetime
    step: timedelta
    n: int

    def time(self, index: int) -> datetime:
        return self.start + index * self.step

    def index(self, time: datetime) -> int:
        """The last index at or before a time."""
        return (time - self.start) // self.step

    def samples(self, span: timedelta) -> int:
        return max(1, span // self.step)


@dataclass(frozen=True, slots=True)
class Witness:
    """A series that falls in a burst, and the smallest fall that counts, in its unit."""

    name: str
    values: Values
    least: float


@dataclass(frozen=True, slots=True)
class Burst:
    """`value` and `usual` m3/h as they are now; `excess` is the size.

    As it was found: `found` m3/h above usual where `tolerance` would have been tolerated, while `witness` fell by
    `fall` of its unit. `started_at` is the time of the reading that showed it.
    """

    started_at: datetime
    value: float
    usual: float
    found: float
    tolerance: float
    witness: str
    fall: float

    @property
    def excess(self) -> float:
        return self.value - self.usual


@dataclass(frozen=True, slots=True)
class Verdict:
    """`burst` is open at the newest time, None where none is. `ended_at`: when one ended, None where none did."""

    burst: Burst | None
    ended_at: datetime | None = None


def on_grid(grid: Grid, times: Sequence[datetime], values: Values, hold: int = 0) -> Values:
    """The values at the grid's nearest times, (n,); nan where there is none. The later of two wins.

    A value of a slower series stands for the next `hold` times too, unless one of their own is there.
    """
    found = np.full(grid.n, np.nan)
    origin, pace = grid.start.timestamp(), grid.step.total_seconds()
    index = np.rint([(each.timestamp() - origin) / pace for each in times]).astype(np.int64)
    inside = (index >= 0) & (index < grid.n) & ~np.isnan(values)
    found[index[inside]] = values[inside]
    for _ in range(hold):
        empty = np.flatnonzero(np.isnan(found[1:])) + 1
        found[empty] = found[empty - 1]
    return found


def used(grid: Grid, inflow: Values, level: Values, area: float) -> Values:
    """(n,) m3/h that a block with a tank of `area` m2 behind its inlet uses, in the half hour up to each time; nan
    where a level, or more than one reading of the inflow, is missing. `level` (n,) m.

    >>> from datetime import UTC
    >>> grid = Grid(datetime(2026, 6, 1, tzinfo=UTC), timedelta(minutes=10), 7)
    >>> pumped = np.array([0.0, 0, 0, 60, 60, 60, 60])
    >>> level = np.array([2.0, 1.9, 1.8, 1.9, 2.0, 2.1, 2.2])
    >>> used(grid, pumped, level, 50.0)[3:].round(6).tolist()
    [30.0, 30.0, 30.0, 30.0]
    """
    width = grid.samples(SPAN)
    found = np.full(len(inflow), np.nan)
    if len(inflow) <= width:
        return found
    # A reading stands for the step before it, and a level for its own time.
    windows = np.lib.stride_tricks.sliding_window_view(inflow[1:], width)
    there = ~np.isnan(windows)
    count = there.sum(axis=1)
    mean = np.where(there, windows, 0.0).sum(axis=1) / np.maximum(count, 1)
    hours = width * grid.step.total_seconds() / 3600
    took = (level[width:] - level[:-width]) * area / hours
    found[width:] = np.where(count >= width - 1, mean - took, np.nan)
    return found


def judge_burst(
    grid: Grid,
    inflow: Values,
    witnesses: Sequence[Witness],
    open: Burst | None = None,
    not_before: datetime | None = None,
    since: datetime | None = None,
) -> Verdict:
    """Whether there is a burst at the newest measured time of `inflow` (n,), m3/h.

    `open`: the open one, as an earlier verdict said it. `not_before`: when the last one ended; nothing begins before
    that. `since`: the earliest value that has not been judged yet. The grid should begin 15 days before the newest
    time, and before the open one began.
    """
    flow = _Level(grid, inflow)
    measured = np.flatnonzero(~np.isnan(inflow))
    if not len(measured):
        return Verdict(open)
    newest = int(measured[-1])
    if open is not None:
        return _goes_on(grid, flow, open, newest)
    # Upside down: then a fall is an excess too.
    seen = [(witness, _Level(grid, -witness.values)) for witness in witnesses]
    first = newest - grid.samples(LOOK_BACK)
    if since is not None:
        first = min(first, max(grid.index(since), newest - grid.samples(LONGEST_LOOK_BACK)))
    first = max(0, first)
    if not_before is not None:
        first = max(first, grid.index(not_before) + 1)
    for index in range(first, newest + 1):
        found = _begins(grid, flow, seen, index)
        if found is not None:
            return _goes_on(grid, flow, found, newest)
    return Verdict(None)


def through(grid: Grid, inflow: Values, witnesses: Sequence[Witness]) -> list[Burst]:
    """As they were found: `started_at` is the time of the reading that showed each."""
    flow = _Level(grid, inflow)
    seen = [(witness, _Level(grid, -witness.values)) for witness in witnesses]
    found: list[Burst] = []
    index = 0
    while index < grid.n:
        burst = _begins(grid, flow, seen, index)
        if burst is None:
            index += 1
            continue
        found.append(burst)
        ended = _goes_on(grid, flow, burst, grid.n - 1).ended_at
        index = grid.n if ended is None else grid.index(ended) + 1
    return found


def _begins(grid: Grid, flow: _Level, witnesses: Sequence[tuple[Witness, _Level]], index: int) -> Burst | None:
    excess = flow.against_usual(index, ratio=True)
    if excess is None:
        return None
    value = float(flow.lows[index])
    usual = value - excess.now
    tolerance = max(LEAST_EXCESS, LEAST_SHARE * usual, FLOW_MADS * _SIGMA * excess.mad)
    if excess.now <= tolerance:
        return None
    for witness, level in witnesses:
        fall = level.against_usual(index, ratio=False)
        if fall is not None and fall.now > max(witness.least, WITNESS_MADS * _SIGMA * fall.mad):
            return Burst(grid.time(index), value, usual, excess.now, tolerance, witness.name, fall.now)
    return None


def _goes_on(grid: Grid, flow: _Level, found: Burst, newest: int) -> Verdict:
    """The burst as it is at the newest time, with the usual of before it began, or where it ended."""
    begun = grid.index(found.started_at)
    hour = grid.samples(OVER_FOR)
    limit = max(OVER_LEAST, OVER_SHARE * found.found)
    value, usual = found.value, found.usual
    for index in range(begun + hour, newest + 1):
        last = range(index - hour + 1, index + 1)
        more = np.array([flow.values[each] - flow.usual_before(each, begun) for each in last])
        if np.count_nonzero(~np.isnan(more)) < 0.75 * hour:
            continue
        excess = float(np.nanmedian(more))
        if excess < limit:
            return Verdict(None, grid.time(index))
        value = float(np.nanmedian(flow.values[last.start : last.stop]))
        usual = value - excess
    return Verdict(replace(found, value=value, usual=usual))


@dataclass(frozen=True, slots=True)
class _Difference:
    """A figure now, and the MAD of the same figure on the days before."""

    now: float
    mad: float


class _Level:
    """One series, and what it did not fall below in the last minutes, one reading left aside."""

    def __init__(self, grid: Grid, values: Values) -> None:
        width = grid.samples(WINDOW)
        self.values = values
        self.day = round(timedelta(days=1) / grid.step)
        self.width = width
        self.before = grid.samples(BEFORE)
        padded = np.concatenate((np.full(width - 1, np.nan), values))
        windows = np.lib.stride_tricks.sliding_window_view(padded, width)
        enough = np.count_nonzero(~np.isnan(windows), axis=1) >= max(1, width - 1)
        self.lows = np.full(len(values), np.nan)
        self.lows[enough] = np.sort(windows[enough], axis=1)[:, (width - 1) // 3]

    def against_usual(self, index: int, *, ratio: bool) -> _Difference | None:
        """Now against usual, after the three hours before: by ratio (demand) or by difference (pressure, level)."""
        length = self.before + 2 * self.width
        rows = [index - back * self.day for back in range(USUAL_DAYS + 1)]
        days = np.array([self._ending(row, length) for row in rows])
        if np.isnan(days[0, -1]) or np.count_nonzero(~np.isnan(days[1:, -1])) < FEWEST_DAYS:
            return None
        usual = _median_of_days(days[1:])
        earlier, usual_earlier = days[:, : self.before], usual[: self.before]
        known = ~np.isnan(earlier) & ~np.isnan(usual_earlier)
        if not known[0].any():
            return None
        sums = np.where(known, usual_earlier, 0.0).sum(axis=1)
        if ratio:
            share = np.where(known, earlier, 0.0).sum(axis=1) / np.where(sums > 0, sums, np.nan)
            expected = np.clip(share, *BUSY)[:, None] * usual
        else:
            offset = np.where(known, earlier - usual_earlier, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1))
            expected = usual + offset[:, None]
        # Three windows a day, so that a fortnight has enough figures to tell their scatter.
        ends = [-1, -1 - self.width, -1 - 2 * self.width]
        others = (days - expected)[1:, ends]
        others = others[~np.isnan(others)]
        if not len(others):
            return None
        mad = float(np.median(np.abs(others - np.median(others))))
        now = float(days[0, -1] - expected[0, -1])
        return None if np.isnan(now) else _Difference(now, mad)

    def usual_before(self, index: int, begun: int) -> float:
        """The median of this time of day on the 14 days before something began; nan where too few are known."""
        first = (index - begun) // self.day + 1
        rows = [index - back * self.day for back in range(first, first + USUAL_DAYS)]
        known = [self.lows[row] for row in rows if row >= 0 and not np.isnan(self.lows[row])]
        return float(np.median(known)) if len(known) >= FEWEST_DAYS else np.nan

    def _ending(self, index: int, length: int) -> Values:
        """The lows of the `length` times up to one, nan before the series begins."""
        if index < 0:
            return np.full(length, np.nan)
        found = self.lows[max(0, index - length + 1) : index + 1]
        return np.concatenate((np.full(length - len(found), np.nan), found))


def _median_of_days(days: Values) -> Values:
    """The median over days (rows) of each time; nan where no day has one."""
    usual = np.full(days.shape[1], np.nan)
    known = ~np.isnan(days).all(axis=0)
    if known.any():
        usual[known] = np.nanmedian(days[:, known], axis=0)
    return usual

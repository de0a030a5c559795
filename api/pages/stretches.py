"""A long curve's twin in numbers: the slices it was gathered into, with what is missing from each.

Picture and table come from the same reading (`api.curves`), so that the one never says what the other does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.curves import Curve, Step, quality_of
from devices.model import Quality
from quality.completeness import Reliability, reliability

# How many observations of [start, end) came or should have come.
Due = Callable[[datetime, datetime], int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The values in [start, end), of a total in (start, end]; `low` and `high` None: not one usable observation. Of a
    total both are the sum. `worst`: the worst quality of all its observations, None where there is none; bad comes
    before doubtful before missing.

    `n` usable observations of `expected`: until now, and of an instant as far as the stretch lies within the range and
    the life of the series. Half a day's rain is not the day's, though nothing else was ever there.
    """

    start: datetime
    end: datetime
    low: float | None
    high: float | None
    n: int
    expected: int
    running: bool
    worst: Quality | None = None

    @property
    def doubted(self) -> bool:
        """Whether any of its values should not simply be believed."""
        return self.worst in (Quality.DOUBTFUL, Quality.BAD)

    @property
    def reliability(self) -> Reliability:
        return reliability(self.n, self.expected)


def stretches(
    found: Curve,
    step: timedelta,
    first: datetime | None,
    start: datetime,
    end: datetime,
    *,
    total: bool,
    due: Due | None = None,
) -> tuple[Stretch, ...]:
    """The slices of a curve of start..end that the series has lived through, newest first; of a total, those that lie
    wholly in the range.

    `first` is the time of its oldest observation: before it nothing is missing, for nothing was there yet. `due` says
    how many observations a stretch should have where that is not by the step (a device with a duty cycle).
    """
    slices, every = found.slices, found.slice
    if first is None or slices is None or every is None:
        return ()
    if found.step is not Step.RAW:  # only whole hours were read
        start = datetime.fromtimestamp(math.ceil(start.timestamp() / 3600) * 3600, UTC)
    born = max(start, first)
    stretches = []
    columns = (each.tolist() for each in (slices.starts, slices.low, slices.high, slices.n, slices.worst))
    for begins, low, high, n, worst in zip(*columns, strict=True):
        since = datetime.fromtimestamp(begins, UTC)
        until = since + every
        if (since < start or until <= first - step) if total else min(end, until) <= born:
            continue
        begin = since if total else max(born, since)
        finish = min(end, until)
        expected = math.floor((finish - begin) / step) if due is None else due(begin, finish)
        if not n and not expected:
            continue
        known = not math.isnan(low)
        stretches.append(
            Stretch(
                since,
                until,
                low if known else None,
                high if known else None,
                int(n),
                max(expected, int(n)),
                running=until > end,
                worst=quality_of(worst),
            )
        )
    return tuple(reversed(stretches))

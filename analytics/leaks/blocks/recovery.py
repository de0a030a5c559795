"""What a repair has brought back: the nights of its block before and after it, and what has come back since.

    recovery(nights, repaired_on, legitimate=, until=) -> Recovery

Before, after and of late are medians of seven plain nights each (four at least, of a fortnight), as the night's figure
of a block is (`night_use`); the night of the repair's own day counts for neither side. What went, against what flowed
beyond use before, is the share of the excess that the repair brought back. What has come back since (復元: new and
growing leaks take the place of those that were mended) is the night of late less the night after the repair.

Holidays: the nights of 年末年始, GW and お盆 are left out, on which many are at home or away; a single holiday changes
little from 1 to 5 o'clock and counts as any night. Nights of frost, in which taps are left running, are left out where
the town measures the air (`frost`); elsewhere `winter` says that nights of December to March are among them.

When it works badly: two repairs within a fortnight share what went; a leak that still grew looks smaller before than it
was; a new customer at night looks like something that came back. Cost: sorting.

Source: the difference of minimum night flows before and after as in Farley & Trow, Losses in Water Distribution
Networks (IWA, 2003), ch. 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from analytics.leaks.blocks.night_use import FEWEST, LONGEST, NIGHTS, Use, drawn, plain
from analytics.leaks.night_alarm import Night

_WINTER = frozenset({12, 1, 2, 3})


@dataclass(frozen=True, slots=True)
class Nights:
    """The median `flow` in m3/h of `n` nights; None: too few."""

    flow: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """`gone` m3/h went with the repair, `share` (0..1, below zero where more flows than before) of the `excess` before;
    `returned` m3/h came back since. None: not known. `left_out` nights of holidays' weeks and `frost` nights, both
    within a fortnight of the repair or of now. `winter`: some are of December to March, and nobody measured how cold.
    """

    repaired_on: date
    before: Nights
    after: Nights
    late: Nights
    excess: float | None
    left_out: int
    winter: bool
    frost: int = 0

    @property
    def gone(self) -> float | None:
        return None if self.before.flow is None or self.after.flow is None else self.before.flow - self.after.flow

    @property
    def share(self) -> float | None:
        return None if self.gone is None or self.excess is None or self.excess <= 0 else self.gone / self.excess

    @property
    def returned(self) -> float | None:
        return None if self.late.flow is None or self.after.flow is None else self.late.flow - self.after.flow


def recovery(nights: Sequence[Night], repaired_on: date, *, use: Use, until: date) -> Recovery:
    """`nights` in the order of their days, m3/h; `use` what the town says is used at night. `until`: the day of the
    newest night that is over.

    >>> from datetime import timedelta
    >>> day = date(2026, 6, 1)
    >>> nights = [Night(day + timedelta(days=n), 6.0 if n < 10 else 4.5) for n in range(18)]
    >>> found = recovery(nights, date(2026, 6, 11), use=Use(2000, 2.0), until=date(2026, 6, 18))
    >>> found.before, found.after, found.gone, found.share, found.returned
    (Nights(flow=6.0, n=7), Nights(flow=4.5, n=7), 1.5, 0.75, None)
    """
    usual = plain(nights)
    before = [each for each in usual if repaired_on - LONGEST <= each.day < repaired_on][-NIGHTS:]
    after = [each for each in usual if repaired_on < each.day <= repaired_on + LONGEST][:NIGHTS]
    newest = after[-1].day if after else repaired_on
    late = [each for each in usual if each.day > max(newest, until - LONGEST)][-NIGHTS:]
    flow, legitimate = _median(before).flow, drawn(before, use).legitimate
    odd = _odd(nights, usual, repaired_on, until)
    return Recovery(
        repaired_on,
        _median(before),
        _median(after),
        _median(late),
        None if flow is None or legitimate is None else flow - legitimate,
        sum(not each.frost for each in odd),
        any(each.day.month in _WINTER and each.frost is None for each in (*before, *after, *late)),
        sum(bool(each.frost) for each in odd),
    )


def _median(nights: Sequence[Night]) -> Nights:
    known = [each.minimum for each in nights if each.minimum is not None]
    return Nights(median(known) if len(known) >= FEWEST else None, len(known))


def _odd(nights: Sequence[Night], usual: Sequence[Night], repaired_on: date, until: date) -> list[Night]:
    """The nights that were left out, within a fortnight of the repair, or of now."""
    kept = {each.day for each in usual}
    return [
        each
        for each in nights
        if each.minimum is not None
        and each.day not in kept
        and (abs(each.day - repaired_on) <= LONGEST or each.day > until - LONGEST)
    ]

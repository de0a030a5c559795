"""Nights that rise so slowly that each becomes usual before it is told: a leak that grows.

    growth(nights, open_) -> Growth | None

Opens where `change` of the last sixty plain nights finds a drift upwards, from the level before it. It stays until the
median of the last four nights is back within half of what the night alarm tolerates least above that level: which is
held still, so that a leak cannot become usual by lasting.

Nights of frost are left out where the town measures the air (`frost`).

When it works badly: slow growth of use (a season, new houses) looks the same; nights that hang on one another, as in a
week of heat, make about one in a block-year that is none. A missing night counts for nothing. Cost: `change`, and that
only where the last nights lie above the lower ones at all.

Measured on made nights with a scatter of 0.2 m3/h: a growth of 0.02 m3/h a night is told after three weeks, 0.05 after
a fortnight, at some 0.5 m3/h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from analytics.leaks.blocks.change import change
from analytics.leaks.blocks.night_use import plain
from analytics.leaks.night_alarm import LEAST_TOLERANCE, Night

RULE_VERSION = "night_growth:1"
LOOKED_AT = timedelta(days=60)
_RECENT = 4  # nights


@dataclass(frozen=True, slots=True)
class Growth:
    """Since the night `since` the nights rise above `before`, to `now` (m3/h) at the newest known one."""

    since: date
    before: float
    now: float
    newest: date

    @property
    def size(self) -> float:
        """m3/h."""
        return self.now - self.before


def growth(nights: Sequence[Night], open_: Growth | None) -> Growth | None:
    """`nights` that are over, in the order of their days; `open_`: what was found before and has not ended.

    >>> first = date(2026, 6, 1)
    >>> flow = [4.0 + (n % 3) * 0.1 + max(n - 20, 0) * 0.05 for n in range(45)]
    >>> found = growth([Night(first + timedelta(days=n), each) for n, each in enumerate(flow)], None)
    >>> round(found.before, 1), round(found.now, 1), found.newest.isoformat()
    (4.1, 5.2, '2026-07-15')
    """
    known = [(each.day, each.minimum) for each in plain(nights) if each.minimum is not None]
    if not known:
        return None
    newest = known[-1][0]
    known = [each for each in known if each[0] > newest - LOOKED_AT]
    flow = np.array([minimum for _, minimum in known])
    now = float(np.median(flow[-_RECENT:]))
    if open_ is not None:
        return None if now - open_.before <= LEAST_TOLERANCE / 2 else Growth(open_.since, open_.before, now, newest)
    if now - np.percentile(flow, 25) < LEAST_TOLERANCE / 2:
        return None  # what rises for weeks lies above its lower nights
    found = change([Night(*each) for each in known])
    if found is None or not found.growing or found.size <= 0:
        return None
    before = float(np.median([minimum for day, minimum in known if day < found.since]))
    return Growth(found.since, before, now, newest) if now - before > LEAST_TOLERANCE / 2 else None

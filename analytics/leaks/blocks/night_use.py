"""What flows into a block at night beyond what is used: 夜間最小流量 less legitimate use, in m3/h and m3/h/km.

    filling(times, levels, start, area) -> m3/h | None     what a tank behind the inlet takes in that hour
    plain(nights) -> [Night, ...]                          without the nights of 年末年始, GW and お盆, and of frost
    drawn(nights, use) -> Drawn                            what of it is use, and by what that is known
    excess(nights, use, pipe_km, until=) -> Excess

The night's figure is the median of the last seven nights that are known, of a fortnight at most, so that one odd night
decides nothing; fewer than four are no answer. Legitimate use is what each connection uses at night plus the known
customers of the night (a factory, a hospital, an ice maker): both are the town's to say. 1.7 L/h a connection, offered
to begin with, is what British households were found to use. Where most connections have an hourly meter, what these
read in the hours of the minimum stands for it (`hourly`): the median of the same nights, of four at least.

An excess is not a leak: it holds what the town did not know of as use, small leaks of house connections and the error
of the meter. Below zero the use is set too high. Nights on which many are at home or away are left out, and those of
frost, when taps are left running, where the town measures the air (`frost`); elsewhere they are not told apart. Cost:
sorting.

Source: assessed night use after WRc, Managing Leakage, Report E (1994); the method as in Farley & Trow, Losses in Water
Distribution Networks (IWA, 2003), ch. 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from analytics.leaks.night_alarm import Night
from analytics.leaks.night_flow import WINDOW
from analytics.visitors.day_types import DayType, day_type

NIGHTS, FEWEST, LONGEST = 7, 4, timedelta(days=14)
LITRES = 1.7  # a connection and hour, at night
ODD = frozenset({DayType.GOLDEN_WEEK, DayType.OBON, DayType.NEW_YEAR})


@dataclass(frozen=True, slots=True)
class Use:
    """What the town says is used at night: `connections` with `litres` an hour each, and `known` m3/h beside, of which
    customers with a smart meter use `metered`.

    `connections` None: not known, and then the use is not known. `metered` None: nobody has said, then as if it were
    nothing.
    """

    connections: int | None = None
    litres: float = LITRES
    known: float = 0.0
    metered: float | None = None

    @property
    def legitimate(self) -> float | None:
        """m3/h.

        >>> Use(1000, 1.7, 0.8).legitimate, Use().legitimate
        (2.5, None)
        """
        return None if self.connections is None else self.connections * self.litres / 1000 + self.known

    def beside(self, read: float) -> float:
        """m3/h of legitimate use where meters have `read` what all connections draw together: those of the known
        customers are among them.

        >>> Use(1000, 1.7, 0.8, metered=0.5).beside(2.0), Use(1000, 1.7, 0.8).beside(2.0)
        (2.3, 2.8)
        """
        return read + max(self.known - (self.metered or 0.0), 0.0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """m3/h of `legitimate` use, None: not known. `measured`: by hourly meters, of the share `read` (0..1) of all
    connections; else as the town says, whatever share was read (None: of no night).
    """

    legitimate: float | None
    measured: bool = False
    read: float | None = None


@dataclass(frozen=True, slots=True)
class Excess:
    """m3/h: what flows in a usual night now (`night`, of `nights`), what of it is use, and the rest; `per_km` m3/h/km.

    None: not known. `frost`: the cold nights of the last fortnight that were left out; None where nobody measures that.
    `measured` and `read` as of `Drawn`.
    """

    nights: int
    night: float | None
    legitimate: float | None
    excess: float | None
    per_km: float | None
    frost: tuple[date, ...] | None = None
    measured: bool = False
    read: float | None = None


def filling(times: Sequence[datetime], levels: npt.NDArray[np.float64], start: datetime, area: float) -> float | None:
    """What a tank of `area` m2 takes in during the hour from `start`, m3/h, below zero where it gives; None where fewer
    than three readings say so. `levels` (n,) in m, nan where not usable; `times` (n,) aware.

    >>> from datetime import UTC
    >>> start = datetime(2026, 6, 1, 17, tzinfo=UTC)
    >>> times = [start + timedelta(minutes=10 * n) for n in range(6)]
    >>> round(filling(times, 2.0 + 0.01 * np.arange(6), start, 90.0), 3)
    5.4
    """
    hours = np.array([(each - start) / timedelta(hours=1) for each in times], dtype=np.float64)
    within = (hours >= 0) & (hours <= WINDOW / timedelta(hours=1)) & ~np.isnan(levels)
    if within.sum() < 3:
        return None
    at = hours[within] - hours[within].mean()
    return float(area * (at @ levels[within]) / (at @ at))


def plain(nights: Iterable[Night]) -> list[Night]:
    """Those that are known, without the weeks on which people are at home or away as at no other time, and without the
    nights that are known to have been of frost.
    """
    return [each for each in nights if each.minimum is not None and not each.frost and day_type(each.day) not in ODD]


def drawn(nights: Iterable[Night], use: Use) -> Drawn:
    """Of some nights.

    >>> nights = [Night(date(2026, 6, n), 6.0, used=1.5, read=0.8) for n in range(1, 5)]
    >>> drawn(nights, Use(1000, 2.0, 1.0)), drawn(nights[:3], Use(1000, 2.0, 1.0))
    (Drawn(legitimate=2.5, measured=True, read=0.8), Drawn(legitimate=3.0, measured=False, read=0.8))
    """
    several = list(nights)
    used = [each.used for each in several if each.used is not None]
    shares = [each.read for each in several if each.read is not None]
    read = float(np.median(shares)) if shares else None
    if len(used) < FEWEST:
        return Drawn(use.legitimate, False, read)
    return Drawn(use.beside(float(np.median(used))), True, read)


def excess(nights: Sequence[Night], use: Use, pipe_km: float | None, *, until: date) -> Excess:
    """`nights` in the order of their days; `pipe_km` of the block, None: not known. `until`: the day of the newest
    night that is over: an inlet that has been silent for a fortnight says nothing of now.

    >>> nights = [Night(date(2026, 6, n), 6.0) for n in range(1, 9)]
    >>> excess(nights, Use(1000, 2.0, 1.0), 6.0, until=date(2026, 6, 8))
    Excess(nights=7, night=6.0, legitimate=3.0, excess=3.0, per_km=0.5, frost=None, measured=False, read=None)
    """
    recent = [each for each in plain(nights)[-NIGHTS:] if each.day > until - LONGEST]
    late = [each for each in nights if each.minimum is not None and each.day > until - LONGEST]
    measured = any(each.frost is not None for each in late)
    frost = tuple(each.day for each in late if each.frost) if measured else None
    use_now = drawn(recent, use)
    legitimate, said = use_now.legitimate, (frost, use_now.measured, use_now.read)
    if len(recent) < FEWEST:
        return Excess(len(recent), None, legitimate, None, None, *said)
    night = float(np.median([each.minimum for each in recent if each.minimum is not None]))
    over = None if legitimate is None else night - legitimate
    return Excess(len(recent), night, legitimate, over, over / pipe_km if over is not None and pipe_km else None, *said)

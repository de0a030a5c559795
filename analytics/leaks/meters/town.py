"""All meters of a town at once: what each shows, and by block.

    look(series, first, now=, zone=) -> Town

Pure. A block with fewer than `LEAST` meters stands in no list and no sum: of so few a household can be told. A meter
without a block is in none, and the same holds for all of these together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from analytics.leaks.meters.signs import KNOWN, Floats, Judged, Sign, flows, judge
from analytics.leaks.meters.stored import Series

LEAST = 10  # meters
DAYS = 60  # looked at
_HOUR = timedelta(hours=1)
_NIGHT = (1, 5)  # o'clock, as of 夜間最小流量


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter. `start` is the first moment of `hours`, the litres of every hour up to now."""

    meter_id: int
    block: str | None
    start: datetime
    hours: Floats
    judged: Judged

    def at(self, hour: int) -> datetime:
        """The beginning of an hour of the array."""
        return self.start + hour * _HOUR

    @property
    def last(self) -> datetime | None:
        """Until when something is known."""
        return None if self.judged.last is None else self.at(self.judged.last + 1)


@dataclass(frozen=True, slots=True)
class Shown:
    """A sign of a meter of a block that is shown."""

    meter: Meter
    sign: Sign

    @property
    def since(self) -> datetime:
        return self.meter.at(self.sign.since)


@dataclass(frozen=True, slots=True)
class Block:
    """`states` and `signs`: how many meters by `Judged.state` and `Sign.kind`. `day` is the newest local day of which
    enough came in (None: none of the last week), `day_m3` what was used on it and `night_m3h` in its hours of 1 to 5.
    """

    name: str | None
    meters: int
    states: Mapping[str, int]
    signs: Mapping[str, int]
    day: date | None
    day_m3: float | None
    night_m3h: float | None


@dataclass(frozen=True, slots=True)
class Town:
    """`meters`: all of them, with those of small blocks. `small`: the names of the blocks that are not shown."""

    meters: tuple[Meter, ...]
    blocks: tuple[Block, ...]
    shown: tuple[Shown, ...]
    small: tuple[str | None, ...]


_KINDS = ("continuous", "reverse", "stopped")
_STATES = ("judged", "silent", "short", "coarse")


def first_day(now: datetime) -> date:
    """From which day of UTC on the hours are looked at."""
    return now.astimezone(UTC).date() - timedelta(days=DAYS)


def meters(series: Sequence[Series], first: date, *, now: datetime) -> tuple[Meter, ...]:
    """Each judged by its hours from the day `first` of UTC on."""
    start = datetime.combine(first, time(), UTC)
    n = max(0, (now - start) // _HOUR)
    found = []
    for each in series:
        hours = flows(each.litres, each.counts)[:n]
        found.append(Meter(each.meter_id, each.block, start, hours, judge(hours)))
    return tuple(found)


def look(series: Sequence[Series], first: date, *, now: datetime, zone: ZoneInfo) -> Town:
    """The meters and what can be shown of their blocks, signs by how much water they are."""
    all_ = meters(series, first, now=now)
    by_block: dict[str | None, list[Meter]] = {}
    for each in all_:
        by_block.setdefault(each.block, []).append(each)
    large = {name: found for name, found in by_block.items() if len(found) >= LEAST}
    shown = [Shown(each, sign) for found in large.values() for each in found for sign in each.judged.signs]
    shown.sort(key=lambda each: (_KINDS.index(each.sign.kind), -(each.sign.litres or 0), each.meter.meter_id))
    return Town(
        all_,
        tuple(_block(name, found, now, zone) for name, found in large.items()),
        tuple(shown),
        tuple(name for name in by_block if name not in large),
    )


def _block(name: str | None, found: Sequence[Meter], now: datetime, zone: ZoneInfo) -> Block:
    states = {state: sum(each.judged.state == state for each in found) for state in _STATES}
    signs = {kind: sum(any(s.kind == kind for s in each.judged.signs) for each in found) for kind in _KINDS}
    hours, start = np.array([each.hours for each in found]), found[0].start
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=back) for back in range(1, 8)):
        begins, ends = (_index(at, start) for at in (_local(day, 0, zone), _local(day + timedelta(days=1), 0, zone)))
        part = hours[:, max(begins, 0) : max(ends, 0)]
        night = hours[
            :, max(_index(_local(day, _NIGHT[0], zone), start), 0) : _index(_local(day, _NIGHT[1], zone), start)
        ]
        if part.size and min(np.isfinite(part).mean(), np.isfinite(night).mean()) >= KNOWN:
            m3 = float(np.nansum(part)) / 1000
            return Block(name, len(found), states, signs, day, m3, float(np.nansum(night)) / 1000 / night.shape[1])
    return Block(name, len(found), states, signs, None, None, None)


def _local(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), zone)


def _index(at: datetime, start: datetime) -> int:
    return (at - start) // _HOUR

"""What waits to be looked at before it is published: the days of spots, and what is unusual about each, as reasons.

    queue(conn, spot_ids, first, last, zone) -> list[Waiting]

Every local day first..last that anybody was to count, with where it stands (`SpotDay.version`), the reasons to look at
it twice, and the last line of its history where it was sent back. A day without a reason is an ordinary one.

    missing     nothing true was counted
    partial     `share` of the counting time is there (below 95 %)
    estimated   an estimate stands for a part, `low`..`high`
    fault       a period of a counter, `kind`, `start`, `end` (None: lasts), `standing`
    more, fewer far from the `usual` of the last days of its kind (`unusual.far_from_usual`)
    switched    the method changes on this day
    negative    a difference of spots came out below 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from analytics.visitors.checks import gate
from analytics.visitors.checks.gate import Looked, Said
from analytics.visitors.checks.periods import Period, periods
from analytics.visitors.day_types import same_kind_before
from analytics.visitors.spots.plan import Plan, plans
from analytics.visitors.spots.series import SpotDay, days_of
from analytics.visitors.unusual import far_from_usual
from analytics.visitors.usual import COMPLETE_ENOUGH, DAYS, LOOK_BACK, Observations, day_start
from store import Connection

WHOLE = 0.95
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a person should look: `key` and what its words need."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A day of a spot. `back`: what sent it back, where it stands as it came back; `looked`: how it was looked at."""

    spot_id: int
    day: SpotDay
    reasons: tuple[Reason, ...]
    back: Said | None
    looked: Looked | None

    @property
    def ordinary(self) -> bool:
        return not self.reasons and self.back is None

    @property
    def name(self) -> str:
        """What it is called in a form; with `seen` it says what the person has seen."""
        return f"day.{self.spot_id}.{self.day.day.isoformat()}"

    @property
    def seen(self) -> str:
        return f"{self.day.visitors if self.day.visitors is not None else '-'} {self.day.state}"


def queue(
    conn: Connection,
    spot_ids: Sequence[int],
    first: date,
    last: date,
    zone: ZoneInfo,
    *,
    relation: Observations = "observation",
) -> list[Waiting]:
    """The days first..last of these spots, oldest first, spot by spot within a day; none that nobody counted."""
    if not spot_ids or first > last:
        return []
    whole = days_of(conn, spot_ids, first - LOOK_BACK, last, relation=relation)
    known = plans(conn, spot_ids)
    looked = gate.versions(conn, spot_ids, first, last)
    faults = _faults(conn, known, first, last, zone)
    found = []
    for spot_id in spot_ids:
        by_day = {each.day: each for each in whole[spot_id]}
        said = gate.history(conn, spot_id, first, last)
        for number in range((last - first).days + 1):
            day = by_day[first + number * _DAY]
            if day.state == "absent":
                continue
            there = looked.get((spot_id, day.day))
            back = _back(day, there, said.get(day.day, []))
            mine = [each for each in faults.get(spot_id, []) if _on(each, day.day, zone)]
            found.append(Waiting(spot_id, day, tuple(_reasons(day, mine, by_day)), back, there))
    order = {spot_id: position for position, spot_id in enumerate(spot_ids)}
    return sorted(found, key=lambda each: (each.day.day, order[each.spot_id]))


def _reasons(day: SpotDay, faults: Sequence[Period], by_day: Mapping[date, SpotDay]) -> list[Reason]:
    found = [
        Reason("fault", {"kind": each.kind, "start": each.starts_at, "end": each.ends_at, "standing": each.standing})
        for each in faults
    ]
    if day.method_before is not None:
        found.append(Reason("switched", {"method": str(day.method), "before": str(day.method_before)}))
    if day.visitors is None:
        return [*found, Reason("missing")]
    if day.state == "estimated" and day.low is not None and day.high is not None:
        found.append(Reason("estimated", {"low": day.low, "high": day.high}))
    elif day.completeness < WHOLE:
        found.append(Reason("partial", {"share": day.completeness}))
    if day.visitors < 0:
        found.append(Reason("negative"))
    earlier = [
        other.visitors
        for each in same_kind_before(day.day, LOOK_BACK)
        if (other := by_day.get(each)) is not None
        and other.visitors is not None
        and (other.completeness >= COMPLETE_ENOUGH)
        and other.state == "ok"
    ][:DAYS]
    far = far_from_usual(max(0, day.visitors), [max(0, each) for each in earlier])
    if far is not None and (far.score > 0 or day.completeness >= WHOLE):
        found.append(Reason("more" if far.score > 0 else "fewer", {"usual": far.usual, "n": len(earlier)}))
    return found


def _back(day: SpotDay, there: Looked | None, said: Sequence[Said]) -> Said | None:
    """What sent a day back that is provisional; also where `settle` has not written it down yet."""
    if there is not None:
        why = there.changed(day)
        return None if why is None else Said("sent_back", day.visitors, there.visitors, why, "", there.checked_at, None)
    return said[0] if said and said[0].event == "sent_back" else None


def _faults(
    conn: Connection, known: Mapping[int, Plan], first: date, last: date, zone: ZoneInfo
) -> dict[int, list[Period]]:
    stations = {source.station_id for plan in known.values() for source in plan.sources}
    there = periods(conn, sorted(stations), day_start(first, zone), day_start(last + _DAY, zone))
    return {
        plan.spot_id: [
            each
            for each in there
            if each.counts and any(each.station_id == source.station_id for source in plan.sources)
        ]
        for plan in known.values()
    }


def _on(period: Period, day: date, zone: ZoneInfo) -> bool:
    start, end = day_start(day, zone), day_start(day + _DAY, zone)
    return period.starts_at < end and (period.ends_at is None or period.ends_at > start)

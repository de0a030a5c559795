"""/api/v1/reception: what came of each device, counted from inside and from outside; for the page and /metrics too.

Two counts that know nothing of each other. From inside: every message that was delivered has one outcome
(`store.counts`). From outside: a device numbers its messages, and what is missing between them was lost before it came
to us: 欠番 (`store.frames`). Both are by the hour of receipt; a window is so many hours, the running one included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from api.access import READERS, Router, SignedIn, access
from api.models import GapOut, ReceptionCountOut, ReceptionOut
from store.connection import Connection

router = Router(prefix="/api/v1", tags=["reception"])

DAY = timedelta(hours=24)
MONTH = timedelta(days=30)
GAPS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Count:
    """What came in a window. `distinct`: without repetitions and events, as a device numbers them. `missing`: numbers
    that never came, None where the device does not number its messages. `partly`: values that were not stored of
    messages that were. `open`: messages and values without an outcome, 0 as it should be.
    """

    delivered: int = 0
    accepted: int = 0
    event: int = 0
    duplicate: int = 0
    quarantined: int = 0
    stored: int = 0
    unchanged: int = 0
    revised: int = 0
    rejected: int = 0
    open: int = 0
    missing: int | None = None

    @property
    def distinct(self) -> int:
        return self.accepted + self.quarantined

    @property
    def expected(self) -> int | None:
        """As many messages as the numbers say were sent; None where there are no numbers."""
        return None if self.missing is None else self.distinct + self.missing

    @property
    def missing_share(self) -> float | None:
        """The part of what was sent that never came, 0 to 1; None where nobody can say."""
        return None if not self.expected or self.missing is None else self.missing / self.expected


@dataclass(frozen=True, slots=True)
class DeviceReception:
    """A device over the last day and the last 30. All None: senders that are unknown or cannot be read; with `files`
    what came as files of the watched folders, which no device sends.
    """

    key: str | None
    name: str | None
    name_en: str | None
    day: Count
    month: Count
    files: bool = False


@dataclass(frozen=True, slots=True)
class MissingFrames:
    """Numbers of a device that never came, both ends inclusive, and when the message after them did."""

    key: str
    name: str | None
    name_en: str | None
    session: str
    start: int
    end: int
    noticed: datetime

    @property
    def frames(self) -> int:
        return self.end - self.start + 1


def window(now: datetime, length: timedelta) -> datetime:
    """The beginning of the first hour of a window that ends now.

    >>> from datetime import UTC
    >>> str(window(datetime(2026, 6, 2, 9, 40, tzinfo=UTC), DAY))
    '2026-06-01 10:00:00+00:00'
    """
    return now.replace(minute=0, second=0, microsecond=0) - length + timedelta(hours=1)


def reception(conn: Connection, now: datetime) -> tuple[DeviceReception, ...]:
    """Every device, worst first: not closed, then by the share that is missing today; the unknown senders last."""
    found = [
        DeviceReception(key, name, name_en, _count(day, numbered), _count(month, numbered))
        for key, name, name_en, numbered, day, month in conn.execute(
            _RECEPTION, {"now": now, "day": window(now, DAY), "month": window(now, MONTH)}
        )
    ]
    found = [part for each in found for part in _apart(each)]
    return tuple(sorted(found, key=lambda each: (each.key is None, -each.month.open, -(each.day.missing_share or 0.0))))


def _apart(each: DeviceReception) -> list[DeviceReception]:
    """What no device sent in two: of unknown senders nothing is ever accepted, of files everything is."""
    if each.key is not None or not each.month.accepted:
        return [each]
    files = replace(each, day=_accepted(each.day), month=_accepted(each.month), files=True)
    rest = replace(each, day=_without(each.day), month=_without(each.month))
    return [rest, files] if rest.month.delivered or rest.month.open else [files]


def _accepted(count: Count) -> Count:
    """The accepted messages and all values: only they have any."""
    return replace(count, delivered=count.accepted, event=0, duplicate=0, quarantined=0, open=0)


def _without(count: Count) -> Count:
    rest = Count(count.delivered - count.accepted, 0, count.event, count.duplicate, count.quarantined)
    return replace(rest, open=count.open)


def missing_frames(conn: Connection, now: datetime, limit: int = GAPS_SHOWN) -> tuple[MissingFrames, ...]:
    """The numbers that never came in the last 30 days, newest first."""
    return tuple(
        MissingFrames(*row)
        for row in conn.execute(
            """
            select d.key, s.name, s.name_en, r.session, g.from_counter, g.to_counter, g.noticed_at
            from frame_gap g
            join frame_run r using (frame_run_id)
            join device d on d.device_id = g.device_id
            left join attachment a on a.device_id = d.device_id
                 and a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
            left join station s using (station_id)
            where g.noticed_at >= %(month)s and g.municipality_id = current_municipality()
            order by g.noticed_at desc, g.from_counter desc limit %(limit)s
            """,
            {"now": now, "month": window(now, MONTH), "limit": limit},
        )
    )


def _count(numbers: Sequence[int | None], numbered: bool) -> Count:
    *counted, missing = (int(n or 0) for n in numbers)
    return replace(Count(*counted), missing=missing if numbered else None)


_RECEPTION = """
with counted as (
    select device_id, of_day,
           sum(delivered) as delivered, sum(accepted) as accepted, sum(event) as event, sum(duplicate) as duplicate,
           sum(quarantined) as quarantined, sum(stored) as stored, sum(unchanged) as unchanged,
           sum(revised) as revised, sum(rejected) as rejected,
           sum(abs(delivered - accepted - event - duplicate - quarantined)
               + abs(given - stored - unchanged - revised)) as open
    from delivery_count, lateral (select hour >= %(day)s as of_day) which
    where municipality_id = current_municipality() and hour >= %(month)s group by device_id, of_day
), month as (
    select device_id,
           array[sum(delivered), sum(accepted), sum(event), sum(duplicate), sum(quarantined), sum(stored),
                 sum(unchanged), sum(revised), sum(rejected), sum(open)] as month,
           array[sum(delivered) filter (where of_day), sum(accepted) filter (where of_day),
                 sum(event) filter (where of_day), sum(duplicate) filter (where of_day),
                 sum(quarantined) filter (where of_day), sum(stored) filter (where of_day),
                 sum(unchanged) filter (where of_day), sum(revised) filter (where of_day),
                 sum(rejected) filter (where of_day), sum(open) filter (where of_day)] as day
    from counted group by device_id
), missing as (
    select device_id, sum(to_counter - from_counter + 1) as month,
           sum(to_counter - from_counter + 1) filter (where noticed_at >= %(day)s) as day
    from frame_gap where municipality_id = current_municipality() and noticed_at >= %(month)s group by device_id
)
select d.key, s.name, s.name_en,
       exists (select from frame_run r where r.device_id = d.device_id),
       coalesce(c.day, array_fill(0::numeric, array[10])) || coalesce(m.day, 0),
       coalesce(c.month, array_fill(0::numeric, array[10])) || coalesce(m.month, 0)
from device d
left join attachment a on a.device_id = d.device_id
     and a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
left join station s using (station_id)
left join month c on c.device_id = d.device_id
left join missing m on m.device_id = d.device_id
where d.municipality_id = current_municipality()
union all
select null, null, null, false, day || 0::numeric, month || 0::numeric from month where device_id is null
"""


@router.get("/reception")
@access(READERS)
def reception_of_all(visit: SignedIn) -> list[ReceptionOut]:
    """Every device: what came in the last 24 hours and the last 30 days, and what never did."""
    now = visit.clock.now()
    with visit.transaction() as conn:
        return [
            ReceptionOut(device=each.key, files=each.files, day=_out(each.day), month=_out(each.month))
            for each in reception(conn, now)
        ]


@router.get("/reception/missing")
@access(READERS)
def missing(visit: SignedIn) -> list[GapOut]:
    """The messages that never came, by name: the newest thousand stretches of the last 30 days."""
    now = visit.clock.now()
    with visit.transaction() as conn:
        return [
            GapOut(device=gap.key, session=gap.session, first=gap.start, last=gap.end, noticed_at=gap.noticed)
            for gap in missing_frames(conn, now, 1000)
        ]


def _out(count: Count) -> ReceptionCountOut:
    values: dict[str, Any] = {name: getattr(count, name) for name in Count.__slots__}
    return ReceptionCountOut(**values, expected=count.expected)

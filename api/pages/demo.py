"""【模擬】 what a visitor of the demo can set off: heavy rain, a burst, a festival, a device that stops.

The routes exist in a demo only (`create_app` leaves them out elsewhere). A press is one row of `demo_event`; the
simulator reads it and the town is from then on one in which it happened. One of a kind at a time: the database refuses
a second one while the first goes on, and the button is disabled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, LiteralString

from fastapi import Form
from starlette.responses import RedirectResponse, Response

from api.access import READERS, Router, SignedIn, Visit, access
from api.errors import Conflict, Text
from store.connection import Connection

router = Router(include_in_schema=False)


class Event(StrEnum):
    """What can be set off, in the order of the buttons."""

    RAIN = "rain"
    BURST = "burst"
    FESTIVAL = "festival"
    SILENCE = "silence"


LASTS = {
    Event.RAIN: timedelta(hours=4),
    Event.BURST: timedelta(hours=6),
    Event.FESTIVAL: timedelta(hours=6),
    Event.SILENCE: timedelta(hours=3),
}


@dataclass(frozen=True, slots=True)
class Running:
    """What goes on now. `name` is the place of a burst or of the device, `device` its key, `lost_at` when it will be
    called lost.
    """

    starts_at: datetime
    ends_at: datetime
    name: str | None
    name_en: str | None
    device: str | None
    lost_at: datetime | None


# The panel's buttons, in order, each with what it has set off.
Panel = dict[Event, Running | None]


@router.post("/demo/{event}")
@access(READERS)
def set_off(visit: SignedIn, event: Event, page: Annotated[Literal["start", "digital"], Form()] = "start") -> Response:
    """Sets it off now, unless it goes on already, and leads back to the page, which says what will happen."""
    now = visit.clock.now()
    with visit.transaction() as conn:
        target = _target(conn, event, now)
        conn.execute(
            """
            insert into demo_event (municipality_id, kind, starts_at, ends_at, target, user_id)
            values (%s, %s, %s, %s, %s, %s) on conflict do nothing
            """,
            (visit.tenant.municipality_id, event.value, now, now + LASTS[event], target, visit.user.user_id),
        )
    return RedirectResponse(f"/{page}#demo", 303)


def panel(visit: Visit, conn: Connection, now: datetime) -> Panel | None:
    """What the panel shows; None where the town is no demo: then there is none."""
    if not visit.config.demo:
        return None
    running: Panel = dict.fromkeys(Event)
    for kind, *values in conn.execute(
        """
        select e.kind, e.starts_at, e.ends_at, s.name, s.name_en, d.key, heard.received_time + d.silence_after
        from demo_event e
        left join device d on e.kind = 'silence' and d.key = e.target
        left join attachment a on a.device_id = d.device_id
             and a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
        left join station s on s.station_id = a.station_id or (e.kind = 'burst' and s.code = e.target)
        left join lateral (
            select u.received_time from uplink u
            where u.device_id = d.device_id and u.outcome = 'accepted' order by u.received_time desc limit 1
        ) heard on true
        where e.starts_at <= %(now)s and e.ends_at > %(now)s
        """,
        {"now": now},
    ):
        running[Event(kind)] = Running(*values)
    return running


# Each press takes the next one, so that the town is not always hurt in the same place; devices that are missed soonest
# come first, because somebody is waiting to see it, and of these the rivers' last: they have the rain to show.
_TARGETS: dict[Event, LiteralString] = {
    Event.BURST: "select code from station where kind = 'block_inlet' order by station_id",
    Event.SILENCE: """
        select d.key from device d join attachment a using (device_id)
        where a.attached_from <= %(now)s and (a.attached_to is null or a.attached_to > %(now)s)
        order by d.silence_after, d.device_id desc
        """,
}


def _target(conn: Connection, event: Event, now: datetime) -> str | None:
    """Where a burst opens, or which device stops. Conflict where the town has none."""
    if event not in _TARGETS:
        return None
    candidates = [str(row[0]) for row in conn.execute(_TARGETS[event], {"now": now})]
    if not candidates:
        raise Conflict(Text("この町には対象がありません。", "This town has nothing that this could happen to."))
    row = conn.execute("select count(*) from demo_event where kind = %s", (event.value,)).fetchone()
    return candidates[(row[0] if row else 0) % len(candidates)]

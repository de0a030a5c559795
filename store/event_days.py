"""The day of an event: which gates its area has, from which capacity on who is told, what people counted, what the
organiser said.

    put_plan(conn, town, event_id, plan, now=, user_id=)       how it is watched from now on (None: not at all)
    day(conn, town, event_id) -> EventDay | None
    days(conn, town, since), days_at(conn, stations, since)    of a town; of any, by one of their gates
    count(...), take_back(...), counts(...) -> [Count]         how many a person counted in the area
    state(...), statements(...) -> [Statement]                 主催者発表, the newest first

All of it is append-only. Times are town time. Raises `RecordError`: `gates`, `ends`, `levels`, `error`, `overlap`
(another event is watched by one of the gates at that time), `number`, `future`, `outside`, `unknown`. Each writes in
the caller's transaction; announcing it to the feed is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from store.connection import Connection
from store.errors import RecordError
from store.headquarters import AHEAD, clean

LONGEST = timedelta(days=3)
MOST_LEVELS = 3
MOST_PEOPLE = 1_000_000
USUAL_ERROR = 0.05
ERRORS = (0.005, 0.5)
MOST = {"note": 200, "said_by": 100, "basis": 300}  # characters


@dataclass(frozen=True, slots=True)
class Plan:
    """How an area is watched: `gates` (station ids), of them `turned` whose counter calls in what is out. `levels`:
    steps of capacity, ascending. `group_id`: who is told, None: whoever watches the first gate. `error`: the share by
    which a counter is wrong at most, in nine cases of ten.
    """

    starts_at: datetime
    ends_at: datetime
    gates: tuple[int, ...]
    turned: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    group_id: int | None = None
    error: float = USUAL_ERROR


@dataclass(frozen=True, slots=True)
class EventDay:
    """The plan in force of an event. `name` of the event."""

    event_id: int
    revision: int
    municipality_id: int
    name: str
    timezone: str
    plan: Plan
    entered_at: datetime
    entered_by: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many a person counted in the area at a time."""

    count_id: int
    at: datetime
    present: int
    note: str
    entered_at: datetime
    entered_by: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What the organiser said; `people` None: that was taken back."""

    people: int | None
    said_by: str
    basis: str
    entered_at: datetime
    entered_by: str


def checked(plan: Plan) -> Plan:
    """The plan as it is stored. Raises `RecordError`."""
    gates = tuple(dict.fromkeys(plan.gates))
    if not gates:
        raise RecordError("gates", "gates")
    if not timedelta(0) < plan.ends_at - plan.starts_at <= LONGEST:
        raise RecordError("ends", "ends")
    levels = plan.levels
    if (
        len(levels) > MOST_LEVELS
        or list(levels) != sorted(set(levels))
        or any(not 0 < each <= MOST_PEOPLE for each in levels)
    ):
        raise RecordError("levels", "levels")
    if not ERRORS[0] <= plan.error <= ERRORS[1]:
        raise RecordError("error", "error")
    turned = tuple(each for each in gates if each in plan.turned)
    return Plan(plan.starts_at, plan.ends_at, gates, turned, levels, plan.group_id, plan.error)


def put_plan(
    conn: Connection, municipality_id: int, event_id: int, plan: Plan | None, *, now: datetime, user_id: int
) -> None:
    """Writes how it is watched from now on; None: not any more."""
    before = day(conn, municipality_id, event_id)
    if plan is None and before is None:
        raise RecordError("gates", "unknown")
    withdrawn = plan is None
    written = checked(plan or before.plan)  # type: ignore[union-attr]  # one of them is there
    if not withdrawn:
        others = _overlapping(conn, municipality_id, event_id, written)
        if others:
            raise RecordError("gates", "overlap")
    conn.execute(
        """
        insert into event_day (local_event_id, revision, municipality_id, starts_at, ends_at, gates, turned, levels,
                               call_group_id, error_share, withdrawn, entered_at, entered_by)
        select %(event)s, 1 + coalesce(max(revision), 0), %(town)s, %(starts)s, %(ends)s, %(gates)s::integer[],
               %(turned)s::integer[], %(levels)s::integer[], %(group)s, %(error)s, %(withdrawn)s, %(now)s, %(user)s
        from event_day where local_event_id = %(event)s and municipality_id = %(town)s
        """,
        {
            "event": event_id,
            "town": municipality_id,
            "starts": written.starts_at,
            "ends": written.ends_at,
            "gates": list(written.gates),
            "turned": list(written.turned),
            "levels": list(written.levels),
            "group": written.group_id,
            "error": written.error,
            "withdrawn": withdrawn,
            "now": now,
            "user": user_id,
        },
    )


def day(conn: Connection, municipality_id: int, event_id: int) -> EventDay | None:
    """How an event is watched; None: it is not."""
    row = conn.execute(
        _DAYS + "and d.municipality_id = %s and d.local_event_id = %s", (municipality_id, event_id)
    ).fetchone()
    return None if row is None else _day(row)


def days(conn: Connection, municipality_id: int, since: datetime | None = None) -> list[EventDay]:
    """The watched events of a town that end after a time (None: all), the earliest first."""
    rows = conn.execute(
        _DAYS
        + "and d.municipality_id = %s and d.ends_at > coalesce(%s, '-infinity'::timestamptz) "
        + "order by d.starts_at, d.local_event_id",
        (municipality_id, since),
    )
    return [_day(row) for row in rows]


def days_at(conn: Connection, stations: Sequence[int], since: datetime) -> list[EventDay]:
    """The watched events, of any town, one of whose gates is among these stations and that end after a time."""
    rows = conn.execute(
        _DAYS + "and d.gates && %s::integer[] and d.ends_at > %s order by d.local_event_id", (list(stations), since)
    )
    return [_day(row) for row in rows]


def count(
    conn: Connection,
    municipality_id: int,
    event_id: int,
    present: int,
    *,
    at: datetime,
    note: str,
    now: datetime,
    user_id: int,
) -> None:
    """Writes how many people are in the area, as somebody counted them."""
    note = clean("note", note, MOST["note"])
    if not 0 <= present <= MOST_PEOPLE:
        raise RecordError("present", "number")
    if at > now + AHEAD:
        raise RecordError("at", "future")
    found = day(conn, municipality_id, event_id)
    if found is None:
        raise RecordError("present", "unknown")
    if not found.plan.starts_at - timedelta(hours=3) <= at <= found.plan.ends_at:
        raise RecordError("at", "outside")
    conn.execute(
        """
        insert into event_count (municipality_id, local_event_id, at, present, note, entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (municipality_id, event_id, at, present, note, now, user_id),
    )


def take_back(
    conn: Connection, municipality_id: int, event_id: int, count_id: int, *, now: datetime, user_id: int
) -> None:
    """Takes a count back: it was wrong."""
    if count_id not in {each.count_id for each in counts(conn, municipality_id, event_id)}:
        raise RecordError("present", "unknown")
    conn.execute(
        """
        insert into event_count (municipality_id, local_event_id, at, note, withdraws, entered_at, entered_by)
        values (%s, %s, %s, '', %s, %s, %s)
        """,
        (municipality_id, event_id, now, count_id, now, user_id),
    )


def counts(conn: Connection, municipality_id: int, event_id: int) -> list[Count]:
    """The counts of an event that stand, the earliest first."""
    rows = conn.execute(
        """
        select c.event_count_id, c.at, c.present, c.note, c.entered_at, u.display_name
        from event_count c join app_user u on u.user_id = c.entered_by
        where c.municipality_id = %s and c.local_event_id = %s and c.withdraws is null
          and not exists (select from event_count w where w.withdraws = c.event_count_id)
        order by c.at, c.event_count_id
        """,
        (municipality_id, event_id),
    )
    return [Count(*row) for row in rows]


def state(
    conn: Connection,
    municipality_id: int,
    event_id: int,
    people: int | None,
    *,
    said_by: str,
    basis: str,
    now: datetime,
    user_id: int,
) -> None:
    """Writes what the organiser said; `people` None takes it back."""
    said_by, basis = clean("said_by", said_by, MOST["said_by"]), clean("basis", basis, MOST["basis"])
    if not said_by:
        raise RecordError("said_by", "empty")
    if people is not None and not 0 <= people <= MOST_PEOPLE * 10:
        raise RecordError("people", "number")
    conn.execute(
        """
        insert into event_statement (municipality_id, local_event_id, people, said_by, basis, entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (municipality_id, event_id, people, said_by, basis, now, user_id),
    )


def statements(conn: Connection, municipality_id: int, event_id: int) -> list[Statement]:
    """What the organiser said, the newest first: that one counts."""
    rows = conn.execute(
        """
        select s.people, s.said_by, s.basis, s.entered_at, u.display_name
        from event_statement s join app_user u on u.user_id = s.entered_by
        where s.municipality_id = %s and s.local_event_id = %s order by s.event_statement_id desc
        """,
        (municipality_id, event_id),
    )
    return [Statement(*row) for row in rows]


def _overlapping(conn: Connection, municipality_id: int, event_id: int, plan: Plan) -> bool:
    """Whether another event counts by one of these gates at the same time: a passage cannot be into two areas."""
    rows = conn.execute(
        _DAYS
        + """
        and d.municipality_id = %s and d.local_event_id <> %s and d.gates && %s::integer[]
        and d.starts_at < %s and d.ends_at > %s
        """,
        (municipality_id, event_id, list(plan.gates), plan.ends_at, plan.starts_at),
    )
    return rows.fetchone() is not None


def _day(row: tuple[object, ...]) -> EventDay:
    event_id, revision, town, name, zone, starts, ends, gates, turned, levels, group, error, *entered = row
    plan = Plan(starts, ends, tuple(gates), tuple(turned), tuple(levels), group, error)  # type: ignore[arg-type]
    return EventDay(event_id, revision, town, name, zone, plan, *entered)  # type: ignore[arg-type]  # columns of _DAYS


# The plans in force of events that were not withdrawn.
_DAYS = """
select d.local_event_id, d.revision, d.municipality_id, e.name, m.timezone, d.starts_at, d.ends_at, d.gates, d.turned,
       d.levels, d.call_group_id, d.error_share, d.entered_at, u.display_name
from event_day d
join municipality m on m.municipality_id = d.municipality_id
join app_user u on u.user_id = d.entered_by
join lateral (
    select name, withdrawn from local_event where local_event_id = d.local_event_id order by revision desc limit 1
) e on not e.withdrawn
where not d.withdrawn and not exists (
    select from event_day n where n.local_event_id = d.local_event_id and n.revision > d.revision)
"""

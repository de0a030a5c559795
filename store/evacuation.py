"""避難情報 and 配備体制: what the town has ordered, and how it is manned. A named person says so; nothing is derived.

    issue(conn, town, order, drill=, now=, user_id=) -> id      amend(...) corrects, lifts or withdraws
    current_evacuation(conn, town, now) -> the orders in force, the gravest first: for desk and public notices alike
    orders(conn, town, since, until, drill=) -> every order that was in force in a range, oldest first
    declare(conn, town, stage, ...) -> id                       redeclare(...) corrects or withdraws
    current_stage(conn, town, now), stages(...)

Corrections are kept as in `store.headquarters`: each is the next revision of its row. All times are town time. Raises
`RecordError`. Announcing to the feed (`append_headquarters`, the last statement) is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from store.connection import Connection
from store.errors import RecordError
from store.headquarters import AHEAD, clean

MOST = {"districts": 500, "decided_by": 100, "note": 500, "stage": 60}  # characters


class EvacuationKind(StrEnum):
    """What a town orders (災害対策基本法), the gravest last: 高齢者等避難, 避難指示, 緊急安全確保."""

    ELDERLY = "elderly"
    ORDER = "order"
    EMERGENCY = "emergency"

    @property
    def level(self) -> int:
        """The 警戒レベル that it is: of the order itself, not of any gauge."""
        return 3 + list(EvacuationKind).index(self)


@dataclass(frozen=True, slots=True)
class Order:
    """What is ordered where: `districts` in the town's words, `decided_by` the person who decided (町長 ...)."""

    kind: EvacuationKind
    districts: str
    issued_at: datetime
    lifted_at: datetime | None
    decided_by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class EvacuationOrder:
    """One revision of an order; the newest unless it comes from `order_revisions`. `lifted_at` None: not lifted."""

    order_id: int
    revision: int
    drill: bool
    kind: EvacuationKind
    districts: str
    issued_at: datetime
    lifted_at: datetime | None
    decided_by: str
    note: str
    withdrawn: bool
    entered_at: datetime
    entered_by: str


@dataclass(frozen=True, slots=True)
class Stage:
    """How the town is manned from `since` on, in its own words; `name` empty: nobody is called in any more."""

    name: str
    since: datetime
    decided_by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ResponseStage:
    """One revision of a stage; the newest unless it comes from `stage_revisions`."""

    stage_id: int
    revision: int
    drill: bool
    name: str
    since: datetime
    decided_by: str
    note: str
    withdrawn: bool
    entered_at: datetime
    entered_by: str


# --- 避難情報 ----------------------------------------------------------------------------------------------


def issue(conn: Connection, municipality_id: int, order: Order, *, drill: bool, now: datetime, user_id: int) -> int:
    """Writes a new order down, and returns its id."""
    order = _checked_order(order, now)
    row = conn.execute(
        """
        insert into evacuation_order (municipality_id, drill, kind, districts, issued_at, lifted_at, decided_by, note,
                                      entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning evacuation_order_id
        """,
        (municipality_id, drill, *_values(order), now, user_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def amend(
    conn: Connection,
    municipality_id: int,
    order_id: int,
    *,
    seen: int,
    order: Order,
    withdrawn: bool = False,
    now: datetime,
    user_id: int,
) -> None:
    """Writes what an order is from now on: lifted, corrected, withdrawn. `seen` as in `store.headquarters.correct`."""
    order = _checked_order(order, now)
    row = conn.execute(
        """
        insert into evacuation_order (evacuation_order_id, revision, municipality_id, drill, kind, districts, issued_at,
                                      lifted_at, decided_by, note, withdrawn, entered_at, entered_by)
        select evacuation_order_id, revision + 1, municipality_id, drill, %s, %s, %s, %s, %s, %s, %s, %s, %s
        from evacuation_order where evacuation_order_id = %s and municipality_id = %s and revision = %s
        on conflict do nothing returning revision
        """,
        (*_values(order), withdrawn, now, user_id, order_id, municipality_id, seen),
    ).fetchone()
    if row is None:
        raise RecordError("districts", "changed" if order_revisions(conn, municipality_id, order_id) else "unknown")


def current_evacuation(
    conn: Connection, municipality_id: int, now: datetime, *, drill: bool = False
) -> tuple[EvacuationOrder, ...]:
    """The orders that are in force at `now` as far as anybody has written down, the gravest and newest first."""
    found = [
        order
        for order in _orders(conn, municipality_id, now, now, drill)
        if not order.withdrawn and (order.lifted_at is None or order.lifted_at > now)
    ]
    return tuple(sorted(found, key=lambda order: (order.kind.level, order.issued_at), reverse=True))


def ever_issued(conn: Connection, municipality_id: int, *, drill: bool = False) -> bool:
    """Whether anybody has ever written an order down here: only then it says something that there is none."""
    row = conn.execute(
        "select from evacuation_order where municipality_id = %s and drill = %s limit 1", (municipality_id, drill)
    ).fetchone()
    return row is not None


def orders(
    conn: Connection, municipality_id: int, since: datetime, until: datetime, *, drill: bool
) -> list[EvacuationOrder]:
    """The orders of which a part lies within since..until as they are now, withdrawn ones included, oldest first."""
    return _orders(conn, municipality_id, since, until, drill)


def order_revisions(conn: Connection, municipality_id: int, order_id: int) -> list[EvacuationOrder]:
    """What an order is now and was before, the newest first; empty where there is no such order."""
    rows = conn.execute(
        """
        select evacuation_order_id, revision, drill, kind, districts, issued_at, lifted_at, decided_by,
               note, withdrawn, entered_at, u.display_name
        from evacuation_order o join app_user u on u.user_id = o.entered_by
        where o.municipality_id = %s and evacuation_order_id = %s order by revision desc
        """,
        (municipality_id, order_id),
    )
    return [_order(row) for row in rows]


def _orders(
    conn: Connection, municipality_id: int, since: datetime, until: datetime, drill: bool
) -> list[EvacuationOrder]:
    rows = conn.execute(
        """
        select * from (
            select distinct on (evacuation_order_id) evacuation_order_id, revision, drill, kind, districts, issued_at,
                   lifted_at, decided_by, note, withdrawn, entered_at, u.display_name
            from evacuation_order o join app_user u on u.user_id = o.entered_by
            where o.municipality_id = %s and drill = %s
            order by evacuation_order_id, revision desc
        ) as newest
        where issued_at <= %s and (lifted_at is null or lifted_at >= %s)
        order by issued_at, evacuation_order_id
        """,
        (municipality_id, drill, until, since),
    )
    return [_order(row) for row in rows]


def _order(row: tuple[object, ...]) -> EvacuationOrder:
    values = list(row)
    values[3] = EvacuationKind(str(values[3]))
    return EvacuationOrder(*values)  # type: ignore[arg-type]  # the columns in the order of the fields


def _values(order: Order) -> tuple[object, ...]:
    return order.kind, order.districts, order.issued_at, order.lifted_at, order.decided_by, order.note


def _checked_order(order: Order, now: datetime) -> Order:
    districts, decided_by = _said("districts", order.districts), _said("decided_by", order.decided_by)
    if order.issued_at > now + AHEAD:
        raise RecordError("issued_at", "future")
    if order.lifted_at is not None:
        if order.lifted_at > now + AHEAD:
            raise RecordError("lifted_at", "future")
        if order.lifted_at < order.issued_at:
            raise RecordError("lifted_at", "order")
    note = clean("note", order.note, MOST["note"])
    return Order(order.kind, districts, order.issued_at, order.lifted_at, decided_by, note)


def _said(field: str, text: str) -> str:
    text = clean(field, text, MOST[field])
    if not text:
        raise RecordError(field, "empty")
    return text


# --- 配備体制 ----------------------------------------------------------------------------------------------


def declare(conn: Connection, municipality_id: int, stage: Stage, *, drill: bool, now: datetime, user_id: int) -> int:
    """Writes a new stage down, and returns its id."""
    stage = _checked_stage(stage, now)
    row = conn.execute(
        """
        insert into response_stage (municipality_id, drill, name, since, decided_by, note, entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s) returning response_stage_id
        """,
        (municipality_id, drill, stage.name, stage.since, stage.decided_by, stage.note, now, user_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def redeclare(
    conn: Connection,
    municipality_id: int,
    stage_id: int,
    *,
    seen: int,
    stage: Stage,
    withdrawn: bool = False,
    now: datetime,
    user_id: int,
) -> None:
    """Corrects or withdraws a stage. `seen` as in `store.headquarters.correct`."""
    stage = _checked_stage(stage, now)
    row = conn.execute(
        """
        insert into response_stage (response_stage_id, revision, municipality_id, drill, name, since, decided_by, note,
                                    withdrawn, entered_at, entered_by)
        select response_stage_id, revision + 1, municipality_id, drill, %s, %s, %s, %s, %s, %s, %s
        from response_stage where response_stage_id = %s and municipality_id = %s and revision = %s
        on conflict do nothing returning revision
        """,
        (
            stage.name,
            stage.since,
            stage.decided_by,
            stage.note,
            withdrawn,
            now,
            user_id,
            stage_id,
            municipality_id,
            seen,
        ),
    ).fetchone()
    if row is None:
        raise RecordError("stage", "changed" if stage_revisions(conn, municipality_id, stage_id) else "unknown")


def current_stage(
    conn: Connection, municipality_id: int, now: datetime, *, drill: bool = False
) -> ResponseStage | None:
    """The stage at `now`; None where nobody has ever written one down. An empty name: nobody is called in any more."""
    found = [stage for stage in stages(conn, municipality_id, None, now, drill=drill) if not stage.withdrawn]
    return found[-1] if found else None


def stages(
    conn: Connection, municipality_id: int, since: datetime | None, until: datetime, *, drill: bool
) -> list[ResponseStage]:
    """The stages that began within since..until as they are now, withdrawn ones included, oldest first."""
    rows = conn.execute(
        """
        select * from (
            select distinct on (response_stage_id) response_stage_id, revision, drill, name, since, decided_by, note,
                   withdrawn, entered_at, u.display_name
            from response_stage s join app_user u on u.user_id = s.entered_by
            where s.municipality_id = %s and drill = %s
            order by response_stage_id, revision desc
        ) as newest
        where since <= %s and (%s::timestamptz is null or since >= %s)
        order by since, response_stage_id
        """,
        (municipality_id, drill, until, since, since),
    )
    return [ResponseStage(*row) for row in rows]


def stage_revisions(conn: Connection, municipality_id: int, stage_id: int) -> list[ResponseStage]:
    """What a stage is now and was before, the newest first; empty where there is no such stage."""
    rows = conn.execute(
        """
        select response_stage_id, revision, drill, name, since, decided_by, note, withdrawn, entered_at, u.display_name
        from response_stage s join app_user u on u.user_id = s.entered_by
        where s.municipality_id = %s and response_stage_id = %s order by revision desc
        """,
        (municipality_id, stage_id),
    )
    return [ResponseStage(*row) for row in rows]


def _checked_stage(stage: Stage, now: datetime) -> Stage:
    name = clean("stage", stage.name, MOST["stage"])
    decided_by = _said("decided_by", stage.decided_by)
    if stage.since > now + AHEAD:
        raise RecordError("since", "future")
    return Stage(name, stage.since, decided_by, clean("note", stage.note, MOST["note"]))

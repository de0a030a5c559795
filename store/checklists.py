"""タイムライン: what a town wants done and whom it calls at each level, and what has been done in the present event.

    put_list(conn, town, level, kind, texts, now=, user_id=)   the whole list of a level, one text an item
    items(conn, town) -> [Item]                                by level, tasks before calls, in their order
    event_since(conn, town, drill=) -> datetime | None         since when the present event goes on
    tick(conn, town, item_id, done=, drill=, now=, user_id=)
    ticks(conn, town, since, until, drill=) -> [Tick]          oldest first, taken back ones included

An event goes on while a level alert of the disaster desk is open or a stage of 配備体制 is in force, without a gap.
Ticks are of one event: the next one begins with an empty list. Raises `RecordError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from store.connection import Connection
from store.errors import RecordError
from store.evacuation import stages
from store.headquarters import clean

MOST_TEXT = 200  # characters of an item
MOST_ITEMS = 60  # of a level and kind
_DESK = ("river_gauge", "rain_gauge", "thermometer", "inundation_point", "shelter")


class ItemKind(StrEnum):
    """Something to be done, or somebody to be called."""

    TASK = "task"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the list of a level (警戒レベル相当 1..5)."""

    item_id: int
    level: int
    kind: ItemKind
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Who ticked an item when; `done` False: took the tick back. `text` and `level` are the item's."""

    item_id: int
    level: int
    kind: ItemKind
    text: str
    done: bool
    at: datetime
    by: str


def put_list(
    conn: Connection,
    municipality_id: int,
    level: int,
    kind: ItemKind,
    texts: Sequence[str],
    *,
    now: datetime,
    user_id: int,
) -> None:
    """Makes these the items of a level. An item whose text stays is the same item; the others end, and stay with what
    was ticked.
    """
    wanted: list[str] = []
    for text in texts:
        text = clean("items", text, MOST_TEXT)
        if text and text not in wanted:
            wanted.append(text)
    if len(wanted) > MOST_ITEMS:
        raise RecordError("items", "many")
    # one at a time: two who save at once must not leave both lists
    conn.execute("select pg_advisory_xact_lock(hashtext('checklist'), %s)", (municipality_id,))
    standing = {
        text: item_id
        for item_id, text in conn.execute(
            """
            select checklist_item_id, text from checklist_item
            where municipality_id = %s and level = %s and kind = %s and ended_at is null
            """,
            (municipality_id, level, kind),
        )
    }
    gone = [item_id for text, item_id in standing.items() if text not in wanted]
    conn.execute(
        "update checklist_item set ended_at = %s, ended_by = %s where checklist_item_id = any(%s)", (now, user_id, gone)
    )
    for place, text in enumerate(wanted):
        if text in standing:
            conn.execute(
                "update checklist_item set place = %s where checklist_item_id = %s and place <> %s",
                (place, standing[text], place),
            )
        else:
            conn.execute(
                """
                insert into checklist_item (municipality_id, level, kind, place, text, entered_at, entered_by)
                values (%s, %s, %s, %s, %s, %s, %s)
                """,
                (municipality_id, level, kind, place, text, now, user_id),
            )


def items(conn: Connection, municipality_id: int) -> list[Item]:
    """The items that are in use, by level, tasks before calls, in their order."""
    rows = conn.execute(
        """
        select checklist_item_id, level, kind, text from checklist_item
        where municipality_id = %s and ended_at is null order by level, kind desc, place, checklist_item_id
        """,
        (municipality_id,),
    )
    return [Item(item_id, level, ItemKind(kind), text) for item_id, level, kind, text in rows]


def event_since(conn: Connection, municipality_id: int, now: datetime, *, drill: bool) -> datetime | None:
    """Since when the present event goes on without a gap; None where there is none."""
    spans = [
        (begun, ended)
        for begun, ended in conn.execute(
            """
            select a.raised_at, a.cleared_at from alert a join station s using (station_id)
            where a.municipality_id = %s and a.rule = 'level' and s.kind = any(%s) and a.mode = %s
              and a.raised_at <= %s
            """,
            (municipality_id, list(_DESK), "exercise" if drill else "actual", now),
        )
    ]
    declared = [stage for stage in stages(conn, municipality_id, None, now, drill=drill) if not stage.withdrawn]
    following: list[datetime | None] = [*(stage.since for stage in declared[1:]), None]
    spans += [(stage.since, end) for stage, end in zip(declared, following, strict=False) if stage.name]
    since: datetime | None = None
    for begun, ended in sorted(spans, key=lambda span: span[1] or now, reverse=True):
        if (ended is None or ended > now) if since is None else (ended is None or ended >= since):
            since = begun if since is None else min(since, begun)
    return since


def worst_open(conn: Connection, municipality_id: int, *, drill: bool) -> int | None:
    """The highest level of the desk's open level alerts; None where none is open."""
    row = conn.execute(
        """
        select max(a.level) from alert a join station s using (station_id)
        where a.municipality_id = %s and a.rule = 'level' and a.cleared_at is null and s.kind = any(%s) and a.mode = %s
        """,
        (municipality_id, list(_DESK), "exercise" if drill else "actual"),
    ).fetchone()
    return None if row is None else row[0]


def tick(
    conn: Connection, municipality_id: int, item_id: int, *, done: bool, drill: bool, now: datetime, user_id: int
) -> None:
    """Ticks an item, or takes the tick back. The first who ticks stands: a second tick changes nothing."""
    if event_since(conn, municipality_id, now, drill=drill) is None:
        raise RecordError("item", "no_event")
    row = conn.execute(
        "select ended_at is not null from checklist_item where municipality_id = %s and checklist_item_id = %s",
        (municipality_id, item_id),
    ).fetchone()
    if row is None:
        raise RecordError("item", "unknown")
    if row[0]:
        raise RecordError("item", "changed")
    conn.execute("select pg_advisory_xact_lock(hashtext('checklist tick'), %s)", (item_id,))
    standing = done_now(conn, municipality_id, now, drill=drill)
    if (item_id in standing) == done:
        return
    conn.execute(
        """
        insert into checklist_tick (municipality_id, checklist_item_id, drill, done, entered_at, entered_by)
        values (%s, %s, %s, %s, %s, %s)
        """,
        (municipality_id, item_id, drill, done, now, user_id),
    )


def done_now(conn: Connection, municipality_id: int, now: datetime, *, drill: bool) -> dict[int, Tick]:
    """What is ticked in the present event, by item."""
    since = event_since(conn, municipality_id, now, drill=drill)
    if since is None:
        return {}
    newest = {each.item_id: each for each in ticks(conn, municipality_id, since, now, drill=drill)}
    return {item_id: each for item_id, each in newest.items() if each.done}


def ticks(conn: Connection, municipality_id: int, since: datetime, until: datetime, *, drill: bool) -> list[Tick]:
    """Every tick with since <= its time <= until, oldest first, those taken back and of ended items included."""
    rows = conn.execute(
        """
        select t.checklist_item_id, i.level, i.kind, i.text, t.done, t.entered_at, u.display_name
        from checklist_tick t
        join checklist_item i using (checklist_item_id)
        join app_user u on u.user_id = t.entered_by
        where t.municipality_id = %s and t.drill = %s and t.entered_at >= %s and t.entered_at <= %s
        order by t.checklist_tick_id
        """,
        (municipality_id, drill, since, until),
    )
    return [Tick(row[0], row[1], ItemKind(row[2]), *row[3:]) for row in rows]

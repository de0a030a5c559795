"""What people have said of a day's total: in the form (`manual_entry`) and with `mimamori correct` (`correction`).

entries(conn, ...)    all of it, newest first
standing(conn, ...)   the value there, where somebody has examined it: it is not to be replaced in passing
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row

from store.connection import Connection


@dataclass(frozen=True, slots=True)
class Entry:
    """What a person said of a day: `kind` is entered, corrected or withdrawn (in the form), or an operation of
    `mimamori correct`, which leaves both values None.
    """

    kind: str
    value: float | None
    replaced: float | None
    entered_at: datetime
    entered_by: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A day's value that a person has examined: `word` is confirmed or corrected, `name` names it to the database, `by`
    says who and when, None where that is not known (a file said that it is confirmed).
    """

    word: str
    value: float | None
    name: str
    by: Entry | None


def entries(conn: Connection, datastream_id: int, day: date, ends: datetime) -> tuple[Entry, ...]:
    """What people said of a day, which ends then, newest first.

    A correction says of itself how far it reached; that this day's value was among what it changed is told by what
    stood there before. Where nothing stood there before, the correction must be the only one that can be meant.
    """
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return tuple(cursor.execute(_ENTRIES, {"datastream": datastream_id, "day": day, "ends": ends}))


def standing(conn: Connection, datastream_id: int, ends: datetime, said: Sequence[Entry]) -> Standing | None:
    """The value of the day that ends then, where it is an examined one. `said` are its `entries`: the newest made it
    what it is, unless a file has said later that it is confirmed.
    """
    row = conn.execute(
        """
        select o.reason, o.value, examined_value(o.value, o.reason),
               (select max(r.revised_at) from observation_revision r
                where r.datastream_id = o.datastream_id and r.phenomenon_time = o.phenomenon_time)
        from tenant_observation o
        where o.datastream_id = %s and o.phenomenon_time = %s and examined_value(o.value, o.reason) is not null
        """,
        (datastream_id, ends),
    ).fetchone()
    if row is None:
        return None
    word, value, name, revised = row
    last = said[0] if said else None
    if last and (
        (revised is not None and revised > last.entered_at) or (word == "confirmed" and last.kind != "confirm")
    ):
        last = None
    return Standing(word, value, name, last)


_ENTRIES = """
    with entry as (
        select m.*, coalesce(u.display_name, l.name) as display_name
        from manual_entry m
        left join app_user u on u.user_id = m.entered_by left join count_link l on l.count_link_id = m.count_link_id
        where m.datastream_id = %(datastream)s and m.day = %(day)s
    ), reaching as (
        select c.*, u.display_name, exists (
                   select from observation_revision r
                   where r.datastream_id = %(datastream)s and r.phenomenon_time = %(ends)s
                     and r.revised_at = c.stated_at) as changed
        from correction c join app_user u using (user_id)
        where %(datastream)s = any(c.datastream_ids) and c.from_time <= %(ends)s and c.to_time >= %(ends)s
    )
    select case when value is null then 'withdrawn' when replaced is null then 'entered' else 'corrected' end as kind,
           value, replaced, entered_at, display_name as entered_by, note
    from entry
    union all
    select operation, null, null, stated_at, display_name, reason from reaching
    where changed
       or operation = 'replace' and (select count(*) from reaching) = 1 and not exists (select from entry)
          and (select reason from tenant_observation
               where datastream_id = %(datastream)s and phenomenon_time = %(ends)s) = 'corrected'
    order by entered_at desc
"""

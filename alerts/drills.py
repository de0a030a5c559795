"""Who is told in a drill, and how a drill ends for them.

    participants(everybody, persons, groups) -> Roster     pure: the roster as if there were nobody else
    drill_roster(conn, town, everybody, mode)              the same of the town's newest drill; of a test nobody
    live(conn, touched)                                    what is left to judge: nothing of a drill that is over
    close_ended(recorder, simulated=)                      the alerts of drills that are over end, and it is told

In a drill everything goes as it does in earnest - who is on duty is told first, then the substitute, then everybody,
each by their contacts in their order - among those who take part. A group's equipment (lamps, loudspeakers, other
systems) takes no part unless it was chosen by itself: what people outside could hear or see is not to begin with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from alerts import drill_words
from alerts.calling import Group, Roster, Watch
from store import Connection
from store.arrays import array
from store.drills import enrolled
from store.feed import Touched

if TYPE_CHECKING:
    from alerts.recording import Recorder

_DESKS = ("disaster", "water", "tourism", "digital")
_EVERYTHING = tuple(Watch(desk) for desk in _DESKS)
GIVEN_UP = "the drill had ended before this was sent"


def participants(everybody: Roster, persons: Collection[int], groups: Collection[int]) -> Roster:
    """The roster of a drill: the groups that take part, each told of everything, and the persons who do by themselves.

    >>> from zoneinfo import ZoneInfo
    >>> from alerts.calling import Person
    >>> town = Roster(ZoneInfo("Asia/Tokyo"), {n: Person(n, str(n)) for n in (1, 2, 3)}, (Group(7, "防災", (1, 2)),))
    >>> [(group.name, group.members) for group in participants(town, (3,), (7,)).groups]
    [('防災', (1, 2)), ('', (3,))]
    """
    taking_part = {
        member
        for group in everybody.groups
        if group.group_id in groups
        for member in group.members
        if member in everybody.persons and not everybody.persons[member].equipment
    }
    taking_part |= {each for each in persons if each in everybody.persons}
    chosen = [
        replace(group, members=tuple(each for each in group.members if each in taking_part), watches=_EVERYTHING)
        for group in everybody.groups
        if group.group_id in groups
    ]
    alone = tuple(each for each in sorted(persons) if each in taking_part)
    if alone:
        chosen.append(Group(0, "", alone, _EVERYTHING))
    return Roster(everybody.zone, {each: everybody.persons[each] for each in sorted(taking_part)}, tuple(chosen))


def drill_roster(conn: Connection, municipality_id: int, everybody: Roster, mode: str) -> Roster:
    """Who takes part in the town's newest drill; nobody where there is none, or in a test."""
    row = None
    if mode == "exercise":
        row = conn.execute(
            "select drill_id from drill where municipality_id = %s and started_at is not null "
            "order by started_at desc, drill_id desc limit 1",
            (municipality_id,),
        ).fetchone()
    return participants(everybody, *(((), ()) if row is None else enrolled(conn, row[0])))


def live(conn: Connection, touched: Sequence[Touched]) -> Sequence[Touched]:
    """Without the series of drills that are over: nothing is raised any more of what is late."""
    if not touched:
        return touched
    over = {
        row[0]
        for row in conn.execute(
            """
            select x.datastream_id from drill_station x join drill d using (drill_id)
            where d.ended_at is not null and x.datastream_id = any(%s::integer[])
            """,
            (array(each.datastream_id for each in touched),),
        )
    }
    return [each for each in touched if each.datastream_id not in over] if over else touched


def close_ended(recorder: Recorder, *, simulated: bool) -> None:
    """Ends the open alerts of drills that are over, gives up what waits to be sent of them, and tells everybody who was
    told of one that it is over, and whether there is something real.
    """
    for drill_id, town, municipality, name, ending in recorder.conn.execute(
        """
        select d.drill_id, d.municipality_id, m.name, d.name, d.ending from drill d
        join municipality m using (municipality_id)
        where d.started_at is not null and d.ended_at is not null and d.closed_at is null
        order by d.drill_id for update of d skip locked
        """
    ).fetchall():
        _close(recorder, drill_id, town, drill_words.Ended(municipality, name, ending, simulated))


def _close(recorder: Recorder, drill_id: int, municipality_id: int, said: drill_words.Ended) -> None:
    conn = recorder.conn
    mine = {"drill": drill_id, "town": municipality_id, "now": recorder.now, "note": drill_words.note(said)}
    to = conn.execute(_TOLD, mine).fetchall()
    conn.execute(_GIVE_UP, {**mine, "why": GIVEN_UP})
    conn.execute(_COUNT_AGAIN, mine)
    ended = [row[0] for row in conn.execute(_OPEN, mine)]
    conn.execute(
        "update alert set cleared_at = %s, withheld = null, withheld_at = null where alert_id = any(%s)",
        (recorder.now, ended),
    )
    history = [
        row[0]
        for row in conn.execute(
            """
            insert into alert_history (municipality_id, alert_id, at, event, rule_version, note)
            select %(town)s, alert_id, %(now)s, 'cleared', 'drill:' || %(drill)s::text, %(note)s
            from unnest(%(ended)s::bigint[]) as alert_id order by alert_id
            returning alert_history_id
            """,
            {**mine, "ended": ended},
        )
    ]
    if to and not history:
        # All had cleared by themselves: the end stands at the last of them.
        row = conn.execute(_NOTED, mine).fetchone()
        history = [] if row is None else [row[0]]
        ended = [] if row is None else [row[1]]
    if history:
        recorder.write_texts(municipality_id, history[-1], to, drill_words.texts(said))
        recorder.touch(municipality_id, ended)
    conn.execute("update drill set closed_at = %s where drill_id = %s", (recorder.now, drill_id))


# The alerts of a drill: one a town runs at a time.
_OF_DRILL = """
    a.municipality_id = %(town)s and a.mode = 'exercise'
    and a.raised_at >= (select started_at from drill where drill_id = %(drill)s)
"""
_OPEN = f"select a.alert_id from alert a where {_OF_DRILL} and a.cleared_at is null order by 1 for update"  # noqa: S608
_TOLD = f"""
select distinct o.channel, o.recipient, o.person_id, o.contact_id
from outbox o join alert_history h using (alert_history_id) join alert a using (alert_id)
where {_OF_DRILL} and o.channel <> 'log' and (o.sent_at is not null or o.begun_at is not null or o.unsure > 0)
order by 1, 2
"""  # noqa: S608
_GIVE_UP = f"""
update outbox set stood_in = true, last_error = coalesce(last_error, %(why)s)
where sent_at is null and begun_at is null and channel <> 'log' and alert_history_id in (
    select h.alert_history_id from alert_history h join alert a using (alert_id) where {_OF_DRILL})
"""  # noqa: S608
# What was called false in this drill says nothing of the next one.
_COUNT_AGAIN = f"""
update alert_retraction r set counts_again_at = %(now)s
from alert a where a.alert_id = r.alert_id and r.counts_again_at is null and {_OF_DRILL}
"""  # noqa: S608
_NOTED = f"""
insert into alert_history (municipality_id, alert_id, at, event, rule_version, note)
select %(town)s, a.alert_id, %(now)s, 'commented', 'drill:' || %(drill)s::text, %(note)s
from alert a where {_OF_DRILL} order by a.alert_id desc limit 1
returning alert_history_id, alert_id
"""  # noqa: S608

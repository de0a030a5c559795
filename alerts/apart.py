"""What is not real - a drill, a station in trial - beside what is: who is told of it, and how it ends for them.

    participants(everybody, persons, groups) -> Roster          pure: the roster as if there were nobody else
    roster_apart(conn, town, everybody, mode, station_id)       the same of the newest drill, of a station's trial
    live(conn, touched, now)                                    what is left to judge: nothing of what is over
    close_ended(recorder, simulated=)                           the alerts of what is over end, and it is told

In a drill everything goes as it does in earnest - who is on duty is told first, then the substitute, then everybody,
each by their contacts in their order - among those who take part; in a trial among those who are named for it. The
equipment of a group (lamps, loudspeakers, other systems) takes no part unless it was chosen by itself: what people
outside could hear or see is not to begin with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from alerts import drill_words, into_trial, trial_words
from alerts.calling import Group, Roster, Watch
from store import Connection
from store.arrays import array
from store.drills import enrolled
from store.feed import Touched
from store.trials import told

if TYPE_CHECKING:
    from alerts.recording import Recorder

Texts = tuple[str, str, str, str]  # subject, body, what could be public, and that for ears

_DESKS = ("disaster", "water", "tourism", "digital")
_EVERYTHING = tuple(Watch(desk) for desk in _DESKS)
GIVEN_UP = "the drill had ended before this was sent"
TRIAL_OVER = "the trial had ended before this was sent"


def participants(everybody: Roster, persons: Collection[int], groups: Collection[int]) -> Roster:
    """The roster of a drill or a trial: the groups that take part, each told of everything, and the persons who do by
    themselves.

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


def roster_apart(
    conn: Connection, municipality_id: int, everybody: Roster, mode: str, station_id: int | None
) -> Roster:
    """Who takes part in the town's newest drill (exercise), or is named for the station's newest trial (test); nobody
    where there is none.
    """
    chosen: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    if mode == "exercise":
        row = conn.execute(
            "select drill_id from drill where municipality_id = %s and started_at is not null "
            "order by started_at desc, drill_id desc limit 1",
            (municipality_id,),
        ).fetchone()
        chosen = chosen if row is None else enrolled(conn, row[0])
    elif mode == "test":
        row = conn.execute(
            "select trial_id from station_trial where municipality_id = %s and station_id = %s "
            "order by starts_at desc, trial_id desc limit 1",
            (municipality_id, station_id),
        ).fetchone()
        chosen = chosen if row is None else told(conn, row[0])
    return participants(everybody, *chosen)


def live(conn: Connection, touched: Sequence[Touched], now: datetime) -> Sequence[Touched]:
    """Without the series of drills and trials that are over: nothing is raised any more of what is late."""
    if not touched:
        return touched
    over = {row[0] for row in conn.execute(_OVER, {"ids": array(each.datastream_id for each in touched), "now": now})}
    return [each for each in touched if each.datastream_id not in over] if over else touched


def close_ended(recorder: Recorder, *, simulated: bool) -> None:
    """Ends the open alerts of drills and trials that are over, gives up what waits to be sent of them, and tells
    everybody who was told of one that it is over, and of a drill whether there is something real.
    """
    conn, now = recorder.conn, recorder.now
    for drill_id, town, municipality, name, ending in conn.execute(_ENDED_DRILLS).fetchall():
        said = drill_words.Ended(municipality, name, ending, simulated)
        mine = [row[0] for row in conn.execute(_OF_DRILL, {"town": town, "drill": drill_id})]
        # What was called false in this drill says nothing of the next one.
        conn.execute(_COUNT_AGAIN, {"mine": mine, "now": now})
        _end(recorder, town, mine, f"drill:{drill_id}", drill_words.note(said), GIVEN_UP, drill_words.texts(said))
        conn.execute("update drill set closed_at = %s where drill_id = %s", (now, drill_id))
    for trial_id, town, name, station, station_en, counts in conn.execute(_ENDED_TRIALS, {"now": now}).fetchall():
        over = trial_words.Over(name, station, station_en, counts, simulated)
        mine = [row[0] for row in conn.execute(_OF_TRIAL, {"trial": trial_id})]
        conn.execute(_COUNT_AGAIN, {"mine": mine, "now": now})
        _end(recorder, town, mine, f"trial:{trial_id}", trial_words.note(over), TRIAL_OVER, trial_words.texts(over))
        into_trial.note_ended(recorder, town, trial_id)
        conn.execute("update station_trial set closed_at = %s where trial_id = %s", (now, trial_id))


def _end(
    recorder: Recorder, municipality_id: int, mine: Sequence[int], version: str, note: str, why: str, texts: Texts
) -> None:
    """Ends those of the alerts that are open, noted with `note` and decided by `version`."""
    if not mine:
        return
    conn = recorder.conn
    said = {"mine": mine, "town": municipality_id, "now": recorder.now, "version": version, "note": note, "why": why}
    to = conn.execute(_TOLD, said).fetchall()
    conn.execute(_GIVE_UP, said)
    ended = [
        row[0]
        for row in conn.execute(
            """
            update alert set cleared_at = %(now)s, withheld = null, withheld_at = null
            where alert_id = any(%(mine)s) and cleared_at is null returning alert_id
            """,
            said,
        )
    ]
    history = [
        row[0]
        for row in conn.execute(
            """
            insert into alert_history (municipality_id, alert_id, at, event, rule_version, note)
            select %(town)s, alert_id, %(now)s, 'cleared', %(version)s, %(note)s
            from unnest(%(ended)s::bigint[]) as alert_id order by alert_id
            returning alert_history_id
            """,
            {**said, "ended": sorted(ended)},
        )
    ]
    if to and not history:
        # All had cleared by themselves: the end stands at the last of them.
        ended = [max(mine)]
        row = conn.execute(_NOTED, {**said, "last": ended[0]}).fetchone()
        history = [] if row is None else [row[0]]
    if history:
        recorder.write_texts(municipality_id, history[-1], to, texts)
        recorder.touch(municipality_id, ended)


_OVER = """
select x.datastream_id from drill_station x join drill d using (drill_id)
where d.ended_at is not null and x.datastream_id = any(%(ids)s::integer[])
union all
select d.datastream_id from datastream d join station_trial t on d.drill_run = 'trial:' || t.trial_id::text
where least(t.ends_at, t.ended_at) <= %(now)s and d.datastream_id = any(%(ids)s::integer[])
"""
_ENDED_DRILLS = """
select d.drill_id, d.municipality_id, m.name, d.name, d.ending from drill d join municipality m using (municipality_id)
where d.started_at is not null and d.ended_at is not null and d.closed_at is null
order by d.drill_id for update of d skip locked
"""
_ENDED_TRIALS = """
select t.trial_id, t.municipality_id, m.name, s.name, s.name_en, t.counts_at is not null
from station_trial t join station s using (station_id) join municipality m on m.municipality_id = t.municipality_id
where least(t.ends_at, t.ended_at) <= %(now)s and t.closed_at is null
order by t.trial_id for update of t skip locked
"""
# The alerts of a drill: one a town runs at a time. Locked, as those that are to end.
_OF_DRILL = """
select a.alert_id from alert a
where a.municipality_id = %(town)s and a.mode = 'exercise'
  and a.raised_at >= (select started_at from drill where drill_id = %(drill)s) order by 1 for update
"""
# Those of a trial: a station is in one at a time.
_OF_TRIAL = """
select a.alert_id from alert a join station_trial t on t.station_id = a.station_id
where t.trial_id = %(trial)s and a.mode = 'test' and a.raised_at >= t.starts_at and not exists (
    select from station_trial later
    where later.station_id = t.station_id and later.starts_at > t.starts_at and later.starts_at <= a.raised_at)
order by 1 for update of a
"""
_TOLD = """
select distinct o.channel, o.recipient, o.person_id, o.contact_id
from outbox o join alert_history h using (alert_history_id)
where h.alert_id = any(%(mine)s) and o.channel <> 'log'
  and (o.sent_at is not null or o.begun_at is not null or o.unsure > 0)
order by 1, 2
"""
_GIVE_UP = """
update outbox set stood_in = true, last_error = coalesce(last_error, %(why)s)
where sent_at is null and begun_at is null and channel <> 'log' and alert_history_id in (
    select alert_history_id from alert_history where alert_id = any(%(mine)s))
"""
_COUNT_AGAIN = """
update alert_retraction set counts_again_at = %(now)s where counts_again_at is null and alert_id = any(%(mine)s)
"""
_NOTED = """
insert into alert_history (municipality_id, alert_id, at, event, rule_version, note)
values (%(town)s, %(last)s, %(now)s, 'commented', %(version)s, %(note)s)
returning alert_history_id
"""

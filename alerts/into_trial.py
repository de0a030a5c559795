"""A station is put in trial while real alerts of it are open: they hear nothing more, and people are told so.

    concerned(conn, station_id, properties) -> [Concerned]     which alerts that would be, for who is about to begin one
    tell_begun(recorder, simulated=)                           a trial has begun: its alerts' history, who is on duty
    note_ended(recorder, trial_id)                             it is over: they hear again

An open alert stays open in a trial and stays real. What is measured meanwhile is of the trial: nothing raises, lowers
or ends it; who has not answered is called on as always. A person can still acknowledge it, assign it, or take it back;
it cannot be cleared while the newest real reading is above its level. It is told when the trial begins, not when it is
entered: also of what was raised in between. One history row an alert and trial (a unique index stands behind it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from alerts import false_notice, trial_words
from alerts.alert_cause import cause_of
from alerts.rules.transition import Event, Transition
from store import Connection

if TYPE_CHECKING:
    from alerts.recording import Recorder


@dataclass(frozen=True, slots=True)
class Concerned:
    """A real alert that is open, its level if its rule has levels, and the observation that moved it last."""

    alert_id: int
    level: int | None
    time: datetime
    value: float | None


def concerned(conn: Connection, station_id: int, properties: Sequence[str] | None) -> list[Concerned]:
    """The open real alerts of a station that hear nothing more once these series of it are in trial; None or none: all
    of them. Rules of the staff may read any series: theirs are always among them. The oldest first.
    """
    asked = {"station": station_id, "properties": list(properties or ()) or None}
    return [Concerned(*row) for row in conn.execute(_CONCERNED, asked)]


def tell_begun(recorder: Recorder, *, simulated: bool) -> None:
    """Writes it to the alerts of every trial that has begun since the last look, and tells who is on duty for each."""
    conn, now = recorder.conn, recorder.now
    for trial_id, town, station_id, properties, why, by, until, over in conn.execute(_BEGUN, {"now": now}).fetchall():
        conn.execute("update station_trial set opened_at = %s where trial_id = %s", (now, trial_id))
        for each in [] if over else concerned(conn, station_id, properties):
            cause = cause_of(conn, each.alert_id)
            notice = false_notice.of(conn, each.alert_id, None, simulated=simulated)
            said = trial_words.Begun(notice, why, by, until)
            row = conn.execute(
                """
                insert into alert_history (municipality_id, alert_id, at, event, level, rule_version, note)
                values (%s, %s, %s, %s, %s, %s, %s) returning alert_history_id
                """,
                (
                    town,
                    each.alert_id,
                    now,
                    Event.IN_TRIAL.value,
                    each.level,
                    f"trial:{trial_id}",
                    trial_words.begun_note(said),
                ),
            ).fetchone()
            assert row is not None
            told = Transition(Event.TOLD, each.level, each.time, each.value, "")
            to = [("log", cause.role, None, None), *recorder.told_of(cause, each.alert_id, told)]
            recorder.write_texts(town, row[0], to, trial_words.begun_texts(said))
            recorder.touch(town, (each.alert_id,))


def note_ended(recorder: Recorder, municipality_id: int, trial_id: int) -> None:
    """Notes at the alerts that are still open that what is measured from now on is heard again."""
    asked = {
        "town": municipality_id,
        "trial": f"trial:{trial_id}",
        "now": recorder.now,
        "note": trial_words.HEARS_AGAIN,
    }
    recorder.touch(municipality_id, [row[0] for row in recorder.conn.execute(_HEARS_AGAIN, asked)])


_CONCERNED = """
select a.alert_id, a.level, a.phenomenon_time, a.value
from alert a left join datastream d using (datastream_id)
where a.station_id = %(station)s and a.mode = 'actual' and a.cleared_at is null and a.part_of is null
  and (%(properties)s::text[] is null or d.observed_property = any(%(properties)s::text[]) or a.rule = 'written')
order by a.alert_id
"""
# Called off before it began: its end is its beginning.
_BEGUN = """
select t.trial_id, t.municipality_id, t.station_id, t.properties, t.why, u.display_name, least(t.ends_at, t.ended_at),
       coalesce(least(t.ends_at, t.ended_at) <= %(now)s, false)
from station_trial t join app_user u on u.user_id = t.entered_by
where t.starts_at <= %(now)s and t.opened_at is null
order by t.trial_id for update of t skip locked
"""
_HEARS_AGAIN = """
insert into alert_history (municipality_id, alert_id, at, event, rule_version, note)
select %(town)s, h.alert_id, %(now)s, 'commented', %(trial)s, %(note)s
from alert_history h join alert a using (alert_id)
where h.event = 'in_trial' and h.rule_version = %(trial)s and h.municipality_id = %(town)s
  and a.mode = 'actual' and a.cleared_at is null
returning alert_id
"""

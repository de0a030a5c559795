"""What waits before it reaches people, kept and let go (`alerts.rules.withholding`). SQL for the worker.

    keep(recorder, cause, alert_id, was, now_)      notes why people are not told; a new reason is a step of the history
    waiting(conn, ids)                              the open alerts that wait, locked: what `Evaluator.release` looks at

Nothing is remembered but the reason and since when: whether an alert still waits follows from the stored observations,
the planned works and the town clock, whoever looks and however often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from alerts import wording
from alerts.beside import beside
from alerts.causes import Cause
from alerts.observed import OpenAlert, Place
from alerts.recording import Recorder, notice_of
from alerts.rules.transition import Event, Transition
from alerts.rules.withholding import Withheld
from store import Connection

# Instead of a reason: a person has said what is so (`alerts.actions`), and what follows is to be done.
RELEASED = "released"
DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open alert that people have not been told of, or not of what it has come to."""

    alert: OpenAlert
    rule: str
    mode: str
    place: Place
    datastream_id: int


def keep(
    recorder: Recorder, municipality_id: int, alert_id: int, was: str | None, reason: Withheld | None, *, anew: bool
) -> None:
    """Notes that people are not told for this `reason` (None: nothing waits any more), where that is news. `was`: the
    reason until now. `anew`: what one reading says is another thing now, and is waited for from now on.
    """
    anew &= reason is Withheld.UNCONFIRMED
    if was == reason and not anew:
        return
    recorder.conn.execute(
        "update alert set withheld = %s, withheld_at = %s where alert_id = %s",
        (reason, None if reason is None else recorder.now, alert_id),
    )
    if reason is not None:
        recorder.conn.execute(
            """
            insert into alert_history (municipality_id, alert_id, at, event, level, reason)
            select municipality_id, alert_id, %s, %s, level, %s from alert where alert_id = %s
            """,
            (recorder.now, Event.WITHHELD.value, reason.value, alert_id),
        )
    recorder.touch(municipality_id, (alert_id,))


def waiting(conn: Connection, rules: Sequence[str], alert_ids: Sequence[int] | None = None) -> list[Waiting]:
    """Those of these rules, all or of these ids. What somebody else has in hand is left to the next look."""
    return [
        Waiting(OpenAlert(*row[:9]), row[9], row[10], Place(*row[12:]), row[11])
        for row in conn.execute(
            """
            select a.alert_id, a.level, a.phenomenon_time, a.acknowledged_at is not null, a.finding_id,
                   (select h.level from alert_history h
                    where h.alert_id = a.alert_id and h.phenomenon_time is not null
                      and exists (select from outbox o where o.alert_history_id = h.alert_history_id)
                    order by h.alert_history_id desc limit 1),
                   a.confirmed_level, a.withheld, a.withheld_at, a.rule, a.mode, a.datastream_id,
                   m.municipality_id, m.name, m.timezone, s.station_id, s.kind, s.name, s.name_en
            from alert a
            join station s using (station_id)
            join municipality m on m.municipality_id = s.municipality_id
            where a.withheld is not null and a.cleared_at is null and a.part_of is null and a.rule = any(%s)
              and (%s::bigint[] is null or a.alert_id = any(%s::bigint[]))
            order by a.alert_id for update of a skip locked
            """,
            (list(rules), alert_ids, alert_ids),
        )
    ]


def go_down(recorder: Recorder, each: Waiting) -> None:
    """A person has said that the reading is false which alone stood above what is confirmed; the history has it."""
    recorder.conn.execute(
        """
        update alert set level = confirmed_level, withheld = null, withheld_at = null,
            peak_level = coalesce(
                (select max(h.level) from alert_history h where h.alert_id = alert.alert_id and not h.unconfirmed
                 and h.phenomenon_time is not null), peak_level)
        where alert_id = %s and confirmed_level is not null
        """,
        (each.alert.alert_id,),
    )
    recorder.touch(each.place.municipality_id, (each.alert.alert_id,))


def at_work(recorder: Recorder, place: Place) -> Withheld | None:
    """Whether a silence of this station waits: somebody works at one of its devices."""
    around = beside(recorder, place, "actual", None, None, recorder.now)
    return Withheld.WORK if around.at_work else None


def release_silences(recorder: Recorder, *, simulated: bool) -> None:
    """Tells of the stations that are still silent when the work at them is over."""
    for each in waiting(recorder.conn, ["silence"]):
        if at_work(recorder, each.place) is not None:
            continue
        cause = Cause(each.place, "silence", each.mode, each.datastream_id)
        version = _version(recorder.conn, each.alert.alert_id)
        step = Transition(Event.TOLD, None, each.alert.phenomenon_time, None, version)
        recorder.record(cause, each.alert.alert_id, [(step, silence_notice(cause, step, simulated=simulated))])
        keep(recorder, cause.municipality_id, each.alert.alert_id, each.alert.withheld, None, anew=False)


def silence_notice(cause: Cause, transition: Transition, *, simulated: bool) -> wording.Notice:
    """What there is to say of a silence; its version has the patience in seconds."""
    seconds = int(transition.rule_version.partition(":")[2])
    return replace(notice_of(cause, transition, simulated=simulated), silence_after=timedelta(seconds=seconds))


def _version(conn: Connection, alert_id: int) -> str:
    row = conn.execute(
        "select rule_version from alert_history where alert_id = %s and event = 'raised'", (alert_id,)
    ).fetchone()
    assert row is not None, "an alert begins by being raised"
    return str(row[0])

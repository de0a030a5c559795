"""What was retracted and still stands there: it raises nothing until it is over. For the worker.

    standing(conn, rule) -> [StillFalse]                    of the causes whose newest alert was retracted
    after_level(transitions, still) -> (transitions, over)  what is left of the steps of the level rule
    count_again(recorder, still, time)                      notes when it was over

A retracted alert is judged on as if it were open at its highest level, without a word to anybody. Two things end that
by themselves: the rule would have cleared it (below the clearing level for its whole hold), or the water reaches a
level above all that was retracted, and not by one doubtful reading alone: that is something new and raises an alert. A
person ends it by saying that the gauge counts again (`alerts.retraction.count_again`). Bad and missing readings end
nothing, as they clear nothing.

A rule of the staff has no levels: only its end, or a person. A silence is the same one as long as nothing was heard.
A finding raises once, and never again.

Until when it stood follows from the retraction and the observations since, in whatever pieces they come: the level
rule's fold begins anew from the highest level each time, and lowered steps change nothing (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerts.recording import Recorder
from alerts.rules.transition import Event, Transition
from store import Connection


@dataclass(frozen=True, slots=True)
class StillFalse:
    """The newest alert of a cause, retracted at `at` (town time). `level`: the highest that it had, None without
    levels; `time`: of what moved it last; `rule_id` of a rule that staff wrote. It holds for its series: the next drill
    has one of its own.
    """

    alert_id: int
    municipality_id: int
    station_id: int
    datastream_id: int
    mode: str
    rule_id: int | None
    level: int | None
    time: datetime
    at: datetime


def standing(conn: Connection, rule: str) -> list[StillFalse]:
    """What was retracted and not seen to end, of one rule. To be read after the open alerts are locked: who retracts
    holds the same lock, so that an alert is either still open there, or here.
    """
    return [StillFalse(*row) for row in conn.execute(_STANDING, (rule,))]


def after_level(transitions: Sequence[Transition], still: StillFalse) -> tuple[list[Transition], datetime | None]:
    """The steps that count, and the time of the observation with which what was false is over.

    >>> from datetime import UTC
    >>> at = datetime(2026, 6, 1, tzinfo=UTC)
    >>> false = StillFalse(7, 1, 3, 5, "actual", None, 4, at, at)
    >>> def step(event, level):
    ...     return Transition(event, level, at, 0.0, "threshold_set:1", confirmed=level)
    >>> after_level([step(Event.LOWERED, 2), step(Event.ESCALATED, 4)], false)
    ([], None)
    >>> steps, over = after_level([step(Event.CLEARED, None), step(Event.RAISED, 2)], false)
    >>> [(str(each.event), each.level) for each in steps], over == at
    ([('raised', 2)], True)
    >>> steps, over = after_level([step(Event.ESCALATED, 5)], false)
    >>> [(str(each.event), each.level) for each in steps], over == at
    ([('raised', 5)], True)
    """
    for n, each in enumerate(transitions):
        if each.event is Event.CLEARED:
            return list(transitions[n + 1 :]), each.time
        if (each.confirmed or 0) > (still.level or 0):
            return [replace(each, event=Event.RAISED), *transitions[n + 1 :]], each.time
    return [], None


def count_again(recorder: Recorder, still: StillFalse, time: datetime) -> None:
    """What was false is over since the observation of that time: from then on what stands there counts."""
    recorder.conn.execute(
        "update alert_retraction set counts_again_at = %s where alert_id = %s and counts_again_at is null",
        (time, still.alert_id),
    )
    recorder.touch(still.municipality_id, (still.alert_id,))


_STANDING = """
select a.alert_id, a.municipality_id, a.station_id, a.datastream_id, a.mode, a.alert_rule_id, a.peak_level,
       a.phenomenon_time, r.at
from alert_retraction r join alert a using (alert_id)
where r.counts_again_at is null and a.rule = %s
  and not exists (select from alert later
                  where later.station_id = a.station_id and later.rule = a.rule and later.mode = a.mode
                    and later.alert_rule_id is not distinct from a.alert_rule_id and later.alert_id > a.alert_id)
order by a.alert_id
"""

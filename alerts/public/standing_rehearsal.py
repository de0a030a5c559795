"""What a standing approval would have told in the stored past: shown to whoever is asked to sign it.

    rehearse(conn, approval, start, end, zone) -> Rehearsal

The level rule is played over the stored observations with the levels of the approval, as the evaluator plays it, and
each alert of it is held against the very rule that publishes (`alerts.rules.standing`), as if the approval had been in
force all the time and everything had come at once. What it cannot know: how late readings came, who would have cleared
or retracted what, and which works were not written down. Only what stands near a level is judged: a year of one gauge
takes about as long as it takes to read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.public.making import Step
from alerts.public.standing import StandingApproval
from alerts.public.standing_words import filled
from alerts.public.words import Texts
from alerts.rules.level import LevelRule, Observed, Stand, after, judge_level, usable
from alerts.rules.standing import Approval, Seen, Situation, refused
from devices.model import Quality, ThresholdLevel
from store import Connection

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Case:
    """An alert of which the approval would have told: when, of which value (m), and until when the alert lasted; None:
    it lasts.
    """

    time: datetime
    value: float
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`alerts` reached the level; `cases` of them would have been told, oldest first; the others stood on what was
    doubtful, or on readings that had fallen again. `observations` that there were. `last`: the words of the last case.
    """

    start: datetime
    end: datetime
    observations: int
    first: datetime | None
    alerts: int
    cases: tuple[Case, ...]
    last: dict[Step, Texts] | None


def rehearse(conn: Connection, approval: StandingApproval, start: datetime, end: datetime, zone: ZoneInfo) -> Rehearsal:
    """Plays the approval over start <= time < end. On a connection that sees its municipality."""
    observations, rule = _stored(conn, approval, start, end), _rule(conn, approval.threshold_set_id, start)
    # In force all the time, and signed before anything happened: what is asked is what it would tell.
    played = replace(
        approval.rule(zone), signed_at=start - YEAR, revoked=False, holds_until=end + YEAR, same_levels=True, clean=True
    )
    reached, cases = 0, []
    for readings in _alerts(rule, observations):
        found, case = _one(rule, played, readings)
        reached += found
        cases += [case] if case is not None else []
    last = None
    if cases:
        newest = cases[-1]
        last = {step: filled(texts, zone, newest.time, newest.value) for step, texts in approval.texts.items()}
    first = observations[0].time if observations else None
    return Rehearsal(start, end, len(observations), first, reached, tuple(cases), last)


# Of one alert: each observation with where the alert stands after it.
_Readings = list[tuple[Observed, Stand | None]]


def _alerts(rule: LevelRule, observations: Sequence[Observed]) -> Iterator[_Readings]:
    """The observations of each alert that the rule raises, from the one that raises it to the one that ends it."""
    lowest = min((each.value for each in rule.levels), default=float("inf"))
    times = [each.time for each in observations]
    at = 0
    while True:
        at = next((n for n in range(at, len(times)) if (observations[n].value or lowest - 1) >= lowest), len(times))
        if at == len(times):
            return
        stand: Stand | None = None
        readings: _Readings = []
        while at < len(times):
            since = max(0, bisect_left(times, times[at] - rule.hold) - 1)
            each = observations[at]
            steps = judge_level([rule], [each], observations[since:at], stand)
            stand = after(steps[-1]) if steps else stand
            at += 1
            readings.append((each, stand))
            if stand is None:
                break
        yield readings


def _one(rule: LevelRule, approval: Approval, readings: _Readings) -> tuple[bool, Case | None]:
    """Whether an alert reached the level, and the case it would have been."""
    reached: dict[int, datetime] = {}
    case: Case | None = None
    for each, stand in readings:
        if stand is None or each.value is None:
            continue
        for level in range(1, stand.level + 1):
            reached.setdefault(level, each.time)
        seen = Seen(each.time, each.value, each.quality, each.reason)
        situation = Situation(each.time, "actual", stand.level, stand.confirmed, seen, reached)
        if case is None and refused(approval, situation) is None:
            case = Case(each.time, each.value, None)
    last, stand = readings[-1]
    if case is not None and stand is None:
        case = replace(case, end=last.time)
    return approval.level in reached, case


def _stored(conn: Connection, approval: StandingApproval, start: datetime, end: datetime) -> list[Observed]:
    rows = conn.execute(
        """
        select o.phenomenon_time, o.value, o.quality::text, o.reason
        from datastream d join tenant_observation o using (datastream_id)
        where d.station_id = %s and d.observed_property = 'water_level' and d.drill_run is null
          and o.phenomenon_time >= %s and o.phenomenon_time < %s and o.value is not null
        order by o.phenomenon_time
        """,
        (approval.station_id, start, end),
    )
    found = (Observed(time, value, Quality(quality), reason) for time, value, quality, reason in rows)
    return [each for each in found if usable(each)]


def _rule(conn: Connection, threshold_set_id: int, start: datetime) -> LevelRule:
    rows = conn.execute(
        """
        select t.clear_margin, t.hold, l.level, l.name, l.name_en, l.value
        from threshold_set t join threshold_level l using (threshold_set_id)
        where t.threshold_set_id = %s order by l.level
        """,
        (threshold_set_id,),
    ).fetchall()
    levels = tuple(ThresholdLevel(*row[2:]) for row in rows)
    return LevelRule(f"threshold_set:{threshold_set_id}", start - YEAR, levels, rows[0][0], rows[0][1])

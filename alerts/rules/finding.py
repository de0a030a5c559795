"""What analytics found becomes an alert: an open finding raises one, its end clears it.

    judge_finding(finding, open_finding_id, now) -> transitions

The judging was done where the numbers are (analytics); here only the life cycle is decided. One finding raises one
alert: a person who cleared it knows, and is not asked again by the same finding, however it grows. Late is a finding
that had ended before anyone looked: it is shown, it raises nothing. So does one whose series says nothing of the
present, such as a history that was imported: its newest observation is older than `FRESH`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.finding_words import FindingRule
from alerts.rules.transition import Event, Transition

FRESH = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as stored. `value` and `usual` in the unit of its series; `raised`: an alert came from it already;
    `newest`: the time of the newest observation of its series.
    """

    finding_id: int
    kind: FindingRule
    started_at: datetime
    ended_at: datetime | None
    value: float | None
    usual: float | None
    rule_version: str
    raised: bool
    newest: datetime


def judge_finding(finding: Found, open_finding_id: int | None, now: datetime) -> list[Transition]:
    """The transitions of one finding; `open_finding_id` is the finding of the open alert of its station and rule.

    >>> from datetime import UTC
    >>> at = lambda hour: datetime(2026, 6, 1, hour, tzinfo=UTC)
    >>> burst = Found(7, "burst", at(3), None, 38.0, 24.5, "burst:1", False, newest=at(4))
    >>> [(str(each.event), each.time.hour, each.rule_version) for each in judge_finding(burst, None, at(5))]
    [('raised', 3, 'burst:1')]
    """
    if finding.ended_at is not None:
        if open_finding_id != finding.finding_id:
            return []
        return [Transition(Event.CLEARED, None, finding.ended_at, None, finding.rule_version)]
    if finding.raised or open_finding_id is not None or now - finding.newest > FRESH:
        return []
    return [Transition(Event.RAISED, None, finding.started_at, finding.value, finding.rule_version)]

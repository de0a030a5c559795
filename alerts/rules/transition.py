"""What a rule says: one step in the life of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Event(StrEnum):
    """What happens to an alert: the first seven by a rule, `cleared`, `lowered` and `confirmed` also by a person, the
    rest by persons.

    `confirmed`: what one doubtful reading had said is so. `withheld`: it stands on the pages, and nobody is written to
    for the time being. `told`: it stood already, and nobody had been written to, because what was known then was late
    or withheld. `called`: nobody had answered. `published`: told to the public, as was approved beforehand. `expiring`:
    the time of its notice to the public ends soon; `lapsed`: is over. `in_trial`: its station is in trial, and it hears
    nothing of what is measured there.
    """

    RAISED = "raised"
    ESCALATED = "escalated"
    LOWERED = "lowered"
    CONFIRMED = "confirmed"
    WITHHELD = "withheld"
    TOLD = "told"
    CLEARED = "cleared"
    CALLED = "called"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    ASSIGNED = "assigned"
    RETRACTED = "retracted"
    PUBLISHED = "published"
    EXPIRING = "expiring"
    LAPSED = "lapsed"
    IN_TRIAL = "in_trial"


@dataclass(frozen=True, slots=True)
class Transition:
    """One step that a rule takes.

    `level` is the level after the step, None where the rule has none or the alert is cleared. `time` and `value`
    are the observation that moved it (silence: the last sign of life, no value). `rule_version` names the exact
    rule that decided: "threshold_set:<id>", "alert_rule_version:<id>" or "silence:<seconds>".

    Of the level rule: `confirmed` is the level after the step that does not rest on one doubtful reading, None where
    all of it does. `unconfirmed`: on the way up, that the step rests on one; on the way down, that what is taken back
    did. `reason`: why it is withheld, or why it is told all the same (`alerts.rules.withholding`).
    """

    event: Event
    level: int | None
    time: datetime
    value: float | None
    rule_version: str
    confirmed: int | None = None
    unconfirmed: bool = False
    reason: str | None = None

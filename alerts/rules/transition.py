"""What a rule says: one step in the life of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Event(StrEnum):
    """What happens to an alert: the first five by a rule, `cleared` also by a person, the rest by persons.

    `told`: it stood already, and nobody had been written to, because what was known then was late. `called`: nobody had
    answered.
    """

    RAISED = "raised"
    ESCALATED = "escalated"
    LOWERED = "lowered"
    TOLD = "told"
    CLEARED = "cleared"
    CALLED = "called"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    ASSIGNED = "assigned"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class Transition:
    """One step that a rule takes.

    `level` is the level after the step, None where the rule has none or the alert is cleared. `time` and `value`
    are the observation that moved it (silence: the last sign of life, no value). `rule_version` names the exact
    rule that decided: "threshold_set:<id>", "alert_rule_version:<id>" or "silence:<seconds>".
    """

    event: Event
    level: int | None
    time: datetime
    value: float | None
    rule_version: str

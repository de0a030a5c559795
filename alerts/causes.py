"""What an alert is about: what at most one open alert can have, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass

from alerts import wording
from alerts.observed import Place
from devices.model import StationKind


@dataclass(frozen=True, slots=True)
class Cause:
    """What at most one open alert can have. `finding_id`: what analytics found, None for the rules that judge here;
    `group_id`: the group that it names to be told, None: whoever watches the station.
    """

    place: Place
    rule: wording.Rule
    mode: str
    datastream_id: int
    finding_id: int | None = None
    group_id: int | None = None

    @property
    def municipality_id(self) -> int:
        return self.place.municipality_id

    @property
    def station_id(self) -> int:
        return self.place.station_id

    @property
    def name(self) -> None:
        return None

    @property
    def role(self) -> str:
        """Who is told: by what the station is for; silence is the digital section's to mend."""
        return "digital" if self.rule == "silence" else StationKind(self.place.kind).desk


@dataclass(frozen=True, slots=True)
class WrittenCause(Cause):
    """The same for a rule that staff wrote. About what is information only nobody gets a mail."""

    rule_id: int | None = None
    severity: int | None = None


@dataclass(frozen=True, slots=True)
class OperationCause:
    """The same for the rule `operation`, which has no station: `name` as in `alerts.rules.operation`."""

    municipality_id: int
    name: str
    rule: wording.Rule = "operation"
    mode: str = "actual"
    role: str = "digital"
    station_id: None = None
    datastream_id: None = None
    finding_id: None = None
    group_id: None = None


@dataclass(frozen=True, slots=True)
class OutageCause:
    """The same for the rule `outage`, which has many stations: `name` as in `alerts.rules.outage`."""

    municipality_id: int
    name: str
    rule: wording.Rule = "outage"
    mode: str = "actual"
    role: str = "digital"
    station_id: None = None
    datastream_id: None = None
    finding_id: None = None
    group_id: None = None


AnyCause = Cause | WrittenCause | OperationCause | OutageCause

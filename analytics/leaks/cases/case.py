"""A case of what may be a leak: what is known of it, and what was done about it, step by step.

    Case.state          candidate, planned, nothing (visited, nothing found), found, repaired, ended
    Case.may            the steps that can be taken now
    loss(case, now)     m3 lost so far, or until it was repaired

A case is a 調査候補 until a step says what was found. A step is never changed: a wrong one is undone by another step,
and both stay. All times are town time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

PLANNED, FOUND, NOTHING, REPAIRED, ENDED = "planned", "found", "nothing", "repaired", "ended"
NOTE, UNDONE = "note", "undone"
CANDIDATE = "candidate"
STATES = (CANDIDATE, PLANNED, NOTHING, FOUND, REPAIRED, ENDED)
KINDS = (PLANNED, FOUND, NOTHING, REPAIRED, ENDED, NOTE, UNDONE)
CAUSES = ("joint", "corrosion", "crack", "service", "fitting", "damage", "other", "unknown")
# Why a case ends without a leak. A case that was opened twice says nothing of how good a suspect was.
ENDINGS = ("not_found", "explained", "twice")
WRONG = frozenset({"not_found", "explained"})

_OPEN = frozenset({PLANNED, FOUND, NOTHING, ENDED})
_NEXT = MappingProxyType(
    {
        CANDIDATE: _OPEN,
        PLANNED: _OPEN,
        NOTHING: _OPEN,
        FOUND: frozenset({REPAIRED}),
        REPAIRED: frozenset[str](),
        ENDED: frozenset[str](),
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `at`: when it was done, of a plan when it is meant to be. `what`: of `found` the cause, of `ended` why.
    Of a visit `km` walked; of `found` the name of the `pipe` and `size_m3h`; None: not said. `undoes`: the number of
    the step that was wrong.
    """

    number: int
    kind: str
    at: datetime
    what: str | None
    pipe: str | None
    size_m3h: float | None
    km: float | None
    text: str
    undoes: int | None
    entered_at: datetime
    entered_by: str


@dataclass(frozen=True, slots=True)
class Case:
    """`pipes`: the search area in the version `network_id` of the network, () and None: nobody said where; `km` of it,
    None with it. `suspect`: the pipe to begin at. `started_at`, `size_m3h`: as estimated at opening; `station_id`: the
    inlet behind which it is searched; None: not known.
    """

    case_id: int
    name: str
    finding_id: int | None
    network_id: int | None
    pipes: tuple[int, ...]
    suspect: int | None
    started_at: datetime | None
    estimated_m3h: float | None
    reason: str
    opened_at: datetime
    opened_by: str
    km: float | None
    steps: tuple[Step, ...] = ()
    station_id: int | None = None

    @property
    def standing(self) -> tuple[Step, ...]:
        """The steps that nobody has undone, without notes."""
        undone = {step.undoes for step in self.steps}
        return tuple(each for each in self.steps if each.kind not in (NOTE, UNDONE) and each.number not in undone)

    @property
    def state(self) -> str:
        return self.standing[-1].kind if self.standing else CANDIDATE

    @property
    def may(self) -> frozenset[str]:
        """The kinds of step that can come next; a note always can."""
        return _NEXT[self.state] | {NOTE} | ({UNDONE} if self.standing else frozenset())

    def last(self, kind: str) -> Step | None:
        """The newest standing step of a kind."""
        return next((each for each in reversed(self.standing) if each.kind == kind), None)

    @property
    def settled(self) -> Step | None:
        """The repair, else the end without a leak; None: neither, it is still looked for."""
        return self.last(REPAIRED) or self.last(ENDED)

    @property
    def size_m3h(self) -> float | None:
        """As measured where it was found, else as estimated."""
        found = self.last(FOUND)
        return found.size_m3h if found is not None and found.size_m3h is not None else self.estimated_m3h

    @property
    def walked_km(self) -> float | None:
        """Of all visits; None where a visit did not say."""
        visits = [each.km for each in self.standing if each.kind in (FOUND, NOTHING)]
        return None if None in visits else sum(each for each in visits if each is not None)

    @property
    def priority(self) -> float | None:
        """m3/h that a km of searching may bring; None where either is unknown."""
        return None if self.size_m3h is None or not self.km else self.size_m3h / self.km


def loss(case: Case, now: datetime) -> float | None:
    """m3 since it began until it was repaired, else until now, at its size all the while; None where the beginning or
    the size is not known, or it was no leak.

    >>> from datetime import UTC
    >>> began = datetime(2026, 6, 1, tzinfo=UTC)
    >>> case = Case(1, "A", None, None, (), None, began, 2.5, "", began, "", None)
    >>> loss(case, datetime(2026, 6, 3, tzinfo=UTC))
    120.0
    """
    if case.state == ENDED or case.size_m3h is None or case.started_at is None:
        return None
    repaired = case.last(REPAIRED)
    until = now if repaired is None else repaired.at
    return case.size_m3h * max((until - case.started_at) / timedelta(hours=1), 0.0)

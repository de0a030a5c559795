"""Which of two values for one time is the current one: by what they are, never by which came first.

By source (confirmed or corrected by a person, above written down by one, above sent by a device), then by the
network's time, then by the hash of the payload; two that agree in all of this, by the value itself. A value without a
network time stands below one that has it. Of two statements by people the later is a correction of the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from devices.model import EXAMINED, Quality, Reason
from store.batch import ObservationRow

NEVER = datetime.min.replace(tzinfo=UTC)

Precedence = tuple[int, datetime, bytes, tuple[bool, float]]


class Candidate(NamedTuple):
    """A value with what decides whether it is the current one."""

    row: ObservationRow
    network_time: datetime
    payload_hash: bytes
    uplink_id: int | None
    received_time: datetime

    @property
    def key(self) -> tuple[int, datetime]:
        return (self.row.datastream_id, self.row.phenomenon_time)

    @property
    def precedence(self) -> Precedence:
        rank = source_rank(self.row.quality, self.row.reason)
        return (rank, self.network_time, self.payload_hash, _order(self.row.value))

    def says_nothing_new(self, standing: Standing) -> bool:
        """Whether the row may stay as it is. A value worked out anew also says anew how good it is."""
        if self.row.value != standing.value:
            return False
        if self.row.derived and (self.row.quality, self.row.reason) != (standing.quality, standing.reason):
            return not self.outranks(standing.precedence)
        return self.precedence <= standing.precedence

    def outranks(self, other: Precedence) -> bool:
        """Whether this stands above a value of that precedence that was there before."""
        if self.row.derived:
            return self.precedence[0] >= other[0]
        if self.uplink_id is None and self.precedence[:3] == other[:3]:
            return True  # both were stated by people, and this one later
        return self.precedence > other


class Standing(NamedTuple):
    """The value that is there, with what decides whether it is the current one."""

    value: float | None
    quality: Quality
    reason: str | None
    network_time: datetime
    payload_hash: bytes

    @property
    def precedence(self) -> Precedence:
        rank = source_rank(self.quality, self.reason)
        return (rank, self.network_time, self.payload_hash, _order(self.value))


@dataclass(slots=True)
class Done:
    """What became of the candidates of a batch. `adopted` say the same as the value that was there and stand above it;
    of them `reworded` say another quality. Of the `unchanged`, which left the row as it was, `rejudged` were given
    another verdict than stands there: something beside them has changed since.
    """

    keys: Sequence[tuple[int, datetime]]  # of all of them, in order
    stored: list[Candidate] = field(default_factory=list)
    winners: list[Candidate] = field(default_factory=list)
    losers: list[Candidate] = field(default_factory=list)
    unchanged: list[Candidate] = field(default_factory=list)
    adopted: list[Candidate] = field(default_factory=list)
    reworded: list[Candidate] = field(default_factory=list)
    rejudged: list[Candidate] = field(default_factory=list)

    def leave(self, candidate: Candidate, standing: Standing) -> None:
        """The row stays as it is."""
        self.unchanged.append(candidate)
        verdict = (candidate.row.quality, candidate.row.reason)
        if verdict != (standing.quality, standing.reason) and candidate.precedence[0] == standing.precedence[0]:
            self.rejudged.append(candidate)


def source_rank(quality: Quality, reason: str | None) -> int:
    """0 to 2. What a person has looked into stands above what a person wrote down, and that above what a device
    said.
    """
    if reason in EXAMINED:
        return 2
    return 1 if quality is Quality.MANUAL or reason == Reason.WITHDRAWN else 0


def _order(value: float | None) -> tuple[bool, float]:
    return (value is not None, value or 0.0)


def settle(
    candidates: Iterable[Candidate],
) -> tuple[dict[tuple[int, datetime], Candidate], list[Candidate], list[Candidate]]:
    """One candidate a key, sorted by key; the others with a different value; those that repeated the same value."""
    current: dict[tuple[int, datetime], Candidate] = {}
    losers: list[Candidate] = []
    unchanged: list[Candidate] = []
    for candidate in candidates:
        row = candidate.row
        other = current.setdefault((row.datastream_id, row.phenomenon_time), candidate)
        if other is candidate:
            continue
        above, below = (candidate, other) if candidate.outranks(other.precedence) else (other, candidate)
        (unchanged if above.row.value == below.row.value else losers).append(below)
        current[above.key] = above
    return dict(sorted(current.items())), losers, unchanged

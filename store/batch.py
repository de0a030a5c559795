"""What a writer takes and gives: delivered messages with their values, and what became of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from devices.model import Outcome, Quality, Reason


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """One value as the gate judged it: `value` is None exactly when `quality` is missing."""

    datastream_id: int
    phenomenon_time: datetime
    value: float | None
    quality: Quality
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class UplinkRow:
    """One delivered message and what it says. `outcome` is accepted, event or quarantined; never duplicate.

    A quarantined one has a `reason` (short code) and `detail` (words for people).
    """

    device_id: int | None
    device_key: str | None
    session: str
    counter: int | None
    payload_hash: bytes
    network: str | None
    topic: str
    raw: bytes
    network_time: datetime | None
    received_time: datetime
    outcome: Outcome
    reason: str | None
    detail: str | None
    observations: tuple[ObservationRow, ...]

    @property
    def identity(self) -> tuple[str | None, str, int | None, bytes]:
        return (self.device_key, self.session, self.counter, self.payload_hash)

    @property
    def sent_time(self) -> datetime:
        """When it was sent, as well as we know."""
        return self.network_time or self.received_time


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: messages by outcome, and values stored, unchanged or revised."""

    outcomes: Counter[Outcome]
    stored: int
    unchanged: int
    revised: int
    feed_id: int | None

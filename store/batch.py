"""What a writer takes and gives: delivered messages with their values, and what became of them.

A message and a value are structs of msgspec, not dataclasses: one of each is made for every message, and a frozen
dataclass of many fields takes four times as long.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from devices.model import DeviceStatus, Outcome, Quality, Radio, Reason


class ObservationRow(Struct, frozen=True):
    """One value as the gate judged it: `value` is None exactly when `quality` is missing."""

    datastream_id: int
    phenomenon_time: datetime
    value: float | None
    quality: Quality
    reason: Reason | None
    # Worked out from several messages: worked out anew it replaces what any single message left there, whichever of
    # the messages is the newest. Only what a person wrote down stands above it.
    derived: bool = False


@dataclass(frozen=True, slots=True)
class CountRow:
    """A cumulative counter as one message reads it; `count` None: the device could not read it.

    `restarts` (None: it does not say) changes when the counter begins anew, `latest` is how much it counted in the
    last interval alone (None: unknown), `scale` what one count is worth in the unit of the datastream. `doubtful`: the
    time is a stand-in for an impossible clock.
    """

    datastream_id: int
    time: datetime
    count: int | None
    restarts: int | None
    latest: int | None
    modulus: int
    scale: float
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class BatteryRow:
    """What a device says of its battery: its charge in volts or in `unit`, whether that is low, when it measured it."""

    volts: float
    low: bool
    measured_at: datetime
    unit: str = "V"


class UplinkRow(Struct, frozen=True):
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
    battery: BatteryRow | None = None
    counts: tuple[CountRow, ...] = ()
    # Fields of an accepted message that no row could be made of (`detail` says why), and how many values those were.
    quarantined_fields: tuple[str, ...] = ()
    rejected: int = 0
    # How the network heard it, and what it asked the device about itself (`store.device_health`).
    radio: Radio | None = None
    status: DeviceStatus | None = None
    # Calibrations that its values have been through and that are not settled (`store.calibrations`).
    calibrations: tuple[int, ...] = ()

    @property
    def identity(self) -> tuple[str | None, str, int | None, bytes]:
        return (self.device_key, self.session, self.counter, self.payload_hash)

    @property
    def sent_time(self) -> datetime:
        """When it was sent, as well as we know."""
        return self.network_time or self.received_time


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: messages by outcome and each in the order given, values stored, unchanged or revised."""

    outcomes: Counter[Outcome]
    each: tuple[Outcome, ...]
    stored: int
    unchanged: int
    revised: int
    feed_id: int | None


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """What became of values without a message: new ones, those that were there already, those that replaced another,
    and those that another stands above (kept as revisions).
    """

    stored: int
    unchanged: int
    revised: int
    outranked: int
    feed_id: int | None

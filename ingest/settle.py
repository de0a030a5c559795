"""Messages to their outcomes: decode, gate, write, commit. The one way in, whoever brought the messages.

Contract
- Every message of a batch ends with exactly one outcome, committed, or the batch is not over. What a step has returned
  is committed; what it has not may be tried again, on the same connection or another, without doubling anything.
- A part that the database refuses for its content is halved until the poisonous message is alone; that one is stored
  bare, quarantined with the reason `store`, and the others pass.
- psycopg.OperationalError means that the database is to be tried again. Any other database error (a missing table, a
  missing right) is for an operator.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg
import structlog

from devices.model import Outcome
from ingest.decode import UNKNOWN_DEVICE, bare, decode
from ingest.gate import through_gate
from ingest.message import Message
from quality.clock import Clock
from store.connection import Connection
from store.registry import Directory, load_directory
from store.writer import UplinkRow, write_batch

# The directory is read again this often, and for an unknown device at most this often.
DIRECTORY_SECONDS = 30.0
UNKNOWN_DEVICE_SECONDS = 3.0

# What the content of a message can cause; psycopg itself raises the last two while it writes a value down.
REFUSALS = (psycopg.DataError, psycopg.IntegrityError, ValueError, OverflowError)

M = TypeVar("M", bound=Message)

log = structlog.get_logger(__name__)


class KnownDevices:
    """The directory of one municipality, read anew when it is old or somebody in it is unknown."""

    def __init__(self, municipality_id: int) -> None:
        self.municipality_id = municipality_id
        self.directory: Directory
        self._read: float | None = None

    def refresh(self, conn: Connection, *, older_than: float = 0.0) -> bool:
        """Reads the directory again if it is older than so many seconds; says whether it did. Ends the transaction."""
        if self._read is not None and time.monotonic() - self._read < older_than:
            return False
        self.directory = load_directory(conn, self.municipality_id)
        conn.commit()
        self._read = time.monotonic()
        return True


@dataclass(frozen=True, slots=True)
class Settled(Generic[M]):
    """One committed message: what became of it; for a quarantined one `reason` and `detail`."""

    message: M
    outcome: Outcome
    reason: str | None
    detail: str | None


class Settling(Generic[M]):
    """One batch of one municipality on its way. Raises what the database raises while it decodes (a look at the
    directory).
    """

    def __init__(self, conn: Connection, devices: KnownDevices, batch: Sequence[M], possible: Clock) -> None:
        self._devices = devices
        self._parts = [_decoded(conn, devices, batch, possible)] if batch else []

    @property
    def over(self) -> bool:
        """Whether every message has its outcome."""
        return not self._parts

    def step(self, conn: Connection) -> list[Settled[M]]:
        """Writes the first part and returns its messages, committed; or nothing, where it had to be made smaller."""
        part = self._parts[0]
        try:
            rows = through_gate(conn, self._devices.directory, [row for _, row in part])
            result = write_batch(conn, self._devices.municipality_id, rows)
            conn.commit()
        except REFUSALS as refusal:
            conn.rollback()
            self._parts[:1] = _smaller(part, refusal)
            return []
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise
        del self._parts[0]
        return [
            Settled(message, outcome, *(row.reason, row.detail) if outcome is Outcome.QUARANTINED else (None, None))
            for (message, row), outcome in zip(part, result.each, strict=True)
        ]


def _smaller(part: list[tuple[M, UplinkRow]], refusal: Exception) -> list[list[tuple[M, UplinkRow]]]:
    """The halves of a part that was refused; of a single message what can be stored of it in any case."""
    if len(part) > 1:
        half = len(part) // 2
        return [part[:half], part[half:]]
    message, row = part[0]
    if row.reason == "store":
        raise refusal
    detail = f"the database refused this message: {type(refusal).__name__}: {refusal}"
    log.error("message refused by the database", topic=row.topic, device=row.device_key, error=str(refusal))
    return [[(message, bare(row, detail))]]


def _decoded(conn: Connection, devices: KnownDevices, batch: Sequence[M], possible: Clock) -> list[tuple[M, UplinkRow]]:
    items = [(message, decode(message, devices.directory, possible)) for message in batch]
    if any(row.reason == UNKNOWN_DEVICE for _, row in items) and devices.refresh(
        conn, older_than=UNKNOWN_DEVICE_SECONDS
    ):
        items = [
            (message, decode(message, devices.directory, possible) if row.reason == UNKNOWN_DEVICE else row)
            for message, row in items
        ]
    return items

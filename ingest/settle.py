"""Messages to their outcomes: decode, gate, write, commit. The one way in, whoever brought the messages.

Contract
- Every message of a batch ends with exactly one outcome, committed, or the batch is not over. What a step has returned
  is committed; what it has not may be tried again, on the same connection or another, without doubling anything.
- A message that the database refuses for its content is stored bare, quarantined with the reason `store`, and the
  others pass (`ingest.poison`). The messages of a device of which something was refused come after everybody else's;
  of one device all keep their order.
- A device whose messages are slow to read takes no more than its share of the time (`ingest.budget`).
- What is handed in is counted here and what becomes of it by the writer; both counts are committed with the messages
  (`store.counts`).
- psycopg.OperationalError means that the database is to be tried again. Any other database error (a missing table, a
  missing right) is for an operator.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import psycopg
import structlog

from devices.codecs.javascript import Sandbox
from devices.model import Outcome
from ingest.budget import Budget
from ingest.decode import UNKNOWN_DEVICE, bare, decode, unstorable
from ingest.gate import through_gate
from ingest.message import Message
from ingest.poison import Suspects, refused
from quality.clock import Clock
from store.connection import Connection
from store.counts import Tallies, slot
from store.registry import Directory, load_directory
from store.writer import BatchResult, UplinkRow, write_batch

# The directory is read again this often, and for an unknown device at most this often.
DIRECTORY_SECONDS = 30.0
UNKNOWN_DEVICE_SECONDS = 3.0

# What the content of a message can cause: also a key too long for an index, and what psycopg itself raises while it
# writes a value down.
REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    ValueError,
    OverflowError,
)

M = TypeVar("M", bound=Message)

log = structlog.get_logger(__name__)


class KnownDevices:
    """The directory of one municipality, read anew when it is old, was changed, or somebody in it is unknown; which of
    its devices give trouble; and where manufacturers' codecs run, a process that starts when it is needed. Close it.

    On a connection that `listen`s, a change that somebody commits is known with the next statement.
    """

    def __init__(self, municipality_id: int, sandbox: Sandbox | None = None) -> None:
        """`sandbox`: one that is shared, and closed by whoever made it."""
        self.municipality_id = municipality_id
        self.directory: Directory
        self.suspects = Suspects()
        self.budget = Budget()
        self.sandbox = Sandbox() if sandbox is None else sandbox
        self._shared = sandbox is not None
        self._read: float | None = None
        self._changed = False

    def close(self) -> None:
        """Ends the process for codecs."""
        if not self._shared:
            self.sandbox.close()

    def listen(self, conn: Connection) -> None:
        """From now on this connection hears of changes; what changed until now is read anew. Ends the transaction."""
        conn.add_notify_handler(self._heard)
        conn.execute("listen directory")
        conn.commit()
        self._changed = True

    def _heard(self, notification: psycopg.Notify) -> None:
        if notification.channel == "directory" and notification.payload == str(self.municipality_id):
            self._changed = True

    def refresh(self, conn: Connection, *, older_than: float = 0.0) -> bool:
        """Reads the directory again if it was changed or is older than so many seconds; says whether it did. Ends the
        transaction.
        """
        if self._read is not None and not self._changed and time.monotonic() - self._read < older_than:
            return False
        before = None if self._read is None else self.directory
        self._changed = False  # what changes while it is read is heard after it
        try:
            self.directory = load_directory(conn, self.municipality_id, before)
            conn.commit()
        except BaseException:
            self._changed = True
            raise
        self._read = time.monotonic()
        if before is not None and self.directory.models != before.models:
            self.budget.forgive()
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
        self._parts = devices.suspects.apart(_decoded(conn, devices, batch, possible), _device_of)
        self._caught: set[int | None] = set()

    @property
    def over(self) -> bool:
        """Whether every message has its outcome."""
        return not self._parts

    def step(self, conn: Connection) -> list[Settled[M]]:
        """Writes the first part and returns its messages, committed; or nothing, where it must be written otherwise."""
        part = self._parts[0]
        result = self._write(conn, part)
        if isinstance(result, Exception):
            self._parts[:1] = self._mended(conn, part, result)
            return []
        conn.commit()
        del self._parts[0]
        for _, row in part:
            if row.device_id not in self._caught:
                self._devices.suspects.clear(row.device_id)
        return [
            Settled(message, outcome, *(row.reason, row.detail) if outcome is Outcome.QUARANTINED else (None, None))
            for (message, row), outcome in zip(part, result.each, strict=True)
        ]

    def _write(self, conn: Connection, part: Sequence[tuple[M, UplinkRow]]) -> BatchResult | Exception:
        """Writes without a commit; what the database says against it, rolled back."""
        try:
            delivered = Tallies()
            delivered.deliver(slot(row.device_id, message.received) for message, row in part)
            rows = [row for _, row in part]
            judge = partial(through_gate, conn, self._devices.directory)
            return write_batch(conn, self._devices.municipality_id, rows, judge, delivered=delivered)
        except REFUSALS as refusal:
            conn.rollback()
            return refusal
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise

    def _tried(self, conn: Connection, part: Sequence[tuple[M, UplinkRow]]) -> Exception | None:
        result = self._write(conn, part)
        if isinstance(result, Exception):
            return result
        conn.rollback()
        return None

    def _mended(
        self, conn: Connection, part: list[tuple[M, UplinkRow]], refusal: Exception
    ) -> list[list[tuple[M, UplinkRow]]]:
        """The same messages, of the poisonous ones only what can be stored in any case."""
        found = refused(part, refusal, _device_of, lambda some: self._tried(conn, some))
        if not found:  # only together they cannot be stored
            half = len(part) // 2
            return [part[:half], part[half:]]
        mended = list(part)
        for position, why in found.items():
            message, row = part[position]
            if row.reason == "store":
                raise why
            log.error("message refused by the database", topic=row.topic, device=row.device_key, error=str(why))
            self._caught.add(row.device_id)
            self._devices.suspects.add(row.device_id)
            mended[position] = (message, bare(row, f"the database refused this message: {type(why).__name__}: {why}"))
        return [mended]


class InOrder(Generic[M]):
    """Settled messages in the order in which they arrived: MQTT wants its acknowledgements like that."""

    def __init__(self, batch: Sequence[M]) -> None:
        self._waiting = deque(batch)
        self._settled: set[int] = set()

    def add(self, settled: Iterable[M]) -> list[M]:
        """Those before which nothing is unsettled any more."""
        self._settled.update(map(id, settled))
        ready = []
        while self._waiting and id(self._waiting[0]) in self._settled:
            ready.append(self._waiting.popleft())
        return ready


def _device_of(item: tuple[Message, UplinkRow]) -> int | None:
    return item[1].device_id


def _decoded(conn: Connection, devices: KnownDevices, batch: Sequence[M], possible: Clock) -> list[tuple[M, UplinkRow]]:
    def row_of(message: M) -> UplinkRow:
        row = decode(message, devices.directory, possible, devices.budget, devices.sandbox)
        against = unstorable(row)
        return row if against is None else bare(row, against)

    items = [(message, row_of(message)) for message in batch]
    if any(row.reason == UNKNOWN_DEVICE for _, row in items) and devices.refresh(
        conn, older_than=UNKNOWN_DEVICE_SECONDS
    ):
        items = [(message, row_of(message) if row.reason == UNKNOWN_DEVICE else row) for message, row in items]
    return items

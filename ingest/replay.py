"""Quarantined messages, read again because somebody asked: in small steps beside the live ones, by whoever may store.

Contract
- A step is one transaction: some messages are decoded, judged and written as they are read now, and the wish says how
  far it is. Killed anywhere, it goes on from there; done again, it changes nothing.
- A step reads for at most READING_SECONDS (but one message at least), STEP_MESSAGES and STEP_BYTES: ten thousand
  messages hold up nobody.
- Everything is decided as if the message could have been read when it came: its times, its precedence, its place among
  the readings of a counter. What is older than the device's `silence_after` says nothing of the present: it raises no
  alert (`store.judged`).
- One step of a municipality at a time, whoever takes it. A live message waits for none: the same message coming in at
  this moment ends as a repetition, whichever is first.
- What still cannot be read stays in quarantine, with the reason of now.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import psycopg
import structlog

from devices.clock import Clock as TownClock
from devices.codecs import Runs
from ingest.decode import bare, decode, unstorable
from ingest.gate import through_gate
from ingest.message import Message
from ingest.poison import refused
from ingest.settle import REFUSALS, KnownDevices
from quality.clock import Clock
from store.batch import BatchResult, UplinkRow
from store.connection import Connection
from store.quarantine import Held, Replay, advance, for_one, held, next_open
from store.registry import Directory
from store.writer import write_again

STEP_MESSAGES = 200
STEP_BYTES = 4_000_000
READING_SECONDS = 0.1
# Where the same message came in at the very moment, doing it again finds it there.
_TRIES = 3

log = structlog.get_logger(__name__)

_Item = tuple[int, UplinkRow]  # uplink_id, as it is read now


def read_again(message: Held, directory: Directory, possible: Clock, sandbox: Runs | None = None) -> UplinkRow:
    """What would be stored of a quarantined message now; nothing is changed. Manufacturers' codecs run in `sandbox`."""
    row = decode(Message(message.topic, message.raw, message.received_time), directory, possible, sandbox=sandbox)
    against = unstorable(row)
    return row if against is None else bare(row, against)


class Replaying:
    """What a worker needs to take up wishes of one municipality; `possible` as in `ingest.decode`."""

    def __init__(self, devices: KnownDevices, clock: TownClock, possible: Clock) -> None:
        self._devices = devices
        self._clock = clock
        self._possible = possible
        self._begun: int | None = None

    def step(self, conn: Connection) -> bool:
        """Takes a step of the oldest wish and commits it; whether there may be more to do at once.

        Raises psycopg.OperationalError when the database is to be tried again.
        """
        try:
            return self._step(conn)
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise

    def _step(self, conn: Connection) -> bool:
        wish = next_open(conn, self._devices.municipality_id)
        if wish is None:
            conn.rollback()
            return False
        if wish.replay_id != self._begun:
            # Whoever has just registered the device expects us to know it.
            conn.rollback()
            self._devices.refresh(conn)
            self._begun = wish.replay_id
        for last in (*[False] * (_TRIES - 1), True):
            if not for_one(conn, self._devices.municipality_id):
                conn.rollback()
                return False
            # Another worker may have taken a step since we looked.
            wish = next_open(conn, self._devices.municipality_id)
            if wish is None or wish.replay_id != self._begun:
                conn.rollback()
                return wish is not None
            try:
                self._go_on(conn, wish, twins=not last)
            except psycopg.errors.UniqueViolation:
                conn.rollback()
            else:
                conn.commit()
                return True
        return True

    def _go_on(self, conn: Connection, wish: Replay, *, twins: bool) -> None:
        """One step's work, without the commit. `twins`: the same message may be coming in just now; then raises
        UniqueViolation.
        """
        messages = held(
            conn,
            self._devices.municipality_id,
            wish.selection,
            after=wish.reached,
            through=wish.through,
            limit=STEP_MESSAGES,
            max_bytes=STEP_BYTES,
        )
        if not messages:
            advance(conn, wish, Counter(), reached=wish.through, finished_at=self._clock.now())
            log.info("quarantine read again", replay=wish.replay_id, messages=wish.done, accepted=wish.accepted)
            return
        items: list[_Item] = []
        until = time.monotonic() + READING_SECONDS
        for message in messages:
            row = read_again(message, self._devices.directory, self._possible, self._devices.sandbox)
            items.append((message.uplink_id, row))
            if time.monotonic() >= until:
                break
        result = self._written(conn, items, twins)
        advance(conn, wish, result.outcomes, reached=items[-1][0], finished_at=None)

    def _written(self, conn: Connection, items: list[_Item], twins: bool) -> BatchResult:
        """Writes all of them, of the poisonous ones only what can be stored in any case."""
        while True:
            result = self._attempt(conn, items, twins)
            if isinstance(result, BatchResult):
                return result
            found = refused(items, result, lambda item: item[1].device_id, lambda some: self._tried(conn, some, twins))
            if not found:
                # Only together they cannot be stored; the rest comes with the next step.
                items[len(items) // 2 :] = []
            for position, why in found.items():
                uplink_id, row = items[position]
                if row.reason == "store":
                    raise why
                detail = f"the database refused this message: {type(why).__name__}: {why}"
                items[position] = (uplink_id, bare(row, detail))

    def _tried(self, conn: Connection, some: Sequence[_Item], twins: bool) -> Exception | None:
        result = self._attempt(conn, some, twins, keep=False)
        return result if isinstance(result, Exception) else None

    def _attempt(
        self, conn: Connection, items: Sequence[_Item], twins: bool, *, keep: bool = True
    ) -> BatchResult | Exception:
        # Exactly one savepoint: a worker that waits for a row of one that is released waits from then on for the whole
        # transaction, also when what surrounds the savepoint is rolled back; and this one goes on to wait for it.
        try:
            with conn.transaction(force_rollback=not keep):
                return self._write(conn, items)
        except REFUSALS as refusal:
            if twins and isinstance(refusal, psycopg.errors.UniqueViolation):
                raise
            return refusal

    def _write(self, conn: Connection, items: Sequence[_Item]) -> BatchResult:
        judge = partial(through_gate, conn, self._devices.directory)
        past = self._past([row for _, row in items])
        return write_again(conn, self._devices.municipality_id, items, judge, past=past)

    def _past(self, rows: Sequence[UplinkRow]) -> dict[int, datetime]:
        """By datastream the newest value that says nothing of the present, because its device could be silent since."""
        now = self._clock.now()
        newest: dict[int, datetime] = {}
        for row in rows:
            device = None if row.device_key is None else self._devices.directory.device(row.device_key)
            if device is None:
                continue
            for observation in row.observations:
                at = observation.phenomenon_time
                if at <= now - device.silence_after:
                    newest[observation.datastream_id] = max(at, newest.get(observation.datastream_id, at))
        return newest

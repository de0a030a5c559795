"""Messages gathered into batches, by number and by time.

A batch is what one transaction writes. It is closed when it has `limit` messages, or `linger` seconds after its
first one, whichever comes first. The limit is at most half of what the broker hands out unacknowledged: while one
half is being written, the other can arrive; with a whole window in one batch the broker would stand still.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from ingest.broker import Broker

T = TypeVar("T")


def batch_limit(wanted: int, broker: Broker) -> int:
    """How many messages a batch may have with this broker (at least 1)."""
    return max(1, min(wanted, broker.max_unacked // 2))


class Batcher(Generic[T]):
    """A queue of messages that is emptied in batches; `put` from any thread, `take` from one."""

    def __init__(self, *, limit: int, linger: float) -> None:
        self.limit = limit
        self.linger = linger
        self._queue: SimpleQueue[T] = SimpleQueue()

    def put(self, message: T) -> None:
        """Adds one; never blocks (how many there can be is the giver's concern)."""
        self._queue.put(message)

    def take(self, *, timeout: float, linger: float | None = None) -> list[T]:
        """The next batch in the order of arrival; empty when nothing came within `timeout` seconds.

        `linger` instead of its own: 0 takes what is there.
        """
        try:
            batch = [self._queue.get(timeout=timeout)]
        except Empty:
            return []
        deadline = time.monotonic() + (self.linger if linger is None else linger)
        while len(batch) < self.limit:
            try:
                batch.append(self._queue.get(timeout=max(0.0, deadline - time.monotonic())))
            except Empty:
                break
        return batch

"""Whether a town keeps up with its devices: how far the database, and the answers to it, lie behind what was sent.

behind_s         the most that the newest stored message was behind the newest that the broker had acknowledged, by
                 the devices' ledger, in seconds of real time
queue            the most messages that the broker had and the database had not yet
feed_behind      {"analytics", "alerts"}: the most rows of the change feed that waited for an answer
queue_at_end, feed_behind_at_end     the same at the end
share_of_expected   messages that arrived, of those that the devices send in so much town time: less than 1 where they
                 themselves cannot keep the pace; None where there is no past to know it from
kept_up          behind_s at most `LIMIT`, and share_of_expected at least `SHARE`
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from store import Connection

LIMIT = 10.0  # s of real time
SHARE = 0.95
CONSUMERS = ("analytics", "alerts")


@dataclass
class Keeping:
    """Looks again and again. `conn` is the owner's, in autocommit; `ledger` is the file that the devices write."""

    conn: Connection
    ledger: Path
    speed: float
    behind: float = 0.0
    queue: int = 0
    feed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CONSUMERS, 0))
    feed_now: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CONSUMERS, 0))
    _read: int = 0
    _waiting: deque[datetime] = field(default_factory=deque)  # heard, of what was sent and not stored yet
    _newest: datetime | None = None
    _told: int = 0  # the newest message of the past, which no ledger has
    _stored: int = 0

    def begin(self) -> None:
        """To be called before the devices start: what is stored by then was told from a past."""
        self._told = self._one("select coalesce(max(uplink_id), 0) from uplink")

    def look(self) -> None:
        """One look."""
        self._hear()  # first: what is stored meanwhile makes the queue no longer
        # what a message was repeated stands in its row
        stored = self._one(
            f"select count(*) + coalesce(sum(repeats), 0) from uplink where uplink_id > {self._told}"  # noqa: S608
        )
        for _ in range(min(stored - self._stored, len(self._waiting))):
            self._waiting.popleft()
        self._stored = stored
        self.queue = max(self.queue, len(self._waiting))
        if self._waiting and self._newest is not None:
            self.behind = max(self.behind, (self._newest - self._waiting[0]).total_seconds() / self.speed)
        for consumer, waiting in self.conn.execute(
            "select consumer, (select coalesce(max(feed_id), 0) from feed) - feed_id from feed_cursor "
            "where consumer = any(%s)",
            (list(CONSUMERS),),
        ):
            self.feed_now[consumer] = int(waiting)
            self.feed[consumer] = max(self.feed[consumer], int(waiting))

    def forget(self) -> None:
        """What was the most so far belongs to the start: the watching begins."""
        self.look()
        self.behind, self.queue, self.feed = 0.0, 0, dict.fromkeys(CONSUMERS, 0)

    def figures(self, uplinks: int, seconds: float, an_hour: float | None) -> Mapping[str, Any]:
        """The figures of the module's docstring; so many messages arrived in so many seconds, and the devices send so
        many in an hour of town time.
        """
        share = None if not an_hour else uplinks / (an_hour * self.speed * seconds / 3600)
        return {
            "behind_s": round(self.behind, 2),
            "queue": self.queue,
            "queue_at_end": len(self._waiting),
            "feed_behind": dict(self.feed),
            "feed_behind_at_end": dict(self.feed_now),
            "messages_a_second": round(uplinks / seconds, 1),
            "share_of_expected": None if share is None else round(share, 3),
            "kept_up": self.behind <= LIMIT and (share is None or share >= SHARE),
        }

    def _hear(self) -> None:
        """Notes the deliveries that the broker has acknowledged since the last look."""
        if not self.ledger.exists():
            return
        with self.ledger.open("rb") as file:
            file.seek(self._read)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            sent = json.loads(line)
            if sent["what"] != "sent":
                continue
            heard = datetime.fromisoformat(sent["time"])
            # a late message is as new as those that it comes with
            self._newest = heard if self._newest is None else max(self._newest, heard)
            self._waiting.append(self._newest)

    def _one(self, query: str) -> int:
        row = self.conn.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])

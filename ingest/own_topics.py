"""The topics that a municipality has named itself, beside those that networks have of their own: they are listened to,
and how it stands with them is noted for the pages.

Contract
- What somebody has said on a page or the command line is listened to as soon as the directory has it, and what has
  ended is left, without a restart (`Sessions.listen`).
- A broker that refuses one of them costs only that one: `mqtt_source.refused_at` says so, and it is asked again.
- A town without such sources pays nothing for them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from devices.clock import Clock
from devices.envelopes import OWN_LEVELS
from ingest.message import Message
from ingest.sessions import Sessions
from ingest.settle import KnownDevices
from store.connection import Connection
from store.sources import note_heard, note_refused

# How soon the pages say that a source brings something.
HEARD_SECONDS = 10.0

_NETWORKS_OWN = tuple(f"{level}/" for level in OWN_LEVELS)


class OwnTopics:
    """For one worker, in its one thread."""

    def __init__(self, sessions: Sessions, known: KnownDevices, clock: Clock) -> None:
        self._sessions = sessions
        self._known = known
        self._clock = clock
        self._refused: frozenset[str] | None = None
        self._heard: dict[int, datetime] = {}  # by source: when it last brought something
        self._next_heard = time.monotonic()

    def hear(self, batch: Sequence[Message]) -> None:
        """Remembers which of the sources brought something."""
        definitions = self._known.directory.definitions
        if not definitions.mqtt:
            return
        for message in batch:
            if not message.topic.startswith(_NETWORKS_OWN):
                source = definitions.source_of(message.topic, message.received)
                if source is not None:
                    self._heard[source.source_id] = message.received

    def look(self, conn: Connection) -> None:
        """Listens to the sources that there are now, and notes how it stands with them. Commits what it notes."""
        definitions = self._known.directory.definitions
        self._sessions.listen(definitions)
        refused = self._sessions.refused
        if refused != self._refused and (refused or definitions.filters):
            note_refused(conn, self._known.municipality_id, refused, self._clock.now())
            conn.commit()
            self._refused = refused
        if self._heard and time.monotonic() >= self._next_heard:
            note_heard(conn, self._known.municipality_id, self._heard)
            conn.commit()
            self._heard = {}
            self._next_heard = time.monotonic() + HEARD_SECONDS

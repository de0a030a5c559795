"""A message as it came in, by whichever way."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Message(Struct, frozen=True, eq=False):
    """`received` is town time. What came by HTTP has the topic that `devices.envelopes.posted_topic` gave it."""

    topic: str
    raw: bytes
    received: datetime

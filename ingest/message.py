"""A message as it came in, by whichever way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """`received` is town time. What came by HTTP has the topic that `devices.envelopes.posted_topic` gave it."""

    topic: str
    raw: bytes
    received: datetime

"""Identifiers that a network makes up, always the same for the same thing, and times as it writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID, uuid5

_NAMESPACE = UUID("6d696d61-6d6f-7269-8000-746f776e0000")


def uuid(name: str) -> str:
    """The UUID of a thing that there is one of."""
    return str(uuid5(_NAMESPACE, name))


def message_id(*question: object) -> str:
    """A UUID's text for a message: of these there are many, and uuid5 takes its time."""
    digits = blake2b(" ".join(map(str, question)).encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def rfc3339(time: datetime, zone: str = "+00:00") -> str:
    """UTC, with nine digits of a second, as servers written in Go and Rust have it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000" + zone

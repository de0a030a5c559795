"""How a table of vectors is held: a message, and what is read of it. Each envelope has a table of its own beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from devices.envelopes import open_uplink, posted_topic
from devices.model import EnvelopeError, Uplink

EUI = "a84041ffff310001"
EUI_IN_BASE64 = "qEBB//8xAAE="
PAYLOAD = bytes.fromhex("01162eb30c")
IN_BASE64 = base64.b64encode(PAYLOAD).decode()
NOON = datetime(2026, 6, 1, 3, 0, 0, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@dataclass(frozen=True)
class Vector:
    """`gives`: what the uplink must say, by attribute; text: the words with which the message is refused."""

    name: str
    body: Any
    gives: Mapping[str, Any] | str
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return self.name


def opened(kind: str, vector: Vector) -> Uplink:
    raw = vector.body if isinstance(vector.body, bytes) else json.dumps(vector.body, ensure_ascii=False).encode()
    return open_uplink(posted_topic("a-source", kind, vector.query or {}, vector.headers or {}), raw)


def holds(kind: str, vector: Vector) -> None:
    """The vector is read as it says, or refused as it says."""
    if isinstance(vector.gives, str):
        with pytest.raises(EnvelopeError) as caught:
            opened(kind, vector)
        assert vector.gives in str(caught.value)
        assert kind in str(caught.value)
        return
    uplink = opened(kind, vector)
    assert {name: getattr(uplink, name) for name in vector.gives} == dict(vector.gives)


def without(body: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The body with these keys otherwise; ... takes one away."""
    changed = dict(body) | changes
    return {name: value for name, value in changed.items() if value is not ...}

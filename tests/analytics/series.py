"""Series of the demo town under a test's hand, delivered through the store as ingest does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

from analytics.service import NAME, handle
from devices.model import Outcome, Quality
from store.feed import Consumer
from store.writer import ObservationRow, UplinkRow, write_batch
from tests.conftest import START, Registered
from tests.connections import kept

Value = float | None | tuple[float, Quality]


@dataclass
class Analyst:
    """`send` stores a series as one uplink; `work` is the consumer's turn."""

    town: Registered
    _counter: Any = field(default_factory=lambda: count(1))

    def send(self, datastream_id: int, readings: Sequence[tuple[datetime, Value]]) -> None:
        n = next(self._counter)
        rows = []
        for time, reading in readings:
            value, quality = reading if isinstance(reading, tuple) else (reading, Quality.GOOD)
            rows.append(ObservationRow(datastream_id, time, value, Quality.MISSING if value is None else quality, None))
        uplink = UplinkRow(
            device_id=None,
            device_key="0011223344556677",
            session="01020304",
            counter=n,
            payload_hash=sha256(str(n).encode()).digest(),
            network="chirpstack_v4",
            topic="t",
            raw=b"{}",
            network_time=START + timedelta(seconds=n),
            received_time=START,
            outcome=Outcome.ACCEPTED,
            reason=None,
            detail=None,
            observations=tuple(rows),
        )
        with kept(self.town.worker) as conn:
            write_batch(conn, self.town.municipality_id, [uplink])

    def work(self) -> int:
        with kept(self.town.worker) as conn:
            return Consumer(self.town.worker, NAME).drain(conn, handle)

    def rows(self, query: str, *values: object) -> list[Any]:
        with kept(self.town.owner) as conn:
            return conn.execute(query.encode(), values).fetchall()

    def execute(self, query: str, *values: object) -> None:
        with kept(self.town.owner) as conn:
            conn.execute(query.encode(), values)

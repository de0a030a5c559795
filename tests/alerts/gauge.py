"""A gauge of the demo town under a test's hand: it delivers readings through the store as ingest does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

from alerts.evaluator import Evaluator
from alerts.shards import NAME
from devices.clock import FixedClock
from devices.model import Outcome, Quality, Reason
from store.feed import Consumer
from store.writer import ObservationRow, UplinkRow, write_batch
from tests.conftest import START, Registered
from tests.connections import kept

BRIDGE = "river-mimamoribashi"  # levels 2.00 2.60 3.20 3.60 4.40 since April 2026, margin 0.10, hold 30 min
KEY = "a84041ffff310003"
STEP = timedelta(minutes=10)

Reading = float | None | tuple[float | None, Quality, Reason | None]


@dataclass
class Gauge:
    """`send` stores readings; `evaluate` and `tick` are one evaluator's turn."""

    town: Registered
    clock: FixedClock
    _counter: Any = field(default_factory=lambda: count(1))

    @property
    def datastream_id(self) -> int:
        return self.town.datastream(BRIDGE, "water_level")

    @property
    def station_id(self) -> int:
        return self.town.directory.datastreams[self.datastream_id].station_id

    def send(self, readings: Sequence[tuple[datetime, Reading]], *, outcome: Outcome = Outcome.ACCEPTED) -> None:
        """One uplink a reading, received at the town's present time; all in one batch."""
        device = self.town.directory.device(KEY)
        assert device is not None
        rows = []
        for at, reading in readings:
            value, quality, reason = reading if isinstance(reading, tuple) else (reading, Quality.GOOD, None)
            n = next(self._counter)
            rows.append(
                UplinkRow(
                    device_id=device.device_id,
                    device_key=KEY,
                    session="01020304",
                    counter=n,
                    payload_hash=sha256(str(n).encode()).digest(),
                    network="chirpstack_v4",
                    topic=f"application/a/device/{KEY}/event/up",
                    raw=b"{}",
                    network_time=self.clock.now() + timedelta(seconds=n),
                    received_time=self.clock.now(),
                    outcome=outcome,
                    reason="codec" if outcome is Outcome.QUARANTINED else None,
                    detail=None,
                    observations=()
                    if outcome is not Outcome.ACCEPTED
                    else (ObservationRow(self.datastream_id, at, value, quality, reason),),
                )
            )
        with kept(self.town.worker) as conn:
            write_batch(conn, self.town.municipality_id, rows)

    def send_series(self, *values: Reading, start: datetime = START) -> None:
        self.send([(start + n * STEP, value) for n, value in enumerate(values)])

    def evaluate(self, *, mail: bool = False) -> None:
        with kept(self.town.worker) as conn:
            Consumer(self.town.worker, NAME).drain(conn, Evaluator(self.clock, mail=mail).handle)

    def tick(self, *, mail: bool = False) -> None:
        with kept(self.town.worker) as conn:
            Evaluator(self.clock, mail=mail).tick(conn)

    def listen(self, since: datetime | None) -> None:
        """Ingest's heartbeat, now."""
        with kept(self.town.worker) as conn:
            conn.execute(
                """
                insert into ingest_worker values ('w1', %s, %s, %s) on conflict (worker_id) do update
                    set (heartbeat_at, listening_since) = (excluded.heartbeat_at, excluded.listening_since)
                """,
                (self.town.municipality_id, self.clock.now(), since),
            )

    def history(self) -> list[tuple[str, int | None, datetime, float | None]]:
        """(event, level, phenomenon_time, value) in the order of writing."""
        return self.rows("select event, level, phenomenon_time, value from alert_history order by alert_history_id")

    def told(self) -> list[tuple[str, int | None]]:
        return [(row[0], row[1]) for row in self.history()]

    def rows(self, query: str, *values: object) -> list[Any]:
        with kept(self.town.owner) as conn:
            return conn.execute(query.encode(), values).fetchall()

    def wait_until_blocked(self) -> None:
        """Waits until some session of this database waits for a lock."""
        deadline = time.monotonic() + 60
        while not self.rows(
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ):
            assert time.monotonic() < deadline, "nobody ever waited"
            time.sleep(0.02)

    def user(self, role: str, email: str | None = None, name: str = "") -> int:
        """Makes an account and returns its id."""
        with kept(self.town.owner) as conn:
            row = conn.execute(
                "insert into app_user (municipality_id, login, display_name, role, email, password_hash) "
                "values (%s, %s, %s, %s, %s, '-') returning user_id",
                (self.town.municipality_id, email or name or role, name or role, role, email),
            ).fetchone()
        assert row is not None
        return int(row[0])

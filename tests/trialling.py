"""A station in trial under a test's hand: readings take the way of all messages through the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import count
from typing import Any

from devices.model import Outcome, Quality
from ingest.gate import judged, through_gate
from ingest.trial import counted
from store import connect, trials
from store.connection import Connection
from store.trials import NewTrial
from store.writer import ObservationRow, UplinkRow, write_batch
from tests.drilling import Drill
from tests.store.rights import as_api

KEY = "a84041ffff310003"


@dataclass
class Trialled(Drill):
    """`clock` is moved by the test; every call is a turn of one process."""

    _sent: Any = field(default_factory=lambda: count(1))

    def begin(
        self,
        *,
        properties: Sequence[str] = (),
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        persons: Sequence[int] = (),
    ) -> int:
        user = self.user("digital")
        new = NewTrial(self.station(), properties, starts_at, ends_at, "水位計の交換", persons)
        with as_api(self.town) as conn:
            return trials.begin(conn, self.town.municipality_id, new, clock=self.clock, user_id=user)

    def end(self, trial_id: int, *, counts: bool = False) -> None:
        user = self.user("digital")
        with as_api(self.town) as conn:
            trials.end(conn, self.town.municipality_id, trial_id, clock=self.clock, user_id=user, counts=counts)

    def take_up(self) -> bool:
        """One turn of what stores a trial that counts."""
        with connect(self.town.worker, name="test") as conn:
            return counted(conn, self.town.municipality_id, self.clock.now(), judged)

    def write(self, conn: Connection, observed: str, *values: tuple[datetime, float]) -> None:
        device = self.town.directory.device(KEY)
        assert device is not None
        series = self.town.datastream("river-mimamoribashi", observed)
        rows = []
        for at, value in values:
            n = next(self._sent)
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
                    outcome=Outcome.ACCEPTED,
                    reason=None,
                    detail=None,
                    observations=(ObservationRow(series, at, value, Quality.GOOD, None),),
                )
            )
        write_batch(conn, self.town.municipality_id, rows, partial(through_gate, conn, self.town.directory))

    def send(self, *values: tuple[datetime, float], observed: str = "water_level") -> None:
        with connect(self.town.worker, name="test") as conn:
            self.write(conn, observed, *values)

    def stored(self, *, real: bool, observed: str = "water_level") -> list[tuple[datetime, float]]:
        which = "is null" if real else "like 'trial:%%'"
        return self.rows(
            "select phenomenon_time, value from observation join datastream d using (datastream_id) "
            f"where d.drill_run {which} and d.station_id = %s and observed_property = %s order by 1",
            self.station(),
            observed,
        )

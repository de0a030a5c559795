"""A drill under a test's hand: planned as the page plans it, fed as ingest feeds it, judged as alerts judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.evaluator import Evaluator
from alerts.shards import NAME
from devices.clock import FixedClock
from ingest.drilling import look
from store import connect, drills
from store.drills import NewDrill
from store.feed import Consumer
from tests.conftest import Registered
from tests.store.rights import as_api

BRIDGE = "river-mimamoribashi"  # levels 2.00 2.60 3.20 3.60 4.40, margin 0.10, hold 30 min
STEP = timedelta(minutes=10)
FLOOD = (1.0, 1.6, 2.2, 2.8, 3.4, 3.7)
Values = Sequence[float]


@dataclass
class Drill:
    """`clock` is moved by the test; every call is a turn of one process."""

    town: Registered
    clock: FixedClock

    def user(self, role: str = "disaster") -> int:
        with connect(self.town.owner, name="test") as conn:
            row = conn.execute(
                "select user_id from app_user where role = %s and municipality_id = %s limit 1",
                (role, self.town.municipality_id),
            ).fetchone()
            if row is None:
                row = conn.execute(
                    "insert into app_user (municipality_id, login, display_name, role, password_hash) "
                    "values (%s, %s, %s, %s, '-') returning user_id",
                    (self.town.municipality_id, role, "防災 太郎", role),
                ).fetchone()
        assert row is not None
        return int(row[0])

    def station(self, code: str = BRIDGE) -> int:
        return self.town.directory.datastreams[self.town.datastream(code, "water_level")].station_id

    def plan(
        self,
        values: Values = FLOOD,
        *,
        persons: Sequence[int] = (),
        groups: Sequence[int] = (),
        stop_level: int = 2,
        speed: float = 1.0,
        name: str = "秋の図上訓練",
        step: timedelta = STEP,
    ) -> int:
        user = self.user()
        new = NewDrill(
            name,
            {"kind": "made", "start": values[0], "peak": max(values), "hours": 1.0},
            speed,
            stop_level,
            {(self.station(), "water_level"): [(n * step, value) for n, value in enumerate(values)]},
            persons,
            groups,
        )
        with as_api(self.town) as conn:
            return drills.plan(conn, self.town.municipality_id, new, now=self.clock.now(), user_id=user)

    def start(self, drill_id: int, at: datetime | None = None) -> None:
        user = self.user()
        now = self.clock.now()
        with as_api(self.town) as conn:
            drills.start(conn, self.town.municipality_id, drill_id, at or now, now=now, user_id=user)
        self.feed()

    def stop(self, drill_id: int) -> None:
        user = self.user()
        with as_api(self.town) as conn:
            drills.stop(conn, self.town.municipality_id, drill_id, now=self.clock.now(), user_id=user)

    def feed(self) -> bool:
        with connect(self.town.worker, name="test") as conn:
            return look(conn, self.town.municipality_id, self.clock.now())

    def judge(self, *, mail: bool = False) -> None:
        with connect(self.town.worker, name="test") as conn:
            Consumer(self.town.worker, NAME).drain(conn, Evaluator(self.clock, mail=mail).handle)

    def tick(self) -> None:
        with connect(self.town.worker, name="test") as conn:
            Evaluator(self.clock).tick(conn)

    def run(self, turns: int, *, mail: bool = False) -> None:
        """So many steps of ten minutes, all processes keeping up."""
        for _ in range(turns):
            self.feed()
            self.judge(mail=mail)
            self.clock.advance(STEP)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with connect(self.town.owner, name="test") as conn:
            return conn.execute(query.encode(), values).fetchall()

    def values(self) -> list[tuple[datetime, float, str, str | None]]:
        """What is stored of shadows, in the order of time."""
        return self.rows(
            "select phenomenon_time, value, quality::text, reason from observation "
            "join datastream using (datastream_id) where drill_run is not null order by 1"
        )

    def alerts(self) -> list[tuple[str, int, bool]]:
        """(mode, highest level, over) of each."""
        return self.rows("select mode, peak_level, cleared_at is not null from alert order by alert_id")

    def told(self) -> list[tuple[str, str, str]]:
        """(event, recipient, subject) of everything but the log, in the order of writing."""
        return self.rows(
            "select event, recipient, subject from outbox join alert_history using (alert_history_id) "
            "where channel <> 'log' order by outbox_id"
        )

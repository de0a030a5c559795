"""The learnt checks under a test's hand: a river at rest, and what of it is doubted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from analytics import doubts
from devices.clock import FixedClock
from store import connect
from store.feed import Consumer
from tests.analytics.series import Analyst
from tests.conftest import START

STEP = timedelta(minutes=10)
DAYS = 8
N = DAYS * 144
NOW = START + timedelta(days=40)
STORED = "select phenomenon_time, value, quality::text, reason from observation where datastream_id = %s order by 1"
EVENTS_OF = "select datastream_id, reason, first_time, last_time, n, usual from quality_event order by 1, 3"
EVENTS = "select reason, first_time, last_time, n, usual from quality_event order by quality_event_id"
DOUBTED = """
    select phenomenon_time, value, was_quality::text, was_reason, quality::text, reason from quality_verdict order by 1
"""


def at(n: int) -> datetime:
    return START + n * STEP


def calm(rows: int = N) -> list[float]:
    """A river at rest: a daily swing and a last digit."""
    rng = np.random.default_rng(3)
    swing = 0.05 * np.sin(np.arange(rows) / 144 * 2 * np.pi)
    return [round(float(value), 3) for value in 1.0 + swing + 0.004 * rng.standard_normal(rows)]


def judge(analyst: Analyst) -> int:
    with connect(analyst.town.worker, name="test") as conn:
        return Consumer(analyst.town.worker, doubts.NAME).drain(conn, doubts.Doubts(clock()).handle)


def clock() -> FixedClock:
    return FixedClock(NOW)


def level(analyst: Analyst) -> int:
    return analyst.town.datastream("river-mimamoribashi", "water_level")


def doubted(analyst: Analyst, datastream_id: int) -> list[Any]:
    return [row for row in analyst.rows(STORED, datastream_id) if row[2] != "good"]

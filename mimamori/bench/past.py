"""A past for a town: what its devices would have said so far, through decoding, gate and store, without a broker.

The same rows as ingest would have written, so that tables, rollups, findings and memory have the size they have in a
town that has been running for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile

import analytics
from alerts.evaluator import Evaluator
from alerts.shards import NAME as ALERTS
from analytics.config import AnalyticsConfig
from analytics.maintenance import keep_house
from devices.clock import FixedClock
from devices.town import load_town
from ingest.decode import decode
from ingest.gate import through_gate
from ingest.subscriber import Delivery
from quality.gate import CLOCK
from simulators.config import PERFECT, SimulatorConfig
from simulators.crowd import everybody
from simulators.frames import Frame
from simulators.towns import path as town_path
from store import Connection, connect
from store.feed import Consumer
from store.registry import load_directory
from store.writer import write_batch

_BATCH = 2000
_SECOND = timedelta(seconds=1)


def tell(
    dsn: str,
    municipality_id: int,
    devices: int,
    networks: tuple[str, ...],
    now: datetime,
    days: float,
    progress: Callable[[int, int], None],
) -> int:
    """Store the `days` before `now` of the demo's town, or of a larger one with so many devices, and what analytics and
    alerts make of them; how many messages that were.

    `dsn` is the owner's. The town must be registered and nothing may run on it yet. `progress` hears how many seconds
    of the past are told, of how many.
    """
    span = timedelta(days=days)
    config = SimulatorConfig("", 0, impairments=PERFECT, devices=devices, networks=networks)
    speaking = everybody(config, load_town(town_path()), origin=now, first=now - span)
    frames = takewhile(lambda frame: frame.heard < now - _SECOND, speaking.uplinks())
    possible = replace(CLOCK, behind=(span + timedelta(days=1)).total_seconds())
    told = 0
    with connect(dsn, name="bench") as conn:
        _make_room(conn, now - span, now)
        directory = load_directory(conn, municipality_id)
        for batch in _batches(frames):
            rows = [decode(_delivery(frame), directory, possible) for frame in batch]
            write_batch(conn, municipality_id, through_gate(conn, directory, rows))
            conn.commit()
            told += len(batch)
            progress((batch[-1].heard - (now - span)) // _SECOND, span // _SECOND)
    analytics.catch_up(AnalyticsConfig(dsn))
    with connect(dsn, name="bench") as conn:
        Consumer(dsn, ALERTS).drain(conn, Evaluator(FixedClock(now)).handle)
    with connect(dsn, name="bench", autocommit=True) as conn:
        # What the server would soon do in the background, and what is no part of a quiet hour.
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")
    return told


def _make_room(conn: Connection, first: datetime, last: datetime) -> None:
    """Partitions for the months of the past."""
    for month in (first, last):
        keep_house(conn, month)
    conn.commit()


def _delivery(frame: Frame) -> Delivery:
    return Delivery(frame.topic, frame.body(), frame.heard + _SECOND, 0, 0)


def _batches(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    while batch := list(islice(frames, _BATCH)):
        yield batch

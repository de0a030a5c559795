"""A town's tables after messages came in some order, in some batches, through some workers; to be compared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from analytics.service import handle
from devices.model import Quality, Reason
from ingest.again import judge_again
from ingest.gate import judged
from ingest.message import Message
from ingest.settle import KnownDevices, Settling
from quality.gate import CLOCK
from store.batch import ObservationRow
from store.connection import Connection
from store.feed import Consumer
from store.writer import write_history
from tests.brokers.running import DEADLINE
from tests.conftest import START, Registered
from tests.connections import kept
from tests.ingest.town import query

_TABLES = (
    "uplink observation observation_revision counter_reading device_status datastream_latest feed feed_cursor "
    "rollup_hour rollup_day night_flow finding alert_judged judge_again delivery_count frame_gap frame_run"
)


@dataclass(frozen=True)
class Statement:
    """What a person brings beside the messages: one value of a file or a form. Later ones correct earlier ones."""

    row: ObservationRow


Batch = Sequence[Message] | Statement


def stated(datastream_id: int, time: Any, value: float, quality: Quality, reason: Reason | None = None) -> Statement:
    return Statement(ObservationRow(datastream_id, time, value, quality, reason))


def forget(registered: Registered) -> None:
    """As if nothing had come yet."""
    with kept(registered.owner) as conn:
        for table in _TABLES.split():  # a few rows: quicker than to truncate
            conn.execute(f"delete from {table}".encode())


def arrive(registered: Registered, *workers: Sequence[Batch]) -> None:
    """Every worker settles its batches in their order, all workers at once; then what follows from it is worked out."""
    start = threading.Barrier(len(workers))
    failures: list[BaseException] = []

    def work(batches: Sequence[Batch]) -> None:
        try:
            with (
                kept(registered.worker) as conn,
                closing(KnownDevices(registered.municipality_id)) as devices,
            ):
                devices.refresh(conn)
                start.wait(DEADLINE)
                for batch in batches:
                    _settle(conn, devices, batch)
        except BaseException as failure:
            failures.append(failure)
            start.abort()

    threads = [threading.Thread(target=work, args=(batches,)) for batches in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    if failures:
        raise failures[0]
    with kept(registered.worker) as conn:
        judge_again(conn, registered.directory)
        Consumer(registered.worker, "analytics").drain(conn, handle)


def _settle(conn: Connection, devices: KnownDevices, batch: Batch) -> None:
    if isinstance(batch, Statement):
        judge: Callable[[Sequence[ObservationRow]], list[ObservationRow]] = lambda rows: judged(  # noqa: E731
            conn, devices.directory, rows
        )
        write_history(conn, devices.municipality_id, [batch.row], stated=START, judge=judge)
        conn.commit()
        return
    settling = Settling(conn, devices, batch, CLOCK)
    while not settling.over:
        settling.step(conn)


def tables(registered: Registered, *, derived: Sequence[int]) -> dict[str, list[tuple[Any, ...]]]:
    """What must not depend on how the messages came, table by table.

    Left out are ids, times of receipt, and what tells the way instead of the end: of `derived` datastreams which
    message a value was worked out with, and the values that were worked out before all messages were there. Of the
    revisions counts which values there have been beside the current one.
    """

    def rows(sql: str, *values: object) -> list[tuple[Any, ...]]:
        found = query(registered.owner, sql, *values)
        return [tuple(round(v, 9) if isinstance(v, float) else v for v in row) for row in found]

    return {
        "uplink": rows(
            "select device_key, session, counter, payload_hash, epoch, network_time, outcome, reason, repeats "
            "from uplink order by 1, 2, 3, 4, 5"
        ),
        "observation": rows(
            "select o.datastream_id, o.phenomenon_time, o.value, o.quality::text, o.reason, "
            "case when o.datastream_id <> all(%s) then u.payload_hash end "
            "from observation o left join uplink u using (uplink_id) order by 1, 2",
            list(derived),
        ),
        "revisions": rows(
            "select distinct r.datastream_id, r.phenomenon_time, r.value from observation_revision r "
            "join observation o using (datastream_id, phenomenon_time) "
            "where r.value is distinct from o.value and r.datastream_id <> all(%s) order by 1, 2, 3",
            list(derived),
        ),
        "counters": rows(
            "select datastream_id, slot, read_at, device_id, count, restarts, latest, doubtful "
            "from counter_reading order by 1, 2"
        ),
        "batteries": rows("select device_id, battery, battery_low, measured_at from device_status order by 1"),
        "latest": rows(
            "select datastream_id, phenomenon_time, value, quality::text, reason, measured_time, measured_value, "
            "measured_quality::text, first_time from datastream_latest order by 1"
        ),
        "hours": rows("select * from rollup_hour order by datastream_id, hour"),
        "days": rows("select * from rollup_day order by datastream_id, day"),
        "nights": rows("select * from night_flow order by datastream_id, day"),
        "findings": rows(
            "select station_id, datastream_id, kind, started_at, ended_at, value, usual, score, detail::text "
            "from finding order by 1, 3, 4"
        ),
    }


def counted(registered: Registered) -> tuple[int, int]:
    """Messages by the uplink table (each once, and its repetitions), and by the count from inside, which must close."""
    ((by_uplink,),) = query(registered.owner, "select coalesce(sum(1 + repeats), 0)::bigint from uplink")
    assert not query(
        registered.owner,
        "select * from delivery_count where delivered <> accepted + event + duplicate + quarantined "
        "or given <> stored + unchanged + revised",
    )
    ((delivered,),) = query(registered.owner, "select coalesce(sum(delivered), 0)::bigint from delivery_count")
    return by_uplink, delivered

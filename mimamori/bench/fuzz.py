"""`mimamori bench fuzz`: messages of every kind and no kind through the settling path; do both counts close?

A database of its own with the demo town in it is given messages as a broker or a webhook would bring them: readings of
every network, the same ones damaged (cut off, bytes changed or put in, numbers and times of the strangest kind, keys
gone), repetitions, senders that nobody registered, and noise. Each goes through `ingest.settle` - decoded, judged,
written, committed - as in a worker, and nothing of it may raise.

The JSON object:

    messages, seconds, messages_per_second   what was delivered, and how long settling took (without making them up)
    judging_again          {seconds, changed}: besides, what a worker does about late values between the batches, and
                           how many verdicts that changed
    outcomes, reasons      what became of them: accepted, event, duplicate, quarantined; of these, why
    settled                how many were given an outcome, each once, as the settling path returned them
    uplinks, repeats       rows of `uplink`, and the repetitions they count
    values                 {given, stored, unchanged, revised, rejected}, by the writer's own count
    closed                 {uplinks, inside, values}: uplinks + repeats = messages; of every device and hour, and in
                           all, delivered = accepted + event + duplicate + quarantined; given = stored + unchanged +
                           revised
    all_closed             whether all of these are; the exit code is 1 where they are not
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, LiteralString

import structlog

from devices.clock import ClockSetting, real_now
from devices.town import load_town
from ingest.again import judge_again
from ingest.message import Message
from ingest.settle import KnownDevices, Settling
from mimamori.bench.noise import Noise
from mimamori.bench.report import Row
from quality.gate import CLOCK
from simulators import towns
from store import Connection, connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
BATCH = 500


@dataclass(frozen=True, slots=True)
class FuzzBench:
    """How many messages, and which: another seed brings other ones."""

    messages: int
    seed: int


def measure(options: FuzzBench, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Settles the messages in a database of its own, which is gone afterwards, and counts."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for the figures
    with tempfile.TemporaryDirectory(prefix="mimamori-fuzz-") as folder, EmbeddedServer(Path(folder)) as server:
        migrate(server.dsn())
        with connect(server.dsn(), name="fuzz") as conn:
            municipality_id = sync_town(conn, load_town(towns.path()))
            write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=BEGIN, speed=1.0))
        with connect(server.dsn("worker"), name="fuzz") as conn, closing(KnownDevices(municipality_id)) as devices:
            return settle_all(conn, devices, options, progress)


def settle_all(
    conn: Connection, devices: KnownDevices, options: FuzzBench, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """The same in a given, empty database, with the rights of a worker."""
    devices.refresh(conn)
    coming: Iterator[Message] = iter(Noise(options.seed, BEGIN))
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    done, seconds, seconds_again, changed = 0, 0.0, 0.0, 0
    while done < options.messages:
        batch = list(islice(coming, min(BATCH, options.messages - done)))
        begun = time.monotonic()
        settling = Settling(conn, devices, batch, CLOCK)
        open_ = {id(message) for message in batch}
        while not settling.over:
            for settled in settling.step(conn):
                open_.remove(id(settled.message))  # once, and no other
                outcomes[settled.outcome.value] += 1
                if settled.reason is not None:
                    reasons[settled.reason] += 1
        if open_:
            raise AssertionError(f"{len(open_)} messages of a batch were left without an outcome")
        seconds += time.monotonic() - begun
        done += len(batch)
        progress(done, options.messages)
        if done % (20 * BATCH) == 0 or done == options.messages:  # a worker does it from time to time
            begun = time.monotonic()
            changed += judge_again(conn, devices.directory)
            seconds_again += time.monotonic() - begun
    return {
        "messages": done,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "messages_per_second": round(done / seconds) if seconds else 0,
        "judging_again": {"seconds": round(seconds_again, 1), "changed": changed},
        "outcomes": dict(outcomes),
        "reasons": dict(reasons),
        "settled": outcomes.total(),
    } | _counts(conn, done, outcomes)


def _counts(conn: Connection, messages: int, outcomes: Counter[str]) -> dict[str, Any]:
    def row(sql: LiteralString) -> tuple[int, ...]:
        found = conn.execute(sql).fetchone()
        assert found is not None
        return tuple(int(number or 0) for number in found)

    uplinks, repeats = row("select count(*), sum(repeats) from uplink")
    delivered, *told = row(
        "select sum(delivered), sum(accepted), sum(event), sum(duplicate), sum(quarantined) from delivery_count"
    )
    inside = dict(zip(("accepted", "event", "duplicate", "quarantined"), told, strict=True))
    sums = row("select sum(given), sum(stored), sum(unchanged), sum(revised), sum(rejected) from delivery_count")
    values = dict(zip(("given", "stored", "unchanged", "revised", "rejected"), sums, strict=True))
    (open_hours,) = row(
        "select count(*) from delivery_count where delivered <> accepted + event + duplicate + quarantined"
    )
    (open_values,) = row("select count(*) from delivery_count where given <> stored + unchanged + revised")
    closed = {
        "uplinks": uplinks + repeats == messages == outcomes.total() and repeats == outcomes["duplicate"],
        "inside": open_hours == 0 and delivered == messages and all(outcomes[name] == n for name, n in inside.items()),
        "values": open_values == 0,
    }
    return {
        "uplinks": uplinks,
        "repeats": repeats,
        "values": values,
        "closed": closed,
        "all_closed": all(closed.values()),
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The lines of the table for people."""
    lines: list[Row] = [("delivered", f"{figures['messages']:,}")]
    lines += [(name, f"{n:,}") for name, n in sorted(figures["outcomes"].items())]
    lines += [(f"  quarantined: {name}", f"{n:,}") for name, n in sorted(figures["reasons"].items())]
    lines += [("rows of uplink + repetitions", f"{figures['uplinks']:,} + {figures['repeats']:,}")]
    lines += [(f"values {name}", f"{n:,}") for name, n in figures["values"].items()]
    lines += [(f"count closed: {name}", "yes" if yes else "NO") for name, yes in figures["closed"].items()]
    return lines

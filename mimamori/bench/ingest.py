"""`mimamori bench ingest`: how fast messages become committed rows, beside what the broker gives out at all.

A broker and a PostgreSQL of their own, configured as in a town, and workers as a town runs them, each a process. What
they take up is queued in their sessions before the clock starts. Each round measures all of these one after the other,
so that a busy machine is busy for all of them, and the ratio of a round is the figure to compare:

    C client    `mosquitto_sub` with QoS 1 and a session, writing to nowhere: the limit
    receivers   the MQTT client alone, acknowledging at once: paho as it is, and in blocks (`ingest.mqtt_client`)
    two workers rows committed a second: two workers that share the subscription, full gate
    one worker  processor time a row, in all and by stage; the same for ChirpStack messages with a Python codec

Then once (`mimamori.bench.ingest_outage`): messages that come steadily, until they are committed; and the backlog of a
day's outage through workers, rollups and the judging of alerts.

The JSON object (figures of several rounds are medians; `rounds` has each):

    broker, messages, sensors          whose figures these are, messages a measurement, gauges
    c_client_rows_s                    null where mosquitto_sub is not installed
    two_workers_rows_s, ratio_to_c_client, ratio_target
    receive_us                         {"paho", "in_blocks"}: processor time a message of a receiver
    worker_us_a_row, worker_us_target  one worker, all in; `stages_us` leaves out its start and what is between
    chirpstack_us_a_row, chirpstack_stages_us, chirpstack_rows_s    one worker
    database_us_a_row, broker_us_a_row beside the one worker
    latency                            {"messages_s", "seconds", "p50_ms", "p99_ms", "p99_target_ms"}
    backlog_readings, backlog_seconds, backlog_target    until rollups and alerts have answered everything
    backlog_ingest_seconds, backlog_alerts, backlog_fill_seconds
    backlog_us_a_reading               processor time of each process; two workers as `ingest`
    worker_rss_mb, worker_rss_target   the most that a worker had, in any of these
    within_targets                     by name
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from devices.clock import ClockSetting, real_now
from devices.town import load_town
from ingest.broker import Broker, end_session
from ingest.config import IngestConfig
from ingest.embedded import EmbeddedBroker
from mimamori.bench.bulk import Bulk, make_session
from mimamori.bench.flood import STEP, Flood, Kind, flooded_town
from mimamori.bench.ingest_figures import figures_of, rounded
from mimamori.bench.ingest_processes import STAGES, Receiver, Worker
from mimamori.bench.report import say
from mimamori.consumption import processor_seconds
from mimamori.embedded import BrokerChoice, refuse_real_channels, start_storage
from mimamori.errors import StartError
from mimamori.places import sole_user
from mimamori.stopping import interruptible
from mimamori.supervisor import Supervisor
from simulators.towns import path as town_path
from store import Connection, connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

START = datetime(2026, 6, 1, tzinfo=UTC)
_C_CLIENT = "mosquitto_sub"
_PATIENCE = 300.0  # s without progress
_STILL = 1.0  # s without a new row
_LOOK_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class IngestBench:
    """What the command line said. `backlog` in readings; `rate` in messages a second, for `seconds`."""

    messages: int
    rounds: int
    sensors: int
    backlog: int
    rate: int
    seconds: float
    broker: BrokerChoice


@dataclass
class Place:
    """The running storage, and what is measured in it."""

    server: EmbeddedServer
    embedded: EmbeddedBroker
    supervisor: Supervisor
    municipality: str
    sensors: int
    environment: Mapping[str, str]
    floods: int = 0
    rss_mb: float = 0.0

    @property
    def broker(self) -> Broker:
        return self.embedded.broker

    def flood(self, kind: Kind) -> Flood:
        """Messages that have not been before."""
        self.floods += 1
        # A day apart each, so that the gauges go on instead of being told again what they said.
        steps = (self.floods - 1) * 144
        return Flood(kind, self.sensors, START + steps * STEP, self.floods)

    def configs(self, workers: int) -> list[IngestConfig]:
        return [
            IngestConfig(
                f"bench-{workers}-{n}", self.server.dsn("worker"), self.municipality, self.broker, shared=workers > 1
            )
            for n in range(workers)
        ]

    def processor(self) -> dict[str, float]:
        """Seconds that database and broker have worked so far."""
        return processor_seconds(self.supervisor.pids())

    def look(self, workers: Sequence[Worker]) -> None:
        """Keeps the most memory seen. StartError where a worker has ended."""
        for worker in workers:
            if not worker.alive:
                raise StartError("an ingest worker has ended while it was measured")
            self.rss_mb = max(self.rss_mb, psutil.Process(worker.pid).memory_info().rss / 1e6)


@dataclass(frozen=True, slots=True)
class Ingested:
    """A queue that workers have emptied: seconds, and processor time a row in microseconds."""

    seconds: float
    worker_us: float
    stages_us: dict[str, float]
    database_us: float
    broker_us: float


def measure(options: IngestBench, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run the bench; the figures. StartError where something of it does not start, or ends meanwhile."""
    from mimamori.bench.ingest_outage import backlog, latency

    refuse_real_channels(environment, "the bench's town is not real")
    with standing(options.sensors, options.broker, environment) as place:
        rounds = []
        for n in range(options.rounds):
            say(f"round {n + 1} of {options.rounds}")
            rounds.append(_round(place, options.messages))
        say(f"{options.rate} messages a second for {options.seconds:g} s")
        delays = latency(place, options.rate, options.seconds)
        say(f"a backlog of {options.backlog} readings")
        outage = backlog(place, options.backlog)
        measured = {"broker": place.embedded.kind, "messages": options.messages, "sensors": options.sensors}
        return figures_of(measured, rounds, delays, outage, place.rss_mb)


@contextmanager
def standing(sensors: int, kind: BrokerChoice, environment: Mapping[str, str]) -> Iterator[Place]:
    """A database with a town of so many gauges, and a broker; gone afterwards."""
    town = flooded_town(load_town(town_path()), sensors)
    with tempfile.TemporaryDirectory(prefix="mimamori-bench-", ignore_cleanup_errors=True) as made, interruptible():
        data = Path(made)
        with sole_user(data), Supervisor(data / "logs", say=say) as supervisor:
            server, broker = start_storage(data, kind, environment, supervisor, say=say)
            migrate(server.dsn("owner"))
            with connect(server.dsn("owner"), name="bench") as conn:
                sync_town(conn, town)
                write_clock(conn, _clock())
                for month in range(6, 10):
                    conn.execute("select observation_partition(%s)", (START.replace(month=month),))
            yield Place(server, broker, supervisor, town.municipality.code, sensors, environment)


def _clock() -> ClockSetting:
    """Later than everything that will be said: it is all history by a few months at most, and none of it impossible."""
    return ClockSetting(simulated=True, real_start=real_now(), town_start=START + timedelta(days=90), speed=1.0)


# --- a round ----------------------------------------------------------------------------------------------


def _round(place: Place, messages: int) -> dict[str, Any]:
    c_client = _c_client(place, messages)
    receive = {name: _received(place, messages, in_blocks=name == "in_blocks") for name in ("paho", "in_blocks")}
    two = ingest(place, Kind.OWN, messages, workers=2) if place.broker.shared else None
    own = ingest(place, Kind.OWN, messages, workers=1)
    chirpstack = ingest(place, Kind.CHIRPSTACK, messages, workers=1)
    return {
        "c_client_rows_s": None if c_client is None else round(messages / c_client, 1),
        "two_workers_rows_s": None if two is None else round(messages / two.seconds, 1),
        "ratio_to_c_client": None if two is None or c_client is None else round(c_client / two.seconds, 3),
        "one_worker_rows_s": round(messages / own.seconds, 1),
        "worker_us_a_row": round(own.worker_us, 1),
        "stages_us": rounded(own.stages_us),
        "database_us_a_row": round(own.database_us, 1),
        "broker_us_a_row": round(own.broker_us, 1),
        "receive_us": rounded(receive),
        "chirpstack_rows_s": round(messages / chirpstack.seconds, 1),
        "chirpstack_us_a_row": round(chirpstack.worker_us, 1),
        "chirpstack_stages_us": rounded(chirpstack.stages_us),
    }


def _c_client(place: Place, messages: int) -> float | None:
    """Seconds in which mosquitto_sub empties a queue; None where it is not installed."""
    executable = shutil.which(_C_CLIENT)
    if executable is None:
        return None
    broker, name = place.broker, "bench-c-client"
    flood = place.flood(Kind.OWN)
    with _queued(broker, {name: [flood.kind.topic_filter]}, flood, messages):
        command = [
            executable, "-h", broker.host, "-p", str(broker.port), "-u", broker.username or "",
            "-P", broker.password or "", "-i", name, "-c", "-q", "1", "-t", flood.kind.topic_filter,
            "-C", str(messages),
        ]  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=_PATIENCE, check=False)
        if done.returncode != 0:
            raise StartError(f"{_C_CLIENT} ended with status {done.returncode}")
        return time.monotonic() - began


def _received(place: Place, messages: int, *, in_blocks: bool) -> float:
    """Microseconds of processor time a message of a receiver."""
    name = "bench-receiver"
    flood = place.flood(Kind.OWN)
    with (
        _queued(place.broker, {name: [flood.kind.topic_filter]}, flood, messages),
        Receiver(place.broker, name, messages, in_blocks=in_blocks) as receiver,
    ):
        receiver.go()
        return 1e6 * receiver.wait().total / messages


def ingest(place: Place, kind: Kind, messages: int, *, workers: int) -> Ingested:
    """So many messages, queued, through so many workers into the database."""
    configs = place.configs(workers)
    sessions = {config.client_id: config.filters().wanted for config in configs}
    flood = place.flood(kind)
    with _queued(place.broker, sessions, flood, messages), ExitStack() as stack:
        stack.callback(end_sessions, place.broker, configs)
        running = [stack.enter_context(Worker(config)) for config in configs]
        before = place.processor()
        began = time.monotonic()
        for worker in running:
            worker.go()
        committed(place, flood, messages, running)
        seconds = time.monotonic() - began
        after = place.processor()
        used = [worker.stop() for worker in running]
    a_row = 1e6 / messages
    return Ingested(
        seconds,
        a_row * sum(each.total for each in used),
        {stage: a_row * sum(each.stages.get(stage, 0.0) for each in used) for stage in STAGES},
        a_row * (after["postgres"] - before["postgres"]),
        a_row * (after["broker"] - before["broker"]),
    )


def end_sessions(broker: Broker, configs: Sequence[IngestConfig]) -> None:
    """The broker forgets the workers."""
    for config in configs:
        end_session(broker, config.client_id)
        end_session(broker, config.spare_client_id)


def committed(place: Place, flood: Flood, messages: int, workers: Sequence[Worker]) -> None:
    """Returns when that many messages of the flood are in the database, accepted. StartError where they are not."""
    session = f"r{flood.run}" if flood.kind is Kind.OWN else f"{flood.run:08x}"
    last, moved = 0, time.monotonic()
    with connect(place.server.dsn("owner"), name="bench", autocommit=True) as conn:
        first = _newest(conn)
        # Ids are taken in order, so that the newest tells when it is worth counting.
        base = _count(conn, session)
        while True:
            newest = _newest(conn)
            if newest != last:
                last, moved = newest, time.monotonic()
            # Of two workers one may commit smaller ids later: when nothing moves any more it is worth counting too.
            still = time.monotonic() - moved > _STILL
            if (newest - first + base >= messages or still) and _count(conn, session) >= messages:
                return
            if time.monotonic() - moved > _PATIENCE:
                raise StartError(f"{_count(conn, session)} of {messages} messages came in, and then no more")
            place.look(workers)
            time.sleep(_LOOK_EVERY)


def _newest(conn: Connection) -> int:
    row = conn.execute("select coalesce(max(uplink_id), 0) from uplink").fetchone()
    assert row is not None
    return int(row[0])


def _count(conn: Connection, session: str) -> int:
    row = conn.execute("select count(*) from uplink where session = %s and outcome = 'accepted'", (session,)).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def _queued(broker: Broker, sessions: Mapping[str, Sequence[str]], flood: Flood, messages: int) -> Iterator[None]:
    """The sessions with so many messages waiting in them; gone afterwards."""
    for client_id, filters in sessions.items():
        make_session(broker, client_id, filters)
    with Bulk(broker, "bench-publisher") as bulk:
        bulk.publish(flood.messages(messages))
    try:
        yield
    finally:
        for client_id in sessions:
            end_session(broker, client_id)

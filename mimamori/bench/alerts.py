"""`mimamori bench alerts`: how long it takes from a reading that is sent to a notification that is handed over.

A broker and a PostgreSQL of their own, a town of gauges, two ingest workers, analytics and alerts, each a process as in
a town. One gauge in twenty rises and falls through its reference levels all the time; each step of its alert is a
notification, by the log, the one channel that a simulated town may use. Its time is that between the sending of the
reading that made the step, and the hand-over that the outbox notes (`outbox.sent_at`); both by the machine's clock.

    steady     so many readings a second
    backlog    what a town measured in a day's outage waits with the broker; beside it what is measured now comes at
               `live` readings a second, from when the workers begin until everything has been judged, and until
               each of their gauges has risen or fallen through its levels

The JSON object:

    p50_seconds, p95_seconds, p99_seconds, worst_seconds, notifications    steady
    first          the same of the WARMING seconds before, in which everything is done for the first time; None where no
                   alert moved in them
    readings_s, seconds, not_told    not_told: steps whose notification was not handed over in the end; 0 is right
    targets        {p95_seconds, p99_seconds, backlog_p95_seconds}
    backlog        {readings, seconds, live_s, notifications, p50_seconds, p95_seconds, p99_seconds, worst_seconds,
                   not_told}
    judging, rehearsing    of rules that staff write, without the database: `mimamori.bench.rules`
    judging_stored, rehearsing_stored    the same with it, as a town does it: `mimamori.bench.rules_stored`
    within_targets     {name: bool}
    broker, sensors
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from mimamori.bench.bulk import Bulk, make_session
from mimamori.bench.flood import STEP, Flood, Kind, device_key, level
from mimamori.bench.ingest import Place, committed, end_sessions, standing
from mimamori.bench.ingest_outage import wait_until_heard
from mimamori.bench.ingest_processes import Worker
from mimamori.bench.report import Row, say
from mimamori.bench.rules import judging, rehearsing
from mimamori.bench.rules_stored import stored
from mimamori.embedded import BrokerChoice, caught_up, child_environment, refuse_real_channels, start_rooms
from mimamori.errors import StartError
from store import Connection, connect

TARGETS = {"p95_seconds": 0.4, "p99_seconds": 1.0, "backlog_p95_seconds": 2.0}

_RESTLESS = 20  # one gauge in so many
_WAVE = 48  # steps in which it rises and falls
_A_TICK = 0.005  # s between two handfuls
_PATIENCE = 300.0
WARMING = 5.0


@dataclass(frozen=True, slots=True)
class AlertsBench:
    """What the command line said. `rate` and `live` in readings a second; `backlog` in readings; `rules` judged through
    the database.
    """

    rate: int
    seconds: float
    backlog: int
    live: int
    sensors: int
    broker: BrokerChoice
    rules: int


@dataclass(frozen=True, slots=True)
class Restless(Flood):
    """One gauge in twenty goes through its levels without end, each at its own time. `only`: no other speaks."""

    only: bool = False

    def messages(self, count: int, skip: int = 0) -> Iterator[tuple[str, bytes]]:
        return (self._own(*self.said(n)) for n in range(skip, skip + count))

    def said(self, n: int) -> tuple[int, int]:
        """Which gauge says the message of that number, and at which step."""
        if self.only:
            gauges = self.sensors // _RESTLESS
            return n % gauges * _RESTLESS + 1, n // gauges
        return n % self.sensors, n // self.sensors

    def _level(self, sensor: int, step: int) -> float:
        if sensor % _RESTLESS != 1:
            return level(sensor, step)
        phase = 2 * math.pi * (step / _WAVE + sensor / 83)
        return round(1.3 - 0.8 * math.cos(phase), 3)


@dataclass
class Sent:
    """When each reading was sent, in seconds since 1970: (device, step of the flood) -> time."""

    flood: Restless
    at: dict[tuple[str, int], float] = field(default_factory=dict)
    count: int = 0

    def publish(self, place: Place, rate: int, until: threading.Event, most: float = math.inf) -> None:
        """At a steady rate, until it is told or that many are sent."""
        messages = self.flood.messages(10**9)
        with Bulk(place.broker, f"bench-live-{self.flood.run}") as bulk:
            began = time.monotonic()
            while not until.is_set() and self.count < most:
                due = int(min(most, rate * (time.monotonic() - began) + 1))
                some = list(islice(messages, due - self.count))
                now = time.time()
                for n in range(self.count, due):
                    sensor, step = self.flood.said(n)
                    self.at[device_key(Kind.OWN, sensor), step] = now
                bulk.publish(some)
                self.count = due
                time.sleep(_A_TICK)


def measure(options: AlertsBench, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run the bench; the figures. StartError where something of it does not start, or ends meanwhile."""
    refuse_real_channels(environment, "the bench's town is not real")
    with standing(options.sensors, options.broker, environment) as place:
        with connect(place.server.dsn("owner"), name="bench") as conn:
            # What the gauges say here is of other days than today, and is to be told all the same.
            conn.execute("update station set tell_within = interval '1 year'")
        start_rooms(
            ("analytics", "alerts"), child_environment(environment, place.server, place.embedded), place.supervisor
        )
        say(f"{options.rate} readings a second for {options.seconds:g} s")
        steady = _steady(place, options)
        say(f"a backlog of {options.backlog} readings, and {options.live} a second beside it")
        outage = _backlog(place, options)
        say("rules that staff write")
        rules = {"judging": judging(), "rehearsing": rehearsing(), **stored(place.server, options.rules)}
        kept = {
            "p95_seconds": steady["p95_seconds"] <= TARGETS["p95_seconds"],
            "p99_seconds": steady["p99_seconds"] <= TARGETS["p99_seconds"],
            "backlog_p95_seconds": outage["p95_seconds"] <= TARGETS["backlog_p95_seconds"],
            **{name: each["kept"] for name, each in rules.items()},
        }
        return {
            **steady,
            "readings_s": options.rate,
            "seconds": options.seconds,
            "targets": TARGETS,
            "backlog": outage,
            **rules,
            "within_targets": kept,
            "broker": place.embedded.kind,
            "sensors": options.sensors,
        }


def _flood(place: Place, *, only: bool = False) -> Restless:
    flood = place.flood(Kind.OWN)
    return Restless(flood.kind, flood.sensors, flood.start, flood.run, only=only)


@contextmanager
def _workers(place: Place) -> Iterator[list[Worker]]:
    """Two of them (one, where the broker cannot share), that wait for the word."""
    configs = place.configs(2 if place.broker.shared else 1)
    with ExitStack() as stack:
        stack.callback(end_sessions, place.broker, configs)
        for config in configs:
            make_session(place.broker, config.client_id, config.filters().wanted)
        yield [stack.enter_context(Worker(config)) for config in configs]


def _go(place: Place, conn: Connection, workers: Sequence[Worker]) -> None:
    """Says the word, and waits until all of them hear the broker: nobody measures how a town starts."""
    for worker in workers:
        worker.go()
    for config in place.configs(len(workers)):
        wait_until_heard(conn, config.worker_id)


def _steady(place: Place, options: AlertsBench) -> dict[str, Any]:
    sent = Sent(_flood(place))
    with _workers(place) as workers, connect(place.server.dsn("owner"), name="bench", autocommit=True) as conn:
        place.supervisor.wait(lambda: caught_up(conn), what="analytics and alerts", timeout=_PATIENCE)
        _go(place, conn, workers)
        sent.publish(place, options.rate, threading.Event(), options.rate * (WARMING + options.seconds))
        committed(place, sent.flood, sent.count, workers)
        place.supervisor.wait(lambda: caught_up(conn), what="alerts", timeout=_PATIENCE)
        took, not_told = _told(place, conn, sent)
        warm = min(sent.at.values()) + WARMING
        first = [seconds for at, seconds in took if at < warm]
        figures = {
            **_figures([seconds for at, seconds in took if at >= warm]),
            "not_told": not_told,
            "first": _figures(first) if first else None,
        }
        for worker in workers:
            worker.stop()
    return figures


def _backlog(place: Place, options: AlertsBench) -> dict[str, Any]:
    waiting = _flood(place)
    # what is measured now begins where the backlog ends
    steps = math.ceil(options.backlog / options.sensors)
    place.floods += math.ceil(steps * STEP / (place.flood(Kind.OWN).start - waiting.start))
    sent = Sent(_flood(place, only=True))
    over = threading.Event()
    with _workers(place) as workers, connect(place.server.dsn("owner"), name="bench", autocommit=True) as conn:
        with Bulk(place.broker, "bench-publisher") as bulk:
            bulk.publish(waiting.messages(options.backlog))
        live = threading.Thread(target=sent.publish, args=(place, options.live, over), daemon=True)
        began = time.monotonic()
        for worker in workers:
            worker.go()
        live.start()
        committed(place, waiting, options.backlog, workers)
        stored = conn.execute("select max(feed_id) from feed").fetchone()
        assert stored is not None
        place.supervisor.wait(lambda: caught_up(conn, stored[0]), what="rollups and alerts", timeout=_PATIENCE)
        seconds = time.monotonic() - began
        # A small backlog is gone before any of the live gauges has come to a level.
        least = sent.flood.sensors // _RESTLESS * _WAVE // 2
        place.supervisor.wait(lambda: sent.count >= least, what="the live readings", timeout=_PATIENCE)
        over.set()
        live.join()
        committed(place, sent.flood, sent.count, workers)
        place.supervisor.wait(lambda: caught_up(conn), what="alerts", timeout=_PATIENCE)
        took, not_told = _told(place, conn, sent)
        for worker in workers:
            worker.stop()
    return {
        "readings": options.backlog,
        "seconds": round(seconds, 1),
        "live_s": options.live,
        **_figures([each for _, each in took]),
        "not_told": not_told,
    }


def _told(place: Place, conn: Connection, sent: Sent) -> tuple[list[tuple[float, float]], int]:
    """When the reading of each step of an alert was sent, and how many seconds later its notification was handed over;
    and how many steps were not told.
    """
    first, last = sent.flood.start, sent.flood.start + sent.count * STEP
    steps = """
        select s.code, h.phenomenon_time, o.sent_at
        from alert_history h join alert a using (alert_id) join station s on s.station_id = a.station_id
        join outbox o on o.alert_history_id = h.alert_history_id and o.channel = 'log'
        where a.rule = 'level' and h.phenomenon_time >= %s and h.phenomenon_time < %s
        """
    deadline = time.monotonic() + _PATIENCE
    while True:
        found = conn.execute(steps, (first, last)).fetchall()
        not_told = sum(row[2] is None for row in found)
        if not not_told or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    took = [
        (at, handed.timestamp() - at)
        for code, of, handed in found
        if handed is not None
        and (at := sent.at.get((f"gauge-{code.rpartition('-')[2]}", round((of - first) / STEP)))) is not None
    ]
    return took, not_told


def _figures(took: Sequence[float]) -> dict[str, Any]:
    if not took:
        raise StartError("no alert has moved: nothing was measured")
    p50, p95, p99, worst = (round(float(each), 3) for each in np.percentile(took, (50, 95, 99, 100)))
    return {
        "p50_seconds": p50,
        "p95_seconds": p95,
        "p99_seconds": p99,
        "worst_seconds": worst,
        "notifications": len(took),
    }


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """The figures as a person reads them."""
    outage, first, targets = figures["backlog"], figures["first"], figures["targets"]
    cells = [
        (f"reading to notification, {figures['readings_s']} readings/s: p50, s", figures["p50_seconds"], ""),
        ("... p95", figures["p95_seconds"], targets["p95_seconds"]),
        ("... p99", figures["p99_seconds"], targets["p99_seconds"]),
        ("... notifications", figures["notifications"], ""),
        (f"the {WARMING:g} s before, everything for the first time: p95, s", first and first["p95_seconds"], ""),
        (f"beside a backlog of {outage['readings']}: p50, s", outage["p50_seconds"], ""),
        ("... p95", outage["p95_seconds"], targets["backlog_p95_seconds"]),
        ("... the backlog took, s", outage["seconds"], ""),
        ("steps that nobody was told of", figures["not_told"] + outage["not_told"], 0),
        *(
            (words, figures[name]["seconds"], figures[name]["limit_s"])
            for name, words in (
                ("judging", "10,000 rules judged on 10,000 observations, s"),
                ("judging_stored", "... the evaluator's whole step, with the database, s"),
                ("rehearsing", "a rule rehearsed over a year of ten minutes, s"),
                ("rehearsing_stored", "... as the page does it, with the database, s"),
            )
        ),
    ]
    return [tuple(map(str, each)) for each in cells]

"""What can happen to a town: the table of faults.

Each strikes while messages come, and returns when the cause is gone (what was stopped goes on, what was killed is
being started again). What is promised is the same for all: nothing lost, nothing twice, one alert a cause; only a
mosquitto that is killed may lose what it had not saved, and then every loss has a number.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from ingest.embedded import AUTOSAVE_SECONDS
from tests.chaos import points
from tests.chaos.town import CONSUMERS, Town


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` does it. `may_lose`: of how many seconds the messages may be lost on mosquitto; everywhere else none.

    `needs_disk`: only where a small file system could be mounted. `ends_broker`: on mosquitto in a town with one
    worker, because it forgets shared subscriptions when it ends.
    """

    name: str
    strike: Callable[[Town, random.Random], None]
    may_lose: int = 0
    needs_disk: bool = False
    ends_broker: bool = False

    def excused(self, kind: str) -> bool:
        """Whether anything may be lost with that broker."""
        return self.may_lose > 0 and kind == "mosquitto"

    def limit(self, kind: str, rate: float) -> int:
        """How many messages may be lost, at so many a second."""
        return int(self.may_lose * rate) if self.excused(kind) else 0


def _worker(town: Town, chance: random.Random) -> str:
    return chance.choice(town.workers)


def _ingest_at(point: str, victim: str | None = None) -> Callable[[Town, random.Random], None]:
    def strike(town: Town, chance: random.Random) -> None:
        nth = chance.randint(1, 6)
        town.at(_worker(town, chance), point, nth=nth, victim=victim)

    return strike


def _consumer_at(name: str, point: str, victim: str | None = None) -> Callable[[Town, random.Random], None]:
    def strike(town: Town, chance: random.Random) -> None:
        town.at(name, point, nth=chance.randint(1, 4), victim=victim)

    return strike


def _at_random(town: Town, chance: random.Random) -> None:
    """Five times somebody, at any moment: also while it starts."""
    for _ in range(5):
        town.live(chance.uniform(0.1, 0.8))
        town.kill(chance.choice([*town.rooms, *town.workers, "postgres"]))


def _all_at_once(town: Town, chance: random.Random) -> None:
    for name in chance.sample([*town.rooms, "postgres"], len(town.rooms) + 1):
        town.kill(name)


def _backend(town: Town, chance: random.Random) -> None:
    for _ in range(2):
        town.kill_backend(chance)
        town.live(chance.uniform(0.2, 1.0))


def _ask(name: str) -> Callable[[Town, random.Random], None]:
    def strike(town: Town, chance: random.Random) -> None:
        # PostgreSQL's SIGTERM waits until its clients have gone; SIGINT is how it is ended.
        how = signal.SIGINT if name == "postgres" else signal.SIGTERM
        town.signal(name if name != "ingest" else _worker(town, chance), how)

    return strike


def _kill_broker(town: Town, _chance: random.Random) -> None:
    town.kill("broker")


def _kill_broker_with_backlog(town: Town, chance: random.Random) -> None:
    """It has much to lose then: the workers do not hear it, and messages wait."""
    town.to_broker.cut()
    try:
        town.live(chance.uniform(0.5, 3.0))
        town.kill("broker")
    finally:
        town.to_broker.resume()


def _stop(name: str) -> Callable[[Town, random.Random], None]:
    def strike(town: Town, chance: random.Random) -> None:
        with town.stopped(name if name != "ingest" else _worker(town, chance)):
            town.live(chance.uniform(1.0, 4.0))

    return strike


def _disk(town: Town, chance: random.Random) -> None:
    with town.full_disk():
        town.live(chance.uniform(2.0, 5.0))


def _clock(hours: float) -> Callable[[Town, random.Random], None]:
    def strike(town: Town, chance: random.Random) -> None:
        town.jump(timedelta(hours=hours * chance.uniform(0.9, 1.1)))
        town.wait_whole()
        town.live(chance.uniform(0.5, 1.5))
        town.jump(timedelta(0))

    return strike


def _cut(which: str, *, silent: bool) -> Callable[[Town, random.Random], None]:
    def strike(town: Town, chance: random.Random) -> None:
        proxy = town.to_broker if which == "broker" else town.to_database
        (proxy.hush if silent else proxy.cut)()
        try:
            town.live(chance.uniform(1.0, 4.0))
        finally:
            proxy.resume()

    return strike


FAULTS: tuple[Fault, ...] = (
    *(Fault(f"kill -9 ingest at {point}", _ingest_at(point)) for point in points.INGEST),
    *(Fault(f"kill -9 database, ingest at {point}", _ingest_at(point, "postgres")) for point in points.INGEST),
    *(Fault(f"kill -9 alerts at {point}", _consumer_at("alerts", point)) for point in points.ALERTS),
    *(
        Fault(f"kill -9 database, alerts at {point}", _consumer_at("alerts", point, "postgres"))
        for point in points.ALERTS
    ),
    *(Fault(f"kill -9 analytics at {point}", _consumer_at("analytics", point)) for point in points.TURNS),
    Fault("kill -9 at random, five times", _at_random),
    Fault("kill -9 of all but the broker", _all_at_once),
    Fault("kill -9 of database backends", _backend),
    Fault("kill -9 broker", _kill_broker, may_lose=AUTOSAVE_SECONDS + 1, ends_broker=True),
    Fault("kill -9 broker with a backlog", _kill_broker_with_backlog, may_lose=AUTOSAVE_SECONDS + 1, ends_broker=True),
    Fault("broker is asked to end", _ask("broker"), ends_broker=True),
    *(Fault(f"{name} is asked to end", _ask(name)) for name in ("ingest", "postgres")),
    *(Fault(f"SIGSTOP {name}", _stop(name)) for name in ("ingest", "postgres", "broker", *CONSUMERS)),
    Fault("full disk under the database", _disk, needs_disk=True),
    Fault("clock jumps ahead and back", _clock(2.0)),
    Fault("clock jumps a day ahead and back", _clock(30.0)),
    Fault("clock jumps behind and back", _clock(-2.0)),
    *(
        Fault(f"network to {which} {'falls silent' if silent else 'cut'}", _cut(which, silent=silent))
        for which in ("broker", "database")
        for silent in (False, True)
    ),
)


def by_name(name: str) -> Fault:
    """The fault of that name. KeyError where there is none."""
    return {fault.name: fault for fault in FAULTS}[name]

"""Rounds: load, one fault, recovery, judgement.

The fault of a round and everything that is left to chance follow from the round's seed; `FAULTS` consecutive seeds are
every fault once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg

from mimamori.embedded import caught_up
from store import connect
from tests.chaos import judge
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.fleet import Fleet, Transmission
from tests.chaos.judge import Figures
from tests.chaos.publisher import Publisher
from tests.chaos.town import Stuck, Town, town

Kind = Literal["mosquitto", "nats"]

# How long the town has for what it does by itself, on a machine that is busy with something else.
PATIENCE = 180.0
# Neighbours in the table are much alike: a short run shall meet all kinds.
_SHUFFLED = random.Random(20260620).sample(FAULTS, len(FAULTS))


def fault_of(seed: int) -> Fault:
    """The fault of a round."""
    return _SHUFFLED[seed % len(_SHUFFLED)]


@dataclass(frozen=True)
class Round:
    """One round and what came of it. `failures` in words, none where all promises were kept."""

    kind: Kind
    seed: int
    fault: Fault
    seconds: float
    figures: Figures | None
    skipped: str = ""
    failures: list[str] = field(default_factory=list)

    @property
    def stuck(self) -> bool:
        """Whether the town did not come through, so that nothing could be judged."""
        return self.figures is None and not self.skipped

    def __str__(self) -> str:
        head = f"{self.kind:9} seed {self.seed:<5} {self.fault.name:42}"
        if self.figures is None:
            return f"{head} {'skipped: ' + self.skipped if self.skipped else '; '.join(self.failures)}"
        f = self.figures
        verdict = "; ".join(self.failures) or "ok"
        return (
            f"{head} sent {f.sent} stored {f.stored} lost {f.lost} doubled {f.doubled} repeats {f.repeats} "
            f"open/cause {f.open_per_cause} {self.seconds:.1f} s: {verdict}"
        )


class Series:
    """Rounds in one town."""

    def __init__(self, running: Town, publisher: Publisher, fleet: Fleet, rate: float) -> None:
        self._town = running
        self._rate = rate
        self._publisher = publisher
        self._fleet = fleet
        self._lost: set[Transmission] = set()

    @property
    def kind(self) -> Kind:
        """The broker."""
        return self._town.kind

    def play(self, seed: int, fault: Fault) -> Round:
        """One round. A town that does not recover is a failure, too."""
        running, begun = self._town, time.monotonic()
        if fault.needs_disk and running.disk is None:
            return Round(
                running.kind, seed, fault, 0.0, None, skipped="no small file system can be mounted here (not root)"
            )
        chance = random.Random(seed)
        try:
            figures = self._figures(fault, chance)
        except Stuck as stuck:
            return Round(running.kind, seed, fault, time.monotonic() - begun, None, failures=[str(stuck)])
        self._lost |= figures.lost_ones
        seconds = time.monotonic() - begun
        limit = fault.limit(running.kind, self._rate)
        return Round(running.kind, seed, fault, seconds, figures, failures=_failures(figures, limit))

    def _figures(self, fault: Fault, chance: random.Random) -> Figures:
        running, publisher = self._town, self._publisher
        with connect(running.server.dsn(), name="judge") as conn:
            begun = judge.mark(conn)
        publisher.start()
        running.live(chance.uniform(0.5, 1.5))
        fault.strike(running, chance)
        running.live(chance.uniform(0.3, 1.0))
        publisher.pause()
        running.wait(publisher.settled, "the broker has acknowledged everything", within=PATIENCE)
        running.wait_whole()
        # Of what was lost only the next message of the device tells.
        publisher.say(self._fleet.last_words())
        running.wait(publisher.settled, "the broker has acknowledged the last words", within=PATIENCE)
        self._drained(begun, fault)
        with connect(running.server.dsn(), name="judge", autocommit=True) as conn:
            running.wait(
                lambda: caught_up(conn) and not judge.unread(conn), "everybody has answered the feed", within=PATIENCE
            )
            return judge.judge(conn, begun, publisher.sent, publisher.published, self._lost, self._fleet.high, chance)

    def _drained(self, begun: judge.Mark, fault: Fault) -> None:
        """Waits until all that was sent is stored; where some may be lost, until nothing comes any more."""
        sent = self._publisher.sent
        newest = [0, time.monotonic()]

        def stored() -> bool:
            try:
                with connect(self._town.server.dsn(), name="judge") as conn:
                    there = judge.stored_since(conn, begun)
            except psycopg.OperationalError:
                return False
            if sent <= there.keys():
                return True
            if len(there) != newest[0]:
                newest[:] = [len(there), time.monotonic()]
            # Longer than any pause between two attempts of anybody.
            return time.monotonic() - newest[1] > (8.0 if fault.excused(self._town.kind) else 60.0)

        self._town.wait(stored, "what was sent is stored", within=PATIENCE)


def _failures(figures: Figures, limit: int) -> list[str]:
    """What is wrong, where so many messages may be lost."""
    failures = list(figures.complaints)
    if figures.lost > limit:
        failures.append(f"{figures.lost} messages lost, {limit} may be")
    if figures.unnamed:
        failures.append(f"{figures.unnamed} losses without a gap in the numbers")
    if figures.doubled:
        failures.append(f"{figures.doubled} stored twice")
    if figures.strange:
        failures.append(f"{figures.strange} stored that nobody sent")
    if figures.bare:
        failures.append(f"{figures.bare} accepted without an observation")
    if figures.open_per_cause > 1:
        failures.append(f"{figures.open_per_cause} open alerts of one cause")
    return failures


@contextmanager
def series(data: Path, kind: Kind, *, workers: int, rate: float, seed: int, rounds: int) -> Iterator[Series]:
    """A town for so many rounds at `rate` messages a second."""
    with town(data, kind, workers=workers, disk_mb=1500 + 25 * rounds) as running:
        chance = random.Random(seed)
        fleet = Fleet(running.municipality, running.clock, chance, f"{seed + 1:x}")
        with Publisher(running.broker.broker, _restless(fleet), rate) as publisher:
            yield Series(running, publisher, fleet, rate)


def _restless(fleet: Fleet) -> Iterator[Any]:
    """The devices' messages, while now and then a river rises or falls."""
    for n, message in enumerate(fleet.messages()):
        if n % 150 == 0:
            fleet.flip()
        yield message


def sums(rounds: Sequence[Round]) -> dict[str, Any]:
    """Everything together. `lost` is without what a killed mosquitto may lose, which stands beside it."""
    judged = [(each, each.figures) for each in rounds if each.figures is not None]
    excused = [(each, f) for each, f in judged if each.fault.excused(each.kind)]
    return {
        "rounds": len(judged),
        "sent": sum(f.sent for _, f in judged),
        "stored": sum(f.stored for _, f in judged),
        "lost": sum(f.lost for each, f in judged if not each.fault.excused(each.kind)),
        "doubled": sum(f.doubled for _, f in judged),
        "open_per_cause_max": max((f.open_per_cause for _, f in judged), default=0),
        "mosquitto_killed": {
            "rounds": len(excused),
            "lost": sum(f.lost for _, f in excused),
            "most_at_once": max((f.lost for _, f in excused), default=0),
            "unnamed": sum(f.unnamed for _, f in excused),
        },
        "failed": sum(bool(each.failures) for each in rounds),
        "skipped": sum(bool(each.skipped) for each in rounds),
        "by_broker": {kind: sum(each.kind == kind for each, _ in judged) for kind in ("mosquitto", "nats")},
    }


def play(
    data: Path, kinds: Sequence[Kind], *, rounds: int, seed: int, rate: float, say: Callable[[Round], None]
) -> None:
    """So many rounds, in equal parts on each broker; tells each to `say`."""
    for n, kind in enumerate(kinds):
        seeds = range(seed + rounds * n // len(kinds), seed + rounds * (n + 1) // len(kinds))
        # NATS has no shared subscriptions, and mosquitto forgets them.
        alone = [each for each in seeds if kind == "nats" or fault_of(each).ends_broker]
        _play(data / kind / "one", kind, 1, alone, rate, say)
        _play(data / kind / "two", kind, 2, [each for each in seeds if each not in alone], rate, say)


def _play(
    data: Path, kind: Kind, workers: int, seeds: Sequence[int], rate: float, say: Callable[[Round], None]
) -> None:
    left = list(seeds)
    while left:
        folder = data / str(left[0])
        with series(folder, kind, workers=workers, rate=rate, seed=left[0], rounds=len(left)) as running:
            while left:
                seed = left.pop(0)
                played = running.play(seed, fault_of(seed))
                say(played)
                if played.stuck:
                    break  # and go on with a new town: this one would only go on being stuck

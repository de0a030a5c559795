"""python -m tests.chaos.outage [--seconds 600] [--rate 500] [--workers 2]

The database goes away for so long while devices go on publishing, and comes back. Prints one JSON object:

    seconds, rate, workers, sent       the outage, the load, and what the broker has acknowledged to the devices
    stored, lost, doubled              of these, once ingest has caught up
    rss_before_mb, rss_peak_mb         of the worker that grew most: under load before, and the most while it was away
    growth_mb                          the difference
    plateau_growth_mb                  between one third of the outage and its end: what a longer one would add
    rss_after_peak_mb                  the most while it caught up
    catch_up_seconds                   from the database's return until everything sent was stored

Ends with 1 where something was lost or doubled, or a worker grew by more than 50 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from mimamori.stopping import interruptible
from tests.chaos.publisher import Publisher
from tests.chaos.small_town import SmallTown, small_town

GROWTH_MB = 50.0


def measure(
    *, seconds: float, rate: float, workers: int, warm: float = 20.0, data: Path | None = None
) -> dict[str, Any]:
    """The figures of the module's docstring. AssertionError where the town does not come up or does not catch up."""
    with small_town(devices=200, workers=workers, data=data) as town:
        town.start_ingest()
        with Publisher(town.broker.broker, town.fleet.messages(), rate) as publisher:
            publisher.start()
            before = _watch(town, warm)
            # What a worker grows to at work is no growth of the outage: its second half counts.
            settled = _most(before[len(before) // 2 :])
            town.server.stop()
            away = _watch(town, seconds)
            town.server.start()
            back = time.monotonic()
            publisher.pause()
            town.wait(publisher.settled, "the broker has everything")
            after: list[list[float]] = []

            def caught_up() -> bool:
                after.append(town.rss())
                return town.number_stored() >= len(publisher.sent)

            town.wait(caught_up, "everything sent is stored")
            caught = time.monotonic() - back
            stored = town.stored()
            sent = publisher.sent
        peak = _most(away)
        third, end = _most(away[len(away) // 3 : len(away) // 2]), _most(away[-max(1, len(away) // 6) :])
        worst = max(range(len(settled)), key=lambda n: peak[n] - settled[n])
        return {
            "seconds": seconds,
            "rate": rate,
            "workers": workers,
            "sent": len(sent),
            "stored": len(sent & stored),
            "lost": len(sent - stored),
            "doubled": town.doubled(),
            "rss_before_mb": round(settled[worst], 1),
            "rss_peak_mb": round(peak[worst], 1),
            "growth_mb": round(peak[worst] - settled[worst], 1),
            "plateau_growth_mb": round(max(e - t for e, t in zip(end, third, strict=True)), 1),
            "rss_after_peak_mb": round(max(_most(after)), 1),
            "catch_up_seconds": round(caught, 1),
        }


def _watch(town: SmallTown, seconds: float) -> list[list[float]]:
    """The memory of each worker, twice a second for so long."""
    samples: list[list[float]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        samples.append(town.rss())
        step = min(time.monotonic() + 0.5, end)
        town.wait(lambda: time.monotonic() >= step, "time passes")  # noqa: B023
    return samples


def _most(samples: list[list[float]]) -> list[float]:
    return [max(each) for each in zip(*samples, strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.outage", description="Takes the database away.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=500, help="messages a second")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    try:
        with interruptible():
            found = measure(seconds=asked.seconds, rate=asked.rate, workers=asked.workers)
    except KeyboardInterrupt:
        return 130
    print(json.dumps(found))
    return 1 if found["lost"] or found["doubled"] or found["growth_mb"] > GROWTH_MB else 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m tests.chaos.overtaking [--backlog 288000] [--workers 2]

Ingest is away while so many messages come, and comes back; from then on one device says something every second. How
long until that is committed, and how long does the backlog take? Prints one JSON object:

    backlog, workers                   messages that waited
    backlog_seconds                    from the start of ingest until all of them were committed
    new                                readings published meanwhile, one a second
    new_median_seconds, new_worst_seconds   from the publication of such a reading until it was committed
    overtaken                          of the backlog, still to come when the first new reading was committed
    lost, doubled

Without overtaking a reading published at the start would wait for `backlog_seconds`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

from mimamori.stopping import interruptible
from tests.chaos.fleet import Transmission
from tests.chaos.publisher import Publisher
from tests.chaos.small_town import SmallTown, small_town


def measure(*, backlog: int, workers: int) -> dict[str, Any]:
    """The figures of the module's docstring. AssertionError where the town does not come up or does not catch up."""
    with small_town(devices=2000, workers=workers) as town:
        town.start_ingest()
        town.stop_ingest()
        with Publisher(town.broker.broker, town.fleet.messages(), 50_000) as publisher:
            publisher.start()
            town.wait(lambda: len(publisher.sent) >= backlog, "the backlog is at the broker", within=1800)
            publisher.pause()
            town.wait(publisher.settled, "the broker has everything")
            waited = set(publisher.sent)
            began = time.monotonic()
            town.start_ingest()
            new = town.fleet.messages()
            said: dict[Transmission, float] = {}
            took: list[float] = []
            overtaken: int | None = None
            next_at = 0.0
            backlog_seconds: float | None = None

            def over() -> bool:
                nonlocal overtaken, next_at, backlog_seconds
                now = time.monotonic()
                number = town.number_stored()
                for key in _stored(town, said):
                    took.append(now - said.pop(key))
                    if overtaken is None:
                        overtaken = max(0, len(waited) - number)
                if number >= len(waited) + len(took):
                    backlog_seconds = backlog_seconds or now - began
                elif now >= next_at and backlog_seconds is None:
                    message = next(new)
                    publisher.say([message])
                    said[message.key] = time.monotonic()
                    next_at = now + 1.0
                return backlog_seconds is not None and not said

            town.wait(over, "the backlog and the new readings are stored", within=3600)
        lost = len(waited - town.stored())
        return {
            "backlog": len(waited),
            "workers": workers,
            "backlog_seconds": round(backlog_seconds or 0.0, 1),
            "new": len(took),
            "new_median_seconds": round(statistics.median(took), 2),
            "new_worst_seconds": round(max(took), 2),
            "overtaken": overtaken,
            "lost": lost,
            "doubled": town.doubled(),
        }


def _stored(town: SmallTown, said: dict[Transmission, float]) -> list[Transmission]:
    """Which of these are in the database."""
    rows = town.query(
        "select device_key, session, counter from uplink join unnest(%s::text[], %s::text[], %s::bigint[]) "
        "as said (device_key, session, counter) using (device_key, session, counter)",
        *([key[n] for key in said] for n in range(3)),
    )
    return [(device, session, counter) for device, session, counter in rows]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.overtaking", description="New readings and old ones.")
    parser.add_argument("--backlog", type=int, default=288_000)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    try:
        with interruptible():
            found = measure(backlog=asked.backlog, workers=asked.workers)
    except KeyboardInterrupt:
        return 130
    print(json.dumps(found))
    return 1 if found["lost"] or found["doubled"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m tests.chaos [--rounds N] [--seed N] [--rate N] [--broker both|mosquitto|nats]

Prints a line a round, and at the end one JSON object with the sums. Ends with 1 where a promise was broken; the failing
round says how to repeat it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from ingest.embedded import available
from mimamori.stopping import interruptible
from tests.chaos.rounds import Round, play, sums


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kills a town, and counts.")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; each further one has the next")
    parser.add_argument("--rate", type=float, default=1000, help="messages a second")
    parser.add_argument("--broker", choices=("both", "mosquitto", "nats"), default="both")
    parser.add_argument("--data", type=Path, help="a new folder; it stays afterwards, with the logs (default: none)")
    asked = parser.parse_args()
    kinds = available() if asked.broker == "both" else (asked.broker,)
    if "mosquitto" not in kinds and asked.broker == "both":
        print("chaos: no mosquitto here, NATS alone", flush=True)
    data = asked.data or Path(tempfile.mkdtemp(prefix="mimamori-chaos-"))
    begun = time.monotonic()

    played: list[Round] = []

    def say(each: Round) -> None:
        played.append(each)
        print(each, flush=True)
        if each.failures:
            print(f"  again: make chaos ROUNDS=1 SEED={each.seed} BROKER={each.kind}", flush=True)

    try:
        with interruptible():
            play(data, kinds, rounds=asked.rounds, seed=asked.seed, rate=asked.rate, say=say)
    except KeyboardInterrupt:
        print("chaos: stopped; the sums of the rounds so far:", flush=True)
    finally:
        if asked.data is None:
            shutil.rmtree(data, ignore_errors=True)
    print(json.dumps(sums(played) | {"seconds": round(time.monotonic() - begun)}))
    return 1 if len(played) < asked.rounds or any(each.failures for each in played) else 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m tests.chaos.autosave [--messages 50000] [--every 100 1000 10000]

What mosquitto's `autosave_interval` costs and what it saves: messages come for a session that is away, then mosquitto
is killed with -9, at 0.7 of an interval after a save, and started again. Prints a line a setting, and one JSON object:

    every              changes between two saves
    per_second         messages a second that mosquitto acknowledged while all of them waited in it
    written_mb         what it wrote for that
    lost, most         messages that were gone; what may be gone

Each save writes everything that waits, so a long queue is written again and again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from ingest.embedded import EmbeddedBroker
from tests.brokers.running import Ear, publish_all, wait_for

TOPIC = "mimamori/v1/gauge/up"


def measure(folder: Path, every: int, messages: int) -> dict[str, Any]:
    """The figures of one setting."""
    messages += every * 7 // 10
    with patch("ingest.embedded.AUTOSAVE_CHANGES", every), EmbeddedBroker(folder, kind="mosquitto") as broker:
        Ear(broker.broker, "ingest", TOPIC).leave()
        # The session itself has to be saved: a broker stopped in good order saves all.
        broker.stop()
        broker.start()
        assert broker.process is not None
        process = psutil.Process(broker.process.pid)
        before, begun = process.io_counters().write_bytes, time.monotonic()
        publish_all(broker.broker, TOPIC, (b'{"counter": %d, "readings": {"flow": 42.1}}' % n for n in range(messages)))
        seconds, written = time.monotonic() - begun, process.io_counters().write_bytes - before
        broker.kill()
        broker.start()
        ear = Ear(broker.broker, "ingest", TOPIC)
        left = _number_of(ear)
        ear.leave()
    return {
        "every": every,
        "per_second": round(messages / seconds),
        "written_mb": round(written / 1e6, 1),
        "lost": messages - left,
        "most": every,
    }


def _number_of(ear: Ear) -> int:
    """How many messages waited: all that come until one comes that was published behind them."""
    last = b"the last one"
    taken = 0
    ear.client.publish(TOPIC, last, qos=1)

    def all_there() -> bool:
        nonlocal taken
        there = len(ear.heard)
        ear.acknowledge(taken, there)
        taken = there
        return bool(ear.heard) and ear.heard[taken - 1].payload == last

    wait_for(all_there, "the message behind all others", seconds=300)
    return len({message.payload for message in ear.heard}) - 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.autosave")
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--every", type=int, nargs="+", default=[100, 1000, 10_000])
    asked = parser.parse_args()
    figures = []
    for every in asked.every:
        with tempfile.TemporaryDirectory() as folder:
            figures.append(measure(Path(folder) / "broker", every, asked.messages))
        print(figures[-1], flush=True)
    print(json.dumps({"messages": asked.messages, "settings": figures}))


if __name__ == "__main__":
    main()

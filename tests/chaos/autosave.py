"""python -m tests.chaos.autosave [--messages 50000] [--rate 100] [--every 1 5 30]

What mosquitto's `autosave_interval` costs and what it saves. Messages come for a session that is away, as fast as
mosquitto takes them; then, after a save, as many a second as `--rate` says for 0.7 of an interval, and mosquitto is
killed with -9 and started again. Prints a line a setting, and one JSON object:

    every              seconds between two saves
    per_second         messages a second that mosquitto acknowledged at first, while all of them waited in it
    written_mb         what it wrote for that
    lost, most         messages that were gone; what may be gone at that rate

Each save writes everything that waits, so that a long queue is written again and again.
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
from tests.brokers.running import Ear, publish_all, publisher, wait_for, wait_for_a_save

TOPIC = "mimamori/v1/gauge/up"


def measure(folder: Path, every: int, messages: int, rate: int) -> dict[str, Any]:
    """The figures of one setting."""
    with patch("ingest.embedded.AUTOSAVE_SECONDS", every), EmbeddedBroker(folder, kind="mosquitto") as broker:
        Ear(broker.broker, "ingest", TOPIC).leave()
        # The session itself has to be saved: a broker stopped in good order saves all.
        broker.stop()
        broker.start()
        assert broker.process is not None
        process = psutil.Process(broker.process.pid)
        before, begun = process.io_counters().write_bytes, time.monotonic()
        publish_all(broker.broker, TOPIC, map(_message, range(messages)))
        seconds, written = time.monotonic() - begun, process.io_counters().write_bytes - before
        wait_for_a_save(broker)
        more = int(rate * every * 0.7)
        saved = time.monotonic()
        with publisher(broker.broker) as publish:
            for n in range(more):
                publish(TOPIC, _message(messages + n))
                time.sleep(max(0.0, saved + (n + 1) / rate - time.monotonic()))
        broker.kill()
        broker.start()
        ear = Ear(broker.broker, "ingest", TOPIC)
        left = _number_of(ear)
        ear.leave()
    return {
        "every": every,
        "per_second": round(messages / seconds),
        "written_mb": round(written / 1e6, 1),
        "lost": messages + more - left,
        "most": (every + 1) * rate,
    }


def _message(n: int) -> bytes:
    return b'{"counter": %d, "readings": {"flow": 42.1}}' % n


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
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--every", type=int, nargs="+", default=[1, 5, 30])
    asked = parser.parse_args()
    figures = []
    for every in asked.every:
        with tempfile.TemporaryDirectory() as folder:
            figures.append(measure(Path(folder) / "broker", every, asked.messages, asked.rate))
        print(figures[-1], flush=True)
    print(json.dumps({"messages": asked.messages, "rate": asked.rate, "settings": figures}))


if __name__ == "__main__":
    main()

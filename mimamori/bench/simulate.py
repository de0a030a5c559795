"""`mimamori bench simulate`: how many messages a second the simulated devices can say, and what memory that takes.

One process, no broker: a town of so many devices over four networks, with loss, repetitions and faults, every message
with its topic and body. The JSON object:

    devices, town_hours, faults     what was asked for
    ready_s                         until the first message could be asked for
    messages, lost                  said, and of these heard by nobody
    seconds, messages_a_second      real time, one core
    real_time_share                 of that core, if the town's clock ran as fast as ours
    bytes_a_message                 of the bodies, in the mean
    rss_mb                          the most memory the process had
    networks                        messages by network
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import psutil

from devices.town import load_town
from mimamori.bench.report import Row
from simulators.config import SimulatorConfig
from simulators.crowd import everybody
from simulators.faults import USUAL
from simulators.impairments import arrivals
from simulators.towns import path
from simulators.towns.larger import MIXED

_START = datetime(2026, 6, 20, 8, tzinfo=UTC)


def measure(devices: int, hours: float, faults: float) -> dict[str, Any]:
    """The figures of the module's docstring."""
    began = time.monotonic()
    config = SimulatorConfig("", 0, devices=devices, networks=MIXED, faults=USUAL.times(faults))
    speaking = everybody(config, load_town(path()), origin=_START, first=_START)
    ready = time.monotonic()
    end = _START + timedelta(hours=hours)
    messages, lost, size, most = 0, 0, 0, 0
    networks: Counter[str] = Counter()
    process = psutil.Process()
    for frame in takewhile(lambda frame: frame.heard < end, speaking.uplinks()):
        messages += 1
        networks[frame.network] += 1
        if not arrivals(config, frame):
            lost += 1
        size += len(frame.body()) if frame.topic else 0
        if messages % 2000 == 1:
            most = max(most, process.memory_info().rss)
    seconds = time.monotonic() - ready
    return {
        "devices": devices,
        "town_hours": hours,
        "faults": faults,
        "ready_s": round(ready - began, 2),
        "messages": messages,
        "lost": lost,
        "seconds": round(seconds, 2),
        "messages_a_second": round(messages / seconds),
        "real_time_share": round(seconds / (3600 * hours), 4),
        "bytes_a_message": round(size / max(1, messages)),
        "rss_mb": round(most / 2**20, 1),
        "networks": dict(networks),
    }


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """The figures as lines of a table."""
    words = {
        "messages": "messages 電文",
        "lost": "... heard by nobody",
        "messages_a_second": "messages a second, one core",
        "real_time_share": "share of a core at real speed",
        "bytes_a_message": "bytes a message",
        "rss_mb": "memory, MB",
        "ready_s": "ready after, s",
    }
    return [(word, str(figures[name])) for name, word in words.items()]

"""Several ingest workers under one parent: `mimamori run ingest --workers N`.

The parent only tends: workers have the ids 0 to N-1 (`WORKER_ID-0` and so on where MIMAMORI_WORKER_ID is set), each the
same again after a restart, because the broker keeps a session under it. Whoever ends is started again within 2 s. What
they print goes where the parent's goes. A killed parent takes them with it (`mimamori.tether`).
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import fields

import structlog

from mimamori.errors import StartError
from mimamori.settings import Settings, variable
from mimamori.supervisor import Service, Supervisor

TEND_SECONDS = 0.2

log = structlog.get_logger(__name__)


def ids(settings: Settings, number: int) -> list[str]:
    """The ids of so many workers."""
    alone = next(f.default for f in fields(Settings) if f.name == "worker_id")
    prefix = "" if settings.worker_id == alone else f"{settings.worker_id}-"
    return [f"{prefix}{i}" for i in range(number)]


def tend(settings: Settings, number: int, stop: threading.Event) -> None:
    """Keep so many workers running until `stop`. StartError where the broker has no shared subscriptions."""
    from mimamori.rooms import broker_of

    if not broker_of(settings).shared:
        raise StartError(
            f"a broker of kind {settings.broker_kind} has no shared subscriptions, so that {number} ingest workers "
            "could not divide the messages among them: run one worker there, or use mosquitto"
        )
    with Supervisor(None, say=lambda sentence: log.error("worker ended", what=sentence)) as supervisor:
        for worker_id in ids(settings, number):
            environment = dict(os.environ) | {
                variable("worker_id"): worker_id,
                variable("ingest_shared"): "true",
                variable("ingest_workers"): "1",
            }
            command = [sys.executable, "-m", "mimamori", "run", "ingest", "--workers", "1"]
            supervisor.start(Service(f"ingest {worker_id}", command, environment))
        while not stop.wait(TEND_SECONDS):
            supervisor.tend()

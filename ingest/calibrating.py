"""Puts right what was stored before a calibration was entered, beside the batches.

A calibration of years is some ten steps of a second each, for which no message should wait: so a thread with a
connection of its own does it (`store.settling`), one calibration after the other, and lives for that long only.
"""

from __future__ import annotations

import threading
import time

import psycopg
import structlog

from devices.clock import Clock
from store.connection import connect
from store.registry import Directory
from store.settling import settle

LOOK_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Calibrating:
    """Looks whether a calibration is due, and settles it. `dsn` is the worker's."""

    def __init__(self, dsn: str, clock: Clock) -> None:
        self._dsn = dsn
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._next = time.monotonic()

    def look(self, directory: Directory) -> None:
        """What a worker does on its rounds: costs nothing while all is settled."""
        if not directory.unsettled or time.monotonic() < self._next or self.busy:
            return
        self._next = time.monotonic() + LOOK_SECONDS
        self._thread = threading.Thread(target=self._run, args=(directory,), name="calibrating", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a look is going on."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self, directory: Directory) -> None:
        paces = {i: each.step for i, each in directory.datastreams.items()}
        try:
            with connect(self._dsn, name="calibrating") as conn:
                while True:
                    report = settle(conn, directory.municipality_id, now=self._clock.now(), paces=paces)
                    if report is None:
                        return
                    log.info("calibration settled", correction=report.correction_id, revised=report.revised)
        except psycopg.OperationalError as error:
            log.warning("database lost while calibrating", error=str(error).strip())

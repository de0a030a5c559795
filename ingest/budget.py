"""How much of a worker's time the messages of slow devices may take.

A message takes some ten microseconds to read. A device whose messages take more than SLOW_SECONDS each - a codec with
a fault, input made to be expensive - would hold up everyone who shares its worker. Together such devices may have a
share of the worker's computing time, saved up to a burst; beyond it their messages are kept unread, in quarantine with
the reason `slow`, to be read again when somebody asks. Who was read quickly is no longer one of them.

Computing time of this thread is measured, not the clock: a busy machine makes nobody slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SLOW_SECONDS = 0.02
SHARE = 0.2
BURST_SECONDS = 1.0


class Budget:
    """For one worker; not for several threads. `now` is monotonic time, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._slow: set[str] = set()
        self._left = BURST_SECONDS
        self._counted_to = now()

    def allows(self, device_key: str) -> bool:
        """Whether a message of this device may be read now."""
        if device_key not in self._slow:
            return True
        now = self._now()
        self._left = min(BURST_SECONDS, self._left + SHARE * (now - self._counted_to))
        self._counted_to = now
        return self._left > 0

    def took(self, device_key: str, seconds: float) -> None:
        """What reading a message of this device has cost."""
        if seconds < SLOW_SECONDS:
            self._slow.discard(device_key)
        else:
            self._slow.add(device_key)
            self._left -= seconds

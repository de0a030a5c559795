"""How much of a worker's time the messages of slow devices may take.

A message takes some ten microseconds to read. A device whose messages take more than SLOW_SECONDS each - a codec with
a fault, input made to be expensive - would hold up everyone who shares its worker. Together such devices may have a
share of the worker's computing time, saved up to a burst; beyond it their messages are kept unread, in quarantine with
the reason `slow`, to be read again when somebody asks. Who was read quickly is no longer one of them.

Computing time of this thread is what counts, not the clock: a busy machine makes nobody slow. Asking for it costs as
much as a part of the reading, so it is asked for where the clock says that reading took long, and now and then before.
Where a message is read by another process (a manufacturer's codec), that one's computing time counts, and where that
process had to be ended, the time that we waited for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

SLOW_SECONDS = 0.02
_LOOK_EVERY = 64  # messages
SHARE = 0.2
BURST_SECONDS = 1.0


class Budget:
    """For one worker; not for several threads. `now` is monotonic time, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._slow: set[str] = set()
        self._left = BURST_SECONDS
        self._counted_to = now()
        self._began = 0.0
        self._computed = 0.0  # computing time of this thread at the last look
        self._until_look = 0
        self._process: int | None = None
        self._process_computed = 0.0  # of that process, at the last look
        self._process_until_look = 0

    def allows(self, device_key: str) -> bool:
        """Whether a message of this device may be read now."""
        if device_key not in self._slow:
            return True
        now = self._now()
        self._left = min(BURST_SECONDS, self._left + SHARE * (now - self._counted_to))
        self._counted_to = now
        return self._left > 0

    def begin(self) -> None:
        """A message is about to be read."""
        if self._until_look == 0:
            self._computed, self._until_look = time.thread_time(), _LOOK_EVERY
        self._until_look -= 1
        self._began = self._now()

    def end_elsewhere(self, device_key: str, process: int | None) -> None:
        """The same as `end` for a message that was read by another process; None: that has had to be ended."""
        seconds = self._now() - self._began
        if seconds >= SLOW_SECONDS or process != self._process or self._process_until_look == 0:
            computed = _computed(process)
            if seconds >= SLOW_SECONDS and process == self._process and computed is not None:
                seconds = min(seconds, computed - self._process_computed)
            self._process, self._process_computed, self._process_until_look = process, computed or 0.0, _LOOK_EVERY
        self._process_until_look -= 1
        self.took(device_key, seconds)

    def end(self, device_key: str) -> None:
        """The message of this device has been read, or could not be."""
        seconds = self._now() - self._began
        if seconds >= SLOW_SECONDS:
            # It cannot have computed for longer than all messages since the last look.
            computed = time.thread_time()
            seconds = min(seconds, computed - self._computed)
            self._computed, self._until_look = computed, _LOOK_EVERY
        self.took(device_key, seconds)

    def forgive(self) -> None:
        """Nobody is known to be slow any more: their messages are read otherwise from now on."""
        self._slow.clear()
        self._left = BURST_SECONDS

    def took(self, device_key: str, seconds: float) -> None:
        """What reading a message of this device has cost."""
        if seconds < SLOW_SECONDS:
            self._slow.discard(device_key)
        else:
            self._slow.add(device_key)
            self._left -= seconds


def _computed(process: int | None) -> float | None:
    """Seconds of computing time that a process has used; None where it is gone."""
    if process is None:
        return None
    try:
        times = psutil.Process(process).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)

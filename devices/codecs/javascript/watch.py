"""Ends a process that does not come back.

A thread looks ten times a second while something runs, and sleeps while nothing does. What it judges by is the
computing time that the process has used, because on a busy machine an honest decode can take long: a process that has
used up its time and is late is ended, one that waits for the processor is waited for, up to the limit of patience.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time

from devices.codecs.javascript.codec import Limits

_LOOK_SECONDS = 0.1
_LOOKS_BEFORE_SLEEP = 10


class Watch:
    """The watch over one process. `start` before what may hang, `stop` after it; both cost next to nothing."""

    def __init__(self, child: subprocess.Popen[bytes], limits: Limits) -> None:
        self._child = child
        self._limits = limits
        self._running: _Run | None = None
        self._closed = threading.Event()
        self._awake = threading.Event()
        self._ended_for: str | None = None
        self._thread = threading.Thread(target=self._look, name="codec-watch", daemon=True)
        self._thread.start()

    def start(self, decodes: int, *, patience: float | None = None) -> None:
        """Something for this many decodes runs from now."""
        self._running = _Run(decodes, patience)
        if not self._awake.is_set():
            self._awake.set()

    def stop(self) -> None:
        self._running = None

    def verdict(self) -> str:
        """Why the process is gone, in words."""
        if self._ended_for is not None:
            return self._ended_for
        return "the codec brought its process down; its memory or computing time was used up, or the engine failed"

    @property
    def ended(self) -> bool:
        """Whether the watch has ended the process."""
        return self._ended_for is not None

    def close(self) -> None:
        self._running = None
        self._closed.set()
        self._awake.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _look(self) -> None:
        idle = 0
        while not self._closed.is_set():
            self._awake.wait()
            run = self._running
            if run is None:
                idle += 1
                if idle > _LOOKS_BEFORE_SLEEP:
                    self._awake.clear()
                    idle = 0
                    if self._running is not None or self._closed.is_set():  # began just now
                        self._awake.set()
            else:
                idle = 0
                self._judge(run)
            self._closed.wait(_LOOK_SECONDS)

    def _judge(self, run: _Run) -> None:
        limits = self._limits
        now = time.monotonic()
        computed = self._computed()
        if run.seen is None:
            run.seen, run.computed_before = now, computed
        late = now - run.seen > limits.wall_seconds + limits.cpu_seconds * (run.decodes - 1)
        used_up = computed - run.computed_before > limits.cpu_seconds * run.decodes
        if run.patience is None and late and used_up:
            verdict = (
                f"the codec did not come back within {limits.wall_seconds:g} s and was ended "
                "(an endless loop in a function of the engine?)"
            )
        elif now - run.seen > (run.patience or limits.patience_seconds + limits.cpu_seconds * run.decodes):
            verdict = "the codec did not come back in time and was ended; the machine may be too busy"
        else:
            return
        if self._running is run:
            self._ended_for = verdict
            with contextlib.suppress(OSError):
                self._child.kill()

    def _computed(self) -> float:
        """Seconds of computing time that the process has used."""
        import psutil  # only where something takes long: it need not be in the memory of every worker

        try:
            times = psutil.Process(self._child.pid).cpu_times()
        except psutil.Error:  # it has ended
            return 0.0
        return float(times.user + times.system)


class _Run:
    """What runs: how many decodes, since when, and what the process had computed before."""

    __slots__ = ("computed_before", "decodes", "patience", "seen")

    def __init__(self, decodes: int, patience: float | None) -> None:
        self.decodes = decodes
        self.patience = patience
        self.seen: float | None = None
        self.computed_before = 0.0

"""A demo as people start it: the real command in a process of its own, with everything it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

# Enough for every rule's usual: a week of flows, five Saturdays of visitors.
SHORT_PAST = ("--history-days", "8")


class TownProcess:
    """`mimamori demo` with DATA in `data`, its output in files beside it."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self._out = data.with_name(data.name + ".stdout")
        self._err = data.with_name(data.name + ".stderr")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MIMAMORI_")}
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mimamori", "demo", "--port", "0", "--data", str(data), *SHORT_PAST, *options],
                stdout=out,
                stderr=err,
                env=environment | {"HOME": str(data.parent)},
                start_new_session=True,
            )

    @property
    def stdout(self) -> list[str]:
        return self._out.read_text("utf-8").splitlines()

    @property
    def stderr(self) -> str:
        return self._err.read_text("utf-8")

    def url(self) -> str:
        """The address, as soon as it is printed."""
        self.wait(lambda: bool(self.stdout), within=120)
        return self.stdout[0]

    def children(self) -> dict[int, psutil.Process]:
        """Everything below the supervisor at the moment."""
        return {process.pid: process for process in psutil.Process(self.process.pid).children(recursive=True)}

    def child(self, name: str) -> psutil.Process | None:
        """The process that now is a service of the supervisor, None while it is being started again."""
        for process in psutil.Process(self.process.pid).children():
            try:
                command = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            # Not yet: whoever is still in the tether is about to become the real command.
            if command[-2:] == ["run", name] and "tether.py" not in " ".join(command):
                return process
            if command and Path(command[0]).name == name:
                return process
        return None

    def kill(self, name: str) -> None:
        """`kill -9` of a service, as soon as it runs."""
        self.wait(lambda: self.child(name) is not None, within=60)
        process = self.child(name)
        if process is not None:
            process.kill()
            process.wait(10)

    def wait(self, condition: Callable[[], Any], *, within: float) -> None:
        """Wait for a condition while the demo lives."""
        deadline = time.monotonic() + within
        while not condition():
            assert self.process.poll() is None, f"the demo ended with {self.process.returncode}:\n{self.stderr}"
            assert time.monotonic() < deadline, f"did not come true within {within} s:\n{self.stderr}"
            time.sleep(0.05)

    def end(self, how: signal.Signals, *, within: float) -> float:
        """Send a signal to the supervisor alone, wait for its end, and return the seconds that took."""
        begun = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(within)
        return time.monotonic() - begun


@contextmanager
def town(data: Path, *options: str) -> Iterator[TownProcess]:
    """A demo that is gone at the end, whatever happened in between."""
    running = TownProcess(data, *options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            left = running.children()
            running.process.kill()
            running.process.wait()
            for process in left.values():
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue


def gone(processes: dict[int, psutil.Process], *, within: float) -> list[str]:
    """Waits for the end of processes, and names those that are still there after that time."""
    _, alive = psutil.wait_procs(list(processes.values()), timeout=within)
    there = []
    for process in alive:
        with suppress(psutil.NoSuchProcess):  # it went while its name was asked; a zombie has none either
            if process.status() != psutil.STATUS_ZOMBIE:
                there.append(" ".join(process.cmdline()))
    return there

"""Keeps a handful of child processes running, and leaves none behind.

    with Supervisor(logs) as supervisor:
        supervisor.start(Service("ingest", [sys.executable, "-m", "mimamori", "run", "ingest"], environment))
        while not done():
            supervisor.tend()

Contract:
- A child runs in a session (Windows: a process group) of its own: Ctrl-C in the terminal reaches the supervisor only,
  which then stops its children in its own order. It is tied to the supervisor (`tether`), so that nothing outlives a
  `kill -9`.
- A child that ends is started again, within 2 s when a signal ended it or when it had worked for a while. One
  that keeps ending by itself soon after its start is given longer and longer rests, up to 30 s.
- What a child prints goes to LOGS/NAME.log, at most `LOG_LIMIT` bytes and as much again in NAME.log.1; without a
  folder for logs, to the supervisor's own stderr.
- `stop` ends all in reverse order: asked first, by its stop signal or by its tether; whoever takes more than its
  share of the time is killed with all that it has started.
- One thread starts, tends and stops: Linux ties a child to the thread that started it, not to the process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from mimamori import tether
from mimamori.errors import StartError
from mimamori.stopping import held

LOG_LIMIT = 5_000_000
_FIRST_REST = 0.5
_LONGEST_REST = 30.0
_SETTLED_AFTER = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """What to run, and how.

    `name` is for people and for the log file. `environment` is the whole environment, None the supervisor's own.
    `stop_signal` ends it in good order (PostgreSQL: SIGINT; Windows knows one way only, Ctrl-Break). `orphan_signal` is
    what it gets when the supervisor is killed, None for the same end: ours can be killed at any moment, a server that
    keeps files had better be asked.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals | None = None


class Supervisor:
    """Starts, watches, restarts and stops services. `say` gets one sentence for people when one has ended."""

    def __init__(self, logs: Path | None, *, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._say = say
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, service: Service) -> None:
        """Start a service and keep it running from now on."""
        child = _Child(service, self._log(service))
        self._children.append(child)
        child.start()

    def errand(self, service: Service) -> Callable[[], bool]:
        """Start something that ends by itself, once. What comes back says whether it has ended.

        It raises StartError where the errand ended badly.
        """
        child = _Child(service, self._log(service), once=True)
        self._children.append(child)
        child.start()

        def over() -> bool:
            if child not in self._children:
                return True
            if (code := child.ended()) is None:
                return False
            self._children.remove(child)
            child.stop(0.0)
            if code != 0:
                raise StartError(f"{service.name} {child.how_it_ended(code)}")
            return True

        return over

    def _log(self, service: Service) -> _Log:
        if self._logs is None:
            return _Passage()
        self._logs.mkdir(parents=True, exist_ok=True)
        return _File(self._logs / f"{service.name}.log")

    def tend(self) -> None:
        """Start again whoever has ended and has rested long enough. To be called a few times a second."""
        for child in self._children:
            if not child.once and (sentence := child.tend()) is not None:
                self._say(sentence)

    def wait(self, condition: Callable[[], bool], *, what: str, timeout: float) -> None:
        """Tend until `condition` holds. StartError when it does not within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                see = "" if self._logs is None else f"; see the logs in {self._logs}"
                raise StartError(f"{what} did not come up within {timeout:.0f} s{see}")
            self.tend()
            time.sleep(0.05)

    def pids(self) -> dict[str, int]:
        """Who runs at the moment, by name."""
        return {child.service.name: child.pid for child in self._children if child.pid is not None}

    def restarts(self) -> dict[str, int]:
        """How often each service has been started again."""
        return {child.service.name: child.starts - 1 for child in self._children}

    def end(self, name: str, *, within: float = 5.0) -> None:
        """End one service for good."""
        child = next(child for child in self._children if child.service.name == name)
        self._children.remove(child)
        child.stop(within)

    def stop(self, *, within: float = 7.0) -> None:
        """End all in reverse order; what one does not use of its time is left to the next."""
        deadline = time.monotonic() + within
        while self._children:
            share = max(0.0, deadline - time.monotonic()) / len(self._children)
            self._children.pop().stop(share)


class _Child:
    """One service and the process that runs it at the moment."""

    def __init__(self, service: Service, log: _Log, *, once: bool = False) -> None:
        self.service = service
        self.once = once
        self.starts = 0
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._rest = _FIRST_REST

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        with held():
            self._begin()

    def _begin(self) -> None:
        try:
            process = subprocess.Popen(
                tether.tethered(self.service.command, stop=self.service.stop_signal, orphan=self.service.orphan_signal),
                env=self.service.environment,
                cwd=self.service.folder,
                stdin=subprocess.PIPE if tether.WATCHES else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                creationflags=tether.APART,
            )
        except OSError as error:
            raise StartError(f"{self.service.name} cannot be started: {error}") from error
        assert process.stdout is not None
        self._process = process
        self._reader = threading.Thread(target=self._log.copy, args=(process.stdout,), daemon=True)
        self._reader.start()
        self._started_at = time.monotonic()
        self.starts += 1

    def tend(self) -> str | None:
        now = time.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self.start()
            return None
        code = self.ended()
        if code is None:
            return None
        if code < 0 or now - self._started_at > _SETTLED_AFTER:
            self._rest = _FIRST_REST
        rest = self._rest
        self._rest = min(2 * rest, _LONGEST_REST)
        self._start_at = now + rest
        return f"{self.service.name} {self.how_it_ended(code)} - starting it again in {rest:.1f} s"

    def ended(self) -> int | None:
        """The exit code, once it has ended."""
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            self._finish()
        return code

    def how_it_ended(self, code: int) -> str:
        last = f": {self._log.last}" if self._log.last else ""
        return f"{_ending(code)}{last}{self._log.where}"

    def stop(self, within: float) -> None:
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            else:
                self._process.send_signal(self.service.stop_signal)
            try:
                self._process.wait(within)
            except subprocess.TimeoutExpired:
                _kill_all_of(self._process.pid)
                self._process.wait()
            self._finish()
        self._log.close()

    def _finish(self) -> None:
        assert self._process is not None and self._reader is not None
        self._reader.join(1.0)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


class _Log:
    """Where the output of a child goes. It remembers the last line for the sentence about an ending."""

    where = ""

    def __init__(self) -> None:
        self.last = ""
        self._lock = threading.Lock()

    def copy(self, output: IO[bytes]) -> None:
        """Write all that comes from `output`, until its end."""
        with output:
            for line in output:
                self.last = line.decode("utf-8", "replace").strip() or self.last
                with self._lock:
                    self._write(line)

    def _write(self, line: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing more comes."""


class _Passage(_Log):
    """The supervisor's own stderr, a line at a time."""

    def _write(self, line: bytes) -> None:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


class _File(_Log):
    """A log file that keeps to its size."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.where = f" ({path})"
        self._file = path.open("ab")

    def _write(self, line: bytes) -> None:
        if self._file.closed:
            return
        self._file.write(line)
        self._file.flush()
        if self._file.tell() > LOG_LIMIT:
            self._file.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._file = self.path.open("ab")

    def close(self) -> None:
        with self._lock:
            self._file.close()


def _kill_all_of(pid: int) -> None:
    """Kill a child and whoever it has started."""
    if sys.platform == "win32":
        _kill_tree(pid)
    else:
        os.killpg(pid, signal.SIGKILL)  # its whole session, those too whose parent has gone


def _kill_tree(pid: int) -> None:
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"

"""`mimamori`, to be killed at a named point: what `python -m tests.chaos.points TRAP run ingest` is.

It is the real command. Around the calls of the libraries by which the product speaks to the database and the broker
stands a trap: when the file TRAP names the point that is reached, for the nth time since it was laid, the file goes and
the victims die of SIGKILL: this process, or others with all their children. Without the file nothing happens.

    before_copy, after_copy       a COPY is about to begin; has ended, nothing is committed yet
    in_commit                     the commit of a transaction with a COPY is under way
    after_commit                  it has come back, nothing is acknowledged
    mid_ack                       a part of a batch's acknowledgements has left, down to half a packet
    alert_written                 an alert has been written, its transaction is open
    cursor_moved                  a consumer has moved its cursor, its results are not there yet
    before_turn_commit, after_turn_commit     a consumer's transaction is about to be committed; has been
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
from paho.mqtt.client import Client

COPIES = ("before_copy", "after_copy", "in_commit", "after_commit")
INGEST = (*COPIES, "mid_ack")
TURNS = ("cursor_moved", "before_turn_commit", "after_turn_commit")
ALERTS = ("alert_written", *TURNS)

# A commit takes about so long; the end comes at any moment of it.
_COMMIT_SECONDS = 0.004
_PUBACK = b"\x40"


def lay(trap: Path, point: str, *, nth: int, victims: Sequence[int] = ()) -> None:
    """Lays the trap; `victims` are killed with their children, the process itself where there are none."""
    draft = trap.with_suffix(".draft")
    draft.write_text(json.dumps({"point": point, "nth": nth, "victims": list(victims)}))
    draft.replace(trap)


def kill(pids: Sequence[int]) -> None:
    """SIGKILL for processes with all that they have started."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            for process in [parent, *parent.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


class Trap:
    """A trap in this process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._laid = ""
        self._left = 0
        self._lock = threading.Lock()

    def reached(self, point: str) -> None:
        """Counts, and kills when it is time."""
        with self._lock:
            try:
                laid = self._file.read_text()
            except FileNotFoundError:
                return
            what = json.loads(laid)
            if what["point"] != point:
                return
            if laid != self._laid:
                self._laid, self._left = laid, what["nth"]
            self._left -= 1
            if self._left > 0:
                return
            self._file.unlink()
        if point == "in_commit":
            delay = random.uniform(0.0, _COMMIT_SECONDS)
            threading.Timer(delay, _strike, (what["victims"],)).start()
        else:
            _strike(what["victims"])


def _strike(victims: Sequence[int]) -> None:
    if victims:
        kill(victims)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def install(trap: Trap) -> None:
    """Puts the trap around the libraries' calls."""
    _around_batches(trap)
    _around_turns(trap)


def _around_batches(trap: Trap) -> None:
    copying: set[int] = set()
    real_copy, real_commit, real_send = psycopg.Cursor.copy, psycopg.Connection.commit, Client._sock_send

    @contextlib.contextmanager
    def copy(self: psycopg.Cursor[Any], *arguments: Any, **options: Any) -> Iterator[psycopg.Copy]:
        trap.reached("before_copy")
        with real_copy(self, *arguments, **options) as running:
            yield running
        copying.add(id(self.connection))
        trap.reached("after_copy")

    def commit(self: psycopg.Connection[Any]) -> None:
        copied = id(self) in copying
        copying.discard(id(self))
        if copied:
            trap.reached("in_commit")
        real_commit(self)
        if copied:
            trap.reached("after_commit")

    def send(self: Client, data: bytes | bytearray) -> int:
        if data[:1] != _PUBACK or len(data) < 2:
            return real_send(self, data)
        # Acknowledgements may leave one by one or many in a piece. Of this one half goes first; paho sends the rest.
        done = real_send(self, data[: len(data) // 2])
        trap.reached("mid_ack")
        return done

    psycopg.Cursor.copy = copy  # type: ignore[method-assign]
    psycopg.Connection.commit = commit  # type: ignore[method-assign]
    Client._sock_send = send  # type: ignore[method-assign, assignment]


def _around_turns(trap: Trap) -> None:
    turning: set[int] = set()
    real_execute, real_exit = psycopg.Cursor.execute, psycopg.Transaction.__exit__

    def execute(self: psycopg.Cursor[Any], query: Any, *arguments: Any, **options: Any) -> Any:
        result = real_execute(self, query, *arguments, **options)
        if isinstance(query, str):
            if "insert into alert (" in query:
                trap.reached("alert_written")
            elif query.startswith("update feed_cursor"):
                turning.add(id(self.connection))
                trap.reached("cursor_moved")
        return result

    def leave(self: psycopg.Transaction, kind: Any, error: Any, trace: Any) -> bool:
        turned = id(self.connection) in turning
        turning.discard(id(self.connection))
        if turned and kind is None:
            trap.reached("before_turn_commit")
        suppressed = real_exit(self, kind, error, trace)
        if turned and kind is None:
            trap.reached("after_turn_commit")
        return bool(suppressed)

    psycopg.Cursor.execute = execute  # type: ignore[method-assign]
    psycopg.Transaction.__exit__ = leave  # type: ignore[method-assign]


if __name__ == "__main__":
    install(Trap(Path(sys.argv[1])))
    from mimamori.cli import main

    sys.argv = ["mimamori", *sys.argv[2:]]
    main()

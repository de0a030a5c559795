"""How a process of ours is told to stop, on every system.

SIGTERM, Ctrl-C               everywhere
SIGHUP, a closed terminal     elsewhere than on Windows, for a command that runs a whole town
Ctrl-Break                    Windows: what a supervisor can send there
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_STOP = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    _STOP.append(signal.SIGBREAK)
    _CLOSED: list[signal.Signals] = []
else:
    _CLOSED = [signal.SIGHUP]


def stop_event() -> threading.Event:
    """An event that a signal sets, for a process that runs until it is told to stop. For the main thread, once.

    A thread sets it, because a handler would run in the middle of whatever the main thread does: inside `Event.wait`
    or `Event.set` it would wait for ever for the lock that is held there. The interpreter itself wakes the thread
    (set_wakeup_fd), as the main thread may be waiting where no handler runs; the handler does so again, for Windows'
    event loops take the wakeup for themselves while they run.
    """
    stop = threading.Event()
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def wake(*_: object) -> None:
        with suppress(OSError):  # full: it has been woken often enough
            writer.send(b"!")

    def take() -> None:
        reader.recv(1)
        stop.set()

    for name in _STOP:
        signal.signal(name, wake)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=take, name="signals", daemon=True).start()
    return stop


class _Hold:
    """How many blocks are not to be interrupted, and whether that was wanted meanwhile."""

    depth = 0
    due = False


_hold = _Hold()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let any of them end a town as Ctrl-C does: once, so that a second one cannot stop the stopping."""
    told = False

    def interrupt(*_: object) -> None:
        nonlocal told
        if not told:
            told = True
            if not _hold.depth:
                raise KeyboardInterrupt
            _hold.due = True

    before: list[tuple[signal.Signals, Callable[..., object] | int | None]] = [
        (name, signal.signal(name, interrupt)) for name in (*_STOP, *_CLOSED)
    ]
    try:
        yield
    finally:
        for name, handler in before:
            signal.signal(name, handler)


@contextmanager
def held() -> Iterator[None]:
    """Let `interruptible` interrupt what is in this block only when it is over: a process is started and known, or
    neither.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    _hold.depth += 1
    try:
        yield
    finally:
        _hold.depth -= 1
        if not _hold.depth and _hold.due:
            _hold.due = False
            raise KeyboardInterrupt

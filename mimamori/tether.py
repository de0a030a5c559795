"""A child that does not outlive its supervisor, however that one ends.

`kill -9` gives a supervisor no chance to stop anybody. So every child is started through this file, in one of two ways:

    python -I -S tether.py become PARENT SIGNAL COMMAND [ARGUMENT ...]
    python -I -S tether.py watch  -      SIGNAL COMMAND [ARGUMENT ...]

- become (Linux): it asks the kernel for SIGNAL when its parent is gone (prctl(2), PR_SET_PDEATHSIG, which survives the
  exec), looks once whether the parent went in between, and becomes the real command.
- watch (Windows, macOS): it starts the real command and stays beside it. Its standard input is a pipe that the
  supervisor holds and never writes to: when that ends, the supervisor has let go of it or is gone, and the command is
  asked to end (SIGNAL; on Windows Ctrl-Break to its process group), then ended. Its exit code is the command's.

It is run by its path and without `site`, so that it costs a few milliseconds; hence no import of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal as signals
import subprocess
import sys
import threading
from collections.abc import Sequence

# How a child is tied here; tests on Linux try the other way too.
WATCHES = not sys.platform.startswith("linux")
# What a process needs so that Ctrl-C in the terminal does not reach it, beside start_new_session elsewhere.
if sys.platform == "win32":
    APART = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    APART = 0

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 10.0


def tethered(command: Sequence[str], *, stop: int, orphan: int | None) -> list[str]:
    """The command that runs `command` tied to this process.

    `stop` is the signal that asks it to end in good order, `orphan` the one it gets when this process has been killed;
    None: it is killed too. Where a tether watches, a killed supervisor cannot be told from one that lets go: `stop`.
    """
    way = ["watch", "-", str(int(stop))]
    if not WATCHES and sys.platform != "win32":
        way = ["become", str(os.getpid()), str(int(signals.SIGKILL if orphan is None else orphan))]
    return [sys.executable, "-I", "-S", __file__, *way, *command]


def _become(parent: int, signal: int, command: Sequence[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}") from error


def _watch(signal: int, command: Sequence[str]) -> None:
    # What the keyboard says is for the supervisor, which then lets go of the pipe.
    signals.signal(signals.SIGINT, signals.SIG_IGN)
    if sys.platform == "win32":
        signals.signal(signals.SIGBREAK, signals.SIG_IGN)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, creationflags=APART, restore_signals=True)
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}") from error
    threading.Thread(target=_end_with_the_pipe, args=(child, signal), daemon=True).start()
    code = child.wait()
    if code < 0:  # ended by a signal: so are we, and the supervisor can say so
        with contextlib.suppress(OSError):  # SIGKILL needs none
            signals.signal(-code, signals.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)  # the thread may still be reading


def _end_with_the_pipe(child: subprocess.Popen[bytes], signal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    if sys.platform == "win32":
        signal = signals.CTRL_BREAK_EVENT
    with contextlib.suppress(OSError):  # it may have ended meanwhile
        child.send_signal(signal)
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        _watch(int(sys.argv[3]), sys.argv[4:])
    else:
        _become(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])

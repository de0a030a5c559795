"""A child that does not outlive its supervisor, however that one ends.

`kill -9` gives a supervisor no chance to stop anybody. So every child is started through this file: it asks the
kernel for a signal when its parent is gone (Linux: prctl(2), PR_SET_PDEATHSIG, which survives the exec), looks
once whether the parent went in between, and becomes the real command. Elsewhere than on Linux a child outlives a
*killed* supervisor; Ctrl-C and SIGTERM work everywhere.

    python -I -S tether.py PARENT SIGNAL COMMAND [ARGUMENT ...]

It is run by its path and without `site`, so that it costs a few milliseconds; hence no import of ours.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str], *, signal: int) -> list[str]:
    """The command that runs `command` tied to this process, to get `signal` when this process is gone."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(signal), *command]


def _become(parent: int, signal: int, command: Sequence[str]) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}") from error


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

"""The ledger: what was really sent, written down by the sender, to be compared with what was stored.

JSON Lines, one object for each delivery:

    what     "sent":    the broker has acknowledged it (written after the acknowledgement, never before)
             "lost":    on purpose: nobody heard it, it was never published; `why`: "radio" (no gateway that works has
                        heard it), "collision" (one would have)
             "unsent":  held back on the way, or not yet acknowledged, when the run ended; the broker may have it
    event    "up" or "join"
    device, session, counter   which transmission (counter null for a join)
    time     the town time at which the network heard it
    copy     0 for the first delivery of a transmission, 1 for its repetition

Every (device, session, counter) with a "sent" "up" line must be found in the store, once.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from simulators.frames import Frame

What = Literal["sent", "lost", "unsent"]


class Ledger:
    """Appends to `path`; writes nothing where that is None. Each `flush` hands the lines to the operating system."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, what: What, frame: Frame, copy: int, why: str | None = None) -> None:
        if self._file is None:
            return
        line = {
            "what": what,
            "event": frame.event,
            "device": frame.device,
            "session": frame.session,
            "counter": frame.counter,
            "time": frame.heard.isoformat(),
            "copy": copy,
        }
        if why is not None:
            line["why"] = why
        self._file.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

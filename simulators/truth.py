"""The truth file: everything that was made to go wrong, or to happen, in a run, so that its detection can be scored.

JSON Lines, one object each, written when it begins in town time (the ledger, `simulators.ledger`, has the single
messages: which were sent, and which nobody heard):

    kind         a fault (`simulators.faults`), or an event of the town: storm, cloudburst, burst, leak, valve (half
                 shut), festival, covered (leaves on a counter), blocked (something before it), sheltering
    device       the key of the device; null where none is meant
    station      the code of its station, or of the one it happens at; null where none is meant
    from, to     town time; `to` may lie after the end of the run, null: it stays
    parameters   what there is to know of it: sizes, the gateway's key, the devices that only it hears, the node of the
                 pipes, ...

The same town, seed, scenario and origin give the same lines, whenever the run is started; a run writes those that last
at some time of it.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simulators.errors import SimulatorError

_AHEAD = timedelta(days=1)  # so much of the future is asked for at once


@dataclass(frozen=True, slots=True)
class Happened:
    """One line. `what` is its kind."""

    what: str
    start: datetime
    end: datetime | None
    device: str | None = None
    station: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        return json.dumps(
            {
                "kind": self.what,
                "device": self.device,
                "station": self.station,
                "from": self.start.astimezone(UTC).isoformat(),
                "to": None if self.end is None else self.end.astimezone(UTC).isoformat(),
                "parameters": dict(self.parameters),
            },
            ensure_ascii=False,
        )

    @property
    def identity(self) -> tuple[str, str, str, datetime]:
        return self.what, self.device or str(self.parameters.get("gateway", "")), self.station or "", self.start


Asked = Callable[[datetime, datetime], Iterable[Happened]]


class Truth:
    """Appends to `path`; writes nothing where that is None. `asked` answers what lasts between two times."""

    def __init__(self, path: Path | None, asked: Asked, since: datetime) -> None:
        self._asked, self._known_until = asked, since
        self._since = since
        self._waiting: list[tuple[datetime, str]] = []
        self._seen: set[tuple[str, str, str, datetime]] = set()
        try:
            self._file = None if path is None else path.open("a", encoding="utf-8")
        except OSError as error:
            raise SimulatorError(f"{path}: the truth file cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def again(self, now: datetime) -> None:
        """Something was set off: what begins from now on is asked for again."""
        self._known_until = min(self._known_until, now)
        kept = [each for each in self._waiting if each[0] <= now]
        heapq.heapify(kept)
        self._waiting = kept
        self._seen = {identity for identity in self._seen if identity[3] <= now}

    def until(self, now: datetime) -> None:
        """Writes what has begun by now."""
        if self._file is None:
            return
        while self._known_until <= now:
            until = self._known_until + _AHEAD
            for each in self._asked(self._known_until, until):
                if each.identity not in self._seen:
                    self._seen.add(each.identity)
                    heapq.heappush(self._waiting, (each.start, each.line()))
            self._known_until = until
        if not self._waiting or self._waiting[0][0] > now:
            return
        while self._waiting and self._waiting[0][0] <= now:
            self._file.write(heapq.heappop(self._waiting)[1] + "\n")
        self._file.flush()

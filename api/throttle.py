"""Slows down guessing of passwords, in bounded memory.

After `free` failures each further one doubles the pause of its key, from one second to `longest`. A key is
forgotten after a success, or an hour after its pause, or when `capacity` newer ones have pushed it out.
Counted in this process only: with n API processes a guesser has n times the tries.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_FORGET_SECONDS = 3600.0


@dataclass(slots=True)
class _Failures:
    count: int
    open_again: float


class Throttle:
    """Pauses by key. `monotonic` is a parameter so that tests do not wait."""

    def __init__(
        self,
        *,
        free: int,
        longest: float = 300.0,
        capacity: int = 10_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = free
        self._longest = longest
        self._capacity = capacity
        self._monotonic = monotonic
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._failures)

    def pause(self, key: Hashable) -> float:
        """Seconds until this key may try again; 0 when it may now."""
        with self._lock:
            held = self._failures.get(key)
            return 0.0 if held is None else max(0.0, held.open_again - self._monotonic())

    def failed(self, key: Hashable) -> None:
        """Counts one failure of this key."""
        now = self._monotonic()
        with self._lock:
            held = self._failures.pop(key, None)
            if held is None or now - held.open_again > _FORGET_SECONDS:
                held = _Failures(0, now)
            held.count += 1
            over = held.count - self._free
            if over > 0:
                # the exponent is bounded so that a patient guesser does not overflow a float
                held.open_again = now + min(self._longest, 2.0 ** min(over - 1, 30))
            else:
                held.open_again = now
            self._failures[key] = held
            while len(self._failures) > self._capacity:
                self._failures.popitem(last=False)

    def succeeded(self, key: Hashable) -> None:
        """Forgets this key."""
        with self._lock:
            self._failures.pop(key, None)

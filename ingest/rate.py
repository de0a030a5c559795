"""How many messages a minute: a bucket for each key that refills steadily. Bounded by the number of keys given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rate:
    """`monotonic` is a parameter so that tests do not wait. Counted in this process only."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: dict[Hashable, _Bucket] = {}
        self._lock = threading.Lock()

    def wait(self, key: Hashable, per_minute: int) -> float:
        """Takes one from the bucket of this key: 0.0; or, where it is empty, the seconds until there is one."""
        now = self._monotonic()
        with self._lock:
            bucket = self._buckets.setdefault(key, _Bucket(float(per_minute), now))
            bucket.left = min(float(per_minute), bucket.left + (now - bucket.at) * per_minute / 60)
            bucket.at = now
            if bucket.left < 1:
                return (1 - bucket.left) * 60 / per_minute
            bucket.left -= 1
            return 0.0

    def keep(self, keys: Collection[Hashable]) -> None:
        """Forgets all other keys."""
        with self._lock:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if key in keys}

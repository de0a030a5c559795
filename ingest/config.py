"""What an ingest worker has to be told. `mimamori` fills it; nothing here reads settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from devices.envelopes import TOPIC_FILTERS
from devices.envelopes.definitions import NOTHING, Definitions
from ingest.broker import Broker
from ingest.errors import ConfigError
from quality.gate import CLOCK

_WORKER_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """One worker.

    `worker_id` must stay the same over restarts and be held by one process at a time: the broker keeps the session
    under it. `dsn` is for the role mimamori_worker. `municipality` is the 6-digit code. A batch is written when it
    has `batch_size` messages (never more than half the broker's window) or `batch_seconds` after its first. `oldest`:
    a device's time further back than this before its reception is an impossible clock, not history. `shared`: this
    worker is one of several, and each message goes to one of them.

    Raises ConfigError, naming the field.
    """

    worker_id: str
    dsn: str
    municipality: str
    broker: Broker
    batch_size: int = 1000
    batch_seconds: float = 0.1
    oldest: timedelta = timedelta(seconds=CLOCK.behind)
    shared: bool = False

    def __post_init__(self) -> None:
        if not _WORKER_ID.fullmatch(self.worker_id):
            raise ConfigError(
                f"ingest worker_id {self.worker_id!r}: use 1 to 48 letters, digits, - or _ (it names an MQTT session)"
            )
        if self.batch_size < 1:
            raise ConfigError(f"ingest batch_size is {self.batch_size}: it must be 1 or more")
        if not self.batch_seconds >= 0:
            raise ConfigError(f"ingest batch_seconds is {self.batch_seconds}: it must be 0 or more")
        if not self.oldest > timedelta(0):
            raise ConfigError(f"ingest oldest is {self.oldest}: it must be longer than 0")
        if self.shared and not self.broker.shared:
            raise ConfigError(
                f"broker {self.broker.address} has no shared subscriptions (NATS has none), so that several ingest "
                "workers would each take every message or none: run one worker there, or use mosquitto"
            )

    @property
    def client_id(self) -> str:
        """The MQTT client id, under which the broker keeps the session."""
        return f"mimamori-ingest-{self.worker_id}"

    @property
    def spare_client_id(self) -> str:
        """The client id of its second session (`ingest.sessions`); no worker id has a dot."""
        return f"{self.client_id}.spare"

    def filters(self, definitions: Definitions = NOTHING) -> Filters:
        """What it subscribes to and leaves, where the municipality has these sources of its own."""
        own, left = definitions.filters, definitions.left
        wanted = (*TOPIC_FILTERS, *own)
        if self.shared:
            others = (*wanted, *self._shared(left), *left)
            return Filters(self._shared(wanted), others, dict(zip(self._shared(own), own, strict=True)))
        others = (*self._shared(wanted), *self._shared(left)) if self.broker.shared else ()
        return Filters(wanted, (*others, *left), dict(zip(own, own, strict=True)))

    def _shared(self, filters: tuple[str, ...]) -> tuple[str, ...]:
        # A group a town: the workers of another one would take its messages and know none of its devices.
        return tuple(f"$share/mimamori-{self.municipality}/{name}" for name in filters)


class Filters(NamedTuple):
    """What a session subscribes to, what it may have subscribed to earlier (as one of several workers, or as the only
    one; for a source that has ended), and which of the wanted ones a broker may refuse: those of the municipality's own
    sources, each with the source's filter.
    """

    wanted: tuple[str, ...]
    others: tuple[str, ...]
    optional: Mapping[str, str]

    @property
    def all(self) -> tuple[str, ...]:
        """Both."""
        return (*self.wanted, *self.others)

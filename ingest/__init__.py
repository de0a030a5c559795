"""The way in: MQTT message -> decoded -> checked -> committed observation -> broker ack.

`run(config, stop)` is one worker; `EmbeddedBroker` is the broker of a one-box installation. `ingest.intake` is the same
way in for what is posted by HTTP: the API hosts it, since only the API says who may use a route.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ingest.errors import BrokerError, ConfigError, IngestError

if TYPE_CHECKING:
    from ingest.broker import Broker, Persistence, Protocol, probe
    from ingest.config import IngestConfig
    from ingest.embedded import EmbeddedBroker
    from ingest.worker import run

__all__ = [
    "Broker",
    "BrokerError",
    "ConfigError",
    "EmbeddedBroker",
    "IngestConfig",
    "IngestError",
    "Persistence",
    "Protocol",
    "probe",
    "run",
]

_WHERE = {
    "Broker": "ingest.broker",
    "EmbeddedBroker": "ingest.embedded",
    "IngestConfig": "ingest.config",
    "Persistence": "ingest.broker",
    "Protocol": "ingest.broker",
    "probe": "ingest.broker",
    "run": "ingest.worker",
}


def __getattr__(name: str) -> Any:
    """What is asked for, imported then: an errand that reads a file needs neither a worker nor a broker."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

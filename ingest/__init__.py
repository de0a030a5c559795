"""The way in: MQTT message -> decoded -> checked -> committed observation -> broker ack.

`run(config, stop)` is one worker; `EmbeddedBroker` is the broker of a one-box installation. `ingest.intake` is the same
way in for what is posted by HTTP: the API hosts it, since only the API says who may use a route.
"""

from ingest.broker import Broker, Persistence, Protocol, probe
from ingest.config import IngestConfig
from ingest.embedded import EmbeddedBroker
from ingest.errors import BrokerError, ConfigError, IngestError
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

"""What ingest must know of an MQTT broker, whichever it is: one description for every kind.

Every broker described here keeps the contract that tests/brokers checks on real ones: QoS 1, a persistent
session for a stable client id, unacked messages delivered again to the next connection of that id, nothing
dropped for a slow consumer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.errors import BrokerError
from ingest.mqtt_client import MqttClient


class Protocol(StrEnum):
    """The MQTT version spoken. 3.1.1: no feature of 5 is needed, and paho reads it at half the cost."""

    MQTT_311 = "3.1.1"


class Persistence(StrEnum):
    """What a sudden death of the broker (kill -9, power) leaves of messages it has acknowledged."""

    EVERY_MESSAGE = "every_message"  # all of them
    PERIODIC = "periodic"  # all but those since the last save
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker as a client sees it.

    `max_unacked` is how many QoS 1 messages it hands to one session (NATS: to one subscription) before it waits
    for an acknowledgement. (mosquitto 2.0.11 hands out as many again behind each message that is acknowledged: what
    bounds ingest's memory for certain is that it reads no more than twice this.) `shared` says whether it knows shared
    subscriptions (``$share/group/filter``; NATS grants them and delivers nothing). `keeps_unsubscribed`: what waits
    in a session stays there when its subscription ends (NATS throws it away; of EMQX we do not know).
    `redelivery_seconds` is how long it may hold back what an earlier connection left unacknowledged; 0 means that
    this comes first, in its order, before anything newer.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    protocol: Protocol = Protocol.MQTT_311
    shared: bool = False
    keeps_unsubscribed: bool = False
    max_unacked: int = 100
    redelivery_seconds: float = 0.0
    persistence: Persistence = Persistence.NONE

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise BrokerError(f"broker {self.host}: port {self.port} is not between 1 and 65535")
        if self.max_unacked < 2:
            raise BrokerError(
                f"broker {self.address}: max_unacked is {self.max_unacked}; batches are half of it, it must be 2+"
            )

    def __repr__(self) -> str:
        """Without the password: this ends up in logs."""
        return f"Broker({self.address}, MQTT {self.protocol}, max_unacked={self.max_unacked})"

    @property
    def address(self) -> str:
        """`host:port`, for messages."""
        return f"{self.host}:{self.port}"

    def client(self, client_id: str, *, clean: bool) -> MqttClient:
        """A paho client for this broker, not yet connected; it acknowledges nothing by itself.

        `clean` False asks for a session that outlives the connection.
        """
        client = MqttClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if self.username is not None:
            client.username_pw_set(self.username, self.password)
        return client


# No broker says over MQTT which one it is, and they can do different things.
ABILITIES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "mosquitto": {"shared": True, "keeps_unsubscribed": True},
        "emqx": {"shared": True},
        "nats": {"redelivery_seconds": 3.0},
    }
)


def probe(broker: Broker, *, timeout: float = 5.0) -> None:
    """Signs in once and leaves again.

    Raises BrokerError when the broker cannot be reached within `timeout` seconds or does not accept us.
    """
    _sign_in(broker, "", timeout)


def end_session(broker: Broker, client_id: str, *, timeout: float = 30.0) -> None:
    """Makes the broker forget a session and what is in it. Raises BrokerError as `probe` does."""
    _sign_in(broker, client_id, timeout)


def _sign_in(broker: Broker, client_id: str, timeout: float) -> None:
    """As somebody without a session: one that was there under the name ends by it."""
    answer = threading.Event()
    refusal: list[str] = []

    def on_connect(_client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            refusal.append(str(reason))
        answer.set()

    client = broker.client(client_id, clean=True)
    client.connect_timeout = timeout
    client.on_connect = on_connect
    try:
        client.connect(broker.host, broker.port)
    except OSError as error:
        raise BrokerError(f"broker {broker.address} cannot be reached: {error}") from error
    client.loop_start()
    try:
        if not answer.wait(timeout):
            raise BrokerError(f"broker {broker.address} took the connection but did not answer in {timeout:g} s")
        if refusal:
            raise BrokerError(f"broker {broker.address} refused the sign-in: {refusal[0]}")
    finally:
        client.disconnect()
        client.loop_stop()

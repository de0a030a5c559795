"""A message by MQTT: to a warning lamp, a relay, or another system of the town that listens to a broker.

Published with QoS 1, and taken when the broker has acknowledged it. A broker that speaks version 5 also says when
nobody listens to the topic, or when we may not publish there: then it is tried again, as the lamp may come back. An
address in a topic is one word of it, and the payload has a limit: small devices have small buffers.

What may arrive twice (no acknowledgement came) is sent again like everything else; ${key} is the same then.
"""

from __future__ import annotations

import json
import ssl
import threading
from string import Template
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from alerts.channels import Notification, Undeliverable, Unsure
from alerts.channels_http import NotTaken, filled
from alerts.config import MqttConfig

MOST_BYTES = 4096
_QOS = 1
_VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}
_NOBODY_LISTENS = 0x10


class MqttChannel:
    """Publishes a payload that the operator has written down. Placeholders as in `alerts.channels_http`."""

    kind = "mqtt"

    def __init__(self, name: str, config: MqttConfig) -> None:
        self.name = name
        self.knows_repetitions = config.knows_repetitions
        self._config = config

    def send(self, notification: Notification) -> None:
        topic, payload = self.message(notification)
        config = self._config
        client = Client(CallbackAPIVersion.VERSION2, protocol=_VERSIONS[config.version], reconnect_on_failure=False)
        client.connect_timeout = config.timeout_seconds
        if config.username is not None:
            client.username_pw_set(config.username, config.password)
        if config.tls:
            client.tls_set_context(ssl.create_default_context(cafile=config.ca_file))
        answers = _Answers(client)
        client.connect(config.host, config.port)
        client.loop_start()
        try:
            answers.connected.wait(config.timeout_seconds)
            if answers.refused is not None or not answers.connected.is_set():
                raise NotTaken(f"{self.name}: the broker {config.host} said {answers.refused or 'nothing'}")
            client.publish(topic, payload, qos=_QOS, retain=config.retain)
            answers.published.wait(config.timeout_seconds)
            if answers.reason is None:
                raise Unsure(f"{self.name}: the broker {config.host} did not acknowledge it")
            if answers.reason == _NOBODY_LISTENS:
                raise NotTaken(f"{self.name}: nobody listens to {topic}")
            if answers.reason >= 0x80:
                raise NotTaken(f"{self.name}: the broker refused it (reason {answers.reason:#x})")
        finally:
            client.disconnect()
            client.loop_stop()

    def message(self, notification: Notification) -> tuple[str, bytes]:
        """Topic and payload. Raises `Undeliverable` where the address is no word of a topic, or there is too much."""
        values = filled(notification, None)
        address = values["address"]
        if "${address}" in self._config.topic and any(each in address for each in "+#/\x00"):
            raise Undeliverable(f"{self.name}: the address {address} cannot stand in a topic")
        topic = Template(self._config.topic).substitute(values)
        quoted = {name: json.dumps(text, ensure_ascii=False)[1:-1] for name, text in values.items()}
        body = Template(self._config.body).substitute(quoted if self._config.json else values).encode()
        if len(body) > MOST_BYTES:
            raise Undeliverable(f"{self.name}: {len(body)} bytes are more than the {MOST_BYTES} of a message")
        return topic, body


class _Answers:
    """What the broker said; `published` is set also when the line breaks."""

    def __init__(self, client: Client) -> None:
        self.connected, self.published = threading.Event(), threading.Event()
        self.refused: str | None = None
        self.reason: int | None = None
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
        self.connected.set()

    def _on_publish(self, _client: Client, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        self.reason = reason.value
        self.published.set()

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self.connected.is_set():
            self.refused = str(reason)
            self.connected.set()
        self.published.set()

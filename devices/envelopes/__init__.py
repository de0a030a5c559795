"""Envelopes: what a network wraps round a device's message. One network a file.

`TOPIC_FILTERS` is what to subscribe to; `open_uplink` takes the wrapping off. Whatever is wrong with a
message is an EnvelopeError in words for people; no input makes anything else out of it.
"""

from __future__ import annotations

from typing import Protocol

from devices.envelopes import chirpstack_v4, mimamori_v1, the_things_stack_v3
from devices.envelopes.json import shown
from devices.model import EnvelopeError, Uplink

__all__ = ["TOPIC_FILTERS", "open_uplink"]


class _Network(Protocol):
    TOPIC_FILTER: str

    def matches(self, topic: str) -> bool: ...

    def open_uplink(self, topic: str, raw: bytes) -> Uplink: ...


_NETWORKS: tuple[_Network, ...] = (chirpstack_v4, the_things_stack_v3, mimamori_v1)

TOPIC_FILTERS: tuple[str, ...] = tuple(network.TOPIC_FILTER for network in _NETWORKS)


def open_uplink(topic: str, raw: bytes) -> Uplink:
    """The device's message out of the MQTT message `raw` on `topic`. EnvelopeError when it cannot be read."""
    for network in _NETWORKS:
        if network.matches(topic):
            return network.open_uplink(topic, raw)
    raise EnvelopeError(f"no known network sends on the topic {shown(topic)}")

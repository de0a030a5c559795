"""Envelopes: what a network wraps round a device's message. One network a file.

`open_uplink` takes the wrapping off. Whatever is wrong with a message is an EnvelopeError in words for people; no input
makes anything else out of it.

Over MQTT the topic says which network it is; `TOPIC_FILTERS` is what to subscribe to. Where a network leaves the topic
to its user, an operator has said whose it is (`definitions`). What a network posts by HTTP has no topic: `posted_topic`
gives it one that says as much, ``intake/{source}/{kind}?{what was said beside the body}``. So topic, body and the time
of receipt are the whole message however it came, and it can be opened again at any time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from devices.envelopes import (
    actility,
    aws_iot_lorawan,
    chirpstack_v3,
    chirpstack_v4,
    helium,
    mapped,
    mimamori_v1,
    sigfox,
    soracom,
    the_things_stack_v3,
)
from devices.envelopes.definitions import NOTHING, Definition, Definitions
from devices.envelopes.json import shown
from devices.model import EnvelopeError, Uplink

__all__ = [
    "MAPPABLE_KINDS",
    "MQTT_KINDS",
    "OWN_LEVELS",
    "POSTED_KINDS",
    "TOPIC_FILTERS",
    "open_uplink",
    "posted_said",
    "posted_topic",
]


class _Network(Protocol):
    TOPIC_FILTER: str

    def matches(self, topic: str) -> bool: ...

    def open_uplink(self, topic: str, raw: bytes) -> Uplink: ...


class _Poster(Protocol):
    # The query parameters and headers that belong to the message.
    POSTED_WITH: tuple[str, ...]

    def open_posted(self, said: Mapping[str, str], raw: bytes) -> Uplink: ...


_NETWORKS: tuple[_Network, ...] = (chirpstack_v4, the_things_stack_v3, mimamori_v1)
_POSTERS: Mapping[str, _Poster] = MappingProxyType(
    {
        chirpstack_v4.NETWORK: chirpstack_v4,
        chirpstack_v3.NETWORK: chirpstack_v3,
        the_things_stack_v3.NETWORK: the_things_stack_v3,
        helium.NETWORK: helium,
        actility.NETWORK: actility,
        aws_iot_lorawan.NETWORK: aws_iot_lorawan,
        sigfox.NETWORK: sigfox,
        soracom.NETWORK: soracom,
        mimamori_v1.NETWORK: mimamori_v1,
        mapped.NETWORK: mapped,
    }
)


def _behind(prefix: str, open_uplink: Callable[[str, bytes], Uplink]) -> Callable[[str, bytes], Uplink]:
    """A network's own topics behind something that a bridge has put before them."""

    def open_behind(topic: str, raw: bytes) -> Uplink:
        at = f"/{topic}".find(f"/{prefix}/")
        if at < 0:
            raise EnvelopeError(f"the topic {shown(topic)} has no level {prefix!r}, where the network's own begins")
        return open_uplink(topic[at:], raw)

    return open_behind


# What can speak on topics of somebody's choice.
_ON_ANY_TOPIC: Mapping[str, Callable[[str, bytes], Uplink]] = MappingProxyType(
    {
        chirpstack_v4.NETWORK: _behind("application", chirpstack_v4.open_uplink),
        chirpstack_v3.NETWORK: _behind("application", chirpstack_v3.open_uplink),
        the_things_stack_v3.NETWORK: _behind("v3", the_things_stack_v3.open_uplink),
        helium.NETWORK: lambda topic, raw: helium.open_posted({}, raw),
        actility.NETWORK: lambda topic, raw: actility.open_posted({}, raw),
        aws_iot_lorawan.NETWORK: lambda topic, raw: aws_iot_lorawan.open_posted({}, raw),
        soracom.NETWORK: soracom.open_uplink,
        mimamori_v1.NETWORK: _behind("mimamori", mimamori_v1.open_uplink),
        mapped.NETWORK: lambda topic, raw: mapped.open_posted({}, raw),
    }
)
_POSTED = re.compile(r"intake/(?P<source>[^/]+)/(?P<kind>[^/?]+)(\?(?P<said>.*))?", re.DOTALL)
# Nothing that belongs to a message is longer; what is longer is somebody's try, and is kept as far as that.
_LONGEST_SAID = 64
_EVER = datetime.max.replace(tzinfo=UTC)

TOPIC_FILTERS: tuple[str, ...] = tuple(network.TOPIC_FILTER for network in _NETWORKS)
POSTED_KINDS: tuple[str, ...] = tuple(_POSTERS)
MQTT_KINDS: tuple[str, ...] = tuple(_ON_ANY_TOPIC)
# Whose messages have the shape that an operator has given them, or that only an operator knows.
# The first levels of their own topics: what begins so is theirs, and nobody else's.
OWN_LEVELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "application": (chirpstack_v4.NETWORK, chirpstack_v3.NETWORK),
        "v3": (the_things_stack_v3.NETWORK,),
        "mimamori": (mimamori_v1.NETWORK,),
    }
)
MAPPABLE_KINDS: tuple[str, ...] = (sigfox.NETWORK, mapped.NETWORK)


def open_uplink(topic: str, raw: bytes, definitions: Definitions = NOTHING, received: datetime | None = None) -> Uplink:
    """The device's message out of the message `raw` on `topic`, received at that (town) time; None: just now.
    EnvelopeError when it cannot be read.
    """
    for network in _NETWORKS:
        if network.matches(topic):
            return network.open_uplink(topic, raw)
    at = received or _EVER
    match = _POSTED.fullmatch(topic)
    if match is not None and match["kind"] in _POSTERS:
        said = posted_said(topic)
        definition = definitions.of_source(match["source"], at) if match["kind"] in MAPPABLE_KINDS else None
        if definition is not None and definition.map is not None:
            return mapped.opened(definition.map, match["kind"], topic, said, raw)
        return _POSTERS[match["kind"]].open_posted(said, raw)
    definition = definitions.of_topic(topic, at)
    if definition is not None:
        return _opened(definition, topic, raw)
    raise EnvelopeError(f"no known network sends on the topic {shown(topic)}")


def _opened(definition: Definition, topic: str, raw: bytes) -> Uplink:
    if definition.map is not None:
        return mapped.opened(definition.map, definition.kind, topic, {}, raw)
    try:
        opener = _ON_ANY_TOPIC[definition.kind]
    except KeyError:
        raise EnvelopeError(f"no network of the kind {shown(definition.kind)} speaks MQTT") from None
    return opener(topic, raw)


def posted_said(topic: str) -> dict[str, str]:
    """What was said beside the body of a message with this topic; nothing where it was not posted."""
    match = _POSTED.fullmatch(topic)
    return {} if match is None else dict(parse_qsl(match["said"] or "", keep_blank_values=True))


def posted_topic(source: str, kind: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The topic of what `source` posts, of one of POSTED_KINDS; of query and headers (names in lower case) only what
    belongs to the message goes in.
    """
    said = {}
    for name in _POSTERS[kind].POSTED_WITH:
        value = (headers if name.startswith("x-") else query).get(name)
        if value is not None:
            said[name] = value[:_LONGEST_SAID]
    return f"intake/{source}/{kind}" + (f"?{urlencode(said, errors='replace')}" if said else "")

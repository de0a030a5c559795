"""Envelopes: what a network wraps round a device's message. One network a file.

`open_uplink` takes the wrapping off. Whatever is wrong with a message is an EnvelopeError in words for people; no input
makes anything else out of it.

Over MQTT the topic says which network it is; `TOPIC_FILTERS` is what to subscribe to. What a network posts by HTTP has
no topic: `posted_topic` gives it one that says as much, ``intake/{source}/{kind}?{what was said beside the body}``. So
topic and body are the whole message however it came, and it can be opened again at any time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from devices.envelopes import chirpstack_v4, mimamori_v1, sigfox, soracom, the_things_stack_v3
from devices.envelopes.json import shown
from devices.model import EnvelopeError, Uplink

__all__ = ["POSTED_KINDS", "TOPIC_FILTERS", "open_uplink", "posted_topic"]


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
        the_things_stack_v3.NETWORK: the_things_stack_v3,
        sigfox.NETWORK: sigfox,
        soracom.NETWORK: soracom,
        mimamori_v1.NETWORK: mimamori_v1,
    }
)
_POSTED = re.compile(r"intake/[^/]+/(?P<kind>[^/?]+)(\?(?P<said>.*))?", re.DOTALL)
# Nothing that belongs to a message is longer; what is longer is somebody's try, and is kept as far as that.
_LONGEST_SAID = 64

TOPIC_FILTERS: tuple[str, ...] = tuple(network.TOPIC_FILTER for network in _NETWORKS)
POSTED_KINDS: tuple[str, ...] = tuple(_POSTERS)


def open_uplink(topic: str, raw: bytes) -> Uplink:
    """The device's message out of the message `raw` on `topic`. EnvelopeError when it cannot be read."""
    for network in _NETWORKS:
        if network.matches(topic):
            return network.open_uplink(topic, raw)
    match = _POSTED.fullmatch(topic)
    if match is not None and match["kind"] in _POSTERS:
        said = dict(parse_qsl(match["said"] or "", keep_blank_values=True))
        return _POSTERS[match["kind"]].open_posted(said, raw)
    raise EnvelopeError(f"no known network sends on the topic {shown(topic)}")


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

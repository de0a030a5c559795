"""The networks that simulated devices speak over: how each wraps a frame. One network a file.

`NETWORKS` has them by the name that `devices.envelopes` gives them. Each module has `POSTED` (whether it comes by HTTP
alone), `topic(frame)` and `body(frame)`. Pure functions; what they write is what those networks write, with the
gateways that heard the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from simulators.networks import chirpstack_v4, mimamori_v1, sigfox, the_things_stack_v3

if TYPE_CHECKING:
    from simulators.frames import Frame

__all__ = ["NETWORKS", "Network"]


class Network(Protocol):
    """A module of this package."""

    POSTED: bool

    def topic(self, frame: Frame) -> str: ...

    def body(self, frame: Frame) -> bytes: ...


NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "chirpstack_v4": chirpstack_v4,
        "the_things_stack_v3": the_things_stack_v3,
        "sigfox": sigfox,
        "mimamori_v1": mimamori_v1,
    }
)

"""`values`: a sender that brings values instead of bytes, in our own JSON (devices.envelopes.mimamori_v1).

Its fields are the observed properties themselves, each in its own unit; it has no payload. A PLC, a script or a replay
that already knows metres and cubic metres is registered as this model.
"""

from __future__ import annotations

from devices.codecs.models import DeviceModel
from devices.model import CodecError, ObservedProperty, Reading


def decode(payload: bytes) -> tuple[Reading, ...]:
    """Always CodecError: this model sends no bytes."""
    raise CodecError(
        f"values: {len(payload)} bytes came, but this model brings values in our own JSON; register what sends bytes "
        "as its own model"
    )


MODEL = DeviceModel(
    name="values",
    title="値を送る送信機",
    title_en="sender of values",
    fields={each.value: each.unit for each in ObservedProperty},
    decode=decode,
)

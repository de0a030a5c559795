"""What the LoRaWAN networks have in common, whatever JSON they put round it: device ids and how a frame was heard."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from devices.envelopes import json
from devices.model import EnvelopeError, Radio

_EUI = re.compile(r"[0-9a-f]{16}")
_DEV_ADDR = re.compile(r"[0-9a-f]{8}")


class Heard(Protocol):
    """A frame at one gateway; `rssi` in dBm, `snr` in dB."""

    @property
    def gateway(self) -> str | None: ...

    @property
    def rssi(self) -> float | None: ...

    @property
    def snr(self) -> float | None: ...


def device_of(said: str, named: str | None, network: str, where: str) -> str:
    """A device's DevEUI as 16 lower-case hex digits, from hex of either case or base64; `named` is the device that the
    topic speaks of. EnvelopeError when they are two.
    """
    device = said if _EUI.fullmatch(said) else eui(said, f"{network}: {where}")
    if named is not None and named != device and eui(named, f"{network}: the topic's device") != device:
        raise EnvelopeError(
            f"{network}: the topic speaks of device {json.shown(named)}, the message of {device}; "
            "somebody may be sending in another device's name"
        )
    return device


def eui(text: str, where: str) -> str:
    """A DevEUI as 16 lower-case hex digits, from hex of either case or base64. EnvelopeError says `where` it stood."""
    found = hex_of(text)
    if not _EUI.fullmatch(found):
        raise EnvelopeError(f"{where} {json.shown(text)} is not a DevEUI (16 hex digits)")
    return found


def dev_addr(text: str | None, network: str, device: str, where: str) -> str:
    """A DevAddr as 8 lower-case hex digits, from hex of either case or base64; empty where there is none."""
    if not text:
        return ""
    if _DEV_ADDR.fullmatch(text):
        return text
    found = hex_of(text)
    if not _DEV_ADDR.fullmatch(found):
        raise EnvelopeError(f"{network}: device {device}: {where} {json.shown(text)} is not 8 hex digits")
    return found


def hex_of(text: str) -> str:
    """An id in lower case, put from base64 into hex where it is written so (8 bytes or 4 always end in `=` there)."""
    if text.endswith("="):
        try:
            return base64.b64decode(text, validate=True).hex()
        except (binascii.Error, ValueError):
            pass
    return text.lower()


@lru_cache(maxsize=64)
def data_rate(spreading_factor: int | None, bandwidth: int | None) -> str | None:
    """``SF10BW125`` of a spreading factor and a bandwidth in Hz or kHz; None where either is not known."""
    if not spreading_factor or not bandwidth:
        return None
    return f"SF{spreading_factor}BW{bandwidth // 1000 if bandwidth >= 1000 else bandwidth}"


def radio(heard: Sequence[Heard], rate: str | None) -> Radio | None:
    """How a frame was heard by the gateway that heard it best; None where no gateway is named."""
    if not heard:
        return None
    best = heard[0] if len(heard) == 1 else max(heard, key=_loudness)
    return Radio(best.gateway, best.rssi, best.snr, rate, len(heard))


def _loudness(heard: Heard) -> tuple[bool, float]:
    return (heard.rssi is not None, heard.rssi or 0.0)

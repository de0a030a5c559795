"""Sigfox: the callback that its backend posts, with the base stations that heard the frame (DATA_ADVANCED).

Only by HTTP. Base stations are the operator's: their names are four hex digits, and no gateway of the town is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from simulators.frames import Frame

POSTED = True
LONGEST = 12  # bytes of a payload
WRAPS = 4096  # messages: the sequence number has twelve bits

_encode = msgspec.json.Encoder().encode


def topic(frame: Frame) -> str:
    """What ingest makes of the address that it is posted to."""
    return "intake/sigfox/sigfox"


def body(frame: Frame) -> bytes:
    best = frame.receptions[0].rssi if frame.receptions else -140
    return _encode(
        {
            "device": frame.device.upper(),
            "time": int(frame.heard.timestamp()),
            "data": frame.payload.hex(),
            "seqNumber": (frame.counter or 0) % WRAPS,
            "lqi": _quality(best, len(frame.receptions)),
            "operatorName": "SIGFOX_Japan",
            "countryCode": 392,
            "duplicates": [
                {"bsId": each.gateway, "rssi": float(each.rssi), "snr": each.snr, "nbRep": 1 + frame.repeats}
                for each in frame.receptions
            ],
        }
    )


def _quality(rssi: int, stations: int) -> str:
    """The backend's link quality: by the strongest reception and how many heard it."""
    if rssi > -122 and stations >= 3:
        return "Excellent"
    if rssi > -127 and stations >= 2:
        return "Good"
    return "Average" if rssi > -135 else "Limit"

"""How well a message was heard: what its data rate needs, and how much more it had.

LoRa is understood below the noise, the deeper the higher the spreading factor: the demodulation limits are those of
Semtech's SX1276 data sheet (table 13) and of AN1200.22.
"""

from __future__ import annotations

import re
from functools import lru_cache

# dB of SNR that a demodulator needs, by spreading factor.
LIMITS = {6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}

_DATA_RATE = re.compile(r"SF(\d{1,2})BW\d+")


@lru_cache(maxsize=64)
def spreading(data_rate: str | None) -> int | None:
    """The spreading factor of a data rate; None where it has none, or it is not known.

    >>> spreading("SF10BW125"), spreading("FSK50"), spreading(None)
    (10, None, None)
    """
    found = None if data_rate is None else _DATA_RATE.fullmatch(data_rate)
    if found is None:
        return None
    factor = int(found[1])
    return factor if factor in LIMITS else None


def margin(factor: int | None, snr: float | None) -> float | None:
    """dB above what could just have been understood; None where either is not known.

    >>> margin(10, -9.5), margin(None, -9.5)
    (5.5, None)
    """
    return None if factor is None or snr is None else snr - LIMITS[factor]

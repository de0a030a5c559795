"""Points in time as text: RFC 3339, always with an offset; and as a number since 1970.

A time without an offset is refused everywhere: between Japan and UTC a guess is nine hours wrong.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?P<offset>[Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Digits before the point of the present since 1970, in each unit that networks use, and how many make a second.
_UNITS = {10: 1, 13: 1_000, 14: 10_000, 16: 1_000_000, 19: 1_000_000_000}


@lru_cache(maxsize=1 << 12)  # the messages of a batch share many times
def parse_timestamp(text: str) -> datetime:
    """The moment that `text` names, in UTC. Digits below the microsecond are dropped; seconds may be absent.

    ValueError, with what to do, when it is not a timestamp, has no offset, or is no moment that exists.

    >>> parse_timestamp("2026-06-01T09:00:00.123456789+09:00").isoformat()
    '2026-06-01T00:00:00.123456+00:00'
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a time: write it as 2026-06-01T09:00:00+09:00")
    if match["offset"] is None:
        raise ValueError(f"{text[:40]!r} has no time zone: add +09:00 (Japan) or Z (UTC)")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} does not exist in the calendar or on the clock") from None


def from_epoch(number: float, per_second: int = 1) -> datetime:
    """The moment so many seconds (or parts of one) since 1970, in UTC. ValueError when it is no moment that exists.

    >>> from_epoch(1780272000250, 1000).isoformat()
    '2026-06-01T00:00:00.250000+00:00'
    """
    try:
        if isinstance(number, int):
            seconds, rest = divmod(number, per_second)
            return _EPOCH + timedelta(seconds=seconds, microseconds=rest * 1_000_000 // per_second)
        return _EPOCH + timedelta(seconds=number / per_second)
    except (ValueError, OverflowError):
        raise ValueError(f"{number!r} is no time since 1970") from None


def from_epoch_of_unknown_unit(number: float) -> datetime:
    """The same where the sender does not say whether it counts seconds, milliseconds or less: the number of digits
    does, for every time from 2001 to 2286. What is too small for that is seconds. ValueError where no unit fits.
    """
    digits = len(str(abs(int(number)))) if math.isfinite(number) else 0
    per_second = 1 if 0 < digits <= 10 else _UNITS.get(digits)
    if per_second is None:
        raise ValueError(f"{number!r} is neither seconds nor milliseconds since 1970")
    return from_epoch(number, per_second)

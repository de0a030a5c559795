"""Points in time as text: RFC 3339, always with an offset.

A time without an offset is refused everywhere: between Japan and UTC a guess is nine hours wrong.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?P<offset>[Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)


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

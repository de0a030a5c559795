"""A time as people write it at three in the morning -> the moment that is meant.

>>> zone = ZoneInfo("Asia/Tokyo")
>>> now = datetime(2026, 6, 1, 0, 5, tzinfo=zone)
>>> written = ("", "0003", "３時３分", "2350", "5/30 7:00")
>>> [f"{read_time(text, now, zone).astimezone(zone):%m-%d %H:%M}" for text in written]
['06-01 00:05', '06-01 00:03', '05-31 03:03', '05-31 23:50', '05-30 07:00']
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from store.errors import RecordError

_TIME = re.compile(
    r"(?:(?:(?P<year>\d{4})[-/年])?(?P<month>\d{1,2})[-/月](?P<day>\d{1,2})日?[ T]?)?"
    r"(?:(?P<hour>\d{1,2})[:時](?P<minute>\d{1,2})?分?|(?P<packed>\d{3,4}))"
)
_AHEAD = timedelta(minutes=1)


def read_time(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The moment that is meant: nothing is now; without a day the last time the clock showed this; a day without a
    year the last such day. Digits may be full-width, and hours and minutes without a colon. Raises `RecordError`
    (`time`, `unreadable`).
    """
    written = " ".join(unicodedata.normalize("NFKC", text).split())
    if not written:
        return now
    found = _TIME.fullmatch(written)
    if found is None:
        raise RecordError("time", "unreadable")
    part = found.groupdict()
    packed = part["packed"]
    hour, minute = (packed[:-2], packed[-2:]) if packed else (part["hour"], part["minute"] or "0")
    local = now.astimezone(zone)
    try:
        meant = local.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
        if part["day"]:
            year = int(part["year"] or local.year)
            meant = meant.replace(year=year, month=int(part["month"]), day=int(part["day"]))
            if not part["year"] and meant > local + _AHEAD:
                meant = meant.replace(year=year - 1)
        elif meant > local + _AHEAD:
            meant -= timedelta(days=1)
    except ValueError:
        raise RecordError("time", "unreadable") from None
    return meant.astimezone(UTC)

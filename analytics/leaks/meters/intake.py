"""A file of customers' meters -> the town's database, whole or not at all; the page and the command do the same.

understood(data, zone=, now=) -> Found
take_in(conn, town, key, found, name, now=, user_id=)      in the caller's transaction
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from analytics.leaks.meters import stored, sums
from analytics.leaks.meters.keyed import fingerprint, keyed
from analytics.leaks.meters.reading import MOST_LINES, Found, read_meters
from store import Connection

_AHEAD = timedelta(hours=1)  # a dial read at the full hour may come a little before ours


class OtherKeyError(Exception):
    """The numbers of the town's meters so far were kept by another key."""


class NothingError(Exception):
    """No value of the file could be understood: what was `found` says why."""

    def __init__(self, found: Found) -> None:
        super().__init__(f"{found.refused} lines refused, nothing left")
        self.found = found


def understood(data: bytes, *, zone: ZoneInfo, now: datetime, most: int = MOST_LINES) -> Found:
    """What a file has that may be kept: of the last 13 months, and not of the future. Raises `MeterFileError`,
    `SheetError` and `NothingError`.
    """
    oldest = datetime.combine(stored.kept_from(now), time(), UTC)
    found = read_meters(data, zone=zone, oldest=oldest, newest=now + _AHEAD, most=most)
    if not found.hours:
        raise NothingError(found)
    return found


def take_in(
    conn: Connection,
    town: tuple[int, str],
    key: str,
    found: Found,
    name: str,
    *,
    now: datetime,
    user_id: int | None,
) -> None:
    """Keeps it, and the sums of its blocks; that a person did is noted among the views. `town`: its id and code. Raises
    `CountsError` and `OtherKeyError`: nothing is to be kept then.
    """
    municipality_id, code = town
    if not stored.known_key(conn, municipality_id, fingerprint(key, code), now=now):
        raise OtherKeyError
    numbers = [keyed(key, code, each) for each in found.meters]
    before = sums.blocks_of(conn, municipality_id, numbers)
    n = stored.keep(conn, municipality_id, found, partial(keyed, key, code), name, now=now, user_id=user_id)
    days = {day for meter in found.meters.values() for day in meter.days}
    sums.add_up(conn, municipality_id, before | sums.blocks_of(conn, municipality_id, numbers), days)
    if user_id is not None:
        stored.seen(conn, municipality_id, "file", now=now, user_id=user_id, n=n)

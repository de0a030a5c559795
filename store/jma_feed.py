"""The feed of the weather agency's telegrams: how it is, and what its worker has to remember.

    feed(conn, town) -> Feed | None      for pages and the watch; None: the town has none
    begin / looked / failed / note       for the worker (`ingest.jma`): what came of a look
    seen / mark_seen / refuse / let_go   for the worker: entries dealt with, what could not be read, what may go

All times are the town's. A feed that cannot say what holds now is stale: nobody may conclude from it that nothing is
issued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from store.connection import Connection

STALE_AFTER = timedelta(minutes=10)
_STEADY = timedelta(seconds=20)  # of real time: on a fast clock ten minutes are nothing
# The feed itself names entries of several days; a telegram's XML is kept for a season and the next, its words stay.
SEEN_KEPT = timedelta(days=14)
RAW_KEPT = timedelta(days=400)
REFUSED_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Feed:
    """How the feed is. `looked_at`: when we last knew what there is. `complete_since`: nothing is known to be missing
    since then; `broken_at`: the gap that ended there began then, None: there was none. `fault`: a word of `ingest.jma`,
    since `fault_since`, with what was said. `refused`: how much came that could not be read.
    """

    source: str
    place: str
    started_at: datetime
    tried_at: datetime | None
    looked_at: datetime | None
    complete_since: datetime | None
    broken_at: datetime | None
    fault: str | None
    fault_said: str | None
    fault_since: datetime | None
    feed_updated_at: datetime | None
    refused: int

    def stale(self, now: datetime, speed: float = 1.0) -> bool:
        """Whether it cannot say what holds now."""
        return self.looked_at is None or now - self.looked_at > patience(speed)

    def asked(self, now: datetime, speed: float = 1.0) -> bool:
        """Whether a process is at it."""
        return self.tried_at is not None and now - self.tried_at <= patience(speed)

    def unsure(self, report_at: datetime) -> bool:
        """Whether what a report says may have been changed while nobody listened."""
        return self.broken_at is not None and self.complete_since is not None and report_at <= self.complete_since


def patience(speed: float) -> timedelta:
    """How old the last look may be; `speed` is the clock's."""
    return max(STALE_AFTER, _STEADY * speed)


def feed(conn: Connection, municipality_id: int) -> Feed | None:
    """How the town's feed is; None where it has none."""
    row = conn.execute(
        """
        select source, place, started_at, tried_at, looked_at, complete_since, broken_at, fault, fault_said,
               fault_since, feed_updated_at,
               (select count(*) from jma_refused r where r.municipality_id = f.municipality_id)
        from jma_feed f where municipality_id = %s and ended_at is null
        """,
        (municipality_id,),
    ).fetchone()
    return None if row is None else Feed(*row)


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that came and could not be read; `code` a word of `ingest.jma`."""

    place: str
    at: datetime
    code: str
    said: str


def refused(conn: Connection, municipality_id: int, limit: int = 20) -> list[Refused]:
    """The newest."""
    rows = conn.execute(
        "select place, at, code, said from jma_refused where municipality_id = %s "
        "order by at desc, jma_refused_id desc limit %s",
        (municipality_id, limit),
    )
    return [Refused(*row) for row in rows]


# --- for the worker ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What the feed said last: for the next conditional request, and whether there is a gap to close."""

    looked_at: datetime | None
    feed_updated_at: datetime | None
    etag: str | None
    modified: str | None
    bytes_today: int


def alone(conn: Connection, municipality_id: int) -> bool:
    """Whether this process is the one that reads the feed; the lock goes with its connection."""
    row = conn.execute("select pg_try_advisory_lock(hashtextextended('jma', %s))", (municipality_id,)).fetchone()
    return row is not None and bool(row[0])


def begin(conn: Connection, municipality_id: int, source: str, place: str, now: datetime) -> None:
    """A process reads this feed from now on. Of another feed than before nothing is known yet."""
    conn.execute(
        """
        insert into jma_feed as f (municipality_id, source, place, started_at) values (%s, %s, %s, %s)
        on conflict (municipality_id) do update set
            source = excluded.source, place = excluded.place, ended_at = null,
            started_at = case when f.ended_at is null and f.place = excluded.place then f.started_at
                              else excluded.started_at end,
            looked_at = case when f.place = excluded.place then f.looked_at end,
            feed_updated_at = case when f.place = excluded.place then f.feed_updated_at end,
            etag = case when f.place = excluded.place then f.etag end,
            modified = case when f.place = excluded.place then f.modified end
        """,
        (municipality_id, source, place, now),
    )


def end(conn: Connection, municipality_id: int, now: datetime) -> bool:
    """The town has no feed any more; whether it had one. What came stays."""
    return bool(
        conn.execute(
            "update jma_feed set ended_at = %s where municipality_id = %s and ended_at is null", (now, municipality_id)
        ).rowcount
    )


def known(conn: Connection, municipality_id: int, today: date) -> Known:
    row = conn.execute(
        "select looked_at, feed_updated_at, etag, modified, case when bytes_day = %s then bytes else 0 end "
        "from jma_feed where municipality_id = %s",
        (today, municipality_id),
    ).fetchone()
    assert row is not None, "begin() has made it"
    return Known(*row)


def looked(
    conn: Connection,
    municipality_id: int,
    now: datetime,
    *,
    etag: str | None = None,
    modified: str | None = None,
    updated_at: datetime | None = None,
    gap_until: datetime | None = None,
) -> None:
    """A look that has seen all there is. `gap_until`: what was issued before then may be missing, from the last good
    look on (at the first look: for ever).
    """
    conn.execute(
        """
        update jma_feed set tried_at = %(now)s, looked_at = %(now)s,
            fault = null, fault_said = null, fault_since = null,
            etag = %(etag)s, modified = %(modified)s, feed_updated_at = coalesce(%(updated)s, feed_updated_at),
            broken_at = case when %(gap)s::timestamptz is null then broken_at else looked_at end,
            complete_since = coalesce(%(gap)s, complete_since, %(now)s)
        where municipality_id = %(town)s
        """,
        {
            "town": municipality_id,
            "now": now,
            "etag": etag,
            "modified": modified,
            "updated": updated_at,
            "gap": gap_until,
        },
    )


def failed(conn: Connection, municipality_id: int, now: datetime, code: str, said: str) -> None:
    """A look that has not: a fault that lasts keeps its beginning."""
    conn.execute(
        """
        update jma_feed set tried_at = %(now)s, fault = %(code)s, fault_said = %(said)s,
            fault_since = coalesce(fault_since, %(now)s)
        where municipality_id = %(town)s
        """,
        {"town": municipality_id, "now": now, "code": code, "said": said},
    )


def tried(conn: Connection, municipality_id: int, now: datetime) -> None:
    """A look has begun, or has found nothing that is new."""
    conn.execute("update jma_feed set tried_at = %s where municipality_id = %s", (now, municipality_id))


def fetched(conn: Connection, municipality_id: int, today: date, size: int) -> None:
    """So many bytes came over the line."""
    conn.execute(
        "update jma_feed set bytes = %(size)s + case when bytes_day = %(day)s then bytes else 0 end, "
        "bytes_day = %(day)s where municipality_id = %(town)s",
        {"town": municipality_id, "day": today, "size": size},
    )


def seen(conn: Connection, municipality_id: int, places: Sequence[str]) -> set[str]:
    """Those of the entries that were dealt with already."""
    rows = conn.execute(
        "select place from jma_seen where municipality_id = %s and place = any(%s)", (municipality_id, list(places))
    )
    return {place for (place,) in rows}


def mark_seen(conn: Connection, municipality_id: int, place: str, now: datetime) -> None:
    conn.execute(
        "insert into jma_seen (municipality_id, place, seen_at) values (%s, %s, %s) on conflict do nothing",
        (municipality_id, place, now),
    )


def refuse(conn: Connection, municipality_id: int, place: str, raw: bytes, code: str, said: str, now: datetime) -> None:
    """Keeps what could not be read, once."""
    conn.execute(
        "insert into jma_refused (municipality_id, place, digest, at, code, said, raw) "
        "values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        (municipality_id, place, hashlib.sha256(raw).digest(), now, code, said, raw),
    )


def let_go(conn: Connection, municipality_id: int, now: datetime) -> None:
    """What need not be kept any longer: entries that the feed has forgotten, old XML, what could not be read."""
    conn.execute("delete from jma_seen where municipality_id = %s and seen_at < %s", (municipality_id, now - SEEN_KEPT))
    conn.execute(
        "delete from jma_refused where municipality_id = %s and at < %s", (municipality_id, now - REFUSED_KEPT)
    )
    conn.execute(
        "update jma_telegram set raw = null where municipality_id = %s and received_at < %s and raw is not null",
        (municipality_id, now - RAW_KEPT),
    )

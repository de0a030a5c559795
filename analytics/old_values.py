"""Raw values that are older than the town keeps them are taken out; what was worked out from them stays.

By default everything is kept for ever. `keep` says for how many years instead, by observed property. Values go by whole
months, so up to one more is there than was asked for. (What becomes of the messages: `store.retention`.)

What is gone cannot be worked out again: `observation_kept` says from which local midnight on a datastream is whole, and
consumers of the feed recompute nothing before it (`kept`). So hours, days and nights of what was taken out stay, and a
value that comes later for such a time is not counted; the next round takes it out.

Nothing is taken out while the feed has rows that analytics has not answered: they might be of these very years.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from store import Connection, latest
from store.arrays import array
from store.feed import Touched

SPAN = timedelta(days=28)  # taken out in one transaction

_INSTANT = timedelta(microseconds=1)  # a total at midnight belongs to the day before


def kept(conn: Connection, touched: Iterable[Touched]) -> list[Touched]:
    """What of the touched ranges can be worked out from whole buckets of raw values."""
    ranges = list(touched)
    ids = sorted({each.datastream_id for each in ranges})
    lows = {
        datastream_id: kept_from + (_INSTANT if statistic == "total" else timedelta())
        for datastream_id, kept_from, statistic in conn.execute(
            """
            select datastream_id, kept_from, statistic from observation_kept join datastream using (datastream_id)
            where datastream_id = any(%s::integer[])
            """,
            (array(ids),),
        )
    }
    if not lows:
        return ranges
    return [
        Touched(each.datastream_id, max(each.start, lows.get(each.datastream_id, each.start)), each.end)
        for each in ranges
        if each.end >= lows.get(each.datastream_id, each.end)
    ]


def forget(conn: Connection, now: datetime, keep: Mapping[str, int], consumer: str) -> bool:
    """Takes out the oldest part of what is too old; whether there may be more. The body of a transaction.

    `keep` has years by observed property; `consumer` is the name of analytics' cursor.
    """
    if not keep or not _answered(conn, consumer):
        return False
    for municipality_id, timezone in conn.execute("select municipality_id, timezone from municipality").fetchall():
        for name, years in sorted(keep.items()):
            kept_from = _kept_from(now, years, ZoneInfo(timezone))
            if _forget(conn, municipality_id, name, kept_from):
                return True
    conn.execute(
        "select observation_drop_empty(%s)", (min(_kept_from(now, years, UTC) for years in keep.values()) - SPAN,)
    )
    return False


def _answered(conn: Connection, consumer: str) -> bool:
    row = conn.execute(
        """
        select coalesce((select feed_id from feed_cursor where consumer = %s), 0)
               >= coalesce((select max(feed_id) from feed), 0)
        """,
        (consumer,),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def _kept_from(now: datetime, years: int, zone: tzinfo) -> datetime:
    """The first local midnight of the month, so many years ago.

    >>> _kept_from(datetime(2026, 6, 17, tzinfo=UTC), 5, ZoneInfo("Asia/Tokyo")).isoformat()
    '2021-06-01T00:00:00+09:00'
    """
    local = now.astimezone(zone)
    return datetime(max(1, local.year - years), local.month, 1, tzinfo=local.tzinfo)


def _forget(conn: Connection, municipality_id: int, observed_property: str, kept_from: datetime) -> bool:
    # Hours are hours of UTC: where midnight is none, the hour around it is still worked out whole.
    hour = kept_from.astimezone(UTC).replace(minute=0)
    old = conn.execute(
        """
        select d.datastream_id, oldest.phenomenon_time from datastream d
        cross join lateral (
            select o.phenomenon_time from observation o where o.datastream_id = d.datastream_id
            order by o.phenomenon_time limit 1
        ) oldest
        where d.municipality_id = %s and d.observed_property = %s
          and oldest.phenomenon_time - (d.statistic = 'total')::integer * interval '1 microsecond' < %s
        """,
        (municipality_id, observed_property, hour),
    ).fetchall()
    if not old:
        return False
    ids = [row[0] for row in old]
    conn.execute(
        """
        insert into observation_kept as held (datastream_id, municipality_id, kept_from)
        select unnest(%s::integer[]), %s, %s
        on conflict (datastream_id) do update set kept_from = greatest(held.kept_from, excluded.kept_from)
        """,
        (ids, municipality_id, kept_from),
    )
    # In a compressed chunk what goes as a whole batch goes at once; only batches around the end are taken apart.
    conn.execute(
        """
        select set_config(name, '0', true) from pg_settings
        where name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'
        """
    )
    begin = min(row[1] for row in old)
    for statistic, end in (("instant", hour), ("total", hour + _INSTANT)):
        some = conn.execute(
            "select array_agg(datastream_id) from datastream where datastream_id = any(%s) and statistic = %s",
            (ids, statistic),
        ).fetchone()
        assert some is not None
        if some[0]:
            conn.execute(
                """
                delete from observation
                where datastream_id = any(%s) and phenomenon_time >= %s and phenomenon_time < %s
                """,
                (some[0], begin, min(end, begin + SPAN)),
            )
    latest.recompute(conn, ids)
    return True

"""The meters of a town in its database: their hours, the files these came from, and who looked.

    known_key(conn, town, fingerprint, now=) -> bool           False: other numbers were kept by another key
    keep(conn, town, found, keyed, name, now=, user_id=) -> meters    a file's hours; the file that came last counts
    series(conn, town, first, last, meter_id=) -> [Series]     hours of the days from first to last, of UTC
    meters_of(conn, town, keyed) -> {keyed: meter_id}          of numbers that somebody has
    beside(conn, town, meter_id) -> n                          how many its block has
    seen(conn, town, what, now=, user_id=, ...)                before anything is shown, in the same transaction
    files(conn, town)  views(conn, town)
    kept_from(now) -> date    forget_old(conn, town, now) -> how many    readings go after 13 months, a step a call

No query here has a number, a name or an address: none is stored. That somebody looked stays for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from psycopg.types.json import Jsonb

from analytics.leaks.meters.reading import Found
from analytics.leaks.meters.signs import Floats
from store.connection import Connection

KEPT_MONTHS = 13
STEP = 2000  # days of meters
MOST_FILES = 50
MOST_VIEWS = 300


class CountsError(Exception):
    """`n` meters of the file are known as showing the other of 'index' and 'usage'."""

    def __init__(self, n: int) -> None:
        super().__init__(f"{n} meters count otherwise")
        self.n = n


@dataclass(frozen=True, slots=True)
class Series:
    """A meter with what its file had of every hour from the first day asked for on, L, NaN where nothing is known."""

    meter_id: int
    block: str | None
    counts: str
    litres: Floats


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read. `problems` are of the first lines that were left out: line, code, column."""

    name: str
    read_at: datetime
    read_by: str
    meters: int
    hours: int
    refused: int
    problems: tuple[tuple[int, str, str], ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """That somebody looked at a thing on one day: `times` times, at `n` meters at most; `meter_id` where it was one."""

    first: datetime
    last: datetime
    by: str
    what: str
    meter_id: int | None
    n: int
    times: int


def kept_from(now: datetime) -> date:
    """The first day whose readings are kept.

    >>> kept_from(datetime(2026, 3, 31, tzinfo=UTC)), kept_from(datetime(2026, 1, 31, tzinfo=UTC))
    (datetime.date(2025, 2, 28), datetime.date(2024, 12, 31))
    """
    today = now.astimezone(UTC).date()
    months = today.year * 12 + today.month - 1 - KEPT_MONTHS
    for day in range(today.day, 0, -1):
        try:
            return date(months // 12, months % 12 + 1, day)
        except ValueError:
            continue
    raise AssertionError("every month has a first day")


def known_key(conn: Connection, municipality_id: int, fingerprint: bytes, *, now: datetime) -> bool:
    """Whether the numbers of the town are kept by this key; the first one is taken for it."""
    conn.execute(
        """
        insert into smart_meter_key (municipality_id, fingerprint, made_at) values (%s, %s, %s)
        on conflict do nothing
        """,
        (municipality_id, fingerprint, now),
    )
    row = conn.execute(
        "select fingerprint from smart_meter_key where municipality_id = %s", (municipality_id,)
    ).fetchone()
    assert row is not None
    return bytes(row[0]) == fingerprint


def keep(
    conn: Connection,
    municipality_id: int,
    found: Found,
    keyed: Callable[[str], bytes],
    name: str,
    *,
    now: datetime,
    user_id: int | None,
) -> int:
    """Keeps the hours of a file; how many meters it has. What it does not say of a day stays as it was. CountsError
    where a meter is known as counting otherwise: nothing is kept then.
    """
    numbers = list(found.meters)
    keys = [keyed(number) for number in numbers]
    with conn.pipeline(), conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into smart_meter as held (municipality_id, keyed, block, counts) values (%s, %s, %s, %s)
            on conflict (municipality_id, keyed) do update set block = coalesce(excluded.block, held.block)
            """,
            [
                (municipality_id, key, found.meters[number].block, found.counts)
                for number, key in sorted(zip(numbers, keys, strict=True), key=lambda each: each[1])
            ],
        )
    other = conn.execute(
        "select count(*) from smart_meter where municipality_id = %s and keyed = any(%s) and counts <> %s",
        (municipality_id, keys, found.counts),
    ).fetchone()
    if other is not None and other[0]:
        raise CountsError(int(other[0]))
    ids = meters_of(conn, municipality_id, keys)
    with conn.pipeline(), conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into smart_meter_day as held (meter_id, municipality_id, day, litres) values (%s, %s, %s, %s)
            on conflict (meter_id, day) do update set litres = (
                select array_agg(coalesce(hour.new, hour.old) order by hour.n)
                from unnest(excluded.litres, held.litres) with ordinality as hour (new, old, n))
            """,
            [
                (ids[key], municipality_id, day, [None if np.isnan(each) else float(each) for each in hours])
                for number, key in zip(numbers, keys, strict=True)
                for day, hours in sorted(found.meters[number].days.items())
            ],
        )
    conn.execute(
        """
        insert into smart_meter_file
            (municipality_id, name, read_at, read_by, meters, hours, refused, problems, ignored)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            municipality_id,
            name,
            now,
            user_id,
            len(numbers),
            found.hours,
            found.refused,
            Jsonb([list(each) for each in found.problems]),
            list(found.ignored),
        ),
    )
    return len(numbers)


def meters_of(conn: Connection, municipality_id: int, keyed: Sequence[bytes]) -> dict[bytes, int]:
    """The meters that are known, by their keyed number."""
    rows = conn.execute(
        "select keyed, meter_id from smart_meter where municipality_id = %s and keyed = any(%s)",
        (municipality_id, list(keyed)),
    )
    return {bytes(key): meter_id for key, meter_id in rows}


def beside(conn: Connection, municipality_id: int, meter_id: int) -> int:
    """How many meters its block has, with itself; 0: there is no such meter."""
    row = conn.execute(
        """
        select count(b.meter_id) from smart_meter m
        join smart_meter b on b.municipality_id = m.municipality_id and b.block is not distinct from m.block
        where m.municipality_id = %s and m.meter_id = %s
        """,
        (municipality_id, meter_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def series(
    conn: Connection, municipality_id: int, first: date, last: date, meter_ids: Sequence[int] | None = None
) -> list[Series]:
    """All meters (`meter_ids`: these), by block and number; one without a reading in these days is all NaN."""
    n = ((last - first).days + 1) * 24
    found: dict[int, Series] = {}
    for meter_id, block, counts in conn.execute(
        """
        select meter_id, block, counts from smart_meter
        where municipality_id = %s and (%s::integer[] is null or meter_id = any(%s))
        order by block nulls last, meter_id
        """,
        (municipality_id, *[None if meter_ids is None else list(meter_ids)] * 2),
    ):
        found[meter_id] = Series(meter_id, block, counts, np.full(n, np.nan))
    for meter_id, day, litres in conn.execute(
        """
        select meter_id, day, litres from smart_meter_day
        where municipality_id = %s and day between %s and %s and meter_id = any(%s)
        """,
        (municipality_id, first, last, list(found)),
    ):
        at = (day - first).days * 24
        found[meter_id].litres[at : at + 24] = np.array(litres, np.float64)  # None is NaN
    return list(found.values())


def seen(
    conn: Connection,
    municipality_id: int,
    what: str,
    *,
    now: datetime,
    user_id: int,
    n: int,
    meter_id: int | None = None,
) -> None:
    """Notes that somebody looks at `n` meters: 'list', 'meter', 'numbers' (asked by number) or 'file'."""
    conn.execute(
        """
        insert into smart_meter_view (municipality_id, at, user_id, what, meter_id, n) values (%s, %s, %s, %s, %s, %s)
        """,
        (municipality_id, now, user_id, what, meter_id, n),
    )


def files(conn: Connection, municipality_id: int) -> list[File]:
    """The newest first."""
    rows = conn.execute(
        """
        select f.name, f.read_at, coalesce(u.display_name, ''), f.meters, f.hours, f.refused, f.problems, f.ignored
        from smart_meter_file f left join app_user u on u.user_id = f.read_by
        where f.municipality_id = %s order by f.smart_meter_file_id desc limit %s
        """,
        (municipality_id, MOST_FILES),
    )
    return [
        File(name, at, by, n, hours, refused, tuple(tuple(each) for each in problems), tuple(ignored))
        for name, at, by, n, hours, refused, problems, ignored in rows
    ]


def views(conn: Connection, municipality_id: int, timezone: str) -> list[View]:
    """By person, thing and local day, the latest first: an open page that renews itself is one line."""
    rows = conn.execute(
        """
        select min(v.at), max(v.at), u.display_name, v.what, v.meter_id, max(v.n), count(*)
        from smart_meter_view v join app_user u using (user_id)
        where v.municipality_id = %s
        group by v.user_id, u.display_name, v.what, v.meter_id, (v.at at time zone %s)::date
        order by max(v.at) desc, v.what limit %s
        """,
        (municipality_id, timezone, MOST_VIEWS),
    )
    return [View(*row) for row in rows]


def forget_old(conn: Connection, municipality_id: int, now: datetime) -> int:
    """Takes out the readings of before `kept_from`, STEP at most, with what nothing is left of and the sums of blocks;
    how many days went.
    """
    before = kept_from(now)
    gone = conn.execute(
        """
        delete from smart_meter_day where (meter_id, day) in (
            select meter_id, day from smart_meter_day where municipality_id = %s and day < %s order by day limit %s)
        """,
        (municipality_id, before, STEP),
    ).rowcount
    if gone:
        conn.execute(
            """
            delete from smart_meter m where municipality_id = %s
              and not exists (select from smart_meter_day d where d.meter_id = m.meter_id)
            """,
            (municipality_id,),
        )
    conn.execute("delete from smart_block_day where municipality_id = %s and day < %s", (municipality_id, before))
    conn.execute("delete from smart_meter_file where municipality_id = %s and read_at < %s", (municipality_id, before))
    return gone

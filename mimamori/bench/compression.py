"""`mimamori bench compression DIR`: bytes a row on disk of recorded series, by chunk interval and column order.

DIR holds folders with `dataset.json` and `series.csv` (first column `time`, one column a series, empty where nothing
was recorded), at any depth. They become one town: times move by whole weeks so that every data set begins in the same
one, and where it is longer than `weeks`, each such part counts as a sensor of its own beside the others (years of few
sensors would mostly measure what an almost empty chunk costs). Each value is one good observation with the product's
columns, brought by a message of its own. Two orders of arrival:

    steady   each series has its own second within its step, as a device has, and comes up to some seconds late:
             message ids grow almost evenly
    random   the series of one moment arrive in any order: the worst that message ids can be

Figures:

    rows, series, datasets      what was read
    weeks                       after which a series is folded, 0: never
    plain                       bytes a row in plain PostgreSQL with its primary key, the rows in order of arrival
    variants                    [{chunk_days, merged_days, segment_by, order_by, arrival, without, bytes_a_row,
                                uncompressed_bytes_a_row, chunks, seconds}]; `without` names a column left out: the
                                difference to the installed variant is what the column costs
    chosen                      the variant that the migrations install
    within_limits               the chosen one needs at most `limit` bytes a row
    timescaledb, seconds

Bytes are everything of the table: heap, TOAST and indexes of all chunks, compressed and emptied ones. It works in a
database of its own on a server that offers TimescaleDB with the Timescale License, and drops it afterwards.
"""

from __future__ import annotations

import csv
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from psycopg import sql

from mimamori.errors import InputError
from store import Connection, connect
from store.chunks import CHUNK, MERGED

LIMIT = 4.0
_WEEK = timedelta(weeks=1)
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_LATE_SECONDS = 2.0  # how far a device strays from its own second
SERIES = "datastream_id"
TIME = "phenomenon_time"
_COLUMNS = {
    SERIES: "integer not null",
    TIME: "timestamptz not null",
    "value": "double precision",
    "quality": "quality not null",
    "reason": "text",
    "uplink_id": "bigint",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """How a hypertable is cut and compressed. `merged_days`: compressed chunks are merged up to this length, 0: never.
    `segment_by` empty: rows of several series share a batch.
    """

    chunk_days: int
    merged_days: int = 0
    segment_by: str = SERIES
    order_by: str = TIME
    arrival: str = "steady"
    without: str = ""


CHOSEN = Variant(CHUNK.days, MERGED.days)
VARIANTS = (
    *(Variant(days) for days in (7, 28, 91, 364)),
    Variant(28, 364),
    CHOSEN,
    replace(CHOSEN, merged_days=410),
    replace(CHOSEN, order_by=f"{TIME} desc"),
    replace(CHOSEN, segment_by="", order_by=f"{SERIES}, {TIME}"),
    replace(CHOSEN, arrival="random"),
    replace(CHOSEN, without="uplink_id"),
    replace(CHOSEN, without="quality"),
    replace(CHOSEN, without="reason"),
)


def measure(folder: Path, server: str, weeks: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """The figures of the module's docstring; `weeks` 0 folds nothing. InputError: folder or server do not serve."""
    began = time.monotonic()
    files = sorted(folder.rglob("series.csv"))
    if not files:
        raise InputError(f"{folder}: there is no series.csv in it")
    with _database(server) as conn:
        version = _timescale(conn)
        conn.execute("create type quality as enum ('good', 'manual', 'estimated', 'doubtful', 'bad', 'missing')")
        series, names = _load(conn, files, weeks)
        (rows,) = _row(conn, "select count(*) from arrived")
        plain = _plain(conn)
        variants = []
        for done, variant in enumerate(VARIANTS):
            progress(done, len(VARIANTS))
            variants.append(_measured(conn, variant))
        progress(len(VARIANTS), len(VARIANTS))
    chosen = variants[VARIANTS.index(CHOSEN)]
    return {
        "rows": rows,
        "series": series,
        "datasets": names,
        "weeks": weeks,
        "plain": plain,
        "variants": variants,
        "chosen": chosen,
        "limit": LIMIT,
        "within_limits": chosen["bytes_a_row"] <= LIMIT,
        "timescaledb": version,
        "seconds": round(time.monotonic() - began, 1),
    }


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The figures as a table for people."""
    yield "plain PostgreSQL", "", "", f"{figures['plain']:.1f}"
    for each in figures["variants"]:
        words = f"{each['chunk_days']} days" + (f", merged to {each['merged_days']}" if each["merged_days"] else "")
        words += ", random arrival" if each["arrival"] == "random" else ""
        words += f", without {each['without']}" if each["without"] else ""
        words += " (installed)" if each == figures["chosen"] else ""
        yield words, each["segment_by"] or "-", each["order_by"], f"{each['bytes_a_row']:.2f}"


def _load(conn: Connection, files: Sequence[Path], weeks: int) -> tuple[int, list[str]]:
    """Fills `arrived`; how many series it has, and the names of the data sets."""
    conn.execute(
        """
        create table recorded (datastream_id integer, phenomenon_time timestamptz, value double precision,
                               second double precision)
        """
    )
    random = Random(1)
    names = []
    series = 0
    fold = timedelta(weeks=weeks) if weeks else timedelta.max
    with conn.cursor() as cursor, cursor.copy("copy recorded from stdin") as copy:
        for file in files:
            names.append(str(json.loads((file.parent / "dataset.json").read_text("utf-8"))["name"]))
            columns, rows = _recorded(file)
            begin = rows[0][0] - (rows[0][0] - _BEGIN) % _WEEK
            step = median((b[0] - a[0]).total_seconds() for a, b in pairwise(rows[:1000]))
            own: dict[int, float] = {}
            for moment, values in rows:
                part, since = divmod(moment - begin, fold)
                for column, value in values:
                    datastream = series + part * columns + column
                    late = own.setdefault(datastream, random.uniform(0, step)) + abs(random.gauss(0, _LATE_SECONDS))
                    copy.write_row((datastream, _BEGIN + since, value, late))
            series += (part + 1) * columns
    conn.execute(
        """
        create table arrived as
        select datastream_id, phenomenon_time, value, 'good'::quality as quality, null::text as reason,
               row_number() over (order by phenomenon_time + second * interval '1 second', datastream_id) as steady,
               row_number() over (order by phenomenon_time, second * 1e6 - floor(second * 1e6)) as random
        from recorded
        """
    )
    conn.execute("drop table recorded")
    (series,) = _row(conn, "select count(distinct datastream_id) from arrived")
    return series, names


def _recorded(file: Path) -> tuple[int, list[tuple[datetime, list[tuple[int, float]]]]]:
    """How many columns a file has, and its rows: (time, [(column, value)]). Times in any zone count as UTC."""
    found: list[tuple[datetime, list[tuple[int, float]]]] = []
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        columns = len(next(reader)) - 1
        for row in reader:
            moment = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
            if found and moment <= found[-1][0]:
                continue  # clocks set back in a local time without its offset
            values = []
            for column, text in enumerate(row[1:]):
                with suppress(ValueError):  # nothing was recorded, or words
                    values.append((column, float(text)))
            found.append((moment, values))
    return columns, found


def _plain(conn: Connection) -> float:
    _create(conn, "plain", _COLUMNS)
    _fill(conn, "plain", _COLUMNS, "steady")
    (size,) = _row(conn, "select pg_total_relation_size('plain')::float / count(*) from plain")
    conn.execute("drop table plain")
    return round(float(size), 2)


def _measured(conn: Connection, variant: Variant) -> dict[str, Any]:
    began = time.monotonic()
    columns = {name: kind for name, kind in _COLUMNS.items() if name != variant.without}
    _create(conn, "packed", columns)
    conn.execute(
        "select create_hypertable('packed', 'phenomenon_time', chunk_time_interval => %s::interval, "
        "create_default_indexes => false)",
        (timedelta(days=variant.chunk_days),),
    )
    _fill(conn, "packed", columns, variant.arrival)
    (rows, before) = _row(conn, "select count(*), hypertable_size('packed') from packed")
    merged = f", timescaledb.compress_chunk_time_interval = '{variant.merged_days} days'" if variant.merged_days else ""
    conn.execute(
        f"alter table packed set (timescaledb.compress, timescaledb.compress_segmentby = '{variant.segment_by}', "
        f"timescaledb.compress_orderby = '{variant.order_by}'{merged})".encode()
    )
    for (chunk,) in conn.execute("select c::text from show_chunks('packed') c order by c").fetchall():
        conn.execute("select compress_chunk(to_regclass(%s))", (chunk,))
    (chunks,) = _row(conn, "select count(*) from show_chunks('packed')")
    (size,) = _row(conn, "select hypertable_size('packed')")
    conn.execute("drop table packed")
    return asdict(variant) | {
        "bytes_a_row": round(size / rows, 2),
        "uncompressed_bytes_a_row": round(before / rows, 2),
        "chunks": chunks,
        "seconds": round(time.monotonic() - began, 1),
    }


def _fill(conn: Connection, table: str, columns: Mapping[str, str], arrival: str) -> None:
    chosen = sql.SQL(", ").join(sql.Identifier(arrival if name == "uplink_id" else name) for name in columns)
    conn.execute(
        sql.SQL("insert into {} select {} from arrived order by {}").format(
            sql.Identifier(table), chosen, sql.Identifier(arrival)
        )
    )


def _create(conn: Connection, table: str, columns: dict[str, str]) -> None:
    body = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    conn.execute(f"create table {table} ({body}, primary key ({SERIES}, {TIME}))".encode())


def _timescale(conn: Connection) -> str:
    if conn.execute("select from pg_available_extensions where name = 'timescaledb'").fetchone() is None:
        raise InputError("this server does not offer TimescaleDB")
    conn.execute("create extension if not exists timescaledb")
    (licence,) = _row(conn, "select current_setting('timescaledb.license')")
    if licence != "timescale":
        raise InputError(f"this server's TimescaleDB runs with timescaledb.license={licence}: it compresses nothing")
    return str(_row(conn, "select extversion from pg_extension where extname = 'timescaledb'")[0])


@contextmanager
def _database(server: str) -> Iterator[Connection]:
    name = f"mimamori_bench_{secrets.token_hex(4)}"
    with connect(server, name="bench", autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        try:
            address = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
            with connect(address, name="bench", autocommit=True) as conn:
                yield conn
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _row(conn: Connection, query: str) -> tuple[Any, ...]:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row

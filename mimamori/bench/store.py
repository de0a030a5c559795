"""`mimamori bench store`: what questions cost where years of observations lie, and how much room they take.

A town of 2,000 stations and beside it one of 200 devices, in one database, each datastream observed at its own step up
to the same moment: some gauges for a whole year, the others as far back as `--rows` reach. Rows come in the order of
time, as they do in life; rollups and newest values are what the product keeps. Then the questions of the API
are asked as its role, in turns, `--rounds` times each, through the same functions that the pages and /api/v1 call:

    latest      the newest observation of every datastream of the 2,000 stations
    year        the hours of one gauge over a year, lowest and highest value of each, as the charts ask
    overview    the start page of the town of 200 devices: all four desks in one
    disaster    its disaster desk, told without a limit: every gauge with its curve, every rain gauge with its sums

The JSON object:

    rows, stations, datastreams      of the whole database
    engines                          one entry a database: PostgreSQL from the wheel, and the server of `--dsn`
        engine, version              "postgresql" or "timescaledb"
        fill_seconds, rollup_seconds
        bytes_a_row                  {heap, index, all} of `observation`; where old chunks are compressed, of all chunks
        compressed_share             of the rows in compressed chunks, 0 on plain PostgreSQL
        rollup_bytes                 of both rollup tables
        queries                      {name: {p50_ms, p95_ms, best_ms, worst_ms, first_ms, limit_ms, n, answer, within}}:
                                     `answer` is how many rows or stations it told of; `first_ms` the first time, cold;
                                     `best_ms` tells what the rest is of a busy machine
    within_limits                    whether every p95 is within its limit, on every engine
    seconds                          real time
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import numpy as np
from psycopg import sql

from api.curves import Step, curve
from api.database import PREPARE_AFTER, enter_municipality
from api.pages.alert_list import open_alerts
from api.pages.disaster import disaster
from api.pages.start import start
from api.readings import latest_of
from api.roles import Role
from devices.clock import ClockSetting
from devices.model import Town
from devices.town import load_town
from mimamori.bench.report import Row, bar, say
from mimamori.heap import settle
from mimamori.stopping import interruptible
from simulators.towns import path as town_path
from simulators.towns.larger import larger
from store import Connection, connect, latest
from store.chunks import compress
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import sync_town
from store.town_clock import write_clock

STATIONS, DEVICES = 2000, 200
YEAR = timedelta(days=365)
# ms at the 95th percentile.
LIMITS: Mapping[str, float | None] = {"latest": 30.0, "year": 20.0, "overview": 50.0, "disaster": None}

_NOW = datetime(2026, 6, 20, 9, 0, tzinfo=UTC)
_DAY = timedelta(days=1)
_YEARLY_SHARE = 0.2  # of the rows belong to gauges of a whole year
_COMPRESSED_AFTER = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class StoreBench:
    """What the command line said. `dsn`: a superuser's address on a server with TimescaleDB; None: without one."""

    rows: int
    rounds: int
    dsn: str | None
    quiet: bool


def measure(options: StoreBench) -> dict[str, Any]:
    """Run the bench; the figures."""
    began = time.monotonic()
    engines = []
    with interruptible():
        for place in (_wheel, _server) if options.dsn else (_wheel,):
            with place(options) as dsn:
                engines.append(_measure(options, dsn))
    whole = {key: engines[0][key] for key in ("rows", "stations", "datastreams")}
    kept = all(query["within"] for engine in engines for query in engine["queries"].values())
    seconds = round(time.monotonic() - began, 1)
    return {**whole, "engines": engines, "within_limits": kept, "seconds": seconds}


@contextmanager
def _wheel(_: StoreBench) -> Iterator[str]:
    """A PostgreSQL of its own with the settings of a town."""
    with ExitStack() as stack:
        made = stack.enter_context(tempfile.TemporaryDirectory(prefix="mimamori-bench-", ignore_cleanup_errors=True))
        yield stack.enter_context(EmbeddedServer(Path(made))).dsn("owner")


@contextmanager
def _server(options: StoreBench) -> Iterator[str]:
    """A database of its own on that server, dropped afterwards."""
    assert options.dsn is not None
    name = f"mimamori_bench_{secrets.token_hex(4)}"
    with connect(options.dsn, name="bench", autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(options.dsn)._replace(path=f"/{name}"))
        finally:
            conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _measure(options: StoreBench, dsn: str) -> dict[str, Any]:
    migrate(dsn)
    with connect(dsn, name="bench", autocommit=True) as conn:
        towns = _towns(conn)
        timescale = conn.execute("select from pg_extension where extname = 'timescaledb'").fetchone() is not None
        engine = "timescaledb" if timescale else "postgresql"
        say(f"{engine}: {options.rows:,} observations")
        filled = _seconds(lambda: _fill(conn, options))
        rolled = _seconds(lambda: _roll_up(conn))
        while timescale and compress(conn, _NOW - _COMPRESSED_AFTER) is not None:
            pass
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")
        figures = {
            "engine": engine,
            "version": _value(conn, "show server_version"),
            "rows": _value(conn, "select count(*) from observation"),
            "stations": _value(conn, "select count(*) from station"),
            "datastreams": _value(conn, "select count(*) from datastream"),
            "fill_seconds": filled,
            "rollup_seconds": rolled,
            **_room(conn, timescale=timescale),
        }
    say(f"{engine}: asking {options.rounds} times")
    return figures | {"queries": _ask(options, dsn, *towns)}


def _towns(conn: Connection) -> tuple[int, int]:
    """Registers the two towns: of so many stations, and of so many devices."""
    small = load_town(town_path())
    low, high = STATIONS // 4, 4 * STATIONS
    while low < high:  # the fewest devices that make so many stations
        middle = (low + high) // 2
        low, high = (low, middle) if len(larger(small, middle).stations) >= STATIONS else (middle + 1, high)
    with conn.transaction():
        write_clock(conn, ClockSetting(simulated=True, real_start=_NOW, town_start=_NOW, speed=1.0))
        return sync_town(conn, _of(larger(small, low), "999998")), sync_town(conn, larger(small, DEVICES))


def _of(town: Town, code: str) -> Town:
    return replace(town, municipality=replace(town.municipality, code=code))


# --- filling ---------------------------------------------------------------------------------------------------


def _fill(conn: Connection, options: StoreBench) -> None:
    conn.execute(
        """
        create temporary table bench_series as
        select datastream_id, extract(epoch from step)::bigint as step,
               least(datastream_id % 5 * interval '1 minute', step / 2) as minute,
               row_number() over (order by observed_property <> 'water_level', datastream_id) as position,
               null::timestamptz as since
        from datastream where observed_property <> 'passages_day'
        """
    )
    yearly = _spread(conn, options.rows)
    first = _NOW - YEAR if yearly else conn.execute("select min(since) from bench_series").fetchone()[0]  # type: ignore[index]
    first = first.replace(hour=0, minute=0, second=0, microsecond=0)
    days = (_NOW - first) // _DAY + 1
    with bar("days of observations", quiet=options.quiet) as progress:
        for day in range(days):
            begins = first + day * _DAY
            conn.execute("select observation_partition(%s)", (begins,))
            # Every datastream at its own minute of its step; what comes together in time lies together.
            conn.execute(
                """
                insert into observation
                select datastream_id, t,
                       2 + floor(200 * sin(datastream_id + extract(epoch from t) / 8e4) + 40 * random()) / 100,
                       case when random() < 0.005 then 'doubtful' else 'good' end::quality, null,
                       extract(epoch from t)::bigint * 10 + datastream_id
                from bench_series
                cross join lateral generate_series(%(begins)s + minute, %(ends)s, step * interval '1 second') t
                where since < %(ends)s and t >= since and t < %(now)s
                order by t
                """,
                {"begins": begins, "ends": begins + _DAY - timedelta(seconds=1), "now": _NOW},
            )
            progress(day + 1, days)
    _heard(conn)


def _spread(conn: Connection, rows: int) -> int:
    """Says since when each datastream was observed, so that they have so many rows together; how many for a year."""
    per_year = YEAR / timedelta(minutes=10)
    gauges = conn.execute("select step, position from bench_series order by position").fetchall()
    yearly, left = 0, rows
    for step, _ in gauges:
        cost = YEAR.total_seconds() / step
        if rows - left + cost > max(_YEARLY_SHARE * rows, per_year + 1):
            break
        yearly, left = yearly + 1, int(left - cost)
    pace = sum(1 / step for step, position in gauges if position > yearly)
    deep = min(YEAR, timedelta(seconds=max(0, left) / pace)) if pace else YEAR
    conn.execute(
        "update bench_series set since = case when position <= %s then %s else %s end::timestamptz",
        (yearly, _NOW - YEAR, _NOW - deep),
    )
    return yearly


def _heard(conn: Connection) -> None:
    """The messages of the last hours of every device: who was heard when is part of what the pages say."""
    conn.execute(
        """
        insert into uplink (municipality_id, device_id, device_key, session, counter, payload_hash, network, topic, raw,
                            network_time, received_time, outcome)
        select municipality_id, device_id, key, 'bench', n, sha256((key || n)::bytea), 'bench', 'bench', '{}',
               %(now)s - n * interval '10 minutes', %(now)s - n * interval '10 minutes', 'accepted'
        from device cross join generate_series(0, 50) n
        """,
        {"now": _NOW},
    )


def _roll_up(conn: Connection) -> None:
    """Newest values and rollups, all at once instead of batch by batch as in life."""
    latest.recompute(conn)
    # Of millions of rows that were just made from the tables they refer to, each would be looked up again.
    conn.execute("set session_replication_role = replica")
    for table, key, bucket, length in (
        ("rollup_hour", "hour", "date_trunc('hour', phenomenon_time - shift, 'UTC')", 3600),
        ("rollup_day", "day", "((phenomenon_time - shift) at time zone timezone)::date", 86400),
    ):
        conn.execute(
            sql.SQL("""
            insert into {table}
                   (municipality_id, datastream_id, {key}, n, expected, minimum, maximum, mean, total, worst_quality)
            select municipality_id, datastream_id, {bucket}, count(*), {length} / extract(epoch from step),
                   min(value), max(value), avg(value), sum(value) filter (where statistic = 'total'), max(quality)
            from observation join (
                select d.*, m.timezone,
                       case statistic when 'total' then interval '1 microsecond' else interval '0' end as shift
                from datastream d join municipality m using (municipality_id)
            ) d using (datastream_id)
            group by municipality_id, datastream_id, step, {bucket}
            """).format(
                table=sql.Identifier(table), key=sql.Identifier(key), bucket=sql.SQL(bucket), length=sql.Literal(length)
            )
        )
    conn.execute("reset session_replication_role")


# --- asking ----------------------------------------------------------------------------------------------------


def _ask(options: StoreBench, dsn: str, large: int, small: int) -> dict[str, Any]:
    took: dict[str, list[float]] = {name: [] for name in LIMITS}
    answers: dict[str, int] = {}
    with connect(dsn, name="bench") as conn, bar("rounds", quiet=options.quiet) as progress:
        zone = ZoneInfo(str(_value(conn, "select timezone from municipality limit 1")))
        gauge, home = conn.execute(
            """
            select datastream_id, d.municipality_id from datastream_latest join datastream d using (datastream_id)
            where observed_property = 'water_level' order by first_time, datastream_id limit 1
            """
        ).fetchone()  # type: ignore[misc]
        conn.prepare_threshold = PREPARE_AFTER
        conn.execute("set role mimamori_api")
        conn.commit()
        questions: dict[str, tuple[int, Callable[[], int]]] = {
            "latest": (large, lambda: len(latest_of(conn))),
            "year": (home, lambda: _year(conn, gauge, zone)),
            "overview": (
                small,
                lambda: start(conn, _NOW, zone, Role.DISASTER, open_alerts(conn, Role.DISASTER)).devices,
            ),
            "disaster": (small, lambda: len(disaster(conn, _NOW, zone).gauges)),
        }
        settle()  # as in a process of the API
        for done in range(options.rounds):
            for name, (municipality_id, ask) in questions.items():
                with conn.transaction():
                    enter_municipality(conn, municipality_id)
                    began = time.perf_counter()
                    answers[name] = ask()
                    took[name].append(1000 * (time.perf_counter() - began))
            progress(done + 1, options.rounds)
    return {name: _figures(name, each, answers[name]) for name, each in took.items()}


def _year(conn: Connection, gauge: int, zone: ZoneInfo) -> int:
    (series,) = latest_of(conn, [gauge])
    return curve(conn, series, _NOW - YEAR, _NOW, zone, step=Step.HOUR).read


def _figures(name: str, took: list[float], answer: int) -> dict[str, Any]:
    p95, limit = float(np.percentile(took, 95)), LIMITS[name]
    return {
        "p50_ms": round(float(np.percentile(took, 50)), 2),
        "p95_ms": round(p95, 2),
        "best_ms": round(min(took), 2),
        "worst_ms": round(max(took), 2),
        "first_ms": round(took[0], 2),
        "limit_ms": limit,
        "n": len(took),
        "answer": answer,
        "within": limit is None or p95 <= limit,
    }


# --- room ------------------------------------------------------------------------------------------------------


def _room(conn: Connection, *, timescale: bool) -> dict[str, Any]:
    """Bytes of `observation` on disk. On TimescaleDB a compressed chunk's are those of its columns."""
    n = int(_value(conn, "select count(*) from observation"))
    if timescale:
        heap, index, all_ = conn.execute(
            "select table_bytes + toast_bytes, index_bytes, total_bytes from hypertable_detailed_size('observation')"
        ).fetchone()  # type: ignore[misc]
        compressed = _value(
            conn,
            """
            select coalesce(sum(numrows_pre_compression), 0) from _timescaledb_catalog.compression_chunk_size
            """,
        )
    else:
        heap, index, all_ = conn.execute(
            """
            select sum(pg_table_size(inhrelid)), sum(pg_indexes_size(inhrelid)), sum(pg_total_relation_size(inhrelid))
            from pg_inherits where inhparent = 'observation'::regclass
            """
        ).fetchone()  # type: ignore[misc]
        compressed = 0
    return {
        "bytes_a_row": {name: round(int(b) / n, 2) for name, b in (("heap", heap), ("index", index), ("all", all_))},
        "compressed_share": round(int(compressed) / n, 3),
        "rollup_bytes": int(
            _value(conn, "select pg_total_relation_size('rollup_hour') + pg_total_relation_size('rollup_day')")
        ),
    }


def _seconds(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return round(time.monotonic() - began, 1)


def _value(conn: Connection, query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """The figures as lines of a table: what, engine, middle, 95th percentile, limit."""
    lines: list[Row] = []
    for engine in figures["engines"]:
        name = engine["engine"]
        lines += [
            (question, name, f"{each['p50_ms']:.1f} ms", f"{each['p95_ms']:.1f} ms", _limit(each["limit_ms"]))
            for question, each in engine["queries"].items()
        ]
        lines.append(("bytes a row", name, f"{engine['bytes_a_row']['all']:.1f}", "", ""))
    return lines


def _limit(limit: float | None) -> str:
    return "" if limit is None else f"{limit:.0f} ms"

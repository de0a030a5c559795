"""Bulk export: every row once, whatever is written meanwhile, in bounded memory, and the own town's only."""

from __future__ import annotations

import csv
import json
import random
import re
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.access import Role
from api.database import Database
from api.export import BEGINNING, COLUMNS, PART, _parts
from api.times import text
from store import connect, latest
from tests.api.serving import TownHall, assert_problem, minutes
from tests.conftest import START

PATH = "/api/v1/observations"
LEVEL = "river-okusawa/water_level"
WHOLE = "from=2026-05-01T00:00:00Z&to=2026-07-01T00:00:00Z"


def fill(town_hall: TownHall, per_datastream: int) -> int:
    """As many observations of every datastream of both towns, each a value of its own; how many of the own town."""
    with connect(town_hall.database.owner, name="test") as conn:
        conn.execute("delete from observation")
        conn.execute(
            """
            insert into observation (datastream_id, phenomenon_time, value, quality)
            select datastream_id, %s + n * interval '10 minutes', datastream_id + n / 1e5, 'good'
            from datastream, generate_series(1, %s) n
            """,
            (START, per_datastream),
        )
        latest.recompute(conn)
        row = conn.execute(
            "select count(*) from observation join datastream using (datastream_id) where municipality_id = %s",
            (town_hall.database.municipality_id,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def lines(answer: httpx.Response) -> tuple[list[dict[str, Any]], list[str | None]]:
    """The rows and the cursors of an answer."""
    assert answer.headers["content-type"] == "application/x-ndjson"
    told = [json.loads(line) for line in answer.text.splitlines()]
    return [each for each in told if "next" not in each], [each["next"] for each in told if "next" in each]


def key(row: dict[str, Any]) -> tuple[str, str]:
    return row["datastream"], row["phenomenon_time"]


def test_a_whole_export_has_every_row_of_the_own_town_once_and_says_that_it_is_whole(town_hall: TownHall) -> None:
    n = fill(town_hall, 700)
    assert n > 2 * PART, "it takes several parts"
    with town_hall.visitor(Role.VIEWER) as client:
        rows, cursors = lines(client.get(f"{PATH}?{WHOLE}"))
        table = client.get(f"{PATH}?{WHOLE}&format=csv")
    assert len(rows) == n == len({key(row) for row in rows})
    assert not any(row["datastream"].startswith("tonari") for row in rows)
    assert len(cursors) == n // PART + 1 and cursors[-1] is None and None not in cursors[:-1]
    assert tuple(rows[0]) == COLUMNS
    one = next(row for row in rows if row["datastream"] == LEVEL)
    assert (one["unit"], one["quality"], one["reason"]) == ("m", "good", None)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    written = list(csv.DictReader(table.text.splitlines()))
    assert [key(row) for row in written] == [key(row) for row in rows]
    assert [float(row["value"]) for row in written] == [row["value"] for row in rows]


def test_who_was_cut_off_goes_on_from_the_last_cursor(town_hall: TownHall) -> None:
    fill(town_hall, 700)
    with town_hall.visitor(Role.VIEWER) as client:
        rows, cursors = lines(client.get(f"{PATH}?{WHOLE}"))
        rest, _ = lines(client.get(f"{PATH}?{WHOLE}&cursor={cursors[0]}"))
        assert rows[PART:] == rest


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_pages_follow_each_other_by_their_link(town_hall: TownHall, form: str) -> None:
    n = fill(town_hall, 40)
    seen: list[tuple[str, str]] = []
    address: str | None = f"{PATH}?{WHOLE}&limit=301&format={form}"
    with town_hall.visitor(Role.VIEWER) as client:
        while address is not None:
            answer = client.get(address)
            page = lines(answer)[0] if form == "ndjson" else list(csv.DictReader(answer.text.splitlines()))
            seen += [key(row) for row in page]
            assert len(page) <= 301
            link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers.get("link", ""))
            address = link[1] if link else None
    assert len(seen) == n == len(set(seen))


def test_only_the_range_and_missing_as_missing(town_hall: TownHall) -> None:
    at = minutes(0, 10, 20, 30)
    town_hall.observe(LEVEL, (at[0], 1.0), (at[1], None), (at[2], 0.0), (at[3], 4.0))
    with town_hall.visitor(Role.VIEWER) as client:
        query = f"from={text(at[1])}&to={text(at[2])}"
        rows, _ = lines(client.get(f"{PATH}?{query}"))
        table = client.get(f"{PATH}?{query}&format=csv").text.splitlines()
        nothing, cursors = lines(client.get(f"{PATH}?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z"))
    assert [(row["value"], row["quality"], row["reason"]) for row in rows] == [
        (None, "missing", "sensor"),
        (0.0, "good", None),
    ]
    assert table[1:] == [
        f"{LEVEL},{text(at[1])},,m,missing,sensor",
        f"{LEVEL},{text(at[2])},0.0,m,good,",
    ]
    assert (nothing, cursors) == ([], [None])


@pytest.mark.parametrize("cursor", ["!", "AAAA", "MSBub29u", "LTEg", "OTk5OTk5OTk5OTk5IA"])
def test_a_cursor_that_is_none_is_refused(town_hall: TownHall, cursor: str) -> None:
    with town_hall.visitor(Role.VIEWER) as client:
        body = assert_problem(client.get(f"{PATH}?{WHOLE}&cursor={cursor}"), 400, "bad_request")
    assert "cursor" in body["detail"] and body["action"]


def test_nothing_is_skipped_or_told_twice_while_others_write(town_hall: TownHall) -> None:
    """Rows come, late and new, and are corrected, before and behind the place of reading, between any two parts."""
    fill(town_hall, 60)
    database = town_hall.database
    with connect(database.owner, name="test") as conn:
        own = "from observation join datastream d using (datastream_id) where municipality_id = %s"
        before = {
            (row[0], row[1])
            for row in conn.execute(f"select datastream_id, phenomenon_time {own}", (database.municipality_id,))
        }
        ids = sorted({datastream_id for datastream_id, _ in before})
        names = dict(
            conn.execute(
                "select s.code || '/' || d.observed_property, d.datastream_id "
                "from datastream d join station s using (station_id) where d.municipality_id = %s",
                (database.municipality_id,),
            ).fetchall()
        )
    over, wrote = threading.Event(), threading.Semaphore(0)
    failures: list[BaseException] = []

    def write() -> None:
        chance = random.Random(7)
        try:
            with connect(database.owner, name="test", autocommit=True) as conn:
                while not over.is_set():
                    at = START + timedelta(minutes=chance.randrange(-300, 900), seconds=chance.randrange(1, 60))
                    conn.execute(
                        "insert into observation (datastream_id, phenomenon_time, value, quality) "
                        "values (%s, %s, 1, 'good') on conflict do nothing",
                        (chance.choice(ids), at),
                    )
                    conn.execute(
                        "update observation set value = -1, quality = 'doubtful' where datastream_id = %s "
                        "and phenomenon_time = %s",
                        (chance.choice(ids), START + chance.randrange(1, 60) * timedelta(minutes=10)),
                    )
                    wrote.release()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=write)
    pool = Database(database.api, size=1)
    pool.open()
    thread.start()
    told: list[tuple[int, Any]] = []
    try:
        reading = _parts(
            lambda: pool.transaction(database.municipality_id),
            START - timedelta(days=1),
            START + timedelta(days=1),
            BEGINNING,
            50,
        )
        for rows, _ in reading:
            told += [(names[row[0]], row[1]) for row in rows]
            assert wrote.acquire(timeout=60), failures
    finally:
        over.set()
        thread.join(60)
        pool.close()
    assert not failures
    assert len(told) == len(set(told)), "nothing twice"
    assert {(i, text(at)) for i, at in before} <= set(told), "nothing skipped"
    assert len(told) > len(before), "some of what was written meanwhile is there, too"

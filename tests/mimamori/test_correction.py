"""`mimamori correct` from the command line: what it changes, and what it says to whoever mistypes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mimamori.cli import app
from mimamori.errors import InputError
from store import connect
from tests.conftest import START, Registered

LEVEL = "river-mimamoribashi/water_level"


@pytest.fixture
def town_of_values(registered: Registered) -> Registered:
    """Three levels at 09:00, 09:10 and 09:20 in Japan, and an account."""
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            insert into app_user (municipality_id, login, display_name, role, password_hash)
            values (%s, 'sato', '佐藤', 'digital', 'x'), (%s, 'guest', '見学', 'viewer', 'x')
            """,
            (registered.municipality_id, registered.municipality_id),
        )
        conn.execute(
            "insert into observation select %s, %s + n * interval '10 minutes', n, 'good' from generate_series(0, 2) n",
            (registered.datastream("river-mimamoribashi", "water_level"), START),
        )
        conn.execute("update town_clock set town_start = town_start + interval '1 day'")
    return registered


def run(town: Registered, *arguments: str | Path) -> Result:
    return CliRunner().invoke(
        app,
        ["correct", "--reason", "零点高の測り直し", "--user", "sato", *map(str, arguments)],
        env={"MIMAMORI_WORKER_DSN": town.worker},
    )


def values(town: Registered) -> list[Any]:
    with connect(town.owner, name="test") as conn:
        rows = conn.execute("select value from observation order by phenomenon_time").fetchall()
    return [row[0] for row in rows]


def test_a_stretch_is_shifted_once(town_of_values: Registered) -> None:
    asked = ("--series", LEVEL, "--from", "2026-06-01T09:10", "--to", "2026-06-01T09:20", "--shift", "-0.5", "--json")
    first = json.loads(run(town_of_values, *asked).stdout)
    assert (first["operation"], first["series"], first["revised"], first["unchanged"]) == ("shift", 1, 2, 0)
    assert values(town_of_values) == [0.0, 0.5, 1.5]
    second = json.loads(run(town_of_values, *asked).stdout)
    assert second["finished_before"] and second["correction_id"] == first["correction_id"]
    assert not json.loads(run(town_of_values, *asked, "--again").stdout)["finished_before"]
    assert values(town_of_values) == [0.0, 0.0, 1.0]


def test_a_file_replaces_values(town_of_values: Registered, tmp_path: Path) -> None:
    file = tmp_path / "right.csv"
    file.write_text(
        "station,observed_property,time,value\n"
        "river-mimamoribashi,water_level,2026-06-01T09:10,1.25\n"
        "river-mimamoribashi,water_level,2026-06-01T00:20+00:00,\n"
        "river-mimamoribashi,water_level,2026-06-01T09:30,3.5\n",
        "utf-8",
    )
    result = run(town_of_values, file)
    assert result.exit_code == 0 and "revised" in result.stdout
    assert values(town_of_values) == [0.0, 1.25, None, 3.5]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("station,time,value\n", "1: the first line must be"),
        ("X\nriver-mimamoribashi,water_level,yesterday,1\n", "2: time: 'yesterday' is no time"),
        ("X\nriver-mimamoribashi,snow,2026-06-01T09:10,1\n", "there is no series"),
        ("X\nriver-mimamoribashi,water_level,2026-06-01T09:10,nan\n", "2: 'nan' is no number"),
        ("X\nriver-mimamoribashi,water_level,2027-06-01T09:10,1\n", "later than the town's present"),
        ("X\n" + "river-mimamoribashi,water_level,2026-06-01T09:10,1\n" * 2, "3: line 2 says already"),
        ("X\n", "there is no value in it"),
    ],
)
def test_a_file_that_is_wrong_changes_nothing(
    town_of_values: Registered, tmp_path: Path, lines: str, words: str
) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(lines.replace("X", "station,observed_property,time,value"), "utf-8")
    error = run(town_of_values, file).exception
    assert isinstance(error, InputError) and words in str(error)
    assert values(town_of_values) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--shift", "1"), "say which values"),
        (("--series", LEVEL, "--from", "2026-06-01", "--to", "2026-06-02"), "say one of --shift"),
        (("--series", LEVEL, "--from", "2026-06-02", "--to", "2026-06-01", "--missing"), "is after"),
        (("--series", "nowhere/rain", "--from", "2026-06-01", "--to", "2026-06-02", "--missing"), "nowhere/rain"),
        (("--user", "nobody", "--missing"), "no account nobody"),
        (("--user", "guest", "--missing"), "may only look"),
    ],
)
def test_what_does_not_fit_is_said(town_of_values: Registered, arguments: tuple[str, ...], words: str) -> None:
    error = run(town_of_values, *arguments).exception
    assert isinstance(error, InputError) and words in str(error)

"""`mimamori evaluate anomalies`: files in, verdicts and figures out, and what is wrong with a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamori.anomaly_files import read
from mimamori.errors import InputError
from mimamori.evaluate_anomalies import measure, rows
from tests.mimamori.test_cli import command

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(minutes=10)


def lines(values: Sequence[float], wrong: slice = slice(0, 0)) -> list[str]:
    told = ["time,value,label,corrected"]
    label = np.zeros(len(values), dtype=int)
    label[wrong] = 1
    for n, value in enumerate(values):
        told.append(f"{FIRST + n * STEP:%Y-%m-%d %H:%M},{'' if np.isnan(value) else value},{label[n]},0")
    return told


def river(n: int = 3000, seed: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    return np.round(1.0 + 0.05 * np.sin(np.arange(n) / 23) + 0.01 * rng.standard_normal(n), 3)


def put(folder: Path, name: str, text: Sequence[str]) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(text) + "\n", "utf-8")
    return folder


def quiet(_done: int, _all: int) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    spiked = river()
    spiked[2000:2002] = -9999.0
    put(tmp_path / "in", "gauge/spiked.csv", lines(spiked, slice(2000, 2002)))
    put(tmp_path / "in", "gauge/well.csv", lines(river(2500, 2)))
    return put(tmp_path / "in", "alone.csv", lines(river(800, 3)))


def test_it_prints_one_object_and_writes_a_file_for_each_series(folder: Path, tmp_path: Path) -> None:
    done = command("evaluate", "anomalies", str(folder), "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert list(figures["series"]) == ["alone", "gauge/spiked", "gauge/well"]
    assert list(figures["groups"]) == ["gauge"]
    assert {"event_precision", "event_recall", "event_f1", "delay", "point_f1"} <= set(figures["overall"])
    spiked = figures["series"]["gauge/spiked"]
    assert (spiked["true"], spiked["found"], spiked["delay"]) == (1, 1, 0.0)
    assert (spiked["right"], spiked["event_recall"]) == (1, 1.0) and spiked["reasons"]["spike"] == 1
    assert figures["series"]["gauge/well"]["event_f1"] is None
    for name, n in (("alone", 800), ("gauge/spiked", 3000), ("gauge/well", 2500)):
        with (tmp_path / "out" / f"{name}.csv").open(encoding="utf-8") as file:
            written = list(csv.DictReader(file))
        assert len(written) == n and list(written[0]) == ["time", "value", "score", "label"]
        assert written[0]["time"] == "2026-03-01T00:00"
        assert all(0 <= float(row["score"]) <= 1 and row["label"] in ("0", "1") for row in written)
        assert all((float(row["score"]) >= 0.5) == (row["label"] == "1") for row in written)


def test_for_people_it_is_a_table(folder: Path, tmp_path: Path) -> None:
    done = command("evaluate", "anomalies", str(folder), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "gauge/spiked" in done.stdout and "3 series" in done.stdout


def test_labels_and_other_columns_change_no_verdict(folder: Path, tmp_path: Path) -> None:
    measure(folder, tmp_path / "first", quiet)
    values = river()
    values[2000:2002] = -9999.0
    put(folder, "gauge/spiked.csv", [line.rpartition(",")[0] for line in lines(values, slice(100, 900))])
    measure(folder, tmp_path / "second", quiet)
    name = "gauge/spiked.csv"
    assert (tmp_path / "first" / name).read_text("utf-8") == (tmp_path / "second" / name).read_text("utf-8")


def test_what_comes_later_and_what_stands_beside_changes_no_verdict(folder: Path, tmp_path: Path) -> None:
    measure(folder, tmp_path / "whole", quiet)
    spiked = river()
    spiked[2000:2002] = -9999.0
    cut = put(tmp_path / "cut", "gauge/spiked.csv", lines(spiked[:2001]))
    measure(cut, tmp_path / "part", quiet)
    name = "gauge/spiked.csv"
    whole = (tmp_path / "whole" / name).read_text("utf-8").splitlines()
    assert (tmp_path / "part" / name).read_text("utf-8").splitlines() == whole[:2002]


def test_a_series_in_a_zone_and_with_seconds_is_written_as_it_was(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", ["time,value,label", "2026-03-01T00:00:05+09:00,1.5,0", "2026-03-01T00:10:00+09:00,,1.0"])
    (series,) = read(tmp_path)
    assert series.stamps == ("2026-03-01T00:00:05", "2026-03-01T00:10:00")
    assert np.isnan(series.values[1]) and series.truth.tolist() == [False, True]
    assert series.times[1] - series.times[0] == 595.0


def test_an_hour_that_comes_twice_is_read_as_it_stands(tmp_path: Path) -> None:
    told = ["time,value,label", *(f"2026-10-25 {time},1.0,0" for time in ("02:30", "02:30", "02:45", "02:00", "03:00"))]
    (series,) = read(put(tmp_path, "a.csv", told))
    assert len(series.times) == 5
    measure(tmp_path, tmp_path / "out", quiet)


def test_the_folder_that_is_written_is_not_read_as_a_series(folder: Path) -> None:
    first = measure(folder, folder / "verdicts", quiet)
    again = measure(folder, folder / "verdicts", quiet)
    assert list(first["series"]) == list(again["series"])


def test_there_is_a_row_for_every_series_every_group_and_all(folder: Path, tmp_path: Path) -> None:
    figures = measure(folder, tmp_path / "out", quiet)
    told = list(rows(figures))
    assert [row[0] for row in told] == ["alone", "gauge/spiked", "gauge/well", "gauge", "all", "benchmark's score"]
    assert len({len(row) for row in told}) == 1


GOOD = ["time,value,label", "2026-03-01 00:00,1.0,0"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(["time,value", "2026-03-01,1"], "line 1: has no column label", id="a column is missing"),
        pytest.param([], "line 1: has no column time", id="an empty file"),
        pytest.param(GOOD[:1], "has a header and no rows", id="only a header"),
        pytest.param([*GOOD, "2026-02-28 22:50,1.0,0"], "line 3: the time 2026-02-28 22:50 comes after", id="unsorted"),
        pytest.param([*GOOD, "", "2026-03-01 00:10,much,0"], "line 4: the value is a number", id="no number"),
        pytest.param([*GOOD, "2026-03-01 00:10,inf,0"], "line 3: the value is a number", id="infinite"),
        pytest.param([*GOOD, "2026-03-01 00:10,1.0,yes"], "line 3: the label is 0 or 1", id="a label in words"),
        pytest.param([*GOOD, "01/03/2026,1.0,0"], "line 3: the time is written like", id="another form of time"),
        pytest.param([*GOOD, "2026-03-01 00:10,1.0"], "line 3: has 2 of 3 columns", id="cut off"),
        pytest.param(
            [*GOOD, "2026-03-01T00:10Z,1.0,0"], "line 3: the time 2026-03-01T00:10Z has a zone", id="two zones"
        ),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: list[str], says: str) -> None:
    put(tmp_path / "in", "bad.csv", text)
    with pytest.raises(InputError, match=r"bad\.csv") as caught:
        read(tmp_path / "in")
    assert says in str(caught.value)


def test_bad_input_ends_with_1_and_a_sentence(tmp_path: Path) -> None:
    put(tmp_path / "in", "bad.csv", [*GOOD, "2026-03-01 00:10,much,0"])
    done = command("evaluate", "anomalies", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 1 and done.stdout == ""
    assert "bad.csv, line 3" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("place", ["empty", "nowhere"])
def test_a_folder_without_series_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=place):
        measure(tmp_path / place, tmp_path / "out", quiet)


def test_no_file_that_is_judged_is_written_over(folder: Path) -> None:
    with pytest.raises(InputError, match="write over"):
        measure(folder, folder, quiet)


def test_without_out_the_usage_is_wrong(folder: Path) -> None:
    assert command("evaluate", "anomalies", str(folder)).returncode == 2


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.csv").write_bytes(b"time,value,label\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"bad\.csv: is not UTF-8"):
        read(tmp_path / "in")

"""`mimamori replay` as an operator runs it: real database, broker and processes; the second time changes nothing."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.demo

# Two floods: one over the first level only, one over all three, with a dip of less than the margin in between.
FLOODS = [0.1, 0.3, 0.55, 0.45, 0.52, 0.38, 0.1, 0.6, 0.95, 0.65, 0.75, 0.3, 0.1]


def replay(folder: Path, *arguments: str, code: int = 0) -> Any:
    """The JSON that a replay prints, or what it says on stderr where it ends with another code."""
    done = subprocess.run(
        [sys.executable, "-m", "mimamori", "replay", str(folder), "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("MIMAMORI_")},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def write(folder: Path, rows: list[list[str]], **described: Any) -> Path:
    folder.mkdir()
    with (folder / "series.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / "dataset.json").write_text(json.dumps({"kind": "river", "name": folder.name} | described), "utf-8")
    return folder


@pytest.fixture
def floods(tmp_path: Path) -> Path:
    """A recording of 2014: older than any clock that ingest believes by itself."""
    begin = datetime.fromisoformat("2014-06-01T00:00")
    rows = [["time", "Bridge", "hill"]]
    rows += [
        [(begin + timedelta(hours=i)).isoformat(" "), str(height), "" if i == 3 else "1.5"]
        for i, height in enumerate(FLOODS)
    ]
    rows.append([(begin + timedelta(days=500)).isoformat(" "), "0.1", "0"])
    return write(
        tmp_path / "floods", rows, unit="m", step="1h", utc_offset="+09:00", target="Bridge", rain=["hill"]
    )  # fmt: skip


def test_a_recording_is_stored_and_judged_and_a_second_replay_changes_nothing(floods: Path, tmp_path: Path) -> None:
    kept = ("--levels", "0.5,0.7,0.9", "--data", str(tmp_path / "kept"))
    first = replay(floods, *kept)
    assert {key: first[key] for key in ("rows", "columns", "cells", "empty", "published", "stored")} == {
        "rows": 14, "columns": 2, "cells": 28, "empty": 1, "published": 27, "stored": 27,
    }  # fmt: skip
    assert (first["unchanged"], first["revised"], first["rejected"], first["errors"]) == (0, 0, 0, [])
    assert (first["alerts"], first["alerts_by_level"]) == (2, {"0.5": 2, "0.7": 1, "0.9": 1})

    second = replay(floods, *kept)
    assert (second["stored"], second["unchanged"], second["revised"], second["rejected"]) == (0, 27, 0, 0)
    assert (second["alerts"], second["alerts_by_level"]) == (2, first["alerts_by_level"])

    refused = replay(floods, "--levels", "0.4", *kept[2:], code=1)
    assert "holds a replay with other levels" in refused


def test_a_paced_replay_ends_alike_and_leaves_nothing_behind(floods: Path, tmp_path: Path) -> None:
    rows = list(csv.reader((floods / "series.csv").read_text("utf-8").splitlines()))[:-1]
    rows.append(["2014-06-01 13:00", "much", "1.5"])
    paced = write(
        tmp_path / "paced", rows, unit="m", step="1h", utc_offset="+09:00", target="Bridge", rain=["hill"]
    )  # fmt: skip
    before = {path.name for path in Path(os.environ.get("TMPDIR", "/tmp")).glob("mimamori-replay-*")}
    report = replay(paced, "--speed", "7200", "--levels", "0.5,0.7,0.9")
    assert (report["published"], report["stored"], report["alerts"]) == (26, 26, 2)
    assert report["rejected"] == 1
    assert report["errors"] == [{"line": 15, "reason": "Bridge: 'much' is no number"}]
    after = {path.name for path in Path(os.environ.get("TMPDIR", "/tmp")).glob("mimamori-replay-*")}
    assert after <= before


def test_a_folder_that_is_no_recording_is_bad_input(tmp_path: Path) -> None:
    assert "dataset.json: cannot be read" in replay(tmp_path, code=1)


@pytest.mark.parametrize(
    "arguments", [("--speed", "fast"), ("--speed", "0"), ("--levels", "0,5;1"), ("--levels", "2,1")]
)
def test_bad_usage_is_told_before_anything_starts(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert "Usage" in replay(tmp_path, *arguments, code=2)


def test_a_real_flood_season_makes_the_alerts_it_must(shared_data: Path, tmp_path: Path) -> None:
    """The target and two rain gauges of a season; the whole of it is 46 columns and takes a minute or two."""
    recording = shared_data / "river" / "chino"
    described = json.loads((recording / "dataset.json").read_text("utf-8"))
    rain = described["rain"][:2]
    with (recording / "series.csv").open(encoding="utf-8", newline="") as file:
        rows = [[row["time"], row[described["target"]], *(row[name] for name in rain)] for row in csv.DictReader(file)]
    described |= {"rain": rain, "neighbours": []}
    folder = write(tmp_path / "season", [["time", described["target"], *rain], *rows], **described)
    report = replay(folder, "--levels", "0.50,0.70,0.90", "--clear-margin", "0.10", "--hold", "0")
    assert (report["cells"], report["stored"], report["rejected"]) == (8640, 8640, 0)
    assert (report["alerts"], report["alerts_by_level"]) == (5, {"0.5": 5, "0.7": 3, "0.9": 1})

"""`mimamori evaluate river` on made-up rivers, and what it says of files that it cannot read."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analytics.rivers.forecast.record import Record
from mimamori.bench.rivers import made_river, measure
from mimamori.cli import app
from mimamori.errors import InputError
from mimamori.river_files import HEADER, read

_START = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST = 40 * 24


def write(folder: Path, river: Record, **changed: object) -> Path:
    folder.mkdir(exist_ok=True)
    said = {
        "name": "made",
        "step": "1h",
        "target": "a",
        "neighbours": ["b", "c"],
        "rain": ["p", "q"],
        "leads_h": [1, 3],
        "test_start": (_START + timedelta(hours=_FIRST)).strftime("%Y-%m-%dT%H:%M"),
    }
    (folder / "dataset.json").write_text(json.dumps(said | changed), encoding="utf-8")
    with (folder / "series.csv").open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["time", "a", "b", "c", "p", "q"])
        for at, level in enumerate(river.level):
            values = [level, *river.neighbours[at], *river.rain[at]]
            time = (_START + timedelta(hours=at)).strftime("%Y-%m-%dT%H:%M")
            lines.writerow([time, *("" if np.isnan(value) else value for value in values)])
    return folder


@pytest.fixture(scope="module")
def river() -> Record:
    made = made_river(50 * 24, 1, seed=3)
    made.level[_FIRST + 60 : _FIRST + 80] = np.nan
    return made


@pytest.fixture(scope="module")
def told(river: Record, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], list[list[str]]]:
    folder = write(tmp_path_factory.mktemp("river"), river)
    out = folder / "forecasts.csv"
    result = CliRunner().invoke(app, ["evaluate", "river", str(folder), "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8", newline="") as lines:
        return json.loads(result.stdout), list(csv.reader(lines))


def test_the_figures_are_those_of_the_file(river: Record, told: tuple[dict, list[list[str]]]) -> None:
    figures, (header, *rows) = told
    assert tuple(header) == HEADER
    assert set(figures["leads"]) == {"1", "3"} and figures["method"] == "learned"
    for lead, of in figures["leads"].items():
        missed, stayed, within = [], [], []
        for _issued, hours, target, value, low, high, persistence in rows:
            at = round((datetime.fromisoformat(target + "+00:00") - _START) / timedelta(hours=1))
            came = river.level[at]
            if hours == lead and persistence and not np.isnan(came):
                missed.append(came - float(value or persistence))
                stayed.append(came - float(persistence))
                within.append(float(low) <= came <= float(high))
        assert of["n"] == len(missed)
        assert of["pi"] == pytest.approx(1 - np.sum(np.square(missed)) / np.sum(np.square(stayed)), abs=1e-3)
        assert of["coverage"] == pytest.approx(np.mean(within), abs=1e-3)


def test_every_target_of_the_test_has_a_row_and_what_is_not_known_is_blank(told: tuple[dict, list[list[str]]]) -> None:
    rows = told[1][1:]
    targets = [row[2] for row in rows if row[1] == "1"]
    begin = (_START + timedelta(hours=_FIRST)).strftime("%Y-%m-%dT%H:%M")
    assert min(targets) == begin and len(set(targets)) == len(targets)
    # Seven hours after the last reading nothing is known, so nothing is said.
    silent = (_START + timedelta(hours=_FIRST + 60 + 18)).strftime("%Y-%m-%dT%H:%M")
    assert [row[3:] for row in rows if row[0] == silent and row[1] == "3"] == [["", "", "", ""]]


def test_nothing_from_the_test_is_learned(river: Record, told: tuple[dict, list[list[str]]], tmp_path: Path) -> None:
    cut = write(tmp_path / "cut", river.before(_FIRST + 30))
    out = tmp_path / "cut.csv"
    assert CliRunner().invoke(app, ["evaluate", "river", str(cut), "--out", str(out)]).exit_code == 0
    with out.open(encoding="utf-8", newline="") as lines:
        early = list(csv.reader(lines))
    assert len(early) > 50 and all(row in told[1] for row in early)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"target": "z"}, r"series.csv, line 1: has no column z"),
        ({"target": None}, "'target' must be the name of a column"),
        ({"step": "7min"}, "'step' is '7min'"),
        ({"test_start": "soon"}, "test_start: the time is written like"),
        ({"test_start": "2031-01-01"}, "is not within the times"),
        ({"leads_h": [0]}, "'leads_h' must be"),
        ({"neighbours": "b"}, "'neighbours' must be a list"),
    ],
)
def test_a_wrong_description_is_told_by_its_key(
    river: Record, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read(write(tmp_path / "wrong", river.before(_FIRST + 10), **changed))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2026-01-01T00:00,1,1,1,0,0", r"line 3: the time .* does not come after"),
        ("2026-01-01T01:00,1,1", r"line 3: has 3 of 6 columns"),
        ("2026-01-01T01:00,high,1,1,0,0", r"line 3: the value is a number or empty, not 'high'"),
        ("2026-01-01T01:20,1,1,1,0,0", r"row 2 is at no whole step"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(river: Record, tmp_path: Path, line: str, said: str) -> None:
    folder = write(tmp_path / "wrong", river.before(_FIRST + 10))
    lines = (folder / "series.csv").read_text(encoding="utf-8").splitlines()
    (folder / "series.csv").write_text("\n".join([*lines[:2], line, *lines[3:]]), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read(folder)


def test_pictures_of_floods_are_drawn(river: Record, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is no part of the product: pip install 'mimamori[plots]'")
    from mimamori.river_plots import draw

    files = draw(write(tmp_path / "river", river), tmp_path / "plots")
    assert files and all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_the_bench_gives_its_figures_beside_their_limits() -> None:
    figures = measure(gauges=2, years=0.1)
    assert (figures["train"]["limit"], figures["forecast"]["limit"]) == (10.0, 2.0)
    assert figures["forecast"]["gauges"] == 2 and figures["train"]["rows"] == 877


def test_recorded_rivers_are_never_clearly_worse_than_persistence(tmp_path: Path) -> None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "river" / "chino"
    if not folder.is_dir():
        pytest.skip(f"there are no recorded rivers at {folder}")
    out = tmp_path / "chino.csv"
    result = CliRunner().invoke(app, ["evaluate", "river", str(folder), "--out", str(out), "--json"])
    for lead, of in json.loads(result.stdout)["leads"].items():
        assert of["pi"] >= -0.02, lead
        assert 0.85 <= of["coverage"] <= 0.95, lead

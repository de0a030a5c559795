"""`mimamori evaluate visitors` on made-up counters, and what it says of files that it cannot read."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mimamori.cli import app
from mimamori.errors import InputError
from mimamori.evaluate_visitors import measure
from mimamori.visitor_files import HEADER, read

_START = datetime(2026, 1, 1)  # noqa: DTZ001 local, as the files are
_DAYS, _FIRST = 112, 70


def made(days: int = _DAYS) -> np.ndarray:
    """Two counters by the hour: one of hundreds, busier on days off, and one that is closed at night."""
    chance = np.random.default_rng(5)
    hour, day = np.tile(np.arange(24), days), np.repeat(np.arange(days), 24)
    by_day = np.exp(-(((hour - 13) / 4.0) ** 2))
    off = (_START.weekday() + day) % 7 >= 5
    busy = chance.poisson(30 + 300 * by_day * (1 + 0.8 * off))
    small = chance.poisson(20 * by_day * ((hour >= 8) & (hour < 19)))
    return np.column_stack([busy, small]).astype(float)


def write(folder: Path, values: np.ndarray, **changed: object) -> Path:
    folder.mkdir(exist_ok=True)
    said = {
        "name": "made",
        "step": "1h",
        "columns": ["square", "museum"],
        "holidays": "JP",
        "test_start": (_START + timedelta(days=_FIRST)).strftime("%Y-%m-%dT%H:%M"),
    }
    (folder / "dataset.json").write_text(json.dumps(said | changed), encoding="utf-8")
    with (folder / "series.csv").open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["time", "square", "museum"])
        for at, row in enumerate(values):
            time = (_START + timedelta(hours=at)).strftime("%Y-%m-%dT%H:%M")
            lines.writerow([time, *("" if np.isnan(value) else f"{value:g}" for value in row)])
    return folder


def told(file: Path) -> dict[tuple[str, str], list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    assert tuple(header) == HEADER
    return {(time, column): rest for time, column, *rest in rows}


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    found = made()
    found[75 * 24 + 10 : 75 * 24 + 30, 0] = 0  # the square's counter is covered for most of a day
    found[80 * 24 : 81 * 24, 1] = np.nan
    return found


@pytest.fixture(scope="module")
def done(values: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict]:
    folder = write(tmp_path_factory.mktemp("visitors"), values)
    result = CliRunner().invoke(app, ["evaluate", "visitors", str(folder), "--out", str(folder / "o.csv"), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), told(folder / "o.csv")


def test_the_figures_are_those_of_the_file(values: np.ndarray, done: tuple[dict, dict]) -> None:
    figures, rows = done
    assert len(rows) == 2 * (_DAYS - _FIRST) * 24
    missed = naive = counted = within = n = 0.0
    for (time, column), (value, lo, hi, _state) in rows.items():
        if column == "square":
            at = round((datetime.fromisoformat(time) - _START) / timedelta(hours=1))
            came = values[at, 0]
            missed, naive, counted = (
                missed + abs(came - float(value)),
                naive + abs(came - values[at - 168, 0]),
                counted + came,
            )
            within, n = within + (float(lo) <= came <= float(hi)), n + 1
    of = figures["columns"]["square"]
    assert of["n"] == n
    assert of["wape"] == pytest.approx(missed / counted, abs=1e-3)
    assert of["wape_weekly_naive"] == pytest.approx(naive / counted, abs=1e-3)
    assert of["coverage"] == pytest.approx(within / n, abs=0.01)  # written with two digits
    assert of["wape_believed"] < of["wape_median4_believed"] < of["wape_weekly_naive"]


def test_zeros_that_cannot_be_are_an_outage_and_a_closed_night_is_none(done: tuple[dict, dict]) -> None:
    figures, rows = done
    states = {(column, time): rest[-1] for (time, column), rest in rows.items()}
    assert states["square", "2026-03-17T09:00"] == "ok"
    assert {states["square", f"2026-03-17T{hour}:00"] for hour in range(12, 24)} == {"outage"}
    assert states["square", "2026-03-18T06:00"] == "ok"
    assert {state for (column, _), state in states.items() if column == "museum"} == {"ok", "absent"}
    assert states["museum", "2026-03-22T12:00"] == "absent"
    assert figures["columns"]["square"]["suspected"] == 1 and figures["columns"]["museum"]["suspected"] == 0
    assert figures["outages"]["planted"] == figures["outages"]["found"] > 0


def test_nothing_of_the_last_day_and_nothing_later_is_used(
    values: np.ndarray, done: tuple[dict, dict], tmp_path: Path
) -> None:
    asked = 84 * 24 + 10
    changed = values.copy()
    changed[asked - 23 :] = np.random.default_rng(6).poisson(500, changed[asked - 23 :].shape)
    folder = write(tmp_path / "changed", changed)
    measure(folder, folder / "o.csv")
    for (time, column), (value, lo, hi, state) in told(folder / "o.csv").items():
        before = done[1][time, column]
        at = round((datetime.fromisoformat(time) - _START) / timedelta(hours=1))
        if at <= asked:
            assert [value, lo, hi] == before[:3], (time, column)
        if at < asked - 23:
            assert state == before[3], (time, column)


def test_days_are_read_as_hours_are_and_rows_may_come_in_any_order(values: np.ndarray, tmp_path: Path) -> None:
    folder = write(tmp_path / "days", np.empty((0, 2)), step="1d", test_start="2026-03-12", holidays="AU-VIC")
    daily = np.nansum(made().reshape(-1, 24, 2), axis=1)
    lines = [f"{(_START + timedelta(days=at)).date()},{a:g},{b:g}" for at, (a, b) in enumerate(daily)]
    (folder / "series.csv").write_text("\n".join(["time,square,museum", *reversed(lines)]), encoding="utf-8")
    known = read(folder)
    assert (known.counts.values == daily).all() and known.first == _FIRST
    figures = measure(folder, folder / "o.csv")
    assert len(told(folder / "o.csv")) == 2 * (_DAYS - _FIRST)
    assert figures["overall"]["wape"] < figures["overall"]["wape_weekly_naive"]


def test_planted_effects_are_measured_as_they_are_and_a_folder_that_is_too_short_says_so(tmp_path: Path) -> None:
    days = 240
    chance = np.random.default_rng(8)
    weather = chance.normal(0, 0.3, (days, 1))
    counts = chance.poisson(np.exp(7 + weather + chance.normal(0, 0.05, (days, 3)))).astype(float)
    columns = ["square", "museum", "falls"]
    folder = write(tmp_path / "effects", np.empty((0, 3)), step="1d", columns=columns, test_start="2026-06-01")
    lines = [f"{(_START + timedelta(days=at)).date()},{a:g},{b:g},{c:g}" for at, (a, b, c) in enumerate(counts)]
    (folder / "series.csv").write_text("\n".join(["time,square,museum,falls", *lines]), encoding="utf-8")
    asked = ["evaluate", "effects", str(folder), "--dates", "1", "--json"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["counters"] == 3 and len(figures["effects"]) == 15
    for each in figures["effects"]:
        assert each["tried"] == 3 and abs(each["bias"]) < 0.15, each
        right = {1: "more", -1: "fewer", 0: None}[int(np.sign(each["planted"]))]
        assert each["said"] == 0 or right is None or each[right] == 1.0, each
    (folder / "series.csv").write_text("\n".join(["time,square,museum,falls", *lines[:190]]), encoding="utf-8")
    short = CliRunner().invoke(app, asked)
    assert short.exit_code != 0 and "are needed to learn what is usual" in str(short.output) + str(short.exception)


@pytest.mark.parametrize(
    ("changed", "line", "says"),
    [
        ({"columns": []}, None, "'columns' must name at least one"),
        ({"columns": ["station"]}, None, "line 1: has no column station"),
        ({"step": "5min"}, None, "it must be '1h' or '1d'"),
        ({"holidays": "Atlantis"}, None, "'holidays' is 'Atlantis'"),
        ({"test_start": "2030-01-01"}, None, "is not within the times"),
        ({}, "2026-01-05T00:00,-3,1", "square is negative at 2026-01-05T00:00"),
        ({}, "2026-01-05T00:00,many,1", "line 50: the value is a number or empty"),
        ({}, "yesterday,3,1", "line 50: the time is written like"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, changed: dict, line: str | None, says: str) -> None:
    folder = write(tmp_path / "v", made(2), **({"test_start": "2026-01-02"} | changed))
    if line is not None:
        with (folder / "series.csv").open("a", encoding="utf-8") as out:
            out.write(line + "\n")
    with pytest.raises(InputError, match=says) as error:
        read(folder)
    assert str(folder) in str(error.value)


def test_next_to_nothing_known_is_forecast_without_a_fault(tmp_path: Path) -> None:
    folder = write(tmp_path / "new", made(9), test_start="2026-01-02")
    figures = measure(folder, folder / "o.csv")
    rows = told(folder / "o.csv")
    assert rows["2026-01-02T00:00", "square"][0] == "" and rows["2026-01-09T12:00", "square"][0] != ""
    assert figures["overall"]["n"] == 2 * 2 * 24  # two counters, two days of a second week

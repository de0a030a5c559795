"""`mimamori evaluate leaks` on a made-up network, and what it says of files that it cannot read."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analytics.leaks.detection.report import Report
from mimamori.cli import app
from mimamori.errors import InputError
from mimamori.evaluate_bursts import judged
from mimamori.evaluate_leaks import judged as judged_leaks
from mimamori.evaluate_leaks import with_faults
from mimamori.leak_files import HEADER, read, read_truth
from tests.analytics.leaking import DAYS, DISTANCES, NODES, PER_DAY, PIPES, record, text

_START = datetime(2026, 1, 5, tzinfo=UTC)
_SIZE = np.where(np.arange(DAYS) >= 28, 8.0, 0.0)


def _times(count: int, step: timedelta) -> list[str]:
    return [(_START + at * step).strftime("%Y-%m-%dT%H:%M") for at in range(count)]


def _write(file: Path, names: tuple[str, ...], values: np.ndarray, step: timedelta) -> None:
    with gzip.open(file, "wt", encoding="utf-8", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["time", *names])
        lines.writerows(
            [time, *(f"{value:g}" for value in row)]
            for time, row in zip(_times(len(values), step), values, strict=True)
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, half_hour = tmp_path_factory.mktemp("leaks"), timedelta(minutes=30)
    year = record({"e11": _SIZE})
    (made / "streets.inp").write_text(text(), encoding="utf-8")
    (made / "dataset.json").write_text(json.dumps({"network": "streets.inp", "step": "30min"}), encoding="utf-8")
    _write(made / "pressures.csv.gz", NODES, year.pressures, half_hour)
    _write(made / "flows.csv.gz", ("in", "in2"), year.flows, half_hour)
    (made / "truth").mkdir()
    began, ends = (_times(DAYS * PER_DAY, half_hour)[at] for at in (28 * PER_DAY, -1))
    (made / "truth" / "leaks.csv").write_text(f"pipe,start,end\ne11,{began},{ends}\n", encoding="utf-8")
    _write(made / "truth" / "leak_flows.csv.gz", ("e11",), np.repeat(_SIZE, PER_DAY)[:, None], half_hour)
    return made


def test_the_figures_are_those_of_the_file_and_of_the_published_rule(folder: Path) -> None:
    out = folder / "reports.csv"
    truth = ["--truth", str(folder / "truth"), "--out", str(out), "--json"]
    result = CliRunner().invoke(app, ["evaluate", "leaks", str(folder), *truth])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    with out.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    assert tuple(header) == HEADER and len(rows) == figures["reports"] == 1
    (time, pipe, km, size, evidence), day = rows[0], timedelta(days=1)
    metres = float(DISTANCES[PIPES.index(pipe), PIPES.index("e11")])
    late = datetime.fromisoformat(time).replace(tzinfo=UTC) - _START - 28 * day
    assert (figures["tp"], figures["fp"], figures["tp_new"]) == (1, 0, 1)
    lost = 8.0 * 24 * (DAYS - 28)
    earned = 0.8 * (lost - 8.0 * late / timedelta(hours=1)) - 500 * metres / 300
    assert figures["eur"] == pytest.approx(earned, abs=2)
    assert figures["share_of_perfect"] == pytest.approx(earned / (0.8 * lost), abs=1e-3)
    assert figures["median_m"] == pytest.approx(metres, abs=0.01) and figures["delay_days"] == late / day
    assert figures["size_error"] == pytest.approx(abs(float(size) - 8.0) / 8.0, abs=0.01)
    assert figures["km_per_leak"] == pytest.approx(float(km), abs=0.01) and "漏水確定" not in evidence


def test_with_the_hydraulic_model_and_how_soon_a_burst_is_found(folder: Path) -> None:
    asked = ["--mode", "model", "--truth", str(folder / "truth"), "--burst", "--json"]
    result = CliRunner().invoke(app, ["evaluate", "leaks", str(folder), *asked])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert (figures["mode"], figures["tp"], figures["fp"]) == ("model", 1, 0) and figures["median_m"] <= 300
    # A leak of 8 m3/h hides in readings of half an hour; how one is counted is in the next test.
    for rule in ("by_pressures", "by_inflow"):
        found = figures["burst"][rule]
        assert (found["leaks"], found["smaller"], found["false"]) == (0, 1, 0)
        assert found["months"] == round((DAYS - 21) / 30.4375, 1)


def test_an_alarm_is_of_the_leak_that_began_in_its_part_within_three_hours(folder: Path) -> None:
    truth = read_truth(folder / "truth", read(folder).network)
    truth = replace(truth, flow=truth.flow * 2)  # 16 m3/h: large
    began = float(truth.start[0] - _START.timestamp())
    alarms = [
        (truth.pipe, began + np.array([-60.0, 1200.0, 9000.0, 12000.0])),
        (truth.pipe + 1, np.array([began + 60])),
    ]
    found = judged(alarms, truth, _START.timestamp(), 51)
    assert (found["leaks"], found["found_30_min"], found["minutes"], found["false"]) == (1, 1, 20.0, 3)


def test_a_block_is_named_in_time_for_the_leak_that_has_grown_since_it_is_said_to(folder: Path) -> None:
    data = read(folder)
    leaks = read_truth(folder / "truth", data.network)
    step, day = 48, 86400.0

    def said(at: float, began: float, size: float) -> Report:
        area, began_between = np.arange(len(PIPES)), (began * day, (began + 1) * day)
        chances = np.ones(len(area)) / len(area)
        return Report(at * day, 0, area, chances, 10.0, size, began_between, 3.0, 1.0, 0, ("inlets",))

    def large(*reports: Report) -> dict[str, int]:
        found: dict[str, int] = judged_leaks(data, list(reports), leaks, DISTANCES)["large"]
        return found

    nothing = {"leaks": 1, "named": 0, "sized": 0, "false": 0, "repeats": 0}
    assert leaks.flow[28 * step, 0] == 8.0
    assert large() == nothing
    assert large(said(30, 28, 7.0)) == nothing | {"named": 1, "sized": 1}
    assert large(said(30, 28, 16.0), said(31, 27, 7.0)) == nothing | {"named": 1, "repeats": 1}
    assert large(said(32, 28, 7.0)) == nothing, "late, but not false"
    assert large(said(40, 35, 7.0)) == nothing | {"false": 1}, "nothing has grown since"
    assert large(said(30, 28, 30.0)) == nothing | {"false": 1}, "another one"


def test_gaps_a_drifting_and_a_stuck_logger_hide_no_leak(folder: Path) -> None:
    clean = read(folder).record
    spoiled = with_faults(clean, 1)
    lost = np.isnan(spoiled.pressures).mean() - np.isnan(clean.pressures).mean()
    assert 0.03 < lost < 0.06
    moved = spoiled.pressures - clean.pressures
    assert sorted((np.nanmax(np.abs(moved), axis=0) > 0).tolist())[-3:] == [False, True, True]
    truth = ["--truth", str(folder / "truth"), "--faults", "1", "--json"]
    figures = json.loads(CliRunner().invoke(app, ["evaluate", "leaks", str(folder), *truth]).stdout)
    assert (figures["tp"], figures["fp"]) == (1, 0)


@pytest.mark.parametrize("loggers", [0, 4])
def test_fewer_loggers_are_kept(folder: Path, loggers: int) -> None:
    result = CliRunner().invoke(app, ["evaluate", "leaks", str(folder), "--sensors", str(loggers), "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["loggers"] == loggers and "tp" not in figures


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("dataset.json", '{"step": "5min"}', "'network' must name"),
        ("dataset.json", '{"network": "streets.inp", "step": "7min"}', "whole steps make an hour"),
        ("dataset.json", '{"network": "none.inp", "step": "30min"}', "none.inp: cannot be read"),
        ("dataset.json", '{"network": "streets.inp", "step": "30min", "crew_cost_eur": 0}', "'crew_cost_eur' must be"),
        ("streets.inp", "[JUNCTIONS]\na 0\n[PIPES]\np a b 1 100 120\n", "streets.inp, line 4"),
        ("flows.csv", "time,in,main\n2026-01-05T00:00,1,1\n", "the network has no link main"),
        ("pressures.csv", "time,n00\n2026-01-05T00:00,high\n", "pressures.csv, line 2"),
    ],
)
def test_bad_input_says_which_file_and_what(tmp_path: Path, file: str, content: str, said: str) -> None:
    good = {
        "dataset.json": '{"network": "streets.inp", "step": "30min"}',
        "streets.inp": text(),
        "flows.csv": "time,in,in2\n2026-01-05T00:00,1,1\n2026-01-05T00:30,1,1\n",
        "pressures.csv": "time,n00\n2026-01-05T00:00,40\n2026-01-05T00:30,40\n",
    }
    for name, words in (good | {file: content}).items():
        (tmp_path / name).write_text(words, encoding="utf-8")
    with pytest.raises(InputError, match=said.replace("(", "\\(")):
        read(tmp_path)


def test_a_truth_that_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    network = read(folder).network
    (tmp_path / "leaks.csv").write_text("pipe,start,end\nx9,2026-01-05T00:00,2026-01-06T00:00\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"leaks.csv, line 2: the network has no pipe x9"):
        read_truth(tmp_path, network)

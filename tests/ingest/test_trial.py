"""What was measured in a trial is stored apart by the time at which it was measured, whenever and however it comes."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

import ingest.trial
from devices.clock import ClockSetting, FixedClock, real_now
from ingest.history import import_history
from ingest.history_map import load_map
from store import connect
from store.errors import RecordError
from store.town_clock import write_clock
from tests.conftest import START, Registered
from tests.drilling import BRIDGE, STEP
from tests.trialling import Trialled

MINUTE = timedelta(minutes=1)


@pytest.fixture
def trial(registered: Registered, clock: FixedClock) -> Trialled:
    return Trialled(registered, clock)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_time_of_measuring_decides_whatever_the_order_of_arrival(trial: Trialled, seed: int) -> None:
    rng = np.random.default_rng(seed)
    begin, end = START + 20 * MINUTE, START + 60 * MINUTE
    said = [(START + int(n) * MINUTE, round(1 + 0.01 * int(n), 2)) for n in rng.permutation(81)]
    trial.begin(starts_at=begin, ends_at=end)
    trial.clock.advance(timedelta(minutes=int(rng.integers(0, 120))))  # before, within or after it
    for part in np.array_split(np.arange(len(said)), int(rng.integers(1, 9))):
        trial.send(*(said[n] for n in part))
    inside = sorted(each for each in said if begin <= each[0] < end)
    assert trial.stored(real=False) == inside and len(inside) == 40
    assert trial.stored(real=True) == sorted(set(said) - set(inside))


def test_only_the_series_that_were_named_are_in_trial_and_the_next_trial_is_another(trial: Trialled) -> None:
    first = trial.begin(properties=["precipitation"])
    trial.send((START, 1.0))
    assert trial.stored(real=True) == [(START, 1.0)]
    with pytest.raises(RecordError, match="station: taken"):
        trial.begin()
    trial.end(first)
    trial.clock.advance(STEP)
    trial.begin()
    trial.send((START + STEP, 1.1), (START - STEP, 0.9))
    assert trial.stored(real=False) == [(START + STEP, 1.1)]
    assert trial.stored(real=True) == [(START - STEP, 0.9), (START, 1.0)]


def test_it_cannot_begin_in_the_past_and_not_end_before_it_begins(trial: Trialled) -> None:
    for when, until, why in (
        (START - MINUTE, None, "starts_at: begun"),
        (START + STEP, START + STEP, "ends_at: before"),
        (START, START + timedelta(days=400), "ends_at: far"),
    ):
        with pytest.raises(RecordError, match=why):
            trial.begin(starts_at=when, ends_at=until)


def test_what_counts_after_all_becomes_real_in_parts_and_what_is_late_then_too(
    trial: Trialled, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [(START + n * STEP, 1.0 + 0.1 * n) for n in range(5)]
    number = trial.begin()
    trial.send(*said[:3], said[4])
    trial.clock.advance(5 * STEP)
    assert not trial.take_up() and trial.stored(real=True) == []
    trial.end(number, counts=True)
    with pytest.raises(RecordError, match="changed"):
        trial.end(number)
    monkeypatch.setattr(ingest.trial, "MOST_ROWS", 2)
    turns = 1
    while trial.take_up():
        turns += 1
    assert turns == 3
    trial.send(said[3])
    assert trial.stored(real=True) == said
    assert len(trial.stored(real=False)) == 4, "it stays marked where it was"
    assert trial.rows("select counted_at from station_trial") == [(trial.clock.now(),)]


def test_files_of_the_past_take_the_same_way(trial: Trialled, tmp_path: Path) -> None:
    trial.begin(starts_at=START + STEP, ends_at=START + 2 * STEP)
    with connect(trial.town.owner, name="test") as conn:
        later = ClockSetting(simulated=True, real_start=real_now(), town_start=START + 3 * STEP, speed=1e-9)
        write_clock(conn, later)
    lines = [f"{(START + n * STEP).isoformat()},{1 + n / 10}" for n in range(3)]
    (tmp_path / "levels.csv").write_text("\n".join(["time,level", *lines, ""]), "utf-8")
    (tmp_path / "map.yaml").write_text(
        f"time: {{column: time, zone: UTC}}\ncolumns: {{level: {{station: {BRIDGE}, property: water_level}}}}\n",
        "utf-8",
    )
    report = import_history(trial.town.worker, "999999", tmp_path / "levels.csv", load_map(tmp_path / "map.yaml"))
    assert (report.stored, report.errors) == (3, [])
    assert trial.stored(real=False) == [(START + STEP, 1.1)]
    assert trial.stored(real=True) == [(START, 1.0), (START + 2 * STEP, 1.2)]


def test_whoever_begins_a_trial_waits_for_what_was_being_stored(trial: Trialled) -> None:
    """Between a writer's look at the trials and its commit none begins: nothing measured in it is stored as real."""
    begun: list[int] = []
    with connect(trial.town.worker, name="test") as conn:
        trial.write(conn, "water_level", (START, 1.0))
        beginning = threading.Thread(target=lambda: begun.append(trial.begin()))
        beginning.start()
        while not trial.rows(
            "select from pg_locks where locktype = 'advisory' and not granted and database = "
            "(select oid from pg_database where datname = current_database())"
        ):
            assert beginning.is_alive()
        trial.clock.advance(MINUTE)
        conn.commit()
    beginning.join()
    assert trial.rows("select starts_at from station_trial") == [(START + MINUTE,)], "it read the clock after waiting"
    assert trial.stored(real=True) == [(START, 1.0)]

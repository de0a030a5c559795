"""`mimamori bench simulate` and the command line of `mimamori simulate`. How good the figures are, no test says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators.config import SENTENCES, Scenario
from tests.mimamori.test_cli import command


def test_it_measures_and_prints_one_object() -> None:
    done = command("bench", "simulate", "--devices", "500", "--hours", "0.5", "--json", within=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["devices"] == 500 and found["messages"] == sum(found["networks"].values()) > 500
    assert set(found["networks"]) == {"chirpstack_v4", "the_things_stack_v3", "mimamori_v1", "sigfox"}
    assert 0 < found["lost"] < 0.2 * found["messages"]
    assert found["messages_a_second"] == pytest.approx(found["messages"] / found["seconds"], rel=0.05)
    assert 20 < found["rss_mb"] < 500 and 200 < found["bytes_a_message"] < 2000


def test_the_scenarios_are_listed_each_with_a_sentence() -> None:
    done = command("simulate", "--list")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()} == {each.value for each in Scenario} == set(SENTENCES)
    assert all(len(line.split()) > 5 for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scenario", "nope"), "wear"),
        (("--devices", "100001"), "100000"),
        (("--faults", "-1"), "greater than or equal to 0"),
        (("--mixed",), "--devices"),
        (("--scenario", "carrier", "--devices", "300"), "--mixed"),
    ],
)
def test_bad_usage_ends_with_2_and_says_what_would_do(words: tuple[str, ...], said: str) -> None:
    done = command("simulate", *words)
    assert done.returncode == 2 and said in done.stderr


def test_wntr_is_not_loaded_by_what_simulates(tmp_path: Path) -> None:
    """It takes seconds, and the demo's visitors wait for them."""
    import subprocess
    import sys

    script = (
        "import sys; from datetime import datetime, UTC; from itertools import islice\n"
        "from devices.town import load_town; from simulators.towns import path\n"
        "from simulators.config import SimulatorConfig; from simulators.crowd import everybody\n"
        "start = datetime(2026, 6, 20, tzinfo=UTC)\n"
        "town = everybody(SimulatorConfig('', 0, devices=30), load_town(path()), origin=start, first=start)\n"
        "assert len(list(islice(town.uplinks(), 100))) == 100\n"
        "print(sorted({'wntr', 'scipy', 'pandas', 'networkx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stderr

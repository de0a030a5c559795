"""`mimamori bench alerts` with small numbers, and its load. How fast it is, the command says, and no test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from devices.envelopes import open_uplink
from mimamori.bench.alerts import TARGETS, Restless
from mimamori.bench.flood import Kind, device_key
from tests.mimamori.test_cli import command

START = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("only", [False, True])
def test_a_message_is_of_the_gauge_and_step_that_its_number_says(only: bool) -> None:
    flood = Restless(Kind.OWN, 60, START, run=2, only=only)
    for n, message in enumerate(flood.messages(200)):
        uplink, (sensor, step) = open_uplink(*message), flood.said(n)
        assert (uplink.device_key, uplink.counter) == (device_key(Kind.OWN, sensor), step)
    assert {flood.said(n)[0] for n in range(200)} == ({1, 21, 41} if only else set(range(60)))


def test_a_restless_gauge_goes_through_its_levels_and_never_faster_than_is_believed() -> None:
    flood = Restless(Kind.OWN, 40, START, only=True)
    said = [open_uplink(*message).readings or () for message in list(flood.messages(200))[::2]]
    values = [reading.value for (reading,) in said if reading.value is not None]
    assert len(values) == 100 and min(values) < 0.6 and max(values) > 2.0
    assert max(abs(b - a) for a, b in pairwise(values)) < 4.0 / 6


@pytest.mark.demo
def test_it_measures_and_prints_one_object() -> None:
    words = ("bench", "alerts", "--rate", "100", "--for", "5", "--sensors", "100", "--backlog", "800", "--live", "40")
    done = command(*words, "--rules", "100", "--json", within=400)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(done.stdout.splitlines()) == 1, "nothing else on stdout"
    for part in (found, found["backlog"]):
        assert part["notifications"] > 0 and part["not_told"] == 0
        assert 0 < part["p50_seconds"] <= part["p95_seconds"] <= part["p99_seconds"] <= part["worst_seconds"]
    assert found["first"] is None or found["first"]["notifications"] > 0
    assert found["backlog"]["readings"] == 800
    assert found["targets"] == TARGETS
    assert found["judging_stored"]["rules"] == found["judging_stored"]["observations"] == 100
    assert found["judging_stored"]["alerts"] > 0 and found["judging_stored"]["statements"] > 0
    assert found["within_targets"] == {
        "p95_seconds": found["p95_seconds"] <= 0.4,
        "p99_seconds": found["p99_seconds"] <= 1.0,
        "backlog_p95_seconds": found["backlog"]["p95_seconds"] <= 2.0,
        "judging": found["judging"]["seconds"] <= 1.0,
        "rehearsing": found["rehearsing"]["seconds"] <= 1.0,
        "judging_stored": found["judging_stored"]["seconds"] <= 1.0,
        "rehearsing_stored": found["rehearsing_stored"]["seconds"] <= 1.0,
    }

"""The learnt checks over the feed: what is doubted of a series by itself, and that both verdicts are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from devices.model import Quality
from quality.detector import Detector
from quality.memory import form, pack, unpack
from tests.analytics.doubting import (
    DOUBTED,
    EVENTS,
    N,
    at,
    calm,
    doubted,
    judge,
    level,
)
from tests.analytics.series import Analyst


def test_a_value_that_jumps_farther_than_its_series_ever_did_is_doubted_and_both_verdicts_are_kept(
    analyst: Analyst,
) -> None:
    ds, values = level(analyst), calm()
    values[1000] = 2.4
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    assert doubted(analyst, ds) == [(at(1000), 2.4, "doubtful", "spike")]
    assert analyst.rows(DOUBTED) == [(at(1000), 2.4, "good", None, "doubtful", "spike")]
    assert analyst.rows(EVENTS) == [("spike", at(1000), at(1000), 1, values[999])]
    newest = analyst.rows("select judged_to from quality_memory where datastream_id = %s", ds)
    assert newest == [(at(N - 1),)]
    # Who follows the feed hears of it.
    analyst.work()
    hour = "select worst_quality::text from rollup_hour where hour <= %s and hour + interval '1 hour' > %s"
    assert analyst.rows(hour, at(1000), at(1000)) == [("doubtful",)]


@pytest.mark.parametrize("pieces", [(1000, 1001, 1002, 1100), (400, 1003), tuple(range(990, 1010))])
def test_how_the_feed_is_cut_changes_nothing(analyst: Analyst, pieces: tuple[int, ...]) -> None:
    ds, values = level(analyst), calm()
    values[1000], values[1001] = 2.4, -3.0
    start = 0
    for end in (*pieces, N):
        analyst.send(ds, [(at(n), values[n]) for n in range(start, end)])
        judge(analyst)
        start = end
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(1000), "spike"), (at(1001), "spike")]
    assert analyst.rows(EVENTS) == [("spike", at(1000), at(1001), 2, values[999])]


def test_a_flood_is_not_doubted_however_fast_it_comes(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    wave = np.concatenate([np.linspace(0, 3, 18), np.linspace(3, 0.2, 60)])
    values[1000:1078] = [value + float(rise) for value, rise in zip(values[1000:1078], wave, strict=True)]
    values[900] += 1.0  # ... while what jumps and comes back is
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(900), "spike")]


def test_what_has_jumped_is_doubted_when_the_series_is_back(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    values[1000], values[1001] = 2.4, 2.5
    for n in (1000, 1001, 1002):
        assert doubted(analyst, ds) == []
        start = 0 if n == 1000 else n
        analyst.send(ds, [(at(each), values[each]) for each in range(start, n + 1)])
        judge(analyst)
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(1000), "spike"), (at(1001), "spike")]


def test_what_comes_late_keeps_the_verdict_of_the_gate(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    analyst.send(ds, [(at(900) + timedelta(minutes=5), 2.4)])
    judge(analyst)
    assert doubted(analyst, ds) == []


def test_a_leak_is_no_fault_of_the_flow_meter(analyst: Analyst) -> None:
    flow = analyst.town.datastream("block-hamamachi", "flow")
    values = [40 + 400 * (value - 1) for value in calm()]
    values[1000:] = [value + 60 for value in values[1000:]]
    analyst.send(flow, [(at(n), value) for n, value in enumerate(values)])
    judge(analyst)
    assert not [row for row in doubted(analyst, flow) if row[3] in ("step", "drift")]
    # ... nor is a crowd one of the counter.
    spot = analyst.town.datastream("spot-asaichi", "passages_in")
    analyst.send(spot, [(at(n), 900.0 if n == 1000 else 3.0 + n % 4) for n in range(N)])
    judge(analyst)
    assert doubted(analyst, spot) == []


def test_what_somebody_wrote_down_or_the_gate_has_doubted_is_left_alone(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    readings: list[Any] = [(at(n), value) for n, value in enumerate(values)]
    readings[1000] = (at(1000), (2.4, Quality.MANUAL))
    readings[1100] = (at(1100), (2.4, Quality.BAD))
    analyst.send(ds, readings)
    judge(analyst)
    assert [(row[0], row[2]) for row in doubted(analyst, ds)] == [(at(1000), "manual"), (at(1100), "bad")]
    assert analyst.rows(EVENTS) == []


def test_a_series_that_was_learnt_with_other_settings_is_learnt_anew(analyst: Analyst) -> None:
    ds, values = level(analyst), calm()
    analyst.send(ds, [(at(n), value) for n, value in enumerate(values[:1000])])
    judge(analyst)
    analyst.execute("update quality_memory set form = 'of another time', state = '\\x00'")
    values[1000] = 2.4
    analyst.send(ds, [(at(n), values[n]) for n in range(1000, N)])
    judge(analyst)
    assert [(row[0], row[3]) for row in doubted(analyst, ds)] == [(at(1000), "spike")]


def test_a_state_survives_being_kept() -> None:
    detector, rng = Detector(), np.random.default_rng(5)
    times = np.arange(1500.0)[:, None] * 600 + np.zeros((1, 3))
    values = 1 + 0.01 * rng.standard_normal(times.shape)
    whole, cut = detector.begin(3), detector.begin(3)
    for row in range(len(times)):
        expected = detector.step(whole, times[row], values[row])
        cut = unpack(detector.begin(3), pack(cut))
        found = detector.step(cut, times[row], values[row])
        assert np.array_equal(expected.excess, found.excess)
    with pytest.raises(ValueError, match="numbers"):
        unpack(detector.begin(1), [pack(cut)[0] + bytes(8)])
    assert form(detector) == form(Detector()) != form(Detector(rest=12.0))

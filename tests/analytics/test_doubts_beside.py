"""The same of gauges beside each other: what one shows that the others do not."""

from __future__ import annotations

import doctest
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

import analytics.beside
from analytics import doubts
from analytics.beside import MOST, Place, near
from tests.analytics.doubting import (
    EVENTS_OF,
    STEP,
    N,
    at,
    doubted,
    judge,
)
from tests.analytics.series import Analyst
from tests.conftest import START

GAUGES = ("river-okusawa", "river-takehara", "river-mimamoribashi")
Sent = dict[int, list[tuple[datetime, Any]]]  # of each datastream its times and values


def river(analyst: Analyst, rows: int = N, step: timedelta = STEP) -> Sent:
    """Three gauges of a river at rest, each at its own minute."""
    found = {}
    for n, code in enumerate(GAUGES):
        rng, ds = np.random.default_rng(n), analyst.town.datastream(code, "water_level")
        values = 1.0 + 0.05 * np.sin(np.arange(rows) * (step / timedelta(days=1)) * 2 * np.pi)
        values += 0.008 * rng.standard_normal(rows)
        found[ds] = [(START + k * step + timedelta(minutes=3 * n), round(float(v), 3)) for k, v in enumerate(values)]
    return found


def flooded(sent: Sent, begin: int, *gauges: int) -> None:
    """A flood that comes down the river, from one gauge to the next in half an hour."""
    for n, series in enumerate(sent.values()):
        if n in gauges:
            for k in range(120):
                time, value = series[begin + 3 * n + k]
                series[begin + 3 * n + k] = (time, round(value + min(k + 1, 24) / 12 * 0.5 ** (max(0, k - 24) / 40), 3))


def deliver(analyst: Analyst, sent: Sent, *cuts: datetime) -> None:
    """All of it in the order of time, judged after each cut."""
    far = datetime.max.replace(tzinfo=START.tzinfo)
    for begin, end in zip((datetime.min.replace(tzinfo=START.tzinfo), *cuts), (*cuts, far), strict=True):
        for ds, series in sent.items():
            part = [each for each in series if begin < each[0] <= end]
            if part:
                analyst.send(ds, part)
        judge(analyst)


def said(analyst: Analyst) -> list[Any]:
    return analyst.rows(
        "select datastream_id, phenomenon_time, quality::text, reason from observation "
        "where quality <> 'good' order by 1, 2"
    )


def test_a_flood_that_the_gauges_above_saw_too_is_believed(analyst: Analyst) -> None:
    sent = river(analyst)
    flooded(sent, 1000, 0, 1, 2)
    deliver(analyst, sent)
    lowest = analyst.town.datastream(GAUGES[2], "water_level")
    assert doubted(analyst, lowest) == []


def test_nor_is_one_doubted_that_a_gauge_alone_saw(analyst: Analyst) -> None:
    """A cloudburst over one valley is no fault of its gauge."""
    sent = river(analyst)
    flooded(sent, 1000, 2)
    deliver(analyst, sent)
    assert said(analyst) == []


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([1000, 1003, 1010], id="in the flood"),
        pytest.param([400], id="before it"),
        pytest.param(list(range(1000, 1020)), id="step by step"),
    ],
)
def test_how_the_feed_is_cut_changes_nothing_for_neighbours(analyst: Analyst, cuts: list[int]) -> None:
    sent = river(analyst)
    flooded(sent, 1000, 0, 1, 2)
    for n, series in enumerate(sent.values()):
        series[600 + 100 * n] = (series[600 + 100 * n][0], 3.0)
    begin = timedelta(minutes=4)  # between the minutes of two gauges
    deliver(analyst, sent, *(at(n) + begin for n in cuts))
    in_pieces, events = said(analyst), analyst.rows(EVENTS_OF)
    assert len(in_pieces) >= 3
    analyst.execute("delete from quality_verdict")
    analyst.execute("delete from quality_event")
    analyst.execute("delete from quality_memory")
    analyst.execute("update observation set quality = 'good', reason = null")
    first = next(iter(sent))
    analyst.send(first, [(at(N), 1.0)])
    judge(analyst)
    assert said(analyst) == in_pieces
    assert analyst.rows(EVENTS_OF) == events


def test_nor_does_how_many_rows_are_read_at_a_time(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = river(analyst)
    flooded(sent, 1000, 0, 1, 2)
    for n, series in enumerate(sent.values()):
        series[600 + 100 * n] = (series[600 + 100 * n][0], 3.0)
    deliver(analyst, sent)
    at_once = said(analyst)
    assert len(at_once) >= 3
    analyst.execute("delete from quality_verdict")
    analyst.execute("delete from quality_event")
    analyst.execute("delete from quality_memory")
    analyst.execute("update observation set quality = 'good', reason = null")
    monkeypatch.setattr(doubts, "_ROWS", 337)
    analyst.send(next(iter(sent)), [(at(N), 1.0)])
    judge(analyst)
    assert said(analyst) == at_once


def test_a_gauge_that_walks_away_from_its_neighbours_is_doubted_with_that_reason(analyst: Analyst) -> None:
    rows = 24 * 44
    sent = river(analyst, rows, timedelta(hours=1))
    lowest = analyst.town.datastream(GAUGES[2], "water_level")
    begin = 24 * 33
    drifting = [(time, round(value + max(0, k - begin) * 0.004, 3)) for k, (time, value) in enumerate(sent[lowest])]
    deliver(analyst, sent | {lowest: drifting}, START + timedelta(days=34))
    reasons = {(row[0], row[3]) for row in said(analyst)}
    assert (lowest, "neighbours") in reasons
    assert {ds for ds, _ in reasons} == {lowest}
    ((excess, first),) = analyst.rows(
        "select excess, first_time from quality_event where reason = 'neighbours' order by first_time limit 1"
    )
    assert excess >= 1
    assert START + timedelta(hours=begin) < first < START + timedelta(hours=begin) + timedelta(days=5)


def test_gauges_are_neighbours_along_their_river_or_else_in_their_town() -> None:
    river = [Place(35.0, 139.0, "美守川", km) for km in (7.9, 4.7, 1.9)]
    town = near([*river, Place(35.01, 139.0, "汐見川", 2.5)])
    assert town[:, :3].tolist() == [[1, 2, -1], [2, 0, -1], [1, 0, -1], [0, 1, 2]]
    assert near([]).shape == (0, MOST)
    many = near([Place(35.0, 139.0 + n / 100) for n in range(20)])
    assert many.shape == (20, MOST)
    assert sorted(many[10].tolist()) == [6, 7, 8, 9, 11, 12, 13, 14]
    assert doctest.testmod(analytics.beside).failed == 0

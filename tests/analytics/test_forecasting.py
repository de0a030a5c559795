"""The job that looks ahead: only where it is switched on, from what is stored, and never from what is not believed."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.rivers import forecast_store as stored
from analytics.rivers import inputs
from analytics.rivers.forecast.fan import Fan
from analytics.rivers.forecast.forecaster import LEADS, Forecaster
from analytics.rivers.forecast.record import Record
from analytics.rivers.forecasting import STALE, TRAINED_EVERY, Forecasts
from devices.clock import FixedClock
from devices.model import Quality
from store import Connection, connect
from tests.analytics.series import Analyst
from tests.conftest import START

STEP = timedelta(minutes=10)
LOWER, UPPER, RAIN = "river-mimamoribashi", "river-takehara", "rain-okusawa"
DAYS = 8


@pytest.fixture
def worker(analyst: Analyst) -> Iterator[Connection]:
    with connect(analyst.town.worker, name="test", autocommit=True) as conn:
        yield conn


@pytest.fixture
def level(analyst: Analyst) -> int:
    return analyst.town.datastream(LOWER, "water_level")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simple rule instead of what is learned, which takes seconds: what the job does is the same."""
    for module in ("forecasting", "backtest"):
        monkeypatch.setattr(f"analytics.rivers.{module}.train", lambda record: Forecaster(LEADS, None))


def switch(analyst: Analyst, *, on: bool) -> None:
    analyst.rows(
        """
        insert into internal_forecast_switch (municipality_id, shown, office, person, asked_on, reply, at)
        values (%s, %s, '美守地方気象台', '気象 花子', '2026-05-01', '支障なし', %s) returning 1
        """,
        analyst.town.municipality_id,
        on,
        START,
    )


def wave(hours: float) -> float:
    """A flood every two days."""
    return 1.0 + 2.0 * max(0.0, float(np.sin(np.pi * hours / 24.0))) ** 4


def live(analyst: Analyst, until: datetime, days: float = DAYS) -> None:
    """So many days of a river whose upper gauge is three hours ahead, up to and with a time."""
    n = round(days * 144)
    times = [until - STEP * (n - 1 - i) for i in range(n)]
    hours = [(time - START) / timedelta(hours=1) for time in times]
    for station, ahead in ((LOWER, 0.0), (UPPER, 3.0)):
        series = [(time, round(wave(hour + ahead), 2)) for time, hour in zip(times, hours, strict=True)]
        analyst.send(analyst.town.datastream(station, "water_level"), series)
    rain = [(time, 2.0 if wave(hour + 8) > 1.5 else 0.0) for time, hour in zip(times, hours, strict=True)]
    analyst.send(analyst.town.datastream(RAIN, "precipitation"), rain)


def trained(job: Forecasts, worker: Connection) -> int:
    n = 0
    while job.train_one(worker):
        n += 1
        assert n < 20, "it trains for ever"
    return n


def test_nothing_is_worked_out_where_it_is_not_switched_on(
    analyst: Analyst, worker: Connection, clock: FixedClock
) -> None:
    live(analyst, START, days=1)
    job = Forecasts(clock)
    assert not job.train_one(worker) and job.issue(worker) == 0
    switch(analyst, on=True)
    assert trained(job, worker) == 4 and job.issue(worker) == 2
    switch(analyst, on=False)
    clock.advance(START + STEP - clock.now())
    live(analyst, START + STEP, days=0.1)
    assert not job.train_one(worker) and job.issue(worker) == 0
    assert analyst.rows("select count(*) from forecast where not rehearsed") == [(2,)]


def test_each_new_observation_is_looked_ahead_from_once_and_says_what_it_had_to_do_without(
    analyst: Analyst, worker: Connection, clock: FixedClock, level: int
) -> None:
    upper, rain = analyst.town.datastream(UPPER, "water_level"), analyst.town.datastream(RAIN, "precipitation")
    live(analyst, START - STEP, days=5)
    switch(analyst, on=True)
    job = Forecasts(clock)
    assert job.issue(worker) == 2 and job.issue(worker) == 0, "of the other gauges nothing is known"
    (begun,) = stored.models(worker, level)
    assert (begun.why, begun.method, begun.n) == ("first", "rise", 0), "by the rule, before anything is learned"
    assert trained(job, worker) == 4
    live(analyst, START, days=0.1)
    assert job.issue(worker) == 2
    said = stored.said_last(worker, [level], START)[level]
    assert not said.rehearsed and said.time == START
    assert said.level == round(wave(0), 2) and said.leads == (1, 2, 3, 4, 5, 6)
    assert (np.diff(said.quantiles, axis=1) >= 0).all()
    assert not {upper, rain} & {*said.missing, *said.doubtful}
    assert analyst.town.datastream("river-okusawa", "water_level") in said.missing

    # half an hour in which the gauge above has only doubtful values and the rain gauge says nothing
    for n in range(1, 10):
        analyst.send(level, [(START + STEP * n, 1.5)])
        analyst.send(upper, [(START + STEP * n, (9.0, Quality.DOUBTFUL))])
    clock.advance(START + 9 * STEP - clock.now())
    assert job.issue(worker) == 1
    later = stored.said_last(worker, [level], clock.now())[level]
    assert later.time == START + 9 * STEP and later.level == 1.5
    assert upper in later.doubtful and rain in later.missing

    # what nobody could have acted on any more is not said
    clock.advance(START + 9 * STEP + STALE - clock.now())
    analyst.send(level, [(START + 10 * STEP, (1.6, Quality.DOUBTFUL))])
    assert job.issue(worker) == 0


@pytest.mark.usefixtures("quick")
def test_a_version_follows_a_week_and_a_flood_and_the_past_was_rehearsed_without_knowing_it(
    analyst: Analyst, worker: Connection, clock: FixedClock, level: int
) -> None:
    live(analyst, START)
    switch(analyst, on=True)
    job = Forecasts(clock)
    trained(job, worker)
    (first,) = stored.models(worker, level)
    assert first.why == "history" and first.used and first.n == DAYS * 144 and first.trained_to == START
    assert first.scores is not None
    assert [score.lead for score in first.scores] == [1, 2, 3, 4, 5, 6] and all(score.n for score in first.scores)
    rehearsed = stored.said(worker, level, START - timedelta(days=DAYS), START)
    assert rehearsed and all(each.rehearsed for each in rehearsed)
    # the twin knew two thirds of the time
    assert min(each.time for each in rehearsed) >= START - timedelta(days=DAYS / 3) - STEP

    clock.advance(START + TRAINED_EVERY - STEP - clock.now())
    assert not job.train_one(worker)
    analyst.rows(
        """
        insert into alert (municipality_id, station_id, rule, datastream_id, level, peak_level, raised_at,
                           phenomenon_time, value, cleared_at)
        select municipality_id, station_id, 'level', datastream_id, 2, 2, %s, %s, 2.7, %s from datastream
        where datastream_id = %s returning 1
        """,
        START,
        START,
        START + timedelta(hours=9),
        level,
    )
    assert trained(job, worker) == 1
    clock.advance(START + TRAINED_EVERY - clock.now())
    analyst.rows("update alert set cleared_at = null returning 1")
    assert not job.train_one(worker), "a flood is no time to learn"
    analyst.rows("update alert set cleared_at = raised_at + interval '9 hours' returning 1")
    assert trained(job, worker) == 3, "the others are a week old"
    assert [each.why for each in stored.models(worker, level)] == ["flood", "history"]


# Learns, and stands still where the back-test of the first gauge with a record would begin.
STOPPED = """
import sys
from datetime import datetime
import numpy as np
from analytics.rivers import forecasting
from analytics.rivers.forecast.forecaster import LEADS, Forecaster
from devices.clock import FixedClock
from store import connect

def reached(record):
    if np.isfinite(record.level).any():
        print("learned", flush=True)
        sys.stdin.read()
    return rehearse(record)

rehearse, forecasting.rehearse = forecasting.rehearse, reached
forecasting.train = lambda record: Forecaster(LEADS, None)
job = forecasting.Forecasts(FixedClock(datetime.fromisoformat(sys.argv[2])))
with connect(sys.argv[1], name="test", autocommit=True) as conn:
    while job.train_one(conn):
        pass
"""


@pytest.mark.usefixtures("quick")
def test_a_job_that_is_killed_before_the_back_test_does_it_when_it_is_back(
    analyst: Analyst, worker: Connection, clock: FixedClock, level: int
) -> None:
    live(analyst, START)
    switch(analyst, on=True)
    town = analyst.town.municipality_id
    command = [sys.executable, "-c", STOPPED, analyst.town.worker, START.isoformat()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = iter(process.stdout.readline, b"")  # of gauges without a record it only logs
        assert b"learned\n" in told
        process.kill()
    left = stored.without_scores(worker, town)
    assert left is not None and left.n == DAYS * 144
    ids = (level, analyst.town.datastream(UPPER, "water_level"))
    before = {each.model_id for i in ids for each in stored.models(worker, i)}
    trained(Forecasts(clock), worker)
    assert stored.without_scores(worker, town) is None
    models = [each for i in ids for each in stored.models(worker, i)]
    assert [each.version for each in models] == [1, 1] and before < {each.model_id for each in models}
    for model in models:
        assert model.scores is not None
        assert [score.lead for score in model.scores] == [1, 2, 3, 4, 5, 6] and all(score.n for score in model.scores)
        said = stored.said(worker, model.datastream_id, START - timedelta(days=DAYS), START)
        assert len(said) > 40 and all(each.rehearsed and each.model_id == model.model_id for each in said)


def test_gauges_linked_further_up_come_first_in_the_order_of_the_time_that_the_water_takes(
    analyst: Analyst, worker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a word of people, which stands above what lies near: two links after each other, and one of unknown time."""
    town, top = analyst.town, "river-shiomibashi"
    stations = dict(analyst.rows("select code, station_id from station where kind = 'river_gauge'"))

    def asked() -> tuple[int, ...]:
        (gauge,) = [each for each in inputs.gauges(worker, town.municipality_id) if each.code == LOWER]
        return gauge.neighbours

    near = asked()
    assert town.datastream(top, "water_level") not in near, "it is of another river"
    analyst.execute(
        "insert into app_user (municipality_id, login, display_name, role, password_hash) "
        "values (%s, 'a', '防災', 'disaster', 'x')",
        town.municipality_id,
    )
    for upper, lower, travel in ((UPPER, LOWER, 90), (top, UPPER, 20), (top, LOWER, None)):
        analyst.execute(
            "insert into station_link_word (municipality_id, upstream_id, downstream_id, verdict, travel, reason, "
            "said_at, user_id) select %s, %s, %s, 'set', %s, '放水路', %s, user_id from app_user",
            town.municipality_id,
            stations[upper],
            stations[lower],
            None if travel is None else timedelta(minutes=travel),
            START,
        )
    first = tuple(town.datastream(each, "water_level") for each in (UPPER, top))
    assert asked() == (*first, *(each for each in near if each not in first))
    monkeypatch.setattr(inputs, "MOST_NEIGHBOURS", 2)
    assert asked() == first
    analyst.execute(
        "insert into station_link_word (municipality_id, upstream_id, downstream_id, verdict, reason, "
        "said_at, user_id) select municipality_id, upstream_id, downstream_id, 'refused', 'x', said_at, "
        "user_id from station_link_word where upstream_id = %s",
        stations[top],
    )
    assert asked()[0] == first[0] and first[1] not in asked()


@pytest.mark.usefixtures("quick")
def test_a_version_that_is_worse_on_what_both_know_is_kept_and_not_used(
    analyst: Analyst, worker: Connection, clock: FixedClock, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(analyst, START)
    switch(analyst, on=True)
    job = Forecasts(clock)
    trained(job, worker)
    clock.advance(START + TRAINED_EVERY - clock.now())
    spoilt = "analytics.rivers.forecasting.train"

    class Spoilt:
        """A forecaster that lost a metre."""

        method = "learned"

        def __init__(self, inner: Forecaster) -> None:
            self.inner = inner
            self.dump = inner.dump

        def forecast(self, record: Record, rows: NDArray[np.intp]) -> Fan:
            fan = self.inner.forecast(record, rows)
            return Fan(fan.leads, fan.values + 1.0, fan.quantiles + 1.0, fan.persistence, fan.left_out)

    monkeypatch.setattr(spoilt, lambda record: Spoilt(Forecaster(LEADS, None)))
    trained(job, worker)
    newest, learned = stored.models(worker, level)
    assert not newest.used and learned.used
    assert stored.newest(worker, [level], used=True)[level].version == 1


@pytest.mark.usefixtures("quick")
def test_what_another_release_kept_is_learned_again_before_anything_is_said_of_it(
    analyst: Analyst, worker: Connection, clock: FixedClock, level: int
) -> None:
    live(analyst, START, days=2)
    switch(analyst, on=True)
    trained(Forecasts(clock), worker)
    kept = io.BytesIO()
    np.savez(kept, leads=np.array(LEADS), until=np.array(0.0), kinds=np.array("[]"))
    analyst.rows("update forecast_model set model = %s where datastream_id = %s returning 1", kept.getvalue(), level)
    job = Forecasts(clock)
    assert job.issue(worker) == 1, "of the gauge above, and of no other"
    assert trained(Forecasts(clock), worker) == 1
    assert [model.why for model in stored.models(worker, level)] == ["history", "history"]
    clock.advance(START + STEP - clock.now())
    live(analyst, START + STEP, days=0.1)
    assert job.issue(worker) == 2


@pytest.mark.usefixtures("quick")
def test_what_is_old_goes_and_what_was_said_of_a_flood_stays(
    analyst: Analyst, worker: Connection, clock: FixedClock, level: int
) -> None:
    live(analyst, START)
    switch(analyst, on=True)
    job = Forecasts(clock)
    trained(job, worker)
    analyst.rows(
        """
        insert into alert (municipality_id, station_id, rule, datastream_id, level, peak_level, raised_at,
                           phenomenon_time, value, cleared_at)
        select municipality_id, station_id, 'level', datastream_id, 2, 2, %s, %s, 2.7, %s from datastream
        where datastream_id = %s returning 1
        """,
        START - timedelta(hours=20),
        START,
        START - timedelta(hours=18),
        level,
    )
    clock.advance(START + stored.KEPT + timedelta(days=1) - clock.now())
    job.prune(worker)
    left = stored.said(worker, level, START - timedelta(days=DAYS), START)
    assert left and left[0].time >= START - timedelta(hours=44) and left[-1].time <= START - timedelta(hours=6)


def test_a_long_time_is_read_in_parts_and_comes_to_the_same(
    analyst: Analyst, worker: Connection, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(analyst, START, days=3)
    (gauge,) = [each for each in inputs.gauges(worker, analyst.town.municipality_id) if each.datastream_id == level]
    asked = {"last": START.timestamp() + 120, "step": 2 * STEP, "n": 200}
    found = inputs.readings(worker, (level, *gauge.inputs), START - timedelta(days=4), START + STEP)
    at_once = inputs.record(found, level, gauge.neighbours, gauge.rain, **asked)  # type: ignore[arg-type]
    monkeypatch.setattr(inputs, "_PART", 37)
    in_parts = inputs.stored_record(worker, level, gauge.neighbours, gauge.rain, **asked)  # type: ignore[arg-type]
    assert in_parts.start == at_once.start and np.isfinite(at_once.rain[:, 0]).sum() > 150
    for part in ("level", "neighbours", "rain"):
        np.testing.assert_array_equal(getattr(in_parts, part), getattr(at_once, part))

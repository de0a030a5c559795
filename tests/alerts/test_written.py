"""Rules that staff write, on a real database: one alert a rule and station, whatever comes in whichever order."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from psycopg.errors import InsufficientPrivilege

import alerts.written
from alerts.evaluator import Evaluator
from alerts.rule_book import add_rule, add_version, rules_of
from alerts.rules.condition import (
    Body,
    Change,
    Compare,
    Every,
    Minus,
    Number,
    Reading,
    Reference,
    Series,
    Total,
)
from alerts.shards import NAME
from devices.model import Quality, Reason, StationKind
from store import connect
from store.errors import RegistrationError
from store.feed import Consumer
from tests.alerts.gauge import STEP, Gauge
from tests.conftest import START

LEVEL = Series("water_level")
RISE = Body(Compare(Change(LEVEL, 1800), "above", Number(0.3), margin=0.1), hold=1200)
HIGH = Body(Compare(Reading(LEVEL), "above", Number(1.5), margin=0.1), hold=1200)


def write_rule(
    gauge: Gauge,
    body: Body,
    *,
    kind: StationKind | None = None,
    severity: int | None = 2,
    name: str = "急な増水",
    after: timedelta = timedelta(days=-30),
) -> int:
    """A rule of the gauge, or of all of a kind, from `after` the start on."""
    with connect(gauge.town.owner, name="test") as conn:
        town, station = gauge.town.municipality_id, None if kind else gauge.station_id
        rule_id = add_rule(conn, town, station_id=station, kind=kind, now=START + after)
        _version(conn, gauge, rule_id, body, severity=severity, name=name, after=after)
    return rule_id


def _version(conn, gauge, rule_id, body, *, severity=2, name="急な増水", active=True, after=timedelta(0)) -> int:  # type: ignore[no-untyped-def]
    return add_version(
        conn,
        gauge.town.municipality_id,
        rule_id,
        valid_from=START + after,
        name=name,
        severity=severity,
        active=active,
        body=body,
        reason="試しに",
        now=START + after,
        user_id=None,
    )


def written(gauge: Gauge) -> list[tuple[str, float | None]]:
    return [
        (row[0], row[1])
        for row in gauge.rows(
            "select h.event, round(h.value::numeric, 2)::float8 from alert_history h join alert a using (alert_id) "
            "where a.rule = 'written' order by h.alert_history_id"
        )
    ]


def told(gauge: Gauge) -> list[str]:
    return [
        row[0]
        for row in gauge.rows(
            "select o.subject from outbox o join alert_history using (alert_history_id) join alert a using (alert_id) "
            "where a.rule = 'written' and o.channel = 'log' order by o.outbox_id"
        )
    ]


def test_a_rise_raises_one_alert_that_clears_by_its_own_margin_and_hold(gauge: Gauge) -> None:
    rule_id = write_rule(gauge, RISE)
    for n, value in enumerate([0.5, 0.5, 0.5, 0.7, 0.85, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate()
    assert written(gauge) == [("raised", 0.35), ("cleared", 0.0)]
    assert gauge.rows("select alert_rule_id, severity, level, station_id from alert where rule = 'written'") == [
        (rule_id, 2, None, gauge.station_id)
    ]
    raised, cleared = told(gauge)
    assert (
        raised
        == "【模擬】美守橋水位観測所 町の条件のお知らせ：「急な増水」の条件にあてはまりました（対応）（6/1 09:40）"
    )
    assert "「急な増水」の条件を外れました" in cleared


def test_a_message_says_what_was_measured_and_what_the_condition_is(gauge: Gauge) -> None:
    gauge.user("disaster", "bousai@example.jp")
    write_rule(gauge, Body(Every((RISE.when, HIGH.when)), lasting=600))
    for n, value in enumerate([1.2, 1.3, 1.4, 1.6, 1.7]):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate(mail=True)
    ((body,),) = gauge.rows(
        "select body from outbox o join alert_history using (alert_history_id) join alert a using (alert_id) "
        "where a.rule = 'written' and o.channel = 'mail'"
    )
    assert "水位の30分間の上昇：0.40 m（条件：0.30 m以上）" in body
    assert "水位：1.70 m（条件：1.50 m以上）" in body
    assert "条件：水位の30分間の上昇が0.30 m以上、かつ水位が1.50 m以上の状態が10分続いたとき" in body


def test_information_goes_to_no_mailbox(gauge: Gauge) -> None:
    gauge.user("disaster", "bousai@example.jp")
    write_rule(gauge, HIGH, severity=None)
    gauge.send_series(1.6)
    gauge.evaluate(mail=True)
    assert gauge.rows("select channel from outbox") == [("log",)]


def test_a_rule_of_a_kind_is_one_for_each_of_its_stations(gauge: Gauge) -> None:
    write_rule(gauge, HIGH, kind=StationKind.RIVER_GAUGE)
    write_rule(gauge, HIGH, kind=StationKind.RAIN_GAUGE)
    gauge.send_series(1.6)
    gauge.evaluate()
    assert gauge.rows("select station_id from alert where rule = 'written'") == [(gauge.station_id,)]


def test_two_rules_at_one_station_are_two_causes(gauge: Gauge) -> None:
    write_rule(gauge, HIGH)
    write_rule(gauge, Body(Compare(Minus(Reference(5), Reading(LEVEL)), "below", Number(3.0))), name="越水まで3 m")
    gauge.send_series(1.6)
    gauge.evaluate()
    assert len(gauge.rows("select from alert where rule = 'written' and cleared_at is null")) == 2
    assert written(gauge) == [("raised", 1.6), ("raised", 2.8)], "4.40 m is where it overflows"


def test_the_version_in_force_judges_and_a_rule_that_is_switched_off_is_over(gauge: Gauge) -> None:
    rule_id = write_rule(gauge, HIGH)
    gauge.send_series(1.6)
    gauge.evaluate()
    with connect(gauge.town.owner, name="test") as conn:
        _version(conn, gauge, rule_id, HIGH, active=False, after=timedelta(minutes=5))
    gauge.send_series(1.6, start=START + STEP)
    gauge.evaluate()
    versions = gauge.rows("select event, rule_version from alert_history order by alert_history_id")
    assert [event for event, _ in versions] == ["raised", "cleared"]
    assert len({version for _, version in versions}) == 2


def test_a_version_begins_neither_in_the_past_nor_before_another(gauge: Gauge) -> None:
    rule_id = write_rule(gauge, HIGH)
    with connect(gauge.town.owner, name="test") as conn:
        with pytest.raises(RegistrationError, match="begins then or later already"):
            _version(conn, gauge, rule_id, HIGH, after=timedelta(days=-30))
        with pytest.raises(RegistrationError, match="reserves"):
            _version(conn, gauge, rule_id, HIGH, name="大雨警" + "報")
        with pytest.raises(RegistrationError, match="not all of these stations exist"):
            _version(conn, gauge, rule_id, Body(Compare(Reading(Series("water_level", "x")), "above", Number(1))))


def test_versions_are_never_changed(gauge: Gauge) -> None:
    write_rule(gauge, HIGH)
    for role in (gauge.town.worker, gauge.town.api):
        with connect(role, name="test") as conn, pytest.raises(InsufficientPrivilege):
            conn.execute("update alert_rule_version set severity = 3")


def test_another_town_sees_no_rule(gauge: Gauge) -> None:
    rule_id = write_rule(gauge, HIGH)
    with connect(gauge.town.api, name="test") as conn:
        conn.execute("select set_config('mimamori.municipality_id', '999', true)")
        assert rules_of(conn, gauge.town.municipality_id) == []
        town = str(gauge.town.municipality_id)
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (town,))
        assert [rule.rule_id for rule in rules_of(conn, gauge.town.municipality_id)] == [rule_id]


def test_a_neighbour_is_looked_at_and_its_observations_judge(gauge: Gauge) -> None:
    """A rule at the bridge about the rain at another station is judged when that station says something."""
    with connect(gauge.town.owner, name="test") as conn:
        code, station_id, datastream_id = conn.execute(
            "select s.code, s.station_id, d.datastream_id from station s join datastream d using (station_id) "
            "where s.kind = 'rain_gauge' and d.observed_property = 'precipitation' limit 1"
        ).fetchone()  # type: ignore[misc]
    rain = Compare(Total(Series("precipitation", code), 3600), "above", Number(20))
    write_rule(gauge, Body(rain))
    with connect(gauge.town.owner, name="test") as conn:
        conn.execute("insert into observation values (%s, %s, 25, 'good', null, null)", (datastream_id, START))
        conn.execute("select latest_recompute(array[%s])", (datastream_id,))
        conn.execute(
            "select feed_append(%s, 'observations', array[%s], array[%s], array[%s], '{}')",
            (gauge.town.municipality_id, datastream_id, START, START),
        )
    gauge.evaluate()
    assert gauge.rows("select station_id, value from alert") == [(gauge.station_id, 25.0)]
    assert station_id != gauge.station_id


def test_a_doubtful_reading_waits_for_the_next(gauge: Gauge) -> None:
    write_rule(gauge, HIGH)
    gauge.send_series(1.0, (3.9, Quality.DOUBTFUL, Reason.RATE))
    gauge.evaluate()
    assert written(gauge) == []
    gauge.send_series(3.9, start=START + 2 * STEP)
    gauge.evaluate()
    assert written(gauge) == [("raised", 3.9)]


def test_sixty_minutes_in_one_batch_are_told_once_and_overtaken_ones_to_nobody(gauge: Gauge) -> None:
    write_rule(gauge, HIGH)
    gauge.clock.advance(timedelta(minutes=60))
    gauge.send_series(1.0, 1.6, 1.7, 1.8, 1.9, 1.9)
    gauge.evaluate()
    assert len(told(gauge)) == 1
    gauge.clock.advance(timedelta(minutes=600))
    gauge.send_series(*[1.0] * 6, *[1.9] * 20, *[1.0] * 24, start=START + 6 * STEP)
    gauge.evaluate()
    assert len(told(gauge)) == 2, "the end of the first, nothing of the second"
    assert gauge.rows("select from_time, to_time from late_excursion") == [(START + 12 * STEP, START + 31 * STEP)]


def test_the_same_observations_in_any_order_and_any_batches_lead_to_the_same_state(gauge: Gauge) -> None:
    """Ten random courses, each once in order and twice shuffled and cut; the last also judged by two evaluators."""
    bodies = [HIGH, RISE, Body(Every((HIGH.when, RISE.when)), lasting=600, hold=600)]
    rules = [write_rule(gauge, body) for body in bodies]
    states = []
    rng = random.Random(7)
    for turn in range(10):
        values = [rng.choice([0.9, 1.2, 1.39, 1.41, 1.45, 1.5, 1.7, 2.4]) for _ in range(14)]
        readings = [(START + n * STEP, value) for n, value in enumerate(values)]
        outcomes = []
        for shuffled in (False, True, True):
            _forget(gauge)
            order = list(readings)
            if shuffled:
                rng.shuffle(order)
            while order:
                size = rng.randint(1, 5) if shuffled else 1
                batch, order = order[:size], order[size:]
                gauge.send(batch)
                if turn == 9:
                    _two_evaluators(gauge)
                else:
                    gauge.evaluate()
            outcomes.append(
                gauge.rows("select alert_rule_id from alert where rule = 'written' and cleared_at is null order by 1")
            )
        assert outcomes[0] == outcomes[1] == outcomes[2], values
        states.append(outcomes[0])
    assert len({str(state) for state in states}) > 1, "the courses end differently"
    assert {row[0] for state in states for row in state} <= set(rules)


def test_reading_the_feed_again_changes_nothing(gauge: Gauge) -> None:
    write_rule(gauge, HIGH)
    for n, value in enumerate([1.0, 1.6, 1.0, 1.0, 1.0, 1.6]):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate()
    before = gauge.rows("select * from alert_history order by 1"), gauge.rows("select * from outbox order by 1")
    gauge.rows("update feed_cursor set feed_id = 0 where consumer = %s returning 1", NAME)
    gauge.evaluate()
    assert before == (
        gauge.rows("select * from alert_history order by 1"),
        gauge.rows("select * from outbox order by 1"),
    )


def test_what_a_person_cleared_is_raised_again_only_by_what_came_after(gauge: Gauge) -> None:
    write_rule(gauge, HIGH)
    gauge.send_series(1.6)
    gauge.evaluate()
    user = gauge.user("disaster")
    gauge.clock.advance(timedelta(minutes=5))
    gauge.rows("update alert set cleared_at = %s, cleared_by = %s returning 1", gauge.clock.now(), user)
    gauge.send_series(1.45, start=START + STEP)
    gauge.evaluate()
    assert written(gauge) == [("raised", 1.6)]
    gauge.send_series(1.6, start=START + 2 * STEP)
    gauge.evaluate()
    assert written(gauge) == [("raised", 1.6), ("raised", 1.6)]


def test_a_rule_that_cannot_be_judged_does_not_keep_the_levels_from_being_judged(
    gauge: Gauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rule(gauge, HIGH)
    real = alerts.written.standings

    def broken(*_: object, **__: object) -> None:
        raise ValueError("as no rule should")

    monkeypatch.setattr(alerts.written, "standings", broken)
    gauge.send_series(2.1)
    gauge.evaluate()
    assert gauge.rows("select rule, level from alert") == [("level", 1)]
    monkeypatch.setattr(alerts.written, "standings", real)
    gauge.send_series(2.1, start=START + STEP)
    gauge.evaluate()
    assert len(gauge.rows("select from alert where rule = 'written'")) == 1, "the next observation judges it"


def _two_evaluators(gauge: Gauge) -> None:
    with connect(gauge.town.worker, name="test") as one, connect(gauge.town.worker, name="test") as two:
        for conn in (one, two):
            Consumer(gauge.town.worker, NAME).drain(conn, Evaluator(gauge.clock).handle)


def _forget(gauge: Gauge) -> None:
    gauge.rows(
        "with a as (delete from outbox), b as (delete from late_excursion), c as (delete from alert_judged), "
        "d as (delete from observation), e as (delete from datastream_latest) select 1"
    )
    gauge.rows("with a as (delete from alert_history) select 1")
    gauge.rows("with a as (delete from alert) select 1")

"""Numbered levels are judged as ever, whatever stands beside them without a number and whatever corrects what; and a
rule can name a level.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

from alerts.observed import level_rules
from alerts.rules.condition import Body, Compare, Minus, Named, Number, Reading, Reference, Series
from alerts.rules.level import LevelRule, Observed, judge_level
from devices.levels import LevelKind, ThresholdMark
from devices.model import ThresholdLevel, ThresholdSet
from store import connect
from store.levels import put_set, station_sets
from tests.alerts.gauge import STEP, Gauge
from tests.alerts.test_written import write_rule, written
from tests.conftest import START

HOUR = timedelta(hours=1)


def some_set(random: Random, valid_from: object) -> ThresholdSet:
    numbers = sorted(random.sample(range(1, 6), random.randint(0, 5)))
    heights = sorted(random.sample(range(50, 450), len(numbers)))
    kinds = random.sample([kind for kind in LevelKind if kind is not LevelKind.REFERENCE], random.randint(0, 4))
    return ThresholdSet(
        valid_from,  # type: ignore[arg-type]
        "試験",
        tuple(ThresholdLevel(n, f"第{n}", f"{n}", cm / 100) for n, cm in zip(numbers, heights, strict=True)),
        random.choice([0.0, 0.1]),
        random.choice([timedelta(0), timedelta(minutes=30)]),
        None,
        None,
        tuple(ThresholdMark(kind, f"目安{kind}", kind, random.randint(0, 450) / 100) for kind in kinds),
    )


def test_what_stands_beside_the_numbers_changes_nothing_of_what_is_judged(gauge: Gauge) -> None:
    random = Random(45)
    with connect(gauge.town.owner, name="test") as conn:
        for _ in range(12):
            with conn.transaction(force_rollback=True):
                conn.execute("delete from threshold_source")
                conn.execute("delete from standing_approval")
                conn.execute("delete from threshold_set where station_id = %s", (gauge.station_id,))
                expected = {}
                for n in range(random.randint(1, 4)):
                    begins, corrects = START + n * HOUR * random.randint(1, 3), None
                    if any(each.valid_from == begins for each in station_sets(conn, gauge.station_id)):
                        continue
                    for _ in range(random.randint(1, 3)):
                        new = some_set(random, begins)
                        corrects = put_set(
                            conn, gauge.town.municipality_id, gauge.station_id, new,
                            corrects=corrects, now=START, user_id=None,
                        )  # fmt: skip
                        expected[begins] = LevelRule(
                            f"threshold_set:{corrects}", begins, new.levels, new.clear_margin, new.hold
                        )
                river = [Observed(START + n * STEP / 2, random.randint(0, 500) / 100) for n in range(80)]
                plain = judge_level([expected[at] for at in sorted(expected)], river, [], None)
                stored = level_rules(conn, [gauge.station_id])[gauge.station_id]
                assert judge_level(stored, river, [], None) == plain


def test_a_rule_names_a_level_and_follows_it_to_its_next_set(gauge: Gauge) -> None:
    level = Reading(Series("water_level"))
    write_rule(gauge, Body(Compare(Minus(Named("橋げた下端"), level), "below", Number(0.5))), name="橋げたまで")
    write_rule(gauge, Body(Compare(Minus(Named("計画高水位（H.W.L.）"), level), "below", Number(9))), name="設計")
    write_rule(gauge, Body(Compare(Minus(Reference(5), level), "below", Number(0.2))), name="越水まで")
    # The soffit comes down from 4.15 to 3.00 m; and there is no level 5 any more, but an overflow level.
    with connect(gauge.town.owner, name="test") as conn:
        marks = (
            ThresholdMark(LevelKind.LOCAL, "橋げた下端", "Bridge soffit", 3.0),
            ThresholdMark(LevelKind.OVERFLOW, "氾濫開始水位", "Overflow", 3.7),
            ThresholdMark(LevelKind.DESIGN, "計画高水位（H.W.L.）", "H.W.L.", 3.5),
        )
        put_set(
            conn, gauge.town.municipality_id, gauge.station_id,
            ThresholdSet(START + 3 * STEP, "測量", (), marks=marks), corrects=None, now=START, user_id=None,
        )  # fmt: skip
        conn.commit()
    for n, value in enumerate([2.6, 2.6, 2.6, 2.6, 3.6]):
        gauge.send([(START + n * STEP, value)])
        gauge.evaluate()
    names = gauge.rows(
        "select v.name, h.phenomenon_time from alert_history h join alert a using (alert_id) "
        "join alert_rule_version v using (alert_rule_id) where a.rule = 'written' and h.event = 'raised' order by 2, 1"
    )
    assert names == [("橋げたまで", START + 3 * STEP), ("越水まで", START + 4 * STEP)]
    assert written(gauge) == [("raised", 0.4), ("raised", 0.1)]

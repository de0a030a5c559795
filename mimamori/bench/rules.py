"""How fast rules that staff write are judged: ten thousand of them on one batch, and a year rehearsed.

    judging()      10,000 rules of one station each, on one batch with one observation a station
    rehearsing()   one rule over a year of ten minutes at one station

Made-up levels and rules; what they are makes no difference to the time. Both measure what the engine does (columns,
judging, how each rule stands), in one process; with the database: `mimamori.bench.rules_stored`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from alerts.rules.columns import SECOND, Columns
from alerts.rules.condition import Body, Change, Compare, Every, Number, Reading, Span, lookback
from alerts.rules.engine import Asked, excursions, judge, standings
from mimamori.bench.many import LEVEL, rule

STEP = 600 * SECOND
LIMITS = {"judging_s": 1.0, "rehearsing_s": 1.0}
_BEGIN = 1_780_000_000 * SECOND


def judging(rules: int = 10_000) -> dict[str, Any]:
    """Rules of three shapes, each on the level of a station of its own, when one observation of each station comes."""
    bodies = [rule(n, rules) for n in range(rules)]
    rows = 4 + max(lookback(body) for body in bodies) // 600
    rng = np.random.default_rng(1)
    stream = np.repeat(np.arange(rules), rows)
    times = np.tile(_BEGIN + np.arange(rows) * STEP, rules)
    values = 1.0 + rng.random(rules * rows)
    newest = _BEGIN + (rows - 1) * STEP
    began, used = time.perf_counter(), time.process_time()
    columns = Columns.of(stream, times, values, np.zeros(stream.size, bool), np.full(rules, STEP))
    asked = [
        # As the evaluator asks when what came is the newest: what has to last and to be over, and no more.
        Asked(n, body, {LEVEL: n}, newest - (body.lasting + body.hold) * SECOND)
        for n, body in enumerate(bodies)
    ]
    judged = judge(columns, asked)
    stand = standings(judged)
    seconds = time.perf_counter() - began
    return {
        "rules": rules,
        "observations": rules,
        "moments": int(judged.time.size),
        "so": sum(each.so_now for each in stand.values()),
        "seconds": round(seconds, 3),
        "processor_seconds": round(time.process_time() - used, 3),
        "limit_s": LIMITS["judging_s"],
        "kept": seconds <= LIMITS["judging_s"],
    }


def rehearsing(days: int = 365) -> dict[str, Any]:
    """Level and rise together, within a season and at night, with hold, over so many days."""
    rows = days * 144
    rng = np.random.default_rng(2)
    values = np.abs(np.cumsum(rng.normal(0.0, 0.05, rows))) % 3.0
    doubtful = rng.random(rows) < 0.01
    body = rehearsed_body()
    began, used = time.perf_counter(), time.process_time()
    columns = Columns.of(np.zeros(rows), _BEGIN + np.arange(rows) * STEP, values, doubtful, [STEP])
    found = excursions(judge(columns, [Asked(0, body, {LEVEL: 0}, _BEGIN, zone="Asia/Tokyo")]))
    seconds = time.perf_counter() - began
    return {
        "observations": rows,
        "times": len(found.get(0, ())),
        "seconds": round(seconds, 3),
        "processor_seconds": round(time.process_time() - used, 3),
        "limit_s": LIMITS["rehearsing_s"],
        "kept": seconds <= LIMITS["rehearsing_s"],
    }


def rehearsed_body() -> Body:
    """Level and rise together, at night, from April to November."""
    when = Every((_compare(1.5), Compare(Change(LEVEL, 1800), "above", Number(0.1))))
    return Body(when, lasting=600, hold=1800, season=Span("04-01", "11-30"), hours=Span("18:00", "06:00"))


def _compare(value: float) -> Compare:
    return Compare(Reading(LEVEL), "above", Number(value), margin=0.1)

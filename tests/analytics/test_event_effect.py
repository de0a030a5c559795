"""What an event changed: found where there is something, with an honest interval, hardly ever where there is not."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from analytics.visitors.events.effect import LEVEL, Effect, Floats, Table, Verdict, WhyNot, effect

FIRST = date(2025, 1, 6)  # a Monday
DAYS = 400


def town(seed: int, *, raised: float = 1.0, days: int = DAYS, last: int = 3) -> Table:
    """A spot and two controls with weeks, weather in common and days of their own; the last days are the event's."""
    rng = np.random.default_rng(seed)
    weekday = np.where(np.arange(days) % 7 >= 5, 0.7, 0.0)
    weather = rng.normal(0, 0.3, days)
    spots = np.exp(5.5 + (weekday + weather)[:, None] + rng.normal(0, 0.12, (days, 3)))
    spots[days - last :, 0] *= raised
    counts = rng.poisson(spots).astype(float)
    return Table(FIRST, counts[:, 0], counts[:, 1:])


def found(table: Table, last: int = 3) -> Effect:
    end = FIRST + timedelta(days=len(table.treated) - 1)
    return effect(table, end - timedelta(days=last - 1), end, date.weekday)


def test_the_interval_holds_what_was_put_in_as_often_as_it_says() -> None:
    """Forty towns: of 90 % intervals not fewer than one town in a thousand such forties would have."""
    effects = [found(town(seed, raised=1.3)) for seed in range(40)]
    held = sum(each.share is not None and each.share[1] <= 0.3 <= each.share[2] for each in effects)
    assert held >= binom.ppf(0.001, 40, LEVEL)
    assert sum(each.verdict is Verdict.MORE for each in effects) >= 30, "30 % more in three days is seen"
    assert all(each.verdict is not Verdict.FEWER for each in effects)


def test_its_parts_say_the_same() -> None:
    closed = found(town(1, raised=0.5))
    assert closed.verdict is Verdict.FEWER and closed.why_not is None
    assert closed.observed is not None and closed.expected is not None
    assert closed.difference is not None and closed.share is not None
    assert closed.difference[0] == pytest.approx(closed.observed - closed.expected)
    assert closed.share[0] == pytest.approx(closed.difference[0] / closed.expected)
    assert closed.difference[1] < closed.difference[0] < closed.difference[2] < 0
    assert sum(each.expected or 0 for each in closed.days) == pytest.approx(closed.expected, rel=1e-6)
    assert closed.placebo.n >= 12


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("event", WhyNot.NO_DAYS),
        ("controls", WhyNot.NO_DAYS),
        ("past", WhyNot.FEW_DAYS),
        ("weeks", WhyNot.FEW_PLACEBO),
        ("nothing", WhyNot.HOLDS_ZERO),
    ],
)
def test_where_it_is_not_known_it_says_why(spoil: str, why: WhyNot) -> None:
    table = town(7)
    if spoil == "event":
        table.treated[-3:] = np.nan
    elif spoil == "controls":
        table.controls[-3:, 1] = np.nan
    elif spoil == "past":
        table.treated[:-30] = np.nan
    elif spoil == "weeks":
        table.treated[:-100] = np.nan
    got = found(table)
    assert (got.verdict, got.why_not) == (Verdict.UNKNOWN, why)
    assert (got.share is None) == (why in (WhyNot.NO_DAYS, WhyNot.FEW_DAYS))


def test_days_that_are_not_known_are_not_zero() -> None:
    """A day of the event without a count is in no sum, and holes in the past move nothing."""
    table, holes = town(3, raised=1.5), town(3, raised=1.5)
    holes.treated[-2] = np.nan
    holes.treated[100:120] = np.nan
    whole, part = found(table), found(holes)
    assert part.days[1].observed is None and part.days[1].expected is None
    assert part.observed == pytest.approx((whole.observed or 0) - table.treated[-2])
    assert part.verdict is Verdict.MORE


def recorded(folder: Path) -> Floats:
    """(days, sensors): whole days of a recorded city; nan where hours are missing or hardly anybody is counted."""
    with (folder / "series.csv").open(encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    wanted = [n for n, name in enumerate(head) if name not in ("time", "temp_c")]
    first = datetime.fromisoformat(rows[0][0]).date()
    n = (datetime.fromisoformat(rows[-1][0]).date() - first).days + 1
    total, hours = np.zeros((n, len(wanted))), np.zeros((n, len(wanted)))
    for row in rows:
        day = (date.fromisoformat(row[0][:10]) - first).days
        values = np.array([float(row[each]) if row[each] else np.nan for each in wanted])
        total[day] += np.nan_to_num(values)
        hours[day] += np.isfinite(values)
    return np.where((hours >= 22) & (total >= 20), total, np.nan)


def test_on_recorded_days_without_an_event_chance_is_found_no_more_often_than_the_level_says(shared_data: Path) -> None:
    """Dates at random at sensors of two cities, each with two others as controls."""
    tried = seen = 0
    for city in ("melbourne", "auckland"):
        counts = recorded(shared_data / "visitors" / city)
        known = np.isfinite(counts).mean(axis=0) > 0.8
        sensors = np.flatnonzero(known)
        rng = np.random.default_rng(len(sensors))
        for place in range(0, len(sensors), 2):
            spot, *controls = (int(sensors[(place + n) % len(sensors)]) for n in range(3))
            table = Table(FIRST, counts[:, spot], counts[:, controls])
            for start in rng.integers(350, len(counts) - 3, 4):
                begin = FIRST + timedelta(days=int(start))
                got = effect(table, begin, begin + timedelta(days=2), date.weekday)
                if got.share is not None and got.why_not is not WhyNot.FEW_PLACEBO:
                    tried += 1
                    seen += got.verdict is not Verdict.UNKNOWN
    assert tried >= 40
    assert seen <= binom.ppf(0.99, tried, 1 - LEVEL), f"{seen} of {tried}"

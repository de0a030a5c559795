"""The block breathes with the day and shows its burst at night; visitors keep the hours of their spots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.model import ServiceTank
from simulators.config import Scenario
from simulators.network import Site
from simulators.pipes import BACKGROUND_LEAKAGE, BURST_EVERY, Block
from simulators.rivers import River
from simulators.tanks import STEP, USUAL_TANK, Ledger, Tank
from simulators.visits import FESTIVAL_EVERY, FESTIVAL_LASTS, PROFILES, Profile, Spot

TOKYO = ZoneInfo("Asia/Tokyo")
ORIGIN = datetime(2026, 6, 20, 8, tzinfo=UTC)
TEN = timedelta(minutes=10)
SEEDS = range(1, 9)


def night_minimum(block: Block, day: datetime) -> float:
    """The lowest flow between 01:00 and 05:00 local time, m3/h, as a mean over an hour."""
    start = day.astimezone(TOKYO).replace(hour=1, minute=0)
    flows = [block.flow(start + n * timedelta(minutes=5)) for n in range(48)]
    return min(sum(flows[n : n + 12]) / 12 for n in range(37))


@pytest.mark.parametrize("seed", SEEDS)
def test_flow_is_lowest_at_night_and_pressure_highest(seed: int) -> None:
    block = Block(seed, ORIGIN, TOKYO, "block")
    day = [datetime(2026, 6, 10, tzinfo=TOKYO) + n * timedelta(minutes=5) for n in range(288)]
    lowest, highest = min(day, key=block.flow), max(day, key=block.flow)
    assert 1 <= lowest.hour < 4 and (6 <= highest.hour < 9 or 18 <= highest.hour < 21)
    assert BACKGROUND_LEAKAGE < block.flow(lowest) < 10 < 40 < block.flow(highest) < 80
    assert block.pressure(lowest) > block.pressure(highest) + 20
    assert all(350 < block.pressure(at) < 470 for at in day)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_burst_raises_a_night_lowers_pressure_and_is_repaired(seed: int) -> None:
    block = Block(seed, ORIGIN, TOKYO, "block")
    quiet = [night_minimum(block, ORIGIN - timedelta(days=n)) for n in range(1, 8)]
    for n in range(3):
        start = ORIGIN + n * BURST_EVERY
        nights = [night_minimum(block, start + timedelta(days=day)) for day in range(1, 5)]
        assert max(nights) > max(quiet) + 5
        bursts = [
            start + k * timedelta(minutes=15) for k in range(4 * 96) if block.burst(start + k * timedelta(minutes=15))
        ]
        assert timedelta(hours=24) < bursts[-1] - bursts[0] < timedelta(hours=36)
        during = next(at for at in bursts[4:] if at.astimezone(TOKYO).hour == 3)
        before = [block.pressure(during - timedelta(days=day)) for day in (1, 2)]
        assert block.pressure(during) < min(before) - 10


@pytest.mark.parametrize("seed", SEEDS)
def test_the_leak_scenario_raises_every_night_from_the_first_on(seed: int) -> None:
    block = Block(seed, ORIGIN, TOKYO, "block", scenario=Scenario.LEAK)
    before = [night_minimum(block, ORIGIN - timedelta(days=n)) for n in range(1, 8)]
    after = [night_minimum(block, ORIGIN + timedelta(days=n)) for n in range(1, 8)]
    assert min(after) > max(before) + 2
    assert 3 <= block.leak(ORIGIN + timedelta(days=30)) <= 5
    assert {block.burst(ORIGIN + n * timedelta(hours=1)) for n in range(24 * 10)} == {0.0}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_burst_scenario_bursts_half_an_hour_after_the_origin_and_is_repaired(seed: int) -> None:
    block = Block(seed, ORIGIN, TOKYO, "block", scenario=Scenario.BURST)
    assert block.burst(ORIGIN + timedelta(minutes=29)) == 0.0
    for n in range(3):
        start = ORIGIN + n * timedelta(hours=72)
        assert 18 <= block.burst(start + timedelta(minutes=40)) <= 24
        assert block.burst(start + timedelta(hours=7)) == 0.0
    assert block.burst(ORIGIN - timedelta(hours=1)) == 0.0


@pytest.mark.parametrize("scenario", [Scenario.NORMAL, Scenario.LEAK, Scenario.BURST])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_tank_keeps_between_its_levels_without_jumps_and_a_burst_empties_it(seed: int, scenario: Scenario) -> None:
    block = Block(seed, ORIGIN, TOKYO, "block", scenario=scenario)
    tank = Tank(seed, TOKYO, "tank", USUAL_TANK, (block,))
    times = [ORIGIN + n * timedelta(minutes=5) for n in range(-24 * 12, 4 * 24 * 12)]
    levels = [tank.level(at) for at in times]
    assert all(0.3 < level < USUAL_TANK.full_m + 0.1 for level in levels)
    assert max(abs(b - a) for a, b in pairwise(levels)) < 0.1, "nor at midnight"
    assert max(levels) > USUAL_TANK.full_m - 0.1, "every night it fills"
    if scenario is Scenario.BURST:
        after = tank.level(ORIGIN + timedelta(hours=6))
        quiet = Tank(seed, TOKYO, "tank", USUAL_TANK, (Block(seed, ORIGIN, TOKYO, "block"),))
        assert after < quiet.level(ORIGIN + timedelta(hours=6)) - 0.5


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(1, 50),
    day=st.integers(-3, 12),
    area=st.floats(30, 400),
    scenario=st.sampled_from([Scenario.NORMAL, Scenario.LEAK, Scenario.BURST]),
)
def test_what_comes_in_less_what_goes_out_is_what_the_tank_gains(
    seed: int, day: int, area: float, scenario: Scenario
) -> None:
    block = Block(seed, ORIGIN, TOKYO, "block", scenario=scenario)
    tank = Tank(seed, TOKYO, "tank", ServiceTank(area, 4.0, 1.0), (block,))
    ledger = tank.ledger(ORIGIN.date() + timedelta(days=day))
    hours = STEP / timedelta(hours=1)
    assert len(ledger.levels) == len(ledger.inflow) + 1 == len(ledger.outflow) + 1 == 289
    for before, after, inflow, outflow in zip(*windows(ledger), strict=True):
        assert inflow >= 0 <= outflow and -1e-9 <= after <= 4.0 + 1e-9
        assert (inflow - outflow) * hours == pytest.approx(area * (after - before), abs=1e-6)


def windows(ledger: Ledger) -> tuple[tuple[float, ...], ...]:
    return ledger.levels[:-1], ledger.levels[1:], ledger.inflow, ledger.outflow


def test_leaks_answer_the_pressure_and_a_lower_node_leaks_more() -> None:
    def block(site: Site | None) -> Block:
        return Block(1, ORIGIN, TOKYO, "block", scenario=Scenario.LEAK, site=site)

    day = [ORIGIN + timedelta(days=2) + n * timedelta(minutes=30) for n in range(48)]
    states = [block(None).state(at) for at in day]
    high, low = max(states, key=lambda s: s.pressure), min(states, key=lambda s: s.pressure)
    assert high.leakage / low.leakage == pytest.approx(high.pressure / low.pressure, rel=0.01)  # FAVAD, N1 = 1
    below, far = block(Site("n1", 20.0, 0.0)), block(Site("n2", 0.0, 3000.0))
    for at, state in zip(day, states, strict=True):
        assert below.state(at).leakage > state.leakage > far.state(at).leakage
        assert state.inflow == pytest.approx(state.demand + state.leakage)


def test_more_is_drawn_in_summer_at_weekends_and_while_there_is_a_festival() -> None:
    def mean_demand(block: Block, first: datetime, days: int) -> float:
        times = [first + n * timedelta(minutes=30) for n in range(48 * days)]
        return sum(block.state(at).demand for at in times) / len(times)

    block = Block(1, datetime(2030, 1, 1, tzinfo=UTC), TOKYO, "block")
    august, february = datetime(2026, 8, 3, tzinfo=TOKYO), datetime(2026, 2, 2, tzinfo=TOKYO)
    assert mean_demand(block, august, 5) > 1.05 * mean_demand(block, february, 5)
    start = datetime(2026, 6, 10, 10, tzinfo=TOKYO)
    busy = Block(1, block.origin, TOKYO, "block", festivals=((start, start + timedelta(hours=8)),))
    at = start + timedelta(hours=2)
    assert busy.state(at).demand == pytest.approx(1.1 * block.state(at).demand)
    assert busy.state(start - timedelta(minutes=5)) == block.state(start - timedelta(minutes=5))


def test_the_same_tank_is_the_same_whoever_asks_first() -> None:
    def tank() -> Tank:
        return Tank(4, TOKYO, "tank", USUAL_TANK, (Block(4, ORIGIN, TOKYO, "block"),))

    late = tank().level(ORIGIN + timedelta(days=9))
    asked = tank()
    for n in range(9):
        asked.level(ORIGIN + timedelta(days=n))
    assert asked.level(ORIGIN + timedelta(days=9)) == late


def test_before_the_origin_nothing_bursts() -> None:
    block = Block(1, ORIGIN, TOKYO, "block")
    assert {block.burst(ORIGIN - n * timedelta(hours=1)) for n in range(24 * 30)} == {0.0}


def test_the_same_seed_gives_the_same_block_and_another_seed_another() -> None:
    first, again, other = (Block(seed, ORIGIN, TOKYO, "block").flow(ORIGIN) for seed in (1, 1, 2))
    assert first == again != other


def totals(spot: Spot, day: datetime) -> tuple[int, int]:
    """Passages of a local day, in and out."""
    start = day.astimezone(TOKYO).replace(hour=0, minute=0)
    counts = [spot.passages(start + n * TEN, TEN) for n in range(1, 145)]
    return sum(count[0] for count in counts), sum(count[1] for count in counts)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", SEEDS)
def test_weekends_are_busier_and_nearly_everybody_leaves_again(seed: int, profile: Profile) -> None:
    spot = Spot(seed, TOKYO, "spot", profile)
    monday = datetime(2026, 6, 1, tzinfo=TOKYO)
    days = [totals(spot, monday + timedelta(days=n)) for n in range(28)]
    weekend = [day for n, day in enumerate(days) if n % 7 >= 5]
    weekdays = [day for n, day in enumerate(days) if n % 7 < 5]
    assert sum(d[0] for d in weekend) / 8 > 1.3 * sum(d[0] for d in weekdays) / 20
    inwards, outwards = sum(d[0] for d in days), sum(d[1] for d in days)
    assert outwards == pytest.approx(inwards, rel=0.06)
    middles = [monday + timedelta(days=n, hours=h) for n in range(28) if n % 7 < 5 for h in range(1, 25)]
    expected = sum(spot.expected(at, timedelta(hours=1)) for at in middles if not spot.blocked(at))
    assert sum(d[0] for d in weekdays) == pytest.approx(expected, rel=0.12)
    assert expected / 20 == pytest.approx(0.9 * profile.weekday, rel=0.2), "in June, when it rains"


@pytest.mark.parametrize("profile", PROFILES)
def test_nobody_comes_while_it_is_closed(profile: Profile) -> None:
    spot = Spot(1, TOKYO, "spot", profile)
    for day in range(1, 29):
        for hour in range(24):
            end = datetime(2026, 6, day, hour, 30, tzinfo=TOKYO)
            if not profile.opens <= hour < profile.opens + len(profile.by_hour):
                assert spot.passages(end, TEN)[0] == 0


def test_counts_of_neighbouring_periods_add_up_and_whoever_came_leaves_again() -> None:
    spot = Spot(3, TOKYO, "spot", PROFILES[0])
    hour = timedelta(hours=1)
    for day in range(1, 29):
        ends = [datetime(2026, 6, day, tzinfo=TOKYO) + n * hour for n in range(1, 25)]
        for end in ends:
            parts = [spot.passages(end - n * TEN, TEN) for n in range(6)]
            assert spot.passages(end, hour) == (sum(p[0] for p in parts), sum(p[1] for p in parts))
        came = sum(spot.truly(end, hour)[0] for end in ends)
        left = sum(spot.truly(end + 6 * hour, hour)[1] for end in ends)
        assert came == left > 0


def test_a_counter_misses_some_people_and_counts_others_twice_and_people_come_in_groups() -> None:
    shares = []
    for seed in SEEDS:
        spot = Spot(seed, TOKYO, "spot", PROFILES[0])
        ends = [datetime(2026, 5, 1, tzinfo=TOKYO) + n * TEN for n in range(1, 1 + 31 * 144)]
        open_ = [end for end in ends if not (spot.blocked(end) or spot.blocked(end - TEN))]
        counted = sum(spot.inwards(end, TEN) for end in open_)
        there = [spot.truly(end, TEN)[0] for end in open_]
        assert counted / sum(there) == pytest.approx(spot.accuracy, abs=0.01)
        shares.append(spot.accuracy)
        # more spread out than single people would be: the variance of a count is E[size^2] / E[size] times its mean
        rates = [spot.expected(end, TEN) / spot.accuracy for end in open_]
        spread = sum((n - rate) ** 2 for n, rate in zip(there, rates, strict=True)) / sum(rates)
        assert 2.0 < spread < 2.7
    assert max(shares) - min(shares) > 0.01, "each counter has its own mistakes"


def test_a_festival_that_somebody_sets_off_changes_nothing_of_what_was_counted_before() -> None:
    start = datetime(2026, 6, 3, 13, 20, tzinfo=TOKYO)
    quiet, busy = Spot(1, TOKYO, "s", PROFILES[2]), Spot(1, TOKYO, "s", PROFILES[2], ((start, start + 24 * TEN),))
    for n in range(1, 80):
        assert busy.passages(start - n * TEN, TEN) == quiet.passages(start - n * TEN, TEN)
    more = busy.inwards(start + 24 * TEN, 24 * TEN) - quiet.inwards(start + 24 * TEN, 24 * TEN)
    assert 100 < more < 220, "half a usual day's visitors an hour"


def day_total(spot: Spot, year: int, month: int, day: int) -> int:
    return totals(spot, datetime(year, month, day, tzinfo=TOKYO))[0]


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


def test_holidays_are_like_weekends_and_the_long_ones_busier_still() -> None:
    spots = [Spot(seed, TOKYO, "spot", PROFILES[0]) for seed in range(1, 13)]
    plain = mean([day_total(spot, 2026, 7, day) for spot in spots for day in (13, 14, 15)])
    marine_day = mean([day_total(spot, 2026, 7, 20) for spot in spots])  # a Monday
    bon = mean([day_total(spot, 2026, 8, day) for spot in spots for day in (13, 14)])  # Thursday and Friday
    winter = mean([day_total(spot, 2026, 2, day) for spot in spots for day in (3, 4, 5)])
    assert 1.6 * plain < marine_day < 3 * plain and 1.2 * marine_day < bon and winter < 0.95 * plain


def test_wet_days_are_the_rivers_wet_days_and_keep_people_at_home() -> None:
    spots = [Spot(3, TOKYO, f"spot-{n}", PROFILES[0]) for n in range(6)]
    river = River(3, Scenario.NORMAL, ORIGIN, ())
    days = [
        datetime(2026, 6, day, tzinfo=UTC) for day in range(1, 29) if day % 7 not in (6, 0)
    ]  # June began on a Monday
    wet = [any(rain.start.date() == day.date() for rain in river.rain(day + timedelta(hours=24))) for day in days]
    counts = [mean([day_total(spot, day.year, day.month, day.day) for spot in spots]) for day in days]
    assert 3 < sum(wet) < len(days) - 3
    rainy = [count for count, is_wet in zip(counts, wet, strict=True) if is_wet]
    fine = [count for count, is_wet in zip(counts, wet, strict=True) if not is_wet]
    assert sum(rainy) / len(rainy) < 0.8 * sum(fine) / len(fine)


def test_a_festival_brings_crowds_for_its_hours_every_week() -> None:
    start = datetime(2026, 6, 1, 10, tzinfo=TOKYO)
    spot, quiet = Spot(1, TOKYO, "spot", PROFILES[2], (), start), Spot(1, TOKYO, "spot", PROFILES[2])
    for week in (0, 1):
        noon = start + week * FESTIVAL_EVERY + timedelta(hours=2)
        crowd = sum(spot.passages(noon + n * TEN, TEN)[0] for n in range(12))
        assert crowd > 3 * max(5, sum(quiet.passages(noon + n * TEN, TEN)[0] for n in range(12)))
    after = start + FESTIVAL_LASTS + timedelta(hours=1)
    assert spot.passages(after, TEN)[0] == quiet.passages(after, TEN)[0]
    assert spot.passages(start - TEN, TEN) == quiet.passages(start - TEN, TEN)


def test_now_and_then_a_counter_is_blocked_for_some_hours_and_counts_nobody() -> None:
    spot = Spot(1, TOKYO, "spot", PROFILES[0])
    first = datetime(2026, 1, 1, tzinfo=TOKYO)
    slots = [first + n * timedelta(minutes=30) for n in range(48 * 365)]
    blocked = [at for at in slots if spot.blocked(at)]
    days = {at.date() for at in blocked}
    assert 2 <= len(days) <= 15
    assert all(3 <= sum(at.date() == day for at in blocked) / 2 <= 7.5 for day in days)
    assert {spot.passages(at + TEN, TEN) for at in blocked if spot.blocked(at + TEN)} == {(0, 0)}


def test_the_same_seed_gives_the_same_visits_and_another_seed_others() -> None:
    noon = datetime(2026, 6, 7, 12, tzinfo=TOKYO)
    spots = [Spot(seed, TOKYO, "spot", PROFILES[0]) for seed in (1, 1, 2)]
    first, again, other = ([spot.passages(noon + n * TEN, TEN) for n in range(12)] for spot in spots)
    assert first == again != other

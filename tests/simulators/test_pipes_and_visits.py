"""The block breathes with the day and shows its burst at night; visitors keep the hours of their spots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from simulators.pipes import BACKGROUND_LEAKAGE, BURST_EVERY, Block
from simulators.visits import PROFILES, Profile, Spot

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
    assert sum(d[0] for d in weekdays) / 20 == pytest.approx(profile.weekday, rel=0.25)


@pytest.mark.parametrize("profile", PROFILES)
def test_nobody_comes_while_it_is_closed(profile: Profile) -> None:
    spot = Spot(1, TOKYO, "spot", profile)
    for day in range(1, 29):
        for hour in range(24):
            end = datetime(2026, 6, day, hour, 30, tzinfo=TOKYO)
            if not profile.opens <= hour < profile.opens + len(profile.by_hour):
                assert spot.passages(end, TEN)[0] == 0


def test_the_same_seed_gives_the_same_visits_and_another_seed_others() -> None:
    noon = datetime(2026, 6, 7, 12, tzinfo=TOKYO)
    spots = [Spot(seed, TOKYO, "spot", PROFILES[0]) for seed in (1, 1, 2)]
    first, again, other = ([spot.passages(noon + n * TEN, TEN) for n in range(12)] for spot in spots)
    assert first == again != other

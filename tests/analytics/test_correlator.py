"""The correlator: noises whose place is known are found where they are, and what is no noise in common has none."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.leaks.sound.correlator import correlate
from analytics.leaks.sound.delay import delay, needed
from analytics.leaks.sound.recordings import Pair, RecordingError, read_pair
from analytics.leaks.sound.speed import MATERIALS, Speed, measured, speed
from analytics.leaks.sound.way import Stretch, longest, place
from tests.analytics.sounding import RATE, heard, wav


@pytest.mark.parametrize("late", [0.0, 0.02, -0.0123456, 0.0301])
def test_a_delay_is_found_between_two_samples(late: float) -> None:
    found = delay(*heard(late, hum=3.0), RATE, 0.05)
    assert found.clear and abs(found.seconds - late) < 0.2 / RATE
    low, high = np.quantile(found.draws, [0.01, 0.99])
    assert low - 0.1 / RATE < late < high + 0.1 / RATE and high - low < 2 / RATE
    assert 80 < found.band[0] < found.band[1] < 1000, "what was heard in common lies where it was made"
    assert found.curve.max() == pytest.approx(1.0) and abs(found.lags[np.argmax(found.curve)] - late) < 3 / RATE


def test_what_two_places_do_not_hear_in_common_has_no_place() -> None:
    """Neither noises of their own nor the same hum of the mains; a leak ten times quieter than them is still heard."""
    for seed in range(8):
        a, b = heard(0.01, noise=1e9, seed=seed)
        assert not delay(a, b, RATE, 0.05).clear
    a, b = heard(0.01, noise=1.0, seed=1)
    _, other = heard(0.01, noise=1.0, seed=2)
    tone = 5 * a.std() * np.sin(2 * np.pi * 60 * np.arange(len(a)) / RATE)
    hummed = correlate(Pair(a + tone, other + tone, RATE, ("a", "b")), [Stretch(50.0, speed("DIP", 100))])
    assert not hummed.delay.clear and hummed.place is None
    quiet = delay(*heard(0.01, noise=2.0, seconds=20), RATE, 0.05)
    assert quiet.clear and abs(quiet.seconds - 0.01) < 1 / RATE


def test_the_interval_holds_the_place_as_often_as_it_says() -> None:
    """Speeds anywhere in what the material may have, clocks anywhere in what they keep; 80 % is what is promised, and
    more, since the range of speeds is taken as even.
    """
    rng = np.random.default_rng(7)
    held, wide = 0, []
    for _ in range(40):
        kind = speed(("DIP", "VP", "HPPE")[rng.integers(3)], 100)
        true, length = rng.uniform(kind.low, kind.high), rng.uniform(30, 150)
        x, off = rng.uniform(0.05, 0.95) * length, rng.uniform(-0.001, 0.001)
        draws = (length - 2 * x) / true + off + rng.normal(0, 2e-4, 50)
        found = place(draws, [Stretch(length, kind)], asynchrony=0.001)
        assert found.low <= found.metres <= found.high and found.beyond is None
        held += found.low <= x <= found.high
        wide.append((found.high - found.low) / length)
    assert held >= 28 and np.median(wide) < 0.2


def test_a_way_of_two_materials_is_as_exact_as_one_of_one() -> None:
    way = [Stretch(60.0, measured(450.0)), Stretch(80.0, measured(1250.0))]
    x = 90.0  # 30 m into the second
    late = (80 - 30) / 1250 - (60 / 450 + 30 / 1250)
    a, b = heard(late, seconds=needed(longest(way) + 0.001) + 1)
    found = correlate(Pair(a, b, RATE, ("a", "b")), way).place
    assert found is not None and abs(found.metres - x) < 2.5 and found.low < x < found.high
    assert found.shares[1] > 0.99 and sum(found.shares) == pytest.approx(1.0)
    assert abs((140 - late * 850) / 2 - x) > 20, "with one mean speed it would be somewhere else"
    back = place(np.array([-late]), way[::-1])
    assert back.metres == pytest.approx(140 - place(np.array([late]), way).metres, abs=0.5)


@pytest.mark.parametrize(("late", "beyond"), [(0.08, "a"), (-0.08, "b"), (0.06, None)])
def test_a_noise_from_behind_an_end_is_told_as_such(late: float, beyond: str | None) -> None:
    found = place(np.full(20, late), [Stretch(100.0, Speed(1250.0, 1250.0))])
    assert found.beyond == beyond
    assert 0 <= found.low <= found.metres <= found.high <= 100


def test_speeds_are_those_of_the_sources() -> None:
    """Iron about 1,200 to 1,300 m/s, plastic 300 to 550; softer, wider and thinner is slower; not known is wider."""
    iron, vinyl, poly = speed("DIP", 100), speed("VP", 100), speed("HPPE", 100)
    assert iron.low < 1200 < 1300 < iron.high < 1500
    assert vinyl.low < 420 and 480 < vinyl.high < 600
    graf = 1000 * np.sqrt(2.15 / (1 + 2.15 / 2.2 * 9))  # SDR 11 of 2.2 GPa, as measured
    assert poly.low < graf < poly.high
    assert speed("DIP", 300).high < iron.high
    for each in MATERIALS:
        known, unknown = speed(each, 100), speed(each)
        assert 200 < unknown.low <= known.low < known.middle < known.high <= unknown.high < 1500, each


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_recordings_of_every_kind_are_the_same_sound(kind: type[np.generic]) -> None:
    a, b = heard(0.01, seconds=1)
    both = read_pair([("ab.wav", wav([a, b], kind=kind))])
    two = read_pair([("a.wav", wav([a], kind=kind)), ("b.wav", wav([b[:2000]], kind=kind))])
    assert np.corrcoef(both.a, a)[0, 1] > 0.999 and np.corrcoef(two.b, b[:2000])[0, 1] > 0.999
    assert both.seconds == 1 and len(two.a) == len(two.b) == 2000 and np.abs(both.a).max() <= 1


def test_what_cannot_be_compared_is_refused_with_the_file_and_the_reason() -> None:
    a, b = heard(0.01, seconds=1)
    good, bare = wav([a]), np.zeros(4000)
    for files, code, file in (
        ([("a.wav", good)], "mono", "a.wav"),
        ([], "number", ""),
        ([("a.wav", good), ("b.mp3", b"ID3 no")], "form", "b.mp3"),
        ([("a.wav", good), ("b.wav", good[:30])], "form", "b.wav"),
        ([("a.wav", good), ("b.wav", wav([b], rate=8000))], "rates", "b.wav"),
        ([("a.wav", good), ("b.wav", wav([bare + 1]))], "silent", "b.wav"),
    ):
        with pytest.raises(RecordingError) as refused:
            read_pair(files)
        assert (refused.value.code, refused.value.file) == (code, file)
    with pytest.raises(RecordingError) as short:
        correlate(Pair(a, b, RATE, ("a", "b")), [Stretch(100.0, speed("VP", 100))])
    assert (short.value.code, short.value.about) == ("short", "1.0") and float(short.value.needed) > 5

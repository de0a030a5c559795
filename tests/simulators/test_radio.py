"""Who is heard by whom: what the envelope says agrees with what was lost, one device at a time as thousands at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import log10

import numpy as np
import pytest

from simulators import radio
from simulators.chance import normal, normals, poisson, poissons, uniforms
from simulators.gateways import gateways
from simulators.radio import LEAST_MARGIN, NOISE, SPARE, Link, needed

START = datetime(2026, 6, 20, 8, tzinfo=UTC)
GATEWAY = "6d696d6100000000"
PLACES = [(135.0 + 0.01 * n, 32.41 + 0.005 * m) for n in range(13) for m in range(20)]


def nobody(_gateway: str) -> bool:
    return False


def test_loss_grows_with_distance_as_it_was_measured() -> None:
    losses = [radio.path_loss(km) for km in (0.01, 0.1, 0.5, 1, 2, 5, 10)]
    assert losses == sorted(losses) and losses[3] == pytest.approx(128.95)
    assert losses[6] - losses[3] == pytest.approx(23.2)


def test_everybody_has_the_least_margin_and_the_fastest_rate_that_leaves_ten_decibels() -> None:
    links = [radio.link(1, f"d{n}", place, gateways(), 10) for n, place in enumerate(PLACES)]
    assert min(link.margin for link in links) >= LEAST_MARGIN - 1e-9
    for link in links:
        assert all(a[1] >= b[1] for a, b in pairwise(link.gateways))
        if link.spreading_factor < 10:
            assert link.margin >= SPARE
        if link.spreading_factor > 7:
            assert link.gateways[0][1] - NOISE - needed(link.spreading_factor - 1) < SPARE
        assert (link.transmissions == 1) == (link.margin >= SPARE)
    assert {link.spreading_factor for link in links} == {7, 8, 9, 10}
    assert {radio.link(1, f"d{n}", place, gateways(), 9).spreading_factor for n, place in enumerate(PLACES)} <= {
        7,
        8,
        9,
    }


@pytest.mark.parametrize("margin", [-2.0, 0.0, 3.0, 6.0])
def test_what_is_lost_is_what_fading_takes_below_the_limit_and_repetitions_help(margin: float) -> None:
    from statistics import NormalDist

    median = NOISE + needed(10) + margin
    expected = NormalDist(0, 3.0).cdf(-margin)
    for transmissions in (1, 3):
        link = Link(((GATEWAY, median),), 10, transmissions)
        found = [radio.receptions(link, 3.0, 1, "d", START + n * timedelta(minutes=10), nobody) for n in range(3000)]
        lost = sum(not heard for heard, _ in found) / len(found)
        assert lost == pytest.approx(expected**transmissions, abs=0.025)
        for heard, _ in found:
            assert all(each.snr >= needed(10) - 0.125 for each in heard), "and the envelope says no less"
        if transmissions == 1:
            assert not any(further for _, further in found)


def test_rssi_is_signal_and_noise_together() -> None:
    for snr in (-15.0, -5.0, 0.0, 8.0):
        said = radio.reported(GATEWAY, snr)
        signal, noise = 10 ** ((NOISE + snr) / 10), 10 ** (NOISE / 10)
        assert said.rssi == round(10 * log10(signal + noise)) and said.snr == snr


def test_a_gateway_out_of_order_hears_nothing_and_without_fading_nothing_is_lost() -> None:
    link = radio.link(1, "d", PLACES[7], gateways(), 10)
    heard, further = radio.receptions(link, 0.0, 1, "d", START, nobody)
    assert heard and further == link.transmissions - 1
    best = link.gateways[0][0]
    less, _ = radio.receptions(link, 0.0, 1, "d", START, lambda key: key == best)
    assert best in {each.gateway for each in heard} and best not in {each.gateway for each in less}
    assert radio.receptions(link, 0.0, 1, "d", START, lambda _key: True) == ((), 0)


def test_many_at_once_are_heard_as_often_as_one_by_one() -> None:
    about = np.arange(4000, dtype=np.uint64)
    longitude, latitude = (np.array([PLACES[n % len(PLACES)][axis] for n in range(4000)]) for axis in (0, 1))
    many = radio.links(about, longitude, latitude, gateways(), np.full(4000, 10, dtype=np.int8))
    single = [radio.link(1, f"d{n}", PLACES[n % len(PLACES)], gateways(), 10) for n in range(4000)]
    for factor in (7, 8, 9, 10):
        share = sum(link.spreading_factor == factor for link in single) / 4000
        assert np.mean(many.spreading_factor == factor) == pytest.approx(share, abs=0.04)
    down = np.zeros((4000, 2), dtype=bool)
    which = np.arange(4000)
    snr, by, further = radio.heard(many, which, about, 3.0, down, "a time")
    alone = [radio.receptions(link, 3.0, 1, f"d{n}", START, nobody) for n, link in enumerate(single)]
    assert by.sum(axis=1).mean() == pytest.approx(np.mean([len(heard) for heard, _ in alone]), abs=0.06)
    assert further.mean() == pytest.approx(np.mean([more for _, more in alone]), abs=0.06)
    limit = np.array([needed(int(factor)) for factor in many.spreading_factor])
    assert (snr[by] >= np.broadcast_to(limit[:, None], by.shape)[by]).all()
    down[:, 0] = True
    _, by, _ = radio.heard(many, which, about, 3.0, down, "a time")
    assert not by[:, 0].any() and by[:, 1].any()
    _, by, _ = radio.heard(many, which, about, 0.0, np.zeros((4000, 2), dtype=bool), "a time")
    assert by.any(axis=1).all(), "nothing is lost without fading"


def test_chance_for_many_is_as_even_as_for_one() -> None:
    about = np.arange(20000, dtype=np.uint64)
    some = uniforms(about, 1, "x")
    assert (uniforms(about, 1, "x") == some).all() and (uniforms(about, 1, "y") != some).mean() > 0.99
    assert some.min() > 0 and some.max() < 1
    assert np.histogram(some, 10, (0, 1))[0] == pytest.approx(2000, abs=200)
    assert abs(np.corrcoef(some[:-1], some[1:])[0, 1]) < 0.03
    assert (normals(about, 1).mean(), normals(about, 1).std()) == pytest.approx((0, 1), abs=0.03)
    assert np.mean([normal(1, n) for n in range(2000)]) == pytest.approx(0, abs=0.1)
    for mean in (0.2, 3.0, 40.0, 200.0):
        counts = poissons(np.full(20000, mean), about, 1, mean)
        assert counts.mean() == pytest.approx(mean, rel=0.05) and counts.var() == pytest.approx(mean, rel=0.08)
        assert np.mean([poisson(mean, n) for n in range(2000)]) == pytest.approx(mean, rel=0.15)

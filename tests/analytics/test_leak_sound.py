"""Which noise stays, and where on the pipes it can come from."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from analytics.leaks.night_alarm import Night
from analytics.leaks.sound.nights import heard, night_level
from analytics.leaks.sound.spans import losses, reaches, spans
from tests.analytics.leaking import NETWORK, PIPES

FIRST = date(2026, 4, 1)
USUAL = 38.0


def nights(*levels: float | None) -> list[Night]:
    return [Night(FIRST + timedelta(days=n), level) for n, level in enumerate(levels)]


def test_a_noise_has_to_stay_and_what_is_missing_says_nothing() -> None:
    quiet = [38.0, 39.0, 38.0, 37.5, 38.0, 38.5, 38.0, 38.0]
    assert heard(nights(*quiet, 50, 50)).since is None, "a tap of two nights"
    assert heard(nights(*quiet, 50, 38, 50, 50)).since is None
    found = heard(nights(*quiet, 50, None, 48, None, 49))
    assert found.since == FIRST + timedelta(days=8) and (found.level, found.nights) == (48.0, 3)
    assert heard(nights(*quiet, 50, 48, 49, None, None)).since == found.since, "silence ends nothing"
    assert heard(nights(*quiet, 50, 48, 49, 38)).ended == FIRST + timedelta(days=11)
    assert heard(nights(*quiet[:6], 50, 50, 50)).since is None, "what is usual has to be known first"
    four, step = timedelta(hours=4), timedelta(minutes=10)
    readings = np.r_[np.full(12, 45.0), 20.0, np.full(11, 70.0)]
    assert night_level(readings, step, four) == (45.0, 1.0), "neither one bad reading nor half a night of taps"
    assert night_level(readings[:20], step, four)[0] is None
    assert night_level(np.array([41.0]), timedelta(days=1), four) == (41.0, 1.0), "a logger's own minimum"
    assert night_level(np.array([np.nan]), timedelta(days=1), four) == (None, 0.0)


def levels_of(pipe: str, nodes: tuple[str, ...], source: float) -> np.ndarray:
    """What loggers hear of a noise in the middle of a pipe."""
    at, half = PIPES.index(pipe), losses(NETWORK)[PIPES.index(pipe)] / 2
    reach = reaches(NETWORK, np.array([NETWORK.nodes.names.index(each) for each in nodes]))
    way = np.minimum(reach[:, NETWORK.pipes.start[at]], reach[:, NETWORK.pipes.end[at]]) + half
    return 10 * np.log10(10 ** (USUAL / 10) + 10 ** ((source - way) / 10))


EARS = ("n11", "n21", "n31", "n12", "n22")


@pytest.mark.parametrize("pipe", ["e11", "u21", "u11"])
def test_the_pipe_between_those_who_hear_it_is_the_likeliest_wherever_it_is(pipe: str) -> None:
    levels = levels_of(pipe, EARS, 75.0)
    reach = reaches(NETWORK, np.array([NETWORK.nodes.names.index(each) for each in EARS]))
    everywhere, usual = np.arange(len(PIPES)), np.full(len(EARS), USUAL)
    found = spans(NETWORK, reach, levels, usual, everywhere)
    assert PIPES[int(found.argmax())] == pipe and found.sum() == pytest.approx(1)
    alone = spans(NETWORK, reach[:1], levels[:1], usual[:1], everywhere)
    assert found.max() > 2 * alone.max(), "one logger alone does not know on which side"

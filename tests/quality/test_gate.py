"""The estimators together, and the time at which a reading counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from devices.model import Quality, Reason
from quality.gate import GOOD, Rules, judge, moment

AT = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
FAR = datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NONE = timedelta(0)
RIVER = Rules(step=10 * MINUTE, low=-0.5, high=5.0, max_rate=4.0, stuck_after=timedelta(hours=1))


def reasons(rules: Rules, values: list[float]) -> list[Reason | None]:
    times = np.arange(len(values)) * 600.0
    return [verdict.reason for verdict in judge(rules, times, np.array(values))]


def test_a_quiet_series_is_good() -> None:
    verdicts = judge(RIVER, np.arange(5) * 600.0, np.array([1.0, 1.1, 1.2, 1.1, 1.0]))
    assert verdicts == [GOOD] * 5


def test_an_impossible_value_is_bad_and_no_neighbour_for_the_next() -> None:
    assert reasons(RIVER, [1.0, 99.0, 1.1, 1.2]) == [None, Reason.RANGE, None, None]
    (bad,) = [v for v in judge(RIVER, np.arange(2) * 600.0, np.array([1.0, 99.0])) if v.reason]
    assert bad.quality is Quality.BAD


def test_what_two_checks_flag_keeps_the_worse_reason() -> None:
    # -9 is out of range and a jump
    assert reasons(RIVER, [1.0, -9.0]) == [None, Reason.RANGE]


def test_a_check_that_is_switched_off_flags_nothing() -> None:
    night = [0.0] * 100
    assert reasons(Rules(step=10 * MINUTE, low=0.0), night) == [None] * 100
    assert Reason.STUCK in reasons(Rules(step=10 * MINUTE, stuck_after=timedelta(hours=1)), night)
    assert Rules(step=10 * MINUTE).context() == 0


def test_a_long_standstill_asks_for_a_bounded_context() -> None:
    assert RIVER.context() == 24
    assert Rules(step=timedelta(seconds=1), stuck_after=timedelta(days=30)).context() == 1008


@pytest.mark.parametrize(
    ("measured", "network", "age", "time", "reason"),
    [
        pytest.param(AT - MINUTE, AT, NONE, AT - MINUTE, None, id="a good clock is believed"),
        pytest.param(AT - timedelta(days=30), AT, NONE, AT - timedelta(days=30), None, id="history is believed"),
        pytest.param(LONG_AGO, AT - MINUTE, NONE, AT - MINUTE, Reason.CLOCK, id="1970: the network's time"),
        pytest.param(FAR, AT - MINUTE, 5 * MINUTE, AT - 6 * MINUTE, Reason.CLOCK, id="2036: less the age"),
        pytest.param(FAR, None, 5 * MINUTE, AT - 5 * MINUTE, Reason.CLOCK, id="no network: received, less the age"),
        pytest.param(FAR, FAR, NONE, AT, Reason.CLOCK, id="both impossible: received"),
        pytest.param(None, AT - MINUTE, NONE, AT - MINUTE, None, id="no clock: the network's time is rightful"),
        pytest.param(None, AT, 20 * MINUTE, AT - 20 * MINUTE, None, id="no clock: less the age"),
        pytest.param(None, FAR, NONE, AT, Reason.CLOCK, id="no clock and an impossible network"),
        pytest.param(None, None, NONE, AT, Reason.CLOCK, id="nobody knows"),
        pytest.param(None, AT, timedelta(days=900), AT, Reason.CLOCK, id="an impossible age is left out"),
        pytest.param(None, AT, timedelta.max, AT, Reason.CLOCK, id="an age beyond the calendar"),
        pytest.param(None, None, timedelta.min, AT, Reason.CLOCK, id="an age into the future"),
    ],
)
def test_the_time_of_a_reading(
    measured: datetime | None, network: datetime | None, age: timedelta, time: datetime, reason: Reason | None
) -> None:
    when = moment(measured, network, AT, age)
    assert (when.time, when.verdict.reason) == (time, reason)
    assert when.verdict.quality is (Quality.GOOD if reason is None else Quality.DOUBTFUL)

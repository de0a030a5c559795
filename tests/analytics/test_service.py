"""The analytics process as a whole: it follows the feed, keeps house and ends when told."""

from __future__ import annotations

import threading
import time

from analytics import AnalyticsConfig, run
from tests.analytics.series import Analyst
from tests.conftest import START


def test_a_stored_reading_becomes_a_rollup(analyst: Analyst) -> None:
    stop = threading.Event()
    process = threading.Thread(target=run, args=(AnalyticsConfig(analyst.town.worker), stop))
    process.start()
    try:
        analyst.send(analyst.town.datastream("river-mimamoribashi", "water_level"), [(START, 1.0)])
        deadline = time.monotonic() + 60
        while not analyst.rows("select from rollup_day"):
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.05)
    finally:
        stop.set()
        process.join(10)
    assert not process.is_alive()

"""The database goes away under load: nothing is lost, and what ingest holds does not grow with the outage."""

from __future__ import annotations

import pytest

from ingest.embedded import available
from tests.chaos.outage import measure


def test_an_outage_of_the_database_loses_nothing_and_its_length_costs_no_memory() -> None:
    if "mosquitto" not in available():
        pytest.skip("mosquitto is not installed here")
    found = measure(seconds=20, rate=600, workers=2, warm=8)
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["sent"] > 1000, "there was a load"
    # Who kept what comes would grow by more than ten megabytes between the two points, and by hundreds in ten minutes.
    assert found["plateau_growth_mb"] < 4.0, found
    assert found["growth_mb"] < 50.0, found

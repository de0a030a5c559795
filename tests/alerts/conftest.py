from __future__ import annotations

import pytest

from devices.clock import FixedClock
from tests.alerts.gauge import Gauge
from tests.conftest import Registered


@pytest.fixture
def gauge(registered: Registered, clock: FixedClock) -> Gauge:
    """The gauge at the bridge, in a database of its own, at 2026-06-01 00:00 UTC."""
    return Gauge(registered, clock)

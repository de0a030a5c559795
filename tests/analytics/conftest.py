from __future__ import annotations

import pytest

from tests.analytics.series import Analyst
from tests.conftest import Registered


@pytest.fixture
def analyst(registered: Registered) -> Analyst:
    """The demo town in a database of its own."""
    return Analyst(registered)

"""How far a figure can be trusted: the rule, and that stored hours and days are judged by the same one."""

from __future__ import annotations

import pytest

from quality.completeness import Reliability, reliability
from store import connect
from tests.conftest import Registered


@pytest.mark.parametrize(
    ("n", "expected", "told"),
    [
        (100, 100, "reliable"),
        (86, 100, "reliable"),
        (85, 100, "doubtful"),
        (61, 100, "doubtful"),
        (60, 100, "missing"),
        (0, 100, "missing"),
        (7, 6, "reliable"),
        (1, 0.5, "reliable"),
    ],
)
def test_the_limits_belong_to_the_worse_side(n: int, expected: float, told: str) -> None:
    assert reliability(n, expected) is Reliability(told)


def test_stored_hours_are_judged_by_the_same_rule(registered: Registered) -> None:
    lengths = (1, 2, 6, 12, 20, 60, 100, 2.5)
    asked = [(n, expected) for expected in lengths for n in range(int(expected) + 2)]
    with connect(registered.owner, name="test") as conn:
        conn.cursor().executemany(
            """
            insert into rollup_hour (municipality_id, datastream_id, hour, n, expected, worst_quality)
            values (%s, %s, '2026-01-01T00:00Z'::timestamptz + %s * interval '1 hour', %s, %s, 'good')
            """,
            [
                (registered.municipality_id, registered.datastream("river-okusawa", "water_level"), hour, n, expected)
                for hour, (n, expected) in enumerate(asked)
            ],
        )
        stored = conn.execute("select reliability from rollup_hour order by hour").fetchall()
    assert [reliability(n, expected).value for n, expected in asked] == [each for (each,) in stored]
    assert {each for (each,) in stored} == {each.value for each in Reliability}

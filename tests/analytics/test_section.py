"""Water in a surveyed cross-section: its width, its depth, and what is left to each bank."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics.rivers.section import water_at

METRES = st.integers(0, 1000).map(lambda cm: cm / 100)


@given(st.lists(st.tuples(METRES, METRES), min_size=3, max_size=30), METRES)
@example([(0.0, 0.01), (0.01, 2.07), (0.01, 0.0), (0.02, 0.0)], 1.83)
@example([(0.01, 0.0), (0.01, 0.0), (0.01, 2.07)], 1.83)
def test_the_water_lies_on_the_ground_between_its_edges(points: list[tuple[float, float]], level: float) -> None:
    points.sort(key=lambda point: point[0])
    distance, height = [a for a, _ in points], [b for _, b in points]
    water = water_at(distance, height, [""] * len(points), level)
    assert water.bed == min(height) and water.depth == max(0.0, level - water.bed)
    assert water.left_bank.freeboard == pytest.approx(water.left_bank.height - level)
    if water.left is None or water.right is None:
        assert (water.width, water.area) == (0, 0) and level <= water.bed
        return
    assert distance[0] <= water.left <= water.right <= distance[-1]
    assert all(b <= level + 1e-9 for a, b in points if water.left < a < water.right), "dry land inside"
    assert water.area <= water.width * water.depth + 1e-9
    if not water.beyond:
        assert water.left_bank.freeboard >= -1e-9 and water.right_bank.freeboard >= -1e-9


def test_a_field_behind_the_levee_is_dry_until_the_levee_is_under_water() -> None:
    distance = [0.0, 10.0, 12.0, 14.0, 20.0, 26.0, 28.0]
    height, note = [0.5, 0.5, 4.0, 1.0, 1.0, 4.5, 4.5], ["", "", "左岸天端", "", "", "右岸天端", ""]
    water = water_at(distance, height, note, 3.0)
    assert water.left == pytest.approx(12 + 2 / 3) and not water.beyond and water.bed == 1.0
    assert (water.left_bank.freeboard, water.right_bank.freeboard) == (1.0, 1.5) and water.left_bank.named
    over = water_at(distance, height, note, 4.2)
    assert over.beyond and over.left == 0.0 and over.left_bank.freeboard == pytest.approx(-0.2)

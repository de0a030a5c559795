"""Whose the levels of a gauge are is said with each of them, as it was stated; of no gauge in particular nothing is."""

from __future__ import annotations

import httpx

from tests.api.serving import TownHall
from tests.conftest import START


def test_a_badge_says_whose_the_levels_are(hall: TownHall, staff: httpx.Client) -> None:
    """By the town file: nobody has said it of one, the administrator's, adopted by a document."""
    for code, whose in (
        ("river-mimamoribashi", "町独自基準"),
        ("river-okusawa", "河川管理者の基準"),
        ("river-shiomibashi", "町が採用した基準"),
    ):
        hall.observe(f"{code}/water_level", (START, 4.9))
        hall.raise_alert(f"{code}/water_level")
        station, listed = staff.get(f"/disaster/stations/{code}").text, staff.get("/alerts").text
        catchments = staff.get("/disaster/catchments").text
        assert f"警戒レベル５相当（{whose}）" in station, code
        row = catchments.split(f'id="station-{code}"')[1].split("</tr>")[0]
        assert f"警戒レベル５相当（{whose}）" in row, code
        assert f"警戒レベル３相当（{whose}）" in listed, code
        others = {"町独自基準", "河川管理者の基準", "町が採用した基準"} - {whose}
        assert not any(f"相当（{other}）" in station for other in others), code
    assert "警戒レベル４相当<" in staff.get("/disaster").text, "the key of the map is of no gauge"

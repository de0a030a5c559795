"""A gauge's page over a long range: what of a slice is doubted is said on the curve, in its table and in its file."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from api.roles import Role
from devices.clock import ClockSetting, real_now
from store import connect
from store.town_clock import write_clock
from tests.api.serving import TownHall, populate, serving
from tests.conftest import Registered
from tests.dashboards.test_rain import LEVEL, NOW, RAIN, recomputed, store


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(True, real_now(), NOW, 1.0))
    with serving(registered) as running:
        yield running


def test_the_page_and_its_file_say_which_stretches_hold_doubted_values(hall: TownHall) -> None:
    levels: list[tuple[int, float | None, str]] = [(m, 1.0, "good") for m in range(-7 * 1440 + 8, 0, 10)]
    for before, quality in ((50, "bad"), (100, "doubtful"), (150, "estimated"), (200, "manual"), (250, "missing")):
        levels[-before] = (levels[-before][0], None if quality == "missing" else 1.0, quality)
    store(hall.database, LEVEL, levels)
    with hall.visitor(Role.VIEWER) as client:
        address = "/disaster/stations/river-mimamoribashi"
        for language, words in (
            ("ja", ("異常値を含む", "疑わしい値を含む", "推定を含む", "手入力を含む", "欠測を含む")),
            (
                "en",
                ("holds implausible", "holds doubtful", "some estimated", "some entered by hand", "some not measured"),
            ),
        ):
            page = client.get(address, params={"range": "7d", "lang": language}).text
            table = page[page.index("<tbody>") :]
            assert [table.count(each) for each in words] == [1] * 5
            assert page.count('<circle class="doubted"') == 3, "two rings, and the one of the key"
            assert ("（2）" if language == "ja" else "(2)") in page
        file = client.get(f"{address}/table.csv", params={"range": "7d"}).content.decode("utf-8-sig")
        data = html.unescape(re.findall(r"data-chart='([^']*)'", page)[-1])
    rows = list(csv.DictReader(io.StringIO(file)))
    counted = Counter(row["quality"] for row in rows)
    assert {counted.pop(each) for each in ("bad", "doubtful", "estimated", "manual", "missing")} == {1}
    assert set(counted) == {"good"}
    assert sorted(quality for _, quality in json.loads(data)["doubted"]) == ["bad", "doubtful"]


def test_rain_says_what_of_it_is_doubted(hall: TownHall) -> None:
    rain: list[tuple[int, float | None, str]] = [(m, 0.5, "good") for m in range(-3 * 1440 + 8, 0, 10)]
    rain[-30] = (rain[-30][0], 40.0, "doubtful")
    store(hall.database, RAIN, rain)
    recomputed(hall.database, RAIN)
    with hall.visitor(Role.VIEWER) as client:
        for range_, words in (("24h", "<td>疑わしい</td>"), ("3d", "疑わしい値を含む"), ("30d", "疑わしい値を含む")):
            page = client.get("/disaster/stations/rain-yakuba", params={"range": range_}).text
            assert page[page.index("<tbody>") :].count(words) == 1
            assert page.count('class="rain-bar rain-doubted"') == 2, "the bar and the one of the key"

"""What the weather agency has issued, on the pages: unchanged, with its time; and nothing is never made of silence."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from alerts.operation import Watch
from api.roles import Role
from devices.clock import ClockSetting, FixedClock, real_now
from ingest.jma.telegram import Area, of_town, read
from simulators.telegrams import Said, river, weather
from store import connect, jma, jma_feed
from store.town_clock import write_clock
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered
from tests.dashboards.test_words import FORBIDDEN, FORBIDDEN_EN

HTML = {"Accept": "text/html"}
REAL: dict[str, Any] = {"status": "通常", "mark": "", "office": "美守地方気象台"}
MINUTE = timedelta(minutes=1)
PAGES = ("/disaster", "/disaster/jma", "/public/999999/notices", "/public/999999/notices?lang=plain")


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    """A real town: on the real clock."""
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=False, real_start=START, town_start=START, speed=1.0))
    with serving(registered) as running:
        yield running


def issue(hall: TownHall, text: str, name: str = "a.xml") -> int:
    found = of_town(read(text.encode(), name), Area("999999"))
    assert found is not None
    with connect(hall.database.worker, name="test") as conn:
        kept = jma.keep(conn, hall.database.municipality_id, found, real_now())
    assert kept is not None
    return kept


def rain(level: int | None, at: datetime, **more: Any) -> str:
    return weather("rain", {"9999900": [Said("美守町", level)]}, at, headline="河川の増水に警戒。", **{**REAL, **more})


def looked(hall: TownHall, at: datetime, **more: Any) -> None:
    """What the process has noted."""
    with connect(hall.database.worker, name="test") as conn:
        jma_feed.begin(conn, hall.database.municipality_id, "folder", "/jma", at)
        jma_feed.looked(conn, hall.database.municipality_id, at, **more)


def main(page: httpx.Response) -> str:
    found = re.search(r"<main.*</main>", page.text, re.DOTALL)
    assert found is not None, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def shown(page: httpx.Response) -> str:
    """What is seen: without what is there for the moment at which the page grows old."""
    return main(
        httpx.Response(200, text=re.sub(r'<p class="jma-stale jma-late">.*?</p>', "", page.text, flags=re.DOTALL))
    )


def of_our_own(page: httpx.Response) -> str:
    """The page without what is relayed, which stands in elements of its own and nowhere else."""
    left = re.sub(r'<(span|div)( role="\w+")? class="relayed[^"]*" lang="ja">.*?</\1>', "", page.text, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", left)


def test_a_town_without_a_feed_shows_nothing_and_tells_the_digital_section(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        # A gauge may have a link to one of its pages all the same.
        for address in ("/disaster", "/public/999999/notices"):
            page = client.get(address, headers=HTML)
            assert 'id="jma"' not in page.text and "気象庁情報" not in main(page), address
        assert "気象庁の電文は受け取っていません" in main(client.get("/digital", headers=HTML))
        assert "mimamori run jma" in main(client.get("/disaster/jma", headers=HTML))


def test_what_is_issued_is_shown_unchanged_with_its_time_and_office_to_staff_and_to_everybody(hall: TownHall) -> None:
    now = real_now()
    looked(hall, now)
    number = issue(hall, rain(3, now - 5 * MINUTE))
    text = river(
        "美守川", "9999990001", 4, now, cities={"9999900": "美守町"}, headline="美守川では。", main="主文です。", **REAL
    )
    issue(hall, text, "b.xml")
    with hall.visitor(Role.VIEWER) as client:
        for address in PAGES:
            page = client.get(address, headers=HTML)
            said = main(page)
            assert "レベル３大雨警報" in said and "レベル４氾濫危険警報" in said, address
            assert "河川の増水に警戒。" in said and "美守地方気象台" in said and "発表" in said
            assert said.index("レベル４氾濫危険警報") < said.index("レベル３大雨警報"), "the gravest first"
            assert "mark-3" in page.text and "気象庁情報を取得できません" not in shown(page)
            for word in FORBIDDEN:
                assert word not in of_our_own(page), (address, word)
        english = client.get("/public/999999/notices?lang=en", headers=HTML)
        assert "レベル３大雨警報" in main(english) and "as issued" in main(english)
        for pattern in FORBIDDEN_EN:
            assert not re.search(pattern, of_our_own(english), re.IGNORECASE)
        one = client.get(f"/disaster/jma/{number}", headers=HTML)
        assert "レベル３大雨警報" in main(one) and "河川の増水に警戒。" in main(one)
        xml = client.get(f"/disaster/jma/{number}.xml")
        assert xml.content.decode() == rain(3, now - 5 * MINUTE) and "attachment" in xml.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(client.get("/disaster/jma.csv").content.decode("utf-8-sig"))))
        assert [(row["名称（発表のまま）"], row["名称にある段階"], row["運用種別"]) for row in rows] == [
            ("レベル３大雨警報", "3", "通常"),
            ("レベル４氾濫危険警報", "4", "通常"),
        ]
        review = main(client.get("/disaster/review", headers=HTML))
        assert "レベル３大雨警報・発表・河川の増水に警戒。" in review and "美守地方気象台" in review


def test_a_feed_older_than_ten_minutes_never_says_that_nothing_is_issued(hall: TownHall) -> None:
    now = real_now()
    issue(hall, rain(None, now - timedelta(hours=1)))
    looked(hall, now)
    with hall.visitor(Role.DIGITAL) as client:
        for address in PAGES[:3]:
            assert "発表されているものはありません" in shown(client.get(address, headers=HTML)), address
        looked(hall, now - 11 * MINUTE)
        for address in PAGES[:3]:
            said = main(client.get(address, headers=HTML))
            assert "気象庁情報を取得できません" in said and "発表がないという意味ではありません" in said, address
            assert "発表なし" not in said and "発表されているものはありません" not in said
        assert "気象庁情報を取得できません" in main(client.get("/digital", headers=HTML))
        issue(hall, rain(4, now - 50 * MINUTE), "b.xml")
        said = main(client.get("/disaster", headers=HTML))
        assert "レベル４大雨危険警報" in said and "いまも続いているかは分かりません" in said
        looked(hall, now, gap_until=now - MINUTE)
        said = shown(client.get("/disaster", headers=HTML))
        assert "気象庁情報を取得できません" not in said and "その間に変わった可能性があります" in said


def test_drills_and_unknown_kinds_have_places_of_their_own_and_never_reach_the_public(hall: TownHall) -> None:
    now = real_now()
    looked(hall, now)
    issue(hall, rain(5, now, status="訓練"))
    issue(hall, rain(4, now, status="試験"), "b.xml")
    strange = (
        rain(3, now)
        .replace("気象警報・注意報（Ｒ０６）（大雨）", "気象防災速報")
        .replace("河川の増水に警戒。", "記録的な雨。")
    )
    issue(hall, strange, "c.xml")
    with hall.visitor(Role.DISASTER) as client:
        for address in ("/disaster", "/public/999999/notices", "/disaster/review"):
            said = main(client.get(address, headers=HTML))
            assert "特別警報" not in said and "危険警報" not in said and "記録的な雨" not in said, address
        said = main(client.get("/disaster/jma", headers=HTML))
        assert "【訓練】" in said and "【試験】" in said and "実際の発表ではありません" in said
        assert said.index("訓練・試験の電文") < said.index("レベル５大雨特別警報")
        assert "そのほかの電文" in said and "記録的な雨。" in said


def test_a_simulated_town_says_on_every_page_that_its_agency_does_not_exist(registered: Registered) -> None:
    populate(registered)
    with serving(registered) as hall:
        looked(hall, START)
        issue(hall, weather("rain", {"9999900": [Said("美守町", 4)]}, START, headline="警戒。"))
        with hall.visitor(Role.DISASTER) as client:
            for address in PAGES[:3]:
                said = main(client.get(address, headers=HTML))
                assert "【模擬】レベル４大雨危険警報" in said and "架空の電文です" in said, address
            assert "【模擬】レベル４大雨危険警報" in main(client.get("/disaster/review", headers=HTML))


def test_the_digital_section_is_told_when_the_feed_is_stale_and_when_it_is_back(registered: Registered) -> None:
    clock = FixedClock(START)
    watch, town = Watch(clock), registered.municipality_id

    def look() -> list[str]:
        with connect(registered.owner, name="test") as conn:
            watch.look(conn, counts=False, people=False)
            conn.execute("update operation_condition set since = since - interval '1 minute'")
            watch.look(conn, counts=False, people=False)
            rows = conn.execute("select cause from alert where rule = 'operation' and cleared_at is null").fetchall()
        return [cause for (cause,) in rows if cause == "jma_stale"]

    assert look() == []
    with connect(registered.worker, name="test") as conn:
        jma_feed.begin(conn, town, "folder", "/jma", START)
    clock.advance(10 * MINUTE)
    assert look() == []
    clock.advance(MINUTE)
    assert look() == ["jma_stale"]
    with connect(registered.worker, name="test") as conn:
        jma_feed.looked(conn, town, clock.now())
    assert look() == []

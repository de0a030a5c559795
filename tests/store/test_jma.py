"""Which telegram holds: a function of all that came, in whatever order they came."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from simulators.telegrams import Said, river, weather
from store import Connection, connect, jma, jma_feed
from store.jma import Report, taken_back
from store.jma_spells import spells
from tests.conftest import START, Registered

MINUTE = timedelta(minutes=1)
REPORTS = st.lists(
    st.tuples(st.sampled_from(["発表", "訂正", "取消"]), st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=8
)


def reports(drawn: list[tuple[str, int, int]]) -> list[Report]:
    return [
        Report(
            number, info_type, START + report * MINUTE, START + (report + later) * MINUTE + timedelta(seconds=number)
        )
        for number, (info_type, report, later) in enumerate(drawn)
    ]


@given(REPORTS, st.randoms(use_true_random=False))
def test_what_is_taken_back_does_not_depend_on_the_order_of_arrival(
    drawn: list[tuple[str, int, int]], shuffled: random.Random
) -> None:
    said = reports(drawn)
    again = said.copy()
    shuffled.shuffle(again)
    gone = taken_back(said)
    assert taken_back(again) == gone
    by_number = {each.number: each for each in said}
    for number, cancel in gone.items():
        assert by_number[cancel].info_type == "取消" and by_number[number].info_type != "取消"
        assert by_number[number].sent_at <= by_number[cancel].sent_at


def test_a_cancel_takes_back_its_report_with_all_its_corrections_and_what_stood_before_stands_again() -> None:
    said = reports([("発表", 0, 0), ("発表", 2, 0), ("訂正", 2, 1), ("訂正", 3, 1), ("取消", 4, 2), ("発表", 5, 3)])
    assert taken_back(said) == {1: 4, 2: 4, 3: 4}


def issue(
    conn: Connection,
    town: int,
    level: int | None,
    at: datetime,
    info_type: str = "発表",
    status: str = "通常",
    kind: Literal["rain", "wind"] = "rain",
) -> None:
    """A telegram of the town, by way of its XML."""
    from ingest.jma.telegram import Area, of_town, read

    said = {"9999900": [Said("美守町", level)]}
    text = weather(kind, said, at, info_type=info_type, status=status, mark="")
    found = of_town(read(text.encode(), f"{at}{info_type}.xml"), Area("999999"))
    assert found is not None and jma.keep(conn, town, found, START) is not None


def keep(conn: Connection, town: int, level: int | None, minute: int, info_type: str = "発表") -> None:
    issue(conn, town, level, START + minute * MINUTE, info_type)


def test_the_newest_report_holds_however_they_come_and_a_mistaken_end_is_undone(registered: Registered) -> None:
    town = registered.municipality_id
    with connect(registered.worker, name="test") as conn:
        keep(conn, town, None, 20, "取消")  # before what it takes back
        keep(conn, town, 3, 10)
        keep(conn, town, 2, 0)
        assert [each.level for each in jma.current(conn, town, START).standing] == [2]
        keep(conn, town, 4, 30)
        keep(conn, town, None, 40)
        assert jma.current(conn, town, START).standing == ()
        keep(conn, town, None, 45, "取消")
        found = jma.current(conn, town, START)
        assert [each.name for each in found.standing] == ["レベル４大雨危険警報"]
        assert found.level == 4 and [each.info_type for each in found.cancels] == ["取消", "取消"]
        keep(conn, town, 5, 30, "訂正")
        assert jma.current(conn, town, START).level == 5


def test_what_stood_stood_from_its_first_telegram_to_the_next_that_says_otherwise(registered: Registered) -> None:
    town, hour = registered.municipality_id, 60 * MINUTE

    def stood(since: float, until: float) -> list[tuple[str, int, float, float | None]]:
        found = spells(conn, town, START + since * hour, START + until * hour)
        return [
            (e.name, e.gravity, (e.since - START) / hour, None if e.end is None else (e.end - START) / hour)
            for e in found
        ]

    with connect(registered.worker, name="test") as conn:
        for level, at in ((2, 0), (3, 1), (3, 2), (4, 3), (2, 5), (None, 6)):
            issue(conn, town, level, START + at * hour)
        issue(conn, town, 5, START + 4 * hour, status="訓練")
        issue(conn, town, 3, START + 7 * hour)
        issue(conn, town, None, START + 7.5 * hour, "取消")  # and so the one of seven o'clock is none
        issue(conn, town, 3, START + 2.5 * hour, kind="wind")
        rain = [("レベル３大雨警報", 3, 1, 3), ("レベル４大雨危険警報", 4, 3, 5)]
        assert stood(0, 10) == [rain[0], ("暴風警報", 3, 2.5, None), rain[1]]
        assert stood(0, 2.2) == [("レベル３大雨警報", 3, 1, None)], "what comes later is not known yet"
        assert stood(4, 10) == [("暴風警報", 3, 2.5, None), rain[1]]
        assert stood(0, 80)[1] == ("暴風警報", 3, 2.5, 74.5), "nothing more was heard of it"
        assert stood(75, 80) == []
        conn.execute(
            "insert into jma_feed (municipality_id, source, place, started_at, ended_at) "
            "values (%s, 'folder', 'x', %s, %s)",
            (town, START, START + 5 * hour),
        )
        assert stood(4, 4.5)[0][3] is None and stood(4, 10)[0] == ("暴風警報", 3, 2.5, 5)


def test_the_end_of_a_flood_that_names_no_place_ends_it_though_it_comes_first(registered: Registered) -> None:
    from ingest.jma.telegram import Area, of_town, read

    town = registered.municipality_id
    real: dict[str, Any] = {"status": "通常", "mark": ""}
    over = river("美守川", "300013000100", None, START + 10 * MINUTE, cities={}, **real)
    other = river("隣川", "300013000200", None, START + 10 * MINUTE, cities={}, **real)
    begun = river("美守川", "300013000100", 4, START, cities={"9999900": "美守町"}, **real)
    with connect(registered.worker, name="test") as conn:
        for text in (over, other, begun):
            found = of_town(read(text.encode(), "a.xml"), Area("999999"))
            assert found is not None and found.named == (text is begun) and jma.keep(conn, town, found, START)
        found_ = jma.current(conn, town, START)
        assert found_.standing == () and [each.area for each in found_.calm] == ["美守川"]
        shown = jma.telegrams(conn, town, START, START + 20 * MINUTE, status=("通常",))
        assert {each.event_id for each in shown} == {"300013000100"}


def test_old_xml_is_let_go_and_its_words_stay(registered: Registered) -> None:
    town = registered.municipality_id
    with connect(registered.worker, name="test") as conn:
        keep(conn, town, 3, 0)
        jma_feed.mark_seen(conn, town, "a", START)
        jma_feed.refuse(conn, town, "b", b"x", "xml", "", START)
        jma_feed.let_go(conn, town, START + jma_feed.RAW_KEPT)
        (kept,) = jma.telegrams(conn, town, START, START + MINUTE, status=("通常",))
        assert jma.telegram(conn, town, kept.telegram_id).raw  # type: ignore[union-attr]
        jma_feed.let_go(conn, town, START + jma_feed.RAW_KEPT + MINUTE)
        found = jma.telegram(conn, town, kept.telegram_id)
        assert found is not None and found.raw is None and found.items[0].name == "レベル３大雨警報"
        assert jma_feed.seen(conn, town, ["a"]) == set() and jma_feed.refused(conn, town) == []

"""通知までの待ち時間: what a gauge allows, in words for that gauge; changed by the disaster desk, with a reason."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from alerts.rule_book import add_rule, add_version
from alerts.rules.condition import Body, Compare, Number, Reading, Series
from api.access import Role
from api.pages import paging
from devices.model import StationKind
from store import connect
from tests.api.serving import TownHall
from tests.conftest import START
from tests.dashboards.test_quarantine import text_of

STATION = "river-okusawa"  # observes every 10 minutes
ADDRESS = f"/alerts/waits/{STATION}"
USUAL = {"confirm_within": "5", "confirming_rain": "10", "tell_within": "6", "reason": "10分観測のため"}


def test_the_desk_changes_what_a_gauge_allows_and_the_page_says_what_follows_there(hall: TownHall) -> None:
    with hall.visitor(Role.DISASTER) as client:
        before = text_of(client.get(ADDRESS).text)
        assert "観測は10分ごとなので、次の観測値の前に、5分後に「未確認の値」として知らせます。" in before
        saved = client.post(ADDRESS, data={**USUAL, "confirm_within": "１０", "tell_within": "12"})
        assert saved.headers["location"].startswith("/alerts/waits?done=saved")
        after = text_of(client.get(ADDRESS).text)
    assert "疑わしい値は、10分ごとに来る次の観測値で確かめてから知らせます。" in after
    assert "変更の記録（1）" in after and "10分観測のため" in after and "知らせる期限：12時間" in after
    with connect(hall.database.owner, name="test") as conn:
        waits = "tell_within, confirm_within, confirming_rain"
        expected = (timedelta(hours=12), timedelta(minutes=10), 10.0)
        stands = conn.execute(f"select {waits} from station where code = %s", (STATION,)).fetchone()  # type: ignore[arg-type]
        said = conn.execute(f"select {waits}, u.role from station_wait join app_user u using (user_id)").fetchall()  # type: ignore[arg-type]
    assert stands == expected and said == [(*expected, "disaster")]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"confirm_within": "すぐ"}, "0～1440分で入れてください"),
        ({"confirm_within": "nan"}, "0～1440分で入れてください"),
        ({"confirm_within": "420"}, "待っている間に期限が過ぎてだれにも知らせません"),
        ({"tell_within": "0"}, "待っている間に期限が過ぎてだれにも知らせません"),
        ({"confirming_rain": "-1"}, "0.1～1000 mmで入れてください"),
        ({"confirm_within": "10", "reason": " "}, "変える理由を500字以内で書いてください"),
        ({}, "どの値も変わっていません"),
    ],
)
def test_nonsense_is_refused_in_words_and_nothing_is_changed(hall: TownHall, wrong: dict[str, str], says: str) -> None:
    with hall.visitor(Role.DISASTER) as client:
        refused = client.post(ADDRESS, data={**USUAL, **wrong})
    assert refused.status_code == 422 and says in text_of(refused.text)
    with connect(hall.database.owner, name="test") as conn:
        assert conn.execute("select from station_wait").fetchall() == []


def test_everybody_reads_it_and_no_other_desk_changes_it(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        assert "奥沢" in text_of(client.get("/alerts/waits").text)
        assert "待ち時間は防災担当が変えられます。" in text_of(client.get(ADDRESS).text)
        assert client.post(ADDRESS, data=USUAL).status_code == 403
        assert client.get("/alerts/waits/nowhere").status_code == 404


def test_a_long_list_has_pages_and_a_search(hall: TownHall, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(path: str) -> list[str]:
        return re.findall(r'id="(?:wait|rule)-([\w-]+)"', client.get(path).text)

    with hall.visitor(Role.VIEWER) as client:
        client.headers["Accept"] = "text/html"
        every = rows("/alerts/waits")
        assert len(every) == 4 and 'type="search"' not in client.get("/alerts/waits").text, "short enough to read"
        monkeypatch.setattr(paging, "PER_PAGE", 3)
        first = client.get("/alerts/waits").text
        assert 'href="/alerts/waits?page=2#waits"' in first and 'type="search"' in first
        assert rows("/alerts/waits") + rows("/alerts/waits?page=2") == every
        assert rows("/alerts/waits?page=99") == every[3:] and rows("/alerts/waits?page=x") == every[:3]
        assert rows("/alerts/waits?q=Ｏkusawa") == [STATION] and rows("/alerts/waits?q=奥沢") == [STATION]
        nothing = client.get("/alerts/waits?q=nowhere").text
        assert "4件のうち0件" in text_of(nothing) and rows("/alerts/waits?q=nowhere") == []
        with connect(hall.database.owner, name="test") as conn:
            high = Body(Compare(Reading(Series("water_level")), "above", Number(1.5)))
            town = hall.database.municipality_id
            for n in range(7):
                rule = add_rule(conn, town, station_id=None, kind=StationKind.RIVER_GAUGE, now=START)
                add_version(
                    conn, town, rule, valid_from=START, name=f"増水{n}", severity=2, active=True, body=high,
                    reason="実績" if n else "試行", now=START, user_id=None,
                )  # fmt: skip
        rules = [each for n in (1, 2, 3) for each in rows(f"/alerts/rules?page={n}")]
        assert len(rules) == len(set(rules)) == 7
        assert len(rows("/alerts/rules?q=増水3")) == len(rows("/alerts/rules?q=試行")) == 1
        assert 'href="/alerts/rules?q=%E5%AE%9F%E7%B8%BE&amp;page=2#rules"' in client.get("/alerts/rules?q=実績").text

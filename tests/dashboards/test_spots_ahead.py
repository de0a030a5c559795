"""今週の見込み on its page: days and hours with their ranges beside what was counted; where nothing is known, none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from api.access import Role
from store import connect
from tests.api.serving import START, TownHall
from tests.dashboards.conftest import HTML
from tests.dashboards.test_quarantine import text_of
from tests.dashboards.test_spots import count, enter

TOKYO = ZoneInfo("Asia/Tokyo")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TODAY = START.astimezone(TOKYO).date()
MIDNIGHT = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=TOKYO).astimezone(UTC)


def say(hall: TownHall, code: str, per_day: int, start: datetime, value: float) -> None:
    """As the job stores it: a tenth more or less."""
    with connect(hall.database.worker, name="test") as conn:
        conn.execute(
            """
            insert into visitor_expected
                (municipality_id, spot_id, per_day, start, lead_days, issued_at, value, low, high)
            select municipality_id, spot_id, %s, %s, 1, %s, %s, %s, %s from spot where code = %s
            """,
            (per_day, start, MIDNIGHT, value, 0.9 * value, 1.1 * value, code),
        )


def test_a_week_of_every_spot_and_the_hours_of_one(hall: TownHall) -> None:
    for n in range(-3, 7):
        say(hall, "spot-taki", 1, MIDNIGHT + n * DAY, 1440.0)
    with connect(hall.database.worker, name="test") as conn:
        conn.execute(
            """
            update visitor_expected
            set event_name = '滝まつり', event_basis = 'same', event_past = 2, event_factor = 1.8 where start = %s
            """,
            (MIDNIGHT + 2 * DAY,),
        )
        conn.execute(
            """
            update visitor_expected
            set issued_name = 'レベル３大雨警報', issued_office = 'みまもり気象台', issued_since = %(since)s,
                issued_basis = 'same', issued_past = 4, issued_factor = 0.55 where start = %(since)s
            """,
            {"since": MIDNIGHT},
        )
    for n in range(24):
        say(hall, "spot-taki", 24, MIDNIGHT + n * HOUR, 60.0)
    for back, each in ((3, 10.0), (2, 10.5), (1, 20.0)):  # in ten minutes: 1440, 1512 and 2880 a day
        count(hall, "spot-taki/passages_in", TODAY - back * DAY, each)
    count(hall, "spot-taki/passages_in", TODAY, 30.0, range(2))
    enter(hall, "spot-shiryokan", TODAY - DAY, 40)
    with hall.visitor(Role.WATER) as client:
        client.headers.update(HTML)
        words = text_of(client.get("/tourism/ahead?lang=ja").text)
        other = text_of(client.get("/tourism/ahead?spot=spot-shiryokan&lang=ja").text)
        unknown = client.get("/tourism/ahead?spot=nowhere")
    assert words.count("1,440 1,296–1,584") == 7 and words.count("1,440 1,296–1,584 滝まつり") == 1
    assert "ここでの同じ行事 2 回から、行事がない場合の 1.8 倍と見込みました" in words
    assert "レベル３大雨警報 6/1（月） （みまもり気象台、00:00 発表）" in words
    assert "ここで同じ発表があった 4 日から、発表がない場合の 0.55 倍" in words
    assert "3日のうち2日が幅の中・ずれ平均 26 %" in words, "72 and 1,440 of 5,832"
    assert "00–01 60 54–66 180 幅より多い" in words and "22–23 60 54–66 これから" in words
    assert "郷土資料館" in other and "見込めません" in other and "まだ日数が足りません" in other
    assert "時間ごとの見込みがありません" in other
    assert unknown.status_code == 404

"""地点 on their pages: what counts for one, calibration by manual counts, form beside counter, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from analytics import rollups
from api.access import Role
from store import connect
from store.feed import Touched
from tests.api.serving import TownHall
from tests.dashboards.conftest import HTML
from tests.dashboards.test_quarantine import text_of

ADDRESS = "/tourism/spots"
TOKYO = ZoneInfo("Asia/Tokyo")
TEN = timedelta(minutes=10)
MAY_3 = date(2026, 5, 3)  # a Sunday in 黄金週間


@pytest.fixture
def clerk(hall: TownHall) -> Iterator[httpx.Client]:
    """Somebody of the tourism desk, who wants pages."""
    with hall.visitor(Role.TOURISM) as client:
        client.headers.update(HTML)
        yield client


def post(client: httpx.Client, place: str, do: str, **form: str) -> str:
    """The words of the page after a change, or of the refusal."""
    answer = client.post(f"{ADDRESS}/{place}", data={"do": do, "reason": "現地で確認", **form})
    if answer.status_code == 303:
        answer = client.get(answer.headers["location"])
    return text_of(answer.text)


def count(hall: TownHall, series: str, day: date, each: float, hours: Sequence[int] = range(24)) -> None:
    """`each` passages in every ten minutes of these hours of a local day, as the rollups have them too."""
    start = datetime(day.year, day.month, day.day, tzinfo=TOKYO).astimezone(UTC)
    times = [start + hour * timedelta(hours=1) + n * TEN for hour in hours for n in range(1, 7)]
    hall.observe(series, *((time, each) for time in times))
    datastream = hall.database.datastream(*series.split("/"))
    with connect(hall.database.worker, name="test") as conn:
        rollups.recompute(conn, [Touched(datastream, times[0], times[-1])])


def enter(hall: TownHall, code: str, day: date, total: float) -> None:
    ends = datetime(day.year, day.month, day.day, tzinfo=TOKYO).astimezone(UTC) + timedelta(days=1)
    hall.observe(f"{code}/passages_day", (ends, total))


def query(hall: TownHall, text: str) -> list[Any]:
    with connect(hall.database.owner, name="test") as conn:
        return conn.execute(text.encode()).fetchall()


def test_gates_are_put_together_replaced_and_ended_with_dates_and_reasons(hall: TownHall, clerk: httpx.Client) -> None:
    made = clerk.post(ADDRESS, data={"code": "Park", "name": "公園", "name_en": "Park", "reason": "入口が2つ"})
    assert made.headers["location"] == f"{ADDRESS}/park?done=made"
    gate = {"counter": "spot-taki", "kind": "line", "measure": "in"}
    assert "カウンターを足しました" in post(clerk, "park", "attach", **gate, from_day="2026-05-01", entrance="北口")
    both = gate | {"counter": "spot-onsen", "measure": "both", "weight": "０．５"}
    assert "× 0.5" in post(clerk, "park", "attach", **both, from_day="2026-05-01")
    assert "もう数えています" in post(clerk, "park", "attach", **gate, from_day="2026-05-20")
    assert "それは数えられません" in post(clerk, "park", "attach", **gate | {"measure": "vehicles"})
    assert "かける数は" in post(clerk, "park", "attach", **gate | {"weight": "0"})
    assert "理由を500字以内" in post(clerk, "park", "attach", **gate, reason=" ")
    for n in range(3):
        count(hall, "spot-taki/passages_in", date(2026, 5, 29) + timedelta(days=n), 1.0)
        for way in ("in", "out"):
            count(hall, f"spot-onsen/passages_{way}", date(2026, 5, 29) + timedelta(days=n), 2.0)
    assert "432" in text_of(clerk.get(f"{ADDRESS}/park").text)
    # The first gate's counter is replaced by another on the 30th.
    (first,) = query(hall, "select spot_source_id from spot_source where entrance = '北口'")
    instead = {"counter": "spot-todai", "instead_of": str(first[0]), "from_day": "2026-05-30"}
    text = post(clerk, "park", "attach", **gate | instead)
    assert "2026-05-01" in text and "カウンターを追加：美守岬灯台" in text
    (onsen,) = query(hall, "select spot_source_id from spot_source where measure = 'both'")
    assert "始まりの日以後" in post(clerk, "park", "end_source", row=str(onsen[0]), day="2026-04-30")
    assert "終わりを記録しました" in post(clerk, "park", "end_source", row=str(onsen[0]), day="2026-05-31")
    assert query(
        hall,
        "select s.code, x.from_day::text, x.to_day::text from spot_source x join spot p using (spot_id)"
        " join station s on s.station_id = x.station_id where p.code = 'park' order by 2, 1",
    ) == [
        ("spot-onsen", "2026-05-01", "2026-05-31"),
        ("spot-taki", "2026-05-01", "2026-05-30"),
        ("spot-todai", "2026-05-30", None),
    ]
    log = query(hall, "select count(*), count(user_id), count(distinct what) from spot_change")
    assert log == [(5, 5, 3)], "what was refused leaves no line"


def test_a_virtual_spot_counts_nothing_twice_and_never_itself(hall: TownHall, clerk: httpx.Client) -> None:
    for code in ("town", "coast"):
        clerk.post(ADDRESS, data={"code": code, "kind": "virtual", "name": code, "name_en": code, "reason": "合計"})
    for part in ("spot-taki", "spot-onsen"):
        assert "地点を足しました" in post(clerk, "coast", "add_part", part=part)
    assert "地点を足しました" in post(clerk, "town", "add_part", part="coast")
    assert "2度足されます" in post(clerk, "town", "add_part", part="spot-taki")
    assert "自分自身を含む" in post(clerk, "coast", "add_part", part="town")
    assert "地点を足しました" in post(clerk, "town", "add_part", part="spot-onsen", sign="-1")
    assert "仮想の地点にはカウンターも入力もありません" in post(
        clerk, "town", "attach", counter="spot-taki", kind="line", measure="in"
    )
    # A gate of a spot that is in it already cannot be a second spot's, that is in it too.
    assert "2度足されます" in post(
        clerk, "spot-taki", "attach", counter="spot-onsen", kind="line", measure="in", from_day="2026-05-01"
    )
    yesterday = date(2026, 5, 31)
    count(hall, "spot-taki/passages_in", yesterday, 2.0)
    count(hall, "spot-onsen/passages_in", yesterday, 1.0)
    rows = re.findall(r"<tr role=\"row\">.*?</tr>", clerk.get(ADDRESS).text, re.S)
    words = {
        code: re.sub(r"<[^>]+>", " ", row) for row in rows for code in ("town", "coast") if f'spots/{code}"' in row
    }
    assert "432" in words["coast"] and "288" in words["town"] and "カウンター" in words["town"]
    assert clerk.get(f"{ADDRESS}/town/compare").status_code == 400


def session(client: httpx.Client, day: date, manual: int, **more: str) -> str:
    form = {"do": "session", "day": day.isoformat(), "from": "10:00", "to": "11:00", "in": f"{manual}", "by": "観光係"}
    answer = client.post(f"{ADDRESS}/spot-taki/counters/spot-taki", data=form | {"weather": "sunny"} | more)
    if answer.status_code == 303:
        answer = client.get(answer.headers["location"])
    return text_of(answer.text)


def sign(client: httpx.Client, **more: str) -> str:
    address = f"{ADDRESS}/spot-taki/counters/spot-taki"
    found = re.search(r'name="seen" value="([^"]*)"', client.get(address).text)
    form = {"do": "sign", "seen": found[1] if found else "", "signed": "課長 美守", "reason": "春の校正"}
    answer = client.post(address, data=form | {"from_day": "2026-05-25"} | more)
    if answer.status_code == 303:
        answer = client.get(answer.headers["location"])
    return text_of(answer.text)


def test_a_factor_needs_enough_manual_counts_a_signature_and_a_reason_outside_its_bounds(
    hall: TownHall, clerk: httpx.Client
) -> None:
    days = [date(2026, 5, 26), date(2026, 5, 27), MAY_3]
    for day in [*days, date(2026, 5, 31)]:
        count(hall, "spot-taki/passages_in", day, 10.0)
    assert "区切り" in session(clerk, days[0], 60, **{"from": "10:05", "to": "11:05"})
    assert "今より前" in session(clerk, date(2026, 6, 2), 60)
    assert "整数で" in session(clerk, days[0], 60, **{"in": "多い"})
    assert query(hall, "select count(*) from count_session") == [(0,)]
    assert "1回だけでは、およそ × 1.10" in session(clerk, days[0], 66)
    assert "もうあります" in session(clerk, days[0], 70, to="12:00"), "one hour is one session"
    assert "1～2時間ではない" in session(clerk, days[1], 10, **{"from": "08:00", "to": "08:30"})
    text = session(clerk, days[1], 72)
    assert "手数え ÷ カウンター ＝ 1.15" in text and "（いま2回）" in text and "混む休日" in text
    assert "まだ足りない" in sign(clerk)
    # 60 an hour is as busy as it gets here; on a holiday.
    text = session(clerk, MAY_3, 69)
    assert "1.15（95 % で" in text and "この日から使う" in text
    # 66, 72 and 69 to 60 each: MAPE 9.1, 16.7 and 13.0 %
    assert "平均 13 %（MAPE）" in text
    assert "前の期間の始まりや機器の取り付けより後" in sign(clerk, from_day="2025-01-01")
    assert "手数えが変わりました" in sign(clerk, seen="another")
    assert "責任者の名前" in sign(clerk, signed=" ")
    assert "係数を使い始めます" in sign(clerk)
    rows = text_of(clerk.get(f"{ADDRESS}/spot-taki").text)
    assert "× 1.15（95 % で" in rows and "1,656" in rows, "1440 passages of a day times 1.15"
    assert "まだ使われていない日" in sign(clerk), "one begins on that day already"
    (factor,) = query(hall, "select factor, low, high, cardinality(sessions), signed_by from count_factor")
    assert factor[0] == pytest.approx(1.15) and factor[1] < 1.15 < factor[2] and factor[3:] == (3, "課長 美守")

    # Counts that say that the counter sees half of them: not without a written reason.
    for day, manual in ((days[0], 130), (days[1], 128), (MAY_3, 126)):
        session(clerk, day, manual, **{"from": "13:00", "to": "14:00"})
    assert "0.8～1.4の外" in sign(clerk, from_day="2026-05-26")
    assert "係数を使い始めます" in sign(clerk, from_day="2026-05-26", outside="台の死角を確認した")
    page = clerk.get(f"{ADDRESS}/spot-taki/counters/spot-taki").text
    rows_of = re.findall(r'name="row" value="(\d+)"', page[page.index('id="factors"') :])
    done = clerk.post(
        f"{ADDRESS}/spot-taki/counters/spot-taki",
        data={"do": "withdraw_factor", "row": rows_of[0], "reason": "死角を直した"},
    )
    assert done.status_code == 303
    assert "× 1.15（95 % で" in text_of(clerk.get(f"{ADDRESS}/spot-taki").text)
    # A time in which the counter was at fault says nothing of it.
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            """
            insert into count_period (municipality_id, station_id, kind, starts_at, ends_at, standing, found_at,
                                      said_at, user_id)
            select s.municipality_id, station_id, 'works', '2026-05-03T12:30+09', '2026-05-03T14:30+09', 'by_hand',
                   '2026-05-04T09:00+09', '2026-05-04T09:00+09', user_id
            from station s, app_user where code = 'spot-taki' and login = 'own-tourism'
            """
        )
    text = text_of(clerk.get(f"{ADDRESS}/spot-taki/counters/spot-taki").text)
    assert text.count("カウンターの不具合の時間") == 1
    # The device is mounted anew: the factor was another's.
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "update attachment a set attached_from = '2026-05-30T00:00+09' from station s"
            " where s.station_id = a.station_id and s.code = 'spot-taki'"
        )
    text = text_of(clerk.get(f"{ADDRESS}/spot-taki/counters/spot-taki").text)
    assert "機器を移した・交換したので、係数を外しました" in text and "移す前・交換前の機器" in text
    assert "校正の点検が必要" in text_of(clerk.get(ADDRESS).text)


def test_a_form_runs_beside_a_counter_is_compared_and_switched_without_a_break(
    hall: TownHall, clerk: httpx.Client
) -> None:
    with connect(hall.database.owner, name="test") as conn:
        conn.execute(
            "update spot_method m set method = 'form' from spot s where s.spot_id = m.spot_id and code = 'spot-taki'"
        )
    first = date(2026, 5, 11)
    for n in range(20):
        count(hall, "spot-taki/passages_in", first + timedelta(days=n), 1.0 + n % 5, range(10, 14))
        enter(hall, "spot-taki", first + timedelta(days=n), round(1.2 * 24 * (1 + n % 5)))
    assert "まだ判断できません" in text_of(clerk.get(f"{ADDRESS}/spot-taki/compare").text), "days of four hours"
    for n in range(20):
        count(hall, "spot-taki/passages_in", first + timedelta(days=n), 0.0, [*range(10), *range(14, 24)])
    text = text_of(clerk.get(f"{ADDRESS}/spot-taki/compare").text)
    assert "水準が違います" in text and "1.2" in text and "よく合う" in text and "20日（うち土日祝など 5日）" in text
    lines = clerk.get(f"{ADDRESS}/spot-taki/compare.csv").content.decode("utf-8-sig").splitlines()
    assert lines[1] == "2026-05-11,29,24,1.208" and len(lines) == 21
    assert "もうその方法です" in post(clerk, "spot-taki", "switch", method="form", day="2026-05-25")
    text = post(clerk, "spot-taki", "switch", method="counter", day="2026-05-25")
    assert "方法の切り替えを記録しました" in text and "この日に入力から切り替え" in text
    # 24 Sunday: 13 days on, 4 times the least, entered; 25 Monday: counted
    assert re.search(r"5/24\S* +115 ", text) and re.search(r"5/25\S* +120 ", text)
    # Taken back by saying the other method of the same day.
    post(clerk, "spot-taki", "switch", method="form", day="2026-05-25")
    assert query(hall, "select from_day from spot_method m join spot using (spot_id) where code = 'spot-taki'") == [
        (None,)
    ]
    assert "この地点には入力の欄がありません" in text_of(
        clerk.post(
            f"{ADDRESS}/spot-shiryokan", data={"do": "switch", "method": "form", "day": "2026-05-01", "reason": "x"}
        ).text
    )


def test_a_radio_counter_shows_a_trend_and_never_a_number_of_people(hall: TownHall, clerk: httpx.Client) -> None:
    with connect(hall.database.owner, name="test") as conn:
        (station,) = conn.execute(
            "insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)"
            " values (%s, 'wifi', 'visitor_area', '駅前Wi-Fi', 'Wi-Fi', 32.4, 135.0) returning station_id",
            (hall.database.municipality_id,),
        ).fetchone() or (0,)
        (series,) = conn.execute(
            "insert into datastream (municipality_id, station_id, observed_property, unit, statistic, step)"
            " values (%s, %s, 'radio_signals', '{signal}', 'instant', '10 min') returning datastream_id",
            (hall.database.municipality_id, station),
        ).fetchone() or (0,)
        for n in range(30):
            conn.execute(
                "insert into rollup_day (municipality_id, datastream_id, day, n, expected, mean, worst_quality)"
                " values (%s, %s, %s, 144, 144, %s, 'good')",
                (hall.database.municipality_id, series, date(2026, 5, 2) + timedelta(days=n), 7777 if n < 29 else 9000),
            )
    area = {"counter": "wifi", "kind": "radio", "measure": "signals", "from_day": "2026-05-01"}
    assert "それは数えられません" in post(clerk, "spot-taki", "attach", **area | {"measure": "in"})
    text = post(clerk, "spot-taki", "attach", **area)
    assert (
        "ふだん＝100" in text and "116" in text and "7,777" not in text and "9,000" not in text and "9000" not in text
    )
    assert clerk.get(f"{ADDRESS}/spot-taki/counters/wifi").status_code == 404, "no factor makes people of it"

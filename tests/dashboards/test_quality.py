"""値の品質: the list of doubts, what a desk says of them, and a month that is confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from analytics import doubts
from api.roles import Role
from devices.clock import ClockSetting, FixedClock, real_now
from store import connect
from store.feed import Consumer
from store.reviews import settle_reviews
from store.town_clock import write_clock
from tests.analytics.doubting import calm
from tests.api.serving import TownHall, populate, serving
from tests.conftest import START, Registered

GAUGE = "river-mimamoribashi"
STEP = timedelta(minutes=10)
JULY = datetime.fromisoformat("2026-07-03T00:00:00Z")


@pytest.fixture
def hall(registered: Registered) -> Iterator[TownHall]:
    """A gauge with a week of calm water and one value that cannot be believed; it is July."""
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(True, real_now(), JULY, 1.0))
    with serving(registered) as running:
        values = calm()
        values[1000] = 2.4
        running.observe(f"{GAUGE}/water_level", *((START + n * STEP, value) for n, value in enumerate(values)))
        with connect(registered.worker, name="test") as conn:
            Consumer(registered.worker, doubts.NAME).drain(conn, doubts.Doubts(FixedClock(JULY)).handle)
        yield running


def settle(hall: TownHall) -> None:
    with connect(hall.database.worker, name="test") as conn:
        while settle_reviews(conn, now=JULY):
            pass


def series(hall: TownHall) -> str:
    return f"/digital/quality/series/{hall.database.datastream(GAUGE, 'water_level')}"


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.text


def asked(**changed: Any) -> dict[str, Any]:
    at = START + 1000 * STEP + timedelta(hours=9)
    return {
        "verdict": "false",
        "start": f"{at:%Y-%m-%dT%H:%M}",
        "end": f"{at:%Y-%m-%dT%H:%M}",
        "note": "現地の量水標は1.0 m",
        "amount": "",
    } | changed


def test_everybody_sees_what_is_doubted_and_why_in_both_languages(hall: TownHall) -> None:
    with hall.visitor(Role.VIEWER) as client:
        page = text(client.get("/digital/quality"))
        assert "飛び値" in page and "急に離れました" in page and "未確認" in page
        assert "jumped" in text(client.get("/digital/quality", params={"lang": "en"}))
        one = text(client.get(series(hall), params={"lang": "ja"}))
        assert "2.40 m" in one and "疑わしい（飛び値）" in one and "line-proposed" in one
        assert "<textarea" not in one, "what is true is not a viewer's to say"
        assert client.post(series(hall), data=asked()).status_code == 403


@pytest.mark.parametrize("role", [Role.DISASTER, Role.DIGITAL])
def test_the_desk_says_what_is_true_and_the_values_follow(hall: TownHall, role: Role) -> None:
    with hall.visitor(role) as client:
        answer = client.post(series(hall), data=asked())
        assert answer.status_code == 303
        settle(hall)
        page = text(client.get(answer.headers["location"].partition("#")[0]))
        assert "記録しました" in page and "現地の量水標は1.0 m" in page
        assert "異常値（誤り）" in page
        # The last value that stands for the hour and the files say so too.
        csv = client.get(f"/disaster/stations/{GAUGE}/observations.csv", params={"range": "30d"}).text
        assert "bad,rejected" in csv


def test_another_desk_may_look_and_not_say(hall: TownHall) -> None:
    with hall.visitor(Role.WATER) as client:
        assert "担当課とデジタル担当が確かめます" in text(client.get(series(hall)))
        assert client.post(series(hall), data=asked()).status_code == 403
        assert client.post(f"/digital/quality/stations/{GAUGE}", data={"month": "2026-06"}).status_code == 403


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"verdict": ""}, "verdict"),
        ({"verdict": "perhaps"}, "verdict"),
        ({"start": "きのう"}, "start"),
        ({"start": "9999-12-31T23:59"}, "start"),
        ({"end": ""}, "end"),
        ({"end": "2026-05-01T00:00"}, "end"),
        ({"end": "2029-05-01T00:00"}, "end"),
        ({"verdict": "shifted", "amount": ""}, "amount"),
        ({"verdict": "shifted", "amount": "少し"}, "amount"),
        ({"verdict": "shifted", "amount": "nan"}, "amount"),
        ({"note": " \x00 "}, "note"),
        ({"note": "長" * 501}, "note"),
        ({"event": "999999"}, "event"),
    ],
)
def test_what_cannot_be_meant_comes_back_with_what_was_typed(
    hall: TownHall, changed: dict[str, Any], field: str
) -> None:
    with hall.visitor(Role.DISASTER) as client:
        answer = client.post(series(hall), data=asked(**changed))
        if field == "event":
            assert answer.status_code == 404
            return
        assert answer.status_code == 303
        page = text(client.get(answer.headers["location"].partition("#")[0]))
        assert f'id="problem-{field}"' in page
        if field != "note":
            assert "現地の量水標は1.0 m</textarea>" in page
        with connect(hall.database.owner, name="test") as conn:
            assert conn.execute("select from quality_review").fetchone() is None


def test_a_month_goes_from_provisional_to_confirmed_and_back(hall: TownHall) -> None:
    address = f"/digital/quality/stations/{GAUGE}"
    with hall.visitor(Role.DISASTER) as client:
        page = text(client.get(address, params={"month": "2026-06"}))
        assert "暫定値" in page and "疑わしい（飛び値） 1" in page and "1,152" in page
        refused = client.post(address, data={"month": "2026-06", "do": "confirm"})
        assert "先に確かめてください" in text(client.get(refused.headers["location"]))
        event = page.partition("?event=")[2].partition('"')[0]
        client.post(series(hall), data=asked(event=event))
        settle(hall)
        answer = client.post(address, data={"month": "2026-06", "do": "confirm"})
        assert answer.status_code == 303
        page = text(client.get(answer.headers["location"].partition("#")[0]))
        assert "確定しました" in page and "<strong>確定値</strong>" in page
        assert "確定の後に値が変わりました" not in page
        client.post(series(hall), data=asked(verdict="true"))
        with connect(hall.database.owner, name="test") as conn:
            conn.execute(
                "update quality_review set stated_at = %s where settled_at is null", (JULY + timedelta(days=1),)
            )
        settle(hall)
        assert "確定の後に値が変わりました" in text(client.get(address, params={"month": "2026-06"}))
        answer = client.post(address, data={"month": "2026-06", "do": "withdraw"})
        assert "確定を取り消しました" in text(client.get(answer.headers["location"].partition("#")[0]))
        running = client.post(address, data={"month": "2026-07", "do": "confirm"})
        assert "まだ終わっていません。</p>" in text(client.get(running.headers["location"]))


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/digital/quality/series/999999", 404),
        ("/digital/quality/stations/nowhere", 404),
        (f"/digital/quality/stations/{GAUGE}?month=2026-13", 400),
        (f"/digital/quality/stations/{GAUGE}?month=x", 400),
    ],
)
def test_what_is_not_there_is_told(hall: TownHall, address: str, status: int) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        assert client.get(address).status_code == status


def test_another_town_sees_nothing_of_it(hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL, town="other") as client:
        assert "飛び値" not in text(client.get("/digital/quality"))
        assert client.get(series(hall)).status_code == 404
        assert client.post(series(hall), data=asked()).status_code == 404

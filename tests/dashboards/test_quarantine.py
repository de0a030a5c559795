"""読めなかった電文: reasons with counts, what would happen now, and the button that reads them again."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from api.access import Role
from api.pages.quarantine import MESSAGES_SHOWN
from api.pages.words import load_words
from devices.clock import FixedClock
from ingest.message import Message
from ingest.replay import Replaying
from ingest.settle import KnownDevices, Settling
from quality.gate import CLOCK
from store import connect
from store.quarantine import replay
from tests.api.serving import TownHall
from tests.conftest import START, Registered
from tests.ingest.town import COUNTER, GAUGE, chirpstack, level, query

MINUTE = timedelta(minutes=1)
PROJECT = Path(__file__).resolve().parents[2]
ADDRESS = "/digital/quarantine"


def deliver(registered: Registered, *messages: tuple[str, bytes]) -> None:
    with (
        connect(registered.worker, name="test") as conn,
        closing(KnownDevices(registered.municipality_id)) as devices,
    ):
        devices.refresh(conn)
        settling = Settling(conn, devices, [Message(topic, raw, START) for topic, raw in messages], CLOCK)
        while not settling.over:
            settling.step(conn)


def rename(registered: Registered, old: str, new: str) -> None:
    with connect(registered.owner, name="test") as conn:
        assert conn.execute("update device set key = %s where key = %s", (new, old)).rowcount == 1


def unknown_gauge(registered: Registered, n: int = 3) -> None:
    """Levels of a gauge that nobody had registered yet; by now somebody has."""
    rename(registered, GAUGE, "elsewhere")
    deliver(registered, *[level(1.25, counter=i, time=START - (n - i) * MINUTE) for i in range(n)])
    rename(registered, "elsewhere", GAUGE)


def work(registered: Registered) -> None:
    """What an ingest worker does between its batches."""
    with (
        connect(registered.worker, name="test") as conn,
        closing(KnownDevices(registered.municipality_id)) as devices,
    ):
        devices.refresh(conn)
        replaying = Replaying(devices, FixedClock(START), CLOCK)
        while replaying.step(conn):
            pass


def text_of(html: str) -> str:
    """The page's main part without its marks."""
    main = re.sub(r"<code.*?</code>", "", html[html.index("<main") :], flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


def test_reasons_are_listed_with_their_counts_and_senders_newest_first(registered: Registered, hall: TownHall) -> None:
    unknown_gauge(registered)
    deliver(registered, ("application/x/device/beef/event/up", b"{"))
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "update uplink set received_time = received_time - interval '1 hour' where reason = 'unknown_device'"
        )
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get(ADDRESS)
    assert page.status_code == 200
    text = text_of(page.text)
    assert text.index("通信網の形式が読めない 1 1") < text.index("登録されていない機器 3 1")
    assert "読み直しの記録 まだありません。" in text


def test_what_would_happen_now_is_said_in_words_and_changes_nothing(registered: Registered, hall: TownHall) -> None:
    unknown_gauge(registered)
    tables = ("uplink", "observation")
    before = [query(registered.owner, f"select * from {table} order by 1, 2") for table in tables]
    with hall.visitor(Role.DIGITAL) as client:
        page = client.get(f"{ADDRESS}/unknown_device")
        english = client.get(f"{ADDRESS}/unknown_device?lang=en")
    assert "読めます 奥沢水位観測所" in text_of(page.text)
    assert "水位 1.25 m " in text_of(page.text)
    assert "readable Okusawa gauge" in text_of(english.text) and "water level 1.25 m" in text_of(english.text)
    assert f"/digital/register?key={GAUGE}" in page.text
    assert [query(registered.owner, f"select * from {table} order by 1, 2") for table in tables] == before


def test_what_is_still_wrong_says_so(registered: Registered, hall: TownHall) -> None:
    deliver(registered, ("application/x/device/beef/event/up", b"{"))
    rename(registered, GAUGE, "elsewhere")
    deliver(registered, chirpstack(GAUGE, b"\x01\x02", counter=1, time=START))
    rename(registered, "elsewhere", GAUGE)
    with hall.visitor(Role.DIGITAL) as client:
        assert "まだ同じ理由で読めません" in client.get(f"{ADDRESS}/envelope").text
        other = text_of(client.get(f"{ADDRESS}/unknown_device").text)
        assert "まだ読めません：機種の形式と違う" in other
        assert "この理由の電文はありません" in client.get(f"{ADDRESS}/slow").text
        assert client.get(f"{ADDRESS}/no-such-reason").status_code == 404


def test_a_raw_message_is_shown_as_text_and_hex_and_never_as_markup(registered: Registered, hall: TownHall) -> None:
    deliver(
        registered,
        ("application/x/device/<b>beef</b>/event/up", b"<script>alert(1)</script>"),
        ("mimamori/v1/\u202edevice/up", b"\xff\xfe\x00"),
    )
    with hall.visitor(Role.DIGITAL) as client:
        html = client.get(f"{ADDRESS}/envelope").text
    assert "<script>alert" not in html and "<b>beef" not in html
    assert "&lt;script&gt;alert(1)" in html and "3c 73 63 72" in html and "ff fe 00" in html


@pytest.mark.parametrize("by", ["reason", "device", "message", "all"])
def test_pressing_leaves_a_wish_that_the_worker_fulfils_and_the_page_tells_of(
    registered: Registered, hall: TownHall, by: str
) -> None:
    unknown_gauge(registered)
    rename(registered, COUNTER, "elsewhere")
    deliver(registered, chirpstack(COUNTER, b"\x01", counter=1, time=START))
    (newest,) = query(registered.owner, "select max(uplink_id) from uplink where device_key = %s", GAUGE)[0]
    form, meant, found = {
        "reason": ({"reason": "unknown_device"}, "登録されていない機器", (3, 1)),
        "device": ({"reason": "unknown_device", "device": GAUGE}, f"登録されていない機器・ {GAUGE}", (3, 0)),
        "message": ({"message": str(newest)}, "電文1件", (1, 0)),
        "all": ({}, "すべて", (3, 1)),
    }[by]
    total = sum(found)
    with hall.visitor(Role.DIGITAL) as client:
        answer = client.post(ADDRESS, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{ADDRESS}?asked=asked#replays")
        waiting = text_of(client.get(answer.headers["location"]).text)
        assert "読み直しを依頼しました" in waiting and f"受信処理を待っています（{total}件）" in waiting
        work(registered)
        done = text_of(client.get(ADDRESS).text)
        assert f"{meant} 09:00 に終了 保存 {found[0]}件・まだ読めない {found[1]}件" in done.replace(" ・", "・")
        if by != "message":
            again = client.post(ADDRESS, data={"reason": "unknown_device", "device": GAUGE})
            assert again.headers["location"] == f"{ADDRESS}?asked=nothing#replays"
    ((user,),) = query(registered.owner, "select login from quarantine_replay join app_user using (user_id)")
    assert user == "own-digital"
    with connect(registered.worker, name="test") as conn:
        assert replay(conn, 1).accepted == found[0]


def test_the_page_shows_so_many_and_says_how_many_there_are(registered: Registered, hall: TownHall) -> None:
    unknown_gauge(registered, MESSAGES_SHOWN + 5)
    with hall.visitor(Role.DIGITAL) as client:
        html = client.get(f"{ADDRESS}/unknown_device").text
    assert html.count('id="message-') == MESSAGES_SHOWN
    assert f"件数 {MESSAGES_SHOWN + 5}" in text_of(html)


def test_only_the_digital_section_of_the_own_town_sees_it(registered: Registered, hall: TownHall) -> None:
    unknown_gauge(registered)
    with hall.visitor(Role.DISASTER) as client:
        assert client.get(ADDRESS).status_code == 403
        assert ADDRESS not in client.get("/digital").text
    with hall.visitor(Role.DIGITAL) as client:
        assert ADDRESS in client.get("/digital").text
    with hall.visitor(Role.DIGITAL, town="other") as client:
        assert "unknown_device" not in client.get(ADDRESS).text
        answer = client.post(ADDRESS, data={"reason": "unknown_device"})
        assert answer.headers["location"].startswith(f"{ADDRESS}?asked=nothing")
    assert query(registered.owner, "select count(*) from quarantine_replay") == [(0,)]


def test_every_reason_says_what_to_do() -> None:
    for words in load_words(PROJECT / "dashboards" / "locales").values():
        reasons = {key.removeprefix("quarantine.") for key in words.texts if key.startswith("quarantine.")}
        assert {key.removeprefix("heal.todo.") for key in words.texts if key.startswith("heal.todo.")} == reasons

"""Notices on the desk and outside: nobody reads what no person approved, and drills have no public address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree as ET

import httpx
import pytest

from api.roles import Role
from devices.clock import ClockSetting, real_now
from store import connect
from store.town_clock import write_clock
from tests.alerts.cap12 import faults
from tests.api.serving import TownHall
from tests.conftest import START

GAUGE = "river-mimamoribashi"
PUBLIC = "/public/999999"
ADDRESSES = ("notices", "widget", "notices.atom", "notices.rss", "cap.atom")
ATOM = "{http://www.w3.org/2005/Atom}"
CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
PAGE = {"Accept": "text/html"}


class Desk:
    """Somebody of the disaster desk with an alert at 2.5 m, level 3, of a real observation."""

    def __init__(self, town_hall: TownHall, client: httpx.Client) -> None:
        self.town_hall, self.client = town_hall, client
        town_hall.observe(f"{GAUGE}/water_level", (START, 2.5))
        self.alert_id = town_hall.raise_alert(f"{GAUGE}/water_level")

    def post(self, path: str, **data: str) -> httpx.Response:
        return self.client.post(path, data=data, headers=PAGE)

    def draft(self) -> str:
        answer = self.post(f"/alerts/{self.alert_id}/notice")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].split("?")[0]

    def texts(self, address: str) -> dict[str, str]:
        """What stands in the form of a draft, with the version of its words."""
        page = self.client.get(address, headers=PAGE).text
        found = dict(re.findall(r'name="(\w+_headline)"[^>]*? value="([^"]*)"', page))
        found |= dict(re.findall(r'<textarea[^>]*name="(\w+_body)"[^>]*>\n([^<]*)</textarea>', page))
        version = re.search(r'name="text" value="(\d+)"', page)
        assert version is not None and len(found) == 6
        return {**found, "text": version[1]}

    def approve(self, address: str) -> str:
        answer = self.post(f"{address}/approve", text=self.texts(address)["text"], hours="3")
        assert answer.status_code == 303, answer.text
        return address


@pytest.fixture
def outside(town_hall: TownHall) -> Iterator[httpx.Client]:
    """Anybody: no session, no cookie."""
    with httpx.Client(base_url=town_hall.url, timeout=20, trust_env=False) as client:
        yield client


def real(town_hall: TownHall) -> None:
    """A clock that is nobody's simulation; the server reads it within seconds."""
    with connect(town_hall.database.owner, name="test") as conn:
        now = real_now()
        write_clock(conn, ClockSetting(simulated=False, real_start=now, town_start=now, speed=1.0))


def test_nobody_outside_reads_what_no_person_approved(town_hall: TownHall, outside: httpx.Client) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        address = desk.draft()
        headline = desk.texts(address)["ja_headline"]
        number = address.rsplit("/", 1)[1]
        for path in ADDRESSES:
            answer = outside.get(f"{PUBLIC}/{path}")
            assert answer.status_code == 200 and headline not in answer.text and "町基準３" not in answer.text
        assert outside.get(f"{PUBLIC}/cap/{number}.xml").status_code == 404
        assert "いま掲載しているお知らせはありません。" in outside.get(f"{PUBLIC}/notices").text
        desk.approve(address)
        for path in ADDRESSES:
            assert headline in outside.get(f"{PUBLIC}/{path}").text
        assert outside.get(f"{PUBLIC}/cap/{number}.xml").status_code == 200


def test_a_drill_stands_on_no_public_address_and_its_message_is_for_staff_alone(
    town_hall: TownHall, outside: httpx.Client
) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        with connect(town_hall.database.owner, name="test") as conn:
            conn.execute("update alert set mode = 'exercise'")
        address = desk.approve(desk.draft())
        number = address.rsplit("/", 1)[1]
        page = client.get(address, headers=PAGE).text
        assert "【訓練】" in page and "公開のページにも更新情報にも載りません" in page
        document = client.get(f"{address}/cap.xml").content
        assert faults(document) == [] and ET.fromstring(document).findtext(f"{CAP}note", "").startswith(
            "【模擬】【訓練】"
        )
        assert client.get(f"{address}/sheet.txt").text.lstrip("\ufeff").startswith("【模擬】【訓練】")
    for path in ADDRESSES:
        assert "訓練" not in outside.get(f"{PUBLIC}/{path}").text
    assert outside.get(f"{PUBLIC}/cap/{number}.xml").status_code == 404


def test_the_three_variants_say_the_same_on_the_page_and_nothing_is_set_in_the_browser(
    town_hall: TownHall, outside: httpx.Client
) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        address = desk.draft()
        texts = desk.texts(address)
        desk.approve(address)
    for variant, closing in (
        ("ja", "避難の情報は町が別に発令します。現在："),
        ("en", "Evacuation information is issued separately by the municipality. At present:"),
    ):
        answer = outside.get(f"{PUBLIC}/notices?lang={variant}")
        assert texts[f"{variant}_headline"] in answer.text and closing in answer.text
        assert answer.headers["content-language"] == variant
    plain = outside.get(f"{PUBLIC}/notices?lang=plain")
    assert "<ruby>川<rp>（</rp><rt>かわ</rt><rp>）</rp></ruby>" in plain.text
    assert re.sub(r"<[^>]+>", "", plain.text).count("逃（に）げる ための お知（し）らせは 町（まち）が") == 1
    for path in ADDRESSES:
        answer = outside.get(f"{PUBLIC}/{path}", headers={"Cookie": "mimamori_lang=en"})
        assert answer.headers["cache-control"] == "public, max-age=30"
        assert "set-cookie" not in answer.headers and "<script" not in answer.text
        assert "模擬" in answer.text
        assert all(level not in answer.text for level in ("mark-3", "badge", "警戒レベル"))


def test_the_widget_alone_may_stand_in_a_frame(town_hall: TownHall, outside: httpx.Client) -> None:
    widget = outside.get(f"{PUBLIC}/widget").headers
    assert "frame-ancestors *" in widget["content-security-policy"] and "x-frame-options" not in widget
    assert "script" not in widget["content-security-policy"]
    for path in ("/notices", "/notices.atom", "/../../sign-in"):
        other = outside.get(f"{PUBLIC}{path}").headers
        assert "frame-ancestors 'none'" in other["content-security-policy"] and other["x-frame-options"] == "DENY"
    asked = town_hall.url + f"{PUBLIC}/notices?x=frame-ancestors *"
    assert httpx.get(asked, trust_env=False).headers["x-frame-options"] == "DENY"


def test_the_feeds_are_atom_and_every_message_is_cap(town_hall: TownHall, outside: httpx.Client) -> None:
    real(town_hall)
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        first = desk.approve(desk.draft())
        second = desk.approve(desk.draft())
        answer = desk.post(f"{second}/withdraw", why="mistake")
        third = desk.approve(answer.headers["location"].split("?")[0])
    numbers = [address.rsplit("/", 1)[1] for address in (third, second, first)]
    feed = outside.get(f"{PUBLIC}/notices.atom?lang=en")
    assert feed.headers["content-type"] == "application/atom+xml; charset=utf-8"
    root = ET.fromstring(feed.content)
    assert root.findtext(f"{ATOM}id", "").startswith("urn:uuid:") and root.findtext(f"{ATOM}author/{ATOM}name")
    entries = root.findall(f"{ATOM}entry")
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == 3
    for entry in entries:
        times = [datetime.fromisoformat(entry.findtext(f"{ATOM}{name}", "")) for name in ("published", "updated")]
        assert all(time.tzinfo for time in times) and entry.findtext(f"{ATOM}title", "").isascii()
        assert entry.findtext(f"{ATOM}content", "").startswith("River level notice (municipal sensor")
    messages = ET.fromstring(outside.get(f"{PUBLIC}/cap.atom").content).findall(f"{ATOM}entry/{ATOM}content/{CAP}alert")
    assert [each.findtext(f"{CAP}msgType") for each in messages] == ["Cancel", "Update", "Alert"]
    assert {each.findtext(f"{CAP}status") for each in messages} <= {"Actual", "Test"}
    for number, inside in zip(numbers, messages, strict=True):
        answer = outside.get(f"{PUBLIC}/cap/{number}.xml")
        assert answer.headers["content-type"] == "application/cap+xml; charset=utf-8"
        assert faults(answer.content) == [] and faults(ET.tostring(inside)) == []
        assert ET.fromstring(answer.content).findtext(f"{CAP}identifier") == f"999999-{number}"
    assert (messages[0].findtext(f"{CAP}references") or "").count("mimamori-999999,") == 2


def test_a_reader_that_knows_rss_alone_reads_the_same(town_hall: TownHall, outside: httpx.Client) -> None:
    """RSS 2.0: what it says a channel and an item must have, whole addresses, and dates of RFC 822."""
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        addresses = [desk.approve(desk.draft()) for _ in range(2)]
    numbers = [address.rsplit("/", 1)[1] for address in reversed(addresses)]
    for variant in ("ja", "plain", "en"):
        answer = outside.get(f"{PUBLIC}/notices.rss?lang={variant}")
        assert answer.headers["content-type"] == "application/rss+xml; charset=utf-8"
        root = ET.fromstring(answer.content)
        assert (root.tag, root.get("version"), len(root)) == ("rss", "2.0", 1)
        channel = root[0]
        for name in ("title", "link", "description"):
            assert len(channel.findall(name)) == 1 and channel.findtext(name)
        parsedate_to_datetime(channel.findtext("lastBuildDate", ""))
        items = channel.findall("item")
        atom = ET.fromstring(outside.get(f"{PUBLIC}/notices.atom?lang={variant}").content).findall(f"{ATOM}entry")
        assert [item.findtext("title") for item in items] == [entry.findtext(f"{ATOM}title") for entry in atom]
        assert [item.findtext("guid") for item in items] == [entry.findtext(f"{ATOM}id") for entry in atom]
        for item, number in zip(items, numbers, strict=True):
            assert item.find("guid").get("isPermaLink") == "false"  # type: ignore[union-attr]
            link = item.findtext("link", "")
            assert link.startswith(f"{town_hall.url}{PUBLIC}/notices") and link.endswith(f"#notice-{number}")
            assert f'id="notice-{number}"' in outside.get(link).text
            assert parsedate_to_datetime(item.findtext("pubDate", "")).tzinfo is not None
        told = [item.findtext("description", "") for item in items]
        closing = {"ja": "避難の情報は町が別に発令します。", "en": "Evacuation information is", "plain": "逃（に）げる"}
        assert all(closing[variant] in each for each in told)
    strange = outside.get(f"{PUBLIC}/notices.rss", headers={"Host": 'x"><y'})
    assert strange.status_code == 400 or b"<y" not in strange.content


def test_a_word_that_may_not_stand_there_comes_back_with_the_reason_and_what_was_typed(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        address = desk.draft()
        answer = desk.post(address, **{**desk.texts(address), "ja_body": "大雨警報です。<b>"})
        assert answer.status_code == 409
        assert (
            "「警報」は使えません。気象庁だけが使える言葉です" in answer.text
            and "大雨警報です。&lt;b&gt;" in answer.text
        )
        english = desk.post(f"{address}?lang=en", **{**desk.texts(address), "en_headline": "Flood warning"})
        assert "&#39;warning&#39; may not be used." in english.text and "Art. 23" in english.text
        good = desk.post(address, **{**desk.texts(address), "ja_body": "見に行かないでください。"})
        assert good.status_code == 303 and desk.texts(address)["ja_body"] == "見に行かないでください。"


def test_what_somebody_else_rewrote_meanwhile_is_not_approved_unread(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        address = desk.draft()
        read = desk.texts(address)
        desk.post(address, **{**read, "ja_body": "別の文"})
        answer = desk.post(f"{address}/approve", text=read["text"], hours="3")
        assert answer.status_code == 409 and "文面が変わりました" in answer.text
        for hours in ("0", "48", "x"):
            answer = desk.post(f"{address}/approve", text=desk.texts(address)["text"], hours=hours)
            assert answer.status_code == 409 and "24 時間以内" in answer.text


def test_only_the_disaster_desk_acts_and_everybody_may_look(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        address = Desk(town_hall, client).draft()
    with town_hall.visitor(Role.VIEWER) as client:
        page = client.get(address, headers=PAGE).text
        assert "町基準" in page and "この文面を承認する" not in page and "<textarea" not in page
        assert client.post(f"{address}/approve", data={"text": "1", "hours": "3"}).status_code == 403


def test_whose_levels_they_are_is_stated_on_the_page_by_a_named_person(town_hall: TownHall) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        basis = f"/disaster/gauges/{GAUGE}/basis"
        refused = desk.post(basis, source="adopted", document="危第12号", dated="四月")
        assert refused.status_code == 409 and "2026-04-01 のように" in refused.text and "危第12号" in refused.text
        assert desk.post(basis, source="adopted", document="危第12号", dated="2026-04-01").status_code == 303
        page = client.get("/disaster/notices").text
        assert "町が採用した基準（危第12号、2026年4月1日）" in page and "disaster of the own town" in page
        assert "警戒レベル３相当" in desk.texts(desk.draft())["ja_headline"]
        assert desk.post("/disaster/gauges/tonari-1/basis", source="own").status_code == 404


def test_a_town_that_is_not_here_has_no_page(outside: httpx.Client) -> None:
    for path in (*ADDRESSES, "cap/1.xml"):
        assert outside.get(f"/public/000000/{path}").status_code == 404
    other = outside.get("/public/888888/notices").text
    assert "隣町" in other and "美守町" not in other


def test_one_press_renews_what_is_about_to_leave_the_page(town_hall: TownHall, outside: httpx.Client) -> None:
    with town_hall.visitor(Role.DISASTER) as client:
        desk = Desk(town_hall, client)
        address = desk.draft()
        assert client.get(address, headers=PAGE).text.count("/renew") == 0, "a draft has nothing to renew"
        desk.approve(address)
        listed = client.get("/disaster/notices", headers=PAGE).text
        assert "アラートは続いています" not in listed and "/renew" not in listed, "there is time"
        with connect(town_hall.database.owner, name="test") as conn:
            conn.execute(
                "update public_notice_event set at = at - interval '4 h', valid_until = valid_until - interval '4 h'"
            )
        listed = client.get("/disaster/notices", headers=PAGE).text
        assert (
            "期限が切れ、公開されていません。アラートは続いています。" in listed
            and f'action="{address}/renew"' in listed
        )
        assert "いま掲載しているお知らせはありません。" in outside.get(f"{PUBLIC}/notices").text
        assert desk.post(f"{address}/renew", hours="100").status_code == 409
        renewed = desk.post(f"{address}/renew", hours="6")
        assert renewed.status_code == 303, renewed.text
        page = client.get(renewed.headers["location"], headers=PAGE).text
        assert "同じ文面で延長しました。" in page and f'href="{address}"' in page
        assert "いま掲載しているお知らせはありません。" not in outside.get(f"{PUBLIC}/notices").text
        again = desk.post(f"{address}/renew", hours="6")
        assert again.status_code == 409 and "今のお知らせだけ" in again.text

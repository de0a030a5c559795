"""通信網と送信元 in a real browser: a network that nobody knows is read after a few lines, also without script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from devices.codecs import radar_level
from ingest.intake import IntakeConfig
from tests.api.serving import serving
from tests.browser.conftest import TOWN_NOW, Town, screenshot, settle, visiting
from tests.browser.fitting import at_every_width, fits, unfold
from tests.browser.story import deliver
from tests.browser.test_quarantine import work
from tests.conftest import Registered
from tests.ingest.town import GAUGE, SENSOR_HEIGHT

LEVEL = 1.25
MESSAGE = {
    "clip": {"deviceId": GAUGE.upper(), "seq": 41},
    "receivedAt": "2026/06/01 08:59:00",
    "payload": {"hex": radar_level.encode(distance=round((SENSOR_HEIGHT - LEVEL) * 1000)).hex()},
}


@pytest.fixture
def town(registered: Registered, tmp_path: Path) -> Iterator[Town]:
    settle(registered)
    with serving(registered, demo=True, intake=IntakeConfig(registered.worker)) as hall:
        yield Town(hall)


def eltres(town: Town) -> None:
    """A source that nobody has drawn a map for, and a message of it."""
    town.execute(
        "insert into mqtt_source (municipality_id, name, topic_filter, kind, created_at) "
        "select municipality_id, 'eltres', 'eltres/+/data', 'mapped', %s from municipality limit 1",
        (TOWN_NOW,),
    )
    deliver(town, ("eltres/okusawa/data", json.dumps(MESSAGE).encode()))


def test_the_pages_are_clean_in_both_languages_and_at_every_width(chromium: Browser, town: Town) -> None:
    eltres(town)
    town.execute(
        "insert into mqtt_source (municipality_id, name, topic_filter, kind, created_at, refused_at) "
        "select municipality_id, 'aws', %s, 'aws_iot_lorawan', %s, %s from municipality limit 1",
        ("town/" + "x" * 120 + "/#", TOWN_NOW, TOWN_NOW),
    )
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        page = visitor.page
        for language in ("ja", "en"):
            for name, path in (("", ""), ("-map", "/mqtt-1"), ("-known", "/mqtt-2")):
                visitor.open(f"/digital/sources{path}?lang={language}")
                if name == "-map":
                    page.locator("#device").fill("$.clip.deviceId")
                    page.locator("#counter").fill("$.clip.")
                    page.locator("#field-name-1").fill("water_level")
                    page.locator("#field-path-1").fill("$.clip.seq")
                    page.get_by_role(
                        "button", name={"ja": "保存せずに試す", "en": "Try without saving"}[language]
                    ).click()
                unfold(page)
                for width in at_every_width(page):
                    if width > 320:
                        screenshot(page, f"sources{name}-{language}-{width}")
        assert visitor.complaints == []


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_what_nobody_could_read_is_read_after_four_lines(chromium: Browser, town: Town, script: bool) -> None:
    with visiting(chromium, town, Role.DIGITAL, width=390, java_script_enabled=script) as visitor:
        page = visitor.open("/digital/sources")
        form = page.locator("form", has=page.locator("#topic"))
        form.get_by_label("名前").fill("eltres")
        form.get_by_label("トピック").fill("eltres/+/data")
        form.get_by_label("形式").select_option("mapped")
        form.get_by_role("button", name="このトピックを読む").click()
        expect(page.locator(".done")).to_contain_text("登録しました")
        expect(page.locator("#source-mqtt-1")).to_contain_text("対応づけがまだありません")

        deliver(town, ("eltres/okusawa/data", json.dumps(MESSAGE).encode()))
        page.get_by_role("link", name="eltres").click()
        expect(page.get_by_label("電文", exact=True)).to_have_value(json.dumps(MESSAGE))
        page.get_by_label("機器の番号").fill("$.clip.id")
        page.get_by_label("通し番号", exact=True).fill("$.clip.seq")
        page.get_by_label("通信網が受けた時刻").fill("$.receivedAt")
        page.get_by_label("時刻の書き方（通信網）").select_option("japan")
        page.get_by_label("機器のバイト列", exact=True).fill("$.payload.hex")
        page.get_by_role("button", name="保存せずに試す").click()
        expect(page.get_by_text("この電文はまだ読めません")).to_be_visible()
        expect(page.locator(".map-place", has=page.locator("#device"))).to_contain_text("この電文にはありません")
        page.get_by_label("機器の番号").fill("$.clip.deviceId")
        page.get_by_role("button", name="保存せずに試す").click()
        expect(page.locator("#result + dl")).to_contain_text(GAUGE)
        assert town.execute("select count(*) from source_map") == [(0,)]

        page.get_by_role("button", name="保存して").click()
        expect(page.locator(".done")).to_contain_text("読み直しを依頼しました")
        work(town)
        page.reload()
        expect(page.locator("#facts + dl")).to_contain_text("読めずに待っている電文")
        assert visitor.complaints == []
    assert town.execute("select value from observation") == [(LEVEL,)]


def test_the_secret_of_an_address_is_shown_once(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        page = visitor.open("/digital/sources")
        form = page.locator("form", has=page.locator("#name-http"))
        form.get_by_label("名前").fill("town-sigfox")
        form.get_by_label("形式").select_option("sigfox")
        form.get_by_role("button", name="宛先を作る").click()
        secret = page.locator("#secret-text").inner_text()
        fits(page, 320)
        screenshot(page, "sources-secret")
        assert len(secret) == 43
        page = visitor.open("/digital/sources")
        expect(page.locator("#source-http-1")).to_contain_text("/intake/town-sigfox")
        assert secret not in page.content()
        assert visitor.complaints == []

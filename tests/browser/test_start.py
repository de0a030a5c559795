"""The way in and around as a stranger takes it: a door of the demo, the start page, a button, a device gone silent."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, town_running, visiting
from tests.browser.fitting import clean
from tests.browser.story import tell
from tests.conftest import Registered


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    with town_running(registered, rules=False) as running:
        tell(running)
        yield running


def test_a_door_of_the_sign_in_page_leads_to_its_desk_and_the_brand_to_all_four(chromium: Browser, town: Town) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="ja-JP")
    page = context.new_page()
    page.goto(town.url)
    expect(page.locator("main")).to_contain_text("【模擬】")
    page.locator("button[data-role=tourism]").click()
    expect(page).to_have_url(f"{town.url}/tourism")
    page.locator(".brand").click()
    expect(page).to_have_url(f"{town.url}/start")
    expect(page.locator(".door").first).to_have_attribute("id", "door-tourism")
    for desk in ("disaster", "water", "tourism", "digital"):
        page.locator(f"#door-{desk} h2 a").click()
        expect(page).to_have_url(f"{town.url}/{desk}")
        page.locator(".nav a").first.click()
    context.close()


@pytest.mark.parametrize("java_script", [True, False], ids=["with JavaScript", "without"])
def test_a_press_says_what_happens_and_where_to_look(chromium: Browser, town: Town, java_script: bool) -> None:
    with visiting(chromium, town, Role.VIEWER, java_script_enabled=java_script) as visitor:
        page = visitor.open("/start?lang=ja")
        page.get_by_role("button", name="大雨を起こす").click()
        expect(page).to_have_url(f"{town.url}/start#demo")
        expect(page.get_by_role("button", name="大雨を起こす")).to_be_disabled()
        expect(page.locator("#demo-rain")).to_contain_text("上流の水位は10分ほどで上がり始めます")
        if java_script:
            page.get_by_role("button", name="機器を止める").click()
            expect(page.locator("#demo-silence")).to_be_visible()
            clean(page)
            screenshot(page, "start-pressed-ja-1280")
            page.locator("#demo-silence a").click()
            expect(page).to_have_url(re.compile(rf"{town.url}/digital#device-[0-9a-f]{{16}}"))
            clean(page)
        else:
            page.locator("#demo-rain a").click()
            expect(page).to_have_url(f"{town.url}/disaster")
        assert visitor.complaints == []


def test_a_device_turns_lost_before_the_readers_eyes_and_its_raw_messages_open(chromium: Browser, town: Town) -> None:
    town.execute(
        """
        insert into uplink (municipality_id, payload_hash, topic, raw, received_time, outcome, reason, detail)
        select municipality_id, '\\x01', 'application/x/device/beef/event/up', '\\x01feff',
               timestamptz '2026-06-01 00:31Z', 'quarantined', 'unknown_device', 'add it' from municipality limit 1
        """
    )
    with visiting(chromium, town, Role.DIGITAL, width=390) as visitor:
        page = visitor.open("/digital?lang=ja")
        row = page.locator("tr[id^=device-]").first
        expect(row.locator(".state-word")).to_be_visible()
        page.locator("summary").first.click()
        expect(page.locator("code.raw").first).to_have_text("01 fe ff")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        # a device that was heard a moment ago, and is missed after a few seconds
        town.execute(
            """
            update device set silence_after = clock.gone + interval '10 seconds'
            from (select timestamptz '2026-06-01 00:32Z' + (now() - real_start) * speed
                         - timestamptz '2026-06-01 00:32Z' as gone from town_clock) clock
            """
        )
        page.reload()
        heard = page.locator("tr[id^=device-][data-silent-at]").first
        key = heard.get_attribute("id")
        expect(page.locator(f"#{key} .state-word")).to_have_text(
            re.compile("通信断|から届いていません"), timeout=40_000
        )
        assert visitor.complaints == []

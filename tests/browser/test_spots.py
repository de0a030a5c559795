"""地点 in a real browser: a manual count is entered on a phone without script; the pages are clean at every width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, town_running, visiting
from tests.browser.fitting import at_every_width, unfold
from tests.browser.story import tell
from tests.conftest import Registered

SPOT = "/tourism/spots/spot-taki"
COUNTER = f"{SPOT}/counters/spot-taki"


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running:
        tell(running)
        yield running


def test_a_manual_count_is_kept_from_a_phone_without_script_and_every_page_is_clean(
    chromium: Browser, town: Town
) -> None:
    with visiting(chromium, town, Role.TOURISM, width=390, java_script_enabled=False) as visitor:
        page = visitor.open("/tourism")
        page.locator("a[href='/tourism/spots']").first.click()
        page.get_by_role("link", name="鈴鳴りの滝").click()
        page.get_by_role("link", name="校正 鈴鳴りの滝").click()
        page.locator("#session-day").fill("2026-05-31")
        page.locator("#session-from").fill("10:00")
        page.locator("#session-to").fill("11:00")
        page.locator("#session-in").fill("１２８人")
        page.get_by_role("button", name="記録する").click()
        expect(page.locator("#done")).to_contain_text("手数えを記録しました")
        expect(page.locator("table")).to_contain_text("128")
    with visiting(chromium, town, Role.TOURISM) as visitor:
        page = visitor.page
        for language in ("ja", "en"):
            for address in ("/tourism/spots", SPOT, COUNTER, f"{SPOT}/compare"):
                visitor.open(f"{address}?lang={language}")
                unfold(page)
                for _ in at_every_width(page, address):
                    pass
                screenshot(page, f"spots{address.replace('/', '-')}-{language}")
        assert visitor.complaints == []

"""アラートの条件 in a real browser: a rule is written, tried on what is stored, saved and read; also without script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, town_running, visiting
from tests.browser.fitting import at_every_width, unfold
from tests.browser.story import tell
from tests.conftest import Registered


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running:
        tell(running)
        yield running


def write(page: Page) -> None:
    """Fast and high at the bridge."""
    page.locator("#name").fill("急な増水")
    page.locator("#place").select_option("station:river-mimamoribashi")
    page.locator("#property-1").select_option("water_level")
    page.locator("#measure-1").select_option("rise-1800")
    page.locator("#value-1").fill("0.3")
    page.locator("#margin-1").fill("0.1")
    page.locator("details.rule-more summary").first.click()
    page.locator("#property-2").select_option("water_level")
    page.locator("#measure-2").select_option("reading")
    page.locator("#value-2").fill("1.5")
    page.locator("#hold").fill("20")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_rule_is_written_tried_and_saved(chromium: Browser, town: Town, script: bool) -> None:
    with visiting(chromium, town, Role.DISASTER, width=390, java_script_enabled=script) as visitor:
        page = visitor.open("/alerts")
        page.get_by_role("link", name="アラートの条件").click()
        page.get_by_role("link", name="新しい条件を作る").click()
        write(page)
        expect(page.get_by_role("button", name="保存する")).to_have_count(0)
        page.get_by_role("button", name="過去1年で試す").click()
        expect(page.locator(".rehearsal-sum")).to_contain_text("1回 あてはまりました")
        expect(page.locator("section.rehearsal table")).to_contain_text("水位の30分間の上昇")
        page.get_by_label("決めた理由").fill("昨年の出水から")
        page.get_by_role("button", name="この内容で保存する").click()
        expect(page.locator("#done")).to_contain_text("保存しました")
        expect(page.locator("#rule-1")).to_contain_text("水位の30分間の上昇が0.30 m以上、かつ水位が1.50 m以上")
        assert visitor.complaints == []


def test_the_pages_are_clean_in_both_languages_and_at_every_width(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.page
        for language, button in (("ja", "過去1年で試す"), ("en", "Try it on the last year")):
            visitor.open(f"/alerts/rules/new?lang={language}")
            write(page)
            page.get_by_role("button", name=button).click()
            look(page, f"rule-tried-{language}")
            page.locator("#reason").fill("昨年の出水から")
            page.locator("button[value=save]").click()
            look(page, f"rules-{language}")
            page.locator("#rules + table a").first.click()
            look(page, f"rule-{language}")
            page.locator("#value-1").fill("x")
            page.locator("button[value=rehearse]").click()
            expect(page.locator("#wrong-value-1")).to_be_visible()
            look(page, f"rule-wrong-{language}")
        assert [each for each in visitor.complaints if "422" not in each] == []


def look(page: Page, name: str) -> None:
    unfold(page)
    for width in at_every_width(page, name):
        if width > 320:
            screenshot(page, f"{name}-{width}")

"""水位の基準 in a real browser: a set is previewed and saved without script, and the page is clean at every width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, town_running, visiting
from tests.browser.fitting import at_every_width, fits
from tests.browser.story import tell
from tests.conftest import Registered

PAGE = "/disaster/stations/river-mimamoribashi"


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running:
        tell(running)
        yield running


def test_a_set_is_previewed_and_saved_without_script(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER, width=390, java_script_enabled=False) as visitor:
        page = visitor.open(PAGE)
        page.get_by_role("link", name="水位の基準と横断図（履歴・変更）").click()
        page.locator("#value-4").fill("358cm")
        page.locator("#reason").fill("河床の測量")
        expect(page.get_by_role("button", name="この組を保存する")).to_have_count(0)
        page.get_by_role("button", name="何が変わるか確かめる").click()
        expect(page.locator(".level-preview")).to_contain_text("氾濫危険水位：3.60 m → 3.58 m")
        page.get_by_role("button", name="この組を保存する").click()
        expect(page.locator("#done")).to_contain_text("保存しました")
        expect(page.locator(".level-log li").first).to_contain_text("氾濫危険水位：3.60 m → 3.58 m")
        page.locator("#file").set_input_files(
            {"name": "a.csv", "mimeType": "text/csv", "buffer": b"distance,height\n0,x\n"}
        )
        page.get_by_role("button", name="横断図を登録する").click()
        expect(page.locator(".section-wrong")).to_contain_text("2行目: 標高「x」は数ではありません")
        assert [each for each in visitor.complaints if "422" not in each] == []


def test_the_page_is_clean_in_both_languages_and_at_every_width(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        page = visitor.page
        for language in ("ja", "en"):
            visitor.open(f"{PAGE}/levels?lang={language}")
            page.locator("#kind-8").select_option("local")
            page.locator("#value-8").fill("3.9")  # and no name
            page.locator("button[value=preview]").click()
            expect(page.locator("#wrong-name-8")).to_be_visible()
            fits(page, 390)
            page.locator("#name-8").fill("消防倉庫の床")
            page.locator("button[value=preview]").click()
            expect(page.locator(".level-preview")).to_be_visible()
            for _ in at_every_width(page):
                pass
            screenshot(page, f"levels-{language}")
        assert [each for each in visitor.complaints if "422" not in each] == []

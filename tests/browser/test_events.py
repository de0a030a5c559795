"""行事 in a real browser: the tent's page renews itself, the pages are clean and fit, the sheet is one sheet of A4."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ViewportSize, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, visiting
from tests.browser.fitting import fits

UNTIL = 60_000  # ms: generous, a deadline and no measurement
A4: ViewportSize = {"width": 718, "height": 1047}  # px of the paper within margins of 10 mm
GATE = "spot-asaichi"


def passed(town: Town, *counts: tuple[int, int, int]) -> None:
    """Minutes from now (9:32), in and out."""
    town.observe(f"{GATE}/passages_in", *((minutes, into) for minutes, into, _ in counts))
    town.observe(f"{GATE}/passages_out", *((minutes, out) for minutes, _, out in counts))


def test_the_day_of_an_event_from_the_first_entry_to_the_sheet_of_paper(chromium: Browser, town_page: Town) -> None:
    with (
        visiting(chromium, town_page, Role.TOURISM, width=390) as clerk,
        visiting(chromium, town_page, Role.DISASTER) as tent,
    ):
        page = clerk.open("/tourism/events")
        page.get_by_text("1件ずつ書く").click()
        page.get_by_label("名称").fill("港まつり")
        page.get_by_label("最初の日").fill("2026-06-01")
        page.get_by_role("group", name="対象の地点").get_by_label("港の朝市").check()
        page.get_by_role("group", name="比べる地点").get_by_label("美守岬灯台").check()
        fits(page, 390)
        page.get_by_role("button", name="保存する").first.click()
        expect(page.locator("#done")).to_contain_text("書きました")
        event = urlsplit(page.url).path
        page.get_by_role("link", name="当日の人数").click()
        page.get_by_label("数え始める日時").fill("2026-06-01T08:32")
        page.get_by_role("group", name="会場の入口").get_by_label("港の朝市", exact=True).check()
        page.get_by_label("1段目").fill("150")
        page.get_by_role("button", name="この内容で見る").click()
        expect(page.locator("#done")).to_contain_text("準備ができました")

        watched = tent.open(f"{event}/day")
        expect(watched.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
        expect(watched.locator(".tent-number")).to_have_text("分かりません")
        passed(town_page, (-50, 40, 0), (-40, 40, 0), (-30, 40, 10), (-20, 40, 10), (-10, 40, 20), (0, 40, 20))
        expect(watched.locator("#estimate")).to_have_text("約 180 人", timeout=UNTIL)
        expect(watched.locator(".tent-state")).to_contain_text("1段目（150人）に達しています")
        page = clerk.open(f"{event}/day")
        page.get_by_label("会場にいる人数").fill("120")
        page.get_by_role("button", name="この人数から数えなおす").click()
        expect(page.locator("#estimate")).to_have_text("約 120 人")
        expect(watched.locator("#estimate")).to_have_text("約 120 人", timeout=UNTIL)
        page = clerk.open(f"{event}/report")
        page.get_by_label("発表された人数").fill("900")
        page.get_by_label("だれの発表か").fill("港まつり実行委員会")
        page.get_by_role("button", name="保存する").click()
        expect(page.locator("#done")).to_contain_text("主催者発表")

        for path in ("/tourism/events", event, f"{event}/day", f"{event}/report"):
            for language, width in (("ja", 1280), ("ja", 390), ("en", 320)):
                clerk.page.set_viewport_size({"width": width, "height": 900})
                page = clerk.open(f"{path}?lang={language}")
                fits(page, width)
                screenshot(page, f"{path.strip('/').replace('/', '-')}-{language}-{width}")
        page = clerk.open(f"{event}/report?lang=ja")
        page.set_viewport_size(A4)
        page.emulate_media(media="print")
        for each in page.locator("button, input, .links").all():
            expect(each).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        pdf = page.pdf(format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "10mm"))
        screenshot(page, "paper-event")
        assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) == 1
        assert clerk.complaints == [] and tent.complaints == []

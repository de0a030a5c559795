"""The tourism desk in a real browser: a number entered by hand arrives on the page, on a phone and without script."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from tests.browser.conftest import TOWN_NOW, Town, screenshot, visiting
from tests.browser.fitting import at_every_width, fits
from tests.browser.story import tell

MUSEUM = "spot-shiryokan"
UNTIL = 30_000  # ms: generous, a deadline and no measurement
SMALLEST_CHOICE = """() => [...document.querySelectorAll('.choice, .entry input:not([type=hidden]), .entry button')]
    .map((element) => element.getBoundingClientRect())
    .reduce((least, box) => Math.min(least, box.width, box.height), 1000)"""


def enter(page: Page, number: str) -> None:
    page.get_by_label("人数（延べ）", exact=True).fill(number)
    page.locator(".entry-save").click()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_three_taps_on_a_phone_bring_a_number_onto_an_open_tourism_page(
    chromium: Browser, town_page: Town, script: bool
) -> None:
    phone = {"width": 390, "java_script_enabled": script, "has_touch": True}
    with (
        visiting(chromium, town_page, Role.DISASTER) as desk,
        visiting(chromium, town_page, Role.TOURISM, **phone) as clerk,
    ):
        watched = desk.open("/tourism")
        expect(watched.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
        row = watched.locator(f"#station-{MUSEUM}")
        expect(row).to_contain_text("今日は未入力")
        page = clerk.open("/tourism")
        page.get_by_role("link", name="日別の人数を入力する").click()
        page.locator(".choice", has_text="美守郷土資料館").tap()
        page.locator(".choice", has_text="6/1（月）").tap()
        field = page.get_by_label("人数（延べ）", exact=True)
        assert field.get_attribute("inputmode") == "numeric"
        enter(page, "３２１")
        expect(page.locator(".done")).to_contain_text("保存しました：美守郷土資料館 6/1（月）")
        expect(page.locator("#entries li")).to_have_count(1)
        expect(row.locator(".number")).to_have_text("321", timeout=UNTIL)
        cell = watched.locator(".calendar tbody tr").first.locator("td").last
        expect(cell).to_contain_text("手入力")
        expect(cell).to_contain_text("321")
        enter(page, "312")
        expect(page.locator(".done")).to_contain_text("訂正しました")
        expect(page.locator("#entries li").first).to_contain_text("321 人を 312 人に訂正")
        expect(row.locator(".number")).to_have_text("312", timeout=UNTIL)
        assert clerk.complaints == [] and desk.complaints == []


def test_the_question_about_a_digit_too_many_stays_while_the_page_follows_the_town(
    chromium: Browser, town_page: Town
) -> None:
    with visiting(chromium, town_page, Role.TOURISM, width=320) as clerk:
        page = clerk.open(f"/tourism/entry/{MUSEUM}")
        for back in (4, 5, 6):
            page = clerk.open(f"/tourism/entry/{MUSEUM}?day={TOWN_NOW.date() - timedelta(days=back)}")
            enter(page, "40")
            expect(page.locator(".done")).to_contain_text("保存しました")
        page = clerk.open(f"/tourism/entry/{MUSEUM}?day={TOWN_NOW.date() - timedelta(days=3)}")
        enter(page, "4000")
        expect(page.get_by_role("alert")).to_contain_text("10倍以上")
        with page.expect_response(lambda answer: "fragment=1" in answer.url, timeout=UNTIL):
            town_page.observe("river-mimamoribashi/water_level", (-2, 3.5))
        expect(page.get_by_role("alert")).to_contain_text("10倍以上")
        assert page.get_by_label("人数（延べ）", exact=True).input_value() == "4000"
        fits(page, 320)
        screenshot(page, "tourism_entry-asked-ja-320")
        page.locator(".entry-save").click()
        expect(page.locator(".done")).to_contain_text("保存しました")
        page.get_by_role("button", name="入力した 4,000 人を取り消す").click()
        expect(page.locator("#entries li").first).to_contain_text("4,000 人を取り消し")


def test_the_form_is_clean_and_fits_in_both_languages_and_its_targets_are_for_thumbs(
    chromium: Browser, town_page: Town
) -> None:
    tell(town_page)
    with visiting(chromium, town_page, Role.TOURISM) as clerk:
        for language in ("ja", "en"):
            page = clerk.open(f"/tourism/entry/spot-taki?lang={language}")
            expect(page.locator("#lamp")).to_have_attribute("data-state", "on")
            for width in at_every_width(page):
                assert page.evaluate(SMALLEST_CHOICE) >= 44
                if width > 320:
                    screenshot(page, f"tourism_entry-{language}-{width}")
        assert clerk.complaints == []


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_confirmed_value_is_replaced_on_purpose_only(chromium: Browser, town_page: Town, script: bool) -> None:
    day = TOWN_NOW.date() - timedelta(days=1)
    address = f"/tourism/entry/{MUSEUM}?day={day}"
    with visiting(chromium, town_page, Role.TOURISM, width=320, java_script_enabled=script) as clerk:
        page = clerk.open(address)
        enter(page, "120")
        expect(page.locator(".done")).to_contain_text("保存しました")
        town_page.execute("update observation set (quality, reason) = ('good', 'confirmed') where value = 120", ())
        for language in ("en", "ja"):
            page = clerk.open(f"{address}&value=210&unsaid=1&lang={language}")
            expect(page.get_by_role("alert")).to_be_visible()
            if script:  # axe is one
                fits(page, 320)
                screenshot(page, f"tourism_entry-confirmed-{language}-320")
        page = clerk.open(address)
        expect(page.locator("#standing")).to_contain_text("120 人は、確かめて確定した値です")
        page.get_by_label("人数（延べ）", exact=True).fill("210")
        page.get_by_label("訂正の理由").fill("転記ミス")
        page.locator(".entry-save").click()  # the browser itself asks for the tick
        expect(page.locator(".done")).to_be_empty()
        page.get_by_label("確かめた値を置き換えます").check()
        page.locator(".entry-save").click()
        expect(page.locator(".done")).to_contain_text("訂正しました")
        expect(page.locator("#entries li").first).to_contain_text("120 人を 210 人に訂正")
        page.get_by_label("取り消しの理由").fill("別の日の数")
        page.get_by_label("確かめた値を取り消します").check()
        page.get_by_role("button", name="入力した 210 人を取り消す").click()
        expect(page.locator("#entries li").first).to_contain_text("210 人を取り消し")
        expect(page.locator("#standing")).to_contain_text("欠測")
        assert clerk.complaints == []


def test_the_page_compares_today_with_the_usual_and_shows_a_month_with_both_methods(
    chromium: Browser, town_page: Town
) -> None:
    spot = "spot-michinoeki/passages_in"
    midnight = -(9 * 60 + 32)
    for back in (0, 3, 4, 5, 6):
        town_page.observe(
            spot, *((midnight - back * 1440 + n * 10, 2.0 if back else 3.0) for n in range(1, 58 if not back else 145))
        )
    with visiting(chromium, town_page, Role.TOURISM) as clerk:
        row = clerk.open("/tourism").locator("#station-spot-michinoeki")
        # the days count once analytics has them in its rollups
        expect(row).to_contain_text("比較なし")
        town_page.execute(
            """
            insert into rollup_day (municipality_id, datastream_id, day, n, expected, total, worst_quality)
            select %s, %s, day, 144, 144, 288, 'good'
            from unnest('{2026-05-29,2026-05-28,2026-05-27,2026-05-26}'::date[]) as day
            """,
            (
                town_page.hall.database.municipality_id,
                town_page.hall.database.datastream("spot-michinoeki", "passages_in"),
            ),
        )
        page = clerk.open("/tourism")
        expect(row).to_contain_text("ふだん（平日）の中央値 114（n=4）の 150 %")
        expect(row).to_contain_text("09:30 までの数")
        first = page.locator(".calendar tbody tr")
        expect(first).to_have_count(7)
        page.get_by_role("link", name="前の月").click()
        expect(page.locator(".calendar tbody tr")).to_have_count(31)
        expect(page.locator(".calendar tbody tr", has_text="5/29（金）")).to_contain_text("288")
        with page.expect_download() as download:
            page.get_by_role("link", name="この表の CSV").click()
        assert download.value.suggested_filename == "visits_999999_20260501-20260531.csv"
        assert clerk.complaints == []

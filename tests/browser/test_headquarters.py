"""The headquarters' pages in a real browser: a record kept with the keyboard alone, on paper, on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, visiting
from tests.browser.fitting import at_every_width, clean
from tests.browser.test_look import A4

UNTIL = 30_000  # ms: generous, a deadline and no measurement


def type_line(page: Page, *fields: str) -> None:
    """From the first field on, as fingers do it: the source by arrow keys, Tab, ..., Enter."""
    source, who, place, text, time = fields
    page.keyboard.press("Home")
    for _ in range(("電", "現", "本").index(source)):
        page.keyboard.press("ArrowDown")
    for value in (who, place, text, time):
        page.keyboard.press("Tab")
        page.keyboard.type(value)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_lines_are_written_with_the_keyboard_alone_and_arrive_on_an_open_page(
    chromium: Browser, town_page: Town, script: bool
) -> None:
    with (
        visiting(chromium, town_page, Role.TOURISM) as other,
        visiting(chromium, town_page, Role.DISASTER, java_script_enabled=script) as staff,
    ):
        watched = other.open("/disaster/log")
        expect(watched.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
        expect(watched.locator("#line-text")).to_have_count(0)
        page = staff.open("/disaster/log")
        expect(page.locator("#line-source")).to_be_focused()
        type_line(page, "現", "消防団 第3分団", "見守橋", "橋脚の半分まで水", "0915")
        expect(page.locator("#done")).to_contain_text("記録しました", timeout=UNTIL)
        expect(page.locator("#line-source")).to_be_focused()
        expect(page.locator("#line-text")).to_have_value("")
        type_line(page, "電", "", "", "停電の通報", "")
        rows = page.locator(".record tbody tr")
        expect(rows).to_have_count(2, timeout=UNTIL)
        expect(rows.first).to_contain_text("停電の通報")
        expect(watched.locator(".record tbody tr")).to_have_count(2, timeout=UNTIL)
        expect(watched.locator(".record tbody tr").nth(1)).to_contain_text("橋脚の半分まで水")
        assert other.complaints == []


def test_what_is_refused_stays_in_its_fields_and_is_said(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.DISASTER) as staff:
        page = staff.open("/disaster/log")
        type_line(page, "電", "", "", "停電の通報", "あとで")
        expect(page.locator("#problem")).to_contain_text("時刻として読み取れません", timeout=UNTIL)
        expect(page.locator("#line-text")).to_have_value("停電の通報")
        clean(page)


def tell(page: Page) -> None:
    for fields in (
        ("電", "北区 区長", "奥沢地区", "沢の水がにごり、石の転がる音がする", "2340"),
        ("本", "", "", "災害警戒本部を設置。防災担当3人が参集", "2355"),
        ("現", "消防団 第3分団", "見守橋", "橋脚の半分まで水。流木が引っかかっている", "0015"),
        ("現", "建設課 山田", "町道 竹原線", "土砂が片側をふさいだ。通行止めの看板を置いた", "0310"),
    ):
        before = page.locator(".record tbody tr").count()
        type_line(page, *fields)
        expect(page.locator(".record tbody tr")).to_have_count(before + 1, timeout=UNTIL)
        expect(page.locator("#line-source")).to_be_focused(timeout=UNTIL)


def test_the_record_is_clean_in_both_languages_and_widths_and_on_paper(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.DISASTER) as staff:
        tell(staff.open("/disaster/log"))
        page = staff.open("/disaster/log/3")
        page.locator("#line-text").fill("橋脚の3分の2まで水。流木が引っかかっている")
        page.get_by_role("button", name="訂正を保存する").click()
        expect(page.locator("#line-3")).to_contain_text("訂正 1回")
        for language in ("ja", "en"):
            for name, path in (
                ("log", "/disaster/log?"),
                ("line", "/disaster/log/3?"),
                ("drill", "/disaster/log?drill=1&"),
            ):
                page.set_viewport_size({"width": 1280, "height": 900})
                staff.open(f"{path}lang={language}")
                expect(page.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
                for width in at_every_width(page):
                    if width > 320:
                        screenshot(page, f"headquarters-{name}-{language}-{width}")
        page.set_viewport_size(A4)
        staff.open("/disaster/log?order=time&lang=ja")
        page.emulate_media(media="print")
        for gone in (".nav", ".line-form", ".links", ".record-more", "form.actions"):
            for each in page.locator(gone).all():
                expect(each).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        screenshot(page, "paper-record")
        assert page.pdf(format="A4").startswith(b"%PDF")
        assert staff.complaints == []


def test_orders_and_the_checklist_are_clean_in_both_languages_and_widths(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.DISASTER) as staff:
        page = staff.open("/disaster/checklist/edit")
        page.locator("#task-3").fill("避難所の鍵を開ける\n広報車を浜町に出す")
        page.locator("#call-3").fill("北区 区長 00-0000-0000\n消防団 第3分団長 00-0000-0001")
        page.locator("#task-4").fill("町長に状況を報告する")
        screenshot(page, "headquarters-checklist-edit")
        page.get_by_role("button", name="保存する").click()
        expect(page.locator("#done")).to_contain_text("保存しました")
        page = staff.open("/disaster/evacuation")
        page.get_by_label("警戒レベル３").check()
        page.locator("#issue-districts").fill("奥沢地区、浜町の一部")
        page.locator("#issue-issued_at").fill("0840")
        page.locator("#issue-decided_by").fill("町長 山田太郎")
        page.get_by_role("button", name="発令を記録する").click()
        expect(page.locator("#order-1")).to_contain_text("奥沢地区、浜町の一部", timeout=UNTIL)
        expect(page.locator("#issue-districts")).to_have_value("")
        page.locator("#declare-stage").fill("第2配備")
        page.locator("#declare-decided_by").fill("総務課長 佐藤")
        page.get_by_role("button", name="配備体制を記録する").click()
        expect(page.locator("section[aria-labelledby=stage]")).to_contain_text("第2配備", timeout=UNTIL)
        page = staff.open("/disaster/checklist")
        tick = page.locator("#item-1 button")
        tick.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#item-1")).to_contain_text("済を取り消す", timeout=UNTIL)
        for language in ("ja", "en"):
            for name in ("evacuation", "evacuation/orders/1", "evacuation/stages/1", "checklist", "checklist/edit"):
                page.set_viewport_size({"width": 1280, "height": 900})
                staff.open(f"/disaster/{name}?lang={language}")
                expect(page.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
                for width in at_every_width(page):
                    if width > 320:
                        screenshot(page, f"headquarters-{name}-{language}-{width}")
        page.set_viewport_size({"width": 1280, "height": 900})
        staff.open("/disaster?lang=ja")
        expect(page.locator(".desk-log")).to_contain_text("奥沢地区、浜町の一部")
        assert staff.complaints == []


def test_the_course_of_an_event_is_clean_in_both_languages_and_widths_and_on_paper(
    chromium: Browser, town_page: Town
) -> None:
    town_page.observe("river-mimamoribashi/water_level", (-40, 1.2), (-30, 2.9), (-20, 3.4), (-10, 3.1))
    with visiting(chromium, town_page, Role.DISASTER) as staff:
        page = staff.open("/disaster/log")
        type_line(page, "現", "消防団 第3分団", "見守橋", "橋脚の半分まで水", "0910")
        expect(page.locator(".record tbody tr")).to_have_count(1, timeout=UNTIL)
        page = staff.open("/disaster/review")
        expect(page.locator("[id^=raised-]").first).to_contain_text("美守橋")
        page.locator(".mark-form select").first.select_option("false")
        page.locator(".mark-form input[name=note]").first.fill("流木がセンサーの下を通った")
        page.get_by_role("button", name="判断を記録する").first.click()
        expect(page.locator("#done")).to_contain_text("判断を記録しました")
        for language in ("ja", "en"):
            page.set_viewport_size({"width": 1280, "height": 900})
            staff.open(f"/disaster/review?lang={language}")
            expect(page.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
            for width in at_every_width(page):
                if width > 320:
                    screenshot(page, f"headquarters-review-{language}-{width}")
        page.set_viewport_size(A4)
        staff.open("/disaster/review?lang=ja")
        page.emulate_media(media="print")
        for each in page.locator(".mark-form, form.actions, .links").all():
            expect(each).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        screenshot(page, "paper-course")
        assert staff.complaints == []

"""連絡先 and 当番表 in a real browser: words, keyboard and phone, in both languages."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.alerts.people import channels, group, person
from tests.browser.conftest import Town, visiting
from tests.browser.test_folders import clean


def test_people_are_entered_and_take_turns(chromium: Browser, town_page: Town) -> None:
    town = town_page.hall.database
    channels(town, "mail")
    with visiting(chromium, town_page, Role.DIGITAL) as visitor:
        page = visitor.open("/digital")
        page.get_by_role("link", name="連絡先").click()
        form = page.locator("form[aria-labelledby=add-person]")
        form.get_by_label("名前").fill("田中 一郎")
        form.get_by_label("宛先").fill("tanaka@example.jp")
        form.get_by_role("button", name="加える").click()
        expect(page.locator("#said")).to_have_text("加えました。")
        person(town, "鈴木 花子")
        person(town, "役場の回転灯", kind="equipment")
        page.get_by_label("班の名前").fill("防災当番")
        page.get_by_role("button", name="班を作る").click()
        clean(page, "people-ja")
        page.get_by_role("link", name="防災当番", exact=True).click()
        page.get_by_label("段階").select_option(label="レベル3相当以上")
        page.get_by_role("button", name="加える").click()
        for name in ("田中 一郎", "鈴木 花子"):
            page.get_by_label(name).check()
        page.locator("#members ~ form").get_by_role("button", name="保存").click()
        expect(page.locator("#said")).to_have_text("保存しました。")
        clean(page, "group-ja")
        page.get_by_role("link", name="通知の試験").click()
        page.get_by_text("試験のお知らせをいま送る").click()
        clean(page, "group-test-ja")
        page.get_by_role("button", name="1件の試験を送る").click()
        expect(page.locator("#said")).to_contain_text("試験のお知らせを送ります")
        written = page.get_by_text("2人のうち0人が応答しました。")
        for _ in range(60):  # the alerts process looks every few seconds
            page.reload()
            if written.count():
                break
            page.wait_for_timeout(500)
        expect(written).to_be_visible()
        clean(page, "group-tested-ja")
        page.get_by_role("link", name="防災当番").click()
        page.get_by_role("link", name="当番表").click()
        page.locator("select[name^='person.']").first.select_option(label="田中 一郎")
        page.locator("select[name^='substitute.']").first.select_option(label="鈴木 花子（連絡できません）")
        page.get_by_role("button", name="保存").click()
        expect(page.locator("#said")).to_have_text("当番表を保存しました。")
        expect(page.locator("select[name^='substitute.']").first.locator("option:checked")).to_have_text(
            "鈴木 花子（連絡できません）"
        )
        clean(page, "duty-ja")
        for name, address in (
            ("people", "/digital/people"),
            ("duty", "/alerts/duty"),
            ("group", "/digital/groups/1"),
            ("group-test", "/digital/groups/1/test"),
        ):
            page.goto(f"{town_page.url}{address}?lang=en")
            clean(page, f"{name}-en")
        assert visitor.complaints == []


def test_a_desk_without_groups_is_told_who_makes_them(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        page.get_by_role("link", name="当番表").click()
        expect(page.get_by_text("まだ班がありません")).to_be_visible()
        group(town_page.hall.database, "防災当番", [])
        page.reload()
        expect(page.get_by_text("班に人がいません")).to_be_visible()

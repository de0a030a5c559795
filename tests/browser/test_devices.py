"""The register of devices as a person uses it: with the keyboard and the mouse, and without script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, visiting, wait_until
from tests.browser.fitting import clean
from tests.browser.test_look import town
from tests.devices.test_pictures import png
from tests.ingest.town import GAUGE

__all__ = ["town"]

LINE = (
    "機器ID,機種,地点コード,ひな形,地点名,緯度,経度,割付け,観測開始水位,観測停止水位\n"
    "new-1,radar_level,river-shinkawa,危機管理型水位計,新川橋,{latitude},135.04,water_level=distance*-0.001+5.2,1.2,1.0\n"
)


def test_a_list_is_checked_corrected_and_registered(chromium: Browser, town: Town, tmp_path: Path) -> None:
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_bytes(LINE.format(latitude="北緯32度").encode("cp932"))
    right.write_bytes(LINE.format(latitude="32.44").encode("cp932"))
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        page = visitor.open("/digital")
        page.get_by_role("link", name="機器の一覧").click()
        page.get_by_role("link", name="機器の一括登録").click()
        page.get_by_label("記入したファイル").set_input_files(wrong)
        page.get_by_role("button", name="確認する").click()
        expect(page.get_by_role("alert")).to_contain_text("何も登録していません")
        row = page.get_by_role("row").filter(has_text="2行目")
        expect(row).to_contain_text("F2")
        expect(row).to_contain_text("緯度")
        clean(page)
        # The page renews itself from its plain address: what the file was answered with stays to be read.
        with page.expect_response(re.compile("fragment=1")):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(row).to_be_visible()

        page.get_by_label("記入したファイル").set_input_files(right)
        page.get_by_role("button", name="確認する").click()
        expect(page.get_by_text("すべての行を登録できます")).to_be_visible()
        page.get_by_role("button", name="この内容で登録する（1行）").click()
        expect(page.get_by_text("登録しました。", exact=True)).to_be_visible()
        clean(page)
        visitor.open("/digital/devices?q=new-1")
        page.get_by_role("link", name="新川橋").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("新川橋")
        expect(page.get_by_text("水位 1.20 m 以上で10分ごと（1.00 m を下回るまで）")).to_be_visible()
        visitor.open("/disaster")
        expect(page.locator("#station-river-shinkawa")).to_be_visible()
        assert visitor.complaints == []


def test_how_often_a_gauge_speaks_is_said_in_words_and_changed(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        visitor.open(f"/digital/devices?q={GAUGE}")
        page = visitor.page
        page.locator("tbody a").first.click()
        page.get_by_text("水位で間隔が変わる機器（危機管理型水位計）にする").click()
        start, stop = page.locator("#duty-start"), page.locator("#duty-stop")
        expect(start).to_have_value("1.20")
        stop.fill("1.5")
        stop.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("観測をやめる水位は")
        expect(stop).to_have_value("1.5")
        clean(page)
        stop.fill("1.0")
        page.locator("#duty-start2").fill("2")
        page.locator("#duty-stop2").fill("1.8")
        page.get_by_role("button", name="この間隔にする").click()
        expect(page.get_by_text("送信間隔を変えました")).to_be_visible()
        expect(page.get_by_text("水位 2.00 m 以上で5分ごと（1.80 m を下回るまで）")).to_be_visible()
        page.get_by_text("間隔と水位を変える").click()
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 900})
            wait_until(page, f"document.documentElement.scrollWidth <= {width}")
            clean(page)
            page.locator("#duty").scroll_into_view_if_needed()
            screenshot(page, f"duty-ja-{width}")
        assert visitor.complaints == []


@pytest.mark.parametrize("script", [True, False])
def test_papers_photo_and_work_are_entered_with_and_without_script(
    chromium: Browser, town: Town, tmp_path: Path, script: bool
) -> None:
    photo = tmp_path / "gauge.png"
    photo.write_bytes(png(width=40, height=30))
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        cookies = visitor.open("/digital/devices").context.cookies()
    context = chromium.new_context(java_script_enabled=script, locale="ja-JP", base_url=town.url)
    context.add_cookies(cookies)
    page = context.new_page()
    try:
        page.goto(f"/digital/devices?q={GAUGE}")
        page.locator("tbody th a").click()
        page.get_by_text("台帳を書き直す", exact=True).first.click()
        page.get_by_label("電話先").fill("電話してください")
        page.get_by_role("button", name="台帳を書き直す").click()
        expect(page.get_by_role("alert")).to_contain_text("0994-12-3456")
        expect(page.get_by_label("電話先")).to_have_value("電話してください")
        page.get_by_label("電話先").fill("0994-12-3456")
        page.get_by_role("button", name="台帳を書き直す").click()
        expect(page.locator("#done-record")).to_contain_text("台帳を書き直しました")
        expect(page.get_by_role("link", name="0994-12-3456")).to_be_visible()

        page.get_by_label("写真のファイル").set_input_files(photo)
        page.get_by_role("button", name="写真を入れる").click()
        picture = page.locator(".device-photo img").first
        expect(picture).to_be_visible()
        if script:
            assert picture.evaluate(
                "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"
            ) == [
                40,
                30,
            ]

        page.get_by_text("作業予定を入れる", exact=True).first.click()
        page.locator("#work-ends_at").fill("2030-06-01T17:00")
        page.locator("#work-work").fill("電池交換")
        page.get_by_role("button", name="作業予定を入れる").click()
        # more than a year is no work: the words stay, the reason is said
        expect(page.get_by_role("alert")).to_contain_text("1年以内")
        expect(page.locator("#work-work")).to_have_value("電池交換")
    finally:
        context.close()

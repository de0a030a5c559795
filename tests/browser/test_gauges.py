"""The duty officer's half hour: rain that moves, an alert acknowledged in one press, a gauge's own page and file."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta

from playwright.sync_api import Browser, expect

from api.roles import Role
from devices.model import Quality, Reason
from tests.browser.conftest import GAUGE, TOWN_NOW, Town, visiting
from tests.browser.test_live import UNTIL, assert_stayed, connected, stay

RAIN = "rain-okusawa/precipitation"
PAGE = "/disaster/stations/river-mimamoribashi"


def test_the_rain_moves_on_an_open_page_in_the_table_and_on_the_map(chromium: Browser, town_page: Town) -> None:
    dry = [(m, 0.0) for m in range(-26 * 60 - 2, -72, 10)]
    town_page.observe(RAIN, *dry, *((m, 1.5) for m in range(-72, -12, 10)))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        connected(page)
        stay(page)
        row = page.locator("#station-rain-okusawa")
        cells = row.locator("td .number")
        expect(cells).to_have_text(["1.5", "9.0", "9.0", "9.0"])
        expect(row).to_contain_text("09:10・22分前")
        mark = page.locator(".map-mark[href='#station-rain-okusawa']").first
        expect(mark).to_have_attribute("aria-label", " 60分 9.0 mm 奥沢雨量観測所")
        town_page.observe(RAIN, (-12, 10.0))
        expect(cells).to_have_text(["10.0", "17.5", "19.0", "19.0"], timeout=UNTIL)
        expect(row).to_contain_text("09:20・12分前")
        expect(mark).to_have_attribute("aria-label", " 60分 17.5 mm 奥沢雨量観測所")
        # nothing for 09:30 yet from this one; what the other never sent is not 0
        expect(page.locator("#station-rain-yakuba")).to_contain_text("未受信")
        town_page.observe(RAIN, (-2, None))
        expect(row.locator("td").first).to_have_text("欠測", timeout=UNTIL)
        expect(row.locator("td").nth(1)).to_contain_text("16.0mm 以上")
        assert_stayed(page)
        assert visitor.complaints == []


def test_an_alert_is_acknowledged_from_the_disaster_page_in_one_press(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-22, 2.5), (-2, 3.3))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        connected(page)
        button = page.locator(".waiting button")
        expect(button).to_have_count(1, timeout=UNTIL)
        stay(page)
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('.waiting button')"):
                break
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_have_text("確認を記録しました。", timeout=UNTIL)
        expect(button).to_have_count(0)
        assert page.evaluate("document.activeElement.id") == "waiting"
        expect(page.locator("#strip")).to_contain_text("すべて確認済み")
        assert page.url.endswith("/disaster") and page.locator("h1").inner_text().startswith("防災")
        assert_stayed(page)
        (row,) = town_page.execute(
            "select u.display_name from alert a join app_user u on u.user_id = a.acknowledged_by where a.level = 3"
        )
        assert row == ("防災担当（デモ）",)
        assert visitor.complaints == []


def test_without_javascript_one_press_acknowledges_and_the_gauges_page_has_everything(
    chromium: Browser, town_page: Town
) -> None:
    town_page.observe(GAUGE, *((m, 2.5) for m in range(-92, -2, 10)), (-2, 3.3))
    town_page.observe("rain-yakuba/precipitation", (-12, 0.5), (-2, 1.0))
    with visiting(chromium, town_page, Role.DISASTER, java_script_enabled=False) as visitor:
        for _ in range(200):
            page = visitor.open("/disaster")
            if page.locator(".waiting button").count():
                break
        page.locator(".waiting button").click()
        expect(page).to_have_url(f"{town_page.url}/disaster?done=acknowledge")
        expect(page.locator("#done")).to_have_text("確認を記録しました。")
        expect(page.locator(".changes")).to_contain_text("水位が上がりました：レベル1相当 → レベル3相当（3.30 m）")
        expect(page.locator(".changes")).to_contain_text("アラート発生（レベル3相当）")
        page.locator("#station-river-mimamoribashi th a").click()
        expect(page).to_have_url(f"{town_page.url}{PAGE}")
        expect(page.locator("main")).to_contain_text(
            "2026-04-01 から適用（理由：出水期前の見直し（河床掘削の完了））。"
        )
        expect(page.locator("main")).to_contain_text("零点高は T.P. 2.10 m です。")
        expect(page.locator("main")).to_contain_text(
            "最後の受信：09:32。電波式水位計 a84041ffff310003 が test 経由で送った 09:30 の値です。"
        )
        expect(page.locator("svg.chart path.line")).to_have_count(1)
        expect(page.locator(".rain-bar")).to_have_count(2)
        page.get_by_role("link", name="6時間", exact=True).click()
        expect(page).to_have_url(f"{town_page.url}{PAGE}?range=6h")
        expect(page.locator(".ranges [aria-current]")).to_have_text("6時間")
    with visiting(chromium, town_page, Role.VIEWER, java_script_enabled=False) as visitor:
        town_page.execute("update alert set acknowledged_at = null, acknowledged_by = null")
        page = visitor.open("/disaster")
        expect(page.locator(".waiting li")).to_have_count(1)
        expect(page.locator(".waiting button")).to_have_count(0)


def test_a_gauges_page_follows_the_gauge_and_keeps_its_range(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-22, 0.9), (-12, 1.0))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open(f"{PAGE}?range=6h")
        connected(page)
        stay(page)
        town_page.observe(GAUGE, (-2, 1.11))
        expect(page.locator(".worst-value .number")).to_have_text("1.11", timeout=UNTIL)
        expect(page.locator(".ranges [aria-current]")).to_have_text("6時間")
        assert_stayed(page)
        assert visitor.complaints == []


def test_the_file_has_every_observation_with_its_quality_for_a_spreadsheet(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-22, 0.9), (-12, None))
    town_page.observe(GAUGE, (-2, 1.115), quality=Quality.DOUBTFUL, reason=Reason.RATE)
    town_page.observe(GAUGE, (-60 * 7, 0.8))
    with visiting(chromium, town_page, Role.VIEWER) as visitor:
        page = visitor.open(f"{PAGE}?range=6h")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV をダウンロード").click()
        assert download.value.suggested_filename == "river-mimamoribashi_20260601-0932_6h.csv"
        body = download.value.path().read_bytes()
    assert body.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert [row["time"] for row in rows] == [f"2026-06-01T09:{m}:00+09:00" for m in (10, 20, 30)]
    assert [(row["value"], row["unit"], row["quality"], row["reason"]) for row in rows] == [
        ("0.9", "m", "good", ""),
        ("", "m", "missing", "sensor"),
        ("1.115", "m", "doubtful", "rate"),
    ]
    assert datetime.fromisoformat(rows[-1]["time"]) == TOWN_NOW - timedelta(minutes=2)

"""The duty officer's half hour: rain that moves, an alert acknowledged in one press, a gauge's own page and file."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta

from playwright.sync_api import Browser, expect

from api.roles import Role
from devices.model import Quality, Reason
from tests.browser.conftest import GAUGE, TOWN_NOW, Town, visiting, wait_until
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
    town_page.observe("rain-okusawa/precipitation", (-12, 0.5), (-2, 1.0))
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
            "2026-05-20 から適用（理由：橋げた下端と計画高水位を追加（基準水位は変わらない））。"
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


def test_the_language_switch_and_the_ranges_keep_what_the_address_says(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-12, 1.0))
    with visiting(chromium, town_page, Role.DISASTER, java_script_enabled=False) as visitor:
        page = visitor.open(f"{PAGE}?range=3d&done=acknowledge")
        page.get_by_role("link", name="English").click()
        expect(page).to_have_url(f"{town_page.url}{PAGE}?range=3d&lang=en")
        expect(page.locator(".ranges [aria-current]")).to_have_text("3 days")
        page = visitor.open("/tourism?month=2026-04")
        page.get_by_role("link", name="日本語").click()
        expect(page).to_have_url(f"{town_page.url}/tourism?month=2026-04&lang=ja")
        expect(page.locator("#days")).to_contain_text("4/1（水） 〜 4/30（木）")


def test_a_refused_form_leaves_a_page_whose_links_lead_somewhere(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-2, 3.3))
    with visiting(chromium, town_page, Role.DISASTER) as with_script:
        expect(with_script.open("/alerts").locator("article.alert")).to_have_count(1, timeout=UNTIL)
    with visiting(chromium, town_page, Role.DISASTER, java_script_enabled=False) as visitor:
        page = visitor.open("/alerts")
        page.get_by_role("button", name="解除").click()
        expect(page.locator("main .problem")).to_contain_text("解除できません")
        page.get_by_role("link", name="English").click()
        expect(page).to_have_url(f"{town_page.url}/alerts?lang=en")
        expect(page.locator("article.alert")).to_contain_text("Not acknowledged")


def test_what_is_judged_late_says_when_it_was_observed_and_when_judged(chromium: Browser, town_page: Town) -> None:
    # three hours of a flood arrive at once, as after a broken line: the town's clock stands at 09:32
    town_page.observe(GAUGE, (-182, 1.9), (-122, 2.1), (-92, 2.7), (-62, 3.3))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        alert = page.locator("article.alert")
        expect(alert).to_have_count(1, timeout=UNTIL)
        expect(alert.locator(".facts")).to_contain_text("観測 07:30・判定 09:3")
        steps = alert.locator(".events li")
        expect(steps).to_have_count(3)
        for step, (time, level) in zip(steps.all(), (("07:30", 1), ("08:00", 2), ("08:30", 3)), strict=True):
            expect(step).to_contain_text(f"観測 {time}・判定 09:3")
            expect(step).to_contain_text(f"レベル{level}相当")
        page = visitor.open("/disaster")
        # the level stands since the observation that reached it; it was raised at the last level of that judging
        expect(page.locator(".waiting")).to_contain_text("警戒レベル３相当（町独自基準）・08:30から")
        expect(page.locator(".changes")).to_contain_text("観測 07:30・判定 09:3")
        expect(page.locator(".changes")).to_contain_text("アラート発生（レベル3相当）")
        assert visitor.complaints == []


# Left and right edge of what a rain field shows, in seconds, as its viewBox stands in the 24 hours of the picture.
SHOWN = """field => {
    const [x, , width] = field.getAttribute('viewBox').split(' ').map(Number);
    const to = field.getScreenCTM(); // its bounding box would also hold what is clipped
    const over = document.querySelector('.chart-live .u-over').getBoundingClientRect();
    return [
        (x - 44) / 416, (x + width - 44) / 416,
        Math.abs(to.a * x + to.e - over.left), Math.abs(to.a * (x + width) + to.e - over.right),
    ];
}"""


def test_rain_and_level_are_one_time_axis_also_when_zoomed(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, *((m, 1.0) for m in range(-23 * 60 - 2, 0, 10)))
    for gauge in ("rain-yakuba", "rain-okusawa"):
        town_page.observe(f"{gauge}/precipitation", *((m, 1.5) for m in range(-23 * 60 - 2, 0, 10)))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open(PAGE)
        chart = page.locator("[data-time-axis] .chart-box")
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".chart-live.is-drawn")).to_be_visible(timeout=UNTIL)
        field = page.locator(".rain-field:has(.rain-bar)").first

        def shown() -> list[float]:
            found: list[float] = field.evaluate(SHOWN)
            return found

        left, right, *apart = shown()
        assert (left, right) == (0, 1) and max(apart) <= 2
        bars = field.locator(".rain-bar")
        assert bars.count() > 100
        chart.get_by_role("button", name="拡大", exact=True).click()
        chart.get_by_role("button", name="拡大", exact=True).click()
        left, right, *apart = shown()
        assert abs(left - 0.75) < 0.02 and right == 1 and max(apart) <= 2, (left, right, apart)
        # a bar stands over the moment it fell: the newest at the right edge, one of yesterday beyond the left
        over = chart.locator(".u-over").bounding_box()
        newest, oldest = bars.last.bounding_box(), bars.first.bounding_box()
        assert over is not None and newest is not None and oldest is not None
        assert over["x"] < newest["x"] < over["x"] + over["width"] and oldest["x"] < over["x"]
        # what arrives meanwhile does not undo it
        connected(page)
        town_page.observe(GAUGE, (-1, 1.3))
        expect(page.locator(".worst-value .number")).to_have_text("1.30", timeout=UNTIL)
        left, right, *apart = shown()
        assert abs(right - left - 0.25) < 0.02 and max(apart) <= 2
        # on a phone the two still stand one over the other; paper has the whole day
        page.set_viewport_size({"width": 390, "height": 800})
        for _ in range(600):
            if max(shown()[2:]) <= 2:
                break
            page.wait_for_timeout(50)
        assert max(shown()[2:]) <= 2
        page.emulate_media(media="print")
        wait_until(page, "document.querySelector('.rain-field').getAttribute('viewBox').startsWith('44 0 416')")
        page.emulate_media(media="screen")
        chart.get_by_role("button", name="全体", exact=True).click()
        assert shown()[:2] == [0, 1]
        assert visitor.complaints == []


def a_month(town: Town, doubted: int | None = None) -> None:
    """Thirty days at ten minutes, with one peak between two full hours, and half a day of nothing. `doubted`: of this
    minute the value is doubtful.
    """
    minutes = [m for m in range(-30 * 1440 + 8, 0, 10) if not -9000 < m < -8280]
    for quality in (Quality.GOOD, Quality.DOUBTFUL):
        own = [m for m in minutes if (m == doubted) is (quality is Quality.DOUBTFUL)]
        if own:
            town.observe(GAUGE, *((m, 3.21 if m == -3002 else 1.0 + m % 50 / 100) for m in own), quality=quality)


def test_a_long_range_is_a_link_without_javascript_and_its_table_says_what_is_missing(
    chromium: Browser, town_page: Town
) -> None:
    a_month(town_page)
    with visiting(chromium, town_page, Role.VIEWER, java_script_enabled=False) as visitor:
        page = visitor.open(PAGE)
        for language, range_, step in (
            ("ja", "30日", "3時間ごとの最低と最高"),
            ("en", "30 days", "lowest and highest value of every 3 h"),
        ):
            visitor.open(f"{PAGE}?lang={language}")
            page.locator(".ranges").get_by_role("link", name=range_, exact=True).click()
            expect(page).to_have_url(f"{town_page.url}{PAGE}?range=30d")
            expect(page.locator(".ranges [aria-current]")).to_have_text(range_)
            expect(page.locator("[data-time-axis] section:has(.chart)")).to_contain_text(step)
            assert page.locator(".chart .line").count() == 2, "the half day of nothing is a gap"
        page.locator("summary").first.click()
        table = page.locator("details[open] tbody")
        rows = [" ".join(row.split()) for row in table.locator("tr").all_inner_texts()]
        assert len(rows) == 241 and rows[0] == "09:00–12:00 1.18 m 1.48 m so far 4/4", rows[:2]
        assert rows[1] == "06:00–09:00 1.08 m 1.48 m ● reliable"
        assert sum("counts as missing 0/18" in row for row in rows) == 3, rows
        assert sum("3.21 m" in row for row in rows) == 1
        expect(page.get_by_text("○ counts as missing: 40 % or more")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the table as CSV").click()
        assert download.value.suggested_filename == "river-mimamoribashi_20260601-0932_30d_table.csv"
        told = list(csv.DictReader(io.StringIO(download.value.path().read_bytes().decode("utf-8-sig"))))
        assert len(told) == len(rows) and told[-2]["start"] == "2026-06-01T06:00:00+09:00"
        assert (told[-2]["minimum"], told[-2]["maximum"], told[-2]["n"]) == ("1.08", "1.48", "18")
        assert [each["reliability"] for each in told].count("missing") >= 3
        visitor.open(f"{PAGE}?range=24h")
        expect(page.get_by_role("link", name="Download the table")).to_have_count(0)


def test_who_looks_closer_sees_every_observation_and_back_the_whole(chromium: Browser, town_page: Town) -> None:
    a_month(town_page, doubted=-12)
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open(f"{PAGE}?range=30d")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/observations?" in request.url else None)
        chart = page.locator("[data-time-axis] .chart-box")
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".chart-live.is-drawn")).to_be_visible(timeout=UNTIL)
        shown, slider = chart.locator(".chart-shown"), chart.get_by_role("slider")
        expect(shown).to_have_text("3時間ごとの最低・最高を表示")
        whole = slider.get_attribute("aria-valuemax")
        slider.focus()
        page.keyboard.press("End")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"09:30\s+1\.48 m \(疑わしい値を含む\)$"))
        expect(page.locator(".chart-key")).to_have_text("疑わしい値・異常値を含む区間（1）")
        slider.blur()
        assert asked == []
        for _ in range(6):
            chart.get_by_role("button", name="拡大", exact=True).click()
        expect(shown).to_have_text("観測値をすべて表示", timeout=UNTIL)
        assert asked and "step=auto" in asked[-1]
        # the arrow keys now go from observation to observation
        slider.focus()
        page.keyboard.press("End")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"09:30\s+1\.48 m$"))
        page.keyboard.press("ArrowLeft")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"09:20\s+1\.38 m \(疑わしい\)$"))
        # what arrives meanwhile is drawn, and where one reads stays
        connected(page)
        before, known = len(asked), int(slider.get_attribute("aria-valuemax") or 0)
        town_page.observe(GAUGE, (-1, 1.3))
        expect(page.locator(".worst-value .number")).to_have_text("1.30", timeout=UNTIL)
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"09:20\s+1\.38 m"))
        expect(slider).to_have_attribute("aria-valuemax", str(known + 1), timeout=UNTIL)
        page.keyboard.press("End")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"09:31\s+1\.30 m"))
        assert len(asked) <= before + 2, "one more look is enough"
        chart.get_by_role("button", name="全体", exact=True).click()
        expect(shown).to_have_text("3時間ごとの最低・最高を表示")
        assert abs(int(slider.get_attribute("aria-valuemax") or 0) - int(whole or 0)) <= 2
        assert visitor.complaints == []
        # a server that does not answer leaves the curve as it is
        page.route("**/api/v1/datastreams/**", lambda route: route.abort())
        chart.get_by_role("button", name="拡大", exact=True).click()
        page.wait_for_event("requestfailed", lambda request: "/observations?" in request.url)
        expect(shown).to_have_text("3時間ごとの最低・最高を表示")

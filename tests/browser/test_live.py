"""One test a user: their mark moves on an open page, because of an observation stored as ingest stores it, and the page
is never loaded again.
"""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack

from playwright.sync_api import Browser, Page, Request, expect

from api.roles import Role
from devices.model import Quality, Reason
from tests.api.serving import serving
from tests.browser.conftest import GAUGE, Town, screenshot, settle, visiting
from tests.conftest import Registered

UNTIL = 20_000


def stay(page: Page) -> None:
    """Leaves a mark in the page that a reload would wipe."""
    page.evaluate("window.__stayed = true")


def assert_stayed(page: Page) -> None:
    assert page.evaluate("window.__stayed === true"), "the page was loaded again"


def connected(page: Page) -> None:
    expect(page.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)


def test_the_disaster_desk_sees_a_gauge_reach_level_4_and_hears_of_it(chromium: Browser, town_page: Town) -> None:
    town = town_page
    town.observe(GAUGE, (-30, 2.9), (-20, 3.0), (-10, 3.1))
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        connected(page)
        stay(page)
        row = page.locator("#station-river-mimamoribashi")
        expect(row).to_contain_text("3.10")
        expect(row.locator(".badge")).to_contain_text("警戒レベル２相当")
        town.observe(GAUGE, (-1, 3.82))
        expect(row).to_contain_text("3.82", timeout=UNTIL)
        expect(row.locator(".badge")).to_contain_text("警戒レベル４相当（町独自基準）")
        expect(row.locator(".mark-4 text")).to_have_text("4")
        expect(row).to_contain_text("↑ 上昇")
        expect(row).to_contain_text("あと 0.58 m（レベル5相当）")
        alarm = page.locator("#strip [role=alert]")
        expect(alarm).to_contain_text("美守橋水位観測所：警戒レベル４相当（町独自基準）", timeout=UNTIL)
        expect(page.locator(".answer-main")).to_contain_text("3.82")
        assert_stayed(page)
        screenshot(page, "live-disaster-level-4")
        assert visitor.complaints == []


def test_the_waterworks_see_the_flow_move(chromium: Browser, town_page: Town) -> None:
    town_page.observe("block-hamamachi/flow", (-12, 14.2), (-7, 14.4))
    town_page.observe("block-hamamachi/pressure", (-7, 402.0))
    with visiting(chromium, town_page, Role.WATER) as visitor:
        page = visitor.open("/water")
        connected(page)
        stay(page)
        row = page.locator("#station-block-hamamachi")
        expect(row).to_contain_text("14.4")
        expect(row).to_contain_text("402")
        town_page.observe("block-hamamachi/flow", (-2, 31.9))
        expect(row).to_contain_text("31.9", timeout=UNTIL)
        expect(row).to_contain_text("09:30・2分前")
        assert_stayed(page)


def test_the_tourism_office_sees_the_count_grow(chromium: Browser, town_page: Town) -> None:
    spot = "spot-michinoeki/passages_in"
    town_page.observe(spot, (-42, 20.0), (-32, 12.0), (-22, 5.0))
    with visiting(chromium, town_page, Role.TOURISM) as visitor:
        page = visitor.open("/tourism")
        connected(page)
        stay(page)
        row = page.locator("#station-spot-michinoeki")
        today = row.locator("[data-datastream] .number")
        expect(today).to_have_text("37")
        # 09:00 sharp ends the 8 o'clock interval: only what came after it is this hour's
        expect(row.locator("td").nth(2)).to_contain_text("5")
        town_page.observe(spot, (-12, 1200.0))
        expect(today).to_have_text("1,237", timeout=UNTIL)
        expect(row.locator("td").nth(2)).to_contain_text("1,205")
        assert_stayed(page)


def test_an_alert_is_acknowledged_with_the_keyboard_alone(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-2, 3.3))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        connected(page)
        alert = page.locator("article.alert")
        expect(alert).to_have_count(1, timeout=UNTIL)
        expect(alert).to_contain_text("未確認")
        stay(page)
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name") == "note":
                break
        assert page.evaluate("document.activeElement.name") == "note", "the note field cannot be reached by Tab"
        page.keyboard.type("現地へ向かいます")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent.trim()").startswith("確認する")
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_have_text("確認を記録しました。", timeout=UNTIL)
        expect(alert.locator(".alert-state")).to_contain_text("確認済み 防災担当（デモ）")
        expect(alert).to_contain_text("現地へ向かいます")
        expect(page.locator("#strip")).to_contain_text("すべて確認済み")
        assert alert.locator("input[name=note]").input_value() == ""
        # the focus did not fall out of the page with the button
        assert page.evaluate("document.activeElement.closest('article') !== null")
        assert_stayed(page)
        assert visitor.complaints == []


def test_a_refused_action_says_why_and_changes_nothing(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-2, 3.3))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        alert = page.locator("article.alert")
        expect(alert).to_have_count(1, timeout=UNTIL)
        alert.get_by_role("button", name="解除").click()
        expect(page.locator("main .problem")).to_contain_text("下回っていないため、解除できません", timeout=UNTIL)
        expect(alert).to_have_count(1)
    with visiting(chromium, town_page, Role.TOURISM) as visitor:
        page = visitor.open("/alerts")
        expect(page.locator("article.alert")).to_contain_text("担当の課が行います")
        expect(page.locator("article.alert button")).to_have_count(0)


def test_a_half_written_note_survives_what_happens_meanwhile(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-12, 2.7))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        alert = page.locator("article.alert")
        expect(alert).to_have_count(1, timeout=UNTIL)
        connected(page)
        note = alert.locator("input[name=note]")
        note.fill("消防団に連絡")
        town_page.observe(GAUGE, (-2, 3.7))
        expect(alert).to_contain_text("警戒レベル４相当", timeout=UNTIL)
        assert note.input_value() == "消防団に連絡"
        assert page.evaluate("document.activeElement.name") == "note"


def test_the_lamp_follows_the_server(chromium: Browser, registered: Registered) -> None:
    settle(registered)
    with ExitStack() as browser:
        door = listening_socket(0)
        with serving(registered, sockets=[door]) as hall:
            visitor = browser.enter_context(visiting(chromium, Town(hall), Role.DISASTER))
            page = visitor.open("/disaster")
            lamp = page.locator("#lamp")
            connected(page)
            expect(lamp).to_have_text("接続中")
            stay(page)
            port = door.getsockname()[1]
        expect(lamp).to_have_text("再接続中", timeout=UNTIL)
        expect(lamp).to_contain_text("切断 09:3", timeout=40_000)
        screenshot(page, "lamp-cut-off")
        Town(hall).observe(GAUGE, (-1, 1.23))
        with serving(registered, sockets=[listening_socket(port)]):
            expect(lamp).to_have_text("接続中", timeout=40_000)
            # what happened meanwhile is there without anyone reloading
            expect(page.locator("#station-river-mimamoribashi")).to_contain_text("1.23", timeout=UNTIL)
            assert_stayed(page)


def listening_socket(port: int) -> socket.socket:
    """A socket on a chosen port (0: any free one), so that a server can come back where it was."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", port))
    return door


def test_missing_zero_silent_and_never_look_and_read_differently(chromium: Browser, town_page: Town) -> None:
    town_page.observe("spot-michinoeki/passages_in", (-22, 0.0), (-12, 0.0))
    town_page.observe("spot-todai/passages_in", (-110, 7.0), (-100, 4.0))
    town_page.observe("spot-taki/passages_in", (-22, 3.0), (-12, None))
    town_page.observe("river-okusawa/water_level", (-10, 0.0))
    town_page.observe("river-takehara/water_level", (-90, 0.5))
    town_page.observe(GAUGE, (-12, 0.7), (-2, None))
    with visiting(chromium, town_page, Role.TOURISM) as visitor:
        page = visitor.open("/tourism")
        rows = {name: page.locator(f"#station-spot-{name}") for name in ("michinoeki", "todai", "taki", "onsen")}
        expect(rows["michinoeki"].locator("[data-datastream] .number")).to_have_text("0")
        expect(rows["michinoeki"].locator(".state")).to_have_text("観測できています")
        expect(rows["michinoeki"].locator(".outage")).to_have_count(0)
        expect(rows["todai"].locator(".outage")).to_have_text("カウンター欠測 7時〜（0人ではありません）")
        expect(rows["todai"].locator(".state")).to_have_text(re.compile("から届いていません"))
        expect(rows["taki"].locator(".outage")).to_have_text("カウンター欠測 9時〜（0人ではありません）")
        expect(rows["taki"].locator(".state")).to_have_text("通信できていますが、測れていません")
        expect(rows["onsen"].locator(".outage")).to_have_text("カウンター欠測（0人ではありません）")
        expect(rows["onsen"].locator(".state")).to_have_text("まだ一度も届いていません")
        expect(rows["onsen"].locator(".number")).to_have_count(0)
        page = visitor.open("/disaster")
        zero = page.locator("#station-river-okusawa .reading")
        expect(zero.locator(".number")).to_have_text("0.00")
        silent = page.locator("#station-river-takehara .reading")
        expect(silent.locator(".number")).to_have_text("0.50")
        missing = page.locator("#station-river-mimamoribashi .reading")
        expect(missing.locator(".no-value")).to_have_text("欠測")
        expect(missing).to_contain_text("最後の値 0.70 m（09:20）")
        style = "element => { const s = getComputedStyle(element); return [s.borderStyle, s.borderWidth].join() }"
        assert silent.evaluate(style) == "dashed,2px"
        assert zero.evaluate(style) == "none,0px"
        # the level a silent gauge once had is not shown as its level
        expect(page.locator("#station-river-takehara .badge")).to_have_text("?判定できません")


def test_a_page_cut_off_from_the_server_does_not_keep_looking_calm(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-2, 3.3))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.page
        asked: set[Request] = set()
        page.on("request", lambda each: asked.add(each) if "fragment=1" in each.url else None)
        page.on("requestfinished", lambda each: asked.discard(each))
        page.on("requestfailed", lambda each: asked.discard(each))
        page.clock.install()
        visitor.open("/disaster")
        row = page.locator("#station-river-mimamoribashi")
        connected(page)
        expect(row.locator(".badge")).to_contain_text("警戒レベル３相当")
        fill = "element => getComputedStyle(element).fill"
        assert row.locator(".mark").evaluate(fill) == "rgb(255, 40, 0)"
        expect(row).to_contain_text("09:30・2分前")
        expect(page.locator("#strip")).to_contain_text("発生中のアラート 1件", timeout=UNTIL)
        visitor.context.set_offline(True)
        # what is still on its way brings the server's word on the time with it
        while asked:
            page.wait_for_timeout(20)
        page.clock.fast_forward("39:00")
        # the gauge's device may say nothing for 40 minutes; at 41 its last value is history
        expect(row).to_contain_text("09:30・41分前")
        expect(row.locator(".state")).to_have_text(re.compile("から届いていません"))
        assert row.locator(".mark").evaluate(fill) == "rgb(255, 255, 255)", "a lost gauge keeps the colour of its level"
        for mark in (".worst .mark", ".map-mark .mark-3"):
            assert page.locator(mark).evaluate(fill) == "rgb(255, 255, 255)", mark
        expect(page.locator("#lamp")).to_contain_text("切断 09:3")
        screenshot(page, "cut-off-and-silent")
        # back on line, the server's word on the time and on everything else counts again
        visitor.context.set_offline(False)
        expect(row.locator(".state")).to_have_text("観測できています", timeout=UNTIL)
        expect(row).to_contain_text("09:30・2分前", timeout=UNTIL)


def test_the_pages_are_whole_without_javascript(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-2, 3.3), quality=Quality.DOUBTFUL, reason=Reason.CLOCK)
    town_page.observe("block-hamamachi/flow", (-2, 14.4))
    town_page.observe("spot-michinoeki/passages_in", (-12, 9.0))
    with visiting(chromium, town_page, Role.DISASTER) as with_script:
        expect(with_script.open("/alerts").locator("article.alert")).to_have_count(1, timeout=UNTIL)
    with visiting(chromium, town_page, Role.DISASTER, java_script_enabled=False) as visitor:
        page = visitor.open("/disaster")
        row = page.locator("#station-river-mimamoribashi")
        expect(row).to_contain_text("3.30")
        expect(row).to_contain_text("09:30・2分前")
        expect(row).to_contain_text("疑わしい（時刻）")
        expect(page.locator("#lamp")).to_have_text("自動更新なし")
        expect(page.locator(".notice")).to_contain_text("自動では更新されません")
        expect(visitor.open("/water").locator("#station-block-hamamachi")).to_contain_text("14.4")
        expect(visitor.open("/tourism").locator("#station-spot-michinoeki")).to_contain_text("9")
        page = visitor.open("/alerts")
        page.get_by_role("button", name="確認する").click()
        expect(page).to_have_url(f"{town_page.url}/alerts?done=acknowledge")
        expect(page.locator(".alert-state")).to_contain_text("確認済み 防災担当（デモ）")

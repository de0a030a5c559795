"""From the alert to the public page: what a person of the disaster desk does, and what a resident then reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from devices.photos import reduced
from store import connect
from store.cameras import keep_still
from tests.browser.conftest import TOWN_NOW, Town, screenshot, town_running, visiting
from tests.browser.fitting import at_every_width, unfold
from tests.browser.test_look import wait_for_alert
from tests.conftest import Registered
from tests.photos import picture

GAUGE = "river-mimamoribashi/water_level"


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    """A river that has risen to its third level."""
    with town_running(registered) as running:
        running.observe(GAUGE, *((m, 1.0 + (m + 60) * 0.045) for m in range(-60, 0, 10)))
        yield running


def fits(page: Page, name: str) -> None:
    """Clean for axe, no wider than the screen, large enough to press; pictures for people."""
    for width in at_every_width(page, name):
        if width > 320:
            screenshot(page, f"{name}-{width}")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_person_drafts_corrects_approves_and_withdraws_a_notice(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        wait_for_alert(page)
        page.get_by_role("link", name="住民へのお知らせ").click()
        page.locator(".calls").get_by_role("button", name="下書きを作る").click()
        expect(page.locator("#done")).to_contain_text("下書きを作りました")
        preview = page.locator(".previews .told-ja")
        expect(preview).to_contain_text("水位が、町基準３に達しました")
        expect(preview.locator(".told-closing")).to_contain_text("避難の情報は町が別に発令します。現在：")
        fits(page, "notice-draft-ja")

        body = page.locator("#ja-body")
        body.fill("洪水警報です。あと30分であふれます。")
        page.get_by_role("button", name="保存して確かめる").click()
        told = page.locator("#problem-ja-body")
        expect(told).to_contain_text("「警報」は使えません。気象庁だけが使える言葉です")
        expect(told).to_contain_text("「あと30分」は使えません。")
        expect(body).to_have_value("洪水警報です。あと30分であふれます。")
        expect(body).to_have_attribute("aria-describedby", "problem-ja-body")
        fits(page, "notice-refused-ja")
        body.fill("美守橋の水位が上がっています。川や用水路に近づかないでください。")
        page.get_by_role("button", name="保存して確かめる").click()
        expect(preview).to_contain_text("美守橋の水位が上がっています。")

        page.locator("#hours").select_option("6")
        page.get_by_role("button", name="この文面を承認する").click()
        expect(page.locator("#done")).to_contain_text("承認しました")
        expect(page.locator("#state")).to_contain_text("掲載中")
        expect(page.locator(".sheet")).to_contain_text("種別：新規")
        fits(page, "notice-approved-ja")
        address = page.url.split("?")[0].removeprefix(town.url)
        english = visitor.open(f"{address}?lang=en")
        fits(english, "notice-approved-en")
        # its time ends in twenty minutes, and the river stands
        town.execute("update public_notice_event set valid_until = %s", (TOWN_NOW + timedelta(minutes=20),))
        page = visitor.open("/disaster/notices?lang=ja")
        expect(page.locator(".calls")).to_contain_text("アラートは続いています")
        fits(page, "notices-ending-ja")
        page.get_by_role("button", name="このままの文面で延長する").click()
        expect(page.locator("#done")).to_contain_text("同じ文面で延長しました")
        expect(page.locator("#state")).to_contain_text("掲載中")

        page.locator("#why").select_option("mistake")
        page.get_by_role("button", name="取消の下書きを作る").click()
        expect(page.locator(".previews .told-ja")).to_contain_text("観測値に誤りがあったため取り消します")
        page.get_by_role("button", name="この文面を承認する").click()
        expect(page.locator("#state")).to_contain_text("取消のお知らせ")
        for language in ("ja", "en"):
            page = visitor.open(f"/disaster/notices?lang={language}")
            unfold(page)
            fits(page, f"notices-{language}")
        rows = page.locator("#earlier + table tbody tr")
        assert rows.count() == 3
        assert [text for text in visitor.complaints if "409" not in text] == []


def test_what_may_be_told_beforehand_and_where_cameras_stand_are_pages_for_everybody(
    chromium: Browser, town: Town
) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster/standing")
        page.locator("#of").select_option("river-mimamoribashi:4")
        page.get_by_role("button", name="文面を書く").click()
        for field, text in (("post", "町長"), ("authority", "美守 太郎"), ("document", "危第12号")):
            page.locator(f"#{field}").fill(text)
        for field, day in (("dated", TOWN_NOW - timedelta(days=30)), ("holds_to", TOWN_NOW + timedelta(days=90))):
            page.locator(f"#{field}").fill(f"{day:%Y-%m-%d}")
        page.locator("#ja_headline").fill("警報です")
        page.get_by_role("button", name="保存して署名を依頼する").click()
        expect(page.locator("#problem-ja_headline")).to_contain_text("「警報」は使えません")
        page.locator("main details").evaluate("each => { each.open = true; }")
        fits(page, "standing-refused-ja")
        page.locator("#ja_headline").fill("美守橋の水位が上がりました")
        page.get_by_role("button", name="保存して署名を依頼する").click()
        expect(page.locator("#state")).to_contain_text("署名待ち")
        fits(page, "standing-ja")
        fits(visitor.open("/disaster/standing?lang=en"), "standing-list-en")
        assert [text for text in visitor.complaints if "409" not in text] == []
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        page = visitor.open("/digital/cameras?lang=ja")
        page.locator("#name").fill("美守橋カメラ")
        page.locator("#url").fill("http://192.0.2.7/snapshot.jpg")
        page.get_by_role("button", name="登録する").click()
        expect(page.locator("#done")).to_contain_text("登録しました")
        fits(page, "cameras-ja")
        photo = picture()
        with connect(town.hall.database.worker, name="test") as conn:
            at, town_id = TOWN_NOW - timedelta(minutes=1), town.hall.database.municipality_id
            assert keep_still(conn, town_id, 1, photo, reduced(photo), at)
        fits(visitor.open("/disaster/cameras/1"), "camera-ja")


def test_residents_read_it_in_three_variants_without_a_script_or_an_account(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        wait_for_alert(page)
        visitor.open("/disaster/notices")
        page.locator(".calls").get_by_role("button", name="下書きを作る").click()
        page.get_by_role("button", name="この文面を承認する").click()
        expect(page.locator("#state")).to_contain_text("掲載中")
    context = chromium.new_context(java_script_enabled=True, locale="ja-JP")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for variant, word in (("ja", "町基準３"), ("plain", "ないで ください"), ("en", "municipal criterion 3")):
        page.goto(f"{town.url}/public/999999/notices?lang={variant}")
        text = page.locator("#standing + article")
        expect(text).to_contain_text(word)
        assert (text.locator("ruby").count() > 5) is (variant == "plain")
        assert page.locator("script").count() == 0 and context.cookies() == []
        fits(page, f"public-{variant}")
        page.goto(f"{town.url}/public/999999/widget?lang={variant}")
        fits(page, f"widget-{variant}")
    assert complaints == []
    context.close()


def test_the_widget_shows_in_a_frame_of_another_site_and_the_page_does_not(chromium: Browser, town: Town) -> None:
    with another_site(town) as address:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(address)
        inside = page.frame_locator("#widget")
        expect(inside.locator("main")).to_contain_text("いま掲載しているお知らせはありません。")
        refused = next(frame for frame in page.frames if frame.name == "page")
        assert refused.locator("main").count() == 0, "the page itself stands in no frame"
        screenshot(page, "widget-in-a-frame")
        context.close()


@contextmanager
def another_site(town: Town) -> Iterator[str]:
    """A page of the town's own site, on another origin, with both addresses in frames."""
    html = (
        "<!doctype html><title>町</title><h1>町のページ</h1>"
        f'<iframe id="widget" src="{town.url}/public/999999/widget" width="600" height="300"></iframe>'
        f'<iframe name="page" src="{town.url}/public/999999/notices" width="600" height="300"></iframe>'
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()

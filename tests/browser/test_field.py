"""The form for the field in a real browser: on a phone, on a bad network, without a script; and the desk's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from store import connect, field_links
from tests.browser.conftest import GAUGE, Town, Visitor, screenshot, visiting, wait_until
from tests.browser.fitting import fits
from tests.photos import picture

UNTIL = 30_000  # ms: generous, a deadline and no measurement
PHONE = 360
# The request goes out whole, and its answer does not come back.
ANSWER_LOST = """() => {
  const sent = window.fetch;
  window.fetch = async (...asked) => { await sent(...asked); throw new TypeError('the network is gone'); };
}"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.jpg"
    path.write_bytes(picture(4000, 3000, orientation=6))
    return path


@contextmanager
def telephone(chromium: Browser, town: Town, *, script: bool = True, **options: object) -> Iterator[Page]:
    """Somebody's phone, without a session."""
    context = chromium.new_context(
        viewport={"width": PHONE, "height": 740}, locale="ja-JP", java_script_enabled=script, **options
    )
    context.set_default_timeout(20_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def link(town: Town, *, shelters: bool = False) -> str:
    """The path of a personal link."""
    municipality = town.hall.database.municipality_id
    with connect(town.hall.database.owner, name="test") as conn:
        row = conn.execute(
            "insert into person (municipality_id, name) values (%s, '浜町 防災リーダー 山田') returning person_id",
            (municipality,),
        ).fetchone()
        user = conn.execute("select user_id from app_user where login = 'disaster'").fetchone()
        assert row is not None and user is not None
        token = field_links.make(conn, municipality, person_id=row[0], shelters=shelters, days=30, user_id=user[0])
    return f"/field/{token}"


def reports(town: Town) -> list[tuple[object, ...]]:
    return town.execute("select text, place, latitude, gauge_reading from field_report order by 1")


def test_a_report_whose_sending_fails_is_not_lost_and_is_sent_once(
    chromium: Browser, town_page: Town, photo: Path
) -> None:
    path = link(town_page)
    with telephone(chromium, town_page) as page:
        page.goto(town_page.url + path)
        page.get_by_label("見たこと").fill("堤防の上まで水が来ている")
        page.locator("#place").fill("浜町3丁目")
        page.locator("#photos").set_input_files(photo)
        expect(page.locator("#chosen li")).to_contain_text("bridge.jpg", timeout=UNTIL)
        page.context.set_offline(True)
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#problem")).to_contain_text("この端末に残っています", timeout=UNTIL)
        expect(page.locator("#waiting-list li")).to_contain_text("堤防の上まで水が来ている")
        expect(page.locator("#waiting-list li")).to_contain_text("写真 1枚")
        expect(page.locator("#text")).to_have_value("")
        screenshot(page, "field-waiting-ja-360")
        assert reports(town_page) == []
        # There is a network again, and the answer is lost: it came, and the phone does not know.
        page.evaluate(ANSWER_LOST)
        page.context.set_offline(False)
        wait_until(page, "self.fieldQueue !== undefined")
        for _ in range(600):
            if reports(town_page):
                break
            page.wait_for_timeout(50)
        # The phone was put away and the page opened again.
        page.goto("about:blank")
        page.goto(town_page.url + path)
        expect(page.locator("#done")).to_contain_text("残っていた報告を送りました（番号 1）", timeout=UNTIL)
        expect(page.locator("#waiting")).to_be_hidden()
        expect(page.locator("#text")).to_have_value("")
        expect(page.locator("#chosen li")).to_have_count(0)
        page.goto(town_page.url + path)
        expect(page.locator("#here")).to_be_visible()
        expect(page.locator("#kept")).to_be_hidden()
    assert reports(town_page) == [("堤防の上まで水が来ている", "浜町3丁目", None, None)]
    # Made smaller on the phone, upright already.
    assert town_page.execute("select width, height from field_photo") == [(1200, 1600)]


def test_the_place_is_asked_for_by_a_tap_and_a_refusal_stays_in_the_form(chromium: Browser, town_page: Town) -> None:
    path = link(town_page)
    position = {"latitude": 32.451234, "longitude": 135.051234, "accuracy": 8}
    with telephone(chromium, town_page, geolocation=position, permissions=["geolocation"]) as page:
        page.goto(town_page.url + path)
        expect(page.locator("#here-text")).to_be_empty()
        page.get_by_role("button", name="現在地を入れる").click()
        expect(page.locator("#here-text")).to_contain_text("32.451234", timeout=UNTIL)
        page.locator("#reading").fill("2.35")
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#problem")).to_contain_text("どの観測所の量水標か", timeout=UNTIL)
        expect(page.locator("#station")).to_be_focused()
        page.locator("#station").select_option("river-okusawa")
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#done")).to_contain_text("受け取りました", timeout=UNTIL)
        expect(page.locator("#here-text")).to_be_empty()
    assert reports(town_page) == [("", "", 32.451234, 2.35)]


def test_without_a_script_it_is_an_ordinary_upload(chromium: Browser, town_page: Town, photo: Path) -> None:
    path = link(town_page)
    with telephone(chromium, town_page, script=False) as page:
        page.goto(town_page.url + path)
        expect(page.locator("#here")).to_be_hidden()
        expect(page.locator("#kept")).to_be_hidden()
        page.get_by_label("見たこと").fill("倒木")
        page.locator("#time").fill("あとで")
        page.locator("#photos").set_input_files(photo)
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#problem")).to_contain_text("写真は選び直してください")
        expect(page.locator("#text")).to_have_value("倒木")
        page.locator("#time").fill("0915")
        page.locator("#photos").set_input_files(photo)
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#done")).to_contain_text("受け取りました（番号 1）")
    assert town_page.execute("select width, height from field_photo") == [(1200, 1600)]


def test_staff_whose_session_has_ended_lose_nothing(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.WATER, width=PHONE) as staff:
        page = staff.open("/disaster/field")
        page.get_by_label("見たこと").fill("道路が陥没している")
        cookies = staff.context.cookies()
        staff.context.clear_cookies()
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#problem")).to_contain_text("サインインが切れている", timeout=UNTIL)
        staff.context.add_cookies(cookies)  # type: ignore[arg-type]  # as they came
        page = staff.open("/disaster/field")
        expect(page.locator("#done")).to_contain_text("残っていた報告を送りました", timeout=UNTIL)
    assert [row[0] for row in reports(town_page)] == ["道路が陥没している"]


def test_a_draft_can_be_discarded_and_a_photo_taken_out(chromium: Browser, town_page: Town, photo: Path) -> None:
    path = link(town_page)
    with telephone(chromium, town_page) as page:
        page.goto(town_page.url + path)
        page.locator("#photos").set_input_files([photo, photo])
        expect(page.locator("#chosen li")).to_have_count(2, timeout=UNTIL)
        page.get_by_role("button", name="外す bridge.jpg").first.click()
        expect(page.locator("#chosen li")).to_have_count(1)
        page.locator("#text").fill("まちがい")
        page.goto("about:blank")
        page.goto(town_page.url + path)
        expect(page.locator("#text")).to_have_value("まちがい", timeout=UNTIL)
        page.get_by_role("button", name="残っている報告を消す").click()
        expect(page.locator("#text")).to_have_value("")
        page.goto("about:blank")
        page.goto(town_page.url + path)
        expect(page.locator("#here")).to_be_visible()
        expect(page.locator("#chosen li")).to_have_count(0)
        expect(page.locator("#text")).to_have_value("")


def test_a_report_arrives_on_an_open_page_and_is_triaged_there(chromium: Browser, town_page: Town, photo: Path) -> None:
    path = link(town_page)
    with visiting(chromium, town_page, Role.DISASTER) as staff, telephone(chromium, town_page) as phone:
        page = staff.open("/disaster")
        expect(page.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
        phone.goto(town_page.url + path)
        phone.locator("#text").fill("土のうが足りない")
        phone.locator("#photos").set_input_files(photo)
        expect(phone.locator("#chosen li")).to_have_count(1, timeout=UNTIL)
        phone.get_by_role("button", name="報告を送る").click()
        expect(phone.locator("#done")).to_contain_text("受け取りました", timeout=UNTIL)
        expect(page.locator("section[aria-labelledby=field-reports]")).to_contain_text("未確認 1件", timeout=UNTIL)
        page.get_by_role("link", name="土のうが足りない").click()
        expect(page.get_by_role("img", name="報告 1 の写真 1")).to_be_visible()
        assert page.evaluate("document.querySelector('.photo-large img').naturalHeight") in (0, 1600)
        page.get_by_role("button", name="本部記録に入れる").click()
        expect(page.locator("#done")).to_contain_text("本部記録に入れました")
        page.get_by_text("この写真を公開する").click()
        page.get_by_label("公開する説明").fill("浜町の水防作業")
        page.get_by_role("button", name="の名前で公開する").click()
        expect(page.locator("#done")).to_contain_text("写真を公開しました")
        phone.goto(f"{town_page.url}/public/999999/photos")
        expect(phone.get_by_role("img", name="浜町の水防作業")).to_be_visible()
        wait_until(phone, "document.querySelector('img').naturalHeight === 1600")
        assert staff.complaints == []


def fill(town: Town, staff: Visitor, photo: Path) -> str:
    """A night with reports, shelters and links; the path of one link."""
    town.observe(GAUGE, *((-10.0 * n, 2.0 + 0.02 * (20 - n)) for n in range(20)))
    page = staff.open("/disaster/shelters")
    for name, kana, capacity in (("浜町公民館", "はままちこうみんかん", "120"), ("山の上小学校", "やまのうえ", "800")):
        page.get_by_text("1か所ずつ加える").click()
        page.locator("#entry-name").fill(name)
        page.locator("#entry-kana").fill(kana)
        page.locator("#entry-address").fill("浜町1-2-3")
        page.locator("#entry-capacity").fill(capacity)
        page.locator("#entry-access").fill("スロープあり、多目的トイレなし")
        page.get_by_role("button", name="加える", exact=True).click()
        expect(page.locator("#done")).to_contain_text("加えました")
    page = staff.open("/disaster/field/shelters?shelter=1")
    page.get_by_label("開設", exact=True).check()
    page.locator("#crowding").select_option("some")
    page.locator("#people").fill("42")
    page.get_by_role("button", name="状況を知らせる").click()
    expect(page.locator("#done")).to_contain_text("記録しました")
    page = staff.open("/disaster/field")
    page.locator("#text").fill("橋脚の半分まで水。流木が引っかかっている")
    page.locator("#station").select_option("river-mimamoribashi")
    page.locator("#reading").fill("2.35")
    page.locator("#photos").set_input_files(photo)
    expect(page.locator("#chosen li")).to_have_count(1, timeout=UNTIL)
    page.get_by_role("button", name="報告を送る").click()
    expect(page.locator("#done")).to_contain_text("受け取りました", timeout=UNTIL)
    return link(town, shelters=True)


def test_the_pages_are_clean_in_both_languages_and_widths(chromium: Browser, town_page: Town, photo: Path) -> None:
    with visiting(chromium, town_page, Role.DISASTER) as staff:
        path = fill(town_page, staff, photo)
        page = staff.page
        for language in ("ja", "en"):
            for name in (
                "disaster/field",
                "disaster/field/shelters",
                "disaster/reports",
                "disaster/reports/1",
                "disaster/links",
                "disaster/shelters",
                "disaster/shelters/1",
                "disaster/stations/river-mimamoribashi",
                "public/999999/shelters",
                "public/999999/photos",
                path.removeprefix("/"),
                f"{path.removeprefix('/')}/shelters",
            ):
                page.set_viewport_size({"width": 1280, "height": 800})
                staff.open(f"/{name}?lang={language}")
                expect(page.locator("h1")).to_be_visible()
                for width in (1280, PHONE) if language == "ja" else (PHONE,):
                    fits(page, width, name)
                    known = re.sub(r"field/[\w-]{20,}", "field/link", name)
                    screenshot(page, f"{known}-{language}-{width}")
        page.set_viewport_size({"width": PHONE, "height": 800})
        for name in ("disaster/field", "disaster/reports", "disaster/shelters"):
            staff.open(f"/{name}?drill=1&lang=ja")
            expect(page.locator("h1")).to_contain_text("【訓練】")
            fits(page, PHONE)
        page = staff.open("/disaster/links")
        page.locator("#name").fill("西町 鈴木")
        page.get_by_role("button", name="リンクを作る").click()
        expect(page.locator("#link")).to_contain_text("/field/")
        fits(page, PHONE)
        screenshot(page, "disaster-links-made-ja-360")
        assert staff.complaints == []

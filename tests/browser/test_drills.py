"""A drill in a real browser: planned, started and stopped with the keyboard alone, and how all of it looks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from ingest.drilling import Drilling
from store import connect
from store.town_clock import load_clock
from tests.alerts.people import channels, group, person
from tests.browser.conftest import Town, screenshot, visiting
from tests.browser.fitting import at_every_width
from tests.browser.test_look import A4

UNTIL = 30_000  # ms: generous, a deadline and no measurement
BRIDGE = "river-mimamoribashi"


@contextmanager
def feeding(town: Town) -> Iterator[None]:
    """What the ingest worker does beside its messages."""
    database = town.hall.database
    with connect(database.worker, name="test") as conn:
        drilling = Drilling(database.worker, database.municipality_id, load_clock(conn))
    drilling.start()
    try:
        yield
    finally:
        ended = threading.Thread(target=drilling.stop)
        ended.start()
        ended.join(20)
    assert not ended.is_alive()


def tab_to(page: Page, selector: str, *, back: bool = False) -> None:
    """Presses Tab until the element has the focus, as somebody without a mouse does."""
    for _ in range(120):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"the keyboard does not come to {selector}")


def people(town: Town) -> None:
    database = town.hall.database
    channels(database, "mail")
    tanaka = person(database, "田中 一郎", ("mail", "tanaka@example.jp"))
    suzuki = person(database, "鈴木 二郎", ("mail", "suzuki@example.jp"))
    person(database, "屋外スピーカー", ("mail", "horn@example.jp"), kind="equipment")
    group(database, "防災当番", [tanaka, suzuki])


def planned(page: Page, town: Town) -> None:
    """Fills the form in by keys and sends it: a rise that is at its third level at once."""
    page.goto(f"{town.url}/disaster/drills")
    tab_to(page, "#drill-name")
    page.keyboard.type("秋の図上訓練")
    tab_to(page, f"[name='station-{BRIDGE}']")
    page.keyboard.press("Space")
    tab_to(page, "[name=kind]")
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    for name, text in (("start", "3.3"), ("peak", "3.8"), ("hours", "1")):
        tab_to(page, f"#drill-{name}")
        page.keyboard.type(text)
    tab_to(page, "[name='group-1']")
    page.keyboard.press("Space")
    tab_to(page, ".drill-form .button-main")
    page.keyboard.press("Enter")
    expect(page.locator("#done")).to_contain_text("まだ誰にも知らせていません", timeout=UNTIL)


def test_a_drill_is_started_and_stopped_with_the_keyboard_alone(chromium: Browser, town_page: Town) -> None:
    people(town_page)
    town_page.observe(f"{BRIDGE}/water_level", (-10, 0.8), (0, 0.9))
    with visiting(chromium, town_page, Role.DISASTER) as staff, feeding(town_page):
        page = staff.page
        planned(page, town_page)
        tab_to(page, ".drill-start .button-main")
        page.keyboard.press("Enter")
        expect(page.locator(".drill-banner")).to_contain_text("訓練「秋の図上訓練」を実施中", timeout=UNTIL)
        watched = staff.open("/disaster")
        row = watched.locator(f"#station-{BRIDGE}")
        expect(row.locator(".drill-value")).to_contain_text("3.30", timeout=UNTIL)
        expect(row.locator(".drill-value")).to_contain_text("【訓練】")
        expect(row.locator(".reading")).to_contain_text("0.90")
        expect(watched.locator("#waiting ~ ul .drill")).to_have_text("【訓練】", timeout=UNTIL)
        expect(watched.locator(".strip")).to_contain_text("発生中のアラートはありません")
        tab_to(watched, ".drill-banner button")
        watched.keyboard.press("Enter")
        expect(watched.locator("#done")).to_contain_text("訓練を止めました", timeout=UNTIL)
        expect(watched.locator(".drill-banner")).to_have_count(0)
        assert staff.complaints == []


def test_the_pages_of_drills_are_clean_in_both_languages_and_widths_and_on_paper(
    chromium: Browser, town_page: Town
) -> None:
    people(town_page)
    town_page.observe(f"{BRIDGE}/water_level", *((10 * n - 300, 0.6 + 0.02 * n) for n in range(31)))
    with visiting(chromium, town_page, Role.DISASTER) as staff, feeding(town_page):
        page = staff.page

        def look(when: str, *paths: str) -> None:
            for language in ("ja", "en"):
                for path in paths:
                    page.set_viewport_size({"width": 1280, "height": 900})
                    staff.open(f"{path}?lang={language}")
                    expect(page.locator("#lamp")).to_have_attribute("data-state", "on", timeout=UNTIL)
                    for width in at_every_width(page, path):
                        if width > 320:
                            screenshot(page, f"drill-{when}-{path.strip('/')}-{language}-{width}")
            page.set_viewport_size({"width": 1280, "height": 900})

        planned(page, town_page)
        look("planned", "/disaster/drills", "/disaster/drills/1")
        staff.open("/disaster/drills/1?lang=ja")
        page.get_by_role("button", name="訓練を開始する").click()
        expect(page.locator(".drill-banner")).to_be_visible(timeout=UNTIL)
        staff.open("/disaster")
        expect(page.locator("#waiting ~ ul .drill")).to_be_visible(timeout=UNTIL)
        look("running", "/disaster", f"/disaster/stations/{BRIDGE}", "/alerts", "/disaster/drills/1")
        staff.open("/disaster/drills/1?lang=ja")
        page.locator(".drill-stop button").click()
        expect(page.locator("#done")).to_contain_text("訓練を止めました", timeout=UNTIL)
        look("over", "/disaster/drills", "/disaster/drills/1")
        staff.open("/digital/trials?lang=ja")
        page.select_option("#trial-station", BRIDGE)
        page.fill("#trial-why", "水位計の交換")
        page.get_by_role("button", name="試験にする").click()
        expect(page.locator("#done")).to_contain_text("試験にしました", timeout=UNTIL)
        look("trial", "/digital/trials", "/digital/trials/1")
        page.set_viewport_size(A4)
        staff.open("/disaster/drills/1?lang=ja")
        page.emulate_media(media="print")
        for gone in (".nav", ".drill-start", ".drill-stop", ".links"):
            for each in page.locator(gone).all():
                expect(each).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        screenshot(page, "paper-drill")
        assert page.pdf(format="A4").startswith(b"%PDF")
        assert staff.complaints == []

"""A false alarm taken back with the keyboard alone, in both languages and on a phone; and an event on paper."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.alerts.people import channels, person
from tests.browser.conftest import Town, screenshot, visiting
from tests.browser.test_folders import clean
from tests.browser.test_headquarters import UNTIL
from tests.browser.test_look import A4
from tests.dashboards.test_delivery import write

SENT = "2026-06-01 00:20:00+00"


def told(town: Town) -> int:
    """An alert of which one was told by LINE and one perhaps by mail."""
    database = town.hall.database
    channels(database, "mail", "line")
    tanaka = person(database, "田中 一郎", ("line", "U" + "0" * 32))
    sato = person(database, "佐藤 花子", ("mail", "sato@example.jp"))
    alert_id = town.hall.raise_alert("river-okusawa/water_level")
    write(town.hall, alert_id, tanaka, "line", "U" + "0" * 32, sent_at=SENT, attempts=1)
    write(town.hall, alert_id, sato, "mail", "sato@example.jp", unsure=1, attempts=1)
    write(town.hall, alert_id, sato, "line", "U" + "1" * 32)
    return alert_id


def test_an_officer_takes_a_false_alarm_back_with_the_keyboard_alone(chromium: Browser, town_page: Town) -> None:
    alert_id = told(town_page)
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        page.locator(f"#alert-{alert_id} .assign summary").press("Enter")
        page.locator(f"#goes-{alert_id}").select_option(label="田中 一郎")
        page.locator(f"#goes-note-{alert_id}").fill("車で10分")
        clean(page, "alerts-assign-ja")
        page.locator(f"#goes-note-{alert_id}").press("Enter")
        expect(page.locator("#done")).to_have_text("対応者を記録しました。")
        expect(page.locator(f"#alert-{alert_id} .alert-state")).to_contain_text("対応者：田中 一郎")
        page.locator(f"#alert-{alert_id}").get_by_role("link", name="誤報として訂正する").press("Enter")
        expect(page.locator("#reached")).to_have_text("訂正を受け取る相手（2件）")
        expect(page.get_by_role("row", name="佐藤 花子")).to_contain_text("届いたか不明")
        clean(page, "retract-ja")
        page.goto(f"{town_page.url}/alerts/{alert_id}/retract?lang=en")
        clean(page, "retract-en")
        page.goto(f"{town_page.url}/alerts/{alert_id}/retract?lang=ja")
        page.locator("#note").focus()
        page.keyboard.type("水位計に流木が当たっていた")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_have_text("訂正しました。2件に訂正を送ります。", timeout=UNTIL)
        expect(page.locator("#corrections")).to_have_text("訂正を送った相手（2件）")
        clean(page, "retracted-ja")
        page.goto(f"{town_page.url}/alerts/{alert_id}/retract?lang=en")
        clean(page, "retracted-en")
        for language in ("ja", "en"):
            page.goto(f"{town_page.url}/alerts?lang={language}")
            expect(page.locator("#retracted-alerts")).to_be_visible()
            clean(page, f"alerts-retracted-{language}")
        page.goto(f"{town_page.url}/alerts/{alert_id}/delivery?lang=ja")
        clean(page, "delivery-retracted-ja")
        assert visitor.complaints == []


def test_the_review_of_an_event_makes_a_clean_a4_pdf(chromium: Browser, town_page: Town) -> None:
    """Printing is how a PDF is made: sheets of A4, nothing cut off, nothing to press, no sheet left empty."""
    town_page.observe("river-mimamoribashi/water_level", (-40, 1.2), (-30, 2.9), (-20, 3.4), (-10, 3.1))
    alert_id = told(town_page)
    with visiting(chromium, town_page, Role.DISASTER) as staff:
        page = staff.open(f"/alerts/{alert_id}/retract")
        page.locator("#note").fill("水位計に流木が当たっていた")
        page.get_by_role("button", name=re.compile("訂正する")).click()
        expect(page.locator("#corrections")).to_be_visible(timeout=UNTIL)
        for n in range(40):  # more than a sheet holds
            town_page.execute(
                """
                insert into headquarters_log (municipality_id, drill, at, source, text, entered_at, entered_by)
                select municipality_id, false, timestamptz '2026-06-01 00:00Z' + make_interval(mins => %s), 'phone',
                       '橋の下まで水が来ている。流木が引っかかっている（第' || %s || '報）', now(), min(user_id)
                from app_user group by municipality_id
                """,
                (n // 2, n),
            )
        page.set_viewport_size(A4)
        staff.open("/disaster/review?lang=ja")
        page.emulate_media(media="print")
        for each in page.locator("button, input, select, .links").all():
            expect(each).to_be_hidden()
        expect(page.get_by_role("row", name=re.compile("水位などの段階"))).to_contain_text("1")
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        cut = f"""[...document.querySelectorAll('th, td, p, li, h2')].filter(e => e.offsetParent)
                  .filter(e => e.getBoundingClientRect().right > {A4["width"] + 1} || e.scrollWidth > e.clientWidth + 1)
                  .map(e => e.textContent)"""
        assert page.evaluate(cut) == []
        high = page.evaluate("document.documentElement.scrollHeight")
        screenshot(page, "paper-review")
        pdf = page.pdf(format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "10mm"))
        sheets = len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
        boxes = set(re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf))
        ((wide, tall),) = boxes
        assert (float(wide), float(tall)) == pytest.approx((595, 842), abs=1.5)  # 210 x 297 mm in points
        least = -(-high // A4["height"])
        assert 2 <= least <= sheets <= least + 1, "a sheet is left half empty where a table begins"
        assert staff.complaints == []

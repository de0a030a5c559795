"""値の品質 in a browser: from the doubt to what somebody says of it, and how the pages look and read."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from analytics import doubts
from analytics.judging import alone
from api.roles import Role
from devices.clock import FixedClock
from store import connect
from store.feed import Consumer
from store.reviews import settle_reviews
from tests.analytics.doubting import calm
from tests.browser.conftest import GAUGE, TOWN_NOW, Town, screenshot, visiting
from tests.browser.fitting import SMALLEST_TARGET, clean, unfold


def doubted(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight days of calm water, a spike, and a step that stays: told as it is of what no flood moves."""
    monkeypatch.setitem(doubts.TOLD, "water_level", doubts.TOLD["residual_chlorine"])
    monkeypatch.setattr(doubts, "judging_of", lambda _: alone)
    values = calm()
    values[900] = 2.4
    values[1100:] = [value + 0.6 for value in values[1100:]]
    town.observe(GAUGE, *((10.0 * (n - len(values)), value) for n, value in enumerate(values)))
    dsn = town.hall.database.worker
    with connect(dsn, name="test") as conn:
        Consumer(dsn, doubts.NAME).drain(conn, doubts.Doubts(FixedClock(TOWN_NOW)).handle)


def test_a_doubt_is_looked_at_and_overruled_with_the_keyboard_alone(
    chromium: Browser, town_page: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubted(town_page, monkeypatch)
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/digital/quality")
        rows = page.locator("[id^=doubt-]")
        before = rows.count()
        assert before >= 2
        spike = page.get_by_role("row").filter(has_text="飛び値").get_by_role("link")
        spike.focus()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("水位")
        expect(page.locator(".line-proposed")).not_to_have_count(0)
        page.locator("input[value=true]").focus()
        page.keyboard.press("Space")
        page.locator("#note").focus()
        page.keyboard.type("量水標も2.4 m")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_contain_text("記録しました")
        with connect(town_page.hall.database.worker, name="test") as conn:
            while settle_reviews(conn, now=TOWN_NOW):
                pass
        page.reload()
        page.locator("summary").click()
        expect(page.get_by_role("row").filter(has_text="2.40 m").first).to_contain_text("確定値")
        assert visitor.complaints == []


def test_the_pages_are_clean_in_both_languages_and_at_every_width(
    chromium: Browser, town_page: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubted(town_page, monkeypatch)
    ((event, series),) = town_page.execute(
        "select quality_event_id, datastream_id from quality_event where reason = 'step' order by 1 limit 1"
    )
    addresses = {
        "list": "/digital/quality",
        "series": f"/digital/quality/series/{series}?event={event}",
        "month": f"/digital/quality/stations/{GAUGE.split('/')[0]}?month=2026-05",
        "gauge": f"/disaster/stations/{GAUGE.split('/')[0]}?range=7d",
    }
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        for language in ("ja", "en"):
            for name, address in addresses.items():
                visitor.page.set_viewport_size({"width": 1280, "height": 900})
                page = visitor.open(f"{address}{'&' if '?' in address else '?'}lang={language}")
                unfold(page)
                if name == "gauge":
                    words = {"ja": "疑わしい値を含む", "en": "holds doubtful values"}[language]
                    expect(page.get_by_role("row").filter(has_text=words).first).to_be_visible()
                    key = {"ja": "疑わしい値・異常値を含む区間", "en": "stretches with doubtful"}[language]
                    expect(page.locator(".chart-key")).to_contain_text(key)
                clean(page, name)
                screenshot(page, f"quality-{name}-{language}-1280")
                page.set_viewport_size({"width": 390, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, (name, language)
                assert page.evaluate(SMALLEST_TARGET) == [], (name, language)
                screenshot(page, f"quality-{name}-{language}-390")
        assert visitor.complaints == []

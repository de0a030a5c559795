"""The waterworks' page in a browser: a burst that analytics finds appears by itself, in words, and goes again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

import analytics
from api.roles import Role
from simulators.pipes import Block
from tests.browser.conftest import TOWN_NOW, Town, screenshot, town_running, visiting
from tests.conftest import Registered

BEGINS = -35  # minutes from TOWN_NOW


@contextmanager
def analysing(registered: Registered) -> Iterator[None]:
    stop = threading.Event()
    config = analytics.AnalyticsConfig(registered.worker)
    thread = threading.Thread(target=analytics.run, args=(config, stop), name="analytics under test")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running, analysing(registered):
        yield running


def send(town: Town, first: int, last: int) -> None:
    """The block's readings from one minute to another, with a burst from BEGINS on."""
    opened = TOWN_NOW + timedelta(minutes=BEGINS)
    quiet = TOWN_NOW + timedelta(days=400)
    block = Block(1, quiet, ZoneInfo("Asia/Tokyo"), "block-hamamachi", ((opened, opened + timedelta(hours=9)),))
    for name, value in (("flow", block.flow), ("pressure", block.pressure)):
        minutes = range(first, last, 5)
        town.observe(f"block-hamamachi/{name}", *((m, value(TOWN_NOW + timedelta(minutes=m))) for m in minutes))


def test_a_burst_appears_by_itself_with_its_size_its_reason_and_its_area(chromium: Browser, town: Town) -> None:
    send(town, -16 * 24 * 60, BEGINS)
    with visiting(chromium, town, Role.WATER) as visitor:
        page = visitor.open("/water?lang=ja")
        expect(page.get_by_text("いまはありません。")).to_be_visible()
        expect(page.locator("#lamp")).to_have_attribute("data-state", "on")
        send(town, BEGINS, 0)
        card = page.locator(".suspect")
        expect(card).to_be_visible(timeout=60_000)
        expect(card).to_contain_text("漏水調査候補（流入量がふだんより多く")
        expect(card).to_contain_text("12.4 km（ブロック全体）")
        expect(card).to_contain_text("同時に圧力がふだんより")
        expect(page.locator("#strip")).to_contain_text("発生中のアラート 1件")
        screenshot(page, "water-burst-ja-1280")
        alerts = visitor.open("/alerts?lang=ja")
        alert = alerts.locator("article.alert")
        expect(alert).to_contain_text("漏水調査候補")
        expect(alert.locator(".mark-finding")).to_be_visible()
        alert.get_by_role("button", name="解除").click()
        expect(alerts.locator(".problem[role=alert]")).to_contain_text("メモ")
        alerts.locator("article.alert input[name=note]").fill("消火栓の点検でした")
        alerts.locator("article.alert").get_by_role("button", name="解除").click()
        expect(alerts.locator("#done")).to_contain_text("解除")
        assert [each for each in visitor.complaints if "409" not in each and "400" not in each] == []

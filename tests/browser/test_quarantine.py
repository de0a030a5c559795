"""読めなかった電文 in a real browser: found, understood and read again, on a phone and without script."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from devices.clock import FixedClock
from ingest.replay import Replaying
from ingest.settle import KnownDevices
from quality.gate import CLOCK
from store import connect
from tests.browser.conftest import TOWN_NOW, Town, screenshot, visiting
from tests.browser.fitting import at_every_width, unfold
from tests.browser.story import deliver
from tests.ingest.town import GAUGE, level

# What sticks out, for whoever has to mend it.
UNIT = "unit-" + "x" * 50


def work(town: Town) -> None:
    """What an ingest worker does between its batches."""
    registered = town.hall.database
    with (
        connect(registered.worker, name="test") as conn,
        closing(KnownDevices(registered.municipality_id)) as devices,
    ):
        replaying = Replaying(devices, FixedClock(TOWN_NOW), CLOCK)
        while replaying.step(conn):
            pass


def trouble(town: Town) -> None:
    """A gauge that was registered too late, a sender that nobody knows, and noise."""
    town.execute("update device set key = 'elsewhere' where key = %s returning 1", (GAUGE,))
    deliver(
        town,
        level(1.25, counter=1, time=TOWN_NOW),
        (f"mimamori/v1/{UNIT}/up", json.dumps({"device": UNIT, "counter": 1, "readings": {"a": 1}}).encode()),
        ("application/x/device/beef/event/up", b"\xff" * 400),
        ("application/x/device/beef/event/up", b'{"deviceInfo": "' + b"y" * 300),
    )
    town.execute("update device set key = %s where key = 'elsewhere' returning 1", (GAUGE,))


def test_the_pages_are_clean_in_both_languages_and_at_every_width(chromium: Browser, town_page: Town) -> None:
    trouble(town_page)
    with visiting(chromium, town_page, Role.DIGITAL) as visitor:
        page = visitor.page
        for language in ("ja", "en"):
            for name, path in (
                ("", ""),
                ("-unknown", "/unknown_device"),
                ("-envelope", "/envelope"),
                ("-none", "/slow"),
            ):
                visitor.open(f"/digital/quarantine{path}?lang={language}")
                unfold(page)
                for width in at_every_width(page):
                    if width > 320:
                        screenshot(page, f"quarantine{name}-{language}-{width}")
        assert visitor.complaints == []


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_the_past_of_a_gauge_is_brought_back_with_three_presses(
    chromium: Browser, town_page: Town, script: bool
) -> None:
    trouble(town_page)
    with visiting(chromium, town_page, Role.DIGITAL, width=390, java_script_enabled=script) as visitor:
        page = visitor.open("/digital")
        page.get_by_role("link", name="理由ごとに見る・読み直す").click()
        page.get_by_role("link", name="登録されていない機器").click()
        row = page.locator("tr", has_text=GAUGE).filter(has_text="読めます")
        expect(row).to_contain_text("水位 1.25 m")
        page.locator("tr", has=page.get_by_role("link", name=GAUGE)).get_by_role("button").click()
        expect(page.locator(".done")).to_contain_text("読み直しを依頼しました")
        expect(page.locator("#replays + table")).to_contain_text("受信処理を待っています（1件）")
        work(town_page)
        page.reload()
        expect(page.locator("#replays + table")).to_contain_text("保存 1件・まだ読めない 0件")
        assert visitor.complaints == []
    assert town_page.execute("select value from observation order by phenomenon_time desc limit 1") == [(1.25,)]

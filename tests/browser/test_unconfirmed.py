"""A reading that nothing bears out, and one of a device that somebody works at: what the desk sees and can say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from devices.model import Quality, Reason
from store import connect
from store.planned_work import plan_work
from tests.browser.conftest import TOWN_NOW, Town, town_running, visiting
from tests.browser.test_look import wait_for_alert
from tests.browser.test_notices import fits
from tests.conftest import Registered

GAUGE = "river-mimamoribashi/water_level"
UPSTREAM = "river-takehara/water_level"
UPSTREAM_STATION = "river-takehara"


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    """A calm river, one doubtful reading at its third level, and work at the gauge above it."""
    device = next(
        d
        for d in registered.directory.devices.values()
        if any(a.station_code == UPSTREAM_STATION for a in d.attachments)
    )
    with connect(registered.owner, name="test") as conn:
        plan_work(
            conn,
            registered.municipality_id,
            device.device_id,
            starts_at=TOWN_NOW - timedelta(hours=1),
            ends_at=TOWN_NOW + timedelta(hours=2),
            work="清掃",
            now=TOWN_NOW - timedelta(hours=2),
            user_id=None,
        )
    with town_running(registered) as running:
        running.observe(GAUGE, *((m, 1.0) for m in range(-60, -5, 10)))
        running.observe(UPSTREAM, (-20, 0.5))
        running.observe(UPSTREAM, (-10, 2.0), (-5, 2.0), quality=Quality.DOUBTFUL, reason=Reason.MAINTENANCE)
        running.observe(GAUGE, (-1, 3.3), quality=Quality.DOUBTFUL, reason=Reason.RATE)
        yield running


def test_the_desk_sees_what_waits_and_says_that_it_is_right(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        wait_for_alert(page)
        waiting = page.locator(".answer-waiting")
        expect(waiting).to_contain_text("未確認の値")
        expect(waiting).to_contain_text("次の観測値を待っています。まだ誰にも通知していません")
        expect(waiting).to_contain_text("作業中のため通知していません")
        for language in ("ja", "en"):
            visitor.open(f"/disaster?lang={language}")
            fits(page, f"unconfirmed-disaster-{language}")
            visitor.open(f"/alerts?lang={language}")
            fits(page, f"unconfirmed-alerts-{language}")
        visitor.open("/alerts?lang=ja")
        article = page.locator("article", has_text="美守橋").first
        expect(article).to_contain_text("通知を保留")
        article.get_by_role("button", name="値は正しい").click()
        expect(page.locator("#done")).to_contain_text("値が正しいことを記録しました")
        expect(article.locator(".events")).to_contain_text("通知")
        expect(article).not_to_contain_text("まだ誰にも通知していません")
        fits(page, "unconfirmed-confirmed-ja")
        assert visitor.complaints == []
    ((subject,),) = town.execute("select subject from outbox where channel = 'log'")
    assert "3.30 m" in subject and "未確認" not in subject


def test_the_desk_says_that_it_is_wrong_and_nobody_is_told(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER, width=390) as visitor:
        page = visitor.open("/disaster")
        wait_for_alert(page)
        page.locator(".answer-waiting li", has_text="美守橋").get_by_role("button", name="値は誤り").click()
        expect(page.locator("#done")).to_contain_text("取り下げました")
        visitor.open("/alerts")
        expect(page.locator("table", has_text="美守橋")).to_contain_text("未確認のまま終了")
        fits(page, "unconfirmed-dismissed-ja")
        assert visitor.complaints == []
    assert town.execute("select from outbox where channel = 'log' and subject like '%%美守橋%%'") == []

"""この端末に通知する in a real Chromium: its words where it cannot be, the worker that shows what comes, the list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from alerts.push_message import Sender, new_key
from api.roles import Role
from devices.clock import ClockSetting
from store import connect
from store.town_clock import write_clock
from tests.alerts.people import group, person
from tests.api.serving import serving
from tests.browser.conftest import Town, Visitor, settle, visiting, wait_until
from tests.browser.test_folders import clean
from tests.conftest import Registered

UNTIL = 30_000
KEY = Sender(new_key(), "mailto:b@example.jp").public_key
# What a browser gives where it reaches its maker's push service, which no test does: everything else is real.
SUBSCRIBED = """() => {
  const bytes = (n, first) => { const made = new Uint8Array(n); made[0] = first; return made.buffer; };
  PushManager.prototype.subscribe = async function (options) {
    return { endpoint: 'https://push.example.org/of-this-browser', options,
      getKey: (name) => (name === 'auth' ? bytes(16, 1) : bytes(65, 4)) };
  };
}"""


@pytest.fixture
def town_page(registered: Registered) -> Iterator[Town]:
    """A town on the real clock with a push channel, as its alerts process announced it."""
    settle(registered)
    now = datetime.now(UTC)
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=False, real_start=now, town_start=now, speed=1.0))
        conn.execute("delete from delivery_channel")
        conn.execute(
            "insert into delivery_channel (name, kind, public_key) "
            "values ('push', 'webpush', %s), ('mail', 'mail', null)",
            (KEY,),
        )
    yamada = person(registered, "山田 太郎", ("mail", "yamada@example.jp"))
    group(registered, "防災当番", [yamada])
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "update person set user_id = (select user_id from app_user where login = 'disaster') where person_id = %s",
            (yamada,),
        )
    with serving(registered, demo=True) as hall:
        yield Town(hall)


@contextmanager
def at_the_page(chromium: Browser, town: Town, **options: Any) -> Iterator[Visitor]:
    with visiting(chromium, town, Role.DISASTER, **options) as visitor:
        yield visitor


def worker_of(page: Page, path: str) -> tuple[CDPSession, str]:
    """The browser's own view of the service worker of a page: its session, and the registration's id."""
    session = page.context.new_cdp_session(page)
    found: list[dict[str, Any]] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda said: found.extend(said["registrations"]))
    session.send("ServiceWorker.enable")
    for _ in range(600):
        mine = [each for each in found if each["scopeURL"].endswith(path) and not each["isDeleted"]]
        if mine:
            return session, str(mine[-1]["registrationId"])
        page.wait_for_timeout(50)
    raise AssertionError(f"there is no service worker for {path}: {found}")


# How many messages the worker has shown. Not by asking the browser what it shows until it shows enough: what is asked
# for between its being written down and its being shown counts as closed meanwhile, and is forgotten.
COUNTED = """() => {
  const show = ServiceWorkerRegistration.prototype.showNotification;
  self.count = 0;
  ServiceWorkerRegistration.prototype.showNotification = async function (...said) {
    await show.apply(this, said);
    self.count += 1;
  };
}"""
# A browser opens a window only for a real finger: what the worker asks for is noted instead.
TAPPED = """async (tag) => {
  const asked = [];
  self.clients.openWindow = async (url) => { asked.push(url); };
  const [notification] = await self.registration.getNotifications({ tag });
  const event = new NotificationEvent('notificationclick', { notification });
  event.waitUntil = () => {};
  self.dispatchEvent(event);
  return asked;
}"""
SHOWN = "navigator.serviceWorker.getRegistration('/notifications').then(async (r) => (await r.getNotifications())" + (
    ".map(({title, body, tag, data, silent}) => ({title, body, tag, data, silent})))"
)


def test_a_message_is_shown_its_repetition_says_so_and_a_tap_leads_to_the_answer(
    chromium: Browser, town_page: Town
) -> None:
    with at_the_page(chromium, town_page, permissions=["notifications"]) as visitor:
        page = visitor.open("/notifications")
        expect(page.locator("#push-state")).to_have_text("この端末には、まだ通知が届きません。", timeout=UNTIL)
        page.evaluate("navigator.serviceWorker.register('/worker.js', {scope: '/notifications'})")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        session, registration = worker_of(page, "/notifications")
        (worker,) = page.context.service_workers
        worker.evaluate(COUNTED)
        told = {
            "key": "k1",
            "title": "【美守町】美守橋 2.31m",
            "body": "参考・速報値",
            "url": f"{town_page.url}/answer/x",
        }

        def deliver(n: int, data: str) -> None:
            """The `n`th message; until it has been shown."""
            session.send(
                "ServiceWorker.deliverPushMessage",
                {"origin": town_page.url, "registrationId": registration, "data": data},
            )
            wait_until(worker, f"self.count === {n}")

        deliver(1, json.dumps(told, ensure_ascii=False))
        (first,) = page.evaluate(SHOWN)
        assert (first["title"], first["body"], first["tag"]) == (told["title"], "参考・速報値", "k1")
        assert first["data"] == {"url": told["url"]} and not first["silent"]
        deliver(2, json.dumps(told, ensure_ascii=False))
        (repeated,) = page.evaluate(SHOWN)
        assert repeated["body"] == "（再送）参考・速報値"
        deliver(3, json.dumps({**told, "key": "k2", "url": None}))
        assert {each["data"]["url"] for each in page.evaluate(SHOWN)} == {told["url"], "/alerts"}
        assert worker.evaluate(TAPPED, "k1") == [told["url"]] and worker.evaluate(TAPPED, "k2") == ["/alerts"]
        wait_until(page, f"{SHOWN}.then((all) => all.length === 0)")
        assert visitor.page.url.endswith("/notifications"), "no tap acknowledges by itself"
        deliver(4, "これはJSONではない")
        assert len(page.evaluate(SHOWN)) == 1


def test_this_device_is_allowed_by_the_form_and_stands_in_the_list(chromium: Browser, town_page: Town) -> None:
    with at_the_page(chromium, town_page, permissions=["notifications"]) as visitor:
        page = visitor.open("/notifications")
        page.evaluate(SUBSCRIBED)
        page.get_by_label("この端末の呼び名").fill("防災倉庫のタブレット")
        page.get_by_role("button", name="この端末への通知を許可する").click()
        expect(page.locator("#said")).to_contain_text("この端末を登録しました", timeout=UNTIL)
        row = page.get_by_role("row", name="防災倉庫のタブレット")
        expect(row).to_contain_text("連絡先の2番目")
        clean(page, "notifications-ja")
        row.get_by_role("button", name="試しに送る").click()
        expect(page.locator("#said")).to_contain_text("試験のお知らせを送ります")
        page.goto(f"{town_page.url}/notifications?lang=en")
        clean(page, "notifications-en")
        with visiting(chromium, town_page, Role.DIGITAL) as keeper:
            contacts = keeper.open("/digital/people")
            contacts.get_by_text("アカウント：disaster").click()
            expect(contacts.get_by_label("アカウント", exact=True)).to_be_visible()
            expect(contacts.locator("#channel-new option")).to_have_text(["メール"])
            clean(contacts, "people-with-browser-ja")
        page.get_by_role("button", name="Take away").click()
        expect(page.locator("#said")).to_have_text("The device was taken away.")
        assert town_page.execute("select count(*) from contact where ended_at is null and channel = 'push'") == [(0,)]
        assert visitor.complaints == []


def test_what_stands_in_the_way_is_said_in_words(chromium: Browser, town_page: Town) -> None:
    with at_the_page(chromium, town_page, permissions=["notifications"]) as visitor:
        page = visitor.open("/notifications")
        page.get_by_role("button", name="この端末への通知を許可する").click()
        # no way from here to any push service
        expect(page.locator("#push-state")).to_contain_text("この端末を登録できませんでした", timeout=60_000)
        expect(page.locator("#push-state")).to_contain_text("AbortError")
        assert town_page.execute("select count(*) from push_subscription") == [(0,)]
    with at_the_page(chromium, town_page) as visitor:
        page = visitor.open("/notifications")
        page.evaluate("Notification.requestPermission = async () => 'denied'")
        page.get_by_role("button", name="この端末への通知を許可する").click()
        expect(page.locator("#push-state")).to_contain_text("通知が許可されていません", timeout=UNTIL)
    iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
    with at_the_page(chromium, town_page, user_agent=iphone) as visitor:
        visitor.page.add_init_script("delete window.PushManager")
        page = visitor.open("/notifications")
        expect(page.locator("#push-state")).to_contain_text("ホーム画面に追加", timeout=UNTIL)
        expect(page.locator("#push-form")).to_be_hidden()
        assert page.request.get(f"{town_page.url}/app.webmanifest").json()["display"] == "standalone"
    with visiting(chromium, town_page, Role.WATER) as visitor:
        page = visitor.open("/notifications")
        expect(page.get_by_text("まだ連絡先の人と結び付いていません")).to_be_visible()
    with at_the_page(chromium, town_page) as visitor:
        visitor.page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
        page = visitor.open("/notifications")
        expect(page.locator("#push-state")).to_contain_text("https:// で始まるアドレス", timeout=UNTIL)
        clean(page, "notifications-insecure-ja")

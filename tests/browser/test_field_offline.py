"""The report form without any network: it opens for who opened it once, sends later, never twice, and keeps no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from api.auth import COOKIE
from api.roles import Role
from tests.browser.conftest import FarTown, Town, Visitor, screenshot, visiting, wait_until
from tests.browser.fitting import fits
from tests.browser.test_field import PHONE, UNTIL, link, reports, telephone
from tests.browser.test_notifications import worker_of
from tests.photos import picture

FORM = "/disaster/field"
KEPT = "caches.open('mimamori-field').then(async (all) => (await all.keys()).map(({url}) => new URL(url).pathname))"


def opened_once(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#offline-able")).to_contain_text("電波がなくてもこの端末で開けます", timeout=UNTIL)


def away(context: BrowserContext, address: str) -> None:
    """It cannot be opened. In a window of its own: the browser's word about that comes behind the failure."""
    page = context.new_page()
    with pytest.raises(Error, match="net::ERR_"):
        page.goto(address)
    page.close()


def until_reported(page: Page, town: Town, n: int) -> None:
    for _ in range(600):
        if len(reports(town)) == n:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{reports(town)} are not {n} reports")


def test_staff_open_it_offline_and_what_they_write_goes_out_by_itself(
    chromium: Browser, far_town: FarTown, tmp_path: Path
) -> None:
    photo = tmp_path / "bridge.jpg"
    photo.write_bytes(picture(800, 600))
    with visiting(chromium, far_town, Role.DISASTER, width=PHONE) as staff:
        page = staff.page
        opened_once(page, far_town.url + FORM)
        # Of the town nothing is kept but this form, which has no token of the session, and its files.
        kept = page.evaluate(KEPT)
        assert [path for path in kept if not path.startswith("/static/")] == [FORM]
        copy = page.evaluate(f"caches.match('{FORM}').then((copy) => copy.text())")
        assert "csrf_token" not in copy and "奥沢" in copy
        page.goto("about:blank")
        far_town.cut_off(staff.context)
        page.goto(far_town.url + FORM)
        expect(page.locator("#offline")).to_contain_text("オフラインです", timeout=UNTIL)
        expect(page.locator("#offline")).to_contain_text("に読み込んだ画面")
        fits(page, PHONE)
        screenshot(page, "field-offline-ja-360")
        page.locator("#text").fill("橋脚に流木")
        page.locator("#station").select_option("river-okusawa")
        page.locator("#photos").set_input_files(photo)
        expect(page.locator("#chosen li")).to_have_count(1, timeout=UNTIL)
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#problem")).to_contain_text("つながると自動で送ります", timeout=UNTIL)
        page.locator("#text").fill("二つ目の報告")
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#waiting-list li")).to_have_count(2, timeout=UNTIL)
        fits(page, PHONE)
        screenshot(page, "field-offline-waiting-ja-360")
        # No other page of the town can be seen without it.
        for path in ("/disaster", "/disaster/field/shelters", "/start"):
            away(staff.context, far_town.url + path)
        page.goto(far_town.url + FORM)
        expect(page.locator("#waiting-list li")).to_have_count(2, timeout=UNTIL)
        # What one does not want to send after all is away with the second press on the same button.
        page.locator("#text").fill("まちがい")
        page.get_by_role("button", name="報告を送る").click()
        wrong = page.locator("#waiting-list li", has_text="まちがい").get_by_role("button")
        expect(wrong).to_contain_text("消す", timeout=UNTIL)
        wrong.click()
        expect(wrong).to_have_text("もう一度押すと消えます")
        wrong.click()
        expect(page.locator("#waiting-list li")).to_have_count(2)
        far_town.reconnect(staff.context)
        until_reported(page, far_town, 2)
        expect(page.locator("#waiting")).to_be_hidden(timeout=UNTIL)
        expect(page.locator("#done")).to_contain_text("残っていた報告を送りました")
    assert [row[0] for row in reports(far_town)] == ["二つ目の報告", "橋脚に流木"]
    (login,) = far_town.execute("select distinct login from field_report join app_user using (user_id)")
    assert login == ("disaster",) and far_town.execute("select count(*) from field_photo") == [(1,)]


def test_what_waits_goes_out_once_while_no_page_is_open(chromium: Browser, far_town: FarTown) -> None:
    path = link(far_town)
    with telephone(chromium, far_town) as page:
        opened_once(page, far_town.url + path)
        far_town.cut_off(page.context)
        page.locator("#text").fill("土のうが足りない")
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#waiting-list li")).to_have_count(1, timeout=UNTIL)
        page.goto("about:blank")
        far_town.reconnect(page.context)
        elsewhere = page.context.new_page()
        elsewhere.goto(f"{far_town.url}/public/999999/shelters")
        session, registration = worker_of(elsewhere, path)
        for _ in range(2):  # as the browser does when there is a network again
            session.send(
                "ServiceWorker.dispatchSyncEvent",
                {"origin": far_town.url, "registrationId": registration, "tag": "field", "lastChance": False},
            )
            until_reported(elsewhere, far_town, 1)
        # The form of another link says nothing of it, and leaves it to be said.
        other = page.context.new_page()
        other.add_init_script("const wait = setTimeout; self.setTimeout = (act, ms) => wait(act, ms < 3000 ? ms : 0);")
        opened_once(other, far_town.url + link(far_town))
        other.wait_for_timeout(500)
        expect(other.locator("#done")).to_be_empty()
        other.close()
        # A page that is left before anybody can have read it is followed by one that says it too.
        left = page.context.new_page()
        left.add_init_script("const wait = setTimeout; self.setTimeout = (act, ms) => (ms < 3000 ? wait(act, ms) : 0);")
        for shown in (left, page):
            shown.goto(far_town.url + path)
            expect(shown.locator("#done")).to_contain_text("残っていた報告を送りました（番号 1）", timeout=UNTIL)
            expect(shown.locator("#waiting")).to_be_hidden()
            left.close()
        wait_until(page, "self.fieldQueue.waiting().then((all) => all.length === 0)")
    assert len(reports(far_town)) == 1


def test_a_link_that_is_over_is_not_opened_offline_and_what_it_left_says_why(
    chromium: Browser, far_town: FarTown
) -> None:
    path = link(far_town)
    with telephone(chromium, far_town) as page:
        opened_once(page, far_town.url + path)
        far_town.cut_off(page.context)
        page.locator("#text").fill("倒木")
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#waiting-list li")).to_have_count(1, timeout=UNTIL)
        far_town.execute("update field_link set revoked_at = now(), revoked_by = made_by")
        far_town.reconnect(page.context)
        expect(page.locator("#waiting-list")).to_contain_text("このリンクは使えません", timeout=UNTIL)
        page.get_by_role("button", name="書き直す").click()
        expect(page.locator("#text")).to_have_value("倒木")
        page.goto(far_town.url + path)
        expect(page.get_by_text("このリンクは使えません").first).to_be_visible()
        assert page.evaluate(KEPT) == []
    assert reports(far_town) == []


def test_a_browser_that_stores_nothing_keeps_it_in_the_form_and_says_so(chromium: Browser, far_town: FarTown) -> None:
    path = link(far_town)
    with telephone(chromium, far_town) as page:
        page.add_init_script("IDBFactory.prototype.open = () => { throw new DOMException('a private window'); }")
        page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('a private window'); }")
        page.add_init_script("delete Navigator.prototype.serviceWorker")
        page.goto(far_town.url + path)
        expect(page.locator("#offline-able")).to_contain_text("電波がないと開けません", timeout=UNTIL)
        page.locator("#text").fill("倒木")
        far_town.cut_off(page.context)
        page.get_by_role("button", name="報告を送る").click()
        expect(page.locator("#problem")).to_contain_text("ページを閉じずに", timeout=UNTIL)
        expect(page.locator("#text")).to_have_value("倒木")
        far_town.reconnect(page.context)
        page.get_by_role("button", name="もう一度送る").click()
        expect(page.locator("#done")).to_contain_text("受け取りました", timeout=UNTIL)
    assert [row[0] for row in reports(far_town)] == ["倒木"]


def as_account(context: BrowserContext, town: Town, role: Role) -> None:
    token, _ = town.hall.session(role.value)
    context.add_cookies([{"name": COOKIE, "value": token, "url": town.url}])


def queued(far_town: FarTown, staff: Visitor, text: str) -> None:
    """A report of the signed-in person that waits; the line is cut."""
    opened_once(staff.page, far_town.url + FORM)
    far_town.cut_off(staff.context)
    staff.page.locator("#text").fill(text)
    staff.page.get_by_role("button", name="報告を送る").click()
    expect(staff.page.locator("#waiting-list li")).to_have_count(1, timeout=UNTIL)
    staff.page.goto("about:blank")


def test_a_report_goes_out_by_the_account_that_wrote_it_and_no_other(chromium: Browser, far_town: FarTown) -> None:
    with visiting(chromium, far_town, Role.DISASTER, width=PHONE) as staff:
        queued(far_town, staff, "防災担当が見たこと")
        as_account(staff.context, far_town, Role.WATER)
        far_town.reconnect(staff.context)
        page = staff.open(FORM)
        expect(page.locator("#waiting-others")).to_contain_text("1件", timeout=UNTIL)
        expect(page.locator("#waiting-list li")).to_have_count(0)
        assert "防災担当が見たこと" not in page.content()
        page.get_by_role("button", name="いま送る").click()
        opened_once(page, far_town.url + FORM)
        assert reports(far_town) == []
        as_account(staff.context, far_town, Role.DISASTER)
        page = staff.open(FORM)
        expect(page.locator("#done")).to_contain_text("残っていた報告を送りました", timeout=UNTIL)
    assert far_town.execute("select login from field_report join app_user using (user_id)") == [("disaster",)]


def entered_in_the_street(far_town: FarTown, staff: Visitor) -> None:
    """The case of a leak, which has pipes on it: what was written before somebody else's step comes back, and is taken
    once.
    """
    page, here = staff.page, far_town.hall.database.municipality_id
    ((case,),) = far_town.execute(
        "insert into leak_case (municipality_id, name, pipes, reason, opened_at, opened_by) "
        "select municipality_id, '役場前', '{}', '', now(), user_id from app_user "
        "where login = 'water' and municipality_id = %s returning leak_case_id",
        (here,),
    )
    path = f"/water/leaks/{case}"
    opened_once(page, far_town.url + path)
    page.goto("about:blank")
    far_town.cut_off(staff.context)
    page.goto(far_town.url + path)
    expect(page.locator("#offline")).to_contain_text("オフラインです", timeout=UNTIL)
    note = page.locator("form[data-step=note]")
    note.locator("textarea").fill("音がする")
    note.locator("button").click()
    expect(page.locator("#waiting-list")).to_contain_text("音がする", timeout=UNTIL)
    far_town.execute(
        "insert into leak_case_step (leak_case_id, number, municipality_id, kind, at, text, entered_at, entered_by) "
        "select %s, 1, municipality_id, 'note', now(), '先の記録', now(), user_id from app_user "
        "where login = 'digital' and municipality_id = %s",
        (case, here),
    )
    far_town.reconnect(staff.context)
    expect(page.locator("#waiting-list")).to_contain_text("ほかの人が先に記録しました", timeout=UNTIL)
    page.get_by_role("link", name="いまの内容を確かめる").click()
    expect(page.locator("#steps + ol")).to_contain_text("先の記録", timeout=UNTIL)
    page.get_by_role("button", name="書き直す").click()
    note.locator("button").click()
    page.wait_for_url("**?done=step_note")
    assert far_town.execute("select number, text from leak_case_step order by 1") == [(1, "先の記録"), (2, "音がする")]


def test_signing_out_leaves_nothing_but_what_the_town_hall_has_not_got(chromium: Browser, far_town: FarTown) -> None:
    with visiting(chromium, far_town, Role.DISASTER) as staff:
        queued(far_town, staff, "まだ届いていないこと")
        page = staff.page
        # before there is a network again somebody else has signed in: nothing goes out
        as_account(staff.context, far_town, Role.WATER)
        far_town.reconnect(staff.context)
        staff.open(FORM).locator("#text").fill("書きかけ")
        entered_in_the_street(far_town, staff)
        # what has gone out and was not said anywhere yet
        page.evaluate(
            "self.fieldQueue.store('waiting', 'readwrite', (all) => "
            "all.put({ key: 'gone', author: 'water', action: '/water/leaks/9', sent: { report: 1 } }, 'gone'))"
        )
        staff.open("/disaster")
        page.get_by_role("button", name="サインアウト").click()
        expect(page.locator("html")).to_have_attribute("data-left", "done", timeout=UNTIL)
        expect(page.locator("#left-text")).to_contain_text("1件残っています")
        fits(page, 1280)
        screenshot(page, "signed-out-ja-1280")
        assert page.evaluate("self.fieldQueue.waiting().then((all) => all.map(({ fields }) => fields?.text))") == [
            "まだ届いていないこと"
        ]
        assert page.evaluate(KEPT) == []
        assert page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('/disaster'))") == []
        assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0
        far_town.cut_off(staff.context)
        away(staff.context, far_town.url + FORM)
        far_town.reconnect(staff.context)
        page.goto(f"{far_town.url}/sign-in?out=1")
        page.get_by_text("送らずに消す").click()
        page.get_by_role("button", name="この端末から消す").click()
        expect(page.locator("#left")).to_be_hidden(timeout=UNTIL)
        assert page.evaluate("self.fieldQueue.waiting().then((all) => all.length)") == 0

"""The forms for counts in a real browser: without a network nothing typed is lost or entered twice; the pages fit."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.browser.conftest import TOWN_NOW, FarTown, Town, screenshot, visiting
from tests.browser.fitting import fits
from tests.browser.test_field_offline import KEPT
from tests.browser.test_tourism import MUSEUM, UNTIL, enter

FORMS = ("entry", "hours", "gatherings", "months")
TODAY = TOWN_NOW.date()
YESTERDAY = TODAY - timedelta(days=1)
SPOKEN = f"{YESTERDAY.month}/{YESTERDAY.day}（"


def entered(town: Town) -> list[tuple[object, ...]]:
    return town.execute("select day, value from manual_entry order by manual_entry_id")


def test_what_is_typed_without_a_network_waits_is_sent_once_and_asks_where_somebody_else_was_first(
    chromium: Browser, far_town: FarTown
) -> None:
    with (
        visiting(chromium, far_town, Role.TOURISM, width=390, has_touch=True) as clerk,
        visiting(chromium, Town(far_town.hall), Role.DIGITAL) as other,
    ):
        page = clerk.open(f"/tourism/entry/{MUSEUM}?day={TODAY}")
        expect(page.locator("html")).to_have_attribute("data-ready", "yes", timeout=UNTIL)
        expect(page.locator("#entry-able")).to_contain_text("電波がなくてもこの端末で開けます", timeout=UNTIL)
        far_town.cut_off(clerk.context)
        enter(page, "41")
        waiting = page.locator("#entry-waiting")
        expect(waiting).to_contain_text("保存待ち 1件", timeout=UNTIL)
        # the page's own lists lead to another day, of which nobody knows what stands there
        page.locator(".choices-days .choice", has_text=SPOKEN).tap()
        expect(page.locator("#which-number")).to_contain_text(SPOKEN)
        expect(page.locator("#entry-offline")).to_contain_text("電波がないため")
        enter(page, "42")
        expect(waiting).to_contain_text("保存待ち 2件")
        # a network in which the town does not answer leads nowhere, and takes nothing that is being typed
        number = page.get_by_label("人数（延べ）", exact=True)
        number.fill("4")
        with page.expect_event("requestfailed", lambda failed: "/tourism/entry" in failed.url):
            clerk.context.set_offline(False)
        clerk.context.set_offline(True)
        expect(page.locator("#which-number")).to_contain_text(SPOKEN)
        expect(number).to_have_value("4")
        number.fill("")
        fits(page, 390)
        screenshot(page, "tourism_entry-offline-ja-390")
        enter(other.open(f"/tourism/entry/{MUSEUM}?day={YESTERDAY}"), "50")
        expect(other.page.locator(".done")).to_contain_text("保存しました")
        assert entered(far_town) == [(YESTERDAY, 50.0)]
        # opened anew without a network, by any of its addresses: the form alone, which knows no number of the town
        page.goto("about:blank")
        page.goto(f"{far_town.url}/tourism/entry/spot-todai")
        expect(page.locator("#entry-copy")).to_contain_text("電波がないため", timeout=UNTIL)
        expect(waiting).to_contain_text("保存待ち 2件")
        kept = page.evaluate(KEPT)
        assert {path for path in kept if not path.startswith("/static/")} == {f"/tourism/{form}" for form in FORMS}
        page.locator("#spot").select_option(label="鈴鳴りの滝")
        page.locator("#day").fill(str(TODAY))
        enter(page, "43")
        expect(waiting).to_contain_text("保存待ち 3件")
        fits(page, 390)
        screenshot(page, "tourism_entry-copy-ja-390")
        # the other forms came with it, and what is typed into them waits in the same list
        page.get_by_role("link", name="時間ごと").click()
        expect(waiting).to_contain_text("保存待ち 3件", timeout=UNTIL)
        page.locator("#day").fill(str(YESTERDAY))
        page.get_by_label("9時〜10時").fill("12")
        page.locator(".entry-save").click()
        expect(waiting).to_contain_text("9時〜10時 12")
        fits(page, 390)
        screenshot(page, "tourism_hours-copy-ja-390")
        page.get_by_role("link", name="行事ごと").click()
        expect(waiting).to_contain_text("保存待ち 4件", timeout=UNTIL)
        page.get_by_label("行事の名前").fill("滝まつり")
        page.get_by_label("いつから", exact=True).fill(f"{YESTERDAY}T10:00")
        page.get_by_label("いつまで", exact=True).fill(f"{YESTERDAY}T15:00")
        enter(page, "1,200")
        expect(waiting).to_contain_text("滝まつり 1,200")
        screenshot(page, "tourism_gatherings-copy-ja-390")
        page.get_by_role("link", name="月ごとの表").click()
        expect(waiting).to_contain_text("保存待ち 5件", timeout=UNTIL)
        page.get_by_label("年月").fill("R7.4")
        page.get_by_label("その月の人数").fill("2,000")
        page.locator(".entry-save").click()
        expect(waiting).to_contain_text("R7.4 2,000")
        fits(page, 390)
        screenshot(page, "tourism_months-copy-ja-390")
        far_town.reconnect(clerk.context)
        expect(waiting).to_contain_text("保存待ち 1件", timeout=UNTIL)
        expect(page.locator("#entry-waiting-state")).to_contain_text("5件を保存しました")
        assert far_town.execute("select value from part_entry union all select value from month_entry order by 1") == [
            (12,),
            (1200,),
            (2000,),
        ]
        page.locator("#entry-live a").click()
        expect(page.locator("html")).to_have_attribute("data-ready", "yes", timeout=UNTIL)
        waiting.get_by_role("link", name="確かめる").click()
        expect(page.locator("#meanwhile")).to_contain_text("50 人にしています")
        assert page.locator("#number").input_value() == "42"
        page.locator(".entry-save").click()
        expect(page.locator(".done")).to_contain_text("訂正しました")
        expect(page.locator("#entry-waiting")).to_be_hidden()
        assert entered(far_town) == [(YESTERDAY, 50.0), (TODAY, 41.0), (TODAY, 43.0), (YESTERDAY, 42.0)]


def test_a_block_is_pasted_checked_and_saved_and_the_report_stays_while_the_page_follows_the_town(
    chromium: Browser, town_page: Town
) -> None:
    with visiting(chromium, town_page, Role.TOURISM, width=320) as clerk:
        page = clerk.open("/tourism/paste")
        fits(page, 320)
        page.get_by_label("表（貼り付け）").fill(f"日付\t美守郷土資料館\n{TODAY}\t12\n{YESTERDAY}\t-1\n")
        page.get_by_role("button", name="確かめる").click()
        expect(page.locator("#report")).to_be_visible()
        with page.expect_response(lambda answer: "fragment=1" in answer.url, timeout=UNTIL):
            town_page.observe("river-mimamoribashi/water_level", (-2, 3.5))
        expect(page.get_by_text("「-1」は人数として読み取れません")).to_be_visible()
        fits(page, 320)
        screenshot(page, "tourism_paste-ja-320")
        page.get_by_role("button", name="1件を保存する").click()
        expect(page.locator("#done")).to_contain_text("1件を保存しました")
        assert entered(town_page) == [(TODAY, 12.0)]


def test_the_pages_for_hours_events_and_months_fit_in_both_languages(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.TOURISM) as clerk:
        page = clerk.open(f"/tourism/hours/{MUSEUM}?day={YESTERDAY}")
        page.get_by_label("9時〜10時").fill("12")
        page.locator(".entry-save").click()
        expect(page.locator(".hour-sum")).to_contain_text("12 人（1時間分）")
        page = clerk.open(f"/tourism/gatherings/{MUSEUM}")
        page.get_by_label("行事の名前").fill("滝まつり")
        page.get_by_label("いつから", exact=True).fill(f"{YESTERDAY}T10:00")
        page.get_by_label("いつまで", exact=True).fill(f"{YESTERDAY}T15:00")
        enter(page, "1,200")
        expect(page.locator("#gatherings ~ table")).to_contain_text("1,200")
        page = clerk.open(f"/tourism/months/{MUSEUM}")
        page.get_by_label("年月").fill("R7.4")
        page.get_by_label("その月の人数").fill("2,000")
        page.get_by_role("button", name="保存する").click()
        expect(page.locator(".done")).to_contain_text("保存しました")
        for language, width in (("ja", 1280), ("en", 320)):
            clerk.page.set_viewport_size({"width": width, "height": 900})
            for name in ("hours", "gatherings", "months"):
                page = clerk.open(f"/tourism/{name}/{MUSEUM}?lang={language}")
                expect(page.locator("#lamp")).to_have_attribute("data-state", "on")
                fits(page, width)
                screenshot(page, f"tourism_{name}-{language}-{width}")
        assert clerk.complaints == []

"""音で知らせる in a real browser: after a gesture only, until somebody acknowledges, and softly for a drill."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from tests.browser.conftest import GAUGE, TOWN_NOW, Town, screenshot, visiting, wait_until
from tests.browser.test_folders import clean
from tests.browser.test_live import UNTIL, connected

SWITCH = "#sound-switch"


def state(page: Page, expected: str) -> None:
    expect(page.locator("#sound")).to_have_attribute("data-state", expected, timeout=UNTIL)


def tones(page: Page) -> int:
    return int(page.locator("#sound").get_attribute("data-tones") or 0)


def sounding(page: Page) -> None:
    """It sounds, and goes on sounding."""
    before = tones(page)
    wait_until(page, f"Number(document.getElementById('sound').dataset.tones) > {before + 2}")


def test_it_sounds_after_a_press_until_somebody_acknowledges(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        connected(page)
        state(page, "off")
        clean(page, "sound-off-ja")
        page.locator(SWITCH).focus()
        page.keyboard.press("Enter")  # the keyboard is a gesture
        state(page, "on")
        expect(page.locator(SWITCH)).to_have_attribute("aria-pressed", "true")
        assert tones(page) == 0, "nothing waits"
        town_page.observe(GAUGE, (-2, 3.3))
        expect(page.locator("#strip")).to_contain_text("未確認", timeout=UNTIL)
        assert tones(page) == 0, "level 3 is below what was chosen"
        town_page.observe(GAUGE, (-1, 3.82))
        state(page, "actual")
        expect(page.locator("#sound-state")).to_contain_text("未確認のアラートが1件あり、鳴っています")
        sounding(page)
        clean(page, "sound-actual-ja")
        page.locator(".waiting button").first.click()
        state(page, "on")
        before = tones(page)
        page.wait_for_timeout(3_000)
        assert tones(page) == before, "it is silent once somebody has acknowledged"
        assert visitor.complaints == []


def test_it_can_be_silenced_here_and_what_rises_sounds_again(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-4, 3.3))
    with visiting(chromium, town_page, Role.DIGITAL) as visitor:
        page = visitor.open("/alerts")
        connected(page)
        expect(page.locator("article.alert")).to_have_count(1, timeout=UNTIL)
        page.get_by_label("鳴らすもの").select_option("3")
        page.locator(SWITCH).click()
        state(page, "actual")
        page.get_by_role("button", name="いま鳴っている音を止める").click()
        state(page, "hushed")
        expect(page.locator(SWITCH)).to_be_focused()
        town_page.observe(GAUGE, (-1, 3.82))
        state(page, "actual")
        page.locator(SWITCH).click()
        state(page, "off")
        assert visitor.complaints == []


def test_what_was_chosen_is_remembered_and_needs_a_press_after_loading_again(
    chromium: Browser, town_page: Town
) -> None:
    town_page.observe(GAUGE, (-1, 3.82))
    with visiting(chromium, town_page, Role.DISASTER, width=390) as visitor:
        page = visitor.open("/alerts")
        page.get_by_label("鳴らすもの").select_option("1")
        page.locator(SWITCH).click()
        state(page, "actual")
        page.reload()
        connected(page)
        state(page, "again")
        expect(page.locator("#sound-state")).to_contain_text("もう一度ボタンを押してください")
        expect(page.get_by_label("鳴らすもの")).to_have_value("1")
        page.wait_for_timeout(1_000)
        assert tones(page) == 0, "nothing sounds before a gesture"
        clean(page, "sound-again-phone")
        page.locator(SWITCH).click()
        state(page, "actual")
        sounding(page)
        screenshot(page, "sound-actual-phone")
        page.goto(f"{town_page.url}/digital?lang=en")
        expect(page.locator("#sound-state")).to_contain_text("until the button is pressed anew")
        clean(page, "sound-again-en")
        assert visitor.complaints == []


def test_a_drill_sounds_softly_and_says_so(chromium: Browser, town_page: Town) -> None:
    town_page.execute(
        """
        insert into alert (municipality_id, station_id, rule, mode, datastream_id, level, peak_level, raised_at,
                           phenomenon_time)
        select municipality_id, station_id, 'level', 'exercise', datastream_id, 4, 4, %(at)s, %(at)s
        from datastream join station using (station_id, municipality_id)
        where station.code = 'river-mimamoribashi' and observed_property = 'water_level'
        """,
        {"at": TOWN_NOW - timedelta(minutes=2)},  # type: ignore[arg-type]
    )
    town_page.execute(
        "insert into alert_history (municipality_id, alert_id, at, event, level, phenomenon_time) "
        "select municipality_id, alert_id, raised_at, 'raised', 4, phenomenon_time from alert"
    )
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        connected(page)
        page.locator(SWITCH).click()
        state(page, "drill")
        expect(page.locator("#sound-state")).to_contain_text("【訓練】のアラートで鳴っています")
        clean(page, "sound-drill-ja")
        town_page.observe(GAUGE, (-1, 3.82))
        state(page, "actual")
        assert visitor.complaints == []


def test_a_browser_that_holds_sound_back_is_said_to(chromium: Browser, town_page: Town) -> None:
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        visitor.page.add_init_script(
            "AudioContext.prototype.resume = () => new Promise(() => {});"
            "Object.defineProperty(AudioContext.prototype, 'state', { get: () => 'suspended' });"
        )
        page = visitor.open("/disaster")
        page.locator(SWITCH).click()
        state(page, "blocked")
        expect(page.locator("#sound-state")).to_contain_text("音を止めています")
        expect(page.locator(SWITCH)).to_have_attribute("aria-pressed", "false")
        assert visitor.complaints == []

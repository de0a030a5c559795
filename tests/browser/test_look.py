"""How the pages look and read, at every width and in both languages: pictures for people, axe for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from api.roles import Role
from ingest.jma.telegram import Area, of_town, read
from simulators.telegrams import Said, weather
from store import connect, jma, jma_feed
from tests.browser.conftest import TOWN_NOW, Town, screenshot, town_running, visiting, wait_until
from tests.browser.fitting import at_every_width, clean, unfold
from tests.browser.story import OTHERS, ULTRASONIC, deliver, others, tell, ultrasonic, with_models
from tests.conftest import Registered
from tests.connections import kept
from tests.forecasts import flood_planted, switched_on
from tests.ingest.town import chirpstack

PAGES = (
    "start",
    "disaster",
    "water",
    "tourism",
    "tourism/calendar",
    "tourism/compare?spot=spot-taki&spot=spot-onsen&by=weekday",
    "digital",
    "digital/reception",
    "digital/weekly",
    "alerts",
    "disaster/log",
    "disaster/evacuation",
    "disaster/checklist",
    "disaster/review",
    "disaster/catchments",
    "disaster/jma",
    "disaster/jma/1",
    "disaster/outlook",
    "disaster/stations/river-mimamoribashi/outlook",
    "disaster/stations/river-mimamoribashi/hindcast",
)
STATIONS = ("river-mimamoribashi", "rain-okusawa", "river-mimamoribashi/floods")


@pytest.fixture
def town(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running:
        tell(running)
        # Messages that were lost on their way, so that the page of reception has all that it can have.
        running.execute(
            """
            with run as (
                insert into frame_run (municipality_id, device_id, session, first_counter, last_counter, received,
                                       first_sent, last_sent)
                select municipality_id, min(device_id), '00189440', 100, 250, 146, max(hour), max(hour)
                from delivery_count group by municipality_id returning *
            )
            insert into frame_gap (frame_run_id, municipality_id, device_id, from_counter, to_counter, noticed_at)
            select frame_run_id, municipality_id, device_id, first, last, last_sent
            from run, (values (104, 104), (200, 203)) as lost (first, last)
            """
        )
        with connect(registered.worker, name="test") as conn:
            town_id = registered.municipality_id
            jma_feed.begin(conn, town_id, "folder", "/jma", TOWN_NOW)
            jma_feed.looked(conn, town_id, TOWN_NOW)
            issued = read(weather("rain", {"9999900": [Said("美守町", 4)]}, TOWN_NOW).encode(), "a.xml")
            telegram = of_town(issued, Area("999999"))
            assert telegram is not None and jma.keep(conn, town_id, telegram, TOWN_NOW) == 1
        with kept(registered.owner) as conn:
            switched_on(conn, registered.municipality_id, TOWN_NOW)
            series = registered.datastream("river-mimamoribashi", "water_level")
            flood_planted(conn, registered.municipality_id, series, TOWN_NOW - timedelta(minutes=12))
        yield running


# Only the digital section works with these; the forms on them are as much looked at as what they show. Those of
# registering, of sources, of folders and of the quarantine are looked at where they are used.
REGISTER = (
    "digital",
    "digital/devices",
    "digital/devices/1",
    "digital/devices/bulk",
    "digital/labels",
    "digital/weekly",
    # what the tourism office fills in, the digital section may too
    "tourism/checks",
    "tourism/checks/spot-taki",
    "tourism/counters",
)


def digital_work(town: Town) -> None:
    """A device and a source that nobody has described yet, a folder, models."""
    with_models(town)
    town.execute(
        """
        with source as (
            insert into mqtt_source (municipality_id, name, topic_filter, kind, created_at)
            select municipality_id, 'eltres', 'eltres/+/data', 'mapped', %s from municipality returning municipality_id
        )
        insert into folder (municipality_id, name, found_at, looked_at) select municipality_id, '河川課', %s, %s
        from source
        """,
        (TOWN_NOW,) * 3,
    )
    deliver(
        town,
        *(chirpstack(ULTRASONIC, ultrasonic(4300 - n), counter=n, time=TOWN_NOW) for n in range(3)),
        ("eltres/okusawa/data", b'{"id": "70b3d57ed0000000", "level": 1.2}'),
    )


def test_a_gauges_page_is_clean_for_axe_in_both_languages_and_fits_the_screen(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        wait_for_alert(page)
        for language in ("ja", "en"):
            for code in STATIONS:
                page.set_viewport_size({"width": 1280, "height": 900})
                visitor.open(f"/disaster/stations/{code}?lang={language}")
                expect(page.locator("#lamp")).to_have_attribute("data-state", "on")
                unfold(page)
                for width in at_every_width(page, code):
                    if width > 320:
                        screenshot(page, f"station-{code}-{language}-{width}")
                if language == "ja":
                    holds_at_double_text_size(page, code)
        assert visitor.complaints == []


def holds_at_double_text_size(page: Page, name: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    wait_until(page, "document.documentElement.scrollWidth <= 1280")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280, name


def wait_for_alert(page: Page) -> None:
    expect(page.locator(".strip-open, .strip-urgent").first).to_be_visible()


def test_every_page_is_clean_for_axe_in_both_languages_and_fits_the_screen(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        wait_for_alert(page)
        for language in ("ja", "en"):
            for name in PAGES:
                page.set_viewport_size({"width": 1280, "height": 900})
                visitor.open(f"/{name}{'&' if '?' in name else '?'}lang={language}")
                expect(page.locator("#lamp")).to_have_attribute("data-state", "on")
                assert page.locator("html").get_attribute("lang") == language
                for width in at_every_width(page, name):
                    if width > 320:
                        screenshot(page, f"{name}-{language}-{width}")
                if language == "ja":
                    holds_at_double_text_size(page, name)
        assert visitor.complaints == []


def test_the_register_is_clean_for_axe_in_both_languages_and_fits_the_screen(chromium: Browser, town: Town) -> None:
    digital_work(town)
    with visiting(chromium, town, Role.DIGITAL) as visitor:
        for language in ("ja", "en"):
            for name in REGISTER:
                page = visitor.open(f"/{name}?lang={language}")
                page.set_viewport_size({"width": 1280, "height": 900})
                # off: on a page with a form of many fields nothing is renewed
                expect(page.locator("#lamp")).to_have_attribute("data-state", re.compile("^(on|off)$"))
                assert page.locator("html").get_attribute("lang") == language
                assert page.locator("main h1").count() == 1, name
                unfold(page)
                for width in at_every_width(page, name):
                    if width > 320:
                        screenshot(page, f"{name}-{language}-{width}")
        assert visitor.complaints == []


def test_stations_of_every_other_kind_stand_on_their_desk_and_fit_the_screen(chromium: Browser, town: Town) -> None:
    others(town)
    with visiting(chromium, town, Role.DISASTER) as visitor:
        for language, column in (("ja", 1), ("en", 2)):
            seen = 0
            for desk in ("disaster", "water", "tourism"):
                page = visitor.open(f"/{desk}?lang={language}")
                page.set_viewport_size({"width": 1280, "height": 900})
                rows = page.locator("#places + table tbody tr")
                text = rows.all_inner_texts()
                seen += len(text)
                assert all(any(str(other[column]) in row for other in OTHERS) for row in text), text
                for width in at_every_width(page, desk):
                    if width > 320:
                        screenshot(page, f"others-{desk}-{language}-{width}")
            assert seen == len(OTHERS)
        page = visitor.open("/disaster?lang=ja")
        expect(page.locator("#station-other-0")).to_contain_text("浸水あり")
        page = visitor.open("/water?lang=ja")
        expect(page.locator("#station-other-3")).to_contain_text("停止")
        expect(page.locator("#station-other-5")).to_contain_text("未受信")
        assert visitor.complaints == []


def test_the_sign_in_page_is_clean_and_one_click_signs_in(chromium: Browser, town: Town) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="ja-JP")
    page = context.new_page()
    page.goto(f"{town.url}/water")
    expect(page).to_have_url(f"{town.url}/sign-in?next=%2Fwater")
    clean(page)
    screenshot(page, "sign-in-ja-1280")
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.locator("button[data-role=water]").click()
    expect(page).to_have_url(f"{town.url}/water")
    page.get_by_role("button", name="サインアウト").click()
    expect(page).to_have_url(f"{town.url}/sign-in?out=1")
    page.get_by_label("ログイン名").fill("tourism")
    page.get_by_label("パスワード").fill("not the password")
    page.locator(".sign-in-form button").click()
    expect(page.get_by_role("alert")).to_contain_text("ログイン名またはパスワードが違います")
    assert page.get_by_label("ログイン名").input_value() == "tourism"
    context.close()


A4: ViewportSize = {"width": 718, "height": 1047}  # px of the paper within margins of 10 mm


def test_the_disaster_page_and_the_month_can_be_put_on_paper(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        wait_for_alert(page)
        page.locator("#curve-river-mimamoribashi").scroll_into_view_if_needed()
        expect(page.locator("#curve-river-mimamoribashi .chart-live.is-drawn")).to_be_visible(timeout=30_000)
        page.set_viewport_size(A4)
        page.emulate_media(media="print")
        for gone in (".nav", ".languages", ".lamp", ".waiting button", "details:not([open])", ".chart-live"):
            for each in page.locator(gone).all():
                expect(each).to_be_hidden()
        for there in (".worst-value", "#rain", ".map-box > svg", "#curve-river-mimamoribashi svg.chart", ".footer"):
            expect(page.locator(there).first).to_be_visible()
        mark = page.locator("#station-river-mimamoribashi .mark")
        assert mark.evaluate("element => getComputedStyle(element).printColorAdjust") == "exact"
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        screenshot(page, "paper-disaster")
        assert page.pdf(format="A4").startswith(b"%PDF")

        page.emulate_media(media="screen")
        page = visitor.open("/tourism")
        page.emulate_media(media="print")
        days = page.locator(".calendar")
        assert days.locator("tbody tr").count() >= 7
        # no column of the month is cut off, no row hidden in a field that scrolls
        assert days.evaluate("table => table.getBoundingClientRect().right") <= A4["width"]
        assert days.evaluate("table => table.parentElement.scrollWidth <= table.parentElement.clientWidth + 1")
        assert page.locator("#hours ~ .scroll").evaluate("box => getComputedStyle(box).maxHeight") == "none"
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
        screenshot(page, "paper-month")
        assert visitor.complaints == []


def test_levels_keep_their_colour_in_forced_colours_and_nothing_moves_on_request(chromium: Browser, town: Town) -> None:
    options: dict[str, Any] = {"forced_colors": "active", "reduced_motion": "reduce"}
    with visiting(chromium, town, Role.DISASTER, **options) as visitor:
        page = visitor.open("/disaster")
        mark = page.locator("#station-river-mimamoribashi .mark")
        assert mark.evaluate("element => getComputedStyle(element).fill") == "rgb(255, 40, 0)"
        moving = "element => getComputedStyle(element).animationName"
        page.evaluate("document.getElementById('lamp').dataset.state = 'wait'")
        assert page.locator("#lamp svg").evaluate(moving) == "none"
        screenshot(page, "disaster-forced-colours")
        # what says "counter" or "by hand" in the month is drawn in the reader's own ink
        page = visitor.open("/tourism")
        ink = page.locator("h1").evaluate("element => getComputedStyle(element).color")
        for mark in page.locator(".legend .method-mark").all():
            assert mark.evaluate("element => getComputedStyle(element).fill") == ink
        screenshot(page, "month-forced-colours")


def test_every_number_on_the_map_and_in_the_curves_is_also_in_a_table(chromium: Browser, town: Town) -> None:
    with visiting(chromium, town, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        for mark in page.locator(".map-mark").all():
            target = mark.get_attribute("href")
            assert target is not None
            expect(page.locator(f"tr{target}")).to_have_count(1)
            # the mark says in words what the row says
            said = mark.get_attribute("aria-label") or ""
            if target.startswith("#station-rain-"):
                hour = page.locator(f"tr{target} td").nth(1)
                told = hour.locator(".number").count() > 0
                amount = f"{hour.locator('.number').inner_text()} mm" if told else hour.inner_text()
                assert f"60分 {amount}" in said and page.locator(f"tr{target} th").inner_text() in said
            else:
                assert page.locator(f"tr{target} .badge-word").inner_text() in said
        curve = page.locator("#curve-river-mimamoribashi")
        curve.locator("summary").click()
        expect(curve.locator("tbody tr").first).to_contain_text("3.35 m")
        drawn = curve.locator("path.line").evaluate_all(
            "lines => lines.map((line) => line.getAttribute('d').split('L').length).reduce((a, b) => a + b)"
        )
        measured = [row for row in curve.locator("tbody td.numeric").all_inner_texts() if row.endswith("m")]
        assert drawn == len(measured)

"""The map: it takes the picture's place where the browser can draw it, says what the table says, and stays true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from api.roles import Role
from tests.browser.conftest import FLAGS, GAUGE, Town, screenshot, system_chromium, town_running, visiting, wait_until
from tests.browser.fitting import clean
from tests.browser.story import tell
from tests.conftest import Registered

UNTIL = 30_000


@pytest.fixture
def morning(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running:
        tell(running)
        yield running


def drawn(page: Page) -> Locator:
    """The map, once it stands in the picture's place."""
    page.locator(".map-box").scroll_into_view_if_needed()
    live = page.locator(".map-live.is-drawn")
    expect(live).to_be_visible(timeout=UNTIL)
    return live


def middle(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None, selector
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_map_says_what_the_table_says_in_both_languages(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        asked: list[str] = []
        visitor.page.on("request", lambda request: asked.append(request.url))
        for name, language, whole, closer in (
            ("disaster", "ja", "全体", "拡大"),
            ("disaster", "en", "Whole town", "Zoom in"),
            ("water", "ja", "全体", "拡大"),
            ("tourism", "en", "Whole town", "Zoom in"),
        ):
            visitor.page.set_viewport_size({"width": 1280, "height": 900})
            page = visitor.open(f"/{name}?lang={language}")
            live = drawn(page)
            expect(page.locator("svg .map-mark").first).to_be_hidden()
            pins = live.locator("a.map-pin")
            assert pins.count() == page.locator("svg .map-mark").count() > 0
            for pin in pins.all():
                target = pin.get_attribute("href")
                row = page.locator(f"tr{target}")
                expect(row).to_have_count(1)
                label = pin.get_attribute("aria-label") or ""
                assert row.locator("th").inner_text().split("\n")[0] in label
                assert label == page.locator(f"svg .map-mark[href='{target}']").get_attribute("aria-label")
                assert all(word in label for word in row.locator(".badge-word").all_inner_texts())
                # what is read aloud begins with what is seen: digit, then name
                assert label.strip().startswith((pin.text_content() or "").strip()[:1])
            expect(live.get_by_role("button", name=whole)).to_be_visible()
            expect(live.get_by_role("button", name=closer)).to_be_visible()
            clean(page)
            screenshot(page, f"map-{name}-{language}-1280")
            page.set_viewport_size({"width": 320, "height": 800})
            drawn(page)
            wait_until(page, "document.documentElement.scrollWidth <= 320")
            clean(page)
            screenshot(page, f"map-{name}-{language}-320")
        assert any("maplibre-gl-worker" in url for url in asked)
        assert [url for url in asked if not url.startswith((f"{morning.url}/", "data:", f"blob:{morning.url}"))] == []
        # nothing was refused by the content security policy either: that would be an error on the console
        assert visitor.complaints == []


def test_pins_stand_where_the_stations_are(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        drawn(page)
        codes = ("river-okusawa", "river-takehara", "river-mimamoribashi")
        pins = [middle(page, f".map-pin[href='#station-{code}'] .mark") for code in codes]
        marks = [middle(page, f"svg [href='#station-{code}'] .map-hit") for code in codes]
        # The map leaves another margin than the picture: equal up to one factor and one shift.
        factor = (pins[2][1] - pins[0][1]) / (marks[2][1] - marks[0][1])
        assert 0.7 < factor < 1.3
        for pin, mark in zip(pins, marks, strict=True):
            for axis in (0, 1):
                expected = pins[0][axis] + (mark[axis] - marks[0][axis]) * factor
                assert abs(pin[axis] - expected) < 4, (pins, marks)


def test_the_map_can_be_used_with_the_keyboard_alone(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        live = drawn(page)
        pin = ".map-pin[href='#station-river-takehara']"
        before = middle(page, pin)
        live.locator("canvas").focus()
        page.keyboard.press("ArrowRight")
        wait_until(page, f"document.querySelector({pin!r}).getBoundingClientRect().x < {before[0] - 60}")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#station-river-okusawa"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        wait_until(page, "location.hash === '#station-river-takehara'")
        live.get_by_role("button", name="全体").press("Enter")
        wait_until(page, f"Math.abs(document.querySelector({pin!r}).getBoundingClientRect().x + 17 - {before[0]}) < 3")
        assert visitor.complaints == []


def test_a_pin_moves_to_its_new_level_and_keeps_the_focus(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-20, 3.0), (-10, 3.1))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        live = drawn(page)
        pin = live.locator(".map-pin[href='#station-river-mimamoribashi']")
        expect(pin.locator(".mark-2 text")).to_have_text("2")
        pin.focus()
        page.evaluate("document.activeElement.__same = true")
        town_page.observe(GAUGE, (-1, 3.82))
        expect(pin.locator(".mark-4 text")).to_have_text("4", timeout=UNTIL)
        assert "警戒レベル４相当（町独自基準）" in (pin.get_attribute("aria-label") or "")
        assert page.evaluate("document.activeElement.__same === true"), "the pin was made anew under the focus"
        # a station falls silent: live.js says it in the picture, and the pin follows
        page.evaluate(
            "document.querySelector('svg [href=\"#station-river-mimamoribashi\"]').classList.add('is-silent')"
        )
        expect(live.locator(".map-pin.is-silent .mark")).to_have_css("fill", "rgb(255, 255, 255)")
        assert visitor.complaints == []


def test_without_webgl_the_picture_stays_and_nothing_is_fetched_for_a_map(
    playwright: Playwright, chromium: Browser, morning: Town
) -> None:
    with_gl = ("--use-gl", "--use-angle", "--enable-unsafe-swiftshader")
    flags = [flag for flag in FLAGS if not flag.startswith(with_gl)]
    browser = playwright.chromium.launch(executable_path=system_chromium(), args=[*flags, "--disable-3d-apis"])
    try:
        with visiting(browser, morning, Role.DISASTER) as visitor:
            asked: list[str] = []
            visitor.page.on("request", lambda request: asked.append(request.url))
            page = visitor.open("/disaster")
            page.locator(".map-box").scroll_into_view_if_needed()
            # the curves below were drawn, so the scripts had their chance
            expect(page.locator(".chart-live.is-drawn").first).to_be_visible(timeout=UNTIL)
            expect(page.locator("svg .map-mark").first).to_be_visible()
            expect(page.locator(".map-live")).to_have_count(0)
            assert [url for url in asked if "maplibre" in url] == []
            assert visitor.complaints == []
    finally:
        browser.close()


def test_paper_gets_the_picture(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        live = drawn(page)
        page.emulate_media(media="print")
        expect(live).to_be_hidden()
        expect(page.locator("svg .map-mark").first).to_be_visible()
        expect(page.locator("svg.chart").first).to_be_visible()


WALL = 50  # stations more than the town has


def test_a_wall_of_fifty_more_stations_keeps_its_size_while_it_follows(chromium: Browser, morning: Town) -> None:
    morning.execute(
        """
        insert into station (municipality_id, code, kind, name, name_en, latitude, longitude)
        select municipality_id, 'river-wall-' || n, kind, '壁' || n || '号水位観測所', 'Wall gauge ' || n,
               32.43 + 0.0011 * n, 135.02 + 0.0016 * ((n * 17) %% 50)
        from station, generate_series(1, %s) as n where code = 'river-takehara'
        """,
        (WALL,),
    )
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        live = drawn(page)
        marks = page.locator("svg .map-mark").count()
        assert marks > WALL
        expect(live.locator(".map-pin")).to_have_count(marks)
        for box in page.locator(".chart-box").all():
            box.scroll_into_view_if_needed()
            expect(box.locator(".is-drawn")).to_have_count(1)
        drawn(page)
        screenshot(page, "map-wall-of-50")
        morning.observe(GAUGE, (-1, 3.9))
        follow(page, 40)
        before = size(page)
        follow(page, 200)
        after = size(page)
        expect(live.locator(".map-pin")).to_have_count(marks)
        assert after["Nodes"] <= before["Nodes"] + 40, (before, after)
        assert after["JSEventListeners"] <= before["JSEventListeners"], (before, after)
        assert after["JSHeapUsedSize"] <= before["JSHeapUsedSize"] + 1_500_000, (before, after)
        print({key: (before[key], after[key]) for key in before})
        assert visitor.complaints == []


def follow(page: Page, times: int) -> None:
    """Takes over answers of the server as live.js does, alternately one in which every level is another."""
    page.evaluate(
        r"""async (times) => {
            const address = document.querySelector('script[src$="/live.js"]').src.replace('live.js', 'morph.js');
            const { morph } = await import(address);
            const text = await (await fetch(location.pathname + '?fragment=1')).text();
            const other = text.replaceAll('mark-3', 'mark-4').replaceAll('mark-unknown', 'mark-1')
                .replace(/\[(\d+\.\d), ([\d.]+)\]/g, (_, time, value) => `[${time}, ${(value * 1.02).toFixed(2)}]`);
            if (other.length === text.length) throw new Error('nothing of the answer differs');
            for (let i = 0; i < times; i++) {
                const fresh = new DOMParser().parseFromString(i % 2 ? text : other, 'text/html');
                morph(document.getElementById('main'), fresh.getElementById('main'));
                await new Promise((resolve) => requestAnimationFrame(resolve));
            }
        }""",
        times,
    )


def size(page: Page) -> dict[str, Any]:
    """Nodes, listeners and heap after collecting what nobody holds any more."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {key: metrics[key] for key in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}

"""Curves: drawn over the picture with the same numbers, read with keyboard and pointer, zoomed, followed, resized."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from api.roles import Role
from tests.browser.conftest import GAUGE, Town, screenshot, town_running, visiting, wait_until
from tests.browser.story import tell
from tests.conftest import Registered

UNTIL = 30_000
BRIDGE = "#curve-river-mimamoribashi"


@pytest.fixture
def morning(registered: Registered) -> Iterator[Town]:
    with town_running(registered) as running:
        tell(running)
        yield running


def drawn(box: Locator) -> Locator:
    """The curve's slider, once it is drawn over the picture."""
    box.scroll_into_view_if_needed()
    expect(box.locator(".chart-live.is-drawn")).to_be_visible(timeout=UNTIL)
    expect(box.locator("svg")).to_be_hidden()
    return box.get_by_role("slider")


def rows(section: Locator) -> list[str]:
    """The table twin's measured rows as "time value", oldest first."""
    table = section.locator("table tbody tr")
    cells = [
        (row.locator("th").inner_text(), row.locator("td").first.inner_text())
        for row in table.all()
        if row.locator("td").first.inner_text().split(" ")[0].replace(".", "").isdigit()
    ]
    return [f"{time} {value}" for time, value in reversed(cells)]


def said(slider: Locator) -> str:
    return " ".join((slider.get_attribute("aria-valuetext") or "").split())


def test_the_keyboard_reads_every_number_of_the_table(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        section = page.locator(BRIDGE)
        slider = drawn(section.locator(".chart-box"))
        section.locator("summary").click()
        table = [text.split(" ", 1)[1] if "/" in text.split(" ")[0] else text for text in rows(section)]
        assert len(table) > 60
        assert slider.get_attribute("aria-valuemax") == str(len(table) - 1)
        assert said(slider) == table[-1], "without reading, the newest one is said"
        slider.focus()
        page.keyboard.press("Home")
        read = [said(slider)]
        for _ in table[1:]:
            page.keyboard.press("ArrowRight")
            read.append(said(slider))
        assert read == table
        expect(section.locator(".chart-reading")).to_have_text(table[-1].replace(" ", "  ", 1))
        page.keyboard.press("Home")
        page.keyboard.press("PageUp")
        assert said(slider) == table[6]
        assert visitor.complaints == []


COLUMN = """(canvas, [share, colour]) => {
    const pen = canvas.getContext('2d');
    const over = canvas.parentElement.querySelector('.u-over').getBoundingClientRect();
    const all = canvas.getBoundingClientRect();
    const scale = canvas.width / all.width;
    const x = Math.round((over.left - all.left + over.width * share) * scale);
    const { data } = pen.getImageData(x, 0, 1, canvas.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > 200 && colour.every((part, j) => Math.abs(data[i + j] - part) < 30)) n++;
    }
    return n;
}"""
LINE, LEVELS = [0, 66, 140], {5: [12, 0, 12], 4: [170, 0, 170], 3: [255, 40, 0]}


def test_gaps_stay_gaps_and_every_threshold_is_drawn(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        box = page.locator(f"{BRIDGE} .chart-box")
        drawn(box)
        canvas = box.locator("canvas")

        def coloured(minutes: float, colour: list[int]) -> int:
            found: int = canvas.evaluate(COLUMN, [1 + minutes / (12 * 60), colour])
            return found

        wait_until(page, f"document.querySelector('{BRIDGE} canvas').width > 0")
        assert coloured(-300, LINE) > 0 and coloured(-450, LINE) > 0
        assert [coloured(minutes, LINE) for minutes in (-390, -370, -350)] == [0, 0, 0], "the gap is bridged"
        for colour in LEVELS.values():
            # dashes: one of some neighbouring columns holds it
            assert any(coloured(-600 + 4 * n, colour) for n in range(6)), colour
        assert visitor.complaints == []


def test_a_new_value_arrives_in_the_same_chart(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-30, 2.9), (-20, 3.0), (-10, 3.1))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        slider = drawn(page.locator(f"{BRIDGE} .chart-box"))
        assert said(slider) == "09:22 3.10 m"
        page.evaluate(f"document.querySelector('{BRIDGE} canvas').__same = true")
        slider.focus()
        page.keyboard.press("Home")
        assert said(slider) == "09:02 2.90 m"
        town_page.observe(GAUGE, (-1, 3.82))
        expect(slider).to_have_attribute("aria-valuemax", "3", timeout=UNTIL)
        assert said(slider) == "09:02 2.90 m", "who reads is not moved on"
        page.keyboard.press("End")
        assert said(slider) == "09:31 3.82 m"
        assert page.evaluate(f"document.querySelector('{BRIDGE} canvas').__same === true")
        assert page.locator(f"{BRIDGE} canvas").count() == 1
        assert visitor.complaints == []


def test_a_stretch_can_be_seen_closer_without_dragging_and_by_dragging(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.WATER) as visitor:
        page = visitor.open("/water?lang=en")
        box = page.locator(".chart-box[data-chart*=Closer]").first
        slider = drawn(box)
        closer, wider, everything = (box.get_by_role("button", name=name) for name in ("Closer", "Wider", "All"))
        expect(wider).to_be_disabled()
        screenshot(page, "chart-water-whole")
        whole = reads_at(box, 0.75)
        closer.click()
        closer.click()
        expect(wider).to_be_enabled()
        near = reads_at(box, 0.75)
        assert near != whole and near > whole
        screenshot(page, "chart-water-closer")
        # the keyboard reads on beyond what is shown: the window follows
        slider.focus()
        page.keyboard.press("Home")
        assert "14." in said(slider) or "15." in said(slider)
        wider.click()
        everything.click()
        expect(everything).to_be_disabled()
        assert reads_at(box, 0.75) == whole
        field = box.locator(".u-over").bounding_box()
        assert field is not None
        y = field["y"] + field["height"] / 2
        page.mouse.move(field["x"] + field["width"] * 0.7, y)
        page.mouse.down()
        page.mouse.move(field["x"] + field["width"] * 0.9, y, steps=5)
        page.mouse.up()
        expect(everything).to_be_enabled()
        box.locator(".u-over").dblclick()
        expect(everything).to_be_disabled()
        assert visitor.complaints == []


def reads_at(box: Locator, share: float) -> str:
    """The time the pointer reads at that share of the width."""
    field = box.locator(".u-over").bounding_box()
    assert field is not None
    page = box.page
    page.mouse.move(field["x"] + field["width"] * share, field["y"] + 20)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    return box.locator(".chart-reading").inner_text()


def test_a_curve_fits_a_phone_and_grows_again(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        box = page.locator(f"{BRIDGE} .chart-box")
        drawn(box)
        for width in (320, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            wait_until(
                page,
                f"""(() => {{ const box = document.querySelector('{BRIDGE} .chart-box').getBoundingClientRect();
                const canvas = document.querySelector('{BRIDGE} canvas').getBoundingClientRect();
                return Math.abs(box.width - canvas.width) < 2 && canvas.height >= 190; }})()""",
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert visitor.complaints == []


def test_curves_that_leave_the_page_leave_nothing_behind(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER) as visitor:
        page = visitor.open("/disaster")
        drawn(page.locator(f"{BRIDGE} .chart-box"))
        page.evaluate(f"document.querySelector('{BRIDGE}').remove()")
        # the next answer of the server brings it back: another box, another curve, one canvas
        morning.observe(GAUGE, (-1, 3.4))
        expect(page.locator(BRIDGE)).to_have_count(1, timeout=UNTIL)
        slider = drawn(page.locator(f"{BRIDGE} .chart-box"))
        expect(slider).to_have_attribute("aria-valuetext", "09:31  3.40 m")
        assert page.locator(f"{BRIDGE} canvas").count() == 1
        assert visitor.complaints == []


def test_forced_colours_draw_the_curve_in_the_readers_colour(chromium: Browser, morning: Town) -> None:
    with visiting(chromium, morning, Role.DISASTER, forced_colors="active") as visitor:
        page = visitor.open("/disaster")
        box = page.locator(f"{BRIDGE} .chart-box")
        drawn(box)
        ink = page.evaluate(
            """() => { const probe = document.createElement('p');
            probe.style.color = 'CanvasText';
            document.body.append(probe);
            return getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number) }"""
        )
        assert box.locator("canvas").evaluate(COLUMN, [1 - 300 / 720, ink]) > 0
        assert box.locator("canvas").evaluate(COLUMN, [1 - 300 / 720, LINE]) == 0
        screenshot(page, "chart-forced-colours")
        assert visitor.complaints == []

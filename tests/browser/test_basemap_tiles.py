"""A PMTiles file under the town's map, in a real browser: read by Range, drawn, credited; and softly absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from api.roles import Role
from tests.api.serving import serving
from tests.browser.conftest import Town, Visitor, screenshot, settle, visiting, wait_until
from tests.conftest import Registered
from tests.pmtiles import Feature, write

UNTIL = 20_000
CREDIT = "美守町都市計画図（試験用）"
LINK = "https://maps.example.jp/terms"
BOUNDS = (134.9, 32.3, 135.2, 32.6)
POND = [(135.05, 32.47), (135.08, 32.47), (135.08, 32.44), (135.05, 32.44)]
STREAM = [(135.0, 32.44), (135.06, 32.46), (135.12, 32.48)]
ROAD = [(135.0, 32.48), (135.06, 32.45), (135.12, 32.43)]
PLACE = {"name": "上美守", "name_en": "Kamimimamori", "vt_text": "上美守"}
# What the layers are called: usual names, and those of GSI's optimal_bvmap.
USUAL = {
    "water": [Feature("Polygon", POND, {}), Feature("LineString", STREAM, {})],
    "roads": [Feature("LineString", ROAD, {"kind": "major_road"})],
    "boundaries": [Feature("LineString", STREAM, {})],
    "places": [Feature("Point", POND[:1], PLACE)],
    "unknown": [Feature("Polygon", POND, {})],
}
GSI = {
    "WA": [Feature("Polygon", POND, {})],
    "RvrCL": [Feature("LineString", STREAM, {})],
    "RdCL": [Feature("LineString", ROAD, {"vt_rdctg": "国道"})],
    "RailCL": [Feature("LineString", ROAD, {})],
    "AdmBdry": [Feature("LineString", STREAM, {})],
    "Anno": [Feature("Point", POND[:1], PLACE)],
}
# Keeps the page's map where a test can ask it what it has drawn: the page itself holds it in a closure.
KEEP = """
document.addEventListener('DOMContentLoaded', async () => {
    const box = document.querySelector('[data-map]');
    const library = await import(JSON.parse(box.dataset.map).library);
    const add = library.Map.prototype.addControl;
    library.Map.prototype.addControl = function (...given) { window.theMap = this; return add.apply(this, given); };
});
"""


@contextmanager
def town_with(registered: Registered, file: Path) -> Iterator[Town]:
    settle(registered)
    with serving(registered, demo=True, tiles=file, tiles_credit=f"{CREDIT} {LINK}") as hall:
        yield Town(hall)


@contextmanager
def looking(chromium: Browser, town: Town, **options: Any) -> Iterator[tuple[Visitor, Page]]:
    with visiting(chromium, town, Role.DISASTER, **options) as visitor:
        visitor.page.add_init_script(KEEP)
        yield visitor, visitor.page


def drawn(page: Page) -> None:
    page.locator(".map-box").scroll_into_view_if_needed()
    expect(page.locator(".map-live.is-drawn")).to_be_visible(timeout=UNTIL)


def rendered(page: Page) -> set[str]:
    """The layers of the tiles of which the map shows a feature."""
    found = page.evaluate("theMap.queryRenderedFeatures().filter((f) => f.source === 'tiles').map((f) => f.layer.id)")
    return set(found)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            USUAL,
            {
                "tiles-water-water",
                "tiles-river-water",
                "tiles-road-roads",
                "tiles-boundary-boundaries",
                "tiles-label-places",
            },
        ),
        (
            GSI,
            {
                "tiles-water-WA",
                "tiles-river-RvrCL",
                "tiles-road-RdCL",
                "tiles-rail-RailCL",
                "tiles-boundary-AdmBdry",
                "tiles-label-Anno",
            },
        ),
    ],
    ids=["usual", "gsi"],
)
def test_what_the_file_holds_is_drawn_under_the_towns_own_shapes_with_its_credit(
    chromium: Browser, registered: Registered, tmp_path: Path, layers: dict[str, list[Feature]], expected: set[str]
) -> None:
    write(tmp_path / "town.pmtiles", layers, BOUNDS, 11)
    with town_with(registered, tmp_path / "town.pmtiles") as town, looking(chromium, town) as (visitor, page):
        asked: list[tuple[str, int, str | None]] = []
        page.on(
            "response",
            lambda r: asked.append((r.url, r.status, r.request.headers.get("range"))),
        )
        visitor.open("/disaster")
        drawn(page)
        wait_until(page, "theMap.areTilesLoaded() && !theMap.isMoving()")
        wait_until(page, f"theMap.queryRenderedFeatures().some((f) => f.layer.id === {json.dumps(max(expected))})")
        assert rendered(page) == expected
        parts = [(status, ranges) for url, status, ranges in asked if url.endswith(".pmtiles")]
        assert parts and all(status == 206 and (ranges or "").startswith("bytes=") for status, ranges in parts)
        assert all(url.startswith(town.url) for url, _, _ in asked), "nothing comes from elsewhere"
        order = page.evaluate("theMap.getStyle().layers.map((l) => l.id)")
        last_tile = max(order.index(name) for name in expected)
        assert all(
            order.index(name) > last_tile
            for name in order
            if name.startswith(("river-", "block-")) and "tiles" not in name
        )
        credit = page.locator(".map-credit")
        expect(credit).to_be_visible()
        expect(credit.get_by_role("link", name=CREDIT)).to_have_attribute("href", LINK)
        screenshot(page, f"map-tiles-{'gsi' if 'WA' in layers else 'usual'}")
        assert visitor.complaints == []


def test_on_a_phone_in_english_the_credit_fits_and_names_are_english(
    chromium: Browser, registered: Registered, tmp_path: Path
) -> None:
    write(tmp_path / "town.pmtiles", USUAL, BOUNDS, 11)
    with (
        town_with(registered, tmp_path / "town.pmtiles") as town,
        looking(chromium, town, width=320) as (visitor, page),
    ):
        visitor.open("/disaster?lang=en")
        drawn(page)
        credit, box = page.locator(".map-credit").bounding_box(), page.locator(".map-live").bounding_box()
        assert credit and box and credit["x"] >= box["x"] and credit["x"] + credit["width"] <= box["x"] + box["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        wait_until(page, "theMap.areTilesLoaded()")
        field = page.evaluate("JSON.stringify(theMap.getLayoutProperty('tiles-label-places', 'text-field'))")
        assert "name_en" in field and "name_ja" not in field
        screenshot(page, "map-tiles-phone-en")
        assert visitor.complaints == []


def test_a_file_that_breaks_after_the_page_was_made_leaves_the_towns_own_map(
    chromium: Browser, registered: Registered, tmp_path: Path
) -> None:
    write(tmp_path / "town.pmtiles", USUAL, BOUNDS, 11)
    with town_with(registered, tmp_path / "town.pmtiles") as town, looking(chromium, town) as (visitor, page):
        warned: list[str] = []
        page.on("console", lambda message: warned.append(message.text) if message.type == "warning" else None)
        page.route("**/*.pmtiles", lambda route: route.fulfill(status=206, body=b"not a map at all" * 8))
        visitor.open("/disaster")
        drawn(page)
        assert rendered(page) == set() and page.evaluate("theMap.getSource('tiles') === undefined")
        expect(page.locator(".map-credit")).to_have_count(0)
        assert page.evaluate("theMap.queryRenderedFeatures().some((f) => f.source === 'town')")
        assert [text for text in warned if "is not shown" in text]
        assert visitor.complaints == []

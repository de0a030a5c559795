"""Whether a page is fit to be read and used: axe-core, no wider than the screen, and what is pressed large enough."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page

from tests.browser.conftest import PROJECT, wait_until

PHONE = 390
# A desk, a phone, and the narrowest that WCAG asks for (1.4.10).
WIDTHS = (1280, PHONE, 320)

SMALLEST_TARGET = """() => [...document.querySelectorAll(
    'button, input:not([type=hidden]), summary, .nav a, .languages a, .brand, tbody th a, .strip a, .map-hit')]
    .filter((element) => element.checkVisibility())
    .map((element) => [element.outerHTML.slice(0, 120), element.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < 24)
    .map(([html, box]) => `${html} ${box.width} x ${box.height}`)"""
_WIDEST = """() => [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth)
    .map((element) => element.outerHTML.slice(0, 120))"""


def faults(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds on the page as it stands: rule, and the places."""
    page.wait_for_load_state()  # half a page has links that lead nowhere yet
    source = PROJECT / "node_modules" / "axe-core" / "axe.min.js"
    assert source.exists(), "axe-core is not installed: python -m dashboards.vendor"
    if not page.evaluate("'axe' in window"):  # half a megabyte, once a document
        page.evaluate(source.read_text("utf-8"))
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        {"rule": each["id"], "places": [node["html"][:200] for node in each["nodes"]]} for each in found["violations"]
    ]


def unfold(page: Page) -> None:
    """Opens everything that can be opened. Not by pressing: what is drawn meanwhile moves what was aimed at."""
    page.wait_for_load_state()
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


def clean(page: Page, of: object = "") -> None:
    """axe-core finds nothing on the page as it stands; `of` says in a failure which page it was."""
    found = faults(page)
    assert found == [], (of, json.dumps(found, ensure_ascii=False, indent=1))


def fits(page: Page, width: int, of: object = "") -> None:
    """The page is clean at this width, where it stands from now on."""
    _narrow(page, width, of)
    clean(page, (of, width))


def _narrow(page: Page, width: int, of: object) -> None:
    page.wait_for_load_state()
    page.set_viewport_size({"width": width, "height": 900})
    try:  # a map or a curve is drawn anew for its new width
        wait_until(page, f"document.documentElement.scrollWidth <= {width}")
    except AssertionError:
        raise AssertionError((of, width, page.evaluate(_WIDEST))) from None
    assert page.evaluate(SMALLEST_TARGET) == [], (of, width)


def at_every_width(page: Page, of: object = "") -> Iterator[int]:
    """Each of `WIDTHS`, when the page has been found fit there; it stands at that width meanwhile.

    axe takes most of such a test, and is asked once in each language: in Japanese at the widest, in English at the
    narrowest. In what it looks at the two differ in the words alone, and those are the same at every width; and to the
    style sheets a phone is like the narrowest (tests/dashboards/test_assets.py). Whether all fits the screen and
    the finger is looked at in each language at every width.
    """
    page.wait_for_load_state()  # where it was just pressed for, it begins without a document, and so without a language
    asked = WIDTHS[-1] if page.evaluate("document.documentElement.lang") == "en" else WIDTHS[0]
    for width in WIDTHS:
        if width == asked:
            fits(page, width, of)
        else:
            _narrow(page, width, of)
        yield width

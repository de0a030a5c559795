"""The pictures of the READMEs: the pages of a real demo in its flood, as a desk and a pocket see them.

`make pictures` starts that demo and writes docs/pictures/. Elsewhere the same pictures are made of a town that is told
its flood, judged and thrown away, so that what a README shows cannot come to be something that the pages no longer are.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PROJECT, town_running
from tests.browser.story import tell
from tests.browser.test_water import analysing
from tests.browser.test_water import send as burst
from tests.conftest import Registered
from tests.demo.town_process import town

FOLDER = PROJECT / "docs" / "pictures"
LANGUAGES = {"ja": "README.ja.md", "en": "README.md"}
LARGEST = 150_000  # bytes
_READY_SECONDS = 240


@dataclass(frozen=True)
class Picture:
    """One page: what must be on it (`shown`) before it is worth a picture; the link on it that is followed first; from
    which element on it is shown; in what height, and beside a phone; whether it renews itself.
    """

    name: str
    path: str
    shown: str
    follow: str | None = None
    top: str = "body"
    height: int = 800
    phone: bool = False
    live: bool = True


RIVER = "disaster/stations/river-mimamoribashi"
PICTURES = (
    Picture("disaster", "disaster", ".answer-main .mark-4", phone=True, height=900),
    Picture("map", "disaster", ".answer-main .mark-4", top="figure.map", height=640),
    Picture("station", "disaster", ".answer-main .mark-4", follow=".worst-where a", top="[aria-labelledby=past]"),
    Picture("levels", f"{RIVER}/levels", "#log", live=False),
    Picture("tourism", "tourism", "#main table tbody tr"),
    Picture("water", "water", ".suspect", height=900),
)

# Draws the shots on one sheet and gives it back as WebP, no larger than allowed.
_SHEET = """async ([desk, phone, largest]) => {
  const image = async (data) => { const i = new Image(); i.src = data; await i.decode(); return i; };
  const [d, p] = [await image(desk), phone && await image(phone)];
  const edge = 24, beside = p ? p.width + edge : 0;
  const canvas = Object.assign(document.createElement('canvas'), {
    width: d.width + beside + 2 * edge, height: Math.max(d.height, p ? p.height : 0) + 2 * edge });
  const c = canvas.getContext('2d');
  c.fillStyle = '#dfe5ea'; c.fillRect(0, 0, canvas.width, canvas.height);
  const put = (i, x, y) => {
    c.save(); c.shadowColor = 'rgba(0,0,0,.35)'; c.shadowBlur = 14; c.shadowOffsetY = 3;
    c.fillRect(x, y, i.width, i.height); c.restore(); c.drawImage(i, x, y); };
  put(d, edge, edge);
  if (p) put(p, d.width + 2 * edge, canvas.height - edge - p.height);
  for (let quality = 0.9; quality > 0.3; quality -= 0.05) {
    const url = canvas.toDataURL('image/webp', quality);
    if (url.length * 0.75 < largest) return url.slice(url.indexOf(',') + 1);
  }
  throw new Error('too large at any quality');
}"""


def names(languages: Iterable[str]) -> set[str]:
    return {f"{picture.name}-{language}.webp" for picture in PICTURES for language in languages}


@contextmanager
def flooded_demo(folder: Path) -> Iterator[str]:
    """The address of a demo with its whole past, soon in its flood, and a burst."""
    with town(folder / "data") as demo:
        demo.wait(lambda: bool(demo.stdout), within=600)  # the first start imports the town's past
        yield demo.url()


@contextmanager
def told_town(registered: Registered) -> Iterator[str]:
    """The address of a town that has just been told the same."""
    with town_running(registered) as running:
        tell(running)
        running.observe("river-mimamoribashi/water_level", (-1, 3.9))
        with analysing(registered):
            burst(running, -16 * 24 * 60, 0)
            yield f"{running.url}/"


def shot(page: Page, url: str, picture: Picture, language: str, width: int) -> str:
    """The page as it stands, a PNG as a data: address."""
    page.set_viewport_size({"width": width, "height": picture.height})
    page.goto(f"{url}{picture.path}?lang={language}")
    expect(page.locator(picture.shown).first).to_be_visible(timeout=_READY_SECONDS * 1000)
    if picture.follow is not None:
        page.locator(picture.follow).first.click()
        expect(page).not_to_have_url(re.compile(f"/{picture.path}$"))
    if picture.live:
        expect(page.locator("#lamp")).to_have_attribute("data-state", "on")
    page.locator(picture.top).first.evaluate("e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 12)")
    for island in page.locator("[data-map], [data-chart]").all():
        box = island.bounding_box()
        if box is not None and 0 <= box["y"] < picture.height:
            expect(island.locator("[data-island]").first).to_be_visible(timeout=60_000)
    page.wait_for_timeout(1500)  # what fades in has done so; nothing is judged by it
    return "data:image/png;base64," + base64.b64encode(page.screenshot()).decode()


def test_the_pictures_of_the_readmes_are_the_pages_of_a_flood(
    chromium: Browser, registered: Registered, tmp_path: Path
) -> None:
    kept = os.environ.get("MIMAMORI_TEST_PICTURES")
    folder = Path(kept or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    languages = list(LANGUAGES) if kept else ["ja"]
    with flooded_demo(tmp_path) if kept else told_town(registered) as url:
        context = chromium.new_context(locale="ja-JP")
        page, sheet = context.new_page(), context.new_page()
        page.goto(url)
        page.locator("button[data-login=disaster]").click()
        if kept:
            page.goto(f"{url}start")
            page.locator("button[data-event=burst]").click()
            expect(page.locator("#demo-burst")).to_be_visible()
        for picture in PICTURES:
            for language in languages:
                desk = shot(page, url, picture, language, 1180)
                phone = shot(page, url, picture, language, 390) if picture.phone else None
                made = base64.b64decode(sheet.evaluate(_SHEET, [desk, phone, LARGEST]))
                assert len(made) < LARGEST
                (folder / f"{picture.name}-{language}.webp").write_bytes(made)
        context.close()
    assert {path.name for path in folder.glob("*.webp")} == names(languages)

"""A person at the page: what they read, point at and type, and how long that takes them.

The keystroke-level model (Card, Moran, Newell, Communications of the ACM 23, 1980) gives seconds for what a person
does when they know what they want: K a key, P pointing with the mouse, B pressing its button and letting go, H a hand
between mouse and keyboard, M making up one's mind. K is not that of an office typist (0.28) but of somebody who types
unfamiliar text (0.50): a Japanese name is typed letter by letter and then converted. What has to be read is counted
letter by letter from the page itself, at 400 letters a minute, the slow end of silent reading of Japanese.

Only what happens is counted: each call does it in the browser and notes its operators. The machine's own time is
measured beside it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Locator

SECONDS = {"K": 0.50, "P": 1.10, "B": 0.20, "H": 0.40, "M": 1.35}
LETTERS_A_SECOND = 400 / 60


@dataclass
class Person:
    """Collects what was done: (what, operators, letters read)."""

    done: list[tuple[str, str, int]] = field(default_factory=list)
    machine: float = 0.0

    def reads(self, *places: Locator) -> None:
        """Looks at parts of the page and reads what stands there."""
        for place in places:
            text = re.sub(r"\s", "", place.inner_text())
            assert text, "there is nothing to read"
            self.done.append((f"reads {text[:30]}", "", len(text)))

    def presses(self, place: Locator, *, waits: bool = False) -> None:
        """Decides, points and presses; `waits`: for the next page, which is the machine's time."""
        self.done.append((f"presses {place.inner_text()[:30].strip()!r}", "MPB", 0))
        with self.waiting() if waits else _nothing():
            place.click()

    def points(self, place: Locator, x: float, y: float) -> None:
        """Presses a point of a picture."""
        box = place.bounding_box()
        assert box is not None
        self.done.append(("presses a point of the map", "MPB", 0))
        place.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    def types(self, place: Locator, text: str, *, keys: int | None = None) -> None:
        """Goes to a field and fills it; `keys` where there are more or fewer than letters (a conversion)."""
        n = len(text) if keys is None else keys
        self.done.append((f"types {text}", "MPBH" + "K" * n + "H", 0))
        place.click()
        place.fill("")
        place.press_sequentially(text)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time that passes while only the machine works."""
        began = time.monotonic()
        yield
        self.machine += time.monotonic() - began

    @property
    def keys(self) -> int:
        return sum(operators.count("K") for _, operators, _ in self.done)

    @property
    def presses_made(self) -> int:
        return sum(operators.count("B") for _, operators, _ in self.done)

    @property
    def letters(self) -> int:
        return sum(letters for _, _, letters in self.done)

    @property
    def seconds(self) -> float:
        """What the person needs for themselves: operators and reading. It depends on the pages alone."""
        operators = sum(SECONDS[each] for _, operators, _ in self.done for each in operators)
        return operators + self.letters / LETTERS_A_SECOND

    def told(self) -> str:
        """The sum in words, for the log of the test."""
        lines = [
            f"{what}: {operators}{f' {letters} letters' if letters else ''}" for what, operators, letters in self.done
        ]
        return "\n".join(
            [
                *lines,
                f"{self.presses_made} presses, {self.keys} keys, {self.letters} letters read, "
                f"{self.seconds:.0f} s, and {self.machine:.1f} s of waiting for the machine",
            ]
        )


@contextmanager
def _nothing() -> Iterator[None]:
    yield

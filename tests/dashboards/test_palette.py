"""The level colours are the Cabinet Office's, and text can be read on what it stands on (WCAG 1.4.3)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).resolve().parents[2] / "dashboards" / "static" / "styles" / "tokens.css").read_text("utf-8")
OFFICIAL = {5: (12, 0, 12), 4: (170, 0, 170), 3: (255, 40, 0), 2: (242, 231, 0), 1: (255, 255, 255)}


def colour(name: str) -> tuple[int, int, int]:
    found = re.search(rf"--{name}:\s*(?:var\([\w-]+,\s*)?#([0-9a-f]{{3,6}})\b", CSS)
    assert found, f"no colour --{name}"
    digits = found.group(1)
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """Contrast ratio of WCAG 2.2, 1..21."""

    def luminance(rgb: tuple[int, int, int]) -> float:
        linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("level", OFFICIAL)
def test_levels_have_the_cabinet_offices_colours(level: int) -> None:
    assert colour(f"level-{level}") == OFFICIAL[level]


@pytest.mark.parametrize("level", [0, *OFFICIAL])
def test_the_digit_of_a_level_can_be_read_on_its_colour(level: int) -> None:
    assert contrast(colour(f"level-{level}"), colour(f"level-{level}-text")) >= 4.5


@pytest.mark.parametrize("text", ["ink", "ink-soft", "key", "stale"])
@pytest.mark.parametrize("ground", ["ground", "paper"])
def test_text_can_be_read(text: str, ground: str) -> None:
    assert contrast(colour(text), colour(ground)) >= 4.5


def test_lines_that_mean_something_can_be_seen() -> None:
    assert contrast(colour("line-strong"), colour("paper")) >= 3.0

"""What a page says to its reader."""

from __future__ import annotations

import re

import httpx


def main(page: httpx.Response) -> str:
    """The words of the page's main part, without its marks; of a refusal too."""
    found = re.search(r"<main.*</main>", page.text, re.DOTALL)
    assert found is not None, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))

"""Long lists, a hundred rows a page: which rows a reader asked for (`q` words, `page` a number), and where they are.

A search is for words that all stand somewhere in what a row says. What is no page is the nearest one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import Request

PER_PAGE = 100
_LONGEST = 100  # characters of a search

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Paged(Generic[Row]):
    """The rows of one page, out of `found` that match `text`, of `total` in all. `number` of `pages`, from 1."""

    rows: Sequence[Row]
    number: int
    pages: int
    found: int
    total: int
    text: str


def paged(request: Request, rows: Sequence[Row], says: Callable[[Row], str]) -> Paged[Row]:
    """What was asked for of these rows; `says`: where the words are looked for."""
    text = request.query_params.get("q", "")[:_LONGEST].strip()
    words = _plain(text).split()
    found = [row for row in rows if all(word in _plain(says(row)) for word in words)] if words else rows
    pages = max(1, -(-len(found) // PER_PAGE))
    number = min(page_number(request), pages)
    return Paged(found[(number - 1) * PER_PAGE : number * PER_PAGE], number, pages, len(found), len(rows), text)


def page_number(request: Request) -> int:
    """The page that was asked for; 1 where that is no number."""
    typed = request.query_params.get("page", "")
    return max(1, int(typed)) if typed.isascii() and typed.isdigit() and len(typed) < 6 else 1


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()

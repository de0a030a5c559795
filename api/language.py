"""Which language a person reads: Japanese unless the browser asks for English first."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request

Language = Literal["ja", "en"]


def language_of(request: Request) -> Language:
    """The better liked of Japanese and English in Accept-Language (RFC 9110, 12.5.4); Japanese when neither.

    >>> best("en-US,en;q=0.9,ja;q=0.8")
    'en'
    >>> best("fr, ja;q=0.5, en;q=0.3"), best(""), best("en;q=zero")
    ('ja', 'ja', 'ja')
    """
    return best(request.headers.get("accept-language", ""))


def best(header: str) -> Language:
    """The choice of `language_of`, from the header's text."""
    weights: dict[str, float] = {}
    for item in header.split(","):
        tag, _, parameters = item.strip().partition(";")
        language = tag.strip().lower().split("-")[0]
        try:
            weight = float(parameters.strip().removeprefix("q=")) if parameters else 1.0
        except ValueError:
            continue
        weights[language] = max(weight, weights.get(language, 0.0))
    return "en" if weights.get("en", 0.0) > weights.get("ja", 0.0) else "ja"

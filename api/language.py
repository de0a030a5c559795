"""Which language a person reads: the one chosen on a page; else pages are Japanese, and the API's texts too unless the
client asks for English first.
"""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request

Language = Literal["ja", "en"]
LANGUAGES: tuple[Language, ...] = ("ja", "en")
COOKIE = "mimamori_lang"


def language_of(request: Request) -> Language:
    """Of the API: `?lang=`, else what the pages' cookie remembers, else what the client likes better."""
    return chosen(request) or best(request.headers.get("accept-language", ""))


def page_language_of(request: Request) -> Language:
    """Of a page, also of one that says what went wrong: `?lang=`, else the cookie, else Japanese, whatever the browser
    likes: a town hall's computers are often set up in English.
    """
    return chosen(request) or LANGUAGES[0]


def chosen(request: Request) -> Language | None:
    """What the person asked for on a page."""
    for wish in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        for language in LANGUAGES:
            if wish == language:
                return language
    return None


def best(header: str) -> Language:
    """The better liked of Japanese and English in Accept-Language (RFC 9110, 12.5.4); Japanese when neither.

    >>> best("en-US,en;q=0.9,ja;q=0.8")
    'en'
    >>> best("fr, ja;q=0.5, en;q=0.3"), best(""), best("en;q=zero")
    ('ja', 'ja', 'ja')
    """
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

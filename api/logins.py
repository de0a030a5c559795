"""What a person signs in as."""

from __future__ import annotations

import unicodedata


def normal_login(login: str) -> str:
    """The stored form of a login: full-width letters and capitals typed by a Japanese keyboard are the same.

    >>> normal_login(" Ｂｏｓａｉ ")
    'bosai'
    """
    return unicodedata.normalize("NFKC", login).strip().casefold()

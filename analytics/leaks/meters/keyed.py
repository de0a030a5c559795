"""A meter's number as it is kept: HMAC-SHA256 with a key that is in no database.

    keyed(key, town, number) -> 32 bytes      the same number in the same town is always the same
    fingerprint(key, town) -> 32 bytes        tells one key from another, and nothing of it
    normal(number) -> str                     '００12-345 ' and '12345' are one number

A bare hash would hide nothing: all eight-digit numbers are tried in a second. With the key they cannot be, and the
database, its backups and its dumps do not have the key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata

SHORTEST = 32  # characters of a key


def keyed(key: str, town: str, number: str) -> bytes:
    """32 bytes for a meter's number. `town`: the municipality's code, so that two towns' meters share nothing.

    >>> keyed("k" * 32, "999999", "00123") == keyed("k" * 32, "999999", "１２３")
    True
    >>> keyed("k" * 32, "999999", "123") == keyed("k" * 32, "888888", "123")
    False
    """
    return _digest(key, f"meter:{town}:{normal(number)}")


def fingerprint(key: str, town: str) -> bytes:
    """32 bytes by which it is seen that a key is another than before."""
    return _digest(key, f"fingerprint:{town}")


def normal(number: str) -> str:
    """A number as one person types it and another program writes it. Spreadsheets drop leading zeros, so we do.

    >>> normal(" ａ-0012 "), normal("00120"), normal("000")
    ('A0012', '120', '0')
    """
    text = re.sub(r"[\s\-‐‑–—―−ー_]", "", unicodedata.normalize("NFKC", number)).upper()
    return text.lstrip("0") or "0" if text.isdecimal() else text


def new_key() -> str:
    """A key for a town, as one line of a file."""
    return secrets.token_urlsafe(32)


def _digest(key: str, text: str) -> bytes:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()

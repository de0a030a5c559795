"""Passwords: argon2id (RFC 9106) with OWASP's parameters (19 MiB, 2 passes, 1 lane), at most two at a time.

A small server must not be driven out of memory by sign-ins, hence the bound. A login that does not exist costs
the same work as a wrong password, so that timing does not tell which logins exist.
"""

from __future__ import annotations

import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_at_once = threading.BoundedSemaphore(2)


@cache
def _nobody() -> str:
    """A hash that no password has; made with the first sign-in of a process, whoever's that is."""
    return _hasher.hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """The PHC string to store."""
    with _at_once:
        return _hasher.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one; None (no such account) takes as long and is False."""
    with _at_once:
        nobody = _nobody()
        try:
            matches = _hasher.verify(stored or nobody, password)
        except (VerificationError, InvalidHashError):
            return False
    return matches and stored is not None

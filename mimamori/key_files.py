"""A key in a file of its own: made once, and kept, since what was made by it is known by it alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mimamori.errors import InputError


def make(file: Path, new_key: Callable[[], str], then: str) -> str:
    """Makes a key in `file`, for its owner's eyes; the sentence that says so, and what to do `then`. One that is there
    stays as it is. InputError where the file cannot be written.
    """
    try:
        file.touch(0o600, exist_ok=False)
        file.write_text(new_key() + "\n", encoding="utf-8")
    except FileExistsError:
        return f"{file}: it was there, nothing changed"
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from error
    return f"{file}: made; {then}"

"""The key of web push: made once, and kept, since every browser was allowed for it alone."""

from __future__ import annotations

from pathlib import Path

from mimamori.errors import InputError


def make(file: Path) -> str:
    """Makes the key in `file`, for its owner's eyes; the sentence that says so. One that is there stays as it is.

    InputError where the file cannot be written.
    """
    from alerts.push_message import new_key

    try:
        file.touch(0o600, exist_ok=False)
        file.write_text(new_key() + "\n", encoding="utf-8")
    except FileExistsError:
        return f"{file}: it was there, nothing changed"
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from error
    return f"{file}: made; name it as key_file of a channel of the kind webpush, and keep a copy of it"

"""The key of web push: made once, and kept, since every browser was allowed for it alone."""

from __future__ import annotations

from pathlib import Path

from mimamori import key_files


def make(file: Path) -> str:
    """Makes the key in `file`, as `mimamori.key_files` says."""
    from alerts.push_message import new_key

    return key_files.make(file, new_key, "name it as key_file of a channel of the kind webpush, and keep a copy of it")

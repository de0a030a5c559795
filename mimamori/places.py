"""Where a town on one machine keeps what it remembers, and that one command at a time is in there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mimamori.errors import StartError
from store.file_lock import hold


def usual_folder(environment: Mapping[str, str]) -> Path:
    """The user's folder for data that stays on this machine, by the rules of the system, and ours in it."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "mimamori"


@contextmanager
def sole_user(data: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however that ends."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{data} cannot be made ({error.strerror}): take another folder with --data") from error
    with (data / "lock").open("ab") as lock:
        try:
            hold(lock)
        except OSError as error:
            raise StartError(f"another town runs in {data}: end it, or take another folder") from error
        yield

"""The command line, one file for each kind of work; `mimamori.cli` puts them together.

Nothing here imports a room before its command runs: that would cost every process half a second and the memory of all.
"""

from __future__ import annotations

import os
import threading

from mimamori.settings import Settings


def settings() -> Settings:
    """What the environment says."""
    return Settings.read(os.environ)


def stop_event(process: str) -> threading.Event:
    """An event that sets itself when this process is to stop, and logs for it."""
    from mimamori import stopping
    from mimamori.logs import configure_logs

    configure_logs(process)
    return stopping.stop_event()

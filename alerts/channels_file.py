"""Texts to be read out: one file a notification in a folder, for the person at the municipal radio (防災行政無線).

A file appears whole or not at all (written beside, then renamed), and its name begins with the time, so that the
newest is last. A repetition writes the same file again. Nothing is broadcast from here: a person reads it, or loads it
into the radio's own reader.
"""

from __future__ import annotations

import os
from pathlib import Path

from alerts.channels import Notification
from alerts.config import FileConfig
from devices.clock import real_now


class FileChannel:
    """Writes into the folder of its configuration; the contact's address is only a name."""

    kind = "file"
    knows_repetitions = True

    def __init__(self, name: str, config: FileConfig) -> None:
        self.name = name
        self._config = config

    def send(self, notification: Notification) -> None:
        """Raises OSError where the folder cannot be written to."""
        folder = Path(self._config.folder)
        ending = f"_{notification.key}.txt"
        there = next(folder.glob(f"*{ending}"), None)
        target = there or folder / f"{real_now():%Y%m%dT%H%M%SZ}{ending}"
        text = notification.spoken or notification.brief
        beside = folder / f".{notification.key}.part"
        with beside.open("w", encoding=self._config.encoding, errors="replace", newline="\r\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)

"""Cameras: stills fetched from an address or taken from a folder, kept as photos (`store.cameras`)."""

from __future__ import annotations

from ingest.cameras.config import CamerasConfig
from ingest.cameras.worker import run

__all__ = ["CamerasConfig", "run"]

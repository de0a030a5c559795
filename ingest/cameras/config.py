"""What the worker of the cameras has to be told. `mimamori` fills it; nothing here reads settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CamerasConfig:
    """`dsn` is for the role mimamori_worker; `municipality` the 6-digit code. `root` holds the folders that cameras
    write into, each one level below it; None: there are none. `secrets` holds files with user:password, by the names
    that cameras are entered with; None: no camera asks for one. `timeout_seconds` for a whole picture.

    Raises ConfigError, naming the folder.
    """

    dsn: str
    municipality: str
    root: Path | None = None
    secrets: Path | None = None
    poll_seconds: float = 1.0
    timeout_seconds: float = 15.0

    def __post_init__(self) -> None:
        for folder, what in ((self.root, "folders of the cameras"), (self.secrets, "secrets of the cameras")):
            if folder is not None and not folder.is_dir():
                raise ConfigError(f"the folder of the {what}, {folder}, is not there: make it, or mount it")

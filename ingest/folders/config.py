"""What the worker of the watched folders has to be told. `mimamori` fills it; nothing here reads settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.errors import ConfigError


@dataclass(frozen=True, slots=True)
class FoldersConfig:
    """`root` holds the folders, each one level below it. `dsn` is for the role mimamori_worker; `municipality` the
    6-digit code. A file is taken when it has been the same for `settle_seconds` over at least two looks, and is not
    above `max_bytes`. One that somebody has open in Excel waits for them, for `open_seconds` at most: a lock of a
    computer that was switched off stays for ever. A look every `poll_seconds`, or a tenth of the time.

    Raises ConfigError, naming the field.
    """

    dsn: str
    municipality: str
    root: Path
    max_bytes: int = 20_000_000
    poll_seconds: float = 5.0
    settle_seconds: float = 10.0
    open_seconds: float = 900.0

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise ConfigError(f"the folder of the watched folders, {self.root}, is not there: make it, or mount it")
        if self.max_bytes < 1:
            raise ConfigError(f"folders max_bytes is {self.max_bytes}: it must be 1 or more")

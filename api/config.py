"""What the API needs to be told; `mimamori` fills it from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.leaks.meters.keyed import SHORTEST

if TYPE_CHECKING:
    from ingest.intake import IntakeConfig


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """How the API runs.

    `dsn` connects as the role mimamori_api. `demo` shows that the accounts are made up. A session ends after
    `session_hours` without use. `secure_cookies` False is for plain HTTP on a local network only: the cookie
    then travels readable. `metrics_token` lets a collector read /metrics without an account; None: only
    accounts can. `pool_size` bounds the database connections of requests; the stream has one more of its own.
    """

    dsn: str
    demo: bool = False
    session_hours: float = 12.0
    secure_cookies: bool = True
    metrics_token: str | None = None
    pool_size: int = 6
    max_body_bytes: int = 1_000_000
    # Where the database keeps its files, if that is on this machine: its free space is shown. None: nobody knows.
    data_folder: Path | None = None
    # A PMTiles file that lies under the town's own shapes on the map, and whose data it is: that must stand on the map.
    # The credit may end with an address (https://...), which it then leads to.
    tiles: Path | None = None
    tiles_credit: str | None = None
    # A reverse proxy whose X-Forwarded-For is believed: throttling of sign-ins counts by address.
    trusted_proxies: str = "127.0.0.1"
    # By which the numbers of customers' meters are kept; None: no file of them is taken. Never in the database.
    meter_key: str | None = None
    # Without a sign of life for this long (real time), /healthz calls a worker lost.
    worker_silence: timedelta = timedelta(seconds=90)
    # A consumer this many batches behind the newest one is reported as lagging.
    feed_lag_limit: int = 2000
    # Takes messages that networks post, with the rights of its own address (mimamori_worker). None: no such routes.
    intake: IntakeConfig | None = None

    def __post_init__(self) -> None:
        if not self.session_hours > 0:
            raise ValueError(f"session_hours must be above 0, not {self.session_hours}")
        if self.pool_size < 1:
            raise ValueError(f"pool_size must be at least 1, not {self.pool_size}")
        if self.tiles is not None and not (self.tiles_credit or "").strip():
            raise ValueError("tiles_credit is missing: whose data the map is must be written on it")
        if self.meter_key is not None and len(self.meter_key) < SHORTEST:
            raise ValueError(f"meter_key must have at least {SHORTEST} characters: `mimamori meter-key FILE` makes one")
        if self.metrics_token is not None and len(self.metrics_token) < 16:
            raise ValueError("metrics_token must have at least 16 characters: it opens /metrics to whoever knows it")

"""What the worker of the weather agency's telegrams has to be told. `mimamori` fills it; no settings are read here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ingest.errors import ConfigError

JMA_HOST = "www.data.jma.go.jp"
# The agency shuts out who takes 10 GB a day (気象庁防災情報XML PULL型, 留意事項); a town needs less than a hundredth.
MOST_BYTES_A_DAY = 1_000_000_000


@dataclass(frozen=True, slots=True)
class JmaConfig:
    """`dsn` is for the role mimamori_worker; `municipality` the 6-digit code. Either `feed`, the address under which
    extra.xml and extra_l.xml are, or `folder`, into which somebody's receiver writes. `areas`: codes or names of
    rivers and areas beside the municipality itself. `poll_seconds` between two looks at the folder or, of the feed,
    at the clock; the feed is asked every `feed_seconds` (real time).

    Raises ConfigError, naming the setting.
    """

    dsn: str
    municipality: str
    feed: str | None = None
    folder: Path | None = None
    areas: tuple[str, ...] = ()
    poll_seconds: float = 1.0
    feed_seconds: float = 60.0
    settle_seconds: float = 2.0
    timeout_seconds: float = 20.0
    most_bytes: int = MOST_BYTES_A_DAY

    def __post_init__(self) -> None:
        if (self.feed is None) == (self.folder is None):
            raise ConfigError("set either MIMAMORI_JMA_FEED or MIMAMORI_JMA_FOLDER: telegrams come by one way")
        if self.folder is not None and not self.folder.is_dir():
            raise ConfigError(f"the folder of the telegrams, {self.folder}, is not there: make it, or mount it")
        if self.feed is not None:
            parts = urlsplit(self.feed)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
                raise ConfigError(
                    f"MIMAMORI_JMA_FEED must be the address of the folder with extra.xml in it, such as "
                    f"https://{JMA_HOST}/developer/xml/feed/, not {self.feed!r}"
                )
            if parts.hostname == JMA_HOST and self.feed_seconds < 60:
                raise ConfigError("the agency's feed is made every minute: asking it more often brings nothing")

"""What alerts has to be told; `mimamori` fills it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Encryption(StrEnum):
    """How the mail server is spoken to."""

    NONE = "none"  # only for a relay on the same machine
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class MailConfig:
    """The town's mail server. `username` None: it lets us in without."""

    host: str
    port: int
    sender: str
    encryption: Encryption = Encryption.STARTTLS
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """`dsn` is the worker role's. `mail` None: notifications are logged only, which is all a simulated town may do.
    `data_folder`: of the database's files, where this machine has it; then their disk is watched.
    """

    dsn: str = field(repr=False)
    mail: MailConfig | None = None
    data_folder: Path | None = None

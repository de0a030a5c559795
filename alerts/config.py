"""What alerts has to be told; `mimamori` fills it."""

from __future__ import annotations

from collections.abc import Mapping
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
class LineConfig:
    """The town's official account at LINE."""

    token: str = field(repr=False)
    base_url: str = "https://api.line.me"
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Another system of the town, and the secret shared with it."""

    url: str
    secret: str = field(repr=False)
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class TemplateConfig:
    """A request as the operator has written it down; placeholders as in `alerts.channels_http`."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    secret: str | None = field(default=None, repr=False)
    knows_repetitions: bool = False
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class FileConfig:
    """A folder for texts to be read out."""

    folder: Path
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """A topic of a broker, and what is published there; placeholders as in `alerts.channels_http`, quoted for JSON
    where the payload is `json`. `version` 5 or 3.1.1 of the protocol.
    """

    host: str
    topic: str
    body: str
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    json: bool = True
    retain: bool = False
    version: str = "3.1.1"
    knows_repetitions: bool = False
    timeout_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class AppriseConfig:
    """A service by its address in apprise's form, with its secrets; ${address} in it is the contact's."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Web push. `contact`: where push services write when something is wrong (mailto: or https:). `allowed_hosts`:
    machines within the town hall that may be push services; `ca_file`: who vouches for them.
    """

    private_key: str = field(repr=False)
    contact: str
    allowed_hosts: frozenset[str] = frozenset()
    ca_file: str | None = None
    timeout_seconds: float = 20.0


ChannelConfig = LineConfig | WebhookConfig | TemplateConfig | FileConfig | MqttConfig | AppriseConfig | PushConfig


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """`dsn` is the worker role's. `mail` None and no `channels` (by their names): notifications are logged only, which
    is all a simulated town may do. `data_folder`: of the database's files, where this machine has it; then their disk
    is watched. `public_url`: where the pages are for whoever gets a message, without a slash at its end; None: messages
    have no link to answer by. `evaluators`: among so many the stations are dealt out (`alerts.shards`).
    """

    dsn: str = field(repr=False)
    mail: MailConfig | None = None
    channels: Mapping[str, ChannelConfig] = field(default_factory=dict)
    public_url: str | None = None
    data_folder: Path | None = None
    evaluators: int = 1

"""The operator's file of channels (YAML): what ways out there are besides mail. Secrets stand in files of their own.

    line:      {kind: line, token_file: /run/secrets/line_token}
    partner:   {kind: webhook, url: https://bousai.example.jp/hook, secret_file: /run/secrets/partner}
    radio:     {kind: file, folder: /srv/mimamori/radio, encoding: cp932}
    sms:
      kind: http
      url: https://sms.example.jp/v1/messages
      headers: {Authorization: "Bearer ${secret}", Content-Type: application/json, Idempotency-Key: "${key}"}
      body: '{"to": "${address}", "text": "${brief}"}'
      secret_file: /run/secrets/sms
      knows_repetitions: true
    lamp:
      kind: mqtt
      host: 192.168.10.5
      topic: town/lamp/${address}
      body: '{"event": "${event}", "level": "${level}", "mode": "${mode}"}'
    push:      {kind: webpush, key_file: /run/secrets/webpush_key, contact: "mailto:bousai@town.example.jp"}

`read_channels` raises `ChannelFileError`, which names the file, the channel and what is wrong. A name is one word; mail
and log are taken. An unknown field is an error: a misspelt one is a silent one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import yaml

from alerts.channels import Channel
from alerts.channels_apprise import AppriseChannel
from alerts.channels_file import FileChannel
from alerts.channels_http import TemplateChannel
from alerts.channels_line import LineChannel
from alerts.channels_mqtt import MqttChannel
from alerts.channels_webhook import WebhookChannel
from alerts.config import (
    AppriseConfig,
    ChannelConfig,
    FileConfig,
    LineConfig,
    MqttConfig,
    PushConfig,
    TemplateConfig,
    WebhookConfig,
)
from alerts.errors import ChannelFileError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_TAKEN = frozenset({"mail", "log"})
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH"})
PLACEHOLDERS = frozenset(
    {"address", "subject", "body", "brief", "spoken", "answer_url", "key", "secret", "event", "level", "mode"}
)
_MQTT_VERSIONS = ("3.1.1", "5")
_MOST_TEMPLATE = 2000  # letters of an MQTT payload's template


def read_channels(path: Path) -> dict[str, ChannelConfig]:
    """The channels of a file, by name."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ChannelFileError(f"{path}: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ChannelFileError(f"{path}: it must be names of channels with their settings")
    channels = {}
    for name, given in found.items():
        where = f"{path}: channel {name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
            raise ChannelFileError(
                f"{where}: a name is a small letter and then letters, digits, - or _; not mail or log"
            )
        if not isinstance(given, Mapping) or given.get("kind") not in _KINDS:
            raise ChannelFileError(f"{where}: kind must be one of {', '.join(_KINDS)}")
        fields = _Fields(where, {key: value for key, value in given.items() if key != "kind"})
        channels[name] = _KINDS[given["kind"]](fields)
        fields.end()
    if sum(isinstance(each, PushConfig) for each in channels.values()) > 1:
        raise ChannelFileError(f"{path}: there is one channel of the kind webpush, with one key")
    return channels


def channel_of(name: str, config: ChannelConfig) -> Channel:
    """The channel of a configuration."""
    match config:
        case LineConfig():
            return LineChannel(name, config)
        case WebhookConfig():
            return WebhookChannel(name, config)
        case TemplateConfig():
            return TemplateChannel(name, config)
        case FileConfig():
            return FileChannel(name, config)
        case MqttConfig():
            return MqttChannel(name, config)
        case AppriseConfig():
            return AppriseChannel(name, config)
        case PushConfig():
            from alerts.channels_push import PushChannel  # who has no such channel need not load its cryptography

            return PushChannel(name, config)


class _Fields:
    """The settings of one channel; what is not taken out is unknown."""

    def __init__(self, where: str, given: dict[Any, Any]) -> None:
        self._where, self._given = where, given

    def wrong(self, what: str) -> ChannelFileError:
        return ChannelFileError(f"{self._where}: {what}")

    def text(self, name: str, default: str | None = None) -> str:
        value = self._given.pop(name, default)
        if not isinstance(value, str):
            raise self.wrong(f"{name} is missing" if value is None else f"{name} must be a text")
        return value

    def yes(self, name: str, default: bool = False) -> bool:
        value = self._given.pop(name, default)
        if not isinstance(value, bool):
            raise self.wrong(f"{name} must be true or false")
        return value

    def port(self, default: int) -> int:
        value = self._given.pop("port", default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
            raise self.wrong("port must be a number from 1 to 65535")
        return value

    def template(self, text: str) -> None:
        """Raises where a text has a placeholder that there is not."""
        template = Template(text)
        if not template.is_valid():
            raise self.wrong("a $ that is no placeholder is written $$")
        if unknown := set(template.get_identifiers()) - PLACEHOLDERS:
            raise self.wrong(f"there is no placeholder {', '.join(sorted(unknown))}")

    def seconds(self) -> float:
        value = self._given.pop("timeout_seconds", 20)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:
            raise self.wrong("timeout_seconds must be a number up to 60")
        return float(value)

    def texts(self, name: str) -> dict[str, str]:
        value = self._given.pop(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(each, str) for pair in value.items() for each in pair):
            raise self.wrong(f"{name} must be names with texts")
        return dict(value)

    def words(self, name: str) -> list[str]:
        value = self._given.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(f"{name} must be a list of texts")
        return value

    def address(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "${" in parts.netloc:
            raise self.wrong(f"{name} must be an address that begins with https:// or http:// and a host")
        return value

    def secret(self, name: str) -> str:
        path = Path(self.text(name))
        try:
            text = path.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise self.wrong(f"{name} {path} cannot be read: {error}") from error
        if not text or "\n" in text:
            raise self.wrong(f"{name} {path} must hold one line, the secret")
        return text

    def has(self, name: str) -> bool:
        return name in self._given

    def end(self) -> None:
        if self._given:
            raise self.wrong(f"unknown: {', '.join(map(str, self._given))}")


def _line(fields: _Fields) -> LineConfig:
    base = fields.address("base_url", "https://api.line.me").rstrip("/")
    return LineConfig(fields.secret("token_file"), base, fields.seconds())


def _webhook(fields: _Fields) -> WebhookConfig:
    return WebhookConfig(fields.address("url"), fields.secret("secret_file"), fields.seconds())


def _http(fields: _Fields) -> TemplateConfig:
    config = TemplateConfig(
        fields.address("url"),
        fields.text("method", "POST"),
        fields.texts("headers"),
        fields.text("body", ""),
        fields.secret("secret_file") if fields.has("secret_file") else None,
        fields.yes("knows_repetitions"),
        fields.seconds(),
    )
    if config.method not in _METHODS:
        raise fields.wrong(f"method must be one of {', '.join(sorted(_METHODS))}")
    for text in (config.url, config.body, *config.headers.values()):
        fields.template(text)
    return config


def _file(fields: _Fields) -> FileConfig:
    folder, encoding = Path(fields.text("folder")), fields.text("encoding", "utf-8")
    if not folder.is_dir():
        raise fields.wrong(f"folder {folder} is not there")
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise fields.wrong(f"encoding {encoding} is unknown; utf-8 and cp932 are usual") from error
    return FileConfig(folder, encoding)


def _mqtt(fields: _Fields) -> MqttConfig:
    tls = fields.yes("tls")
    config = MqttConfig(
        fields.text("host"),
        fields.text("topic"),
        fields.text("body"),
        fields.port(8883 if tls else 1883),
        fields.text("username") if fields.has("username") else None,
        fields.secret("password_file") if fields.has("password_file") else None,
        tls,
        fields.text("ca_file") if fields.has("ca_file") else None,
        fields.yes("json", True),
        fields.yes("retain"),
        fields.text("version", "3.1.1"),
        fields.yes("knows_repetitions"),
        fields.seconds(),
    )
    if config.version not in _MQTT_VERSIONS:
        raise fields.wrong(f"version must be one of {', '.join(_MQTT_VERSIONS)}, in quotes")
    for text in (config.topic, config.body):
        fields.template(text)
    if not config.topic or set(Template(config.topic).get_identifiers()) - {"address"} or {*"+#"} & {*config.topic}:
        raise fields.wrong("topic must be the topic to publish to: no + or #, and no placeholder but ${address}")
    if len(config.body) > _MOST_TEMPLATE:
        raise fields.wrong(f"body must have at most {_MOST_TEMPLATE} letters")
    if config.ca_file is not None and not Path(config.ca_file).is_file():
        raise fields.wrong(f"ca_file {config.ca_file} is not there")
    return config


def _apprise(fields: _Fields) -> AppriseConfig:
    url = fields.secret("url_file")
    if find_spec("apprise") is None:
        raise fields.wrong("apprise is not installed: it is in requirements-apprise.lock")
    template = Template(url)
    if not template.is_valid() or set(template.get_identifiers()) - {"address"}:
        raise fields.wrong("the address in url_file may have ${address} and no other placeholder; a $ is written $$")
    return AppriseConfig(url)


def _webpush(fields: _Fields) -> PushConfig:
    from alerts.push_message import KeyFault, Sender

    config = PushConfig(
        fields.secret("key_file"),
        fields.text("contact"),
        frozenset(fields.words("allowed_hosts")),
        fields.text("ca_file") if fields.has("ca_file") else None,
        fields.seconds(),
    )
    if not re.fullmatch(r"mailto:[^@\s]+@[^@\s]+|https://[^\s/]+\S*", config.contact):
        raise fields.wrong('contact must be "mailto:" with an address, or an address that begins with https://')
    if config.ca_file is not None and not Path(config.ca_file).is_file():
        raise fields.wrong(f"ca_file {config.ca_file} is not there")
    try:
        Sender(config.private_key, config.contact)
    except KeyFault as error:
        raise fields.wrong(f"key_file: {error}; `mimamori push-key FILE` makes one") from error
    return config


_KINDS: Mapping[str, Callable[[_Fields], ChannelConfig]] = {
    "line": _line,
    "webhook": _webhook,
    "http": _http,
    "file": _file,
    "mqtt": _mqtt,
    "apprise": _apprise,
    "webpush": _webpush,
}

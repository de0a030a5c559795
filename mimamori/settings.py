"""All settings, in one place: environment variables MIMAMORI_*, read once, handed on as config of each room.

A secret may also come from a file: MIMAMORI_API_DSN_FILE=/run/secrets/api_dsn. No setting has a password as its
default. A MIMAMORI_ variable that is none of these is an error, because a misspelt setting is a silent one.
docs/operations.md describes each; a test compares the lists.

    settings = Settings.read(os.environ)
    settings.need("worker_dsn")  # SettingError names the variable that is missing
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from mimamori.errors import SettingError

PREFIX = "MIMAMORI_"
# Read by the test suite, not by the product.
_FOREIGN = "MIMAMORI_TEST_"


def _secret() -> Any:
    return field(default=None, metadata={"secret": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator can set. None: not set."""

    # database
    owner_dsn: str | None = _secret()
    worker_dsn: str | None = _secret()
    api_dsn: str | None = _secret()
    municipality: str | None = None
    # broker
    broker_host: str = "127.0.0.1"
    broker_port: int = 1883
    broker_user: str | None = None
    broker_password: str | None = _secret()
    broker_kind: str = "mosquitto"
    broker_max_unacked: int = 100
    worker_id: str = "0"
    ingest_workers: int = 1
    ingest_shared: bool = False
    oldest_days: int = 365
    intake_max_bytes: int = 65536
    folders: str | None = None
    folder_max_bytes: int = 20_000_000
    cameras: str | None = None
    camera_secrets: str | None = None
    jma_feed: str | None = None
    jma_folder: str | None = None
    jma_areas: str | None = None
    quarantine_days: int = 400
    raw_days: int | None = None
    raw_event_days: int | None = None
    keep_years: str | None = None
    # pages and API
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    session_hours: float = 12.0
    secure_cookies: bool = True
    trusted_proxies: str = "127.0.0.1"
    metrics_token: str | None = _secret()
    meter_key: str | None = _secret()
    demo: bool = False
    data_folder: str | None = None
    tiles: str | None = None
    tiles_credit: str | None = None
    # alerts
    evaluators: int = 1
    # mail
    mail_host: str | None = None
    mail_port: int = 587
    mail_security: str = "starttls"
    mail_from: str | None = None
    mail_user: str | None = None
    mail_password: str | None = _secret()
    channels: str | None = None
    public_url: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings of an environment. SettingError names the variable that is wrong and says why."""
        known = {variable(f.name) for f in fields(cls)} | {variable(name) + "_FILE" for name in secrets()}
        for name in environment:
            if name.startswith(PREFIX) and not name.startswith(_FOREIGN) and name not in known:
                near = difflib.get_close_matches(name, sorted(known), n=1)
                hint = f"; did you mean {near[0]}?" if near else "; docs/operations.md lists all settings"
                raise SettingError(f"{name} is not a setting{hint}")
        types_of = get_type_hints(cls)
        values: dict[str, Any] = {}
        for f in fields(cls):
            raw = _raw(environment, variable(f.name), secret=f.name in secrets())
            if raw is not None:
                values[f.name] = _convert(variable(f.name), raw, types_of[f.name])
        return cls(**values)

    def need(self, name: str) -> str:
        """The value of a setting that has no default. SettingError where it is not set."""
        value = getattr(self, name)
        if value is None:
            raise SettingError(f"{variable(name)} is not set, and this command needs it; see docs/operations.md")
        return str(value)

    @property
    def real_channels(self) -> list[str]:
        """The variables that are set and would reach real people: a simulated town refuses to start with them."""
        names = [f.name for f in fields(self) if f.name.startswith("mail_") or f.name == "channels"]
        return [variable(name) for name in names if name != "mail_port" and getattr(self, name) != _default(name)]


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def secrets() -> tuple[str, ...]:
    """The settings that may also come from a file."""
    return tuple(f.name for f in fields(Settings) if f.metadata.get("secret"))


def _default(name: str) -> object:
    return next(f.default for f in fields(Settings) if f.name == name)


def _raw(environment: Mapping[str, str], name: str, *, secret: bool) -> str | None:
    """The text of a setting; an empty one counts as not set, as docker-compose.yml cannot leave one out.

    From a file it is the one line in it, without the line's end. A file that is named must hold something.
    """
    value = environment.get(name) or None
    path = environment.get(name + "_FILE") if secret else None
    if not path:
        return value
    if value is not None:
        raise SettingError(f"{name} and {name}_FILE are both set: keep one")
    given = f"{name}_FILE={path}"
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingError(f"{given} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{given} is not a text file in UTF-8") from error
    if not text:
        raise SettingError(f"{given} is empty: put the secret into it, or take the variable away")
    if "\n" in text:
        raise SettingError(f"{given} has more than one line: it must hold the secret and nothing else")
    return text


def _convert(name: str, raw: str, kind: Any) -> object:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(k for k in get_args(kind) if k is not type(None))
    try:
        return _READERS[kind](raw)
    except (KeyError, ValueError) as error:
        raise SettingError(f"{name} must be {_EXPECTED[kind]}, not {raw!r}") from error


_READERS: dict[Any, Callable[[str], object]] = {
    str: str,
    int: int,
    float: float,
    bool: lambda raw: {"true": True, "false": False}[raw.lower()],
}
_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}

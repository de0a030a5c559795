"""The folder of secrets that docker-compose.yml reads: made once, completed where something is missing.

Each file holds one line. Passwords are random; nobody needs to know them but the network server's administrator
(`broker_network_server`) and whoever sets up a device (`devices/KEY`). The broker keeps hashes only
(`broker_passwords`). What exists is never changed, so that a second run is harmless; a file that was deleted is made
anew with another password.

The folder is for its owner alone (0700). The files in it can be read by anyone who gets that far, because Docker
shows them to containers as they are, and each container runs as a user of its own.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from mimamori.errors import InputError

# Name of a broker's account: file with its password. containers/mosquitto.acl says what each may do.
ACCOUNTS = {"ingest": "broker_ingest", "network-server": "broker_network_server"}
# Role of the database: file with its address.
_ROLES = {"mimamori_worker": "worker_dsn", "mimamori_api": "api_dsn"}
# As devices.town wants it: a device signs in with its key.
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def make(folder: Path, device: str | None = None) -> str:
    """Make what is missing in `folder`, with `device` also a broker's account for a device that speaks MQTT itself.

    The sentence that says what was made, without any secret. InputError where the folder cannot be written or the
    device's key is none.
    """
    if device is not None and (not _KEY.fullmatch(device) or device in ACCOUNTS):
        raise InputError(f"{device!r} cannot be a device's key: small letters, digits and . _ -, and not {_names()}")
    made: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        owner = _keep(folder / "owner_password", _password(), made)
        _keep(folder / "owner_dsn", _address("mimamori", owner), made)
        for role, name in _ROLES.items():
            _keep(folder / name, _address(role, _password()), made)
        _keep(folder / "metrics_token", _password(), made)
        accounts = {account: folder / name for account, name in ACCOUNTS.items()}
        if device is not None:
            (folder / "devices").mkdir(exist_ok=True)
            accounts[device] = folder / "devices" / device
        for account, file in accounts.items():
            _account(folder / "broker_passwords", account, file, made)
    except OSError as error:
        raise InputError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    done = f"{folder}: {', '.join(made)} made" if made else f"{folder}: everything was there, nothing changed"
    return done if device is None else f"{done}; the password of {device} is in {folder / 'devices' / device}"


def _names() -> str:
    return " or ".join(ACCOUNTS)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _address(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@database/mimamori"


def _keep(file: Path, fresh: str, made: list[str]) -> str:
    """The line in a file, which is `fresh` where there was no file."""
    if file.exists():
        return file.read_text("utf-8").rstrip("\r\n")
    _write(file, fresh)
    made.append(file.name)
    return fresh


def _account(hashes: Path, account: str, file: Path, made: list[str]) -> None:
    """An account's password in `file` and its hash among the broker's."""
    from ingest.embedded import mosquitto_hash

    is_new = not file.exists()
    password = _keep(file, _password(), made)
    lines = hashes.read_text("utf-8").splitlines() if hashes.exists() else []
    others = [line for line in lines if not line.startswith(f"{account}:")]
    if not is_new and len(others) < len(lines):
        return
    _write(hashes, "\n".join([*others, f"{account}:{mosquitto_hash(password)}"]))
    if hashes.name not in made:
        made.append(hashes.name)


def _write(file: Path, line: str) -> None:
    # In place: a container that has the file sees the file, not its name.
    file.write_text(line + "\n", encoding="utf-8")
    file.chmod(0o644)

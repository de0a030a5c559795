"""A real Caddy with the Caddyfile of docker-compose.yml before a real server; a skip that says so without one."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CADDYFILE = Path(__file__).parent.parent.parent / "containers" / "Caddyfile"


@dataclass(frozen=True)
class Front:
    """Where it answers, and whom its clients have to trust."""

    http: int
    https: int
    authority: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https}"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


def executable() -> str:
    """Caddy on PATH; skips the test where there is none."""
    found = shutil.which("caddy")
    if found is None:
        pytest.skip("caddy is not installed here")
    return found


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What the container sets, with Caddy's own folders in `folder`."""
    places = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return {"PATH": os.environ["PATH"], "SITE": "localhost", "TLS": "internal", **places, **more}


@contextmanager
def caddy_before(api: int, folder: Path) -> Iterator[Front]:
    """Runs Caddy before the API on that port. Only the container's ports are changed, for free ones."""
    http, https = _free_ports()
    text = CADDYFILE.read_text("utf-8")
    for there, here in (("http_port 8080", f"http_port {http}"), ("https_port 8443", f"https_port {https}")):
        assert there in text
        text = text.replace(there, here)
    (folder / "Caddyfile").write_text(text, "utf-8")
    command = [executable(), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    log = folder / "caddy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment(folder, API=f"127.0.0.1:{api}"), stdout=out, stderr=out, cwd=folder
        )
    front = Front(http, https, folder / "caddy" / "pki" / "authorities" / "local" / "root.crt", process)
    try:
        deadline = time.monotonic() + 60
        while not _greets(front):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield front
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


def _greets(front: Front) -> bool:
    try:
        with (
            socket.create_connection(("localhost", front.https), timeout=2) as plain,
            front.trust.wrap_socket(plain, server_hostname="localhost"),
        ):
            return True
    except OSError:
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(two.getsockname()[1])

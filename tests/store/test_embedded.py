"""The embedded server: from nothing, again, and from a home that nobody else may enter."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from store import connect
from store.embedded import EmbeddedServer
from store.errors import ServerError


@pytest.fixture
def private_home() -> Iterator[Path]:
    """A folder of mode 0700 directly below the temporary folder, as a home is."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o700)
        yield Path(folder) / "town" / "data"


def test_it_serves_from_a_private_home_and_keeps_its_data(private_home: Path) -> None:
    with EmbeddedServer(private_home) as server, connect(server.dsn(), name="test") as conn:
        conn.execute("create table kept (x integer)")
        process = server.process
        assert process is not None
        if os.geteuid() == 0:
            running = Path(f"/proc/{process.pid}").stat().st_uid
            assert running != 0, "PostgreSQL never runs as root"
            assert (private_home / "postgres-bin").is_dir()
    assert process.poll() is not None
    with EmbeddedServer(private_home) as server, connect(server.dsn(), name="test") as conn:
        assert conn.execute("select count(*) from kept").fetchone() == (0,)
    assert stat.S_IMODE(private_home.parents[1].stat().st_mode) == 0o700, "the home stays closed"


def test_passwords_are_random_and_private(server: EmbeddedServer) -> None:
    secrets = list((server.data / "secrets").iterdir())
    assert len({path.read_text() for path in secrets}) == len(secrets) == 3
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secrets)


def test_nobody_gets_in_without_a_password(server: EmbeddedServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://mimamori_api:wrong@127.0.0.1:{server.port}/mimamori")


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    with EmbeddedServer(tmp_path) as server, connect(server.dsn(), name="test") as conn:
        assert conn.execute("select 1").fetchone() == (1,)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a server's processes with it")
def test_it_waits_for_what_is_left_of_a_server_that_was_killed(tmp_path: Path) -> None:
    killed = EmbeddedServer(tmp_path)
    killed.start()
    assert killed.process is not None
    (writing, *_) = psutil.Process(killed.process.pid).children()
    writing.suspend()
    killed.process.kill()
    killed.stop()
    with ThreadPoolExecutor(1) as thread:
        again = EmbeddedServer(tmp_path)
        started = thread.submit(again.start)
        try:
            while b"still in use" not in (tmp_path / "postgres.log").read_bytes():
                assert not started.done(), "it cannot have started"
                time.sleep(0.01)
        finally:
            writing.resume()
        started.result()
    with connect(again.dsn(), name="test") as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    again.stop()


def test_a_folder_that_was_never_prepared_says_so(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="has not been prepared"):
        EmbeddedServer(tmp_path).dsn()

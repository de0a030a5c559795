"""Compressed chunks and backups of one engine for the other."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from devices.model import Quality
from store import chunks, connect
from store.batch import ObservationRow
from store.embedded import EmbeddedServer
from store.errors import BackupError
from store.manifest import MANIFEST, OBSERVATION, open_backup, sha256
from store.restore import address_of, drill, restore
from store.writer import write_batch
from tests.conftest import START, Database, Registered, accepted
from tests.store.backups import DAY, MINUTE, RIGHTS, backed_up, databases, rows, sums


@pytest.fixture
def compressed_town(town_of_months: Registered) -> Registered:
    """Its chunks are compressed, and one of them was written into since."""
    if town_of_months.engine != "timescaledb":
        pytest.skip("plain PostgreSQL compresses no chunks")
    compress(town_of_months)
    stream = town_of_months.datastream("river-okusawa", "water_level")
    late = ObservationRow(stream, START + DAY + MINUTE, 0.1 + 0.2, Quality.GOOD, None)
    device = next(iter(town_of_months.directory.devices.values()))
    with connect(town_of_months.worker, name="test") as conn:
        write_batch(conn, town_of_months.municipality_id, [accepted(device, START, (late,), sent=START)])
    return town_of_months


def compress(town: Database) -> None:
    with connect(town.worker, name="test") as conn:
        while chunks.compress(conn, START + 200 * DAY) is not None:
            conn.commit()


def test_compressed_chunks_come_back(compressed_town: Registered, empty: Callable[[str], str], tmp_path: Path) -> None:
    before = sums(compressed_town.owner)
    made = backed_up(compressed_town, tmp_path)
    assert made.manifest.compressed
    target = empty("compressed")
    assert restore(made, target).route == "native"
    assert sums(target) == before
    still = "select bool_or(is_compressed) from timescaledb_information.chunks where hypertable_name = 'observation'"
    assert rows(target, still) == [(True,)]


def test_compressed_chunks_go_into_plain_postgresql(
    compressed_town: Registered, server: EmbeddedServer, tmp_path: Path
) -> None:
    before = sums(compressed_town.owner)
    assert before["observation"].rows > 200 and len(before["observation"].months) >= 3
    made = backed_up(compressed_town, tmp_path)
    assert open_backup(made.folder).manifest == made.manifest and made.whole
    tried = drill(made, server.dsn())
    assert (tried.route, tried.differences) == ("portable", ())
    target = address_of(server.dsn(), f"restored_{os.getpid()}_plain")
    try:
        restore(made, target)
        assert sums(target) == before
        assert rows(target, "select count(*) from observation where value = 0.1::float8 + 0.2::float8") == [(1,)]
    finally:
        with psycopg.connect(address_of(target, "postgres"), autocommit=True) as conn:
            conn.execute(f"drop database if exists restored_{os.getpid()}_plain with (force)")


def test_the_rows_beside_compressed_chunks_are_watched_like_the_dump(
    compressed_town: Registered, server: EmbeddedServer, tmp_path: Path
) -> None:
    made = backed_up(compressed_town, tmp_path)
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}
    path, whole = made.folder / OBSERVATION, (made.folder / OBSERVATION).read_bytes()
    for damaged, word in (
        (whole[: len(whole) // 2], "cut off"),
        (whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], "damaged"),
    ):
        path.write_bytes(damaged)
        for dsn in (compressed_town.owner, server.dsn()):
            with pytest.raises(BackupError, match=word) as error:
                drill(made, dsn)
            assert str(path) in str(error.value)
        assert made.whole is (word == "damaged")
    # Somebody who can write both files could make them agree; the count and the hash of the rows would not.
    path.write_bytes(gzip.compress(gzip.decompress(whole).split(b"\n", 1)[1]))
    manifest = json.loads((made.folder / MANIFEST).read_text("utf-8"))
    manifest["observation"] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    (made.folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    (difference,) = drill(open_backup(made.folder), server.dsn()).differences
    assert re.fullmatch(r"observation 2026-\d\d: \d+ rows, in the backup \d+", difference)


def test_compressed_chunks_of_a_backup_without_rows_beside_are_refused_in_words(
    compressed_town: Registered, server: EmbeddedServer, tmp_path: Path
) -> None:
    made = backed_up(compressed_town, tmp_path)
    manifest = json.loads((made.folder / MANIFEST).read_text("utf-8"))
    del manifest["observation"]
    (made.folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    (made.folder / OBSERVATION).unlink()
    before = databases(server.dsn())
    with pytest.raises(BackupError, match="older Mimamori") as error:
        drill(open_backup(made.folder), server.dsn())
    assert str(made.manifest.timescaledb) in str(error.value)
    assert databases(server.dsn()) == before
    assert drill(open_backup(made.folder), compressed_town.owner).differences == ()


def test_a_backup_of_one_engine_goes_into_the_other(
    town_of_months: Registered, templates: dict[str, tuple[str, str, str]], tmp_path: Path
) -> None:
    if len(templates) < 2:
        pytest.skip("needs both engines: MIMAMORI_TEST_TIMESCALE_DSN is not set")
    made = backed_up(town_of_months, tmp_path)
    other = next(addresses[0] for engine, addresses in templates.items() if engine != town_of_months.engine)
    name = f"restored_{os.getpid()}_other"
    target = address_of(other, name)
    try:
        done = restore(made, target)
        assert (done.route, done.differences) == ("portable", ())
        assert sums(target) == sums(town_of_months.owner), "the same content has the same hashes on both engines"
        hypertable = rows(target, "select count(*) from pg_class where relname = 'observation' and relkind = 'r'")
        assert hypertable == [(int(town_of_months.engine == "postgresql"),)]
        assert rows(
            target, "select nextval(pg_get_serial_sequence('uplink', 'uplink_id')) > max(uplink_id) from uplink"
        )[0][0]
        assert rows(target, RIGHTS)
    finally:
        with psycopg.connect(address_of(other, "postgres"), autocommit=True) as conn:
            conn.execute(f"drop database if exists {name} with (force)")

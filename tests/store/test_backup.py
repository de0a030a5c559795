"""A backup brings back what was there, says so by count and hash, and never looks whole when it is not."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from api.accounts import create_user
from api.database import enter_municipality
from devices.mapping import MappingEntry
from devices.model import ObservedProperty, Outcome, Quality
from store import chunks, connect
from store.backup import make_backup
from store.backup_runs import record
from store.batch import ObservationRow, UplinkRow
from store.content import MONTHLY, TRANSIENT, content, differences, tables
from store.embedded import EmbeddedServer
from store.errors import BackupError
from store.manifest import DUMP, MANIFEST, OBSERVATION, Backup, backup_folders, open_backup, sha256
from store.migrate import migrate
from store.models import CodecUpload, ModelEntry, add_model, upload
from store.portable import after_what_they_name
from store.restore import address_of, drill, restore
from store.writer import write_batch
from tests.conftest import START, Database, Registered, accepted

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SEED = 20260601


def live(town: Registered, *, seed: int = SEED, batches: int = 12) -> None:
    """A random history over three months: late, doubled and corrected values, quarantine, alerts, mails, accounts."""
    chance = random.Random(seed)
    streams = sorted(town.directory.datastreams)
    device = town.directory.device("24e124fffef00101") or next(iter(town.directory.devices.values()))
    with connect(town.worker, name="test") as conn:
        sent: list[UplinkRow] = []
        for batch in range(batches):
            rows = []
            for _ in range(20):
                at = START + timedelta(minutes=10 * chance.randrange(13_000))
                value = chance.choice([None, 0.0, -0.0, chance.uniform(-5, 900), 1e-300])
                quality = Quality.MISSING if value is None else chance.choice([Quality.GOOD, Quality.DOUBTFUL])
                observation = ObservationRow(chance.choice(streams), at, value, quality, None)
                rows.append(accepted(device, START + batch * MINUTE, (observation,), sent=at))
            rows.append(
                replace(
                    rows[0],
                    payload_hash=chance.randbytes(32),
                    outcome=Outcome.QUARANTINED,
                    reason="envelope",
                    detail="切れた JSON\n\\N\t'\"",
                    raw=bytes(range(256)),
                    observations=(),
                    device_id=None,
                    device_key=None,
                )
            )
            write_batch(conn, town.municipality_id, rows + chance.sample(sent, min(len(sent), 5)))
            sent += rows
            conn.commit()
        alert = conn.execute(
            """
            insert into alert (municipality_id, station_id, rule, datastream_id, level, raised_at, phenomenon_time)
            select municipality_id, station_id, 'level', datastream_id, 3, %s, %s from datastream limit 1
            returning alert_id
            """,
            (START, START),
        ).fetchone()
        assert alert is not None
        conn.execute(
            "insert into alert_history (municipality_id, alert_id, at, event, note) values (%s, %s, %s, 'raised', %s)",
            (town.municipality_id, alert[0], START, "水位\\. \\N"),
        )
        conn.execute("insert into feed_cursor values ('alerts', 3), ('analytics', 4) on conflict do nothing")
    with connect(town.owner, name="test") as conn:
        create_user(
            conn,
            municipality_code="999999",
            login="yamada",
            display_name="山田",
            role="disaster",
            password="correct horse battery",
            email="yamada@example.jp",
        )
        source = "function decodeUplink(input) { return {data: {'水位': input.bytes[0]}}; }\r\n".encode()
        codec_id = upload(conn, town.municipality_id, CodecUpload("a.js", source, "a test"), at=START, user_id=None)
        fields = (MappingEntry("水位", ObservedProperty.WATER_LEVEL, "cm"),)
        entry = ModelEntry("example/level", "水位計", "Level", codec_id=codec_id, fields=fields)
        add_model(conn, town.municipality_id, entry, at=START, user_id=None)
        conn.execute(
            "insert into user_session select '\\x01', municipality_id, user_id, 'csrf', now() from app_user limit 1"
        )


@pytest.fixture
def town_of_months(registered: Registered) -> Registered:
    live(registered)
    return registered


@pytest.fixture
def empty(registered: Registered) -> Iterator[Callable[[str], str]]:
    """Addresses of databases on the town's server that a restore may make, dropped afterwards."""
    made: list[str] = []

    def name(suffix: str) -> str:
        made.append(f"restored_{os.getpid()}_{len(made)}_{suffix}")
        return address_of(registered.owner, made[-1])

    yield name
    with psycopg.connect(address_of(registered.owner, "postgres"), autocommit=True) as conn:
        for prefix in made:
            for (found,) in conn.execute("select datname from pg_database where datname like %s", (f"{prefix}%",)):
                conn.execute(f'drop database "{found}" with (force)')


def sums(dsn: str) -> Any:
    with connect(dsn, name="test") as conn:
        found = content(conn)
        conn.rollback()
    return found


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with connect(dsn, name="test") as conn:
        return conn.execute(query).fetchall()


def backed_up(town: Database, folder: Path, **more: Any) -> Backup:
    return make_backup(town.owner, folder, product="1.2.3", **more)


def databases(dsn: str) -> set[str]:
    return {row[0] for row in rows(address_of(dsn, "postgres"), "select datname from pg_database")}


RIGHTS = """
    select 'grant ' || c.relname || coalesce('.' || a.attname, '') || ' ' || x.grantee::regrole || x.privilege_type
    from pg_class c left join lateral (
        select null::name as attname, c.relacl as acl union all
        select attname, attacl from pg_attribute where attrelid = c.oid and attacl is not null) a on true,
        aclexplode(a.acl) x
    where c.relnamespace = 'public'::regnamespace and x.grantee <> c.relowner and c.relkind in ('r', 'p', 'v', 'S')
    union all
    select 'policy ' || polrelid::regclass || ' ' || polname || ' ' || coalesce(pg_get_expr(polqual, polrelid), '')
    from pg_policy
    union all
    select 'guarded ' || relname from pg_class where relrowsecurity
    union all
    select 'function ' || p.oid::regprocedure || ' ' || p.prosecdef || ' ' || x.grantee || x.privilege_type
    from pg_proc p, aclexplode(p.proacl) x
    where p.pronamespace = 'public'::regnamespace and x.grantee <> p.proowner
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    order by 1
"""


def test_a_history_comes_back_row_by_row_with_its_rights(
    town_of_months: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    before = sums(town_of_months.owner)
    assert before["observation"].rows > 200 and len(before["observation"].months) >= 3
    made = backed_up(town_of_months, tmp_path)
    assert dict(made.manifest.tables) == before
    assert made.manifest.municipalities == ("999999",)
    assert (made.manifest.timescaledb is not None) == (town_of_months.engine == "timescaledb")
    target = empty("whole")
    done = restore(open_backup(made.folder), target)
    assert (done.route, done.differences, done.migrated, done.kept) == ("native", (), 0, None)
    assert differences(before, sums(target)) == []
    assert rows(target, RIGHTS) == rows(town_of_months.owner, RIGHTS)
    assert len(rows(target, RIGHTS)) > 100
    # every identity goes on after its largest number
    counted = "select max(uplink_id) from uplink"
    ((largest,),) = rows(target, counted)
    assert rows(target, "select nextval(pg_get_serial_sequence('uplink', 'uplink_id'))")[0][0] > largest


def test_the_api_sees_only_its_own_town_in_a_restored_database(
    town_of_months: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    target = empty("tenant")
    restore(backed_up(town_of_months, tmp_path), target)
    name = target.rsplit("/", 1)[1]
    with connect(address_of(town_of_months.api, name), name="test") as conn:
        assert conn.execute("select count(*) from tenant_observation").fetchone() == (0,)
        enter_municipality(conn, town_of_months.municipality_id)
        assert conn.execute("select count(*) from tenant_observation").fetchone() != (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select * from observation")


def test_a_message_from_before_the_backup_is_a_duplicate_after_it(
    registered: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    stream = registered.datastream("river-okusawa", "water_level")
    device = next(iter(registered.directory.devices.values()))
    message = accepted(device, START, (ObservationRow(stream, START, 1.5, Quality.GOOD, None),), sent=START)
    with connect(registered.worker, name="test") as conn:
        write_batch(conn, registered.municipality_id, [message])
    target = empty("again")
    restore(backed_up(registered, tmp_path), target)
    with connect(target, name="test") as conn:
        again = write_batch(conn, registered.municipality_id, [message])
        assert again.outcomes[Outcome.DUPLICATE] == 1 and again.feed_id is None
        assert conn.execute("select count(*) from observation").fetchone() == (1,)


def test_signins_and_the_ledger_of_backups_stay_behind(
    town_of_months: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    with connect(town_of_months.owner, name="test") as conn:
        record(conn, "backup", START, START)
    target = empty("transient")
    restore(backed_up(town_of_months, tmp_path), target)
    for table in TRANSIENT:
        assert rows(town_of_months.owner, f"select count(*) from {table}") != [(0,)]
        assert rows(target, f"select count(*) from {table}") == [(0,)]


def test_what_is_counted_by_month_has_the_column(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        assert set(MONTHLY) | set(TRANSIENT) <= set(tables(conn))
        for table, column in MONTHLY.items():
            conn.execute(f"select {column} from {table} limit 0")


@pytest.mark.parametrize(
    "change",
    [
        "update observation set value = value + 0.001 where (datastream_id, phenomenon_time) = "
        "(select datastream_id, phenomenon_time from observation where value > 1 limit 1)",
        "update uplink set raw = raw || '\\x00' where uplink_id = 7",
        "delete from alert_history",
        "update station set name = name || '。' where code = 'river-okusawa'",
    ],
)
def test_the_hash_hears_the_smallest_change_and_names_it(town_of_months: Registered, change: str) -> None:
    before = sums(town_of_months.owner)
    with connect(town_of_months.owner, name="test") as conn:
        conn.execute(change)
    found = differences(before, sums(town_of_months.owner))
    assert len(found) == 1
    assert found[0].split()[0].rstrip(":") in change


def test_the_hash_does_not_know_where_the_rows_lie(town_of_months: Registered) -> None:
    before = sums(town_of_months.owner)
    with connect(town_of_months.owner, name="test") as conn:
        conn.execute("create temporary table aside as select * from observation order by value desc")
        conn.execute("delete from observation")
        conn.execute("insert into observation select * from aside")
    assert sums(town_of_months.owner) == before


def test_a_session_in_another_zone_counts_the_same(town_of_months: Registered) -> None:
    with psycopg.connect(town_of_months.owner, options="-c timezone=Asia/Tokyo -c extra_float_digits=-3") as conn:
        assert content(conn) == sums(town_of_months.owner)


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


def test_every_table_can_be_filled_after_those_that_it_names(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        order = after_what_they_name(conn)
        assert sorted(order) == sorted(tables(conn))
        assert order.index("municipality") < order.index("station") < order.index("datastream")


def test_an_older_backup_is_brought_up_to_date_and_a_newer_one_refused(
    registered: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    old = empty("old")
    with psycopg.connect(address_of(old, "postgres"), autocommit=True) as conn:
        conn.execute(f"create database {old.rsplit('/', 1)[1]} template template0")
    first = ["0001.town", "0002.observations", "0003.alerts", "0004.access", "0005.findings", "0007.rain"]
    migrate(old, only=first)
    made = make_backup(old, tmp_path / "old", product="0.0.1")
    assert list(made.manifest.migrations) == first
    target = empty("new")
    done = restore(made, target)
    assert done.migrated > 0 and migrate(target) == 0
    newer = backed_up(registered, tmp_path / "newer")
    manifest = json.loads((newer.folder / MANIFEST).read_text("utf-8"))
    manifest["migrations"].append("9999.tomorrow")
    (newer.folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BackupError, match="newer Mimamori") as error:
        restore(open_backup(newer.folder), empty("never"))
    assert "9999.tomorrow" in str(error.value)


def test_a_database_with_a_town_is_refused_and_replaced_only_when_told(
    town_of_months: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    made = backed_up(town_of_months, tmp_path)
    target = empty("twice")
    restore(made, target)
    with connect(target, name="test") as conn:
        conn.execute("update station set name = '別の名'")
    with pytest.raises(BackupError, match="--replace"):
        restore(made, target)
    assert rows(target, "select distinct name from station") == [("別の名",)]
    with connect(target, name="ingest") as conn:
        conn.execute("select 1")
        with pytest.raises(BackupError, match="in use by mimamori ingest"):
            restore(made, target, replace=True)
    done = restore(made, target, replace=True)
    assert sums(target) == sums(town_of_months.owner)
    assert done.kept is not None
    assert rows(address_of(target, done.kept), "select distinct name from station") == [("別の名",)]


def test_a_migrated_database_without_a_town_counts_as_empty(
    town_of_months: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    target = empty("migrated")
    with psycopg.connect(address_of(target, "postgres"), autocommit=True) as conn:
        conn.execute(f"create database {target.rsplit('/', 1)[1]} template template0")
    migrate(target)
    assert restore(backed_up(town_of_months, tmp_path), target).kept is None
    assert sums(target) == sums(town_of_months.owner)


def test_tables_of_somebody_else_are_never_replaced(
    town_of_months: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    target = empty("foreign")
    with psycopg.connect(address_of(target, "postgres"), autocommit=True) as conn:
        conn.execute(f"create database {target.rsplit('/', 1)[1]} template template0")
    with connect(target, name="test") as conn:
        conn.execute("create table payroll (x integer)")
    made = backed_up(town_of_months, tmp_path)
    for anyway in (False, True):
        with pytest.raises(BackupError, match="not Mimamori's"):
            restore(made, target, replace=anyway)
    assert rows(target, "select count(*) from payroll") == [(0,)]


def _cut(folder: Path) -> None:
    with (folder / DUMP).open("r+b") as file:
        file.truncate((folder / DUMP).stat().st_size // 2)


def _flip(folder: Path) -> None:
    with (folder / DUMP).open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)[0]
        file.seek(5000)
        file.write(bytes([byte ^ 1]))


def _half_manifest(folder: Path) -> None:
    text = (folder / MANIFEST).read_text("utf-8")
    (folder / MANIFEST).write_text(text[: len(text) // 2], "utf-8")


def _newer(folder: Path) -> None:
    value = json.loads((folder / MANIFEST).read_text("utf-8")) | {"format": 2, "product": "9.9"}
    (folder / MANIFEST).write_text(json.dumps(value), "utf-8")


@pytest.mark.parametrize(
    ("damage", "file", "word"),
    [
        (_cut, DUMP, "cut off"),
        (_flip, DUMP, "damaged"),
        (lambda folder: (folder / DUMP).unlink(), DUMP, "cannot be read"),
        (lambda folder: (folder / MANIFEST).unlink(), MANIFEST, "missing"),
        (_half_manifest, MANIFEST, "damaged"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"), MANIFEST, "no text"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), MANIFEST, "no manifest"),
        (lambda folder: (folder / MANIFEST).write_text('{"format": 1}'), MANIFEST, "no manifest"),
        (_newer, MANIFEST, "newer"),
    ],
)
def test_a_damaged_backup_is_named_before_anything_is_touched(
    registered: Registered,
    empty: Callable[[str], str],
    tmp_path: Path,
    damage: Callable[[Path], object],
    file: str,
    word: str,
) -> None:
    made = backed_up(registered, tmp_path)
    damage(made.folder)
    before = databases(registered.owner)
    for attempt in (
        lambda: restore(open_backup(made.folder), empty("damaged")),
        lambda: drill(open_backup(made.folder), registered.owner),
    ):
        with pytest.raises(BackupError, match=word) as error:
            attempt()
        assert str(made.folder / file) in str(error.value)
    assert databases(registered.owner) == before


def test_what_came_back_differently_does_not_get_the_towns_name(
    town_of_months: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    made = backed_up(town_of_months, tmp_path)
    manifest = json.loads((made.folder / MANIFEST).read_text("utf-8"))
    manifest["tables"]["observation"]["months"]["2026-06"]["rows"] += 1
    manifest["tables"]["station"]["hash"] = "0" * 16
    (made.folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    before = databases(town_of_months.owner)
    with pytest.raises(BackupError, match="observation 2026-06") as error:
        restore(open_backup(tmp_path), empty("differs"))
    assert "station: " in str(error.value)
    found = drill(open_backup(tmp_path), town_of_months.owner)
    assert [line.split(":")[0] for line in found.differences] == ["observation 2026-06", "station"]
    assert databases(town_of_months.owner) == before


def test_a_drill_leaves_nothing_behind_and_clears_away_what_a_killed_one_left(
    town_of_months: Registered, tmp_path: Path
) -> None:
    made = backed_up(town_of_months, tmp_path)
    before = databases(town_of_months.owner)
    with psycopg.connect(address_of(town_of_months.owner, "postgres"), autocommit=True) as conn:
        conn.execute("create database mimamori_restoring_killed")
    assert drill(made, town_of_months.owner).differences == ()
    assert databases(town_of_months.owner) == before


def test_a_backup_is_of_one_moment_while_others_write(
    registered: Registered, empty: Callable[[str], str], tmp_path: Path
) -> None:
    stream = registered.datastream("river-okusawa", "water_level")
    device = next(iter(registered.directory.devices.values()))
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        with connect(registered.worker, name="test") as conn:
            n = 0
            while not stop.is_set():
                batch = []
                for _ in range(20):
                    n += 1
                    row = ObservationRow(stream, START + n * MINUTE, float(n), Quality.GOOD, None)
                    batch.append(accepted(device, START, (row,), sent=START))
                write_batch(conn, registered.municipality_id, batch)
                conn.commit()
                written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(60)
        made = backed_up(registered, tmp_path)
        (at_end,) = rows(registered.owner, "select count(*) from uplink")
    finally:
        stop.set()
        writer.join()
    counted = made.manifest.tables
    assert 0 < counted["uplink"].rows < at_end[0], "the writer was not held up"
    assert counted["uplink"].rows == counted["observation"].rows == 20 * counted["feed"].rows
    target = empty("moment")
    assert restore(made, target).differences == ()
    assert rows(target, "select count(*) from observation") == [(counted["observation"].rows,)]


def test_a_killed_backup_leaves_nothing_that_looks_whole(town_of_months: Registered, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    good = backed_up(town_of_months, folder)
    with connect(town_of_months.owner, name="test") as holder:
        # pg_dump waits for this table, and so the backup is surely in its middle.
        holder.execute("lock table town_clock in access exclusive mode")
        process = subprocess.Popen(
            [sys.executable, "-m", "mimamori", "backup", str(folder), "--keep", "1"],
            env={k: v for k, v in os.environ.items() if not k.startswith("MIMAMORI_")}
            | {"MIMAMORI_OWNER_DSN": town_of_months.owner},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not list(folder.glob(".partial-*")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert backup_folders(folder) == [good.folder]
        assert open_backup(folder).folder == good.folder
        holder.rollback()
    again = backed_up(town_of_months, folder)
    assert list(folder.glob(".partial-*")) == []
    assert backup_folders(folder) == [good.folder, again.folder]


def test_a_full_disk_is_said_in_words_and_the_last_backup_stays(town_of_months: Registered, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", small], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("only root may mount a small disk here")
    try:
        good = backed_up(town_of_months, small)
        (small / "filler").write_bytes(bytes(max(shutil.disk_usage(small).free - 8192, 0)))
        with pytest.raises(BackupError, match=r"disk is full|No space left") as error:
            backed_up(town_of_months, small, keep=1)
        assert str(small) in str(error.value)
        assert [each.name for each in small.iterdir() if each.name.startswith((".partial", "mimamori-"))] == [
            good.folder.name
        ]
        open_backup(small).verify()
    finally:
        subprocess.run(["umount", small], check=True)


def test_so_many_are_kept_and_only_of_the_same_town(registered: Registered, tmp_path: Path) -> None:
    foreign = backed_up(registered, tmp_path)
    value = json.loads((foreign.folder / MANIFEST).read_text("utf-8")) | {"municipalities": ["123456"]}
    (foreign.folder / MANIFEST).write_text(json.dumps(value), "utf-8")
    damaged = backed_up(registered, tmp_path)
    _cut(damaged.folder)
    first, second = backed_up(registered, tmp_path), backed_up(registered, tmp_path)
    third = backed_up(registered, tmp_path, keep=2)
    assert backup_folders(tmp_path) == [foreign.folder, damaged.folder, second.folder, third.folder]
    assert not first.folder.exists()
    only = backed_up(registered, tmp_path, keep=1)
    assert backup_folders(tmp_path) == [foreign.folder, damaged.folder, only.folder]
    open_backup(tmp_path).verify()


def test_a_backup_is_for_its_owner_only(registered: Registered, tmp_path: Path) -> None:
    made = backed_up(registered, tmp_path / "new folder")
    assert (tmp_path / "new folder").stat().st_mode & 0o077 == 0
    assert made.folder.stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}


def test_two_backups_into_a_folder_do_not_mix(registered: Registered, tmp_path: Path) -> None:
    with connect(registered.owner, name="test") as holder:
        holder.execute("lock table town_clock in access exclusive mode")
        failed: list[BaseException] = []

        def first() -> None:
            try:
                backed_up(registered, tmp_path)
            except BackupError as error:
                failed.append(error)

        running = threading.Thread(target=first)
        running.start()
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".partial-*")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(BackupError, match="another backup"):
            backed_up(registered, tmp_path)
        holder.rollback()
    running.join()
    assert not failed and len(backup_folders(tmp_path)) == 1


def test_a_folder_that_cannot_be_written_is_named(registered: Registered, tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.touch()
    with pytest.raises(BackupError, match="a file"):
        backed_up(registered, file)


def test_a_folder_without_a_backup_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no backup in this folder"):
        open_backup(tmp_path)
    with pytest.raises(BackupError, match="no such file"):
        open_backup(tmp_path / "nowhere")

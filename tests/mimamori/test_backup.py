"""The commands backup, restore and drill: their JSON, their exit codes, their words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from alerts.outbox import MAX_ATTEMPTS, Dispatcher
from devices.clock import real_now
from store import chunks, connect
from store.manifest import DUMP, MANIFEST, backup_folders
from store.restore import address_of
from tests.conftest import START, Registered
from tests.mimamori.test_cli import command


@pytest.fixture
def target(registered: Registered) -> Iterator[str]:
    """The address of a database that does not exist yet, on the town's server; dropped afterwards."""
    name = f"cli_restored_{os.getpid()}"
    yield address_of(registered.owner, name)
    with psycopg.connect(address_of(registered.owner, "postgres"), autocommit=True) as conn:
        for (found,) in conn.execute("select datname from pg_database where starts_with(datname, %s)", (name,)):
            conn.execute(f'drop database "{found}" with (force)')


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with connect(dsn, name="test") as conn:
        return conn.execute(query).fetchall()


def runs(dsn: str) -> list[tuple[Any, ...]]:
    return rows(dsn, "select kind, succeeded from backup_run order by backup_run_id")


def test_a_backup_goes_the_whole_way_and_says_so_in_json(registered: Registered, target: str, tmp_path: Path) -> None:
    made = command("backup", str(tmp_path), "--json", OWNER_DSN=registered.owner)
    assert made.returncode == 0, made.stderr
    manifest = json.loads(made.stdout)
    folder = Path(manifest["folder"])
    assert manifest == json.loads((folder / MANIFEST).read_text("utf-8")) | {"folder": str(folder)}
    assert manifest["format"] == 1 and manifest["municipalities"] == ["999999"] and manifest["simulated"] is True
    assert (
        manifest["tables"]["device"]["rows"] == len(registered.directory.devices)
        and len(manifest["tables"]["device"]["hash"]) == 16
    )
    assert manifest["bytes"] == (folder / DUMP).stat().st_size and len(manifest["sha256"]) == 64
    assert manifest["taken_at"][:10] == real_now().date().isoformat() and manifest["town_time"][:10] == "2026-06-01"

    tried = command("drill", str(tmp_path), "--json", OWNER_DSN=registered.owner)
    assert tried.returncode == 0, tried.stderr
    restored = json.loads(tried.stdout)["restored"]
    assert restored["differences"] == [] and restored["seconds"] > 0 and restored["rows"] == manifest["rows"]
    assert runs(registered.owner) == [("backup", True), ("drill", True)]

    done = command("restore", str(folder / DUMP), "--into", target, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["restored"]["database"] == target.rsplit("/", 1)[1]
    assert runs(target) == [("restore", True)], "no false 'backup made'"
    assert rows(target, "select count(*) from device") == [(len(registered.directory.devices),)]


def test_people_read_a_table_and_the_advice(registered: Registered, target: str, tmp_path: Path) -> None:
    made = command("backup", str(tmp_path), OWNER_DSN=registered.owner)
    assert "municipality" in made.stdout and "SHA-256" in made.stdout
    assert command("restore", str(tmp_path), OWNER_DSN=target).returncode == 0
    refused = command("restore", str(tmp_path), OWNER_DSN=target)
    assert refused.returncode == 1 and "--replace" in refused.stderr and "Traceback" not in refused.stderr
    replaced = command("restore", str(tmp_path), "--replace", OWNER_DSN=target)
    assert (
        replaced.returncode == 0 and "_before_" in replaced.stderr and "every count and hash agrees" in replaced.stdout
    )
    tried = command("restore", "--drill", str(tmp_path), OWNER_DSN=registered.owner)
    assert tried.returncode == 0 and "every count and hash agrees" in tried.stdout


def test_a_drill_needs_no_server_of_the_town(registered: Registered, tmp_path: Path) -> None:
    assert command("backup", str(tmp_path), OWNER_DSN=registered.owner).returncode == 0
    tried = command("drill", str(tmp_path), "--embedded", "--json")
    assert tried.returncode == 0, tried.stderr
    wanted = "native" if registered.engine == "postgresql" else "portable"
    assert json.loads(tried.stdout)["restored"] | {"seconds": 0} == {
        "route": wanted, "rows": json.loads(tried.stdout)["rows"], "differences": [], "migrated": 0, "kept": None,
        "seconds": 0,
    }  # fmt: skip


def test_a_drill_needs_no_timescaledb_for_compressed_chunks(registered: Registered, tmp_path: Path) -> None:
    if registered.engine != "timescaledb":
        pytest.skip("plain PostgreSQL compresses no chunks")
    ds = registered.datastream("river-okusawa", "water_level")
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            "insert into observation select %s, %s + n * interval '10 minutes', n / 7.0, 'good' "
            "from generate_series(1, 20000) n",
            (ds, START),
        )
        while chunks.compress(conn, START + timedelta(days=400)) is not None:
            conn.commit()
    made = command("backup", str(tmp_path), "--json", OWNER_DSN=registered.owner)
    assert made.returncode == 0, made.stderr
    manifest = json.loads(made.stdout)
    assert manifest["compressed"] and manifest["observation"]["bytes"] > 0
    tried = command("drill", str(tmp_path), "--embedded", "--json")
    assert tried.returncode == 0, tried.stderr
    restored = json.loads(tried.stdout)["restored"]
    assert restored | {"seconds": 0} == {
        "route": "portable", "rows": manifest["rows"], "differences": [], "migrated": 0, "kept": None, "seconds": 0,
    }  # fmt: skip
    ((size,),) = rows(registered.owner, "select bytes from backup_run where kind = 'backup'")
    assert size == manifest["bytes"] + manifest["observation"]["bytes"]


def test_a_drill_that_finds_a_difference_ends_with_1_and_is_remembered(registered: Registered, tmp_path: Path) -> None:
    n = len(registered.directory.devices)
    assert command("backup", str(tmp_path), OWNER_DSN=registered.owner).returncode == 0
    path = backup_folders(tmp_path)[0] / MANIFEST
    manifest = json.loads(path.read_text("utf-8"))
    manifest["tables"]["device"]["rows"] += 1
    path.write_text(json.dumps(manifest), "utf-8")
    tried = command("drill", str(tmp_path), "--json", OWNER_DSN=registered.owner)
    assert tried.returncode == 1
    assert json.loads(tried.stdout)["restored"]["differences"] == [f"device: {n} rows, in the backup {n + 1}"]
    assert runs(registered.owner) == [("backup", True), ("drill", False)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["drill", "{empty}"], 1, "no backup in this folder"),
        (["restore", "{empty}/nowhere"], 1, "nowhere"),
        (["backup", "/proc/backups"], 1, "/proc/backups"),
        (["backup", "{empty}", "--keep", "0"], 2, "--keep"),
        (["restore", "{empty}", "--drill", "--replace"], 2, "--drill"),
        (["backup"], 2, "DIR"),
        (["restore", "{made}", "--into", "nonsense"], 1, "postgresql://"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    registered: Registered, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    if any("{made}" in word for word in words):
        assert command("backup", str(tmp_path / "made"), OWNER_DSN=registered.owner).returncode == 0
    filled = [word.format(empty=tmp_path / "empty", made=tmp_path / "made") for word in words]
    done = command(*filled, OWNER_DSN=registered.owner)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_a_failed_backup_is_remembered_and_a_missing_database_named(registered: Registered, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = command("backup", str(tmp_path / "file"), OWNER_DSN=registered.owner)
    assert failed.returncode == 1 and str(tmp_path / "file") in failed.stderr
    assert runs(registered.owner) == [("backup", False)]
    nowhere = command("backup", str(tmp_path), OWNER_DSN=address_of(registered.owner, "nowhere"))
    assert nowhere.returncode == 1 and "nowhere" in nowhere.stderr and "Traceback" not in nowhere.stderr


def test_a_password_is_in_no_list_of_processes_and_in_no_output(registered: Registered, tmp_path: Path) -> None:
    password = psycopg.conninfo.conninfo_to_dict(registered.owner).get("password")
    if not password:
        pytest.skip("this server asks for no password")
    done = command("backup", str(tmp_path), "--json", OWNER_DSN=registered.owner)
    assert str(password) not in done.stdout + done.stderr


def test_a_restored_town_sends_nothing_old_and_knows_no_listener(
    registered: Registered, target: str, tmp_path: Path
) -> None:
    with connect(registered.owner, name="test") as conn:
        conn.execute(
            """
            with a as (
                insert into alert (municipality_id, station_id, rule, datastream_id, level, raised_at, phenomenon_time)
                select municipality_id, station_id, 'level', datastream_id, 3, %(at)s, %(at)s from datastream limit 1
                returning alert_id, municipality_id
            ), h as (
                insert into alert_history (municipality_id, alert_id, at, event)
                select municipality_id, alert_id, %(at)s, 'raised' from a returning alert_history_id, municipality_id
            )
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at,
                                sent_at)
            select municipality_id, alert_history_id, 'log', r, 's', 'b', %(due)s, sent
            from h, (values ('waiting', null), ('sent', %(due)s)) v (r, sent)
            """,
            {"at": START, "due": real_now() - timedelta(hours=1)},
        )
        conn.execute("insert into ingest_worker values ('0', %s, %s, %s)", (registered.municipality_id, START, START))
    assert command("backup", str(tmp_path), OWNER_DSN=registered.owner).returncode == 0
    done = command("restore", str(tmp_path), OWNER_DSN=target)
    assert done.returncode == 0 and "1 notifications" in done.stderr, done.stderr

    class Recorder:
        name = kind = "log"
        knows_repetitions = True
        sent: list[object] = []  # noqa: RUF012

        def send(self, notification: object) -> None:
            self.sent.append(notification)

    with connect(target, name="test") as conn:
        assert not Dispatcher([Recorder()]).send_next(conn)
        held = conn.execute("select recipient, attempts, last_error from outbox where sent_at is null").fetchall()
        assert [row[:2] for row in held] == [("waiting", MAX_ATTEMPTS)] and "not sent" in held[0][2]
        assert conn.execute("select listening_since from ingest_worker").fetchone() == (None,)
    assert Recorder.sent == []
    with connect(registered.owner, name="test") as conn:
        assert Dispatcher([Recorder()]).send_next(conn), "in the town itself it is still waiting"

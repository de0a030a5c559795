"""A restore brings back what was there, says so, and touches nothing that is not its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from api.database import enter_municipality
from devices.model import Outcome, Quality
from store import connect
from store.backup import make_backup
from store.backup_runs import record
from store.batch import ObservationRow
from store.content import TRANSIENT, differences, tables
from store.errors import BackupError
from store.manifest import DUMP, MANIFEST, open_backup
from store.migrate import migrate
from store.portable import after_what_they_name
from store.restore import address_of, drill, restore
from store.writer import write_batch
from tests.conftest import START, Registered, accepted
from tests.store.backups import RIGHTS, backed_up, cut, databases, rows, sums


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
        (cut, DUMP, "cut off"),
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

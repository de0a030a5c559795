"""A backup is of one moment, never looks whole when it is not, and says in words what kept it from being made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devices.model import Quality
from store import connect
from store.batch import ObservationRow
from store.errors import BackupError
from store.manifest import MANIFEST, backup_folders, open_backup
from store.restore import restore
from store.writer import write_batch
from tests.conftest import START, Registered, accepted
from tests.store.backups import MINUTE, backed_up, cut, rows


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
    cut(damaged.folder)
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

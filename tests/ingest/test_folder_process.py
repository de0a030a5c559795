"""The process that watches folders: killed, alone, cut off from its database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest

from ingest.errors import ConfigError
from ingest.folders import FoldersConfig, run
from store.folders import alone
from tests.brokers.running import wait_for
from tests.conftest import Registered
from tests.ingest.office import HEAD, ROWS, Office, local, query_owner
from tests.ingest.town import query


def environment(office: Office) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIMAMORI_")}
    return kept | {"MIMAMORI_WORKER_DSN": office.registered.worker, "MIMAMORI_FOLDERS": str(office.root)}


def test_killed_in_the_middle_of_a_file_nothing_is_lost_and_nothing_twice(office: Office) -> None:
    """kill -9, again and again, of the real process while it reads a file of many parts."""
    begin = local(2026, 2, 1)
    n = 14_000
    text = HEAD + "".join(
        f"{begin + timedelta(minutes=5 * i):%Y/%m/%d %H:%M},{20 + i % 97},{i % 89}.5\n" for i in range(n)
    )
    office.map()
    office.config = replace(office.config, max_bytes=10_000_000)
    office.drop("large.csv", text)
    command = [sys.executable, "-m", "mimamori", "run", "folders"]
    kills, reached = 0, 0
    for _ in range(30):
        with (office.root.parent / "folders.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment(office), stderr=log)
        try:
            wait_for(partial(beyond, office, reached, process), "the next part to be stored", seconds=180)
            assert process.poll() is None, (office.root.parent / "folders.log").read_text("utf-8")
            reached = progress(office)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if finished(office):
            break
        kills += 1
    assert kills >= 3, "it was too fast to be killed in the middle"
    office.look(4)
    assert office.there() == {"done/large.csv"}
    assert query(
        office.registered.owner, "select state, lines, stored + unchanged, revised, rejected from folder_file"
    ) == [("read", n, 2 * n, 0, 0)]
    assert query(
        office.registered.owner, "select count(*), count(distinct (datastream_id, phenomenon_time)) from observation"
    ) == [(2 * n, 2 * n)]
    assert query(office.registered.owner, "select count(*) from observation_revision") == [(0,)]
    office.closed()


def beyond(office: Office, reached: int, process: subprocess.Popen[bytes]) -> bool:
    return progress(office) > reached or finished(office) or process.poll() is not None


def progress(office: Office) -> int:
    row = query(office.registered.owner, "select coalesce(max(reached), 0) from folder_file")
    return int(row[0][0])


def finished(office: Office) -> bool:
    return query(office.registered.owner, "select count(*) from folder_file where state = 'read'") == [(1,)]


def test_killed_between_the_commit_and_the_move_the_file_is_moved_later(office: Office) -> None:
    office.map()
    path = office.drop("a.csv", HEAD + "".join(ROWS))
    office.look()
    (office.folder / "done" / "a.csv").rename(path)
    query_owner(office, "update folder_file set place = 'a.csv'")
    office.restart()
    office.look()
    assert office.files() == {"done/a.csv": ("read", 12, 0, 0, 0)}
    assert query(office.registered.owner, "select repeats from folder_file") == [(0,)]


def test_one_process_reads_and_the_next_takes_over(office: Office) -> None:
    office.map()
    office.drop("a.csv", HEAD + ROWS[0])
    stop = threading.Event()
    with closing(psycopg.connect(office.registered.worker)) as first:
        assert alone(first, office.registered.municipality_id)
        thread = threading.Thread(target=run, args=(office.config, stop), name="folders under test", daemon=True)
        thread.start()
        wait_for(
            lambda: (
                query(
                    office.registered.owner,
                    "select count(*) from pg_stat_activity where application_name = 'mimamori folders' "
                    "and datname = current_database()",
                )
                == [(1,)]
            ),
            "the second process to be there",
        )
        assert office.files() == {}
    try:
        wait_for(lambda: list(office.files()) == ["done/a.csv"], "the second process to take over")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    ((stopped,),) = query(office.registered.owner, "select stopped_at is not null from folder_watch")
    assert stopped


def test_a_connection_that_is_lost_is_made_again(office: Office) -> None:
    office.map()
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(office.config, stop), name="folders under test", daemon=True)
    thread.start()
    try:
        wait_for(
            lambda: query(office.registered.owner, "select count(*) from folder_watch") == [(1,)], "a sign of life"
        )
        query_owner(
            office,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mimamori folders' "
            "and datname = current_database()",
        )
        office.drop("a.csv", HEAD + ROWS[0])
        wait_for(lambda: list(office.files()) == ["done/a.csv"], "the file to be read over a new connection")
    finally:
        stop.set()
        thread.join(20)


def test_what_cannot_work_is_said(registered: Registered, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        FoldersConfig(registered.worker, "999999", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="000000"):
        run(FoldersConfig(registered.worker, "000000", tmp_path), threading.Event())

"""What can break under the HTTP way in - database, right, process - and costs nobody a message."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from api.access import Role
from devices.clock import ClockSetting, real_now
from devices.model import Town
from store import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import load_directory, sync_town
from store.town_clock import write_clock
from tests.api.serving import assert_problem, populate
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.ingest.posts import (
    Intake,
    levels,
    make_source,
    outcomes,
    taking,
    wait_until_open,
)
from tests.ingest.town import count, query


@contextmanager
def a_town_of_its_own(folder: Path, town: Town) -> Iterator[tuple[EmbeddedServer, Registered]]:
    """A database server that a test may stop."""
    with EmbeddedServer(folder / "postgresql", settings={"fsync": "off"}) as server:
        server.create_database("mimamori")
        owner = server.dsn("owner")
        migrate(owner)
        with connect(owner, name="test") as conn:
            municipality_id = sync_town(conn, town)
            write_clock(conn, ClockSetting(simulated=True, real_start=real_now(), town_start=START, speed=1.0))
            directory = load_directory(conn, municipality_id)
        addresses = (owner, server.dsn("worker"), server.dsn("api"))
        yield server, Registered("postgresql", *addresses, municipality_id, directory)


def test_while_the_database_is_away_senders_are_told_to_come_again_and_nothing_doubles(
    tmp_path: Path, town: Town
) -> None:
    with a_town_of_its_own(tmp_path, town) as (server, registered), taking(registered, patience=0.5) as intake:
        wait_until_open(intake)
        assert intake.post("chirpstack-v4", levels(0)).json()["outcome"] == "accepted"
        assert told_of(intake) == {"state": "ok", "detail": "open"}
        server.stop()
        for _ in range(3):
            answer = intake.post("chirpstack-v4", levels(1))
            assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        closed = {"state": "failing", "detail": "closed: the database is out of reach"}
        wait_for(lambda: told_of(intake) == closed, "operators to be told")
        server.start()
        wait_for(lambda: intake.post("chirpstack-v4", levels(1)).status_code == 202, "the database to be back")
        assert told_of(intake) == {"state": "ok", "detail": "open"}
        assert intake.post("chirpstack-v4", levels(1)).json()["outcome"] == "duplicate"
        assert outcomes(registered) == {"accepted": 2}
        assert count(registered, "observation") == 2


def told_of(intake: Intake) -> object:
    """What /healthz says of the intake."""
    return httpx.get(f"{intake.hall.url}/healthz", timeout=30, trust_env=False).json()["parts"]["intake"]


def test_a_short_break_of_the_database_is_bridged(intake: Intake) -> None:
    assert intake.post("chirpstack-v4", levels(0)).json()["outcome"] == "accepted"
    for n in range(1, 4):
        ended = query(
            intake.database.owner,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mimamori intake' "
            "and datname = current_database()",
        )
        assert ended == [(True,)]
        answer = intake.post("chirpstack-v4", levels(n))
        assert (answer.status_code, answer.json()["outcome"]) == (202, "accepted")
    assert count(intake.database, "observation") == 4


def test_a_message_that_comes_in_a_break_waits_for_its_end(registered: Registered) -> None:
    name = urlsplit(registered.owner).path.removeprefix("/")
    elsewhere = urlunsplit(urlsplit(registered.owner)._replace(path="/postgres"))
    with (
        taking(registered, patience=60.0) as intake,
        psycopg.connect(elsewhere, autocommit=True) as server,
    ):
        wait_until_open(intake)
        answers: list[httpx.Response] = []
        sender = threading.Thread(target=lambda: answers.append(intake.post("chirpstack-v4", levels(1))))
        server.execute(f"alter database {name} allow_connections false")
        try:
            server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            sender.start()
            sender.join(1.5)
            assert sender.is_alive(), answers
        finally:
            server.execute(f"alter database {name} allow_connections true")
        sender.join()
    assert (answers[0].status_code, answers[0].json()["outcome"]) == (202, "accepted")
    assert count(registered, "observation") == 1


def test_a_missing_right_costs_nobody_a_message(intake: Intake) -> None:
    populate(intake.database)
    others = count(intake.database, "observation")
    with connect(intake.database.owner, name="test") as conn:
        conn.execute("revoke insert on uplink from mimamori_worker")
    assert_problem(intake.post("chirpstack-v4", levels(0)), 503, "unavailable")
    assert told_of(intake) == {"state": "failing", "detail": "the database does not store messages, see the log"}
    with intake.hall.visitor(Role.DIGITAL) as client:
        assert "mimamori_intake_open 0.0" in client.get("/metrics").text
        assert "受け付けていますが保存できません" in client.get("/digital").text
    with connect(intake.database.owner, name="test") as conn:
        conn.execute("grant insert on uplink to mimamori_worker")
    wait_for(lambda: intake.post("chirpstack-v4", levels(0)).status_code == 202, "the right to be there again")
    assert count(intake.database, "observation") == others + 1
    with intake.hall.visitor(Role.DIGITAL) as client:
        wait_for(lambda: "mimamori_intake_held 0.0" in client.get("/metrics").text, "the message to be out of hand")
        assert "mimamori_intake_open 1.0" in client.get("/metrics").text
        assert "受付中" in client.get("/digital").text


_CHILD = """
import os, signal, sys, threading
from api.config import ApiConfig
from api.server import run
from ingest.intake import Intake, IntakeConfig
dsn, worker_dsn, port_file, trap = sys.argv[1:]
answer = Intake._answer
def answer_or_die(self, settled):
    if os.path.exists(trap):
        os.kill(os.getpid(), signal.SIGKILL)  # committed, and nobody has been told
    answer(self, settled)
Intake._answer = answer_or_die
def ready(port):
    with open(port_file + ".new", "w") as file:
        file.write(str(port))
    os.replace(port_file + ".new", port_file)
config = ApiConfig(dsn, secure_cookies=False, intake=IntakeConfig(worker_dsn))
run(config, "127.0.0.1", 0, threading.Event(), ready=ready)
"""


class Child:
    """The API in a process of its own that kills itself between commit and answer while its trap is set."""

    def __init__(self, registered: Registered, folder: Path) -> None:
        self._arguments = [registered.api, registered.worker, str(folder / "port"), str(folder / "trap")]
        self.port, self.trap = folder / "port", folder / "trap"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """kill -9; harmless when that was done."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def start(self) -> None:
        self.port.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, *self._arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self.port.exists, "the child to serve")

    def died(self) -> bool:
        assert self.process is not None
        return self.process.wait(30) == -9

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port.read_text()}"


def test_a_kill_between_commit_and_answer_makes_the_retry_a_duplicate(registered: Registered, tmp_path: Path) -> None:
    secret = make_source(registered.owner, "chirpstack", "chirpstack_v4")

    def post(child: Child, n: int) -> httpx.Response:
        message = levels(n)
        return httpx.post(
            f"{child.url}/intake/chirpstack",
            content=message.body,
            params=message.query,
            headers={"X-Mimamori-Secret": secret},
            timeout=30,
            trust_env=False,
        )

    with Child(registered, tmp_path) as child:
        for n in range(3):
            child.trap.unlink(missing_ok=True)
            wait_for(lambda: post(child, 100).status_code == 202, "the child to take messages")
            child.trap.touch()
            with pytest.raises(httpx.TransportError):
                post(child, n)
            assert child.died()
            assert count(registered, "observation") == n + 2, "committed, although nobody was told"
            child.trap.unlink()
            child.start()
            wait_for(lambda: post(child, 100).status_code == 202, "the child to be back")
            retried = post(child, n)
            assert (retried.status_code, retried.json()["outcome"]) == (202, "duplicate")
    assert outcomes(registered) == {"accepted": 4}
    assert count(registered, "observation") == 4 and count(registered, "observation_revision") == 0


def test_nothing_is_answered_before_the_commit(registered: Registered, tmp_path: Path) -> None:
    secret = make_source(registered.owner, "chirpstack", "chirpstack_v4")
    answers: list[int] = []
    with Child(registered, tmp_path) as child, connect(registered.owner, name="holds the table") as holder:
        headers = {"X-Mimamori-Secret": secret}

        def post() -> int:
            message = levels(1)
            address = f"{child.url}/intake/chirpstack"
            try:
                return httpx.post(
                    address, content=message.body, params=message.query, headers=headers, timeout=30, trust_env=False
                ).status_code
            except httpx.TransportError:
                return 0

        wait_for(
            lambda: httpx.post(f"{child.url}/intake/x", trust_env=False).status_code == 401, "the child to be open"
        )
        holder.execute("lock table uplink in share mode")
        sender = threading.Thread(target=lambda: answers.append(post()))
        sender.start()
        wait_for(
            lambda: bool(
                query(
                    registered.owner,
                    "select 1 from pg_stat_activity where application_name = 'mimamori intake' "
                    "and wait_event_type = 'Lock' and datname = current_database()",
                )
            ),
            "the child to stand before its commit",
        )
        assert answers == []
        child.kill()
        sender.join()
        holder.rollback()
        assert answers == [0] and count(registered, "uplink") == 0
        child.start()
        wait_for(lambda: post() == 202, "the message, sent again")
    assert outcomes(registered) == {"accepted": 1}

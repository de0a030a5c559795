"""The command line: what it prints, how it ends, and that errors are sentences."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest

import api.roles
import mimamori.cli
import mimamori.commands.intake
import mimamori.commands.source
import simulators.config
from devices.clock import ClockSetting
from devices.envelopes import MQTT_KINDS, POSTED_KINDS
from ingest.sources import DEFAULT_PER_MINUTE
from mimamori.commands.simulated import Scenario
from simulators.towns import path as town_path
from store import connect
from store.embedded import EmbeddedServer
from store.town_clock import write_clock
from tests.conftest import START, Database, Registered


def environment(**settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MIMAMORI_")}
    return clean | {f"MIMAMORI_{name}": value for name, value in settings.items()}


def command(
    *words: str, stdin: str | None = None, within: float = 60, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mimamori", *words],
        env=environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=within,
    )


def add_user(*more: str, stdin: str, owner: str) -> subprocess.CompletedProcess[str]:
    return command(
        "user", "add", "yamada", "--role", "disaster", "--name", "山田", "--municipality", "999999",
        "--password-file", "-", *more, stdin=stdin, OWNER_DSN=owner,
    )  # fmt: skip


def test_the_words_on_the_command_line_are_those_of_the_rooms() -> None:
    assert {scenario.value for scenario in Scenario} == {s.value for s in simulators.config.Scenario}
    assert {role.value for role in mimamori.cli.Role} == {role.value for role in api.roles.Role}
    assert tuple(kind.value for kind in mimamori.commands.intake.Kind) == POSTED_KINDS
    assert tuple(kind.value for kind in mimamori.commands.source.MqttKind) == MQTT_KINDS
    # the default stands in two places for the same reason
    per_minute = inspect.signature(mimamori.commands.intake.add).parameters["per_minute"].default
    assert per_minute == DEFAULT_PER_MINUTE


def test_migrate_makes_an_empty_database_whole_and_says_so(server: EmbeddedServer) -> None:
    server.create_database("cli_migrate")
    owner = server.dsn("owner", "cli_migrate")
    first, second = command("migrate", OWNER_DSN=owner), command("migrate", OWNER_DSN=owner)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "migrations applied" in first.stdout
    assert "up to date" in second.stdout


def test_migrate_gives_a_role_the_password_of_its_address(database: Database) -> None:
    if database.engine != "postgresql":
        pytest.skip("the Timescale server's roles are not ours to change")
    with psycopg.connect(database.owner) as conn:
        conn.execute("drop role if exists cli_role")
        conn.execute("create role cli_role login")
    address = psycopg.conninfo.make_conninfo(database.owner, user="cli_role", password="a new one")
    done = command("migrate", OWNER_DSN=database.owner, WORKER_DSN=address)
    assert done.returncode == 0, done.stderr
    assert "a new one" not in done.stdout + done.stderr
    with psycopg.connect(address) as conn:
        assert conn.execute("select current_user").fetchone() == ("cli_role",)


def test_a_town_is_registered_and_may_be_applied_again(database: Database) -> None:
    for _ in range(2):
        done = command("town", "apply", str(town_path()), OWNER_DSN=database.owner)
        assert done.returncode == 0, done.stderr
        assert "999999" in done.stdout and "14 devices" in done.stdout
    with connect(database.owner, name="test") as conn:
        assert conn.execute("select count(*) from municipality").fetchone() == (1,)


def test_a_wrong_town_file_is_one_sentence_a_mistake_with_its_line(database: Database, tmp_path: Path) -> None:
    wrong = tmp_path / "town.yaml"
    wrong.write_text(town_path().read_text("utf-8").replace("Asia/Tokyo", "Asia/Tokio"), "utf-8")
    done = command("town", "apply", str(wrong), OWNER_DSN=database.owner)
    assert done.returncode == 1
    assert "Tokio" in done.stderr and "Traceback" not in done.stderr
    line = 1 + wrong.read_text("utf-8").splitlines().index("  timezone: Asia/Tokio")
    assert f"town.yaml:{line}" in done.stderr


def test_an_account_is_made_and_its_password_is_nowhere_to_be_read(registered: Registered) -> None:
    done = add_user(stdin="correct horse battery\n", owner=registered.owner)
    assert done.returncode == 0, done.stderr
    with connect(registered.owner, name="test") as conn:
        row = conn.execute("select display_name, role, password_hash from app_user where login = 'yamada'").fetchone()
    assert row is not None and row[:2] == ("山田", "disaster")
    assert row[2].startswith("$argon2id$")
    assert "horse" not in done.stdout + done.stderr + row[2]


@pytest.mark.parametrize(("password", "word"), [("short", "12"), ("yamada-yamada-yamada", "login")])
def test_a_weak_password_is_refused(registered: Registered, password: str, word: str) -> None:
    done = add_user(stdin=password, owner=registered.owner)
    assert done.returncode == 1 and word in done.stderr and "Traceback" not in done.stderr


def test_a_login_that_is_taken_is_refused(registered: Registered) -> None:
    assert add_user(stdin="correct horse battery", owner=registered.owner).returncode == 0
    again = add_user(stdin="another horse battery", owner=registered.owner)
    assert again.returncode == 1 and "yamada" in again.stderr and "Traceback" not in again.stderr


def test_a_password_on_the_command_line_is_bad_usage(registered: Registered) -> None:
    assert add_user("--password", "correct horse battery", stdin="", owner=registered.owner).returncode == 2


def test_a_source_is_made_shown_once_listed_and_revoked(registered: Registered) -> None:
    owner = registered.owner
    made = command(
        "intake", "add", "sigfox", "--kind", "sigfox", "--municipality", "999999", "--per-minute", "60", OWNER_DSN=owner
    )
    assert made.returncode == 0, made.stderr
    secret = made.stdout.splitlines()[-1]
    assert re.fullmatch(r"[\w-]{43}", secret) and "/intake/sigfox" in made.stdout and secret not in made.stderr
    again = command("intake", "add", "sigfox", "--kind", "soracom", "--municipality", "999999", OWNER_DSN=owner)
    assert again.returncode == 1 and "already" in again.stderr and "Traceback" not in again.stderr
    with connect(owner, name="test") as conn:
        row = conn.execute("select secret_hash, per_minute from intake_source").fetchone()
    assert row == (hashlib.sha256(secret.encode()).digest(), 60)
    listed = command("intake", "list", OWNER_DSN=owner)
    assert "999999  sigfox  sigfox  60/min" in listed.stdout and "nothing yet" in listed.stdout
    assert secret not in listed.stdout and "revoked" not in listed.stdout
    assert command("intake", "revoke", "sigfox", OWNER_DSN=owner).returncode == 0
    assert "revoked" in command("intake", "list", OWNER_DSN=owner).stdout
    twice = command("intake", "revoke", "sigfox", OWNER_DSN=owner)
    assert twice.returncode == 1 and "no source sigfox in use" in twice.stderr and "Traceback" not in twice.stderr


@pytest.mark.parametrize("room", ["ingest", "analytics", "alerts", "api"])
def test_a_process_without_its_database_address_says_which_setting_is_missing(room: str) -> None:
    done = command("run", room)
    assert done.returncode == 1
    assert f"MIMAMORI_{'API' if room == 'api' else 'WORKER'}_DSN is not set" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["run", "everything"],
        ["demo", "--for", "30"],
        ["demo", "--scenario", "tsunami"],
        ["demo", "--scenario", "carrier"],
    ],
)
def test_bad_usage_ends_with_2(words: list[str]) -> None:
    assert command(*words).returncode == 2


def test_a_database_that_is_away_is_one_sentence() -> None:
    done = command("migrate", OWNER_DSN="postgresql://nobody:nothing@127.0.0.1:9/nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("mimamori: ") and "Traceback" not in done.stderr


def test_the_api_serves_and_ends_with_its_signal(registered: Registered, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "api.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "mimamori", "run", "api"],
            env=environment(API_DSN=registered.api, HTTP_PORT=str(port), SECURE_COOKIES="false"),
            stderr=output,
        ) as process,
    ):
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        for _ in range(50):  # an impatient operator; a handler that took a lock would hang here sooner or later
            process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, log.read_text()


def test_the_api_takes_messages_where_it_may_store_them(registered: Registered, tmp_path: Path) -> None:
    made = command(
        "intake", "add", "plc", "--kind", "mimamori_v1", "--municipality", "999999", OWNER_DSN=registered.owner
    )
    port = free_port()
    log = tmp_path / "api.log"
    settings = {"API_DSN": registered.api, "WORKER_DSN": registered.worker, "INTAKE_MAX_BYTES": "500"}
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "mimamori", "run", "api"],
            env=environment(**settings, HTTP_PORT=str(port), SECURE_COOKIES="false"),
            stderr=output,
        ) as process,
    ):

        def post(body: bytes) -> int:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/intake/plc", body)
            request.add_header("Authorization", f"Bearer {made.stdout.splitlines()[-1]}")
            try:
                with urllib.request.urlopen(request, timeout=20) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code
            except OSError:
                return 0

        deadline = time.monotonic() + 60
        while post(b"{}") != 202:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert post(b" " * 501) == 413
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, log.read_text()
    assert made.stdout.splitlines()[-1] not in log.read_text()
    with connect(registered.owner, name="test") as conn:
        assert conn.execute("select topic, outcome from uplink").fetchall() == [
            ("intake/plc/mimamori_v1", "quarantined")
        ]


def test_a_size_that_no_message_could_have_is_one_sentence(registered: Registered) -> None:
    done = command("run", "api", API_DSN=registered.api, WORKER_DSN=registered.worker, INTAKE_MAX_BYTES="0")
    assert done.returncode == 1 and "max_bytes is 0" in done.stderr and "Traceback" not in done.stderr


def test_simulated_devices_stay_out_of_a_town_on_the_real_clock(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=False, real_start=START, town_start=START, speed=1.0))
    done = command("simulate", WORKER_DSN=registered.worker)
    assert done.returncode == 1 and "real clock" in done.stderr and "Traceback" not in done.stderr


def test_alerts_of_a_simulated_town_refuse_a_mail_server(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        write_clock(conn, ClockSetting(simulated=True, real_start=START, town_start=START, speed=60.0))
    done = command(
        "run", "alerts", WORKER_DSN=registered.worker, MAIL_HOST="mail.example.jp", MAIL_FROM="town@example.jp"
    )
    assert done.returncode == 1 and "simulated clock" in done.stderr and "Traceback" not in done.stderr


def free_port() -> int:

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_the_same_seed_writes_the_same_past_byte_by_byte_and_another_seed_another_one(tmp_path: Path) -> None:
    def past(folder: str, seed: int) -> dict[str, bytes]:
        words = ("--until", "2026-06-20T08:00:00", "--days", "1", "--visit-days", "2", "--seed", str(seed))
        done = command("simulate-history", str(tmp_path / folder), *words)
        assert done.returncode == 0, done.stderr
        return {file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()}

    first, again, other = past("first", 7), past("again", 7), past("other", 8)
    assert first == again
    assert first.keys() == other.keys()
    assert first["river.csv"] != other["river.csv"]


def test_a_topic_of_the_towns_own_is_made_listed_and_ended(registered: Registered) -> None:
    def source(*said: str) -> subprocess.CompletedProcess[str]:
        return command("source", *said, "--municipality", "999999", OWNER_DSN=registered.owner)

    made = source("add", "aws", "--kind", "aws_iot_lorawan", "--topic", "town/aws/#")
    assert made.returncode == 0 and "town/aws/#" in made.stdout, made.stderr
    taken = source("add", "other", "--kind", "helium", "--topic", "town/+/1")
    assert taken.returncode != 0 and "overlaps with town/aws/# of the source aws" in taken.stderr
    own = source("add", "own", "--kind", "mapped", "--topic", "v3/#")
    assert own.returncode != 0 and "v3/" in own.stderr
    assert "mqtt  aws  aws_iot_lorawan  town/aws/#  nothing yet" in source("list").stdout
    assert source("end", "aws").returncode == 0
    assert "ended 2" in source("list").stdout
    again = source("end", "aws")
    assert again.returncode != 0 and "no MQTT source aws in use" in again.stderr

"""The HTTP way in, with a real server and a real database: the same promises as over MQTT."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest

from api.access import Role
from api.database import enter_municipality
from devices.clock import ClockSetting, real_now
from devices.model import Town
from ingest import Broker, ConfigError
from ingest.errors import SourceError
from ingest.intake import IntakeConfig
from ingest.rate import Rate
from ingest.sources import SourceEntry, add_source, list_sources, revoke_source
from store import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.registry import load_directory, sync_town
from store.town_clock import write_clock
from tests.api.serving import OTHER_TOWN, assert_problem, populate, serving
from tests.brokers.running import publisher, wait_for
from tests.conftest import START, Registered, run_async
from tests.ingest.posts import (
    KINDS,
    NAMES,
    Intake,
    Post,
    make_source,
    minutes_ago,
    post_of,
    rename_gauge,
    source_of,
    taking,
)
from tests.ingest.town import GAUGE, config_for, count, level, query, worker


@pytest.fixture
def intake(registered: Registered) -> Iterator[Intake]:
    with taking(registered) as running:
        wait_until_open(running)
        yield running


def wait_until_open(intake: Intake) -> None:
    """Until it has seen its sources: before that every answer is 503."""

    def is_open() -> bool:
        with httpx.Client(base_url=intake.hall.url, trust_env=False) as client:
            return client.post("/intake/nobody").status_code != 503

    wait_for(is_open, "the intake to open")


def outcomes(registered: Registered) -> dict[str, int]:
    return dict(query(registered.owner, "select outcome, count(*) from uplink group by 1"))  # type: ignore[arg-type]


# --- what becomes of a message --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_network_posts_is_stored_once_however_often_it_is_posted(registered: Registered, kind: str) -> None:
    if kind in NAMES:
        rename_gauge(registered.owner, NAMES[kind])
    with taking(registered) as intake:
        wait_until_open(intake)
        post = post_of(kind, 1.25, counter=7, time=minutes_ago(5))
        answers = [intake.post(source_of(kind), post) for _ in range(3)]
    assert [(a.status_code, a.json()["outcome"]) for a in answers] == [
        (202, "accepted"),
        (202, "duplicate"),
        (202, "duplicate"),
    ]
    ((value, quality, at),) = query(registered.owner, "select value, quality::text, phenomenon_time from observation")
    assert (round(value, 6), quality, at) == (1.25, "good", minutes_ago(5))
    ((topic, raw, network, repeats, counter),) = query(
        registered.owner, "select topic, raw, network, repeats, counter from uplink"
    )
    assert topic.startswith(f"intake/{source_of(kind)}/{kind}")
    assert (bytes(raw), network, repeats) == (post.body, kind, 2)
    assert counter == (None if kind == "soracom" else 7)
    assert count(registered, "feed") == 1


def test_equal_values_of_a_network_that_does_not_count_are_two_measurements(registered: Registered) -> None:
    rename_gauge(registered.owner, NAMES["soracom"])
    with taking(registered) as intake:
        wait_until_open(intake)
        posts = [post_of("soracom", 1.0, counter=0, time=minutes_ago(at)) for at in (20, 10, 20)]
        assert [intake.post("soracom", post).json()["outcome"] for post in posts] == [
            "accepted",
            "accepted",
            "duplicate",
        ]
    assert count(registered, "observation") == 2


def test_the_same_uplink_by_mqtt_and_by_webhook_is_stored_once(registered: Registered, broker: Broker) -> None:
    with taking(registered) as intake, worker(config_for(registered, broker)):
        wait_until_open(intake)
        for n, webhook_first in enumerate((True, False)):
            topic, raw = level(1.0 + n, counter=n, time=minutes_ago(10 - n))
            post = post_of("chirpstack_v4", 1.0 + n, counter=n, time=minutes_ago(10 - n))
            if webhook_first:
                assert intake.post("chirpstack-v4", post).json()["outcome"] == "accepted"
            with publisher(broker) as send:
                send(topic, raw)
            if webhook_first:
                wait_for(lambda: count(registered, "uplink", "repeats = 1") == 1, "the repetition by MQTT")
            else:
                wait_for(lambda: count(registered, "observation") == 2, "the second level by MQTT")
                assert intake.post("chirpstack-v4", post).json()["outcome"] == "duplicate"
    assert outcomes(registered) == {"accepted": 2}
    assert query(registered.owner, "select round(value::numeric, 3) from observation order by 1") == [(1,), (2,)]


UNREADABLE = {
    "empty": b"",
    "cut off": b'{"device": "1a2b3c", "ti',
    "deep nesting": b"[" * 60_000,
    "deep nesting inside": b'{"device": "1a2b3c", "data": "", "x": ' + b'{"x":' * 12_000,
    "NaN": b'{"device": "1a2b3c", "data": "00", "seqNumber": NaN}',
    "infinity": b'{"device": "1a2b3c", "data": "00", "seqNumber": Infinity}',
    "another encoding": '{"device": "美守"}'.encode("cp932"),
    "no text at all": bytes(range(256)),
    "a form": b"device=1a2b3c&data=00&seqNumber=1",
    "numbers for text": b'{"device": 123, "data": 5}',
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_kept_and_not_asked_for_again(intake: Intake, name: str) -> None:
    post = Post(UNREADABLE[name], headers={"Content-Type": "text/plain; charset=x"})
    first, second = intake.post("sigfox", post), intake.post("sigfox", post)
    assert first.status_code == second.status_code == 202, first.text
    body = first.json()
    assert (body["outcome"], body["reason"]) == ("quarantined", "envelope") and body["detail"]
    assert second.json() == {"outcome": "duplicate", "reason": None, "detail": None}
    ((raw, reason, repeats),) = query(intake.database.owner, "select raw, reason, repeats from uplink")
    assert (bytes(raw), reason, repeats) == (UNREADABLE[name], "envelope", 1)


def test_a_quarantined_message_says_why(intake: Intake) -> None:
    unknown = intake.post("sigfox", post_of("sigfox", 1.0, counter=1, time=minutes_ago(1))).json()
    assert (unknown["outcome"], unknown["reason"]) == ("quarantined", "unknown_device")
    assert "1a2b3c" in unknown["detail"]
    body = json.loads(post_of("chirpstack_v4", 1.0, counter=1, time=minutes_ago(1)).body) | {"data": "AA=="}
    wrong = intake.post("chirpstack-v4", Post(json.dumps(body).encode(), {"event": "up"})).json()
    assert (wrong["outcome"], wrong["reason"]) == ("quarantined", "codec")
    join = intake.post("chirpstack-v4", Post(json.dumps(body).encode(), {"event": "join"})).json()
    assert join == {"outcome": "event", "reason": None, "detail": None}


def test_a_poisonous_message_does_not_hold_up_those_beside_it(intake: Intake) -> None:
    with connect(intake.database.owner, name="test") as conn:
        conn.execute("alter table observation add constraint no_two check (value <> 2)")
    posts = [
        post_of("chirpstack_v4", 2.0 if n == 13 else 1 + n / 1000, counter=n, time=minutes_ago(30 - n / 10))
        for n in range(40)
    ]
    at_once(intake, "chirpstack-v4", posts)
    ((raw, reason, detail),) = query(
        intake.database.owner, "select raw, reason, detail from uplink where outcome = 'quarantined'"
    )
    assert (bytes(raw), reason) == (posts[13].body, "store") and "no_two" in detail
    assert count(intake.database, "observation") == 39


def at_once(intake: Intake, source: str, posts: list[Post]) -> None:
    """All posts at the same time, over many connections; each again until it is taken, as networks do."""

    async def send(client: httpx.AsyncClient, post: Post) -> None:
        while True:
            answer = await client.post(f"/intake/{source}", content=post.body, params=post.query)
            if answer.status_code == 202:
                return
            assert answer.status_code == 503, answer.text

    async def send_all() -> None:
        headers = {"Authorization": f"Bearer {intake.secrets[source]}"}
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(
            base_url=intake.hall.url, headers=headers, limits=limits, timeout=60, trust_env=False
        ) as client:
            await asyncio.gather(*(send(client, post) for post in posts))

    run_async(send_all())


def test_messages_that_come_together_share_a_transaction(intake: Intake) -> None:
    posts = [post_of("chirpstack_v4", 1 + n % 7 / 1000, counter=n, time=minutes_ago(60 - n / 10)) for n in range(300)]
    sending = threading.Thread(target=at_once, args=(intake, "chirpstack-v4", posts + posts[:100]))
    with connect(intake.database.owner, name="test") as conn:
        # the first transaction has to wait here: meanwhile the others' messages come together
        conn.execute("lock table uplink in access exclusive mode")
        sending.start()
        waiting = "select count(*) from pg_locks where not granted and relation = 'uplink'::regclass"
        while query(intake.database.owner, waiting) == [(0,)]:
            time.sleep(0.05)
    sending.join()
    ((messages, repeats),) = query(intake.database.owner, "select count(*), sum(repeats) from uplink")
    assert messages == 300 and repeats >= 100
    # a repetition moves its message to the transaction in which it was counted
    ((alone, transactions),) = query(
        intake.database.owner, "select count(*), count(distinct xmin::text) from uplink where repeats = 0"
    )
    assert alone >= 100 and transactions < alone
    assert count(intake.database, "observation") == 300


# --- who may bring one ----------------------------------------------------------------------------------------


def test_a_source_is_refused_without_a_word_about_what_was_wrong(intake: Intake) -> None:
    owner, post = intake.database.owner, post_of("sigfox", 1.0, counter=1, time=minutes_ago(1))
    intake.secrets["revoked"] = make_source(owner, "revoked", "sigfox")
    with connect(owner, name="test") as conn:
        revoke_source(conn, "revoked")
    intake.secrets["nonsense"] = "x" * 43
    answers = []
    for source, secret_of in (
        ("sigfox", "nonsense"),
        ("sigfox", "soracom"),
        ("revoked", "revoked"),
        ("nobody", "sigfox"),
    ):
        answer = intake.post(source, post, secret_of=secret_of)
        body = assert_problem(answer, 401, "source_refused")
        answers.append({key: value for key, value in body.items() if key != "instance"})
    with intake.client(None) as client:
        for headers in ({}, {"Authorization": "Basic !!!"}, {"Authorization": "Bearer"}, {"X-Mimamori-Secret": "ü"}):
            answer = client.post(
                "/intake/sigfox", content=post.body, headers=[(k, v.encode("utf-8")) for k, v in headers.items()]
            )
            body = assert_problem(answer, 401, "source_refused")
            answers.append({key: value for key, value in body.items() if key != "instance"})
        assert client.post("/intake/sigfox?secret=" + intake.secrets["sigfox"]).status_code == 401
    assert all(answer == answers[0] for answer in answers)
    assert count(intake.database, "uplink") == 0


def test_a_secret_comes_as_bearer_as_basic_password_or_in_a_header_of_its_own(intake: Intake) -> None:
    secret = intake.secrets["sigfox"]
    ways = [
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": "Basic " + base64.b64encode(f"anybody:{secret}".encode()).decode()},
        {"X-Mimamori-Secret": secret},
        {"Authorization": "Bearer of-some-proxy", "X-Mimamori-Secret": secret},
    ]
    with intake.client(None) as client:
        for n, headers in enumerate(ways):
            post = post_of("sigfox", 1.0, counter=n, time=minutes_ago(1))
            assert client.post("/intake/sigfox", content=post.body, headers=headers).status_code == 202
    assert count(intake.database, "uplink") == len(ways)


def test_a_source_made_or_revoked_while_the_api_runs_is_known_within_seconds(intake: Intake) -> None:
    owner = intake.database.owner
    intake.secrets["new"] = make_source(owner, "new", "sigfox")
    counters = iter(range(10_000))

    def status() -> int:
        return intake.post("new", post_of("sigfox", 1.0, counter=next(counters), time=minutes_ago(1))).status_code

    wait_for(lambda: status() == 202, "the new source to be let in")
    with connect(owner, name="test") as conn:
        revoke_source(conn, "new")
    wait_for(lambda: status() == 401, "the revoked source to be refused")
    old = intake.secrets["new"]
    intake.secrets["new"] = make_source(owner, "new", "sigfox")
    assert intake.secrets["new"] != old
    wait_for(lambda: status() == 202, "the name to be in use again")

    def entries() -> list[SourceEntry]:
        with connect(owner, name="test") as conn:
            return [entry for entry in list_sources(conn) if entry.name == "new"]

    def heard() -> bool:  # written down just after the answer
        return all(entry.last_message_at is not None and entry.last_message_at >= START for entry in entries())

    wait_for(heard, "both to have brought something")
    assert [entry.revoked_at is None for entry in entries()] == [True, False]


def test_a_device_of_another_town_is_unknown_to_a_source(registered: Registered) -> None:
    populate(registered)
    with taking(registered) as intake:
        intake.secrets["neighbour"] = make_source(
            registered.owner, "neighbour", "chirpstack_v4", municipality=OTHER_TOWN
        )
        wait_until_open(intake)
        post = post_of("chirpstack_v4", 1.0, counter=1, time=minutes_ago(1))
        wait_for(lambda: intake.post("neighbour", post).status_code == 202, "the neighbour's source to be known")
        assert intake.post("chirpstack-v4", post).json()["outcome"] == "accepted"
    rows = query(
        registered.owner,
        "select m.code, u.outcome, u.reason from uplink u join municipality m using (municipality_id) order by 1",
    )
    assert rows == [(OTHER_TOWN, "quarantined", "unknown_device"), ("999999", "accepted", None)]


def test_without_the_workers_address_there_is_no_way_in(registered: Registered) -> None:
    with serving(registered) as hall, hall.visitor(None) as client:
        assert_problem(client.post("/intake/sigfox", content=b"{}"), 404, "not_found")


def test_the_api_sees_of_its_own_towns_sources_everything_but_the_secret(registered: Registered) -> None:
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        add_source(conn, name="own", kind="sigfox", municipality="999999")
        add_source(conn, name="others", kind="sigfox", municipality=OTHER_TOWN)
    may = dict(
        query(
            registered.owner,
            """
            select attname::text, has_column_privilege('mimamori_api', attrelid, attnum, 'select')
            from pg_attribute where attrelid = 'intake_source'::regclass and attnum > 0
            """,
        )
    )
    assert len(may) > 3 and {column for column, seen in may.items() if not seen} == {"secret_hash"}
    with connect(registered.api, name="test") as conn:
        assert conn.execute("select name from intake_source").fetchall() == []
        enter_municipality(conn, registered.municipality_id)
        assert conn.execute("select name from intake_source").fetchall() == [("own",)]
        for statement in (
            "select secret_hash from intake_source",
            "select * from intake_source",
            "select 1 from intake_source where secret_hash is not null",
            "update intake_source set secret_hash = ''",
            "delete from intake_source",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(statement)
    with connect(registered.worker, name="test") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("update intake_source set secret_hash = ''")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Town Hall"}, "part of an address"),
        ({"name": "../x"}, "part of an address"),
        ({"name": ""}, "part of an address"),
        ({"kind": "mqtt"}, "use one of chirpstack_v4"),
        ({"municipality": "010006"}, "010006"),
        ({"per_minute": 0}, "1 to 1000000"),
    ],
)
def test_a_source_that_will_not_do_is_refused_in_words(
    registered: Registered, changes: dict[str, object], words: str
) -> None:
    wanted: dict[str, object] = {"name": "sigfox", "kind": "sigfox", "municipality": "999999"}
    with connect(registered.owner, name="test") as conn:
        with pytest.raises(SourceError, match=words):
            add_source(conn, **(wanted | changes))  # type: ignore[arg-type]
        add_source(conn, **wanted)  # type: ignore[arg-type]
        with pytest.raises(SourceError, match="already"):
            add_source(conn, **wanted)  # type: ignore[arg-type]
        with pytest.raises(SourceError, match="no source nobody"):
            revoke_source(conn, "nobody")


# --- limits ---------------------------------------------------------------------------------------------------


def test_a_body_above_the_limit_is_refused_and_one_at_the_limit_is_kept(intake: Intake) -> None:
    at_limit = Post(b"x" * 65_536)
    assert intake.post("sigfox", at_limit).json()["outcome"] == "quarantined"
    assert_problem(intake.post("sigfox", Post(b"x" * 65_537)), 413, "too_large")
    assert count(intake.database, "uplink") == 1


def test_an_endless_body_without_a_length_is_read_no_further_than_the_limit(intake: Intake) -> None:
    parts = urlsplit(intake.hall.url)
    sent = 0
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as conn:
        conn.sendall(
            f"POST /intake/sigfox HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {intake.secrets['sigfox']}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        answer = b""
        conn.setblocking(False)
        deadline = time.monotonic() + 30
        while not answer and time.monotonic() < deadline:
            try:
                conn.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent += 4096
            except BlockingIOError:
                pass
            except OSError:
                break
            try:
                answer = conn.recv(4096)
            except BlockingIOError:
                time.sleep(0.001)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent > 65_536
    assert count(intake.database, "uplink") == 0


def test_a_body_that_never_ends_is_given_up(intake: Intake) -> None:
    parts = urlsplit(intake.hall.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as conn:
        conn.sendall(
            f"POST /intake/sigfox HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {intake.secrets['sigfox']}\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        assert conn.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_source_brings_so_many_messages_a_minute_and_no_more(registered: Registered) -> None:
    with taking(registered) as intake:
        intake.secrets["slow"] = make_source(registered.owner, "slow", "sigfox", per_minute=3)
        wait_until_open(intake)
        posts = [post_of("sigfox", 1.0, counter=n, time=minutes_ago(1)) for n in range(6)]
        wait_for(lambda: intake.post("slow", posts[0]).status_code != 401, "the slow source to be known")
        answers = [intake.post("slow", post) for post in posts[1:]]
        refused = [answer for answer in answers if answer.status_code != 202]
        assert len(refused) == 3
        for answer in refused:
            assert_problem(answer, 429, "too_many_messages")
            assert 1 <= int(answer.headers["Retry-After"]) <= 20
        assert intake.post("sigfox", posts[5]).status_code == 202
    assert count(registered, "uplink") == 4  # 3 of the slow one's, 1 of the other's (each source is one of its own)


def test_whoever_goes_on_with_wrong_secrets_is_slowed_down_and_the_right_one_is_not(intake: Intake) -> None:
    post = post_of("sigfox", 1.0, counter=1, time=minutes_ago(1))
    with intake.client("soracom") as client:
        answers = [client.post("/intake/sigfox", content=post.body) for _ in range(40)]
    assert [answer.status_code for answer in answers[:30]] == [401] * 30
    assert answers[-1].status_code == 429
    assert_problem(answers[-1], 429, "too_many_attempts")
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert intake.post("sigfox", post).status_code == 202


def test_more_at_once_than_there_is_room_for_is_to_be_sent_again(registered: Registered) -> None:
    with taking(registered, hold_messages=2, max_bytes=1000, hold_bytes=1_000_000) as intake:
        wait_until_open(intake)
        with connect(registered.owner, name="holds the table") as holder, intake.client("sigfox") as client:
            holder.execute("lock table uplink in share mode")  # whoever writes waits
            waiting = [threading.Thread(target=post_until_taken, args=(intake, n)) for n in range(3)]
            for thread in waiting:
                thread.start()

            def refused() -> bool:
                answer = client.post("/intake/sigfox", content=numbered(3).body)
                return answer.status_code == 503 and answer.headers["Retry-After"] == "1"

            wait_for(refused, "the room to be full")
            holder.rollback()
            for thread in waiting:
                thread.join()
            post_until_taken(intake, 3)
    assert count(registered, "uplink") == 4


def post_until_taken(intake: Intake, n: int) -> None:
    """As a network does that is told to send again."""
    wait_for(lambda: intake.post("sigfox", numbered(n)).status_code == 202, f"message {n} to be taken")


def numbered(n: int) -> Post:
    return post_of("sigfox", 1.0, counter=n, time=minutes_ago(1))


def test_the_bucket_of_a_rate_refills_steadily_and_overflows() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert [rate.wait("a", 60) for _ in range(60)] == [0.0] * 60
    assert rate.wait("a", 60) == pytest.approx(1.0)
    assert rate.wait("b", 60) == 0.0
    now[0] = 0.5
    assert rate.wait("a", 60) == pytest.approx(0.5)
    now[0] = 1.01
    assert rate.wait("a", 60) == 0.0
    now[0] = 10_000.0
    assert sum(rate.wait("a", 60) == 0.0 for _ in range(100)) == 60
    rate.keep({"b"})
    assert rate.wait("a", 60) == 0.0


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_bytes is 0"):
        IntakeConfig("postgresql://nowhere", max_bytes=0)


# --- what can break -------------------------------------------------------------------------------------------


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


def levels(n: int) -> Post:
    return post_of("chirpstack_v4", 1 + n / 1000, counter=n, time=minutes_ago(30 - n))


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


def test_no_secret_is_ever_logged(
    intake: Intake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "wrong-" + "y" * 37
    intake.secrets["wrong"] = wrong
    post = post_of("sigfox", 1.0, counter=1, time=minutes_ago(1))
    assert intake.post("sigfox", post).status_code == 202
    assert intake.post("sigfox", post, secret_of="wrong").status_code == 401
    assert intake.post("sigfox", replace(post, headers={"X-Mimamori-Secret": wrong})).status_code == 202
    assert intake.post("sigfox", Post(b"x" * 70_000)).status_code == 413
    with connect(intake.database.owner, name="test") as conn:
        conn.execute("revoke insert on uplink from mimamori_worker")
    assert intake.post("sigfox", numbered(5)).status_code == 503
    spoken = capfd.readouterr()
    text = caplog.text + spoken.out + spoken.err
    assert "wrong or no secret for 'sigfox'" in text and "intake cannot store" in text
    assert wrong not in text and not any(secret in text for secret in intake.secrets.values())
    kept = query(intake.database.owner, "select topic || detail from uplink")
    assert not any(secret in str(kept) for secret in intake.secrets.values())


def test_the_device_is_the_one_the_worker_would_know(intake: Intake) -> None:
    """One directory: a device that is registered while the intake runs is known to it within seconds."""
    with connect(intake.database.owner, name="test") as conn:
        conn.execute("update device set key = 'a84041ffff31ffff' where key = %s", (GAUGE,))
    counters = iter(range(10_000))

    def outcome() -> str:
        post = post_of("chirpstack_v4", 1.0, counter=next(counters), time=minutes_ago(1))
        return str(intake.post("chirpstack-v4", post).json()["outcome"])

    wait_for(lambda: outcome() == "quarantined", "the device to be unknown")
    rename = "update device set key = %s where key = 'a84041ffff31ffff'"
    with connect(intake.database.owner, name="test") as conn:
        conn.execute(rename, (GAUGE,))
    wait_for(lambda: outcome() == "accepted", "the device to be known")

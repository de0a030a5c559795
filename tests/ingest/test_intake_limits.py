"""How much the HTTP way in takes, and what it says to whoever brings more."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from ingest import ConfigError
from ingest.intake import IntakeConfig
from ingest.rate import Rate
from store import connect
from tests.api.serving import assert_problem
from tests.brokers.running import wait_for
from tests.conftest import Registered
from tests.ingest.posts import (
    Intake,
    Post,
    make_source,
    minutes_ago,
    numbered,
    post_of,
    taking,
    wait_until_open,
)
from tests.ingest.town import count


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

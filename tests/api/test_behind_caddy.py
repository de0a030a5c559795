"""Behind Caddy as docker-compose.yml puts it: what it adds, what it leaves alone, and whom the API believes."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.caddy import CADDYFILE, Front, caddy_before, environment, executable
from tests.api.serving import Listener, TownHall, assert_problem, populate, serving
from tests.conftest import START, Registered

PROXY = "127.0.0.1"


@contextmanager
def both(registered: Registered, folder: Path) -> Iterator[tuple[TownHall, Front]]:
    populate(registered)
    with serving(registered, trusted_proxies=PROXY, secure_cookies=True) as hall:
        api = httpx.URL(hall.url).port
        assert api is not None
        with caddy_before(api, folder) as front:
            yield hall, front


@contextmanager
def client(front: Front) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=front.url, verify=front.trust, timeout=20, trust_env=False) as made:
        yield made


def guess(client: httpx.Client, login: str, **headers: str) -> int:
    answer = client.post("/api/v1/session", json={"login": login, "password": "wrong-wrong"}, headers=headers)
    return answer.status_code


@pytest.mark.parametrize("tls", ["internal", "it@town.example.jp"])
def test_caddy_accepts_the_file_in_both_ways(tmp_path: Path, tls: str) -> None:
    command = [executable(), "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    done = subprocess.run(command, env=environment(tmp_path, TLS=tls), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # warnings too: an option that a later Caddy drops would show here first
    assert '"level":"warn"' not in done.stderr, done.stderr


def test_pages_come_over_tls_and_http_2_with_each_header_once(registered: Registered, tmp_path: Path) -> None:
    with both(registered, tmp_path) as (hall, front), client(front) as visitor:
        page = visitor.get("/sign-in", headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
        assert page.status_code == 200 and page.headers["content-encoding"] == "gzip"
        direct = httpx.get(f"{hall.url}/sign-in", headers={"Accept": "text/html"}, trust_env=False)
        for name in ("content-security-policy", "x-frame-options", "referrer-policy", "cache-control"):
            assert (
                page.headers.get_list(name) == direct.headers.get_list(name) and len(page.headers.get_list(name)) == 1
            )
        assert "server" not in page.headers
        trust = front.trust
        trust.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(("localhost", front.https)) as plain,
            trust.wrap_socket(plain, server_hostname="localhost") as secret,
        ):
            assert secret.selected_alpn_protocol() == "h2"
        plainly = httpx.get(f"http://localhost:{front.http}/water?x=1", trust_env=False)
        # without a port: outside the container it is 443
        assert (plainly.status_code, plainly.headers["location"]) == (308, "https://localhost/water?x=1")


def test_a_sign_in_works_and_its_cookie_is_for_tls_only(registered: Registered, tmp_path: Path) -> None:
    with both(registered, tmp_path) as (_, front), client(front) as visitor:
        given = {"login": "own-water", "password": "korekara-mimamoru"}
        cookie = visitor.post("/api/v1/session", json=given, headers={"Origin": front.url})
        assert cookie.status_code == 201 and "Secure" in cookie.headers["set-cookie"]
        assert visitor.get("/api/v1/session").json()["role"] == "water"


def test_the_live_stream_is_not_held_back(registered: Registered, tmp_path: Path) -> None:
    with both(registered, tmp_path) as (hall, front), client(front) as visitor:
        token, _ = hall.session("own-disaster")
        headers = {"Cookie": f"mimamori_session={token}", "Accept-Encoding": "gzip"}
        with visitor.stream("GET", "/api/v1/stream", headers=headers) as response:
            assert "content-encoding" not in response.headers
            listener = Listener(response)
            listener.settled()
            feed = hall.observe("river-mimamoribashi/water_level", (START, 3.1))
            assert listener.until("observations").id == feed


def test_guessing_is_counted_by_the_address_that_caddy_saw_whatever_the_guesser_claims(
    registered: Registered, tmp_path: Path
) -> None:
    with both(registered, tmp_path) as (_, front), client(front) as guesser:
        claims = [{"X-Forwarded-For": f"198.51.100.{n}"} for n in range(6)]
        assert 429 in [guess(guesser, "own-water", **claim) for claim in claims]


def test_only_the_proxys_word_about_addresses_is_believed(registered: Registered) -> None:
    populate(registered)
    claims = [{"X-Forwarded-For": f"198.51.100.{n}"} for n in range(6)]
    for proxy, believed in ((PROXY, True), ("192.0.2.7", False)):
        with (
            serving(registered, trusted_proxies=proxy) as hall,
            httpx.Client(base_url=hall.url, timeout=20, trust_env=False) as guesser,
        ):
            answers = [guess(guesser, "own-tourism", **claim) for claim in claims]
            assert (429 not in answers) is believed, (proxy, answers)


def test_too_much_is_refused_in_the_apis_words(registered: Registered, tmp_path: Path) -> None:
    with both(registered, tmp_path) as (_, front), client(front) as visitor:
        for size in (1_100_000, 5_000_000):
            answer = visitor.post("/api/v1/session", content=b"x" * size, headers={"Accept": "application/json"})
            assert_problem(answer, 413, "too_large")


def test_while_the_api_is_away_a_sentence_in_both_languages_says_so(registered: Registered, tmp_path: Path) -> None:
    with both(registered, tmp_path) as (hall, front), client(front) as visitor:
        hall.stop()
        answer = visitor.get("/disaster")
        assert answer.status_code == 502 and answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert "もう一度読み込んで" in answer.text and "load the page again" in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_a_bare_address_is_answered_although_browsers_name_no_server_for_one(tmp_path: Path) -> None:
    text = CADDYFILE.read_text("utf-8")
    assert "default_sni {$SITE}" in text
    adapted = subprocess.run(
        [executable(), "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        env=environment(tmp_path, SITE="192.168.10.5"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert '"default_sni":"192.168.10.5"' in adapted.stdout and '"subjects":["192.168.10.5"]' in adapted.stdout

"""The HTTP way in, with a real server and a real database: the same promises as over MQTT."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import httpx
import pytest

from ingest import Broker
from store import connect
from tests.brokers.running import publisher, wait_for
from tests.conftest import Registered, run_async
from tests.ingest.posts import (
    KINDS,
    NAMES,
    Intake,
    Post,
    minutes_ago,
    outcomes,
    post_of,
    rename_gauge,
    source_of,
    taking,
    wait_until_open,
)
from tests.ingest.town import GAUGE, config_for, count, level, query, worker


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

"""What ingest relies on in a broker, asked of each kind on the real thing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from ingest.broker import Broker, Persistence, end_session, probe
from ingest.embedded import MAX_UNACKED, EmbeddedBroker
from ingest.errors import BrokerError
from tests.brokers.running import Ear, publish_all, publisher, wait_for, wait_for_a_save


def numbered(n: int, start: int = 0) -> list[bytes]:
    return [str(i).encode() for i in range(start, start + n)]


def test_messages_arrive_in_the_order_of_their_publication(broker: Broker) -> None:
    ear = Ear(broker, "ear", "t/#")
    publish_all(broker, "t/1", numbered(1000))
    wait_for(lambda: len(ear.heard) == 1000, "1000 messages")
    assert ear.payloads == numbered(1000)
    ear.leave()


def test_what_was_not_acknowledged_before_the_connection_was_cut_comes_again(broker: Broker) -> None:
    first = Ear(broker, "ear", "t/#")
    publish_all(broker, "t/1", numbered(10))
    wait_for(lambda: first.payloads[:10] == numbered(10), "10 messages")
    first.acknowledge(0, 4)
    publish_all(broker, "t/1", numbered(1, start=10))
    wait_for(lambda: b"10" in first.payloads, "the eleventh message")
    first.cut()
    publish_all(broker, "t/1", numbered(2, start=11))

    second = Ear(broker, "ear", "t/#")
    assert second.resumed
    left = set(numbered(9, start=4))
    wait_for(lambda: left <= set(second.payloads), "what was left, and what came meanwhile")
    # A broker that redelivers by time sends again what this second ear has kept too long, but nothing else.
    assert set(second.payloads) == left
    again = {message.payload for message in second.heard if message.dup}
    # A broker may have handed the later two to the cut connection before it noticed: then they come again as well.
    assert set(numbered(7, start=4)) <= again
    if broker.redelivery_seconds == 0:
        assert second.payloads == numbered(9, start=4)
    second.leave()


def test_messages_published_while_the_client_is_away_wait_for_it(broker: Broker) -> None:
    Ear(broker, "ear", "t/#").leave()
    publish_all(broker, "t/1", numbered(3 * MAX_UNACKED))
    ear = Ear(broker, "ear", "t/#")
    assert ear.resumed
    settled = 0
    while settled < 3 * MAX_UNACKED:
        wait_for(lambda: len(ear.heard) > settled, f"message {settled + 1}")  # noqa: B023
        heard = len(ear.heard)
        ear.acknowledge(settled, heard)
        settled = heard
    assert ear.payloads == numbered(3 * MAX_UNACKED)
    ear.leave()


_LISTENER = """
import sys, time
from ingest.broker import Broker
host, port, username, password, expected = sys.argv[1:]
client = Broker(host, int(port), username, password).client("ear", clean=False)
heard = 0
def on_message(client, userdata, message):
    global heard
    heard += 1
    if heard <= 3:
        client.ack(message.mid, 1)
    if heard == int(expected):
        print("heard", flush=True)
client.on_message = on_message
client.on_connect = lambda client, *_: client.subscribe("t/#", qos=1)
client.on_subscribe = lambda *_: print("listening", flush=True)
client.connect(host, int(port))
client.loop_forever()
"""


def test_a_killed_client_process_leaves_its_unacknowledged_messages_to_the_next_of_its_name(broker: Broker) -> None:
    arguments = [broker.host, str(broker.port), broker.username or "", broker.password or "", "50"]
    with subprocess.Popen([sys.executable, "-c", _LISTENER, *arguments], stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        publish_all(broker, "t/1", numbered(50))
        assert listener.stdout.readline() == "heard\n"
        os.kill(listener.pid, signal.SIGKILL)

    ear = Ear(broker, "ear", "t/#")
    # The three acknowledgements may have died in the process's buffers: then their messages come too.
    wait_for(lambda: set(numbered(47, start=3)) <= set(ear.payloads), "the 47 that nobody acknowledged")
    assert set(ear.payloads) <= set(numbered(50))
    ear.leave()


def test_a_slow_consumer_loses_nothing_and_one_that_acknowledges_nothing_gets_a_window(
    embedded: EmbeddedBroker,
) -> None:
    broker = embedded.broker
    ear = Ear(broker, "ear", "t/#")
    total = 2 * broker.max_unacked + 500
    with publisher(broker) as publish:
        for message in numbered(total):
            publish("t/1", message)
    # Different ones: what a slow machine leaves unanswered for too long, NATS sends again.
    wait_for(lambda: len(set(ear.payloads)) >= broker.max_unacked, "a full window")
    assert len(set(ear.payloads)) == broker.max_unacked
    settled = 0
    while len(set(ear.payloads[:settled])) < total:
        wait_for(lambda: len(ear.heard) > settled, f"message {settled + 1}")  # noqa: B023
        # mosquitto 2.0.11 hands out a whole window behind the message that was acknowledged, not behind the oldest.
        if embedded.kind != "mosquitto":
            out = set(ear.payloads) - set(ear.payloads[:settled])
            assert len(out) <= broker.max_unacked, f"after {settled} of {len(ear.heard)}, {ear.connections} connections"
        step = min(settled + broker.max_unacked // 4, len(ear.heard))
        ear.acknowledge(settled, step)
        settled = step
    first_copies = list(dict.fromkeys(ear.payloads))
    assert first_copies == numbered(total)
    ear.leave()


def test_a_message_of_a_megabyte_passes(broker: Broker) -> None:
    ear = Ear(broker, "ear", "t/#")
    publish_all(broker, "t/1", [b"x" * 1_000_000])
    wait_for(lambda: len(ear.heard) == 1, "the large message")
    assert ear.payloads == [b"x" * 1_000_000]
    ear.leave()


def test_nobody_gets_in_without_the_password(broker: Broker) -> None:
    probe(broker)
    for stranger in (replace(broker, username=None, password=None), replace(broker, password="guessed")):
        with pytest.raises(BrokerError, match="refused the sign-in"):
            probe(stranger)
        # Not as if the session were gone now.
        with pytest.raises(BrokerError, match="refused the sign-in"):
            end_session(stranger, "ear")


def test_shared_subscriptions_are_there_where_the_description_says_so(broker: Broker) -> None:
    if not broker.shared:
        pytest.skip("this broker has no shared subscriptions, and its description says so")
    ears = [Ear(broker, f"ear-{i}", "$share/group/t/#") for i in range(2)]
    publish_all(broker, "t/1", numbered(100))
    wait_for(lambda: sum(len(ear.heard) for ear in ears) == 100, "100 messages in all")
    assert all(ear.heard for ear in ears)
    assert sorted((p for ear in ears for p in ear.payloads), key=int) == numbered(100)
    for ear in ears:
        ear.leave()


def test_a_broker_that_is_stopped_in_good_order_keeps_every_message(embedded: EmbeddedBroker) -> None:
    Ear(embedded.broker, "ear", "t/#").leave()
    publish_all(embedded.broker, "t/1", numbered(300))
    embedded.stop()
    embedded.start()
    ear = Ear(embedded.broker, "ear", "t/#")
    assert ear.resumed
    wait_for(lambda: len(ear.heard) == 300, "300 messages")
    # Every one, and once. Not in their order: what was on its way when the broker stopped may come behind the others.
    assert sorted(ear.payloads) == sorted(numbered(300))
    ear.leave()


def test_a_killed_broker_keeps_what_its_description_says(embedded: EmbeddedBroker) -> None:
    Ear(embedded.broker, "ear", "t/#").leave()
    publish_all(embedded.broker, "t/1", numbered(500))
    if embedded.broker.persistence is Persistence.PERIODIC:
        wait_for_a_save(embedded)
    publish_all(embedded.broker, "t/1", numbered(500, start=500))
    embedded.kill()
    embedded.start()
    kept = 1000 if embedded.broker.persistence is Persistence.EVERY_MESSAGE else 500
    ear = Ear(embedded.broker, "ear", "t/#")
    assert ear.resumed
    wait_for(lambda: len(ear.heard) >= kept, f"{kept} messages")
    # Without a gap, and once; in which order is as above.
    assert sorted(ear.payloads, key=int) == numbered(len(ear.heard))
    ear.leave()

"""Topics that a network leaves to its user: running workers listen to what an operator has said, and open it so."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from devices.codecs import radar_level
from devices.envelopes import open_uplink
from devices.envelopes.message_map import MessageMap, TimeForm
from ingest import Broker
from ingest.message import Message
from store import connect
from store.connection import Connection
from store.registry import load_directory
from store.sources import add_mqtt_source, end_mqtt_source, find_source, list_sources, save_map
from tests.brokers.running import publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.arrivals import arrive
from tests.ingest.town import GAUGE, SENSOR_HEIGHT, config_for, count, level, query, worker

AWS = "town/aws/gauges"
MINUTE = timedelta(minutes=1)


def payload(metres: float) -> bytes:
    return radar_level.encode(distance=round((SENSOR_HEIGHT - metres) * 1000))


def aws(metres: float, *, time: datetime) -> bytes:
    """A level of the gauge, as a rule of AWS IoT Core publishes it."""
    lora = {"DevEui": GAUGE.upper(), "FPort": 1, "Timestamp": time.isoformat(), "Gateways": []}
    data = base64.b64encode(payload(metres)).decode()
    return json.dumps({"PayloadData": data, "WirelessMetadata": {"LoRaWAN": lora}}).encode()


def unknown(metres: float, *, counter: int) -> bytes:
    """The same as a network says it that nobody knows."""
    return json.dumps({"id": GAUGE, "n": counter, "bin": payload(metres).hex()}).encode()


@contextmanager
def owner(registered: Registered) -> Iterator[Connection]:
    with connect(registered.owner, name="test") as conn:
        yield conn


def source(registered: Registered, name: str, topic_filter: str, kind: str, now: datetime = START) -> None:
    with owner(registered) as conn:
        add_mqtt_source(
            conn, registered.municipality_id, name=name, topic_filter=topic_filter, kind=kind, now=now, user_id=None
        )


def draw(registered: Registered, drawn: MessageMap, *, now: datetime = START, changed: bool = False) -> None:
    with owner(registered) as conn:
        (entry,) = (each for each in list_sources(conn, registered.municipality_id) if each.ended is None)
        save_map(conn, registered.municipality_id, entry, drawn, changed=changed, now=now, user_id=None)


def send(broker: Broker, *messages: tuple[str, bytes]) -> None:
    with publisher(broker) as publish:
        for topic, raw in messages:
            publish(topic, raw)


def values(registered: Registered) -> list[float]:
    return [row[0] for row in query(registered.owner, "select value from observation order by phenomenon_time")]


def test_a_running_worker_takes_up_a_new_source_and_leaves_one_that_has_ended(
    registered: Registered, broker: Broker
) -> None:
    with worker(config_for(registered, broker)):
        source(registered, "aws", AWS, "aws_iot_lorawan")
        sent = iter(range(1, 1000))

        def heard() -> bool:
            # What comes before the subscription stands, nobody keeps: so again until one is heard.
            send(broker, (AWS, aws(1.0, time=START - next(sent) * MINUTE)))
            return count(registered, "uplink", "network = 'aws_iot_lorawan'") > 0

        wait_for(heard, "a message on the new topic")
        send(broker, level(1.5, counter=1, time=START))
        wait_for(lambda: 1.5 in values(registered), "a message on the topics of every town")
        wait_for(
            lambda: query(registered.owner, "select 1 from mqtt_source where last_message_at is not null") == [(1,)],
            "the source to be said to bring something",
        )
        with owner(registered) as conn:
            end_mqtt_source(conn, registered.municipality_id, "aws", now=START)

        def silent() -> bool:
            before = count(registered, "uplink")
            send(broker, (AWS, aws(1.0, time=START - next(sent) * MINUTE)))
            marker = next(sent)
            send(broker, level(1.5, counter=1 + marker, time=START - marker * MINUTE))
            wait_for(lambda: count(registered, "uplink", f"counter = {1 + marker}") == 1, "the marker")
            return count(registered, "uplink") == before + 1

        wait_for(silent, "the topic to be left")
    assert query(registered.owner, "select distinct outcome from uplink") == [("accepted",)]


def test_a_worker_that_comes_back_listens_to_what_was_said_meanwhile(registered: Registered, broker: Broker) -> None:
    source(registered, "old", "town/old/#", "aws_iot_lorawan", START - timedelta(days=1))
    config = config_for(registered, broker)
    with worker(config):
        pass
    with owner(registered) as conn:
        end_mqtt_source(conn, registered.municipality_id, "old", now=START)
    source(registered, "new", AWS, "aws_iot_lorawan")
    # The broker still keeps for the session what comes on the old topic: it is read as it was when it was subscribed.
    send(broker, ("town/old/1", aws(1.0, time=START - 2 * MINUTE)))
    with worker(config):
        send(broker, (AWS, aws(1.25, time=START - MINUTE)), ("town/old/1", aws(2.0, time=START)))
        wait_for(lambda: 1.25 in values(registered), "the new topic")
    assert 2.0 not in values(registered)


def test_a_message_is_opened_by_what_held_when_it_came(registered: Registered) -> None:
    """The sender changes from milliseconds to seconds; what waits since before is still read in milliseconds."""
    source(registered, "eltres", "eltres/#", "mapped", START - timedelta(days=2))
    first = MessageMap(device="$.id", network_time="$.t", network_time_form=TimeForm.MILLISECONDS, payload="$.bin")
    then = MessageMap(device="$.id", network_time="$.t", network_time_form=TimeForm.SECONDS, payload="$.bin")
    draw(registered, first)
    changed = START - timedelta(hours=1)
    draw(registered, then, now=changed, changed=True)

    def message(at: datetime, per_second: int) -> dict[str, Any]:
        return {"id": GAUGE, "t": int(at.timestamp()) * per_second, "bin": payload(1.0).hex()}

    old, new = changed - MINUTE, changed + MINUTE
    with owner(registered) as conn:
        definitions = load_directory(conn, registered.municipality_id).definitions
    for at, per_second in ((old, 1000), (new, 1)):
        raw = json.dumps(message(at, per_second)).encode()
        assert open_uplink("eltres/x", raw, definitions, at).network_time == at


def test_a_source_without_a_map_keeps_its_messages_until_there_is_one(registered: Registered) -> None:
    source(registered, "eltres", "eltres/#", "mapped")
    arrive(registered, [[Message("eltres/1", unknown(1.5, counter=7), START)]])
    ((outcome, reason, detail),) = query(registered.owner, "select outcome, reason, detail from uplink")
    assert (outcome, reason) == ("quarantined", "envelope") and "/digital/sources" in detail


@pytest.mark.parametrize("key", ["http-1", "mqtt-99", "mqtt-", "x"])
def test_a_source_that_is_not_there_is_not_found(registered: Registered, key: str) -> None:
    with owner(registered) as conn:
        assert find_source(conn, registered.municipality_id, key) is None


def test_a_broker_that_refuses_a_topic_of_the_towns_own_costs_only_that_one(
    registered: Registered, broker: Broker
) -> None:
    """NATS refuses what would exceed its limit of messages in hand; the three filters of every town stand."""
    if broker.shared:
        pytest.skip("this broker refuses nothing that it is asked for")
    many = 65_536 // broker.max_unacked + 1
    for n in range(many):
        source(registered, f"s{n}", f"town/{n}/#", "aws_iot_lorawan")
    with worker(config_for(registered, broker)):
        send(broker, level(1.5, counter=1, time=START))
        wait_for(lambda: 1.5 in values(registered), "a message on the topics of every town")

        def refused() -> bool:
            return query(registered.owner, "select count(*) from mqtt_source where refused_at is not null") != [(0,)]

        wait_for(refused, "the refusal to be said")
        assert 0 < count(registered, "mqtt_source", "refused_at is null") < many

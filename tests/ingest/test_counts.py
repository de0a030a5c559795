"""Both counts with a real broker and a real worker: they close, and name what was lost, whatever dies."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import replace
from datetime import timedelta

from devices.codecs import radar_level
from devices.model import Outcome
from ingest import Broker
from ingest.decode import decode
from ingest.message import Message
from store import connect
from store.batch import UplinkRow
from store.counts import unclosed
from tests.brokers.running import publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.town import (
    GAUGE,
    LOGGER,
    Child,
    chirpstack,
    config_for,
    count,
    level,
    levels,
    listening,
    query,
    worker,
)

MINUTE = timedelta(minutes=1)


def own_json(device: str, **body: object) -> tuple[str, bytes]:
    return f"mimamori/v1/{device}/up", json.dumps({"device": device} | body).encode()


def decoded(registered: Registered, message: tuple[str, bytes]) -> UplinkRow:
    return decode(Message(*message, START), registered.directory)


def publish(broker: Broker, messages: list[tuple[str, bytes]]) -> None:
    with publisher(broker) as send:
        for topic, raw in messages:
            send(topic, raw)


def delivered(registered: Registered) -> int:
    return int(query(registered.owner, "select coalesce(sum(delivered), 0) from delivery_count")[0][0])


def everything_closes(registered: Registered) -> bool:
    with connect(registered.worker, name="test") as conn:
        return unclosed(conn, registered.municipality_id, START - timedelta(days=1)) == []


def missing(registered: Registered) -> set[int]:
    found = query(registered.owner, "select from_counter, to_counter from frame_gap")
    return {counter for first, last in found for counter in range(first, last + 1)}


def test_what_the_radio_loses_is_named_and_what_ingest_gets_is_counted(registered: Registered, broker: Broker) -> None:
    lost = {3, 4, 17, 40}
    sent = [message for counter, message in enumerate(levels(60)) if counter not in lost]
    chance = random.Random(4)
    repeated = chance.sample(sent, 7)
    unreadable = [chirpstack(GAUGE, b"\xff\xff", counter=60, time=START - MINUTE)]
    unknown = [chirpstack("ffffffffffffffff", radar_level.encode(distance=5000), counter=1, time=START - MINUTE)]
    traffic = [*sent, *repeated, *unreadable, *unknown]
    with worker(config_for(registered, broker)):
        publish(broker, traffic)
        wait_for(lambda: delivered(registered) >= len(traffic), "every delivery to be counted")
        assert missing(registered) == lost
        late = [message for counter, message in enumerate(levels(60)) if counter in (4, 40)]
        publish(broker, late)
        wait_for(lambda: delivered(registered) == len(traffic) + 2, "the late ones to be counted")
    assert missing(registered) == lost - {4, 40}
    assert everything_closes(registered)
    counted = query(
        registered.owner,
        """
        select d.key, sum(c.delivered), sum(c.accepted), sum(c.duplicate), sum(c.quarantined), sum(c.stored)
        from delivery_count c left join device d using (device_id) group by 1 order by 1
        """,
    )
    assert [tuple(row) for row in counted] == [
        (GAUGE, len(traffic) + 1, len(sent) + 2, 7, 1, len(sent) + 2),
        (None, 1, 0, 0, 1, 0),
    ]
    ((first, last, received),) = query(registered.owner, "select first_counter, last_counter, received from frame_run")
    assert (first, last) == (0, 60)
    assert last - first + 1 - received == len(missing(registered))


def test_both_counts_close_however_often_ingest_is_killed(registered: Registered, broker: Broker) -> None:
    config = config_for(registered, broker, batch_size=20, batch_seconds=0.02)
    lost = {100, 101, 350}
    messages = [message for counter, message in enumerate(levels(600)) if counter not in lost]
    publishing = threading.Thread(target=publish, args=(broker, messages))
    chance = random.Random(7)
    with connect(registered.owner, name="test") as conn:
        # A slow disk: so that a kill finds a transaction open and a batch in hand.
        conn.execute(
            "create function slow() returns trigger language plpgsql as "
            "'begin perform pg_sleep(0.02); return null; end'"
        )
        conn.execute("create trigger slow after insert on uplink for each statement execute function slow()")
    with Child(config) as child:
        wait_for(lambda: listening(config), "the first child to listen")
        publishing.start()
        for _ in range(3):
            target = min(count(registered, "observation") + chance.randint(20, 120), len(messages))
            wait_for(lambda: count(registered, "observation") >= target, f"{target} observations")  # noqa: B023
            child.kill()
            child.start()
        wait_for(lambda: count(registered, "observation") == len(messages), "all observations")
        publishing.join()
    with worker(config):
        pass  # closes what the last kill left unacknowledged
    assert everything_closes(registered)
    accepted, repeated = query(registered.owner, "select sum(accepted), sum(duplicate) from delivery_count")[0]
    assert accepted == len(messages)
    assert delivered(registered) == accepted + repeated
    assert count(registered, "uplink", f"repeats > 0 or {repeated} = 0") > 0
    assert missing(registered) == lost


# --- a message of which a part can be used -------------------------------------------------------------------


def test_good_fields_are_stored_and_the_others_listed(registered: Registered) -> None:
    row = decoded(registered, own_json(LOGGER, counter=1, readings={"flow": 12.5, "pressure": 300.0, "presure": 1.0}))
    assert row.outcome is Outcome.ACCEPTED
    assert len(row.observations) == 2
    assert (row.quarantined_fields, row.rejected) == (("presure",), 1)
    assert row.detail is not None
    assert LOGGER in row.detail
    assert "flow_pressure has no field 'presure'" in row.detail


def test_a_sample_of_before_the_device_was_mounted_is_listed(registered: Registered) -> None:
    device = registered.directory.devices[LOGGER]
    mounted = replace(device.attachments[0], attached_from=START - 10 * MINUTE)
    directory = replace(registered.directory, devices={LOGGER: replace(device, attachments=(mounted,))})
    samples = [
        {"time": (START - minutes * MINUTE).isoformat(), "readings": {"flow": 1.0, "pressure": 2.0}}
        for minutes in (15, 5)
    ]
    row = decode(Message(*own_json(LOGGER, counter=1, samples=samples), START), directory)
    assert row.outcome is Outcome.ACCEPTED
    assert len(row.observations) == 2
    assert (row.quarantined_fields, row.rejected) == (("flow", "pressure"), 2)


def test_one_infinite_value_does_not_take_the_others_with_it(registered: Registered) -> None:
    device = registered.directory.devices[LOGGER]
    attachment = device.attachments[0]
    fields = {**attachment.fields, "flow": replace(attachment.fields["flow"], scale=1e308)}
    broken = replace(device, attachments=(replace(attachment, fields=fields),))
    directory = replace(registered.directory, devices={LOGGER: broken})
    row = decode(Message(*own_json(LOGGER, counter=1, readings={"flow": 99.0, "pressure": 300.0}), START), directory)
    assert [observation.value for observation in row.observations] == [300.0]
    assert row.quarantined_fields == ("flow",)


def test_a_message_without_any_usable_field_is_quarantined_whole(registered: Registered) -> None:
    row = decoded(registered, own_json(LOGGER, counter=1, readings={"presure": 1.0}))
    assert (row.outcome, row.reason, row.quarantined_fields) == (Outcome.QUARANTINED, "codec", ())


def test_a_partly_stored_message_is_seen_in_the_tables(registered: Registered, broker: Broker) -> None:
    with worker(config_for(registered, broker)):
        publish(
            broker,
            [
                own_json(LOGGER, counter=1, readings={"flow": 12.5, "other": 1.0}),
                level(1.0, counter=1, time=START - MINUTE),
            ],
        )
        wait_for(lambda: delivered(registered) == 2, "both to be counted")
    assert query(registered.owner, "select outcome, quarantined_fields from uplink where detail is not null") == [
        ("accepted", ["other"])
    ]
    assert query(registered.owner, "select sum(given), sum(stored), sum(rejected) from delivery_count") == [(2, 2, 1)]
    assert everything_closes(registered)

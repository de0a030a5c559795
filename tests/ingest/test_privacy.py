"""What a counter of visitors must never send is refused, and not kept: not a byte of it."""

from __future__ import annotations

import base64
import json
import os

from devices.codecs import people_counter
from devices.model import Outcome
from ingest.decode import decode
from ingest.message import Message
from ingest.privacy import REMOVED
from store.writer import UplinkRow, write_batch
from tests.conftest import START, Registered
from tests.connections import kept
from tests.ingest.town import COUNTER, chirpstack, level

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 2
PHONE = "a4:83:e7:5b:10:9f"


def decoded(registered: Registered, topic: str, raw: bytes) -> UplinkRow:
    return decode(Message(topic, raw, START), registered.directory)


def counted(**said: object) -> tuple[str, bytes]:
    """A message of a counter, and what the network made of it beside its bytes."""
    payload = people_counter.encode(time=START, passages_in=4, passages_out=0)
    topic, raw = chirpstack(COUNTER, payload, counter=1, time=START)
    return topic, json.dumps(json.loads(raw) | {"object": said}).encode()


def posted(**said: object) -> tuple[str, bytes]:
    """A message that nobody can read yet."""
    return "mimamori/v1/new-counter/up", json.dumps({"device": "new-counter", "in": 4} | said).encode()


FORBIDDEN = {
    "a picture as text": ({"snapshot": "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()}, "pictures"),
    "a picture in base64": ({"frame": base64.b64encode(JPEG).decode()}, "pictures"),
    "a link to a picture": ({"image_url": "https://192.0.2.7/1.jpg"}, "pictures"),
    "faces": ({"faces": [{"box": [1, 2, 3, 4], "age": 40}]}, "faces"),
    "an embedding": ({"face_embedding": [0.12, -0.3]}, "faces"),
    "an address": ({"seen": [PHONE]}, "MAC addresses"),
    "an address with hyphens": ({"seen": PHONE.replace(":", "-").upper()}, "MAC addresses"),
    "an address without colons": ({"client_mac": PHONE.replace(":", "")}, "MAC addresses"),
    "hashed addresses": ({"mac_hashes": ["9f86d081884c7d65"]}, "MAC addresses"),
}


def test_pictures_faces_and_addresses_are_refused_in_words_and_not_kept(registered: Registered) -> None:
    for name, (more, says) in FORBIDDEN.items():
        row = decoded(registered, *counted(**more))
        assert (row.outcome, row.reason, row.raw) == (Outcome.QUARANTINED, "privacy", REMOVED), name
        assert says in (row.detail or "") and COUNTER in (row.detail or "") and row.observations == (), name
        again = decoded(registered, row.topic, row.raw)
        assert (again.reason, again.raw) == ("privacy", REMOVED), "reading it again finds nothing, and says so"
        with kept(registered.worker) as conn:
            write_batch(conn, registered.municipality_id, [row])
            stored = conn.execute("select to_jsonb(u)::text from uplink u").fetchall()
        (secret,) = more.values()
        assert len(stored) > 0 and json.dumps(secret)[:24].strip('"[]{') not in str(stored), name


def test_numbers_and_its_own_address_pass(registered: Registered) -> None:
    for more in (
        {},
        {"face_count": 3, "faces": [], "image_quality": 0.9, "macs": 12},
        {"mac": COUNTER.upper(), "serial": "00-11"},
    ):
        assert decoded(registered, *counted(**more)).outcome is Outcome.ACCEPTED, more


def test_of_a_message_that_cannot_be_read_pictures_faces_and_lists_of_addresses_are_not_kept(
    registered: Registered,
) -> None:
    assert decoded(registered, "anywhere/at/all", JPEG).reason == "privacy"
    assert decoded(registered, *posted(image=base64.b64encode(JPEG).decode())).reason == "privacy"
    assert decoded(registered, *posted(faces=[{"age": 40}])).reason == "privacy"
    assert decoded(registered, *posted(seen=[f"{PHONE[:-1]}{n}" for n in range(3)])).raw == REMOVED
    one = decoded(registered, *posted(mac=PHONE))
    assert (one.reason, one.raw) == ("envelope", posted(mac=PHONE)[1]), "its own: it is known by it"


def test_a_water_gauge_may_say_its_address_and_gateways_theirs(registered: Registered) -> None:
    heard = [{"gatewayId": "0016c001f1500812", "rssi": -60, "snr": 7.5, "metadata": {"mac": PHONE}}]
    topic, raw = level(1.2, counter=1, time=START)
    body = json.loads(raw) | {"rxInfo": heard}
    assert decoded(registered, topic, json.dumps(body | {"object": {"mac": PHONE}}).encode()).reason is None
    topic, raw = counted()
    assert decoded(registered, topic, json.dumps(json.loads(raw) | {"rxInfo": heard}).encode()).reason is None


def test_random_bytes_of_a_payload_are_no_picture(registered: Registered) -> None:
    for _ in range(50):
        topic, raw = chirpstack(COUNTER, b"\xff\xd8\xff" + os.urandom(20), counter=1, time=START)
        assert decoded(registered, topic, raw).reason == "codec"

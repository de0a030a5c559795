"""When is a message the same transmission as one that is stored?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from devices.model import Outcome
from store import connect
from store.batch import UplinkRow
from store.writer import write_batch
from tests.conftest import START, Registered, accepted


def outcomes(registered: Registered, rows: Sequence[UplinkRow]) -> list[Outcome]:
    """What becomes of each, delivered one by one."""
    with connect(registered.worker, name="test") as conn:
        return [write_batch(conn, registered.municipality_id, [row]).each[0] for row in rows]


def message(registered: Registered, network: str) -> UplinkRow:
    device = registered.directory.device("a84041ffff310001")
    assert device is not None
    return replace(accepted(device, START), network=network, session="a", counter=7)


def test_our_own_json_that_the_broker_kept_for_days_is_a_repetition(registered: Registered) -> None:
    first = message(registered, "mimamori_v1")
    again = replace(first, received_time=START + timedelta(days=5))
    assert outcomes(registered, [first, again]) == [Outcome.ACCEPTED, Outcome.DUPLICATE]


def test_a_frame_that_a_network_heard_on_another_day_is_a_new_one(registered: Registered) -> None:
    """A LoRaWAN device that was switched on again counts from 0 in the same session and may say the same."""
    first = replace(message(registered, "chirpstack_v4"), network_time=START)
    late = replace(first, received_time=START + timedelta(days=5))
    anew = replace(late, network_time=START + timedelta(days=5))
    assert outcomes(registered, [first, late, anew]) == [Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.ACCEPTED]


def test_known_and_new_ones_of_one_batch_are_told_apart(registered: Registered) -> None:
    first = replace(message(registered, "chirpstack_v4"), network_time=START)
    anew = replace(first, network_time=START + timedelta(days=5))
    other = replace(first, counter=8)
    assert outcomes(registered, [first]) == [Outcome.ACCEPTED]
    with connect(registered.worker, name="test") as conn:
        done = write_batch(conn, registered.municipality_id, [other, first, anew, other, anew, first])
    known, new = Outcome.DUPLICATE, Outcome.ACCEPTED
    assert done.each == (new, known, new, known, known, known)
    with connect(registered.worker, name="test") as conn:
        found = conn.execute("select counter, epoch, repeats from uplink order by 1, 2").fetchall()
    assert found == [(7, 0, 2), (7, 1, 1), (8, 0, 1)]

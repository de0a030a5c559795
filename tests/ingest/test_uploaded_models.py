"""Manufacturers' codecs in ingest: what they say is stored, and what they do to themselves harms nobody else."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psutil
import pytest

from devices.clock import FixedClock
from devices.mapping import MappingEntry
from devices.model import Datastream, ObservedProperty, Outcome, Station, StationKind
from ingest import Broker, settle
from ingest import worker as ingest_worker
from ingest.budget import BURST_SECONDS, SLOW_SECONDS, Budget
from ingest.message import Message
from ingest.replay import Replaying
from ingest.settle import KnownDevices, Settling
from quality.gate import CLOCK
from store import connect
from store.models import Battery, CodecUpload, ModelEntry, add_model, change_model, model, pin, upload
from store.quarantine import Selection, ask, replay
from store.registration import add_device, add_station, attach
from tests.brokers.running import publisher, wait_for
from tests.conftest import START, Registered
from tests.ingest.town import GAUGE, chirpstack, config_for, count, level, query, worker
from tests.store.rights import as_api, neighbour

KEY = "a84041ffff990001"
LEVEL, RAIN = ObservedProperty.WATER_LEVEL, ObservedProperty.PRECIPITATION
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PLAIN = "function decodeUplink(input) { return {data: {water: {level: input.bytes[0] * 10}, bat: 3.6}}; }"
RENAMED = PLAIN.replace("level", "depth")
STUBBORN = "function decodeUplink(input) { for (;;) {} }"
ENDLESS = "function decodeUplink(input) { return {data: {water: {level: new Array(2 ** 32 - 1).join('x').length}}}; }"
FIELD = MappingEntry("water.level", LEVEL, unit="mm")
STATION = Station(
    "river-new", StationKind.RIVER_GAUGE, "新橋", "New Bridge", 32.9, 135.2, (Datastream(LEVEL, 10 * MINUTE),), ()
)


def register(
    registered: Registered,
    source: str = PLAIN,
    fields: Sequence[MappingEntry] = (FIELD,),
    *,
    key: str = KEY,
    station: Station = STATION,
    **said: Any,
) -> None:
    """A station with a device whose model reads by this codec, as a page does it."""
    town = registered.municipality_id
    with as_api(registered) as conn:
        codec_id = upload(conn, town, CodecUpload("codec.js", source.encode(), "a test"), at=START, user_id=None)
        entry = ModelEntry("example/level", "水位計", "Level", codec_id=codec_id, fields=tuple(fields), **said)
        add_model(conn, town, entry, at=START, user_id=None)
        add_station(conn, town, station)
        add_device(conn, town, key=key, model="example/level", silence_after=HOUR)
        attach(conn, town, key, station.code, since=START - 100 * HOUR)


def pin_source(registered: Registered, source: str) -> None:
    town = registered.municipality_id
    with as_api(registered) as conn:
        codec_id = upload(conn, town, CodecUpload("codec.js", source.encode(), "a test"), at=START, user_id=None)
        pin(conn, town, "example/level", codec_id=codec_id, at=START, user_id=None)


@contextmanager
def known(registered: Registered) -> Iterator[KnownDevices]:
    with closing(KnownDevices(registered.municipality_id)) as devices, connect(registered.worker, name="test") as conn:
        devices.refresh(conn)
        yield devices


def deliver(
    registered: Registered, devices: KnownDevices, messages: Sequence[tuple[str, bytes]]
) -> Mapping[Outcome, int]:
    outcomes = Counter[Outcome]()
    with connect(registered.worker, name="test") as conn:
        settling = Settling(conn, devices, [Message(topic, raw, START) for topic, raw in messages], CLOCK)
        while not settling.over:
            outcomes.update(settled.outcome for settled in settling.step(conn))
    return outcomes


def uplink(byte: int, counter: int, at: datetime | None = START, key: str = KEY) -> tuple[str, bytes]:
    return chirpstack(key, bytes([byte]), counter=counter, time=at)


def stored(registered: Registered, code: str = "river-new") -> list[tuple[Any, ...]]:
    return query(
        registered.owner,
        """
        select observed_property, phenomenon_time, value, quality::text from observation
        join datastream using (datastream_id) join station using (station_id) where code = %s order by 2, 1
        """,
        code,
    )


def test_what_a_codec_says_is_stored_in_the_unit_of_the_series(registered: Registered) -> None:
    register(registered)
    with known(registered) as devices:
        assert deliver(registered, devices, [uplink(123, 1), uplink(80, 2, START + MINUTE)]) == {Outcome.ACCEPTED: 2}
    assert stored(registered) == [
        ("water_level", START, pytest.approx(1.23), "good"),
        ("water_level", START + MINUTE, pytest.approx(0.8), "good"),
    ]


def test_a_town_without_uploaded_codecs_starts_no_process_for_them(registered: Registered) -> None:
    with known(registered) as devices:
        assert deliver(registered, devices, [level(1.0, counter=1, time=START)]) == {Outcome.ACCEPTED: 1}
        assert devices.sandbox.pid is None


def test_the_process_for_codecs_ends_with_its_worker(registered: Registered) -> None:
    register(registered)
    with known(registered) as devices:
        deliver(registered, devices, [uplink(123, 1)])
        pid = devices.sandbox.pid
        assert pid is not None and psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_a_codec_is_told_when_the_network_heard_the_message_else_when_it_came(registered: Registered) -> None:
    source = "function decodeUplink(input) { return {data: {water: {level: (Date.now() / 60000) % 1000}}}; }"
    register(registered, source, [MappingEntry("water.level", LEVEL, unit="m")])
    with known(registered) as devices:
        deliver(registered, devices, [uplink(1, 1, START - MINUTE), uplink(1, 2, None)])
    minutes = START.timestamp() / 60 % 1000
    assert [row[2] for row in stored(registered)] == [pytest.approx(minutes - 1), pytest.approx(minutes)]


def test_history_in_a_message_becomes_observations_of_their_own_times(registered: Registered) -> None:
    earlier = [START - 20 * MINUTE, START - 10 * MINUTE]
    told = [{"time": at.isoformat(), "water": {"level": 1000 + n}} for n, at in enumerate(earlier)]
    source = (
        f"function decodeUplink(input) {{ return {{data: {{water: {{level: 1500}}, history: {json.dumps(told)}}}}}; }}"
    )
    register(registered, source)
    with known(registered) as devices:
        deliver(registered, devices, [uplink(1, 1)])
    assert [(at, value) for _, at, value, _ in stored(registered)] == [
        (earlier[0], pytest.approx(1.0)),
        (earlier[1], pytest.approx(1.001)),
        (START, pytest.approx(1.5)),
    ]


def test_a_cumulative_field_is_stored_as_what_was_counted_between(registered: Registered) -> None:
    source = "function decodeUplink(input) { return {data: {tips: input.bytes[0]}}; }"
    gauge = replace(STATION, code="rain-new", kind=StationKind.RAIN_GAUGE, datastreams=(Datastream(RAIN, 10 * MINUTE),))
    register(registered, source, [MappingEntry("tips", RAIN, scale=0.5, modulus=256)], station=gauge)
    start = START - HOUR
    with known(registered) as devices:
        deliver(registered, devices, [uplink(n, i, start + i * 10 * MINUTE) for i, n in enumerate((250, 254, 2))])
    assert [(at, value) for _, at, value, _ in stored(registered, "rain-new")] == [
        (start + 10 * MINUTE, 2.0),
        (start + 20 * MINUTE, 2.0),
    ]


@pytest.mark.parametrize(
    ("battery", "volts", "low"),
    [
        (Battery("bat", "V", 3.3), 3.6, False),
        (Battery("bat", "V", 3.7), 3.6, True),
        (Battery("bat", "mV", 3.3), 0.0036, False),
        (Battery("other", "V", 3.3), None, None),
        (None, None, None),
    ],
)
def test_a_models_battery_is_told_in_volts(
    registered: Registered, battery: Battery | None, volts: float | None, low: bool | None
) -> None:
    register(registered, battery=battery)
    with known(registered) as devices:
        deliver(registered, devices, [uplink(1, 1)])
    found = query(registered.owner, "select battery, battery_low from device_status")
    assert found == ([] if volts is None else [(pytest.approx(volts), low)])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("function decodeUplink(input) { throw new Error('firmware 9'); }", "firmware 9"),
        ("function decodeUplink(input) { return {errors: ['too short']}; }", "too short"),
        ("function decodeUplink(input) { return 'wet'; }", "text|string"),
        ("function decodeUplink(input) { return {data: {water: {level: NaN}}}; }", "not a number"),
        ("this is no JavaScript", "JavaScript"),
        (STUBBORN, "0.25 s of computing"),
        (ENDLESS, "memory|did not come back"),
    ],
)
def test_a_codec_that_dies_keeps_its_message_and_harms_nobody(registered: Registered, source: str, said: str) -> None:
    register(registered, source)
    with known(registered) as devices:
        messages = [uplink(1, 1), level(1.0, counter=1, time=START), uplink(2, 2), level(1.1, counter=2, time=START)]
        outcomes = deliver(registered, devices, messages)
        assert outcomes == {Outcome.ACCEPTED: 2, Outcome.QUARANTINED: 2}
        # And it goes on: with a better codec, in the same process or in a new one.
        pin_source(registered, PLAIN)
        with connect(registered.worker, name="test") as conn:
            devices.refresh(conn)
        assert deliver(registered, devices, [uplink(123, 3, START + MINUTE)]) == {Outcome.ACCEPTED: 1}
    rows = query(registered.owner, "select reason, detail, raw is not null from uplink where outcome = 'quarantined'")
    for reason, detail, kept in rows:
        assert reason in ("codec", "slow") and kept
        assert detail.startswith(f"device {KEY}: ")
    assert any(reason == "codec" for reason, _, _ in rows)
    assert any(re.search(said, detail) for _, detail, _ in rows), rows


def test_a_killed_process_is_started_again(registered: Registered) -> None:
    register(registered)
    with known(registered) as devices:
        deliver(registered, devices, [uplink(1, 1)])
        pid = devices.sandbox.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        outcomes = [deliver(registered, devices, [uplink(2 + n, 2 + n, START + n * MINUTE)]) for n in range(3)]
        assert outcomes[-1] == {Outcome.ACCEPTED: 1}
        assert devices.sandbox.pid not in (None, pid)


def test_devices_with_a_stubborn_codec_take_their_share_and_no_more(registered: Registered) -> None:
    register(registered, STUBBORN)
    with known(registered) as devices:
        messages = [uplink(n % 200, n, START - n * MINUTE) for n in range(60)]
        others = [level(1.0 + n / 1000, counter=n, time=START - n * MINUTE) for n in range(60)]
        begun = time.monotonic()
        outcomes = deliver(registered, devices, [m for pair in zip(messages, others, strict=True) for m in pair])
        took = time.monotonic() - begun
    assert outcomes == {Outcome.ACCEPTED: 60, Outcome.QUARANTINED: 60}
    reasons = dict(query(registered.owner, "select reason, count(*) from uplink where reason is not null group by 1"))
    # A quarter of a second each, of the burst and a fifth of what passed meanwhile.
    assert 1 <= reasons["codec"] <= 2 + (BURST_SECONDS + 0.2 * took) / 0.25
    assert reasons["slow"] == 60 - reasons["codec"] > 40


def test_the_computing_time_of_the_other_process_counts_and_not_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now, computed = [0.0], {7: 0.0}
    monkeypatch.setattr("ingest.budget._computed", lambda process: computed.get(process))
    some = Budget(now=lambda: now[0])

    def reads(seconds: float, computing: float, process: int | None = 7) -> None:
        some.begin()
        now[0] += seconds
        if process in computed:
            computed[process] += computing
        some.end_elsewhere("a", process)

    reads(SLOW_SECONDS / 2, SLOW_SECONDS / 2)
    for _ in range(20):
        reads(BURST_SECONDS, SLOW_SECONDS / 1000)  # a busy machine
        assert some.allows("a")
    reads(60.0, 60.0)
    assert not some.allows("a")
    now[0] += 600.0
    assert some.allows("a")
    reads(SLOW_SECONDS / 2, 0.0)
    reads(60.0, 0.0, None)  # it had to be ended: that we waited for it is what it cost
    assert not some.allows("a")
    some.forgive()
    assert some.allows("a")


def test_what_a_codec_could_not_read_its_successor_reads_again(registered: Registered) -> None:
    register(registered, "function decodeUplink(input) { throw new Error('not yet'); }")
    with known(registered) as devices:
        assert deliver(registered, devices, [uplink(100, 1)]) == {Outcome.QUARANTINED: 1}
        pin_source(registered, PLAIN)
        with connect(registered.worker, name="test") as conn:
            wish = ask(conn, registered.municipality_id, Selection(), now=START, user_id=None)
            conn.commit()
            assert wish is not None
            replaying = Replaying(devices, FixedClock(START), CLOCK)
            while replaying.step(conn):
                pass
            assert replay(conn, wish.replay_id).accepted == 1
    assert stored(registered) == [("water_level", START, pytest.approx(1.0), "good")]


def test_a_renamed_field_is_told_by_its_absence_and_mapped_again(registered: Registered) -> None:
    register(registered)
    town = registered.municipality_id
    with known(registered) as devices:
        pin_source(registered, RENAMED)
        with connect(registered.worker, name="test") as conn:
            devices.refresh(conn)
            assert deliver(registered, devices, [uplink(1, 1)]) == {Outcome.ACCEPTED: 1}
            assert stored(registered) == []
        with as_api(registered) as conn:
            entry = model(conn, town, "example/level").entry
            change_model(conn, town, replace(entry, fields=(replace(FIELD, field="water.depth"),)))
        with connect(registered.worker, name="test") as conn:
            devices.refresh(conn)
        assert deliver(registered, devices, [uplink(100, 2)]) == {Outcome.ACCEPTED: 1}
    assert stored(registered) == [("water_level", START, pytest.approx(1.0), "good")]


def test_what_nobody_wants_of_a_codec_is_no_fault_of_the_message(registered: Registered) -> None:
    source = "function decodeUplink(input) { return {data: {water: {level: 1000}, noise: NaN}}; }"
    register(registered, source)
    with known(registered) as devices:
        assert deliver(registered, devices, [uplink(1, 1)]) == {Outcome.ACCEPTED: 1}
    assert query(registered.owner, "select detail, quarantined_fields from uplink") == [(None, [])]


def test_a_model_can_take_what_the_network_has_decoded(registered: Registered) -> None:
    register(registered)
    with as_api(registered) as conn:
        pin(conn, registered.municipality_id, "example/level", at=START, user_id=None)
    topic, raw = uplink(1, 1)
    with known(registered) as devices:
        body = {**json.loads(raw), "object": {"water": {"level": {"value": "750", "unit": "mm"}}}}
        assert deliver(registered, devices, [(topic, json.dumps(body).encode())]) == {Outcome.ACCEPTED: 1}
        assert deliver(registered, devices, [uplink(1, 2)]) == {Outcome.QUARANTINED: 1}
    assert stored(registered) == [("water_level", START, pytest.approx(0.75), "good")]
    ((detail,),) = query(registered.owner, "select detail from uplink where reason = 'codec'")
    assert detail == (
        f"device {KEY}: the network sent no decoded values: set up a decoder there, or choose a device model with a "
        "codec here"
    )


def test_a_codec_of_another_town_is_never_used(registered: Registered) -> None:
    """Two towns with the same model name and the same device."""
    register(registered)
    other = neighbour(registered)
    with as_api(registered, other) as conn:
        source = PLAIN.replace("* 10", "* 20").encode()
        codec_id = upload(conn, other, CodecUpload("codec.js", source, "a test"), at=START, user_id=None)
        entry = ModelEntry("example/level", "水位計", "Level", codec_id=codec_id, fields=(FIELD,))
        add_model(conn, other, entry, at=START, user_id=None)
        add_station(conn, other, replace(STATION, code="tonari"))
        add_device(conn, other, key=KEY, model="example/level", silence_after=HOUR)
        attach(conn, other, KEY, "tonari", since=START - HOUR)
    with known(registered) as ours, closing(KnownDevices(other)) as theirs:
        with connect(registered.worker, name="test") as conn:
            theirs.refresh(conn)
        assert ours.directory.models["example/level"].codec != theirs.directory.models["example/level"].codec
        deliver(registered, ours, [uplink(100, 1)])
        deliver(registered, theirs, [uplink(100, 1)])
    assert stored(registered) == [("water_level", START, pytest.approx(1.0), "good")]
    assert stored(registered, "tonari") == [("water_level", START, pytest.approx(2.0), "good")]


def test_a_running_worker_knows_of_a_change_at_once(
    registered: Registered, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after so many seconds: only because it was told."""
    monkeypatch.setattr(ingest_worker, "DIRECTORY_SECONDS", 3600.0)
    monkeypatch.setattr(settle, "UNKNOWN_DEVICE_SECONDS", 3600.0)
    with worker(config_for(registered, broker)), publisher(broker) as send:
        send(*level(1.0, counter=1, time=START))
        wait_for(lambda: count(registered, "uplink", "outcome = 'accepted'") == 1, "a message of the town's own")
        register(registered)
        wait_for(lambda: _sent_until_stored(registered, send, 1.0), "the new device to be known")
        pin_source(registered, PLAIN.replace("* 10", "* 20"))
        wait_for(lambda: _sent_until_stored(registered, send, 2.0), "the new codec to be used")
        with as_api(registered) as conn:
            entry = model(conn, registered.municipality_id, "example/level").entry
            change_model(conn, registered.municipality_id, replace(entry, fields=(replace(FIELD, offset=5.0),)))
        wait_for(lambda: _sent_until_stored(registered, send, 7.0), "the new mapping to be used")
        assert codec_processes()
    assert codec_processes() == [], "the process for codecs ends with the worker"


def codec_processes() -> list[psutil.Process]:
    found = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # others of the run's processes end meanwhile
            if "child.py" in " ".join(each.cmdline()):
                found.append(each)
    return found


def _sent_until_stored(registered: Registered, send: Any, wanted: float) -> bool:
    """Sends one message more; whether one has been stored with this value."""
    n = 1 + count(registered, "uplink", f"device_key = '{KEY}'")
    send(*uplink(100, n, START - n * timedelta(seconds=1)))
    return any(value == pytest.approx(wanted) for _, _, value, _ in stored(registered))


def test_a_worker_lives_on_beside_a_codec_that_dies(registered: Registered, broker: Broker) -> None:
    register(registered, ENDLESS)
    with worker(config_for(registered, broker)), publisher(broker) as send:
        for n in range(10):
            send(*uplink(n, n))
            send(*level(1.0 + n / 1000, counter=n, time=START - n * MINUTE, device=GAUGE))
        wait_for(lambda: count(registered, "uplink") == 20, "every message")
        assert count(registered, "uplink", "outcome = 'accepted'") == 10
        assert count(registered, "uplink", "outcome = 'quarantined' and raw is not null") == 10

"""Codecs: the documented bytes, both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.codecs import MODELS, decode, flow_pressure, people_counter, radar_level, rain_gauge
from devices.codecs.cayenne_lpp import CHANNELS
from devices.model import CodecError, Reading, Uplink

# 2026-06-01T00:00:00Z is 1780272000 = 0x6a1ccb80
AT = datetime(2026, 6, 1, tzinfo=UTC)
FIVE = timedelta(minutes=5)


def uplink(payload: bytes = b"", **changes: object) -> Uplink:
    fields = {"network": "test", "device_key": "a84041ffff310001", "session": "", "counter": 1, "network_time": AT}
    return Uplink(payload=payload, **(fields | changes))  # type: ignore[arg-type]


VECTORS = [
    ("radar_level", "01 162e b3 00", [("distance", 5678.0), ("battery", 3.58), ("status", 0.0)]),
    ("radar_level", "01 0000 00 07", [("distance", 0.0), ("battery", 0.0), ("status", 7.0)]),
    ("radar_level", "01 fffe fe 01", [("distance", 65534.0), ("battery", 5.08), ("status", 1.0)]),
    ("radar_level", "01 ffff ff 00", [("distance", None), ("battery", None), ("status", 0.0)]),
    (
        "flow_pressure",
        "01 6a1ccb80 012c b3 000bb8 0f96",
        [("flow", 30.0, AT), ("pressure", 399.0, AT), ("battery", 3.58, AT)],
    ),
    (
        "flow_pressure",
        "01 6a1ccb80 012c ff ffff9c 0000 800000 ffff 000001 fffe",
        [
            ("flow", -1.0, AT - 2 * FIVE, 2 * FIVE),
            ("pressure", 0.0, AT - 2 * FIVE, 2 * FIVE),
            ("flow", None, AT - FIVE, FIVE),
            ("pressure", None, AT - FIVE, FIVE),
            ("flow", 0.01, AT),
            ("pressure", 6553.4, AT),
            ("battery", None, AT),
        ],
    ),
    (
        "flow_pressure",  # a clock that has lost its time: decoded as it is, ingest judges it
        "01 00000000 0001 b3 000000 0000",
        [
            ("flow", 0.0, datetime(1970, 1, 1, tzinfo=UTC)),
            ("pressure", 0.0, datetime(1970, 1, 1, tzinfo=UTC)),
            ("battery", 3.58, datetime(1970, 1, 1, tzinfo=UTC)),
        ],
    ),
    (
        "people_counter",
        "01 6a1ccb80 000c 0007 b3 00",
        [("passages_in", 12.0, AT), ("passages_out", 7.0, AT), ("battery", 3.58, AT), ("status", 0.0, AT)],
    ),
    (
        "people_counter",
        "01 6a1ccb80 0000 ffff ff 02",
        [("passages_in", 0.0, AT), ("passages_out", None, AT), ("battery", None, AT), ("status", 2.0, AT)],
    ),
    (
        "people_counter",  # a blocked view counts too little: not a number, and not zero either
        "01 6a1ccb80 0003 0002 b3 01",
        [("passages_in", None, AT), ("passages_out", None, AT), ("battery", 3.58, AT), ("status", 1.0, AT)],
    ),
    (
        "rain_gauge",
        "01 6a1ccb80 03 0141 07 b3 00",
        [
            ("count", 321.0, AT),
            ("restarts", 3.0, AT),
            ("tips", 7.0, AT),
            ("battery", 3.58, AT),
            ("status", 0.0, AT),
        ],
    ),
    (
        "rain_gauge",
        "01 6a1ccb80 ff ffff ff ff 01",
        [
            ("count", None, AT),
            ("restarts", 255.0, AT),
            ("tips", None, AT),
            ("battery", None, AT),
            ("status", 1.0, AT),
        ],
    ),
]


@pytest.mark.parametrize(("model", "payload", "readings"), VECTORS)
def test_documented_bytes_give_documented_readings(model: str, payload: str, readings: list[tuple]) -> None:
    assert list(decode(model, uplink(bytes.fromhex(payload)))) == [Reading(*reading) for reading in readings]


@pytest.mark.parametrize(
    ("model", "payload", "words"),
    [
        ("radar_level", "", "empty"),
        ("radar_level", "02 162e b3 00", "version 2"),
        ("radar_level", "01 162e b3", "4 bytes"),
        ("radar_level", "01 162e b3 00 00", "6 bytes"),
        ("flow_pressure", "01 6a1ccb80 012c b3", "8 bytes"),
        ("flow_pressure", "01 6a1ccb80 012c b3 000bb8 0f", "12 bytes"),
        ("flow_pressure", "01 6a1ccb80 012c b3" + "000bb8 0f96" * 10, "58 bytes"),
        ("flow_pressure", "01 6a1ccb80 0000 b3 000bb8 0f96", "step"),
        ("people_counter", "01 6a1ccb80 000c 0007 b3", "10 bytes"),
        ("rain_gauge", "01 6a1ccb80 03 0141 07 b3", "10 bytes"),
    ],
)
def test_other_bytes_are_refused_naming_the_device(model: str, payload: str, words: str) -> None:
    with pytest.raises(CodecError, match=words) as caught:
        decode(model, uplink(bytes.fromhex(payload)))
    assert "a84041ffff310001" in str(caught.value) and model in str(caught.value)


@given(st.sampled_from(sorted(MODELS)), st.binary(max_size=60))
def test_any_bytes_give_readings_of_the_model_or_a_codec_error(model: str, payload: bytes) -> None:
    try:
        readings = decode(model, uplink(payload))
    except CodecError:
        return
    others = {reading.field for reading in readings} - set(MODELS[model].fields)
    # Of Cayenne LPP's channels those above can be read, and not mapped.
    assert all(model == "cayenne_lpp" and int(field.rpartition("_")[2]) >= CHANNELS for field in others), others


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CodecError, match="'sonar' has no codec; there are cayenne_lpp, csv_line, flow_pressure"):
        decode("sonar", uplink(b"\x01"))


def test_an_event_has_no_readings() -> None:
    assert decode("radar_level", uplink(counter=None, event="join")) == ()


def test_values_that_come_as_json_must_be_fields_of_the_model() -> None:
    readings = (Reading("flow", 1.5), Reading("pressure", None))
    assert decode("flow_pressure", uplink(readings=readings)) == readings
    with pytest.raises(CodecError, match=r"no field 'flow'; it has distance"):
        decode("radar_level", uplink(readings=readings))


# --- round trips ------------------------------------------------------------------------------------------

BATTERY = st.none() | st.integers(0, 254).map(lambda n: n / 50)
COUNT = st.none() | st.integers(0, 0xFFFE).map(float)
TIME = st.integers(0, 0xFFFFFFFF).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(COUNT, BATTERY, st.integers(0, 255))
def test_radar_level_survives_the_way_there_and_back(
    distance: float | None, battery: float | None, status: int
) -> None:
    payload = radar_level.encode(distance=distance, battery=battery, status=status)
    assert len(payload) <= 11
    assert [reading.value for reading in radar_level.decode(payload)] == [distance, battery, status]


@given(
    TIME.filter(lambda time: time.year > 1971),
    st.integers(1, 0xFFFF),
    st.lists(
        st.tuples(
            st.none() | st.integers(-0x7FFFFF, 0x7FFFFF).map(lambda n: n / 100),
            st.none() | st.integers(0, 0xFFFE).map(lambda n: n / 10),
        ),
        min_size=1,
        max_size=9,
    ),
    BATTERY,
)
def test_flow_pressure_survives_the_way_there_and_back(
    time: datetime, step: int, samples: list[tuple[float | None, float | None]], battery: float | None
) -> None:
    payload = flow_pressure.encode(time=time, step=timedelta(seconds=step), samples=samples, battery=battery)
    assert len(payload) <= 53
    readings = flow_pressure.decode(payload)
    flows = [reading for reading in readings if reading.field == "flow"]
    pressures = [reading for reading in readings if reading.field == "pressure"]
    assert [(f.value, p.value) for f, p in zip(flows, pressures, strict=True)] == samples
    assert flows[-1].time == time
    assert all(flow.time is not None and flow.time + flow.age == time for flow in flows)
    assert len({flow.time for flow in flows}) == len(samples)
    assert readings[-1] == Reading("battery", battery, time)


@given(TIME, COUNT, COUNT, BATTERY, st.sampled_from([0, people_counter.BATTERY_LOW]))
def test_people_counter_survives_the_way_there_and_back(
    time: datetime, inwards: float | None, outwards: float | None, battery: float | None, status: int
) -> None:
    payload = people_counter.encode(
        time=time, passages_in=inwards, passages_out=outwards, battery=battery, status=status
    )
    assert len(payload) <= 11
    readings = people_counter.decode(payload)
    assert [reading.value for reading in readings] == [inwards, outwards, battery, status]
    assert {reading.time for reading in readings} == {time}


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (lambda: radar_level.encode(distance=-1), "distance -1 does not fit"),
        (lambda: radar_level.encode(distance=65535), "distance 65535 does not fit, it goes from 0 to 65534"),
        (lambda: radar_level.encode(distance=1, battery=5.1), "battery 5.1"),
        (lambda: radar_level.encode(distance=1, status=256), "status 256"),
        (lambda: flow_pressure.encode(time=AT, step=FIVE, samples=[]), "1 to 9 samples"),
        (lambda: flow_pressure.encode(time=AT, step=FIVE, samples=[(1, 1)] * 10), "not 10"),
        (lambda: flow_pressure.encode(time=AT, step=FIVE, samples=[(83886.08, 1)]), "flow 83886.08"),
        (lambda: flow_pressure.encode(time=AT, step=FIVE, samples=[(-83886.08, 1)]), "flow -83886.08"),
        (lambda: flow_pressure.encode(time=AT, step=FIVE, samples=[(1, -0.1)]), "pressure -0.1"),
        (lambda: flow_pressure.encode(time=AT, step=timedelta(0), samples=[(1, 1)]), "step"),
        (lambda: flow_pressure.encode(time=AT + timedelta(microseconds=1), step=FIVE, samples=[(1, 1)]), "whole"),
        (lambda: people_counter.encode(time=AT.replace(year=2107), passages_in=1, passages_out=1), "2107"),
        (lambda: people_counter.encode(time=AT, passages_in=65535, passages_out=1), "passages_in 65535"),
        (lambda: people_counter.encode(time=AT, passages_in=1, passages_out=1, status=-1), "status -1"),
    ],
)
def test_what_does_not_fit_is_refused_when_encoding(encode, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        encode()


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 1000),
    st.none() | st.integers(0, 10**6),
    st.none() | st.integers(0, 300),
)
def test_a_rain_gauge_says_back_what_it_was_told_within_its_moduli(
    epoch: int, restarts: int, count: int | None, tips: int | None
) -> None:
    time = datetime.fromtimestamp(epoch, UTC)
    payload = rain_gauge.encode(time=time, restarts=restarts, count=count, tips=tips)
    assert len(payload) == 11
    said = {reading.field: reading for reading in rain_gauge.decode(payload)}
    assert said["count"].value == (None if count is None else count % rain_gauge.MODULUS)
    assert said["restarts"].value == restarts % 256
    assert said["tips"].value == (None if tips is None or tips > 254 else tips)
    assert {reading.time for reading in said.values()} == {time}


@pytest.mark.parametrize("wrong", [{"count": -1}, {"tips": -1}, {"restarts": -1}, {"status": 256}, {"battery": 6.0}])
def test_a_rain_gauge_refuses_what_does_not_fit(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="rain_gauge"):
        rain_gauge.encode(**{"time": AT, "restarts": 0, "count": 0} | wrong)  # type: ignore[arg-type]

"""Cayenne LPP: the examples of its documentation, every type there and back, and whatever else comes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.codecs import MODELS, cayenne_lpp
from devices.codecs.cayenne_lpp import CHANNELS, TYPES, decode, encode
from devices.model import CodecError


def values(payload: str) -> dict[str, float | None]:
    return {each.field: each.value for each in decode(bytes.fromhex(payload))}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("03670110 056700FF", {"temperature_3": 27.2, "temperature_5": 25.5}),
        ("01 67 FF D7", {"temperature_1": -4.1}),
        (
            "06 71 04D2 FB2E 0000",
            {"accelerometer_x_6": 1.234, "accelerometer_y_6": -1.234, "accelerometer_z_6": 0.0},
        ),
        (
            "01 88 06 76 5F F2 96 0A 00 03 E8",
            {"gps_latitude_1": 42.3519, "gps_longitude_1": -87.9094, "gps_altitude_1": 10.0},
        ),
        ("00 68 7B 02 73 27 10", {"humidity_0": 61.5, "barometer_2": 1000.0}),
        ("01 02 FF FF 02 74 01 72", {"analog_in_1": -0.01, "voltage_2": 3.7}),
        ("01 67 00 01 01 67 00 02", {"temperature_1": 0.2}),
        ("C8 66 01", {"presence_200": 1.0}),
    ],
)
def test_the_examples_are_read(payload: str, said: dict[str, float]) -> None:
    assert values(payload) == said


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("", "is empty"),
        ("01", "ends at byte 0"),
        ("01 67", "within the value of temperature_1"),
        ("01 67 00", "within the value of temperature_1"),
        ("01 67 00 01 02", "ends at byte 4"),
        ("01 05 00", "byte 1 says type 5"),
        ("01 88 06 76 5F F2", "gps_longitude_1"),
    ],
)
def test_what_is_none_is_refused_with_its_place(payload: str, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        decode(bytes.fromhex(payload))


@pytest.mark.parametrize("number", TYPES)
def test_every_type_says_backwards_what_it_says(number: int) -> None:
    kind = TYPES[number]
    said = [n + 1.0 for n in range(len(kind.values))]
    readings = decode(encode((7, kind.name, said)))
    assert [each.value for each in readings] == pytest.approx(said)
    assert {each.field for each in readings} <= cayenne_lpp.MODEL.fields.keys()
    with pytest.raises(ValueError, match="does not fit"):
        encode((7, kind.name, [1e12] * len(kind.values)))


def test_a_town_file_can_name_its_fields() -> None:
    assert MODELS["cayenne_lpp"].fields["temperature_3"] == "Cel"
    assert MODELS["cayenne_lpp"].fields["gps_altitude_0"] == "m"
    assert len(MODELS["cayenne_lpp"].fields) == CHANNELS * sum(len(kind.values) for kind in TYPES.values())


@given(st.binary(max_size=60))
def test_whatever_comes_is_readings_or_a_codec_error(payload: bytes) -> None:
    with contextlib.suppress(CodecError):
        assert decode(payload)
